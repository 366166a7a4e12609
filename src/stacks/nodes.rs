//! The spec's words for machines, in the cluster's.

use crate::{
    resources::{
        ClusterNodes, FleetType, NodeDisk, NodeFleet, NodeGroup, NodeMarket, ScalingLimits, ScalingUnit, SpotFallback,
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
