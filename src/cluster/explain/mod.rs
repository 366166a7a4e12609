//! A failure explained: which line of the spec asked for what failed, and how its log ends.
//!
//! EMR copies logs to the bucket every few minutes, gzipped, and what is left of them when the cluster ends. Whoever
//! asks for an explanation therefore waits, for a bounded time and told so; where no log comes, the explanation says
//! where it will be.

mod blame;
mod log;
#[cfg(test)]
mod tests;

use std::fmt;

pub use blame::{Blame, blame};
pub use log::Log;

use indexmap::IndexSet;

use crate::{
    cloud::{Answered, Cloud, CloudError, Explain},
    resources::ClusterEnded,
    spec::Spec,
};

/// What is to be said of a failure beside its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Why, in words, where the failure itself does not say that.
    pub reason: Option<String>,
    /// What in the spec asked for it.
    pub blame: Option<Blame>,
    /// How its log ends.
    pub log: Option<Log>,
}

impl fmt::Display for Explanation {
    /// A line for each part; a log's lines are set in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, blame, log } = self;
        let blame = blame.as_ref().map(|Blame { what, span }| format!("{what} stands at {span}"));
        let parts = [reason.clone(), blame, log.as_ref().map(ToString::to_string)];
        let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        f.write_str(&parts.join("\n"))
    }
}

/// Explains why a cluster ended. `tell` hears what is waited for.
pub async fn cluster(cloud: &Cloud, spec: &Spec, ended: &ClusterEnded, tell: impl Fn(&str)) -> Explanation {
    let code = ended.code.as_deref();
    let place = log::place_of_bootstrap(ended);
    let log = match place {
        Some(places) => Some(log::fetch(cloud, &places, tell).await),
        None if code == Some("BOOTSTRAP_FAILURE") && ended.log_uri.is_none() => Some(Log::None),
        None => None,
    };
    Explanation { reason: None, blame: blame(spec, code, &ended.message), log }
}

/// Explains why a step failed: EMR's reason, and the end of its stderr or of its controller's log.
///
/// # Errors
///
/// Where EMR does not tell of the step or its cluster.
pub async fn step(cloud: &Cloud, cluster: &str, step: &str, tell: impl Fn(&str)) -> Result<Explanation, CloudError> {
    const STEP: &str = "elasticmapreduce:DescribeStep";
    const CLUSTER: &str = "elasticmapreduce:DescribeCluster";
    let emr = &cloud.clients.emr;
    let (told, owner) = tokio::join!(
        emr.describe_step().cluster_id(cluster).step_id(step).send(),
        emr.describe_cluster().cluster_id(cluster).send(),
    );
    let told = told.explain(STEP)?.step.answered(STEP)?;
    let uri = owner.explain(CLUSTER)?.cluster.and_then(|cluster| cluster.log_uri);
    let status = told.status();
    let state = status.and_then(|status| status.state()).map_or("", |state| state.as_str());
    let details = status.and_then(|status| status.failure_details());
    let said = [
        details.and_then(|details| details.reason()),
        details.and_then(|details| details.message()),
        status.and_then(|status| status.state_change_reason()).and_then(|reason| reason.message()),
    ];
    // EMR says the same in several places.
    let said = said.into_iter().flatten().map(|text| text.trim().trim_end_matches('.')).filter(|text| !text.is_empty());
    let said: IndexSet<&str> = said.collect();
    let said: Vec<&str> = said.into_iter().collect();
    let name = told.name().unwrap_or_default();
    let reason = match &*said {
        [] => format!("step {step} ({name}) is {state}, and EMR gives no reason"),
        said => format!("step {step} ({name}) is {state}: {}", said.join("; ")),
    };
    let log = match uri.filter(|uri| !uri.is_empty()) {
        Some(uri) => log::fetch(cloud, &log::places_of_step(&uri, cluster, step), tell).await,
        None => Log::None,
    };
    Ok(Explanation { reason: Some(reason), blame: None, log: Some(log) })
}
