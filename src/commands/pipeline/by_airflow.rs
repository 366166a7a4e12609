//! A run by Airflow: a run of the DAG is triggered on its host, and followed.
//!
//! The DAG makes its cluster and ends it; whoever follows it may go, and Airflow goes on.

use std::{
    collections::BTreeMap,
    fmt::Write,
    time::{Duration, Instant},
};

use jiff::civil::Date;
use serde_json::json;

use super::{
    super::{Globals, load, reach::Reach, run::Stops, session::Session},
    days::{Day, Whole},
    on_cluster::Cluster,
    report,
    run::Ready,
    summary::{self, Row, tell},
};
use crate::{
    cloud::CodeFolder,
    cluster::steps,
    error::{Failure, Result},
    pipeline::{
        airflow::{self, Task, Told},
        record::{self, Ran, Records},
        work,
    },
    resources::cluster_of_stack,
    stacks::pipeline::Description,
    ui,
};

/// How often it is told that the run goes on.
const STILL: Duration = Duration::from_mins(1);

/// Runs of the DAG.
struct Run<'a> {
    session: &'a Session,
    on: OnHost,
    version: String,
    described: &'a Description,
    at: &'a CodeFolder,
    again: bool,
    goes_on: bool,
    json: bool,
    rows: Vec<Row>,
    /// The clusters of the runs that were followed.
    clusters: Vec<Cluster>,
}

/// Airflow's host, and the DAG's file.
pub(super) struct OnHost {
    reach: Reach,
    host: String,
    pub name: String,
    file: String,
    /// The template's folder here.
    folder: String,
}

impl OnHost {
    /// Finds the host.
    pub(super) async fn find(globals: &Globals, session: &Session, name: &str) -> Result<Self> {
        let pipeline = &session.spec.pipelines[name];
        load::ensure_template(pipeline)?;
        let host = pipeline.on.as_ref().map(|on| on.value.clone()).unwrap_or_default();
        let folder = pipeline.content.as_ref().map(|content| content.shown.to_string()).unwrap_or_default();
        let wanted = pipeline.content.as_ref().and_then(|content| content.host.as_ref()?.dag.as_ref());
        let Some(file) = wanted.map(|dag| dag.value.clone()) else {
            return Err(Failure::new(format!("the template of pipeline {name} has no DAG"))
                .hint("name its file in the template's pipeline.yaml: `host: { dag: FILE.py }`"));
        };
        let reach = Reach::open(globals).await?;
        reach.locate(&host).await?;
        Ok(Self { reach, host, name: name.to_owned(), file, folder })
    }

    /// Runs one of the scripts, and hands on what it tells.
    async fn ask(&self, script: &str, mut told: impl FnMut(Told) + Send) -> Result {
        let hear = |line: &str| airflow::read(line).into_iter().for_each(&mut told);
        let ran = self.reach.hosts().script(&self.host, script, hear).await;
        ran.map_err(|error| self.reach.explain(error))
    }

    /// The last runs, as days.
    pub(super) async fn days(&self, most: usize) -> Result<Vec<Day>> {
        let mut runs = Vec::new();
        let mut refused = None;
        self.ask(&airflow::list(&self.name, &self.file, most), |told| match told {
            Told::Run(run) => runs.push(run),
            Told::Refused { why } => refused = Some(why),
            _ => {}
        })
        .await?;
        if let Some(why) = refused {
            return Err(Failure::new(why));
        }
        let day = |run: airflow::Run| Day {
            date: run.date,
            jobs: run.tasks.iter().map(|task| (task.task.clone(), ran(task))).collect(),
            run: Some(Whole {
                by: "airflow".into(),
                state: run.state,
                code: None,
                version: run.run.rsplit_once('-').map(|(_, version)| version.to_owned()),
                began: run.began,
                ended: run.ended,
            }),
        };
        Ok(runs.into_iter().map(day).collect())
    }

    /// The log of a task, printed; `false` where there is no such run.
    pub(super) async fn log(&self, date: Option<Date>, task: &str) -> Result<bool> {
        let (mut run, mut lines, mut refused) = (None, Vec::new(), None);
        self.ask(&airflow::log(&self.name, &self.file, date, task), |told| match told {
            Told::Line { line } => lines.push(line),
            Told::Log { run: of } => run = Some(of),
            Told::Refused { why } => refused = Some(why),
            _ => {}
        })
        .await?;
        if let Some(why) = refused {
            return Err(Failure::new(why));
        }
        let Some(run) = run else { return Ok(false) };
        if lines.is_empty() {
            let failure = Failure::new(format!("task `{task}` of the run {run} has written nothing"));
            let flags = self.reach.session.flags();
            return Err(failure.hint(format!("`infra{flags} pipeline status {}` lists the tasks", self.name)));
        }
        ui::say(&format!("{task} of {run}:"));
        lines.iter().try_for_each(|line| ui::print(&format!("{line}\n")))?;
        Ok(true)
    }
}

