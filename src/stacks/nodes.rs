//! The spec's words for machines, in the cluster's; and other sizes for the machines of one that lives.

use std::collections::BTreeMap;

use crate::{
    resources::{
        ClusterNodes, FleetObserved, FleetType, GroupObserved, NodeDisk, NodeFleet, NodeGroup, NodeMarket,
        NodesObserved, ScalingLimits, ScalingUnit, SpotFallback,
    },
    spec::{self, Fallback, Market, Nodes},
};

/// A cluster's machines.
pub(super) fn of(nodes: &Nodes) -> ClusterNodes {
    match nodes {
        Nodes::Groups { master, core, task } => ClusterNodes::Groups {
            master: group(master),
            core: core.as_deref().map(group),
            task: task.as_deref().map(group),
        },
        Nodes::Fleets { master, core, task } => ClusterNodes::Fleets {
            master: fleet(master),
            core: core.as_deref().map(fleet),
            task: task.as_deref().map(fleet),
        },
    }
}

fn group(group: &spec::Group) -> NodeGroup {
    let spec::Group { instance_type, count, market, disk: data } = group;
    NodeGroup {
        instance_type: instance_type.value.clone(),
        count: **count,
        market: match &market.value {
            Market::OnDemand => NodeMarket::OnDemand,
            Market::Spot { max_price } => NodeMarket::Spot { max_price: max_price.clone() },
        },
        disk: data.as_deref().map(disk),
    }
}

fn disk(disk: &spec::NodeDisk) -> NodeDisk {
    let spec::NodeDisk { gib, volume_type, count } = disk;
    NodeDisk { gib: *gib, volume_type: (*volume_type).to_owned(), count: *count }
}

fn fleet(fleet: &spec::Fleet) -> NodeFleet {
    let spec::Fleet { on_demand, spot, types, spot_wait_minutes, fallback } = fleet;
    let kind = |kind: &spec::FleetType| FleetType {
        instance_type: kind.instance_type.clone(),
        weight: kind.weight,
        max_price: kind.max_price.clone(),
        disk: kind.disk.as_ref().map(disk),
    };
    NodeFleet {
        on_demand: **on_demand,
        spot: **spot,
        types: types.iter().map(|each| kind(each)).collect(),
        spot_wait_minutes: **spot_wait_minutes,
        fallback: match fallback.value {
            Fallback::OnDemand => SpotFallback::OnDemand,
            Fallback::Terminate => SpotFallback::Terminate,
        },
    }
}

/// The limits of EMR's own scaling.
pub(super) fn scaling(limits: &spec::ManagedScaling) -> ScalingLimits {
    let spec::ManagedScaling { unit, min, max, max_on_demand, max_core } = limits;
    ScalingLimits {
        unit: match unit {
            spec::ScalingUnit::Instances => ScalingUnit::Instances,
            spec::ScalingUnit::Vcpu => ScalingUnit::Vcpu,
            spec::ScalingUnit::FleetUnits => ScalingUnit::FleetUnits,
        },
        min: *min,
        max: *max,
        max_on_demand: *max_on_demand,
        max_core: *max_core,
    }
}

/// A number of a living cluster's machines that can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The core group's machines.
    Core,
    /// The task group's machines.
    Task,
    /// The core fleet's units on demand.
    CoreOnDemand,
    /// The core fleet's units of spot.
    CoreSpot,
    /// The task fleet's units on demand.
    TaskOnDemand,
    /// The task fleet's units of spot.
    TaskSpot,
}

/// New sizes; what is not named stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// How many of each.
    pub counts: BTreeMap<Part, u32>,
    /// The instance type of a task group that is added; the spec's, or else the core group's, unless said.
    pub task_type: Option<String>,
}

/// The machines of a cluster that lives, in other sizes. What it lacks and is to have is taken from `specified`.
pub(super) fn resized(living: &NodesObserved, sizes: &Sizes, specified: &ClusterNodes) -> ClusterNodes {
    let size = |part: Part| sizes.counts.get(&part).copied();
    match living {
        NodesObserved::Groups(groups) => {
            let of = |role: &str| groups.iter().filter(|group| group.role == role).max_by_key(|group| group.count);
            let sized = |found: &GroupObserved, part| {
                let group = as_it_is(found);
                NodeGroup { count: size(part).unwrap_or(group.count), ..group }
            };
            let master = of("MASTER").map(as_it_is);
            let core = of("CORE").map(|found| sized(found, Part::Core));
            let task = of("TASK").map(|found| sized(found, Part::Task)).or_else(|| {
                let count = size(Part::Task)?;
                let said = match specified {
                    ClusterNodes::Groups { task, .. } => task.clone(),
                    ClusterNodes::Fleets { .. } => None,
                };
                let like_core = core.clone().or_else(|| master.clone());
                let group = said.or_else(|| Some(NodeGroup { market: NodeMarket::OnDemand, ..like_core? }))?;
                let instance_type = sizes.task_type.clone().unwrap_or_else(|| group.instance_type.clone());
                Some(NodeGroup { instance_type, count, ..group })
            });
            match master {
                Some(master) => ClusterNodes::Groups { master, core, task },
                // Every cluster of groups has one: nothing is known that could be changed.
                None => specified.clone(),
            }
        }
        NodesObserved::Fleets(fleets) => {
            let of = |role: &str| fleets.iter().find(|fleet| fleet.role == role).map(fleet_as_it_is);
            let sized = |fleet: NodeFleet, on_demand, spot| NodeFleet {
                on_demand: size(on_demand).unwrap_or(fleet.on_demand),
                spot: size(spot).unwrap_or(fleet.spot),
                ..fleet
            };
            let core = of("CORE").map(|fleet| sized(fleet, Part::CoreOnDemand, Part::CoreSpot));
            let task = of("TASK").map(|fleet| sized(fleet, Part::TaskOnDemand, Part::TaskSpot)).or_else(|| {
                let counts = (size(Part::TaskOnDemand), size(Part::TaskSpot));
                let said = match specified {
                    ClusterNodes::Fleets { task, .. } => task.clone(),
                    ClusterNodes::Groups { .. } => None,
                };
                let (on_demand, spot) = (counts.0.unwrap_or(0), counts.1.unwrap_or(0));
                let like = said.or_else(|| core.clone()).filter(|_| on_demand + spot > 0)?;
                Some(NodeFleet { on_demand, spot, ..like })
            });
            match of("MASTER") {
                Some(master) => ClusterNodes::Fleets { master, core, task },
                None => specified.clone(),
            }
        }
    }
}

/// The group, as the resource that it would be the object of.
fn as_it_is(found: &GroupObserved) -> NodeGroup {
    let GroupObserved { id: _, role: _, instance_type, count, running: _, market, disks: _ } = found;
    NodeGroup { instance_type: instance_type.clone(), count: *count, market: market.clone(), disk: None }
}

/// The fleet, likewise.
fn fleet_as_it_is(found: &FleetObserved) -> NodeFleet {
    let FleetObserved { id: _, role: _, on_demand, spot, running: _, types, spot_rule } = found;
    let kind = |kind: &crate::resources::FleetTypeObserved| FleetType {
        instance_type: kind.instance_type.clone(),
        weight: kind.weight,
        max_price: kind.max_price.clone(),
        disk: None,
    };
    let (spot_wait_minutes, fallback) = spot_rule.unwrap_or((20, SpotFallback::OnDemand));
    NodeFleet {
        on_demand: *on_demand,
        spot: *spot,
        types: types.iter().map(kind).collect(),
        spot_wait_minutes,
        fallback,
    }
}
