//! A cluster's machines: what is asked for, what is there, and what separates the two.

use std::collections::BTreeSet;

use aws_sdk_emr::types::{InstanceFleet, InstanceGroup, SpotProvisioningTimeoutAction};
use engine::{Diff, Effect};
use serde::Serialize;
use serde_json::{Value, json};

/// The machines of a cluster: groups or fleets, never both.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterNodes {
    /// One type a group.
    Groups {
        /// The master: one, or three for high availability.
        master: NodeGroup,
        /// Nodes with HDFS.
        #[serde(skip_serializing_if = "Option::is_none")]
        core: Option<NodeGroup>,
        /// Nodes without HDFS.
        #[serde(skip_serializing_if = "Option::is_none")]
        task: Option<NodeGroup>,
    },
    /// A choice of types for each role; EMR takes what is there.
    Fleets {
        /// The master: capacity 1.
        master: NodeFleet,
        /// Nodes with HDFS.
        #[serde(skip_serializing_if = "Option::is_none")]
        core: Option<NodeFleet>,
        /// Nodes without HDFS.
        #[serde(skip_serializing_if = "Option::is_none")]
        task: Option<NodeFleet>,
    },
}

/// Machines of one type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeGroup {
    /// The type: `m5.xlarge`.
    pub instance_type: String,
    /// How many.
    pub count: u32,
    /// How they are paid.
    pub market: NodeMarket,
    /// Data disks of each; `None` for EMR's default of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<NodeDisk>,
}

/// How machines are paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeMarket {
    /// At the list price, never taken away.
    OnDemand,
    /// Cheaper, may be taken away.
    Spot {
        /// Highest price in US dollars an hour and machine, as a decimal; `None`: the on-demand price.
        max_price: Option<String>,
    },
}

/// Data disks of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeDisk {
    /// Size of each in GiB.
    pub gib: u32,
    /// EBS type: `gp3`.
    pub volume_type: String,
    /// How many.
    pub count: u32,
}

/// A choice of types for one role.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeFleet {
    /// Units on demand.
    pub on_demand: u32,
    /// Units of spot.
    pub spot: u32,
    /// Types to choose from.
    pub types: Vec<FleetType>,
    /// Minutes to wait for spot, then [`NodeFleet::fallback`].
    pub spot_wait_minutes: u32,
    /// What happens when there is no spot in time.
    pub fallback: SpotFallback,
}

/// One type of a fleet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FleetType {
    /// The type.
    pub instance_type: String,
    /// Units that one machine counts for.
    pub weight: u32,
    /// Highest spot price in US dollars an hour, as a decimal; `None`: the on-demand price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_price: Option<String>,
    /// Data disks of each; `None` for EMR's default of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<NodeDisk>,
}

/// What happens when there is no spot capacity in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpotFallback {
    /// Take on-demand machines instead.
    OnDemand,
    /// Give up and terminate the cluster.
    Terminate,
}

/// What EMR reports of a cluster's machines.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodesObserved {
    /// Groups.
    Groups(Vec<GroupObserved>),
    /// Fleets.
    Fleets(Vec<FleetObserved>),
}

/// What EMR reports of one group.
#[derive(Clone, Debug, Serialize)]
pub struct GroupObserved {
    /// `ig-…`.
    pub id: String,
    /// `MASTER`, `CORE` or `TASK`; a cluster may have several of the last.
    pub role: String,
    /// The type.
    pub instance_type: String,
    /// How many were asked for.
    pub count: u32,
    /// How many run.
    pub running: u32,
    /// How they are paid.
    pub market: NodeMarket,
    /// The data disks of each, by type and size in GiB.
    pub disks: Vec<(String, u32)>,
}

/// What EMR reports of one fleet.
#[derive(Clone, Debug, Serialize)]
pub struct FleetObserved {
    /// `if-…`.
    pub id: String,
    /// `MASTER`, `CORE` or `TASK`.
    pub role: String,
    /// Units on demand that were asked for.
    pub on_demand: u32,
    /// Units of spot that were asked for.
    pub spot: u32,
    /// Types with their weights and highest prices.
    pub types: Vec<FleetTypeObserved>,
    /// Minutes to wait for spot, and what happens then; nothing where no spot was asked for.
    pub spot_rule: Option<(u32, SpotFallback)>,
}

/// What EMR reports of one type of a fleet.
#[derive(Clone, Debug, Serialize)]
pub struct FleetTypeObserved {
    /// The type.
    pub instance_type: String,
    /// Units that one machine counts for.
    pub weight: u32,
    /// Highest spot price.
    pub max_price: Option<String>,
    /// The data disks of each, by type and size in GiB.
    pub disks: Vec<(String, u32)>,
}

impl NodesObserved {
    /// How many nodes, or units of fleets, were asked for.
    pub fn wanted(&self) -> u32 {
        match self {
            Self::Groups(groups) => groups.iter().map(|group| group.count).sum(),
            Self::Fleets(fleets) => fleets.iter().map(|fleet| fleet.on_demand + fleet.spot).sum(),
        }
    }
}