fn ran(task: &Task) -> Ran {
    let seconds = task.began.map(|began| task.ended.unwrap_or_else(ui::time::now) - began);
    Ran { state: task.state.clone(), ended: task.ended, seconds, ..Ran::default() }
}

/// Has Airflow do the days, one after the other.
pub(super) async fn go(globals: &Globals, ready: Ready) -> Result {
    let Ready { session, name, version, described, at, dates, again, goes_on, changing, .. } = ready;
    let mut stops = Stops::listen()?;
    let on = OnHost::find(globals, &session, &name).await?;
    let mut run = Run {
        session: &session,
        on,
        version,
        described: &described,
        at: &at,
        again,
        goes_on,
        json: changing.json,
        rows: Vec::new(),
        clusters: Vec::new(),
    };
    let outcome = tokio::select! {
        outcome = run.carry_out(&dates) => outcome,
        () = stops.next() => Err(Failure::cancelled("stopped")
            .hint("Airflow goes on with what is at work: the same command again follows it")),
    };
    let report = report::of_run(&session, &run.on.name, &run.version, &run.rows).await;
    summary::show(&run.rows, &run.clusters, report.as_deref(), changing.json)?;
    outcome
}

/// How the run of a day ended.
struct Ended {
    state: String,
    tasks: Vec<Task>,
    logs: BTreeMap<String, Vec<String>>,
    /// Whether it had succeeded before.
    before: bool,
}

