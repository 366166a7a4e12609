//! Clusters of the stack that have ended: EMR keeps what it knows of them for two months.

use std::collections::BTreeMap;

use anyhow::Result;
use aws_sdk_emr::types::{Cluster, ClusterState, ClusterStateChangeReasonCode};
use futures::{StreamExt, stream};
use serde::Serialize;

use super::{seconds, stamp};
use crate::{
    cloud::{ADDRESS_TAG, Answered, Cloud, CloudError, Explain, STACK_TAG},
    resources::explain_termination,
};

/// At most so many ended clusters are looked into for whose they are, the newest first, so many at once.
const LOOKS: usize = 100;
const AT_ONCE: usize = 8;

/// A cluster, most likely one that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct Past {
    /// `j-…`.
    pub id: String,
    /// `TERMINATED`, for one.
    pub state: String,
    /// When it was asked for.
    #[serde(serialize_with = "stamp")]
    pub created: Option<i64>,
    /// When it ended.
    #[serde(serialize_with = "stamp")]
    pub ended: Option<i64>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Where its logs are, as EMR writes it.
    pub log_uri: Option<String>,
}

/// The stack's cluster of this id, whatever its state; nothing where EMR has none, or it is not the stack's.
pub async fn by_id(cloud: &Cloud, address: &str, id: &str) -> Result<Option<Past>> {
    match describe(cloud, id).await {
        Ok(cluster) => Ok(is_ours(cloud, address, &cluster).then(|| read(&cluster))),
        Err(error) if error.is(&["InvalidRequestException", "ValidationException"]) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The cluster at `address` that ended last. EMR has no tag filter: those called `name` are looked into first.
pub async fn last(cloud: &Cloud, address: &str, name: Option<&str>) -> Result<Option<Past>> {
    let states = [ClusterState::Terminated, ClusterState::TerminatedWithErrors];
    let request = cloud.clients.emr.list_clusters().set_cluster_states(Some(states.into()));
    let found = request.into_paginator().items().send().try_collect().await;
    let mut found = found.explain("elasticmapreduce:ListClusters")?;
    let created = |of: &aws_sdk_emr::types::ClusterSummary| {
        of.status().and_then(|status| status.timeline()).and_then(|line| line.creation_date_time()).copied()
    };
    found.sort_by_key(|summary| std::cmp::Reverse(created(summary)));
    let (namesakes, others): (Vec<_>, Vec<_>) = found.iter().partition(|summary| summary.name() == name);
    for group in [namesakes, others] {
        let ids = group.into_iter().filter_map(|summary| summary.id()).take(LOOKS);
        let mut looks = stream::iter(ids.map(|id| describe(cloud, id))).buffered(AT_ONCE);
        while let Some(cluster) = looks.next().await {
            let cluster = cluster?;
            if is_ours(cloud, address, &cluster) {
                return Ok(Some(read(&cluster)));
            }
        }
    }
    Ok(None)
}

async fn describe(cloud: &Cloud, id: &str) -> Result<Cluster, CloudError> {
    const OPERATION: &str = "elasticmapreduce:DescribeCluster";
    let answer = cloud.clients.emr.describe_cluster().cluster_id(id).send().await;
    answer.explain(OPERATION)?.cluster.answered(OPERATION)
}

fn is_ours(cloud: &Cloud, address: &str, cluster: &Cluster) -> bool {
    let tags: BTreeMap<_, _> = cluster.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?))).collect();
    tags.get(STACK_TAG) == Some(&cloud.names.stack.as_str()) && tags.get(ADDRESS_TAG) == Some(&address)
}

fn read(cluster: &Cluster) -> Past {
    let status = cluster.status();
    let reason = status.and_then(|status| status.state_change_reason());
    let code = reason.and_then(|reason| reason.code()).map(ClusterStateChangeReasonCode::as_str);
    let timeline = status.and_then(|status| status.timeline());
    Past {
        id: cluster.id().unwrap_or_default().to_owned(),
        state: status.and_then(|status| status.state()).map_or("", ClusterState::as_str).to_owned(),
        created: seconds(timeline.and_then(|line| line.creation_date_time())),
        ended: seconds(timeline.and_then(|line| line.end_date_time())),
        reason: code.map(|code| {
            explain_termination(Some(code), reason.and_then(|reason| reason.message()).unwrap_or_default())
        }),
        log_uri: cluster.log_uri().filter(|uri| !uri.is_empty()).map(str::to_owned),
    }
}
