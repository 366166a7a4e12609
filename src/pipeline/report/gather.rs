//! What there is of a pipeline's days in its bucket: the record of each run, and what each job left to say what it did.
//!
//! A day that luigi or Airflow ran has no record; the jobs' summaries are there all the same.

use std::collections::BTreeSet;

use anyhow::Result;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::civil::{Date, date};
use serde_json::Value;

use super::{Day, Job, Said, Summary};
use crate::{
    cloud::{Cloud, CodeFolder, Explain, missing_is_none},
    pipeline::{
        record::{self, Ran, Records},
        work::{self, Task},
    },
    stacks::pipeline::Description,
};

/// Days that are read at once.
const AT_ONCE: usize = 8;
/// A day whose place in the name of a summary is looked for: no pipeline has run for it.
const SAMPLE: Date = date(9876, 5, 4);
/// How that day can stand in a name.
const FORMS: [&str; 2] = ["%Y-%m-%d", "%Y/%m/%d"];

/// Where a pipeline's days are.
pub struct Source<'a> {
    /// The account.
    pub cloud: &'a Cloud,
    /// The folder of its code, whose bucket has the records.
    pub at: &'a CodeFolder,
    /// What its version says of its jobs.
    pub described: &'a Description,
    /// The records of its runs.
    pub records: &'a Records,
}

impl Source<'_> {
    /// The days that something is known of, the oldest first.
    pub async fn known(&self) -> Result<Vec<Date>> {
        let mut dates: BTreeSet<Date> = self.records.dates(self.cloud).await?.into_iter().collect();
        let places: BTreeSet<String> = self
            .tasks(SAMPLE)?
            .into_iter()
            .filter_map(|task| task.summary)
            .filter_map(|uri| before_date(&uri))
            .collect();
        for place in places {
            dates.extend(self.dates_in(&place).await?);
        }
        dates.remove(&SAMPLE);
        Ok(dates.into_iter().collect())
    }

    /// The days whose names follow `place` there.
    async fn dates_in(&self, place: &str) -> Result<BTreeSet<Date>> {
        let Some((bucket, prefix)) = record::parts(place) else { return Ok(BTreeSet::new()) };
        let mut found = BTreeSet::new();
        // A day's folder is named once, however much there is in it; a year's folder leads on to months and days.
        let mut folders = vec![prefix.to_owned()];
        while let Some(folder) = folders.pop() {
            let request = self.cloud.clients.s3.list_objects_v2().bucket(bucket).prefix(&folder).delimiter("/");
            let pages: std::result::Result<Vec<_>, _> =
                request.into_paginator().send().try_collect().await.explain("s3:ListBucket");
            let pages = missing_is_none(pages, &["NoSuchBucket", "404"])?.unwrap_or_default();
            let inner = pages.iter().flat_map(ListObjectsV2Output::common_prefixes).filter_map(|inner| inner.prefix());
            let files = pages.iter().flat_map(ListObjectsV2Output::contents).filter_map(|object| object.key());
            for name in inner.chain(files) {
                match dated(&name[prefix.len().min(name.len())..]) {
                    Dated::Day(date) => drop(found.insert(date)),
                    Dated::Part if name.ends_with('/') => folders.push(name.to_owned()),
                    Dated::Part | Dated::No => {}
                }
            }
        }
        Ok(found)
    }

    /// All that is known of these days, in the same order.
    pub async fn days(&self, dates: &[Date]) -> Result<Vec<Day>> {
        stream::iter(dates.iter().map(|date| self.day(*date))).buffered(AT_ONCE).try_collect().await
    }

    async fn day(&self, date: Date) -> Result<Day> {
        let mut record = self.records.day(self.cloud, date).await?;
        let mut jobs = Vec::new();
        for task in self.tasks(date)? {
            let ran = record.jobs.remove(&task.job);
            let live = match &task.summary {
                Some(uri) => record::told(self.cloud, uri).await?,
                None => None,
            };
            let live = live.filter(|live| !is_of_before(live.written, ran.as_ref()));
            let said = said(live.as_ref().map(|live| &live.text[..]), ran.as_ref(), date);
            jobs.push(Job { name: task.job, ran, tells: task.summary.is_some(), said });
        }
        // Jobs that another version had.
        for (name, ran) in record.jobs {
            let said = said(None, Some(&ran), date);
            jobs.push(Job { name, ran: Some(ran), tells: false, said });
        }
        Ok(Day { date, jobs })
    }

    fn tasks(&self, date: Date) -> Result<Vec<Task>> {
        work::of_day(self.described, self.at, date, &[])
    }
}

/// What a job said of a day: what lies in the bucket now, unless that is about another day; else what the record kept.
pub(super) fn said(live: Option<&[u8]>, ran: Option<&Ran>, date: Date) -> Said {
    let live = live.map(serde_json::from_slice::<Value>);
    let kept = ran.and_then(|ran| ran.summary.as_ref()).map(Summary::read);
    match live {
        Some(Ok(value)) => {
            let summary = Summary::read(&value);
            if summary.is_about(date) {
                return Said::Summary(Box::new(summary));
            }
            kept.map_or(Said::Nothing, |summary| Said::Summary(Box::new(summary)))
        }
        Some(Err(_)) => kept.map_or(Said::Nonsense, |summary| Said::Summary(Box::new(summary))),
        None => kept.map_or(Said::Nothing, |summary| Said::Summary(Box::new(summary))),
    }
}

