//! What EMR reports of a cluster.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{BootstrapAction, ClusterConfiguration, NodesObserved, ScalingLimits};
use crate::cloud::Tags;

/// What EMR reports of a cluster.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "EMR's own fields, which have nothing to do with one another")]
pub struct EmrClusterObserved {
    /// `j-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `STARTING`, `BOOTSTRAPPING`, `RUNNING`, `WAITING` or `TERMINATING`.
    pub state: String,
    /// When it was asked for, in seconds since 1970.
    pub created: Option<i64>,
    /// When it could work for the first time, likewise.
    pub ready: Option<i64>,
    /// EMR's release.
    pub release: String,
    /// Applications.
    pub applications: BTreeSet<String>,
    /// The subnet's id.
    pub subnet: String,
    /// The id of the master's group.
    pub master_group: String,
    /// The id of the other nodes' group.
    pub slave_group: String,
    /// The id of the service access group.
    pub service_group: Option<String>,
    /// The service role, by name or ARN as it was given.
    pub service_role: String,
    /// The instance profile, likewise.
    pub node_profile: String,
    /// The key pair's name.
    pub key: Option<String>,
    /// The machines.
    pub nodes: NodesObserved,
    /// Settings of the applications.
    pub configurations: Vec<ClusterConfiguration>,
    /// Bootstrap actions.
    pub bootstrap: Vec<BootstrapAction>,
    /// How many steps run at once.
    pub step_concurrency: u32,
    /// Where logs go, as EMR writes it: `s3n://…/`.
    pub log_uri: Option<String>,
    /// The security configuration's name in EMR.
    pub security: Option<String>,
    /// EMR's own scaling.
    pub managed_scaling: Option<ScalingLimits>,
    /// Seconds without work after which EMR ends it.
    pub auto_termination: Option<u64>,
    /// Whether it is protected.
    pub termination_protection: bool,
    /// Leave to end it although it is protected: the user's, not EMR's.
    #[serde(skip)]
    pub may_unprotect: bool,
    /// Size of the root disks.
    pub root_disk_gib: Option<u32>,
    /// Whether all users see it.
    pub visible: bool,
    /// Whether it waits for more once its steps are done.
    pub keep_alive: bool,
    /// The master's name: public in a public subnet, private in a private one; nothing while it starts.
    pub master_dns: Option<String>,
    /// The tags.
    pub tags: Tags,
}

impl EmrClusterObserved {
    /// False once it is ending.
    pub fn is_live(&self) -> bool {
        matches!(self.state.as_str(), "STARTING" | "BOOTSTRAPPING") || self.is_ready()
    }

    /// True when it can work.
    pub fn is_ready(&self) -> bool {
        matches!(self.state.as_str(), "RUNNING" | "WAITING")
    }
}
