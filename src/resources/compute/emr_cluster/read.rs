//! Finding the stack's clusters and reading what EMR tells of each.

use std::collections::BTreeSet;

use aws_sdk_emr::types::{
    Cluster, ClusterState, Configuration, Ec2InstanceAttributes, InstanceCollectionType, InstanceFleet, InstanceGroup,
    ManagedScalingPolicy,
};
use engine::Result;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use super::{
    BootstrapAction, ClusterConfiguration, EmrClusterObserved, ScalingLimits, ScalingUnit, has_policies,
    nodes::{NodesObserved, read_fleet, read_group},
};
use crate::cloud::{Answered, Cloud, CloudError, Explain, Tags, claimed_name, emr_once};

/// At most so many clusters are described at once: EMR allows ten such requests a second.
/// Source: "API rate limits", Amazon EMR endpoints and quotas.
const AT_ONCE: usize = 8;

/// A cluster with the stack's tag that is not at the address of the spec's: a DAG's own, say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherCluster {
    /// `j-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// EMR's word.
    pub state: String,
    /// When it was made, in seconds since 1970.
    pub created: Option<i64>,
}

/// The clusters that live and have the stack's tag, and no address: whoever made them ends them, or should have.
pub async fn other_clusters(cloud: &Cloud) -> Result<Vec<OtherCluster>> {
    let found = of_stack(cloud).await?.into_iter();
    let others = found.filter(|(tags, cluster)| {
        !tags.contains_key(crate::cloud::ADDRESS_TAG) && state(cluster) != ClusterState::Terminating.as_str()
    });
    let mut others: Vec<OtherCluster> = others
        .map(|(_, cluster)| OtherCluster {
            id: cluster.id().unwrap_or_default().to_owned(),
            name: cluster.name().unwrap_or_default().to_owned(),
            state: state(&cluster),
            created: created(&cluster),
        })
        .collect();
    others.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(others)
}

fn created(cluster: &Cluster) -> Option<i64> {
    cluster.status()?.timeline()?.creation_date_time().map(aws_smithy_types::DateTime::secs)
}

/// Every cluster with the stack's tag that lives or is ending, with its tags. EMR has no tag filter: every live cluster of
/// the region is described once.
async fn of_stack(cloud: &Cloud) -> Result<Vec<(Tags, Cluster)>> {
    let states = [
        ClusterState::Starting,
        ClusterState::Bootstrapping,
        ClusterState::Running,
        ClusterState::Waiting,
        ClusterState::Terminating,
    ];
    let pages =
        cloud.clients.emr.list_clusters().set_cluster_states(Some(states.into())).into_paginator().items().send();
    let all = pages.try_collect().await.explain("elasticmapreduce:ListClusters")?;
    let reads = all.into_iter().filter_map(|summary| summary.id).map(|id| async move { describe(cloud, &id).await });
    let found: Vec<Cluster> = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
    let found = found.into_iter().map(|cluster| (tags(&cluster), cluster));
    let is_ours = |tags: &Tags| tags.get(crate::cloud::STACK_TAG) == Some(&cloud.names.stack);
    Ok(found.filter(|(tags, cluster)| is_ours(tags) && !is_over(cluster)).collect())
}

/// Every cluster of the stack that lives or is ending, with the name that it claims within `kind`. Only these are looked
/// into.
pub(super) async fn clusters(cloud: &Cloud, kind: &str) -> Result<Vec<(String, EmrClusterObserved)>> {
    let claims = of_stack(cloud).await?.into_iter();
    let claims = claims.filter_map(|(tags, cluster)| Some((claimed_name(&tags, kind)?, cluster)));
    let reads = claims.map(|(name, cluster)| async move { anyhow::Ok((name, read(cloud, cluster).await?)) });
    let mut found: Vec<(String, EmrClusterObserved)> =
        stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
    // Live ones first: one that is ending does not compete with its successor for the address, and several that are
    // ending are as good as one.
    found.sort_by_key(|(_, one)| (!one.is_live(), one.id.clone()));
    let mut taken = BTreeSet::new();
    found.retain(|(name, one)| taken.insert(name.clone()) || one.is_live());
    Ok(found)
}

