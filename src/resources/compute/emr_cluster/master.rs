//! The machine that a cluster is steered from: one of the instances that EMR made, found by EMR's own tags.

use aws_sdk_ec2::types::{Filter, Instance, InstanceStateName};
use engine::Result;

use super::{EmrClusterObserved, explain_termination, read};
use crate::cloud::{Cloud, CloudError, Explain};

/// What EMR tags its instances with. Source: "Tag Amazon EMR cluster resources" in the Amazon EMR management guide.
const CLUSTER_TAG: &str = "aws:elasticmapreduce:job-flow-id";
const ROLE_TAG: &str = "aws:elasticmapreduce:instance-group-role";

/// A cluster's master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterNode {
    /// `i-…`.
    pub id: String,
    /// `pending`, `running`, …
    pub state: String,
    /// Its address in the subnet.
    pub private_ip: Option<String>,
    /// Its public address, in a public subnet.
    pub public_ip: Option<String>,
    /// Its name in the network.
    pub private_dns: Option<String>,
    /// Its public name, in a public subnet.
    pub public_dns: Option<String>,
}

/// The master of a cluster of the stack; of several, the one whose name EMR tells. Nothing while there is none.
pub async fn master_node(cloud: &Cloud, cluster: &EmrClusterObserved) -> Result<Option<MasterNode>> {
    let filter = |name: String, value: &str| Filter::builder().name(name).values(value).build();
    let request = cloud
        .clients
        .ec2
        .describe_instances()
        .filters(filter(format!("tag:{CLUSTER_TAG}"), &cluster.id))
        .filters(filter(format!("tag:{ROLE_TAG}"), "MASTER"));
    let found = request.into_paginator().items().send().try_collect().await.explain("ec2:DescribeInstances")?;
    let mut nodes: Vec<MasterNode> =
        found.iter().flat_map(aws_sdk_ec2::types::Reservation::instances).map(read_node).collect();
    nodes.retain(|node| !matches!(node.state.as_str(), "shutting-down" | "terminated"));
    let is_named = |node: &MasterNode| {
        let name = cluster.master_dns.as_ref();
        name.is_some() && [&node.public_dns, &node.private_dns].iter().any(|dns| dns.as_ref() == name)
    };
    nodes.sort_by_key(|node| (!is_named(node), node.state != "running", node.id.clone()));
    Ok(nodes.into_iter().next())
}

fn read_node(object: &Instance) -> MasterNode {
    let text = |value: Option<&str>| value.filter(|text| !text.is_empty()).map(str::to_owned);
    MasterNode {
        id: object.instance_id().unwrap_or_default().to_owned(),
        state: object.state().and_then(|state| state.name()).map_or("", InstanceStateName::as_str).to_owned(),
        private_ip: text(object.private_ip_address()),
        public_ip: text(object.public_ip_address()),
        private_dns: text(object.private_dns_name()),
        public_dns: text(object.public_dns_name()),
    }
}

/// Why a cluster is over or ending; nothing where it lives.
pub async fn cluster_end(cloud: &Cloud, id: &str) -> Result<Option<String>, CloudError> {
    let cluster = read::describe(cloud, id).await?;
    let state = read::state(&cluster);
    if !state.starts_with("TERMINAT") {
        return Ok(None);
    }
    let reason = cluster.status().and_then(|status| status.state_change_reason());
    let code = reason.and_then(|reason| reason.code()).map(aws_sdk_emr::types::ClusterStateChangeReasonCode::as_str);
    let said = reason.and_then(|reason| reason.message()).unwrap_or_default();
    Ok(Some(explain_termination(code, said)))
}
