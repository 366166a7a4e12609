//! What computes: instances and clusters.

mod emr_cluster;
mod emr_security_configuration;
mod instance;

use engine::Kind;

use crate::cloud::Cloud;
pub use emr_cluster::{
    BootstrapAction, ClusterConfiguration, ClusterEnded, ClusterNodes, EmrCluster, EmrClusterObserved, FleetObserved,
    FleetType, FleetTypeObserved, GroupObserved, MasterNode, NodeDisk, NodeFleet, NodeGroup, NodeMarket, NodesObserved,
    OtherCluster, ScalingLimits, ScalingUnit, SpotFallback, cluster_end, cluster_of_stack, explain_termination,
    master_node, other_clusters, stands_for, written_request,
};
pub use emr_security_configuration::{EmrSecurityConfiguration, EmrSecurityConfigurationObserved};
pub use instance::{DiskObserved, DiskSpec, ImageChoice, Instance, InstanceObserved};

/// This room's rows of the registry.
pub(super) fn kinds() -> Vec<Kind<Cloud>> {
    vec![Kind::of::<Instance>(), Kind::of::<EmrSecurityConfiguration>(), Kind::of::<EmrCluster>()]
}
