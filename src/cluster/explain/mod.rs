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

use super::{logs::Folder, steps::Step};
use crate::{cloud::Cloud, resources::ClusterEnded, spec::Spec};

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
    let log = match log::of_bootstrap(ended) {
        Some(folder) => Some(log::fetch(cloud, &folder, log::OF_BOOTSTRAP, tell).await),
        None if code == Some("BOOTSTRAP_FAILURE") && ended.log_uri.is_none() => Some(Log::None),
        None => None,
    };
    Explanation { reason: None, blame: blame(spec, code, &ended.message), log }
}

/// Explains why a step did not complete: EMR's reason, and, of one that failed, the end of its stderr or of its
/// controller's log in `folder`, if the cluster keeps logs. `tell` hears what is waited for.
pub async fn step(cloud: &Cloud, step: &Step, folder: Option<&Folder>, tell: impl Fn(&str)) -> Explanation {
    let log = match folder {
        // One that was cancelled may have none.
        _ if step.state != "FAILED" => None,
        Some(folder) => Some(log::fetch(cloud, folder, log::OF_STEP, tell).await),
        None => Some(Log::None),
    };
    Explanation { reason: Some(reason_of(step)), blame: None, log }
}

/// Why a step did not complete, by EMR alone.
pub fn reason_of(step: &Step) -> String {
    let Step { id, name, state, reason, .. } = step;
    let reason = reason.as_ref().map_or_else(|| ", and EMR gives no reason".into(), |reason| format!(": {reason}"));
    format!("step {id} ({name}) is {state}{reason}")
}
