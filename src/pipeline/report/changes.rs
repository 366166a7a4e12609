//! What changed in the columns that came in, from one day to the next that had rows.

use jiff::civil::Date;

use super::{
    Day,
    summary::{Column, Summary},
};

/// A column that fewer rows have than this comes and goes by chance.
const RARE: f64 = 0.01;

/// What happened to a column.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The day before did not have it.
    New,
    /// It is no longer there.
    Gone,
    /// It had another type.
    Type,
}

/// A column that is not as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The day.
    pub date: Date,
    /// The day that it is compared with.
    pub since: Date,
    /// The job that told.
    pub job: String,
    /// The column.
    pub column: String,
    /// What happened.
    pub what: What,
    /// How it was.
    pub before: Option<Column>,
    /// How it is.
    pub now: Option<Column>,
}

impl Change {
    /// Whether it says little: so few rows have the column that it comes and goes.
    pub fn is_rare(&self) -> bool {
        let shares = [&self.before, &self.now].into_iter().flatten().map(|column| column.share.unwrap_or(1.0));
        self.what != What::Type && shares.fold(0.0, f64::max) < RARE
    }
}

/// The changes of each day since the last one before it that the same job told the columns of.
pub fn between(days: &[&Day]) -> Vec<Change> {
    let mut found = Vec::new();
    for (place, day) in days.iter().enumerate() {
        for job in &day.jobs {
            let Some(now) = job.summary().filter(|summary| !summary.schema.is_empty()) else { continue };
            let earlier = days[..place].iter().rev().find_map(|earlier| {
                let same = earlier.jobs.iter().find(|other| other.name == job.name)?;
                Some((earlier.date, same.summary().filter(|summary| !summary.schema.is_empty())?))
            });
            let Some((since, before)) = earlier else { continue };
            for (column, what) in compare(before, now) {
                found.push(Change {
                    date: day.date,
                    since,
                    job: job.name.clone(),
                    before: before.schema.get(&column).cloned(),
                    now: now.schema.get(&column).cloned(),
                    column,
                    what,
                });
            }
        }
    }
    found
}

fn compare(before: &Summary, now: &Summary) -> Vec<(String, What)> {
    let new = now.schema.keys().filter(|name| !before.schema.contains_key(*name)).map(|name| (name.clone(), What::New));
    let gone =
        before.schema.keys().filter(|name| !now.schema.contains_key(*name)).map(|name| (name.clone(), What::Gone));
    let other = now
        .schema
        .iter()
        .filter(|(name, column)| before.schema.get(*name).is_some_and(|earlier| earlier.kind != column.kind));
    new.chain(gone).chain(other.map(|(name, _)| (name.clone(), What::Type))).collect()
}
