//! `infra pipeline run` and `infra pipeline backfill`.

use clap::Args;
use engine::Inventory;
use jiff::civil::Date;
use serde_json::json;

use super::{
    super::{
        Changing, Globals,
        session::{Scope, Session},
    },
    by_airflow, by_luigi, by_steps, choose,
    summary::tell,
};
use crate::{
    cloud::{Cloud, CodeFolder},
    error::{Failure, Result},
    pipeline::{stored, work},
    resources,
    spec::{Orchestrator, nearest},
    stacks::pipeline::{Description, code_folder, release},
};

/// More days at once are a slip of the pen.
const MOST_DAYS: i64 = 3_660;

/// Runs a deployed pipeline for a day, or for each day of a range, and ends as it does.
///
/// By `steps` its jobs run on the stack's cluster, one after the other. By `luigi` its unit on the host is started and
/// followed. Where either needs a cluster and none is up, one is started, and ended when the run is over, however it ends.
/// By `airflow` a run of its DAG is triggered and followed, which has a cluster of its own.
///
/// It ends with the path of its report: a page about the days that it did, as `infra pipeline report` writes it.
///
/// What is done for a day already is left out: the same command again does what is left, and follows what is at work.
///
/// Ctrl-C ends the run: a cluster that it started is ended, and what luigi was doing on it. Otherwise what is at work goes
/// on, and the same command follows it. Airflow always goes on.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra pipeline run
  infra pipeline run nyc311 --date 2026-11-23
  infra pipeline run --from 2026-11-01 --to 2026-11-23 --yes
  infra pipeline run --setting rows=1000 --again

`--set` sets a variable of the spec, as for every verb; `--setting` a setting of the pipeline, for this run.")]
pub(super) struct Run {
    /// The pipeline; the spec's only one unless said.
    name: Option<String>,
    /// The day; yesterday, by the clock of the pipeline's schedule, unless said.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = choose::day, conflicts_with_all = ["from", "to"])]
    date: Option<Date>,
    /// The first day of a range.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = choose::day, requires = "to")]
    from: Option<Date>,
    /// The last day of the range.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = choose::day, requires = "from")]
    to: Option<Date>,
    #[command(flatten)]
    how: How,
}

/// Runs a deployed pipeline for every day of a range that is not done; a day that fails does not stop the others.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  infra pipeline backfill nyc311 --from 2026-01-01 --to 2026-01-31 --yes")]
pub(super) struct Backfill {
    /// The pipeline; the spec's only one unless said.
    name: Option<String>,
    /// The first day.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = choose::day)]
    from: Date,
    /// The last day.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = choose::day)]
    to: Date,
    #[command(flatten)]
    how: How,
}

/// What both have.
#[derive(Args, Debug)]
struct How {
    /// A setting of the pipeline for this run; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    setting: Vec<String>,
    /// Does also what is done already.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    changing: Changing,
}

impl Run {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { name, date, from, to, how } = self;
        let days = match (date, from.zip(to)) {
            (Some(date), _) => Days::Range(date, date),
            (None, Some((from, to))) => Days::Range(from, to),
            (None, None) => Days::Yesterday,
        };
        Box::pin(go(globals, name.as_deref(), days, how, false)).await
    }
}

impl Backfill {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { name, from, to, how } = self;
        Box::pin(go(globals, name.as_deref(), Days::Range(from, to), how, true)).await
    }
}

#[derive(Clone, Copy)]
enum Days {
    Yesterday,
    Range(Date, Date),
}

/// A run of a deployed version, before anything was asked of those who do it.
pub(super) struct Ready {
    pub session: Session,
    /// What is there.
    pub known: Inventory,
    pub name: String,
    /// The version that is deployed.
    pub version: String,
    /// What it says of itself.
    pub described: Description,
    /// Where its code is.
    pub at: CodeFolder,
    /// The days, the oldest first.
    pub dates: Vec<Date>,
    /// Settings for this run, as they were written.
    pub settings: Vec<String>,
    /// Whether it does also what is done.
    pub again: bool,
    /// Whether a day that fails leaves the others to be done.
    pub goes_on: bool,
    pub changing: Changing,
}

