//! A cluster's machines: what is asked for, and what is there.

use std::collections::BTreeSet;

use aws_sdk_emr::types::{InstanceFleet, InstanceGroup, SpotProvisioningTimeoutAction};
use serde::Serialize;

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
    /// Units that run, of both.
    pub running: u32,
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

    /// How many of them run.
    pub fn running(&self) -> u32 {
        match self {
            Self::Groups(groups) => groups.iter().map(|group| group.running).sum(),
            Self::Fleets(fleets) => fleets.iter().map(|fleet| fleet.running).sum(),
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
        running: number(fleet.provisioned_on_demand_capacity()) + number(fleet.provisioned_spot_capacity()),
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
