//! What became of a pipeline's days: what runs noted in the bucket, and what those know who did them.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    super::{Globals, reach::Reach, session::Session},
    by_luigi,
    summary::Row,
};
use crate::{
    cloud::{Cloud, CodeFolder},
    cluster::steps,
    error::Result,
    pipeline::{
        on_host::{self, End, Look, Note},
        record::{self, Ran, Records},
        stored, work,
    },
    stacks::pipeline::Description,
    ui,
};

/// Objects looked for at once.
const AT_ONCE: usize = 8;

/// What a day's run on a host is while it is at work.
const RUNS: &str = "runs";

/// A day.
#[derive(Clone, Debug)]
pub(super) struct Day {
    pub date: Date,
    /// Tasks by their names.
    pub jobs: BTreeMap<String, Ran>,
    /// The whole of it, as those know it who did it.
    pub run: Option<Whole>,
}

/// A day's run on a host.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Whole {
    /// Who did it.
    pub by: String,
    /// `runs`, `done`, or what went wrong.
    pub state: String,
    /// The exit code, where there is one.
    pub code: Option<u8>,
    /// The version.
    pub version: Option<String>,
    /// When it began and ended, in seconds since 1970.
    pub began: Option<i64>,
    pub ended: Option<i64>,
}

impl Day {
    /// The rows of a table, in the order in which things ended.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut jobs: Vec<(&String, &Ran)> = self.jobs.iter().collect();
        jobs.sort_by_key(|(name, ran)| (ran.ended.unwrap_or(i64::MAX), name.as_str()));
        let mut rows: Vec<Row> =
            jobs.iter().map(|(job, ran)| Row::new(&self.date, job, Some((*ran).clone()))).collect();
        if let Some(run) = &self.run {
            let seconds = run.ended.zip(run.began).map(|(ended, began)| ended - began);
            let ran = Ran { state: run.state.clone(), seconds, ..Ran::default() };
            rows.push(Row::new(&self.date, &run.by, Some(ran)));
        }
        rows
    }

    pub(super) fn json(&self) -> Value {
        json!({ "date": self.date.to_string(), "jobs": self.jobs, "run": self.run })
    }
}

/// The last days that have something noted in the bucket, the newest first.
pub(super) async fn noted(cloud: &Cloud, records: &Records, most: usize) -> Result<Vec<Day>> {
    let noted = records.last(cloud, most).await?.into_iter();
    let mut days: Vec<Day> = noted.map(|(date, day)| Day { date, jobs: day.jobs, run: None }).collect();
    let all = days.iter_mut().flat_map(|day| day.jobs.values_mut());
    for ran in all.filter(|ran| ran.is_at_work() && !ran.step.is_empty()) {
        // Whoever followed it may have gone before it ended.
        let Ok(step) = steps::describe(cloud, &ran.cluster, &ran.step).await else { continue };
        (ran.state, ran.ended, ran.seconds) = (step.state.clone(), step.ended, step.elapsed(ui::time::now()));
    }
    Ok(days)
}

/// A deployed version, and where its code is.
pub(super) struct Deployed {
    pub described: Description,
    pub at: CodeFolder,
}

/// The same for a pipeline by luigi: with what its host noted, and with what is there of its outputs. Says why the host
/// could not be asked, where it could not.
pub(super) async fn by_luigi(
    globals: &Globals,
    session: &Session,
    name: &str,
    deployed: Option<&Deployed>,
    noted: Vec<Day>,
    most: usize,
) -> Result<(Vec<Day>, Look, Option<String>)> {
    let (look, silent) = match Box::pin(ask(globals, session, name, most)).await {
        Ok(look) => (look, None),
        Err(failure) => (Look::default(), Some(failure.message)),
    };
    let meanings = match deployed {
        Some(Deployed { described, at }) => {
            let config = stored::text(&session.cloud, at, name, &described.version, "luigi.cfg").await;
            config.map(|config| on_host::meanings(&config)).unwrap_or_default()
        }
        None => BTreeMap::new(),
    };
    let mut days: BTreeMap<Date, Day> = noted.into_iter().map(|day| (day.date, day)).collect();
    for (date, note) in &look.days {
        let day = days.entry(*date).or_insert_with(|| Day { date: *date, jobs: BTreeMap::new(), run: None });
        day.run = Some(whole(note, look.is_at_work(name, *date), &meanings));
    }
    let days: Vec<Day> = days.into_values().rev().take(most).collect();
    let Some(deployed) = deployed else { return Ok((days, look, silent)) };
    let looks = days.into_iter().map(|day| outputs(&session.cloud, deployed, day));
    let days = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    Ok((days, look, silent))
}

async fn ask(globals: &Globals, session: &Session, name: &str, most: usize) -> Result<Look> {
    let host = session.spec.pipelines[name].on.as_ref().map(|on| on.value.clone()).unwrap_or_default();
    let reach = Reach::open(globals).await?;
    reach.locate(&host).await?;
    by_luigi::look(&reach, &host, name, most).await
}

fn whole(note: &Note, at_work: bool, meanings: &BTreeMap<u8, &'static str>) -> Whole {
    let state = match (note.ended, note.code) {
        (None, _) if at_work => RUNS.to_owned(),
        (Some(_), Some(0)) => "done".to_owned(),
        (_, code) => End { code, result: String::new() }.in_words(meanings),
    };
    let (code, version) = (note.code, Some(note.version.clone()));
    Whole { by: "luigi".into(), state, code, version, began: Some(note.began), ended: note.ended }
}

/// Whether a day's jobs have made what they are to make: also where nobody followed them.
async fn outputs(cloud: &Cloud, deployed: &Deployed, mut day: Day) -> Result<Day> {
    for task in work::of_day(&deployed.described, &deployed.at, day.date, &[])? {
        let Some(output) = &task.output else { continue };
        let known = day.jobs.get(&task.job).cloned();
        let done = record::is_there(cloud, output).await?;
        let ran = match known {
            Some(ran) if !done || ran.state == "COMPLETED" => ran,
            Some(_) | None => {
                let state = match &day.run {
                    _ if done => "done",
                    Some(run) if run.state == RUNS => "not done yet",
                    _ => "not done",
                };
                let state = state.to_owned();
                let summary = match &task.summary {
                    Some(summary) if done => record::summary(cloud, summary).await,
                    _ => None,
                };
                Ran { state, summary, ..Ran::default() }
            }
        };
        day.jobs.insert(task.job, ran);
    }
    Ok(day)
}
