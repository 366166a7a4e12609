//! The steps of a cluster: listing, looking at one, cancelling.

use anyhow::Result;
use aws_sdk_emr::types::{CancelStepsRequestStatus, HadoopStepConfig, StepCancellationOption, StepState, StepStatus};
use indexmap::IndexSet;
use serde::Serialize;

use super::{seconds, stamp};
use crate::cloud::{Answered, Cloud, CloudError, Explain, emr_once};

/// What a step of `spark-submit` is run by.
pub(super) const RUNNER: &str = "command-runner.jar";

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// `s-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `PENDING`, `CANCEL_PENDING`, `RUNNING`, `COMPLETED`, `CANCELLED`, `FAILED` or `INTERRUPTED`.
    pub state: String,
    /// Why it is in that state, where EMR says so.
    pub reason: Option<String>,
    /// When it was handed over.
    #[serde(serialize_with = "stamp")]
    pub created: Option<i64>,
    /// When it began.
    #[serde(serialize_with = "stamp")]
    pub started: Option<i64>,
    /// When it ended.
    #[serde(serialize_with = "stamp")]
    pub ended: Option<i64>,
    /// What runs it.
    #[serde(skip)]
    pub jar: String,
    /// What that is told. Not shown: people put secrets there.
    #[serde(skip)]
    pub arguments: Vec<String>,
}

impl Step {
    /// True until it has ended.
    pub fn is_active(&self) -> bool {
        matches!(self.state.as_str(), "PENDING" | "CANCEL_PENDING" | "RUNNING")
    }

    /// True when it did what it was to do.
    pub fn succeeded(&self) -> bool {
        self.state == "COMPLETED"
    }

    /// For how long it has run, or ran, in seconds; nothing for one that never began.
    pub fn elapsed(&self, now: i64) -> Option<i64> {
        Some(self.ended.unwrap_or(now) - self.started?)
    }

    /// The name as the user gave it, without what makes it unique.
    pub fn plain_name(&self) -> &str {
        let (plain, mark) = self.name.rsplit_once(" [").unwrap_or((&self.name, ""));
        let is_mark = |mark: &str| mark.len() == 8 && mark.bytes().all(|letter| letter.is_ascii_hexdigit());
        if mark.strip_suffix(']').is_some_and(is_mark) { plain } else { &self.name }
    }

    fn read(
        id: Option<&str>,
        name: Option<&str>,
        config: Option<&HadoopStepConfig>,
        status: Option<&StepStatus>,
    ) -> Self {
        let timeline = status.and_then(StepStatus::timeline);
        Self {
            id: id.unwrap_or_default().to_owned(),
            name: name.unwrap_or_default().to_owned(),
            state: status.and_then(StepStatus::state).map_or("", StepState::as_str).to_owned(),
            reason: status.and_then(reason),
            created: seconds(timeline.and_then(|line| line.creation_date_time())),
            started: seconds(timeline.and_then(|line| line.start_date_time())),
            ended: seconds(timeline.and_then(|line| line.end_date_time())),
            jar: config.and_then(HadoopStepConfig::jar).unwrap_or_default().to_owned(),
            arguments: config.map(HadoopStepConfig::args).unwrap_or_default().to_vec(),
        }
    }
}

/// What EMR says of a failure: the step's own words, if it has any.
fn reason(status: &StepStatus) -> Option<String> {
    let failure = status.failure_details();
    let said = [
        failure.and_then(|failure| failure.reason()),
        failure.and_then(|failure| failure.message()),
        status.state_change_reason().and_then(|reason| reason.message()),
    ];
    // EMR says the same in several places.
    let said = said.into_iter().flatten().map(|text| text.trim().trim_end_matches('.')).filter(|text| !text.is_empty());
    let said: IndexSet<&str> = said.collect();
    (!said.is_empty()).then(|| said.into_iter().collect::<Vec<_>>().join(": "))
}

/// Every step of a cluster, the newest first.
pub async fn list(cloud: &Cloud, cluster: &str) -> Result<Vec<Step>> {
    of_states(cloud, cluster, None).await
}

/// The steps that run or wait to be run, the newest first.
pub async fn active(cloud: &Cloud, cluster: &str) -> Result<Vec<Step>> {
    let states = [StepState::Pending, StepState::CancelPending, StepState::Running];
    let mut found = of_states(cloud, cluster, Some(states.into())).await?;
    found.retain(Step::is_active);
    Ok(found)
}

