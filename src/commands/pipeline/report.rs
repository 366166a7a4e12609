//! `infra pipeline report`, and the report that a run ends with.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use jiff::civil::Date;

use super::{
    super::{
        Globals,
        session::{Scope, Session},
    },
    choose,
    summary::Row,
};
use crate::{
    cloud::Cloud,
    error::{Failure, Result},
    pipeline::{
        record::Records,
        report::{self, Source},
        stored,
    },
    resources,
    spec::Spec,
    stacks::pipeline::{DESCRIPTION, Description, code_folder, release},
    ui,
    workspace::Workspace,
};

/// So many of the last days are shown unless it is said which.
const DAYS: usize = 30;
/// More days are no page that anybody reads.
const MOST_DAYS: usize = 400;

/// Writes a page about a pipeline's days, and prints its path: rows by day, null rates, what was rejected and why, changes
/// of the schema.
///
/// It is one HTML file that needs no network and runs no script. What it shows is what the jobs left in the pipeline's
/// bucket, whoever ran them: the summaries that the template's manifest names, in the form that templates/README.md
/// describes. `infra open report` opens it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra pipeline report
  infra pipeline report nyc311 --date 2026-11-23
  infra pipeline report --from 2026-11-01 --to 2026-11-23 -o november.html")]
pub(super) struct Report {
    /// The pipeline; the spec's only one unless said.
    name: Option<String>,
    /// The day; the last 30 that something is known of unless said.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = choose::day, conflicts_with_all = ["from", "to"])]
    date: Option<Date>,
    /// The first day of a range.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = choose::day, requires = "to")]
    from: Option<Date>,
    /// The last day of the range.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = choose::day, requires = "from")]
    to: Option<Date>,
    /// The file; one in `.infra/reports/` unless said.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Report {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { name, date, from, to, output } = self;
        let range = date.map(|date| (date, date)).or(from.zip(to));
        if let Some((from, to)) = range.filter(|(from, to)| from > to) {
            return Err(
                Failure::new(format!("{from} is after {to}")).hint("`--from` is the first day, `--to` the last")
            );
        }
        let session = Session::open(globals, Scope::Cloud).await?;
        let name = choose::one(&session, name.as_deref())?;
        let version = deployed(&session, &name).await?;
        let pages = Pages { session: &session, name: &name, version };
        let file = Box::pin(pages.write(range, output)).await?;
        Ok(ui::print(&format!("{}\n", file.display()))?)
    }
}

/// Writes the report of the last days of the spec's only pipeline; for `infra open report`.
pub(in super::super) async fn write_newest(globals: &Globals) -> Result<PathBuf> {
    let session = Session::open(globals, Scope::Cloud).await?;
    let name = choose::one(&session, None)?;
    let version = deployed(&session, &name).await?;
    Box::pin(Pages { session: &session, name: &name, version }.write(None, None)).await
}

/// Writes the report of the days that a run did something for; its path. A report that cannot be written changes nothing
/// about the run: it is told, no more. There is none where nothing is known that it could show.
pub(super) async fn of_run(session: &Session, name: &str, version: &str, rows: &[Row]) -> Option<PathBuf> {
    let ran = || rows.iter().filter(|row| row.ran.is_some()).filter_map(|row| row.date.parse::<Date>().ok());
    let (first, last) = ran().min().zip(ran().max())?;
    let most = jiff::Span::new().days(i64::try_from(MOST_DAYS).unwrap_or(1) - 1);
    let earliest = last.checked_sub(most).unwrap_or(first);
    let pages = Pages { session, name, version: Some(version.to_owned()) };
    match Box::pin(pages.try_write(Some((first.max(earliest), last)), None)).await {
        Ok(file) => file,
        Err(failure) => {
            ui::say(&format!("note: the run's report could not be written: {}", failure.message));
            None
        }
    }
}

/// The version that is deployed.
async fn deployed(session: &Session, name: &str) -> Result<Option<String>> {
    let known = session.observe().await?;
    Ok(known.find::<Cloud, resources::Pipeline>(name).and_then(|found| found.version.clone()))
}

/// The newest report that was written of one of the spec's pipelines.
pub(in super::super) fn newest(spec: &Spec, workspace: &Workspace, local: bool) -> Option<PathBuf> {
    let files = std::fs::read_dir(workspace.reports()).ok()?.flatten();
    let ours = files.filter(|file| {
        let name = file.file_name();
        name.to_str().is_some_and(|name| spec.pipelines.keys().any(|pipeline| is_of(name, pipeline, local)))
    });
    let written = ours.filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file.path())));
    written.max().map(|(_, path)| path)
}

/// What a report of these days is called; the local cloud's is not taken for AWS's.
fn file_name(pipeline: &str, local: bool, first: Date, last: Date) -> String {
    let realm = if local { "local-" } else { "" };
    let days = if first == last { first.to_string() } else { format!("{first}_{last}") };
    format!("{pipeline}-{realm}{days}.html")
}

