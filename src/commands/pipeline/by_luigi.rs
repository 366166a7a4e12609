//! A run by luigi: the day's unit on the pipeline's host is started, followed to its end, and explained.
//!
//! Days go one after the other. What a run is told comes from the unit's journal, over one connection; where that is lost
//! a new one is made, and the unit, which systemd runs, is followed on.

use std::{
    collections::BTreeMap,
    fmt::Write,
    time::{Duration, Instant},
};

use jiff::civil::Date;
use serde_json::json;

use super::{
    super::{Globals, reach::Reach, run::Stops, session::Session},
    heard::Heard,
    on_cluster::{Cluster, Outcome, verdict},
    report,
    run::Ready,
    summary::{self, Row, tell},
};
use crate::{
    cloud::CodeFolder,
    cluster::steps,
    error::{Failure, Result},
    hosts::{ConnectError, ConnectFailure},
    pipeline::{
        luigi::{Seen, Watch},
        on_host::{self, End, Look, Told},
        record::{self, Ran, Records},
        stored,
        work::{self, Task},
    },
    stacks::{pipeline::Description, pipeline_host::unit_of_day},
    ui,
};

/// For how long a host whose connection is lost is called again.
const LOST: Duration = Duration::from_mins(10);
/// So many days that the host has noted are asked for.
const NOTES: usize = 400;
/// The pause between calls.
const PAUSE: Duration = Duration::from_secs(5);

/// A run.
struct Run<'a> {
    session: &'a Session,
    reach: Reach,
    host: String,
    name: String,
    version: String,
    described: &'a Description,
    records: Records,
    /// What exit codes mean.
    meanings: BTreeMap<u8, &'static str>,
    cluster: Option<Cluster>,
    goes_on: bool,
    json: bool,
    /// Whether the whole log is shown.
    verbose: bool,
    rows: Vec<Row>,
    /// The day that is at work.
    now: Option<Date>,
}

/// A day with its jobs.
struct Day {
    date: Date,
    jobs: Vec<Task>,
}

/// Does what is left of the days.
pub(super) async fn go(globals: &Globals, ready: Ready) -> Result {
    let Ready { session, known, name, version, described, at, dates, again, goes_on, changing, .. } = ready;
    let pipeline = &session.spec.pipelines[&name];
    let host = pipeline.on.as_ref().map(|on| on.value.clone()).unwrap_or_default();
    let mut days = Vec::new();
    for date in dates {
        days.push(Day { date, jobs: work::of_day(&described, &at, date, &[])? });
    }
    let mut done = Vec::new();
    let mut left = Vec::new();
    for day in days {
        if !again && is_done(&session, &day).await? {
            done.extend(day.jobs.iter().map(|job| Row::new(&job.date, &job.job, None)));
        } else {
            left.push(day);
        }
    }
    summary::skipped(&done, changing.json)?;
    if left.is_empty() {
        Box::pin(Cluster::end_what_is_left(globals, &changing, &session, &known)).await?;
        return summary::all_done(changing.json);
    }
    let mut stops = Stops::listen()?;
    let reach = Reach::open(globals).await?;
    reach.locate(&host).await?;
    let look = look(&reach, &host, &name, NOTES).await?;
    let meanings = stored::text(&session.cloud, &at, &name, &version, "luigi.cfg").await;
    let mut run = Run {
        session: &session,
        reach,
        host,
        records: Records { bucket: at.bucket.clone(), pipeline: name.clone() },
        name,
        version,
        described: &described,
        meanings: meanings.map(|config| on_host::meanings(&config)).unwrap_or_default(),
        cluster: None,
        goes_on,
        json: changing.json,
        verbose: globals.verbose > 0,
        rows: done,
        now: None,
    };
    // Before anything costs money.
    run.check(&look, &left)?;
    if !described.jobs.is_empty() {
        run.cluster = Some(Cluster::get(globals, &changing, &session, &known).await?);
    }
    let outcome = tokio::select! {
        outcome = run.all(&left, again.then_some(&at)) => outcome,
        () = stops.next() => Ok(Outcome::Stopped),
    };
    let mut ended = Ok(());
    if let Some(mut cluster) = run.cluster.clone() {
        if cluster.ours && matches!(outcome, Ok(Outcome::Stopped)) {
            run.stop().await;
        }
        ended = cluster.give_back(globals, &changing, &session, &mut stops).await;
        run.cluster = Some(cluster);
    }
    let report = report::of_run(&session, &run.name, &run.version, &run.rows).await;
    summary::show(&run.rows, run.cluster.as_slice(), report.as_deref(), changing.json)?;
    verdict(outcome, ended, || run.stopped())
}

