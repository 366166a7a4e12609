//! What the page says: a report's numbers added up and put into words. Everything that the template shows is here, ready.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Day, Job, Report, Rows, Said, State,
    changes::{self, Change, What},
    chart::{self, Chart, Part},
    nulls::{self, Nulls},
    summary::{Column, Counts, Summary},
    words::{counted, number, part, share, shown, tenths},
};
use crate::ui::time::elapsed;

/// So many rows of a table of reasons or changes are shown.
const MOST: usize = 100;

/// The page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    pipeline: String,
    stack: String,
    place: String,
    version: Option<String>,
    made: String,
    /// `2026-11-01 to 2026-11-23, 3 days`
    span: String,
    verdicts: Vec<Verdict>,
    figures: Vec<Figure>,
    /// The parts of bars, and their words.
    legend: Vec<(&'static str, &'static str)>,
    chart: Option<Chart>,
    /// Instead of the chart, where there is one day.
    bar: Vec<Part>,
    days: Vec<DayRow>,
    reasons: Vec<Counted>,
    problems: Vec<Counted>,
    nulls: Vec<Nulls>,
    /// Whether any day told its columns, and has one to compare them with.
    compared: bool,
    changes: Vec<ChangeRow>,
    more_changes: usize,
    unknown_columns: Vec<String>,
    /// The days again, with all that their jobs said; the newest first.
    told: Vec<Told>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Verdict {
    bad: bool,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Figure {
    name: &'static str,
    value: String,
    note: String,
    /// Which part of a bar it is, for its colour.
    class: &'static str,
    bad: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DayRow {
    date: String,
    state: &'static str,
    class: &'static str,
    rows: [String; 4],
    unaccounted: String,
    bad: bool,
    time: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Counted {
    what: String,
    count: String,
    part: String,
    /// Of the greatest, in percent.
    bar: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ChangeRow {
    date: String,
    since: String,
    job: String,
    column: String,
    what: &'static str,
    before: String,
    now: String,
    rare: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Told {
    date: String,
    state: &'static str,
    class: &'static str,
    jobs: Vec<ToldJob>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ToldJob {
    name: String,
    state: &'static str,
    class: &'static str,
    note: Option<&'static str>,
    /// Everything else as names and texts.
    values: Vec<(String, String)>,
    by_day: Vec<Counted>,
}

/// Adds a report up.
pub fn of(report: &Report) -> View {
    let days = &report.days;
    let compared: Vec<&Day> = report.before.iter().chain(days).collect();
    let rows: Vec<(jiff::civil::Date, Rows)> = days.iter().map(|day| (day.date, day.rows())).collect();
    let total = total(days);
    let all = changes::between(&compared);
    let all: Vec<Change> = all.into_iter().filter(|change| days.iter().any(|day| day.date == change.date)).collect();
    let told = || days.iter().flat_map(|day| &day.jobs).filter_map(Job::summary);
    let come = total.come.unwrap_or_default();
    let tells_columns = compared.iter().filter(|day| day.jobs.iter().filter_map(Job::summary).any(has_schema)).count();
    View {
        pipeline: shown(&report.pipeline),
        stack: shown(&report.stack),
        place: shown(&report.place),
        version: report.version.as_deref().map(shown),
        made: report.made.clone(),
        span: span(days),
        verdicts: verdicts(days, &total),
        figures: figures(days, &total, (tells_columns > 1).then_some(all.as_slice())),
        legend: chart::legend(&rows.iter().map(|(_, rows)| *rows).collect::<Vec<_>>()),
        chart: (days.len() > 1).then(|| chart::of_days(&rows)),
        bar: rows.first().filter(|_| days.len() == 1).map(|(_, rows)| chart::of_rows(rows)).unwrap_or_default(),
        days: days.iter().map(day_row).collect(),
        reasons: by_count(&added(told().map(|summary| &summary.rejected_by_reason)), come),
        problems: by_count(&added(told().map(|summary| &summary.problems)), come),
        nulls: nulls::of(&compared, &job_names(days)),
        compared: tells_columns > 1,
        more_changes: all.len().saturating_sub(MOST),
        changes: in_order(&all).into_iter().take(MOST).map(change_row).collect(),
        unknown_columns: unknown_columns(told()),
        told: days.iter().rev().map(told_day).collect(),
    }
}

fn has_schema(summary: &Summary) -> bool {
    !summary.schema.is_empty()
}

/// The jobs of all days, each once, in their order.
fn job_names(days: &[Day]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for job in days.iter().flat_map(|day| &day.jobs) {
        if !names.contains(&job.name.as_str()) {
            names.push(&job.name);
        }
    }
    names
}

/// All days as one.
fn total(days: &[Day]) -> Rows {
    let mut total = Rows::default();
    let add = |sum: &mut Option<u64>, more: Option<u64>| {
        if let Some(more) = more {
            *sum = Some(sum.unwrap_or_default().saturating_add(more));
        }
    };
    for rows in days.iter().map(Day::rows) {
        add(&mut total.come, rows.come);
        add(&mut total.gone, rows.gone);
        total.duplicates = total.duplicates.saturating_add(rows.duplicates);
        total.rejected = total.rejected.saturating_add(rows.rejected);
    }
    total
}

fn span(days: &[Day]) -> String {
    match days {
        [] => "no day".into(),
        [day] => day.date.to_string(),
        [first, .., last] => format!("{} to {}, {}", first.date, last.date, counted(days.len() as u64, "day")),
    }
}

/// What to look at first.
fn verdicts(days: &[Day], total: &Rows) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let on = |found: &[&Day]| {
        let named: Vec<String> = found.iter().take(5).map(|day| day.date.to_string()).collect();
        let more = if found.len() > named.len() { ", …" } else { "" };
        format!("{}{more}", named.join(", "))
    };
    let mut tell = |found: Vec<&Day>, what: &str| {
        if !found.is_empty() {
            let text = format!("{} {what}: {}", counted(found.len() as u64, "day"), on(&found));
            verdicts.push(Verdict { bad: true, text });
        }
    };
    let in_state = |state: State| days.iter().filter(|day| day.state() == state).collect::<Vec<_>>();
    tell(in_state(State::Failed), "failed");
    tell(in_state(State::Running), "not at its end");
    tell(in_state(State::Missing), "without a summary of each job");
    let lost: Vec<&Day> = days.iter().filter(|day| day.rows().unaccounted().is_some_and(|rows| rows != 0)).collect();
    tell(lost, "with rows unaccounted for");
    let counts = days.iter().any(|day| day.rows().unaccounted().is_some());
    if verdicts.is_empty() && counts {
        let text = format!(
            "Every row is accounted for: {} in = {} out + {} + {} rejected",
            number(total.come.unwrap_or_default()),
            number(total.gone.unwrap_or_default()),
            counted(total.duplicates, "duplicate"),
            number(total.rejected)
        );
        verdicts.push(Verdict { bad: false, text });
    }
    verdicts
}

fn figures(days: &[Day], total: &Rows, changes: Option<&[Change]>) -> Vec<Figure> {
    let come = total.come.unwrap_or_default();
    let of_come = |count: u64| if come == 0 { String::new() } else { part(count, come) };
    let known = |count: Option<u64>| count.map_or_else(|| "–".into(), number);
    let done = days.iter().filter(|day| day.state() == State::Done).count() as u64;
    let lost: i128 = days.iter().filter_map(|day| day.rows().unaccounted()).sum();
    let often = changes.map(|changes| changes.iter().filter(|change| !change.is_rare()).count() as u64);
    let rare = changes.map_or(0, <[Change]>::len) as u64 - often.unwrap_or_default();
    let figure = |name, value, note, class| Figure { name, value, note, class, bad: false };
    vec![
        figure(
            "rows in",
            known(total.come),
            format!("{} of {} done", number(done), counted(days.len() as u64, "day")),
            "",
        ),
        figure("rows out", known(total.gone), total.gone.map(of_come).unwrap_or_default(), "out"),
        figure("duplicates", number(total.duplicates), of_come(total.duplicates), "duplicates"),
        figure("rejected", number(total.rejected), of_come(total.rejected), "rejected"),
        Figure { bad: lost != 0, ..figure("unaccounted", number(lost), "in − out − the others".into(), "open") },
        figure(
            "schema changes",
            known(often),
            if rare == 0 { String::new() } else { format!("and {} rare", number(rare)) },
            "",
        ),
    ]
}

fn words_of(state: State) -> (&'static str, &'static str) {
    match state {
        State::Unknown => ("", "unknown"),
        State::Done => ("done", "done"),
        State::Missing => ("no summary", "missing"),
        State::Running => ("running", "running"),
        State::Failed => ("failed", "failed"),
    }
}

fn day_row(day: &Day) -> DayRow {
    let rows = day.rows();
    let (state, class) = words_of(day.state());
    let known = |count: Option<u64>| count.map(number).unwrap_or_default();
    let others = |count: u64| if rows.come.is_some() { number(count) } else { String::new() };
    DayRow {
        date: day.date.to_string(),
        state,
        class,
        rows: [known(rows.come), known(rows.gone), others(rows.duplicates), others(rows.rejected)],
        unaccounted: rows.unaccounted().map(number).unwrap_or_default(),
        bad: rows.unaccounted().is_some_and(|lost| lost != 0),
        time: day.seconds().map(elapsed).unwrap_or_default(),
    }
}

/// Counts of several summaries in one.
fn added<'a>(all: impl Iterator<Item = &'a Counts>) -> Counts {
    let mut sums = Counts::new();
    for (what, count) in all.flatten() {
        let sum = sums.entry(what.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    sums
}

/// The greatest first; what is beyond the most that are shown is one line.
fn by_count(counts: &Counts, whole: u64) -> Vec<Counted> {
    let mut sorted: Vec<(&String, u64)> = counts.iter().map(|(what, count)| (what, *count)).collect();
    sorted.sort_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
    let greatest = sorted.first().map_or(0, |(_, count)| *count);
    let row = |what: String, count: u64| Counted {
        what,
        count: number(count),
        part: if whole == 0 { String::new() } else { part(count, whole) },
        bar: (tenths(count, greatest) / 10).to_string(),
    };
    let mut rows: Vec<Counted> = sorted.iter().take(MOST).map(|(what, count)| row(shown(what), *count)).collect();
    if let Some(rest) = sorted.get(MOST..).filter(|rest| !rest.is_empty()) {
        let sum = rest.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count));
        rows.push(row(format!("{} more", number(rest.len() as u64)), sum));
    }
    rows
}

/// The newest first, and of a day those that say most.
fn in_order(changes: &[Change]) -> Vec<&Change> {
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by(|one, other| {
        other
            .date
            .cmp(&one.date)
            .then_with(|| one.is_rare().cmp(&other.is_rare()))
            .then_with(|| one.column.cmp(&other.column))
    });
    sorted
}

fn change_row(change: &Change) -> ChangeRow {
    let column = |column: &Option<Column>| {
        let Some(Column { kind, share: of }) = column else { return "–".to_owned() };
        let rows = of.map(|of| format!(", {} of rows", share(of))).unwrap_or_default();
        format!("{}{rows}", shown(kind))
    };
    ChangeRow {
        date: change.date.to_string(),
        since: change.since.to_string(),
        job: shown(&change.job),
        column: shown(&change.column),
        what: match change.what {
            What::New => "new",
            What::Gone => "gone",
            What::Type => "other type",
        },
        before: column(&change.before),
        now: column(&change.now),
        rare: change.is_rare(),
    }
}

fn unknown_columns<'a>(all: impl Iterator<Item = &'a Summary>) -> Vec<String> {
    let mut names: Vec<String> = all.flat_map(|summary| &summary.unknown_columns).map(|name| shown(name)).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(MOST);
    names
}

fn told_day(day: &Day) -> Told {
    let (state, class) = words_of(day.state());
    Told { date: day.date.to_string(), state, class, jobs: day.jobs.iter().map(told_job).collect() }
}

fn told_job(job: &Job) -> ToldJob {
    let (state, class) = words_of(job.state());
    let mut values: Vec<(String, String)> = Vec::new();
    let mut say = |name: &str, value: Option<String>| values.extend(value.map(|value| (name.to_owned(), value)));
    let summary = job.summary();
    for (name, of) in [
        ("in", summary.and_then(|summary| summary.rows_in)),
        ("out", summary.and_then(|summary| summary.rows_out)),
        ("duplicates", summary.and_then(|summary| summary.duplicates)),
        ("rejected", summary.and_then(|summary| summary.rejected)),
    ] {
        say(name, of.map(number));
    }
    say("time", job.seconds().map(elapsed));
    say("batch", summary.and_then(|summary| summary.batch.as_deref()).map(shown));
    if let Some(ran) = &job.ran {
        say("ended as", Some(shown(&ran.state)));
        say("version", Some(shown(&ran.version)));
        say("step", Some(format!("{} of {}", shown(&ran.step), shown(&ran.cluster))));
    }
    let rest: BTreeMap<_, _> = summary.iter().flat_map(|summary| summary.rest.iter().cloned()).collect();
    values.extend(rest);
    let note = match (&job.said, job.state()) {
        (Said::Nonsense, _) => Some("Its summary is no JSON."),
        (Said::Nothing, State::Missing) => Some("It left no summary."),
        _ => None,
    };
    let by_day = summary.map(|summary| in_days(&summary.by_day)).unwrap_or_default();
    ToldJob { name: shown(&job.name), state, class, note, values, by_day }
}

/// In the order of the days, and not by what they count.
fn in_days(counts: &Counts) -> Vec<Counted> {
    let mut rows = by_count(counts, 0);
    rows.sort_by(|one, other| one.what.cmp(&other.what));
    rows
}
