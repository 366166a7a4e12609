//! What separates a cluster's machines from those that are asked for.

use engine::{Diff, Effect};
use serde_json::{Value, json};

use super::nodes::{
    ClusterNodes, FleetObserved, FleetType, FleetTypeObserved, GroupObserved, NodeDisk, NodeFleet, NodeGroup,
    NodeMarket, NodesObserved,
};

impl GroupObserved {
    /// True when nothing but its size separates the group from `wanted`. A highest price or disks that the spec leaves
    /// to EMR are not compared: EMR reports the ones that it chose.
    fn fits(&self, wanted: &NodeGroup) -> bool {
        let NodeGroup { instance_type, count: _, market, disk } = wanted;
        self.instance_type == *instance_type
            && same_market(&self.market, market)
            && same_disks(&self.disks, disk.as_ref())
    }
}

fn same_market(from: &NodeMarket, to: &NodeMarket) -> bool {
    match (from, to) {
        (NodeMarket::OnDemand, NodeMarket::OnDemand) => true,
        (NodeMarket::Spot { max_price: from }, NodeMarket::Spot { max_price: to }) => {
            same_price(from.as_deref(), to.as_deref())
        }
        _ => false,
    }
}

/// Prices are compared as numbers: EMR may write `0.10` as `0.1`.
fn same_price(from: Option<&str>, to: Option<&str>) -> bool {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok());
    match (number(from), number(to)) {
        (Some(from), Some(to)) => (from - to).abs() < 1e-9,
        (None, Some(_)) => false,
        (_, None) => true,
    }
}

fn same_disks(from: &[(String, u32)], to: Option<&NodeDisk>) -> bool {
    to.is_none_or(|disk| {
        let NodeDisk { gib, volume_type, count } = disk;
        from.len() == *count as usize && from.iter().all(|(kind, size)| kind == volume_type && size == gib)
    })
}

/// Compares the machines. `scaled`: EMR itself chooses the sizes, so that they are nobody's drift.
pub(super) fn nodes(diff: &mut Diff, from: &NodesObserved, to: &ClusterNodes, scaled: bool) {
    match (from, to) {
        (NodesObserved::Groups(from), ClusterNodes::Groups { master, core, task }) => {
            let of = |role| from.iter().find(move |group: &&GroupObserved| group.role == role);
            fixed_group(diff, "master", of("MASTER"), Some(master), true);
            fixed_group(diff, "core", of("CORE"), core.as_ref(), scaled);
            task_groups(diff, from, task.as_ref(), scaled);
        }
        (NodesObserved::Fleets(from), ClusterNodes::Fleets { master, core, task }) => {
            let of = |role| from.iter().find(move |fleet: &&FleetObserved| fleet.role == role);
            fleet(diff, "master", of("MASTER"), Some(master), true);
            fleet(diff, "core", of("CORE"), core.as_ref(), scaled);
            fleet(diff, "task", of("TASK"), task.as_ref(), scaled);
        }
        (NodesObserved::Groups(_), ClusterNodes::Fleets { .. }) => {
            diff.fixed("nodes", "groups", "fleets");
        }
        (NodesObserved::Fleets(_), ClusterNodes::Groups { .. }) => {
            diff.fixed("nodes", "fleets", "groups");
        }
    }
}

/// The group of a role that has one at most and cannot gain or lose it.
fn fixed_group(diff: &mut Diff, role: &str, from: Option<&GroupObserved>, to: Option<&NodeGroup>, scaled: bool) {
    let (from, to) = match (from, to) {
        (Some(from), Some(to)) => (from, to),
        (None, None) => return,
        (from, to) => {
            diff.push(role, json!(from), json!(to), Effect::Replaces);
            return;
        }
    };
    let NodeGroup { instance_type, count, market, disk } = to;
    diff.fixed(&format!("{role}.instance_type"), &from.instance_type, instance_type);
    if !same_market(&from.market, market) {
        diff.push(&format!("{role}.market"), json!(from.market), json!(market), Effect::Replaces);
    }
    if !same_disks(&from.disks, disk.as_ref()) {
        diff.push(&format!("{role}.disk"), json!(from.disks), json!(disk), Effect::Replaces);
    }
    if role == "master" {
        diff.fixed("master.count", &from.count, count);
    } else if !scaled {
        diff.field(&format!("{role}.count"), &from.count, count);
    }
}