async fn of_states(cloud: &Cloud, cluster: &str, states: Option<Vec<StepState>>) -> Result<Vec<Step>> {
    let request = cloud.clients.emr.list_steps().cluster_id(cluster).set_step_states(states);
    let found: Vec<_> =
        request.into_paginator().items().send().try_collect().await.explain("elasticmapreduce:ListSteps")?;
    let mut found: Vec<_> = found
        .iter()
        .map(|step| {
            let created = step.status().and_then(StepStatus::timeline).and_then(|line| line.creation_date_time());
            (created.copied(), Step::read(step.id(), step.name(), step.config(), step.status()))
        })
        .collect();
    // EMR lists the newest first, emulators in any order; of two of one moment the order of the list decides.
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    Ok(found.into_iter().map(|(_, step)| step).collect())
}

/// One step as it is now.
pub async fn describe(cloud: &Cloud, cluster: &str, step: &str) -> Result<Step, CloudError> {
    const OPERATION: &str = "elasticmapreduce:DescribeStep";
    let answer = cloud.clients.emr.describe_step().cluster_id(cluster).step_id(step).send().await;
    let step = answer.explain(OPERATION)?.step.answered(OPERATION)?;
    Ok(Step::read(step.id(), step.name(), step.config(), step.status()))
}

/// What EMR answered for one step that was to be cancelled; nothing where it took the request.
pub type Refused = Option<String>;

/// Asks EMR to cancel steps; says of each whether it was refused, and why. `kill`: a running one is not asked first.
pub async fn cancel(cloud: &Cloud, cluster: &str, ids: &[String], kill: bool) -> Result<Vec<(String, Refused)>> {
    const OPERATION: &str = "elasticmapreduce:CancelSteps";
    let option = if kill { StepCancellationOption::TerminateProcess } else { StepCancellationOption::SendInterrupt };
    let request = cloud.clients.emr.cancel_steps().cluster_id(cluster).set_step_ids(Some(ids.to_vec()));
    let request = request.step_cancellation_option(option);
    // An emulator that lacks the operation answers like one that is overloaded.
    let first = request.clone().customize().config_override(emr_once()).send().await.explain(OPERATION);
    let answer = match first {
        Err(error) if error.is_unimplemented() => {
            return Err(anyhow::Error::from(error).context("this cloud cannot cancel steps"));
        }
        Err(_) => request.send().await.explain(OPERATION)?,
        Ok(answer) => answer,
    };
    let answers = answer.cancel_steps_info_list().iter().map(|info| {
        let failed = info.status() == Some(&CancelStepsRequestStatus::Failed);
        let reason = info.reason().filter(|text| !text.is_empty()).unwrap_or("EMR gave no reason");
        (info.step_id().unwrap_or_default().to_owned(), failed.then(|| reason.to_owned()))
    });
    Ok(answers.collect())
}

/// The step that somebody named: by id, by name with or without what makes it unique, or `latest`. `steps` are sorted
/// as [`list`] sorts them: of several of one name it is the newest.
pub fn find<'a>(steps: &'a [Step], named: &str) -> Option<&'a Step> {
    if named == "latest" {
        return steps.first();
    }
    let by = |matches: &dyn Fn(&Step) -> bool| steps.iter().find(|step| matches(step));
    by(&|step| step.id == named)
        .or_else(|| by(&|step| step.name == named))
        .or_else(|| by(&|step| step.plain_name() == named))
}

#[cfg(test)]
mod tests {
    use super::{Step, find};

    fn step(id: &str, name: &str) -> Step {
        let (state, jar) = ("PENDING".to_owned(), String::new());
        let (reason, created, started, ended, arguments) = (None, None, None, None, Vec::new());
        Step { id: id.into(), name: name.into(), state, reason, created, started, ended, jar, arguments }
    }

    #[test]
    fn a_step_is_found_by_what_people_call_it() {
        let steps = [step("s-3", "count [0123abcd]"), step("s-2", "count [89abcdef]"), step("s-1", "load [x]")];
        let found = |named| find(&steps, named).map(|step| step.id.as_str());
        assert_eq!(found("latest"), Some("s-3"));
        assert_eq!(found("s-2"), Some("s-2"));
        assert_eq!(found("count"), Some("s-3"), "the newest of the name");
        assert_eq!(found("count [89abcdef]"), Some("s-2"));
        assert_eq!(found("load"), None, "what is in brackets there is part of the name");
        assert_eq!(found("load [x]"), Some("s-1"));
        assert_eq!(find(&[], "latest"), None);
    }
}
