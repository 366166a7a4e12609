//! The share of rows that have no value, by column: how it is, how it was, and where it jumped.

use serde::Serialize;

use super::{
    Day, chart,
    summary::Summary,
    words::{share, shown},
};

/// A column whose share changes by more than this from one day to the next is worth a look.
const JUMP: f64 = 0.1;
/// So many columns are shown.
const MOST: usize = 300;

/// The columns of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nulls {
    /// The job.
    pub job: String,
    /// The day that the shares are of.
    pub date: String,
    /// Its columns, the emptiest first.
    pub columns: Vec<Null>,
    /// So many more there are.
    pub more: usize,
    /// Columns that have a value in every row, as on the day before.
    pub full: Vec<String>,
    /// Columns that are left out.
    pub dropped: Vec<String>,
    /// Whether there is a line for some column.
    pub lines: bool,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Null {
    /// Its name.
    pub column: String,
    /// The share, in words.
    pub share: String,
    /// The same in percent, for a bar.
    pub bar: String,
    /// The points of its line over the days.
    pub line: Option<String>,
    /// By how much it changed since the day before.
    pub change: Option<String>,
    /// Whether that is much.
    pub jumped: bool,
}

/// The null rates of the last day that has some, for each job. `days` may begin with one that is only compared with.
pub fn of(days: &[&Day], jobs: &[&str]) -> Vec<Nulls> {
    jobs.iter().filter_map(|job| of_job(days, job)).collect()
}

fn of_job(days: &[&Day], name: &str) -> Option<Nulls> {
    let told = |day: &&'_ Day| Some((day.date, day.jobs.iter().find(|job| job.name == name)?.summary()?.clone()));
    let told: Vec<(jiff::civil::Date, Summary)> =
        days.iter().filter_map(told).filter(|(_, summary)| !summary.null_shares.is_empty()).collect();
    let (date, last) = told.last()?;
    let before = |column: &String| told.iter().rev().nth(1).and_then(|(_, day)| day.null_shares.get(column)).copied();
    let all = last.null_shares.iter().map(|(column, share)| (column, *share));
    let (full, mut columns): (Vec<_>, Vec<_>) =
        all.partition(|(column, share)| *share == 0.0 && before(column).unwrap_or_default() == 0.0);
    columns.sort_by(|(one, a), (other, b)| b.total_cmp(a).then_with(|| one.cmp(other)));
    let more = columns.len().saturating_sub(MOST);
    let column = |(column, now): (&String, f64)| {
        let shares: Vec<f64> = told.iter().filter_map(|(_, day)| day.null_shares.get(column).copied()).collect();
        let change = before(column).map(|before| now - before).filter(|change| change.abs() >= 0.0005);
        Null {
            column: shown(column),
            share: share(now),
            bar: format!("{:.2}", now * 100.0),
            line: chart::line_of(&shares),
            change: change.map(|change| format!("{:+.1}", change * 100.0).replace('-', "−")),
            jumped: change.is_some_and(|change| change.abs() > JUMP),
        }
    };
    let columns: Vec<Null> = columns.into_iter().take(MOST).map(column).collect();
    Some(Nulls {
        job: shown(name),
        date: date.to_string(),
        lines: columns.iter().any(|column| column.line.is_some()),
        columns,
        more,
        full: full.into_iter().take(MOST).map(|(column, _)| shown(column)).collect(),
        dropped: last.dropped_columns.iter().take(MOST).map(|column| shown(column)).collect(),
    })
}