impl GroupObserved {
    /// True when nothing but its size separates the group from `wanted`. A highest price or disks that the spec leaves
    /// to EMR are not compared: EMR reports the ones that it chose.
    fn fits(&self, wanted: &NodeGroup) -> bool {
        let NodeGroup { instance_type, count: _, market, disk } = wanted;
        self.instance_type == *instance_type && same_market(&self.market, market) && same_disks(&self.disks, disk)
    }
}

fn same_market(from: &NodeMarket, to: &NodeMarket) -> bool {
    match (from, to) {
        (NodeMarket::OnDemand, NodeMarket::OnDemand) => true,
        (NodeMarket::Spot { max_price: from }, NodeMarket::Spot { max_price: to }) => same_price(from, to),
        _ => false,
    }
}

/// Prices are compared as numbers: EMR may write `0.10` as `0.1`.
fn same_price(from: &Option<String>, to: &Option<String>) -> bool {
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<f64>().ok());
    match (number(from), number(to)) {
        (Some(from), Some(to)) => (from - to).abs() < 1e-9,
        (None, Some(_)) => false,
        (_, None) => true,
    }
}

fn same_disks(from: &[(String, u32)], to: &Option<NodeDisk>) -> bool {
    to.as_ref().is_none_or(|disk| {
        let NodeDisk { gib, volume_type, count } = disk;
        from.len() == *count as usize && from.iter().all(|(kind, size)| kind == volume_type && size == gib)
    })
}

/// Compares the machines. `scaled`: EMR itself chooses the sizes, so that they are nobody's drift.
pub(super) fn compare(diff: &mut Diff, from: &NodesObserved, to: &ClusterNodes, scaled: bool) {
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
    if !same_disks(&from.disks, disk) {
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
                && same_price(&from.max_price, max_price)
                && same_disks(&from.disks, disk)
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

pub(super) fn read_group(group: &InstanceGroup) -> GroupObserved {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let is_spot = group.market().is_some_and(|market| market.as_str() == "SPOT");
    let max_price = group.bid_price().filter(|price| !price.is_empty()).map(str::to_owned);
    GroupObserved {
        id: text(group.id()),
        role: text(group.instance_group_type().map(aws_sdk_emr::types::InstanceGroupType::as_str)),
        instance_type: text(group.instance_type()),
        count: number(group.requested_instance_count()),
        running: number(group.running_instance_count()),
        market: if is_spot { NodeMarket::Spot { max_price } } else { NodeMarket::OnDemand },
        disks: disks(group.ebs_block_devices()),
    }
}

pub(super) fn read_fleet(fleet: &InstanceFleet) -> FleetObserved {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let types = fleet.instance_type_specifications().iter().map(|found| FleetTypeObserved {
        instance_type: text(found.instance_type()),
        // EMR's default; source: InstanceTypeConfig in the Amazon EMR API reference.
        weight: found.weighted_capacity().map_or(1, |weight| number(Some(weight))),
        max_price: found.bid_price().map(str::to_owned),
        disks: disks(found.ebs_block_devices()),
    });
    let rule = fleet.launch_specifications().and_then(|launch| launch.spot_specification()).map(|spot| {
        let terminate = spot.timeout_action() == Some(&SpotProvisioningTimeoutAction::TerminateCluster);
        let fallback = if terminate { SpotFallback::Terminate } else { SpotFallback::OnDemand };
        (number(spot.timeout_duration_minutes()), fallback)
    });
    FleetObserved {
        id: text(fleet.id()),
        role: text(fleet.instance_fleet_type().map(aws_sdk_emr::types::InstanceFleetType::as_str)),
        on_demand: number(fleet.target_on_demand_capacity()),
        spot: number(fleet.target_spot_capacity()),
        types: types.collect(),
        spot_rule: rule,
    }
}

fn disks(devices: &[aws_sdk_emr::types::EbsBlockDevice]) -> Vec<(String, u32)> {
    let volumes = devices.iter().filter_map(|device| device.volume_specification());
    volumes.map(|volume| (volume.volume_type().unwrap_or_default().to_owned(), number(volume.size_in_gb()))).collect()
}

fn number(value: Option<i32>) -> u32 {
    value.and_then(|value| value.try_into().ok()).unwrap_or(0)
}

/// The types of all machines, for a preflight.
impl ClusterNodes {
    /// Every instance type that is named.
    pub fn instance_types(&self) -> BTreeSet<&str> {
        match self {
            Self::Groups { master, core, task } => {
                let groups = [Some(master), core.as_ref(), task.as_ref()].into_iter().flatten();
                groups.map(|group| group.instance_type.as_str()).collect()
            }
            Self::Fleets { master, core, task } => {
                let fleets = [Some(master), core.as_ref(), task.as_ref()].into_iter().flatten();
                fleets.flat_map(|fleet| fleet.types.iter().map(|of| of.instance_type.as_str())).collect()
            }
        }
    }
}