/// Whether all that the jobs of a day make is there. Without anything that would say so, it is not.
async fn is_done(session: &Session, day: &Day) -> Result<bool> {
    let outputs: Vec<&String> = day.jobs.iter().filter_map(|job| job.output.as_ref()).collect();
    for output in &outputs {
        if !record::is_there(&session.cloud, output).await? {
            return Ok(false);
        }
    }
    Ok(!outputs.is_empty())
}

/// Asks a host what it has of a pipeline.
pub(super) async fn look(reach: &Reach, host: &str, pipeline: &str, days: usize) -> Result<Look> {
    let mut look = Look::default();
    let asked = reach.hosts().script(host, &on_host::look(pipeline, days), |line| look.hear(line)).await;
    asked.map_err(|error| reach.explain(error))?;
    Ok(look)
}

impl Run<'_> {
    fn check(&self, look: &Look, left: &[Day]) -> Result {
        let at_work = left.iter().any(|day| look.is_at_work(&self.name, day.date));
        match &look.version {
            None => Err(self.missing()),
            // What is at work is followed, whatever it is.
            Some(version) if *version != self.version && !at_work => Err(self.other(version)),
            Some(_) => self.tell_of_others(look, left),
        }
    }

    /// A day that is at work by another version goes on by that one, and is not what was asked for.
    fn tell_of_others(&self, look: &Look, left: &[Day]) -> Result {
        let (name, host) = (&self.name, &self.host);
        for day in left.iter().filter(|day| look.is_at_work(name, day.date)) {
            let Some(note) = look.days.get(&day.date).filter(|note| note.version != self.version) else { continue };
            let date = day.date.to_string();
            let event = json!({ "event": "other", "date": date, "version": note.version });
            tell(self.json, &event, || {
                format!(
                    "note: {date} is at work on {host} by version {}, begun {}, and not by {}, which is deployed now. To \
                     have that: end it there, `sudo systemctl stop {}`, and run again.",
                    note.version,
                    ui::time::clock(note.began),
                    self.version,
                    unit_of_day(name, day.date)
                )
            })?;
        }
        Ok(())
    }

    fn missing(&self) -> Failure {
        let (name, host, flags) = (&self.name, &self.host, self.session.flags());
        Failure::new(format!("{host} has nothing of pipeline {name}"))
            .hint(format!("`infra{flags} pipeline deploy {name}` puts it there"))
    }

    fn other(&self, version: &str) -> Failure {
        let (name, host, flags) = (&self.name, &self.host, self.session.flags());
        Failure::new(format!("{host} has version {version} of pipeline {name}, and S3 {}", self.version))
            .hint(format!("`infra{flags} pipeline deploy {name}` brings both to one"))
    }

    /// Has luigi do the days again: what says that a job is done for the day is taken away.
    async fn forget(&self, left: &[Day], described: &Description, at: &CodeFolder) -> Result {
        for day in left {
            let other = day.date.tomorrow().map_err(anyhow::Error::from)?;
            let elsewhere = work::of_day(described, at, other, &[])?;
            for (job, other) in day.jobs.iter().zip(&elsewhere) {
                // What is no day's own (a decision that was made once) stays.
                let Some(output) = job.output.as_ref().filter(|_| job.output != other.output) else { continue };
                if output.ends_with('/') || !record::is_there(&self.session.cloud, output).await? {
                    continue;
                }
                let event =
                    json!({ "event": "forgotten", "date": job.date.to_string(), "job": job.job, "output": output });
                tell(self.json, &event, || {
                    format!("{} {}: {output} is taken away, so that it is done again", job.date, job.job)
                })?;
                record::forget(&self.session.cloud, output).await?;
            }
        }
        Ok(())
    }

    /// Does the days; what is done of them anew, too, where code lies `again`.
    async fn all(&mut self, days: &[Day], again: Option<&CodeFolder>) -> Result<Outcome> {
        // Nothing is taken away before all that a run needs is there.
        if let Some(at) = again {
            self.forget(days, self.described, at).await?;
        }
        self.carry_out(days).await
    }

    async fn carry_out(&mut self, days: &[Day]) -> Result<Outcome> {
        let mut failures: Vec<Failure> = Vec::new();
        for day in days {
            self.now = Some(day.date);
            let ended = self.day(day).await;
            self.now = None;
            let Err(failure) = ended else { continue };
            if !self.goes_on {
                return Err(failure);
            }
            let date = day.date;
            tell(self.json, &json!({ "event": "failed", "date": date.to_string() }), || {
                format!("{date}: failed; the other days go on")
            })?;
            failures.push(failure);
        }
        summary::first_of(failures)?;
        Ok(Outcome::Done)
    }

    /// One day, from its unit's start to its end, and what is noted of it.
    async fn day(&mut self, day: &Day) -> Result {
        let mut watch = Watch::new(day.date);
        let end = self.follow(day.date, &mut watch).await;
        let rows = self.rows_of(day, &watch).await?;
        self.rows.extend(rows);
        let end = end?;
        let date = day.date;
        if end.code == Some(0) {
            for job in &day.jobs {
                let Some(output) = &job.output else { continue };
                if !record::is_there(&self.session.cloud, output).await? {
                    let what = format!(
                        "{date}: {} ended well, but what {} is to make is not there: {output}",
                        self.name, job.job
                    );
                    return Err(Failure::new(what)
                        .hint("its log says what it did, or the template's `output` names the wrong place"));
                }
            }
            let event = json!({ "event": "ended", "date": date.to_string(), "code": 0 });
            return tell(self.json, &event, || format!("{date}: {} is done", self.name));
        }
        Err(self.failed(date, &end, &watch))
    }

    /// Follows the unit of a day to its end, also over connections that are lost.
    async fn follow(&self, date: Date, watch: &mut Watch) -> Result<End> {
        let mut heard = Heard::new(&self.name, &self.host, date, self.json, self.verbose, watch, &self.meanings);
        let mut lost: Option<Instant> = None;
        loop {
            heard.call();
            let script = on_host::follow(&self.name, date, &self.version, heard.begun);
            let ran = self.reach.hosts().script(&self.host, &script, |line| heard.hear(line)).await;
            match heard.refused.take() {
                Some(Told::Other(version)) => return Err(self.other(&version)),
                Some(_) => return Err(self.missing()),
                None => {}
            }
            if let Some(end) = heard.over.take() {
                return Ok(end);
            }
            let cut = || anyhow::anyhow!("{}: it stopped telling how the unit goes on", self.host);
            let error = ran.err().unwrap_or_else(cut);
            if !heard.begun {
                return Err(self.reach.explain(error));
            }
            if heard.went_on() {
                lost = None;
            }
            let refused = error.chain().any(|cause| {
                cause.downcast_ref::<ConnectError>().is_some_and(|error| error.kind != ConnectFailure::Silent)
            });
            if refused || lost.get_or_insert_with(Instant::now).elapsed() > LOST {
                let goes_on = "the unit goes on there: the same command again follows it";
                return Err(self.reach.explain(error).hint(goes_on));
            }
            tell(self.json, &json!({ "event": "lost", "date": date.to_string() }), || {
                format!("{date}: the connection to {} is lost, and made again; the unit goes on", self.host)
            })?;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What became of the tasks, as rows; noted in the bucket too.
    async fn rows_of(&self, day: &Day, watch: &Watch) -> Result<Vec<Row>> {
        let cloud = &self.session.cloud;
        let mut noted = self.records.day(cloud, day.date).await?;
        let mut rows = Vec::new();
        for seen in &watch.tasks {
            let (task, job) = self.named(day, seen);
            let mut ran = Ran {
                version: self.version.clone(),
                state: seen.state.clone(),
                ended: seen.ended,
                seconds: seen.ended.map(|ended| ended - seen.began),
                ..Ran::default()
            };
            if let Some((cluster, step)) = &seen.step {
                let uri =
                    self.cluster.as_ref().filter(|ours| ours.id == *cluster).and_then(|ours| ours.log_uri.clone());
                (ran.cluster, ran.step, ran.log_uri) = (cluster.clone(), step.clone(), uri);
                ran.state.clone_from(&seen.step_state);
                if let Ok(found) = steps::describe(cloud, cluster, step).await {
                    ran.seconds = found.elapsed(ui::time::now());
                }
            }
            if let Some(job) = job {
                ran.command.clone_from(&job.command);
                if let Some(summary) = job.summary.as_ref().filter(|_| seen.state == "done") {
                    ran.summary = record::summary(cloud, summary).await;
                }
            }
            noted.jobs.insert(task.clone(), ran.clone());
            rows.push(Row::new(&day.date, &task, Some(ran)));
        }
        if !rows.is_empty() {
            self.records.write(cloud, day.date, &noted).await?;
        }
        Ok(rows)
    }

    /// What a task is called in a table: as the job whose step it is, if it is one's.
    fn named<'d>(&self, day: &'d Day, seen: &Seen) -> (String, Option<&'d Task>) {
        let program = seen.program.as_deref().filter(|_| seen.of_the_day);
        let job = self.described.jobs.iter().find(|job| {
            let file = job.script.rsplit('/').next().unwrap_or(&job.script);
            program.is_some_and(|program| file.strip_suffix(".py").unwrap_or(file) == program)
        });
        let job = job.and_then(|job| day.jobs.iter().find(|task| task.job == job.name));
        (job.map_or_else(|| seen.task.clone(), |job| job.job.clone()), job)
    }

    fn failed(&self, date: Date, end: &End, watch: &Watch) -> Failure {
        let (name, host, flags) = (&self.name, &self.host, self.session.flags());
        let mut what = format!("{date}: {name} on {host} {}", end.in_words(&self.meanings));
        let failed = watch.failed();
        if !failed.is_empty() {
            let _ = write!(what, "\nfailed: {}", failed.join(", "));
        }
        if !watch.last.is_empty() && !self.verbose {
            what.push_str("\nthe end of its log:");
            watch.last.iter().for_each(|line| _ = write!(what, "\n  {line}"));
        }
        let mut failure = Failure::new(what)
            .hint(format!("`infra{flags} pipeline logs --pipeline {name} --date {date}` prints all of it"));
        failure.hints.extend(summary::logs_of_steps(&self.rows, date, flags, name));
        failure.hint("the same command again goes on where it failed: what is done stays done")
    }

    /// Ends the unit that is at work: its cluster goes.
    async fn stop(&self) {
        let Some(date) = self.now else { return };
        if let Err(error) = self.reach.hosts().script(&self.host, &on_host::stop(&self.name, date), |_| ()).await {
            ui::say(&format!("the unit of {date} on {} could not be ended: {error:#}", self.host));
        }
    }

    /// The user stopped it.
    fn stopped(&self) -> Failure {
        let failure = Failure::cancelled("stopped");
        match &self.cluster {
            Some(cluster) if cluster.ours => failure.hint("the same command again does what is left"),
            _ => failure
                .hint(format!("what is at work on {} goes on there: the same command again follows it", self.host)),
        }
    }
}