/// A cluster may have several task groups and cannot lose one: those that fit nothing are emptied, a missing one is
/// added.
fn task_groups(diff: &mut Diff, from: &[GroupObserved], to: Option<&NodeGroup>, scaled: bool) {
    let chosen = task_group(from, to);
    match (chosen, to) {
        (Some(from), Some(to)) if !scaled => {
            diff.field("task.count", &from.count, &to.count);
        }
        (None, Some(to)) if to.count > 0 => {
            diff.push("task", Value::Null, json!(to), Effect::InPlace);
        }
        _ => {}
    }
    for group in other_task_groups(from, to) {
        diff.field(&format!("task_groups.{}", group.id), &group.count, &0);
    }
}

/// The task group that is as wanted but for its size; one in use before an empty one.
pub(super) fn task_group<'a>(from: &'a [GroupObserved], to: Option<&NodeGroup>) -> Option<&'a GroupObserved> {
    let to = to?;
    from.iter().filter(|group| group.role == "TASK" && group.fits(to)).max_by_key(|group| group.count)
}

/// The task groups with machines that nobody asked for.
pub(super) fn other_task_groups<'a>(
    from: &'a [GroupObserved],
    to: Option<&NodeGroup>,
) -> impl Iterator<Item = &'a GroupObserved> {
    let chosen = task_group(from, to).map(|group| &group.id);
    from.iter().filter(move |group| group.role == "TASK" && group.count > 0 && Some(&group.id) != chosen)
}

fn fleet(diff: &mut Diff, role: &str, from: Option<&FleetObserved>, to: Option<&NodeFleet>, scaled: bool) {
    let (from, to) = match (from, to) {
        (Some(from), Some(to)) => (from, to),
        (None, None) => return,
        // EMR makes no empty fleet.
        (None, Some(to)) if to.on_demand + to.spot == 0 => return,
        // A fleet cannot go, but it can be empty.
        (Some(from), None) if role == "task" => {
            diff.field("task.on_demand", &from.on_demand, &0).field("task.spot", &from.spot, &0);
            return;
        }
        (from, to) => {
            let effect = if role == "task" { Effect::InPlace } else { Effect::Replaces };
            diff.push(role, json!(from), json!(to), effect);
            return;
        }
    };
    let NodeFleet { on_demand, spot, types, spot_wait_minutes, fallback } = to;
    let fits = |from: &FleetTypeObserved| {
        types.iter().any(|to| {
            let FleetType { instance_type, weight, max_price, disk } = to;
            from.instance_type == *instance_type
                && from.weight == *weight
                && same_price(from.max_price.as_deref(), max_price.as_deref())
                && same_disks(&from.disks, disk.as_ref())
        })
    };
    // Every fleet has a type: where none is told, they are not known (an emulator leaves them out).
    let is_known = !from.types.is_empty();
    if is_known && (from.types.len() != types.len() || !from.types.iter().all(fits)) {
        diff.push(&format!("{role}.types"), json!(from.types), json!(types), Effect::Replaces);
    }
    if let Some((minutes, rule)) = &from.spot_rule {
        diff.fixed(&format!("{role}.spot_wait_minutes"), minutes, spot_wait_minutes);
        diff.fixed(&format!("{role}.fallback"), rule, fallback);
    }
    let effect = if role == "master" { Effect::Replaces } else { Effect::InPlace };
    for (field, from, to) in [("on_demand", from.on_demand, *on_demand), ("spot", from.spot, *spot)] {
        if from != to && (role == "master" || !scaled) {
            diff.push(&format!("{role}.{field}"), json!(from), json!(to), effect);
        }
    }
}
