//! What a cluster is told beside its machines.

use std::collections::BTreeMap;

use serde::Serialize;

/// Settings of one file of an application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ClusterConfiguration {
    /// EMR's classification: `spark-env`.
    pub classification: String,
    /// Its settings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Nested ones: `export` in `spark-env`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<ClusterConfiguration>,
}

/// A script that runs on each node before the applications start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BootstrapAction {
    /// Its name in EMR.
    pub name: String,
    /// The script: `s3://…`.
    pub path: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// Between what EMR's own scaling chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ScalingLimits {
    /// What the numbers count.
    pub unit: ScalingUnit,
    /// Never less.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// At most so many on demand; `None`: all.
    pub max_on_demand: Option<u32>,
    /// At most so many core nodes; `None`: all.
    pub max_core: Option<u32>,
}

/// What scaling counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalingUnit {
    /// Machines.
    Instances,
    /// Virtual processors.
    Vcpu,
    /// A fleet's units.
    FleetUnits,
}

/// Classifications are a set: their order says nothing.
pub(super) fn sorted(configurations: &[ClusterConfiguration]) -> Vec<ClusterConfiguration> {
    let mut all: Vec<ClusterConfiguration> = configurations
        .iter()
        .map(|of| ClusterConfiguration { configurations: sorted(&of.configurations), ..of.clone() })
        .collect();
    all.sort();
    all
}