async fn go(globals: &Globals, name: Option<&str>, days: Days, how: How, goes_on: bool) -> Result {
    let How { setting: settings, again, changing } = how;
    let session = Session::open(globals, Scope::Cloud).await?;
    let name = choose::one(&session, name)?;
    let pipeline = &session.spec.pipelines[&name];
    let known = session.observe().await?;
    let flags = session.flags();
    let deployed = known.find::<Cloud, resources::Pipeline>(&name).and_then(|found| found.version.clone());
    let Some(version) = deployed else {
        return Err(Failure::new(format!("pipeline {name} is not deployed"))
            .hint(format!("`infra{flags} pipeline deploy {name}` deploys it")));
    };
    let account = &session.cloud.names.account;
    let at = code_folder(&session.spec, pipeline, account);
    let described = stored::description(&session.cloud, &at, &name, &version).await?;
    let in_folder = release(&session.spec, &name, pipeline, account).ok().map(|held| held.version);
    if in_folder.as_ref() != Some(&version) {
        let event = json!({ "event": "version", "deployed": version, "in_folder": in_folder });
        tell(changing.json, &event, || match &in_folder {
            Some(held) => format!(
                "note: version {version} is deployed and runs; the folder holds {held}: `infra{flags} pipeline deploy {name}` \
                 deploys that"
            ),
            None => format!(
                "note: version {version} is deployed and runs; the folder holds nothing that can be deployed: \
                 `infra{flags} validate` says why"
            ),
        })?;
    }
    let dates = dates(days, pipeline.schedule.as_ref().map(|schedule| schedule.zone.as_str()))?;
    let orchestrator = *pipeline.orchestrator;
    if orchestrator != Orchestrator::Steps && !settings.is_empty() {
        let by = orchestrator.word();
        return Err(Failure::new(format!("--setting is for pipelines by `steps`: {by} has its settings on its host"))
            .hint(if work::settings(&described).is_empty() {
                format!("its template has none: change what its files say, and `infra{flags} pipeline deploy {name}`")
            } else {
                format!("write it under `settings:` of pipeline `{name}`, and `infra{flags} pipeline deploy {name}`")
            }));
    }
    let ready = Ready { session, known, name, version, described, at, dates, settings, again, goes_on, changing };
    match orchestrator {
        Orchestrator::Steps => Box::pin(by_steps::go(globals, ready)).await,
        Orchestrator::Luigi => Box::pin(by_luigi::go(globals, ready)).await,
        Orchestrator::Airflow => Box::pin(by_airflow::go(globals, ready)).await,
    }
}

/// `NAME=VALUE`, of settings that there are.
pub(super) fn pairs(written: &[String], known: &[&str]) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for text in written {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Failure::new(format!("--setting {text}: expected NAME=VALUE")));
        };
        if !known.contains(&name) {
            let failure = Failure::new(format!("--setting {text}: the pipeline has no setting `{name}`"));
            return Err(match nearest(name, known.iter().copied()) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint(format!("it has: {}", known.join(", "))),
            });
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}

/// The days, the oldest first.
fn dates(days: Days, zone: Option<&str>) -> Result<Vec<Date>> {
    let zone = zone.and_then(|zone| jiff::tz::TimeZone::get(zone).ok()).unwrap_or(jiff::tz::TimeZone::UTC);
    let today = jiff::Timestamp::now().to_zoned(zone).date();
    let (from, to) = match days {
        Days::Range(from, to) => (from, to),
        Days::Yesterday => {
            let yesterday = today.yesterday().map_err(|error| Failure::new(error.to_string()))?;
            (yesterday, yesterday)
        }
    };
    // A day more: somewhere it is tomorrow already.
    if today.tomorrow().is_ok_and(|tomorrow| to > tomorrow) {
        return Err(Failure::new(format!("{to} is still to come")).hint("a run is about a day that was, or is"));
    }
    if from > to {
        return Err(Failure::new(format!("{from} is after {to}")).hint("`--from` is the first day, `--to` the last"));
    }
    let mut dates = Vec::new();
    let mut next = from;
    while next <= to {
        dates.push(next);
        if i64::try_from(dates.len()).unwrap_or(i64::MAX) > MOST_DAYS {
            return Err(Failure::new(format!("from {from} to {to} are more than {MOST_DAYS} days")));
        }
        next = next.tomorrow().map_err(|error| Failure::new(error.to_string()))?;
    }
    Ok(dates)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{Days, dates, pairs};

    #[test]
    fn a_range_has_both_ends() {
        let range = |from, to| dates(Days::Range(from, to), None);
        assert_eq!(range(date(2020, 2, 28), date(2020, 3, 1)).unwrap().len(), 3);
        assert!(range(date(2020, 3, 1), date(2020, 2, 28)).unwrap_err().message.contains("is after"));
        assert!(range(date(2020, 1, 1), date(9000, 1, 1)).unwrap_err().message.contains("still to come"));
        assert!(range(date(1900, 1, 1), date(2020, 1, 1)).unwrap_err().message.contains("more than"));
        assert_eq!(dates(Days::Yesterday, Some("America/New_York")).unwrap().len(), 1);
    }

    #[test]
    fn settings_are_known_ones() {
        let written = ["rows=3=4".to_owned()];
        assert_eq!(pairs(&written, &["rows"]).unwrap(), [("rows".to_owned(), "3=4".to_owned())]);
        assert!(pairs(&["rwos=1".to_owned()], &["rows"]).unwrap_err().hints[0].contains("`rows`"));
        assert!(pairs(&["rows".to_owned()], &["rows"]).unwrap_err().message.contains("NAME=VALUE"));
    }
}