/// The cluster of this id and when it ended, if it did; nothing where it has not the stack's tag.
pub async fn cluster_of_stack(cloud: &Cloud, id: &str) -> Result<Option<(EmrClusterObserved, Option<i64>)>> {
    let cluster = match describe(cloud, id).await {
        Err(error) if error.is(&["InvalidRequestException", "ValidationException"]) => return Ok(None),
        described => described?,
    };
    if tags(&cluster).get(crate::cloud::STACK_TAG) != Some(&cloud.names.stack) {
        return Ok(None);
    }
    let timeline = cluster.status().and_then(|status| status.timeline());
    let ended = timeline.and_then(|line| line.end_date_time()).map(aws_smithy_types::DateTime::secs);
    Ok(Some((read(cloud, cluster).await?, ended)))
}

pub(super) async fn describe(cloud: &Cloud, id: &str) -> Result<Cluster, CloudError> {
    let answer = cloud.clients.emr.describe_cluster().cluster_id(id).send().await;
    answer.explain("elasticmapreduce:DescribeCluster")?.cluster.answered("elasticmapreduce:DescribeCluster")
}

fn is_over(cluster: &Cluster) -> bool {
    matches!(state(cluster).as_str(), "TERMINATED" | "TERMINATED_WITH_ERRORS")
}

pub(super) fn state(cluster: &Cluster) -> String {
    let state = cluster.status().and_then(|status| status.state());
    state.map_or("", ClusterState::as_str).to_owned()
}

/// Reads what a describe of the cluster itself does not tell; the questions are asked at once.
pub(super) async fn read(cloud: &Cloud, cluster: Cluster) -> Result<EmrClusterObserved> {
    let id = cluster.id().unwrap_or_default();
    let release = cluster.release_label().unwrap_or_default().to_owned();
    let (nodes, bootstrap, managed_scaling, auto_termination) = tokio::try_join!(
        nodes(cloud, &cluster),
        bootstrap(cloud, id),
        managed_scaling(cloud, id, &release),
        auto_termination(cloud, id, &release),
    )?;
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let machines = cluster.ec2_instance_attributes();
    let machine = |of: fn(&Ec2InstanceAttributes) -> Option<&str>| machines.and_then(of);
    let timeline = cluster.status().and_then(|status| status.timeline());
    Ok(EmrClusterObserved {
        id: id.to_owned(),
        name: text(cluster.name()),
        state: state(&cluster),
        created: created(&cluster),
        ready: timeline.and_then(|line| line.ready_date_time()).map(aws_smithy_types::DateTime::secs),
        release,
        applications: cluster.applications().iter().filter_map(|of| of.name()).map(str::to_owned).collect(),
        subnet: text(machine(Ec2InstanceAttributes::ec2_subnet_id)),
        master_group: text(machine(Ec2InstanceAttributes::emr_managed_master_security_group)),
        slave_group: text(machine(Ec2InstanceAttributes::emr_managed_slave_security_group)),
        service_group: machine(Ec2InstanceAttributes::service_access_security_group)
            .filter(|id| !id.is_empty())
            .map(str::to_owned),
        service_role: text(cluster.service_role()),
        node_profile: text(machine(Ec2InstanceAttributes::iam_instance_profile)),
        key: machine(Ec2InstanceAttributes::ec2_key_name).filter(|name| !name.is_empty()).map(str::to_owned),
        nodes,
        configurations: cluster.configurations().iter().map(configuration).collect(),
        bootstrap,
        step_concurrency: count(cluster.step_concurrency_level()).unwrap_or(1),
        log_uri: cluster.log_uri().filter(|uri| !uri.is_empty()).map(str::to_owned),
        security: cluster.security_configuration().filter(|name| !name.is_empty()).map(str::to_owned),
        managed_scaling,
        auto_termination,
        termination_protection: cluster.termination_protected().unwrap_or(false),
        may_unprotect: cloud.unprotect_clusters,
        root_disk_gib: count(cluster.ebs_root_volume_size()),
        visible: cluster.visible_to_all_users().unwrap_or(true),
        keep_alive: !cluster.auto_terminate().unwrap_or(false),
        master_dns: cluster.master_public_dns_name().filter(|name| !name.is_empty()).map(str::to_owned),
        tags: tags(&cluster),
    })
}

fn count(value: Option<i32>) -> Option<u32> {
    value.and_then(|value| value.try_into().ok()).filter(|value| *value > 0)
}

