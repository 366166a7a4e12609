//! A run by EMR's steps: each job as a step that is followed, and what is told of it.

use std::{fmt::Write, time::Duration};

use serde_json::{Value, json};

use super::{
    super::{Globals, run::Stops, session::Session},
    on_cluster::{Cluster, Outcome, verdict},
    report,
    run::{Ready, pairs},
    summary::{self, Row, counts},
};
use crate::{
    cluster::{
        logs::{self, Folder},
        steps::{self, Step},
        submit,
    },
    error::{Failure, Result},
    pipeline::{
        record::{self, Day, Ran, Records},
        work::{self, Task},
    },
    ui,
};

/// So many of the last lines of stderr and stdout are shown when a job fails.
const LAST_LINES: usize = 20;
/// How often it is told that a step still runs.
const STILL: Duration = Duration::from_mins(1);

/// A run.
struct Run<'a> {
    session: &'a Session,
    records: Records,
    version: String,
    retries: u32,
    wait: Duration,
    /// Whether it does also what is done.
    again: bool,
    /// Whether a day that fails leaves the others to be done.
    goes_on: bool,
    json: bool,
    cluster: Option<Cluster>,
    /// What was done or left out.
    done: Vec<Row>,
}

/// Does what is left of the days, on a cluster.
pub(super) async fn go(globals: &Globals, ready: Ready) -> Result {
    let Ready { session, known, name, version, described, at, dates, settings, again, goes_on, changing } = ready;
    let pipeline = &session.spec.pipelines[&name];
    let settings = pairs(&settings, &work::settings(&described))?;
    let mut tasks: Vec<Vec<Task>> = Vec::new();
    for date in dates {
        tasks.push(work::of_day(&described, &at, date, &settings)?);
    }
    if tasks.iter().all(Vec::is_empty) {
        return Err(Failure::new(format!("version {version} of {name} has no jobs"))
            .hint("write some under `jobs` in the template's pipeline.yaml"));
    }
    let mut run = Run {
        session: &session,
        records: Records { bucket: at.bucket.clone(), pipeline: name.clone() },
        version,
        retries: *pipeline.retries,
        wait: *pipeline.retry_wait,
        again,
        goes_on,
        json: changing.json,
        cluster: None,
        done: Vec::new(),
    };
    let plan = run.left(&tasks).await?;
    if plan.is_empty() {
        Box::pin(Cluster::end_what_is_left(globals, &changing, &session, &known)).await?;
        return summary::all_done(changing.json);
    }
    let mut stops = Stops::listen()?;
    let mut cluster = Cluster::get(globals, &changing, &session, &known).await?;
    run.cluster = Some(cluster.clone());
    let outcome = tokio::select! {
        outcome = run.carry_out(&plan) => outcome,
        () = stops.next() => Ok(Outcome::Stopped),
    };
    let ended = cluster.give_back(globals, &changing, &session, &mut stops).await;
    let report = report::of_run(&session, &name, &run.version, &run.done).await;
    summary::show(&run.done, std::slice::from_ref(&cluster), report.as_deref(), changing.json)?;
    verdict(outcome, ended, || run.stopped(&cluster))
}