fn is_of(name: &str, pipeline: &str, local: bool) -> bool {
    let days = || {
        let rest = name.strip_suffix(".html")?.strip_prefix(pipeline)?.strip_prefix('-')?;
        let days = if local { rest.strip_prefix("local-")? } else { rest };
        let (first, last) = days.split_once('_').unwrap_or((days, days));
        Some(first.parse::<Date>().is_ok() && last.parse::<Date>().is_ok())
    };
    days().unwrap_or(false)
}

/// The reports of one pipeline.
struct Pages<'a> {
    session: &'a Session,
    name: &'a str,
    /// The version that is deployed; nothing where none is.
    version: Option<String>,
}

impl Pages<'_> {
    async fn write(&self, range: Option<(Date, Date)>, output: Option<PathBuf>) -> Result<PathBuf> {
        self.try_write(range, output).await?.ok_or_else(|| self.nothing(range))
    }

    /// Writes the page; nothing where nothing is known of the days.
    async fn try_write(&self, range: Option<(Date, Date)>, output: Option<PathBuf>) -> Result<Option<PathBuf>> {
        let Self { session, name, ref version } = *self;
        let (cloud, account) = (&session.cloud, &session.cloud.names.account);
        let pipeline = &session.spec.pipelines[name];
        let at = code_folder(&session.spec, pipeline, account);
        let described = match version {
            Some(version) => stored::description(cloud, &at, name, version).await?,
            // What it left is there still.
            None => self.in_folder()?,
        };
        let records = Records { bucket: at.bucket.clone(), pipeline: name.to_owned() };
        let source = Source { cloud, at: &at, described: &described, records: &records };
        let (dates, before) = dates(&source, range).await?;
        let mut days = source.days(&dates).await?;
        if !days.iter().any(report::Day::is_known) {
            return Ok(None);
        }
        // A range has days of which nothing is known, before the first run and after the last.
        days.retain(|day| range.is_some() || day.is_known());
        let before = match before {
            Some(before) => source.days(&[before]).await?.pop(),
            None => None,
        };
        let whose = if session.local { "the local cloud".to_owned() } else { format!("account {account}") };
        let (first, last) = (days[0].date, days[days.len() - 1].date);
        let version = version.clone();
        let made = ui::time::clock(ui::time::now());
        let place = format!("{}, {whose}", session.spec.region.value);
        let stack = session.spec.stack.to_string();
        let page =
            report::render(&report::Report { pipeline: name.to_owned(), stack, place, version, made, days, before })?;
        let file = if let Some(file) = output {
            file
        } else {
            let workspace = Workspace::of(&session.file);
            workspace.prepare()?;
            workspace.reports().join(file_name(name, session.local, first, last))
        };
        put(&file, &page).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Some(file))
    }

    /// What the template's folder says of the jobs.
    fn in_folder(&self) -> Result<Description> {
        let Self { session, name, .. } = *self;
        let release = release(&session.spec, name, &session.spec.pipelines[name], &session.cloud.names.account)?;
        let text = release.files.get(DESCRIPTION).context("a version has a description")?;
        Ok(serde_json::from_slice(text).context("our own description")?)
    }

    fn nothing(&self, range: Option<(Date, Date)>) -> Failure {
        let Self { session, name, .. } = *self;
        let days = match range {
            None => String::new(),
            Some((first, last)) if first == last => format!(" for {first}"),
            Some((first, last)) => format!(" from {first} to {last}"),
        };
        let flags = session.flags();
        Failure::new(format!("{name} has not run{days}, as far as its bucket tells")).hint(format!(
            "`infra{flags} pipeline status {name}` shows what ran; `infra{flags} pipeline run {name}` runs it"
        ))
    }
}

/// The days that the page shows, and the one before them that the first is compared with.
async fn dates(source: &Source<'_>, range: Option<(Date, Date)>) -> Result<(Vec<Date>, Option<Date>)> {
    let Some((first, last)) = range else {
        let known = source.known().await?;
        let (earlier, shown) = known.split_at(known.len().saturating_sub(DAYS));
        return Ok((shown.to_vec(), earlier.last().copied()));
    };
    let dates: Vec<Date> =
        first.series(jiff::Span::new().days(1)).take_while(|date| *date <= last).take(MOST_DAYS + 1).collect();
    if dates.len() > MOST_DAYS {
        return Err(Failure::new(format!("from {first} to {last} are more than {MOST_DAYS} days")));
    }
    Ok((dates, first.yesterday().ok()))
}

/// Writes a file whole or not at all, into a folder that may have to be made.
fn put(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{file_name, is_of};

    #[test]
    fn the_newest_report_is_of_the_pipeline_and_the_cloud_that_are_asked_for() {
        let (one, last) = (date(2020, 1, 1), date(2020, 1, 3));
        for (first, local) in [(one, false), (one, true), (last, false), (last, true)] {
            let name = file_name("nyc311", local, first, last);
            assert!(is_of(&name, "nyc311", local) && !is_of(&name, "nyc311", !local), "{name}");
            assert!(!is_of(&name, "nyc", local) && !is_of(&name, "311", local), "{name}");
        }
        assert_eq!(file_name("a", true, one, last), "a-local-2020-01-01_2020-01-03.html");
        assert!(!is_of("a-mine.html", "a", false) && !is_of("a-2020-01-01.html.bak", "a", false));
    }
}