/// The tags; those that AWS itself sets are nobody's drift.
fn tags(cluster: &Cluster) -> Tags {
    let pairs = cluster.tags().iter().map(|tag| (tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
    let own = pairs.filter(|(key, _)| !key.starts_with("aws:"));
    own.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub(super) async fn nodes(cloud: &Cloud, cluster: &Cluster) -> Result<NodesObserved> {
    let (emr, id) = (&cloud.clients.emr, cluster.id().unwrap_or_default());
    if cluster.instance_collection_type() == Some(&InstanceCollectionType::InstanceFleet) {
        let pages = emr.list_instance_fleets().cluster_id(id).into_paginator().items().send();
        let found: Vec<InstanceFleet> = pages.try_collect().await.explain("elasticmapreduce:ListInstanceFleets")?;
        return Ok(NodesObserved::Fleets(found.iter().map(read_fleet).collect()));
    }
    let pages = emr.list_instance_groups().cluster_id(id).into_paginator().items().send();
    let found: Vec<InstanceGroup> = pages.try_collect().await.explain("elasticmapreduce:ListInstanceGroups")?;
    Ok(NodesObserved::Groups(found.iter().map(read_group).collect()))
}

async fn bootstrap(cloud: &Cloud, id: &str) -> Result<Vec<BootstrapAction>> {
    let pages = cloud.clients.emr.list_bootstrap_actions().cluster_id(id).into_paginator().items().send();
    let found = pages.try_collect().await.explain("elasticmapreduce:ListBootstrapActions")?;
    let read = |action: &aws_sdk_emr::types::Command| BootstrapAction {
        name: action.name().unwrap_or_default().to_owned(),
        path: action.script_path().unwrap_or_default().to_owned(),
        arguments: action.args().to_vec(),
    };
    Ok(found.iter().map(read).collect())
}

async fn managed_scaling(cloud: &Cloud, id: &str, release: &str) -> Result<Option<ScalingLimits>> {
    if !has_policies(release) {
        return Ok(None);
    }
    let request = cloud.clients.emr.get_managed_scaling_policy().cluster_id(id);
    let first = request.clone().customize().config_override(emr_once()).send().await;
    let answer = match first.explain("elasticmapreduce:GetManagedScalingPolicy") {
        Err(error) if error.is_unimplemented() => return Ok(None),
        Err(_) => request.send().await.explain("elasticmapreduce:GetManagedScalingPolicy")?,
        Ok(answer) => answer,
    };
    Ok(answer.managed_scaling_policy().and_then(limits))
}

fn limits(policy: &ManagedScalingPolicy) -> Option<ScalingLimits> {
    let limits = policy.compute_limits()?;
    let unit = match limits.unit_type()?.as_str() {
        "VCPU" => ScalingUnit::Vcpu,
        "InstanceFleetUnits" => ScalingUnit::FleetUnits,
        _ => ScalingUnit::Instances,
    };
    let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
    Some(ScalingLimits {
        unit,
        min: number(limits.minimum_capacity_units()).unwrap_or_default(),
        max: number(limits.maximum_capacity_units()).unwrap_or_default(),
        max_on_demand: number(limits.maximum_on_demand_capacity_units()),
        max_core: number(limits.maximum_core_capacity_units()),
    })
}

async fn auto_termination(cloud: &Cloud, id: &str, release: &str) -> Result<Option<u64>> {
    if !has_policies(release) {
        return Ok(None);
    }
    let request = cloud.clients.emr.get_auto_termination_policy().cluster_id(id);
    let first = request.clone().customize().config_override(emr_once()).send().await;
    let answer = match first.explain("elasticmapreduce:GetAutoTerminationPolicy") {
        Err(error) if error.is_unimplemented() => return Ok(None),
        Err(_) => request.send().await.explain("elasticmapreduce:GetAutoTerminationPolicy")?,
        Ok(answer) => answer,
    };
    let seconds = answer.auto_termination_policy().and_then(aws_sdk_emr::types::AutoTerminationPolicy::idle_timeout);
    Ok(seconds.and_then(|seconds| u64::try_from(seconds).ok()))
}

fn configuration(of: &Configuration) -> ClusterConfiguration {
    let properties = of.properties().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    ClusterConfiguration {
        classification: of.classification().unwrap_or_default().to_owned(),
        properties: properties.collect(),
        configurations: of.configurations().iter().map(configuration).collect(),
    }
}