/// Whether a job that did not end well found this there already: it is then what a run before it said.
fn is_of_before(written: Option<i64>, ran: Option<&Ran>) -> bool {
    let failed = ran.filter(|ran| !ran.is_done() && !ran.is_at_work());
    let began = failed.and_then(|ran| Some(ran.ended? - ran.seconds.unwrap_or(0)));
    // S3's clock and EMR's are both to the second.
    written.zip(began).is_some_and(|(written, began)| written < began)
}

/// What stands before the day in a name that was filled in for [`SAMPLE`].
fn before_date(uri: &str) -> Option<String> {
    let place = FORMS.iter().filter_map(|form| uri.find(&SAMPLE.strftime(form).to_string())).min()?;
    Some(uri[..place].to_owned())
}

/// What a name begins with, as far as days go.
#[derive(Debug, PartialEq, Eq)]
enum Dated {
    /// A day.
    Day(Date),
    /// A year, or a year and a month, in folders.
    Part,
    /// Neither.
    No,
}

fn dated(name: &str) -> Dated {
    if let Some(Ok(date)) = name.get(..10).map(|first| first.replace('/', "-").parse::<Date>()) {
        // `2020-01-01_2020-01-31` is a range, and no day's own.
        let rest = &name[10..];
        return if rest.starts_with(|next: char| next.is_alphanumeric() || next == '_') {
            Dated::No
        } else {
            Dated::Day(date)
        };
    }
    let numbers = |part: &str, letters: usize| part.len() == letters && part.bytes().all(|byte| byte.is_ascii_digit());
    match name.trim_end_matches('/').split('/').collect::<Vec<_>>()[..] {
        [year] if numbers(year, 4) => Dated::Part,
        [year, month] if numbers(year, 4) && numbers(month, 2) => Dated::Part,
        _ => Dated::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_found_in_names() {
        let day = Dated::Day(date(2020, 1, 2));
        for name in ["2020-01-02/", "2020-01-02.json", "2020/01/02/", "2020-01-02"] {
            assert_eq!(dated(name), day, "{name}");
        }
        for name in ["2020/", "2020/01/"] {
            assert_eq!(dated(name), Dated::Part, "{name}");
        }
        for name in ["2020-01-02_2020-01-31/", "pending/", "2020-13-02/", "20200102/", "é020-01-02/", ""] {
            assert_eq!(dated(name), Dated::No, "{name}");
        }
        let place = |uri: &str| before_date(uri);
        assert_eq!(place("s3://lake/runs/clean/9876-05-04/summary.json").unwrap(), "s3://lake/runs/clean/");
        assert_eq!(place("s3://lake/said/9876/05/04/of-9876-05-04.json").unwrap(), "s3://lake/said/");
        assert_eq!(place("s3://lake/gold/vendas_resumo/"), None);
    }

    #[test]
    fn what_was_said_before_a_job_failed_is_not_its_own() {
        let ran = |state: &str| Ran { state: state.into(), ended: Some(100), seconds: Some(10), ..Ran::default() };
        assert!(is_of_before(Some(89), Some(&ran("FAILED"))) && is_of_before(Some(89), Some(&ran("failed"))));
        // Written by it before it failed, or by the run at night that came after.
        assert!(!is_of_before(Some(95), Some(&ran("FAILED"))) && !is_of_before(Some(300), Some(&ran("FAILED"))));
        assert!(!is_of_before(Some(89), Some(&ran("COMPLETED"))) && !is_of_before(Some(89), Some(&ran("RUNNING"))));
        assert!(!is_of_before(Some(89), None) && !is_of_before(None, Some(&ran("FAILED"))));
    }

    #[test]
    fn what_a_job_said_of_another_day_is_not_taken_for_this_one() {
        let other = br#"{"batch": "2020-01-03", "in": 3}"#;
        let ran = Ran { summary: serde_json::from_str(r#"{"batch": "2020-01-02", "in": 2}"#).ok(), ..Ran::default() };
        let come = |said: Said| match said {
            Said::Summary(summary) => summary.rows_in,
            Said::Nothing | Said::Nonsense => None,
        };
        let on = date(2020, 1, 2);
        assert_eq!(come(said(Some(other), Some(&ran), on)), Some(2));
        assert_eq!(come(said(Some(other), Some(&ran), date(2020, 1, 3))), Some(3));
        assert!(matches!(said(Some(other), None, on), Said::Nothing));
        assert!(matches!(said(Some(b"{\"in\": 2"), None, on), Said::Nonsense));
        assert_eq!(come(said(None, Some(&ran), on)), Some(2));
        assert!(matches!(said(None, None, on), Said::Nothing));
    }
}
