//! Machines of a cluster as far as they cost something, told by a spec or by EMR.

use crate::{
    resources::{EmrClusterObserved, FleetTypeObserved, GroupObserved, NodeMarket, NodesObserved},
    spec::{Cluster, Fleet, FleetType, Group, Market, NodeDisk, Nodes, Release},
};

/// Machines of one role that EMR gets in one of these ways; there is one way but for fleets.
pub(super) struct Machines {
    pub(super) ways: Vec<Way>,
}

/// One way to get them.
pub(super) struct Way {
    pub(super) instance_type: String,
    pub(super) on_demand: u32,
    pub(super) spot: u32,
    /// The highest price for a spot machine and hour, as a decimal; nothing: the on-demand price.
    pub(super) cap: Option<String>,
    /// Type and GiB of each data disk; nothing: those that EMR gives the type.
    pub(super) disks: Option<Vec<(String, u32)>>,
}

/// The machines that a spec asks for.
pub(super) fn asked(cluster: &Cluster) -> Vec<Machines> {
    match &cluster.nodes {
        Nodes::Groups { master, core, task } => {
            let groups = [Some(master), core.as_ref(), task.as_ref()];
            groups.into_iter().flatten().map(|group| of_group(group)).collect()
        }
        Nodes::Fleets { master, core, task } => {
            let fleets = [Some(master), core.as_ref(), task.as_ref()];
            fleets.into_iter().flatten().map(|fleet| of_fleet(fleet)).collect()
        }
    }
}

fn of_group(group: &Group) -> Machines {
    let (spot, cap) = match &group.market.value {
        Market::OnDemand => (false, None),
        Market::Spot { max_price } => (true, max_price.clone()),
    };
    let count = *group.count;
    let (on_demand, spot) = if spot { (0, count) } else { (count, 0) };
    let instance_type = group.instance_type.value.clone();
    Machines { ways: vec![Way { instance_type, on_demand, spot, cap, disks: group.disk.as_deref().map(disks) }] }
}

fn of_fleet(fleet: &Fleet) -> Machines {
    let way = |kind: &FleetType| Way {
        instance_type: kind.instance_type.clone(),
        on_demand: fleet.on_demand.div_ceil(kind.weight.max(1)),
        spot: fleet.spot.div_ceil(kind.weight.max(1)),
        cap: kind.max_price.clone(),
        disks: kind.disk.as_ref().map(disks),
    };
    Machines { ways: fleet.types.iter().map(|kind| way(kind)).collect() }
}

fn disks(disk: &NodeDisk) -> Vec<(String, u32)> {
    (0..disk.count).map(|_| (disk.volume_type.to_owned(), disk.gib)).collect()
}

/// The machines that a cluster has, or is about to have.
pub(super) fn there(cluster: &EmrClusterObserved) -> Vec<Machines> {
    match &cluster.nodes {
        NodesObserved::Groups(groups) => groups.iter().map(of_observed_group).collect(),
        NodesObserved::Fleets(fleets) => fleets
            .iter()
            .map(|fleet| Machines {
                ways: fleet.types.iter().map(|kind| of_observed_type(kind, fleet.on_demand, fleet.spot)).collect(),
            })
            .collect(),
    }
}

fn of_observed_group(group: &GroupObserved) -> Machines {
    // What runs is what is paid; while it starts, that is what was asked for.
    let count = if group.running > 0 { group.running } else { group.count };
    let (on_demand, spot, cap) = match &group.market {
        NodeMarket::OnDemand => (count, 0, None),
        NodeMarket::Spot { max_price } => (0, count, max_price.clone()),
    };
    let instance_type = group.instance_type.clone();
    Machines { ways: vec![Way { instance_type, on_demand, spot, cap, disks: observed(&group.disks) }] }
}

fn of_observed_type(kind: &FleetTypeObserved, on_demand: u32, spot: u32) -> Way {
    Way {
        instance_type: kind.instance_type.clone(),
        on_demand: on_demand.div_ceil(kind.weight.max(1)),
        spot: spot.div_ceil(kind.weight.max(1)),
        cap: kind.max_price.clone(),
        disks: observed(&kind.disks),
    }
}

fn observed(disks: &[(String, u32)]) -> Option<Vec<(String, u32)>> {
    (!disks.is_empty()).then(|| disks.to_vec())
}

/// The root disk that EMR gives a machine of a release: its type and GiB.
/// Source: "Customizing the Amazon EBS root device volume" in the Amazon EMR management guide.
pub(super) fn root_disk(release: Release, gib: Option<u32>) -> (&'static str, u32) {
    let since = |major, minor| release >= Release { major, minor, patch: 0 };
    let kind = if since(6, 15) { "gp3" } else { "gp2" };
    (kind, gib.unwrap_or(if since(6, 10) { 15 } else { 10 }))
}

/// The data disks that EMR gives a machine for which none are named: how many, and GiB of each, of type gp2. Families
/// with disks of their own get none.
/// Source: "Default Amazon EBS storage for instances" in the Amazon EMR management guide.
pub(super) fn default_disks(release: Release, instance_type: &str) -> Option<(u32, u32)> {
    let (family, size) = instance_type.split_once('.')?;
    if family.starts_with(['i', 'd', 'h']) || family.trim_start_matches(|c: char| !c.is_ascii_digit()).contains('d') {
        return Some((0, 0));
    }
    if release < (Release { major: 5, minor: 22, patch: 0 }) {
        return Some((1, 32));
    }
    Some(match size {
        "large" => (1, 32),
        "xlarge" => (2, 32),
        "2xlarge" => (4, 32),
        "4xlarge" => (4, 64),
        "8xlarge" => (4, 128),
        "9xlarge" => (4, 144),
        "10xlarge" => (4, 160),
        "12xlarge" => (4, 192),
        "16xlarge" => (4, 256),
        "18xlarge" => (4, 288),
        "24xlarge" => (4, 384),
        _ => return None,
    })
}
