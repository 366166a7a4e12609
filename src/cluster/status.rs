//! What a cluster is doing.

use anyhow::Result;
use serde::Serialize;

use super::{
    idle::{Activity, Yarn},
    stamp, state_in_words,
    steps::{self, Step},
};
use crate::{
    cloud::Cloud,
    resources::{EmrClusterObserved, NodesObserved},
};

/// What a cluster is doing.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterStatus {
    /// `j-…`.
    pub id: String,
    /// Its name in EMR.
    pub name: String,
    /// EMR's word for its state.
    pub state: String,
    /// What that means.
    pub means: &'static str,
    /// When it was asked for.
    #[serde(serialize_with = "stamp")]
    pub created: Option<i64>,
    /// When it could work for the first time.
    #[serde(serialize_with = "stamp")]
    pub ready: Option<i64>,
    /// Since when it has had no work, by its steps; nothing while it has some.
    #[serde(serialize_with = "stamp")]
    pub idle_since: Option<i64>,
    /// EMR's release.
    pub release: String,
    /// Applications.
    pub applications: Vec<String>,
    /// The machines by group or fleet.
    pub nodes: Vec<NodesStatus>,
    /// Steps that run.
    pub running: Vec<Step>,
    /// Steps that wait to be run, the one that is next first.
    pub pending: Vec<Step>,
    /// The master's name, once it has one.
    pub master: Option<String>,
    /// Where its logs go.
    pub logs: Option<String>,
    /// Whether it is protected from being ended.
    pub termination_protection: bool,
}

/// The machines of one group, or the units of one fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodesStatus {
    /// `master`, `core` or `task`.
    pub group: String,
    /// The instance type, or a fleet's types.
    pub instance_types: Vec<String>,
    /// How many run.
    pub running: u32,
    /// How many were asked for.
    pub requested: u32,
}

/// Asks what a cluster is doing.
pub async fn of(cloud: &Cloud, cluster: &EmrClusterObserved) -> Result<ClusterStatus> {
    // The newest tells when it had work last.
    let all = steps::list(cloud, &cluster.id).await?;
    let (mut pending, running): (Vec<Step>, Vec<Step>) =
        all.iter().filter(|step| step.is_active()).cloned().partition(|step| step.state == "PENDING");
    pending.reverse();
    Ok(ClusterStatus {
        id: cluster.id.clone(),
        name: cluster.name.clone(),
        state: cluster.state.clone(),
        means: state_in_words(&cluster.state),
        created: cluster.created,
        ready: cluster.ready,
        idle_since: Activity::of(cluster, &all, Yarn::Unreachable("it was not asked".into())).idle_since(),
        release: cluster.release.clone(),
        applications: cluster.applications.iter().cloned().collect(),
        nodes: nodes(&cluster.nodes),
        running,
        pending,
        master: cluster.master_dns.clone(),
        logs: cluster.log_uri.clone(),
        termination_protection: cluster.termination_protection,
    })
}

fn nodes(of: &NodesObserved) -> Vec<NodesStatus> {
    let mut all: Vec<NodesStatus> = match of {
        NodesObserved::Groups(groups) => groups
            .iter()
            .map(|group| NodesStatus {
                group: group.role.to_lowercase(),
                instance_types: vec![group.instance_type.clone()],
                running: group.running,
                requested: group.count,
            })
            .collect(),
        NodesObserved::Fleets(fleets) => fleets
            .iter()
            .map(|fleet| NodesStatus {
                group: fleet.role.to_lowercase(),
                instance_types: fleet.types.iter().map(|of| of.instance_type.clone()).collect(),
                running: fleet.running,
                requested: fleet.on_demand + fleet.spot,
            })
            .collect(),
    };
    let order = |group: &str| ["master", "core", "task"].iter().position(|known| *known == group);
    all.sort_by_key(|nodes| order(&nodes.group));
    all
}
