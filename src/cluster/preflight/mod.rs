//! Checks before anything is made: all at once, every failure told, each with the line of the spec and what to do.
//!
//! Three parts. [`standing`] says, from what was observed and from the plan of the same run, how things will be once the
//! cluster is asked for: what the plan makes is no failure. [`ask`] puts the few questions that only AWS can answer,
//! concurrently: four calls, one more for each further page of instance types. [`judge`] is pure.
//!
//! Whether the account's quota of virtual processors is large enough, none of EC2's or EMR's own operations tells:
//! `DescribeAccountAttributes` has but the old limit of instances, which AWS says to ignore, and a service client more
//! for one number that changes while it is looked at is not worth its compile time. A note says how many are needed.

mod ask;
mod judge;
mod standing;
#[cfg(test)]
mod tests;

use engine::{Action, Inventory, Plan, Resource, Step};

use crate::{
    cloud::Cloud,
    resources::EmrCluster,
    spec::{Diagnostic, Span, Spec},
};
pub use ask::Answers;
pub use judge::judge;
pub use standing::{GroupStanding, RoleStanding, Standing, SubnetStanding};

/// Something that would keep the cluster from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: an address, or a field of the spec.
    pub what: String,
    /// The line of the spec that asks for it.
    pub span: Span,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What the checks found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What would keep the cluster from starting.
    pub findings: Vec<Finding>,
    /// What could not be checked, and what is good to know.
    pub notes: Vec<String>,
}

impl Report {
    /// The findings as mistakes of the spec, to be shown with its lines.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let mistake = |finding: &Finding| Diagnostic::at(&finding.span, &*finding.message).hint(&*finding.hint);
        self.findings.iter().map(mistake).collect()
    }
}

/// Whether a plan asks EMR for a cluster.
pub fn starts_cluster(plan: &Plan) -> bool {
    let is_cluster = |step: &Step| step.address.kind == <EmrCluster as Resource<Cloud>>::KIND;
    plan.steps.iter().any(|step| is_cluster(step) && matches!(step.action, Action::Create { .. }))
}

/// Runs all checks for the cluster of `spec`. `plan` is what the same run is about to do.
///
/// # Errors
///
/// Where AWS cannot be asked at all; what it refuses to tell is a note.
pub async fn check(cloud: &Cloud, spec: &Spec, known: &Inventory, plan: &Plan) -> anyhow::Result<Report> {
    let Some(cluster) = &spec.cluster else { return Ok(Report::default()) };
    let standing = Standing::of(spec, cluster, &cloud.names, known, plan);
    let answers = Box::pin(ask::ask(cloud, cluster, &standing)).await?;
    Ok(judge(spec, cluster, &standing, &answers))
}