impl Run<'_> {
    /// What is left to do, by days. Once a job has to run, those after it that day have to, too: their input changes.
    async fn left(&mut self, days: &[Vec<Task>]) -> Result<Vec<Vec<Task>>> {
        let cloud = &self.session.cloud;
        let mut left = Vec::new();
        for tasks in days {
            let Some(first) = tasks.first() else { continue };
            let day = self.records.day(cloud, first.date).await?;
            let mut stale = self.again;
            let mut todo = Vec::new();
            for task in tasks {
                let ran = day.jobs.get(&task.job).filter(|ran| ran.completed(&task.command));
                let there = match (&task.output, ran) {
                    (Some(output), Some(_)) if !stale => record::is_there(cloud, output).await?,
                    (_, ran) => ran.is_some(),
                };
                stale |= !there;
                if stale {
                    todo.push(task.clone());
                } else {
                    self.done.push(Row::new(&task.date, &task.job, None));
                }
            }
            if !todo.is_empty() {
                left.push(todo);
            }
        }
        summary::skipped(&self.done, self.json)?;
        Ok(left)
    }

    fn tell(&self, event: &Value, words: impl FnOnce() -> String) -> Result {
        summary::tell(self.json, event, words)
    }

    /// Does it all; a failure names the job.
    async fn carry_out(&mut self, days: &[Vec<Task>]) -> Result<Outcome> {
        let mut failures: Vec<Failure> = Vec::new();
        for tasks in days {
            for task in tasks {
                if let Err(failure) = self.job(task).await {
                    if !self.goes_on {
                        return Err(failure);
                    }
                    self.tell(&json!({ "event": "failed", "date": task.date.to_string(), "job": task.job }), || {
                        format!("{} {}: failed; the other days go on", task.date, task.job)
                    })?;
                    failures.push(failure);
                    break;
                }
            }
        }
        summary::first_of(failures)?;
        Ok(Outcome::Done)
    }

    /// One job of a day, tried as often as the spec says.
    async fn job(&mut self, task: &Task) -> Result {
        let mut left = self.retries;
        loop {
            let step = self.step(task).await?;
            if step.succeeded() {
                return Ok(());
            }
            let failure = self.failed(task, &step).await;
            if left == 0 {
                return Err(failure);
            }
            let (wait, pipeline, why) = (self.wait.as_secs(), &self.records.pipeline, failure.message);
            let event = json!({ "event": "retry", "date": task.date.to_string(), "job": task.job, "left": left,
                                "seconds": wait, "why": why });
            self.tell(&event, || {
                format!(
                    "{why}\n{} {}: tried again in {wait} s; {left} left (`retries` and `retry_wait` of pipeline \
                     {pipeline}; Ctrl-C ends it)",
                    task.date, task.job
                )
            })?;
            left -= 1;
            tokio::time::sleep(self.wait).await;
        }
    }

    /// One step, from its beginning to its end, and what is noted of it.
    async fn step(&mut self, task: &Task) -> Result<Step> {
        let (cloud, cluster) = (&self.session.cloud, self.on()?);
        let active = steps::active(cloud, &cluster.id).await?;
        let step = match submit::already(&active, &task.submit) {
            Some(step) => step.clone(),
            None => submit::send(cloud, &cluster.id, &task.submit).await?,
        };
        let mut ran = Ran {
            version: self.version.clone(),
            command: task.command.clone(),
            state: "RUNNING".into(),
            cluster: cluster.id.clone(),
            step: step.id.clone(),
            log_uri: cluster.log_uri.clone(),
            ..Ran::default()
        };
        // Before it ends: whoever comes later finds its logs, whatever becomes of this run.
        self.note(task, &ran).await?;
        let step = self.until_ended(task, step).await?;
        ran.state.clone_from(&step.state);
        ran.ended = step.ended;
        ran.seconds = step.elapsed(ui::time::now());
        if let Some(summary) = task.summary.as_ref().filter(|_| step.succeeded()) {
            ran.summary = record::summary(cloud, summary).await;
        }
        if let Some(output) = task.output.as_ref().filter(|_| step.succeeded())
            && !record::is_there(cloud, output).await?
        {
            return Err(Failure::new(format!(
                "{} {}: step {} completed, but what it is to make is not there: {output}",
                task.date, task.job, step.id
            ))
            .hint("its log says what it did, or the template's `output` names the wrong place"));
        }
        self.note(task, &ran).await?;
        self.tell(
            &json!({ "event": "ended", "date": task.date.to_string(), "job": task.job, "state": step.state, "seconds": ran.seconds,
                     "summary": ran.summary }),
            || format!("{} {}: {}{}", task.date, task.job, step.state, counts(&ran)),
        )?;
        self.done.push(Row::new(&task.date, &task.job, Some(ran)));
        Ok(step)
    }

    fn on(&self) -> Result<&Cluster> {
        self.cluster.as_ref().ok_or_else(|| Failure::new("the run has no cluster"))
    }

    async fn note(&self, task: &Task, ran: &Ran) -> Result {
        let cloud = &self.session.cloud;
        let mut day: Day = self.records.day(cloud, task.date).await?;
        day.jobs.insert(task.job.clone(), ran.clone());
        Ok(self.records.write(cloud, task.date, &day).await?)
    }

    /// Follows a step to its end, and tells each state, and now and then that it goes on.
    async fn until_ended(&self, task: &Task, step: Step) -> Result<Step> {
        let (cloud, cluster) = (&self.session.cloud, self.on()?);
        let mut told = (String::new(), tokio::time::Instant::now());
        let mut now = step;
        loop {
            // How it ended is told with what it did.
            if now.is_active() && (now.state != told.0 || told.1.elapsed() >= STILL) {
                let seconds = now.elapsed(ui::time::now());
                let state = now.state.clone();
                self.tell(
                    &json!({ "event": "state", "date": task.date.to_string(), "job": task.job, "step": now.id, "state": state,
                             "seconds": seconds }),
                    || {
                        let after = seconds.map(|seconds| format!(" after {}", ui::time::elapsed(seconds)));
                        format!("{} {}: {state}{} ({})", task.date, task.job, after.unwrap_or_default(), now.id)
                    },
                )?;
                told = (state, tokio::time::Instant::now());
            }
            if !now.is_active() {
                return Ok(now);
            }
            tokio::time::sleep(cloud.pace.poll).await;
            now = steps::describe(cloud, &cluster.id, &now.id).await.map_err(anyhow::Error::from)?;
        }
    }

    async fn failed(&self, task: &Task, step: &Step) -> Failure {
        let flags = self.session.flags();
        let reason = step.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let mut what = format!("{} {}: step {} is {}{reason}", task.date, task.job, step.id, step.state);
        let folder = self
            .cluster
            .as_ref()
            .and_then(|cluster| Folder::of_step(cluster.log_uri.as_deref()?, &cluster.id, &step.id));
        if let Some(folder) = folder {
            // The failure is what is told; a log that cannot be read adds nothing to it.
            for stream in ["stderr", "stdout"] {
                let text = logs::whole(&self.session.cloud, &folder, stream).await.ok().flatten().unwrap_or_default();
                let lines: Vec<&str> = text.trim_end().lines().collect();
                if !lines.is_empty() {
                    let _ = write!(what, "\nthe end of its {stream}:");
                }
                for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
                    let _ = write!(what, "\n  {line}");
                }
            }
        }
        let (pipeline, job, date) = (&self.records.pipeline, &task.job, task.date);
        Failure::new(what)
            .hint(format!("`infra{flags} pipeline logs {job} --pipeline {pipeline} --date {date}` prints its logs"))
            .hint("the same command again goes on with this job: what is done stays done")
    }

    /// The user stopped it.
    fn stopped(&self, cluster: &Cluster) -> Failure {
        let failure = Failure::cancelled("stopped").hint("the same command again does what is left");
        if cluster.ours {
            return failure;
        }
        let flags = self.session.flags();
        failure.hint(format!("a step that was at work goes on on cluster {}: `infra{flags} cluster steps`", cluster.id))
    }
}