impl Run<'_> {
    async fn carry_out(&mut self, dates: &[Date]) -> Result {
        let mut failures: Vec<Failure> = Vec::new();
        for date in dates {
            let Err(failure) = Box::pin(self.day(*date)).await else { continue };
            if !self.goes_on {
                return Err(failure);
            }
            tell(self.json, &json!({ "event": "failed", "date": date.to_string() }), || {
                format!("{date}: failed; the other days go on")
            })?;
            failures.push(failure);
        }
        summary::first_of(failures)
    }

    async fn day(&mut self, date: Date) -> Result {
        let ended = self.follow(date).await?;
        let Ended { state, tasks, logs, before } = ended;
        if before {
            self.rows.push(Row::new(&date, "airflow", None));
            return tell(self.json, &json!({ "event": "skipped", "date": date.to_string() }), || {
                format!("{date}: done already; `--again` does it anew")
            });
        }
        self.rows.extend(tasks.iter().map(|task| Row::new(&date, &task.task, Some(ran(task)))));
        Box::pin(self.work_of(date, &tasks)).await?;
        if state == "success" {
            return tell(self.json, &json!({ "event": "ended", "date": date.to_string(), "state": state }), || {
                format!("{date}: {} is done", self.on.name)
            });
        }
        Err(self.failed(date, &tasks, &logs))
    }

    /// Triggers the run of a day and follows it to its end.
    async fn follow(&self, date: Date) -> Result<Ended> {
        let (name, host, flags) = (&self.on.name, &self.on.host, self.session.flags());
        let deploy = format!("`infra{flags} pipeline deploy {name}` puts it there");
        let (mut ended, mut refused) = (None, None);
        let mut dag = name.clone();
        let script = airflow::follow(name, &self.on.file, date, &self.version, self.again);
        let say = |event: &str, words: String| {
            // Who closed our output does not want it; Airflow goes on.
            let _ =
                tell(self.json, &json!({ "event": event, "date": date.to_string(), "text": words }), || words.clone());
        };
        let mut still = Instant::now();
        let hear = |told: Told| match told {
            Told::Missing => {
                refused = Some(Failure::new(format!("{host} has nothing of pipeline {name}")).hint(deploy.clone()));
            }
            Told::Other { version } => {
                let what = format!("{host} has version {version} of pipeline {name}, and S3 {}", self.version);
                refused =
                    Some(Failure::new(what).hint(format!("`infra{flags} pipeline deploy {name}` brings both to one")));
            }
            Told::Refused { why } if why.starts_with("Airflow cannot read") => {
                let hint = format!(
                    "mend it in {} and deploy it; or go back: `infra{flags} pipeline deploy {name} --version …`, \
                     `infra{flags} pipeline status {name}` has the versions",
                    self.on.folder
                );
                refused = Some(Failure::new(why).hint(hint));
            }
            Told::Refused { why } => refused = Some(Failure::new(why)),
            Told::Waits => say("waits", format!("{date}: Airflow has yet to read the DAG as it is now")),
            Told::Dag { dag: found } => dag = found,
            Told::Unpaused => say("unpaused", format!("the DAG {dag} was paused, and is no longer")),
            Told::Started => say("started", format!("{date}: a run of {dag} is triggered on {host}")),
            Told::Joined => say("joined", format!("{date}: the run of {dag} is at work already, and is followed")),
            Told::Again => say("again", format!("{date}: the run of {dag} had ended, and begins anew")),
            Told::Task(task) => {
                still = Instant::now();
                let told = json!({ "event": "state", "date": date.to_string(), "job": task.task, "state": task.state,
                                   "cluster": task.cluster, "steps": task.steps });
                let after = task.began.zip(task.ended).map(|(began, ended)| ui::time::elapsed(ended - began));
                let after = after.map(|after| format!(" after {after}")).unwrap_or_default();
                let handed = task.cluster.iter().chain(&task.steps).cloned().collect::<Vec<_>>().join(", ");
                let handed = if handed.is_empty() { handed } else { format!(" ({handed})") };
                let _ = tell(self.json, &told, || format!("{date} {}: {}{after}{handed}", task.task, task.state));
            }
            Told::Still { state } if still.elapsed() >= STILL => {
                still = Instant::now();
                say("still", format!("{date}: the run is {state} still"));
            }
            Told::Done { tasks } => {
                ended = Some(Ended { state: "success".into(), tasks, logs: BTreeMap::new(), before: true });
            }
            Told::Over { state, tasks, logs } => ended = Some(Ended { state, tasks, logs, before: false }),
            Told::Still { .. } | Told::Run(_) | Told::Line { .. } | Told::Log { .. } | Told::None => {}
        };
        let asked = self.on.ask(&script, hear).await;
        if let Some(refused) = refused {
            return Err(refused);
        }
        asked.map_err(|failure| {
            failure.hint("Airflow goes on with what it has begun: the same command again follows it")
        })?;
        ended.ok_or_else(|| Failure::new(format!("{host}: Airflow stopped telling how the run goes on")))
    }

    /// What the run's steps did, as rows, noted in the bucket too; and its cluster, for what it cost.
    async fn work_of(&mut self, date: Date, tasks: &[Task]) -> Result {
        let cloud = &self.session.cloud;
        let Some(id) = tasks.iter().find_map(|task| task.cluster.as_deref()) else { return Ok(()) };
        let Some((cluster, ended)) = cluster_of_stack(cloud, id).await? else { return Ok(()) };
        let log_uri = cluster.log_uri.clone();
        self.clusters.extend(Cluster::that_was(&cluster, self.session, ended));
        let records = Records { bucket: self.at.bucket.clone(), pipeline: self.on.name.clone() };
        let mut noted = records.day(cloud, date).await?;
        let jobs = work::of_day(self.described, self.at, date, &[])?;
        let mut rows = Vec::new();
        for step in tasks.iter().flat_map(|task| &task.steps) {
            let Ok(step) = steps::describe(cloud, id, step).await else { continue };
            let Some(job) = jobs.iter().find(|job| step.arguments.contains(&job.submit.program)) else { continue };
            let mut ran = Ran {
                version: self.version.clone(),
                state: step.state.clone(),
                cluster: id.to_owned(),
                step: step.id.clone(),
                log_uri: log_uri.clone(),
                ended: step.ended,
                seconds: step.elapsed(ui::time::now()),
                ..Ran::default()
            };
            if let Some(summary) = job.summary.as_ref().filter(|_| step.succeeded()) {
                ran.summary = record::summary(cloud, summary).await;
            }
            noted.jobs.insert(job.job.clone(), ran.clone());
            rows.push(Row::new(&date, &job.job, Some(ran)));
        }
        if !rows.is_empty() {
            records.write(cloud, date, &noted).await?;
        }
        self.rows.extend(rows);
        Ok(())
    }

    fn failed(&self, date: Date, tasks: &[Task], logs: &BTreeMap<String, Vec<String>>) -> Failure {
        let (name, flags) = (&self.on.name, self.session.flags());
        let failed: Vec<&str> =
            tasks.iter().filter(|task| task.state == "failed").map(|task| task.task.as_str()).collect();
        let mut what = match &failed[..] {
            [] => format!("{date}: the run of {name} failed, and none of its tasks did"),
            failed => format!("{date}: the run of {name} failed: {}", failed.join(", ")),
        };
        if tasks.is_empty() {
            what = format!("{date}: the run of {name} has no tasks: is the day before the DAG's `start_date`?");
        }
        for (task, lines) in logs.iter().filter(|(_, lines)| !lines.is_empty()) {
            let _ = write!(what, "\nthe end of the log of {task}:");
            for line in lines {
                let _ = write!(what, "\n  {line}");
            }
        }
        let mut failure = Failure::new(what);
        if let Some(task) = failed.first() {
            failure = failure
                .hint(format!("`infra{flags} pipeline logs {task} --pipeline {name} --date {date}` prints all of it"));
        }
        failure.hints.extend(summary::logs_of_steps(&self.rows, date, flags, name));
        failure.hint("the same command again has the run begin anew")
    }
}
