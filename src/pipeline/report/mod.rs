//! The report of a pipeline's days: what its jobs said they did, added up, compared from day to day, and shown as a page.
//!
//! `gather` reads what jobs left in the pipeline's bucket, `summary` understands it as far as it follows the contract of
//! `templates/README.md`, `view` adds it up, and `page` fills in `templates/report/page.html`. Only the first asks AWS.

mod changes;
mod chart;
mod gather;
mod nulls;
mod page;
mod summary;
#[cfg(test)]
mod tests;
mod view;
mod words;

pub use gather::Source;
pub use page::render;
pub use summary::Summary;

use jiff::civil::Date;

use super::record::Ran;

/// What a report is about.
#[derive(Clone, Debug)]
pub struct Report {
    /// The pipeline.
    pub pipeline: String,
    /// The stack.
    pub stack: String,
    /// Where: `us-west-2, the local cloud`.
    pub place: String,
    /// The version that is deployed.
    pub version: Option<String>,
    /// When the report was made: `2026-11-24 14:03`.
    pub made: String,
    /// The days, the oldest first.
    pub days: Vec<Day>,
    /// The day before the first one, which it is compared with.
    pub before: Option<Day>,
}

/// A day of a pipeline.
#[derive(Clone, Debug)]
pub struct Day {
    /// The day.
    pub date: Date,
    /// Its jobs, in the order in which they run.
    pub jobs: Vec<Job>,
}

/// A job of a day.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// How it ran last, as far as `infra` ran it; a job that luigi or Airflow ran has none.
    pub ran: Option<Ran>,
    /// Whether it leaves a summary when it is done.
    pub tells: bool,
    /// What it said it did.
    pub said: Said,
}

/// What there is of a job's own words.
#[derive(Clone, Debug, Default)]
pub enum Said {
    /// There is no summary.
    #[default]
    Nothing,
    /// There is one, and it is no JSON.
    Nonsense,
    /// There is one.
    Summary(Box<Summary>),
}

/// How far a job or a day came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is known of it, and nothing is missing.
    Unknown,
    /// It is done.
    Done,
    /// A summary should be there, and is not.
    Missing,
    /// It has begun.
    Running,
    /// It failed.
    Failed,
}

/// How many rows a day had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// That came in: of the first job that counts.
    pub come: Option<u64>,
    /// That went out: of the last job that counts, once all jobs of the day have told.
    pub gone: Option<u64>,
    /// That were there already, in all jobs.
    pub duplicates: u64,
    /// That were left out with a reason, in all jobs.
    pub rejected: u64,
}

impl Job {
    /// What it said, where that can be understood.
    pub fn summary(&self) -> Option<&Summary> {
        match &self.said {
            Said::Summary(summary) => Some(summary),
            Said::Nothing | Said::Nonsense => None,
        }
    }

    /// How far it came.
    pub fn state(&self) -> State {
        let silent = self.tells && self.summary().is_none();
        match &self.ran {
            Some(ran) if ran.is_at_work() => State::Running,
            Some(ran) if !ran.is_done() => State::Failed,
            _ if silent => State::Missing,
            None if self.summary().is_none() => State::Unknown,
            _ => State::Done,
        }
    }

    /// For how long it ran, in seconds.
    pub fn seconds(&self) -> Option<i64> {
        self.ran.as_ref().and_then(|ran| ran.seconds).or_else(|| self.summary()?.seconds)
    }
}

impl Day {
    /// How far it came: as its worst job.
    pub fn state(&self) -> State {
        self.jobs.iter().map(Job::state).max().unwrap_or(State::Unknown)
    }

    /// Whether anything is known of it.
    pub fn is_known(&self) -> bool {
        self.jobs.iter().any(|job| job.ran.is_some() || !matches!(job.said, Said::Nothing))
    }

    /// Its rows.
    pub fn rows(&self) -> Rows {
        let told = || self.jobs.iter().filter_map(Job::summary);
        let whole = matches!(self.state(), State::Unknown | State::Done);
        let sum = |of: fn(&Summary) -> Option<u64>| told().filter_map(of).fold(0, u64::saturating_add);
        Rows {
            come: told().find_map(|summary| summary.rows_in),
            gone: told().filter_map(|summary| summary.rows_out).next_back().filter(|_| whole),
            duplicates: sum(|summary| summary.duplicates),
            rejected: sum(|summary| summary.rejected),
        }
    }

    /// For how long its jobs ran, in seconds.
    pub fn seconds(&self) -> Option<i64> {
        self.jobs.iter().filter_map(Job::seconds).reduce(i64::saturating_add)
    }
}

impl Rows {
    /// Rows that came in and are neither out, nor duplicates, nor rejected; fewer than none where more went out than came.
    pub fn unaccounted(&self) -> Option<i128> {
        let (come, gone) = (i128::from(self.come?), i128::from(self.gone?));
        Some(come - gone - i128::from(self.duplicates) - i128::from(self.rejected))
    }
}
