//! What became of a pipeline's days: one small object a day, in the pipeline's own bucket.
//!
//! ```text
//! infra/runs/nyc311/2026-11-23.json    each job with the step that ran it, how it ended and what it said it did
//! ```
//!
//! A job is done for a day once a step with the very same command has completed and what it makes is there. So the
//! same run again does only what is left, and a new version of the code, or another setting, does all of it again.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use aws_sdk_s3::{operation::list_objects_v2::ListObjectsV2Output, primitives::ByteStream};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cloud::{Cloud, Explain, missing_is_none};

/// What S3 answers where there is no such object.
const ABSENT: &[&str] = &["NotFound", "NoSuchKey", "NoSuchBucket", "404"];
/// No record and no summary is larger: what claims to be one is not read into memory.
const LARGEST: i64 = 16 * 1024 * 1024;
/// Objects on their way at once.
const AT_ONCE: usize = 8;

/// Where a pipeline's records are.
#[derive(Clone, Debug)]
pub struct Records {
    /// The bucket's name in S3.
    pub bucket: String,
    /// The pipeline.
    pub pipeline: String,
}

/// One day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// What became of the jobs, by their names.
    pub jobs: BTreeMap<String, Ran>,
}

/// How a job ran last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// The version of the pipeline.
    pub version: String,
    /// Stands for all that the step was told.
    pub command: String,
    /// How it ended, in EMR's word; `RUNNING` until that is known.
    pub state: String,
    /// The cluster.
    pub cluster: String,
    /// The step.
    pub step: String,
    /// Where the cluster's logs are, as EMR writes it.
    pub log_uri: Option<String>,
    /// When it ended, in seconds since 1970.
    pub ended: Option<i64>,
    /// For how long it ran.
    pub seconds: Option<i64>,
    /// What the job said it did.
    pub summary: Option<Value>,
}

impl Ran {
    /// Whether it did what a step with this command is to do.
    pub fn completed(&self, command: &str) -> bool {
        self.state == "COMPLETED" && self.command == command
    }

    /// Whether it ended well, in the words of EMR, luigi and Airflow.
    pub fn is_done(&self) -> bool {
        matches!(self.state.as_str(), "COMPLETED" | "done" | "success" | "skipped")
    }

    /// Whether it is at work, or will be.
    pub fn is_at_work(&self) -> bool {
        let words = ["PENDING", "RUNNING", "runs", "running", "queued", "scheduled", "up_for_retry", "deferred"];
        words.contains(&self.state.as_str())
    }

    /// A number of the job's own summary.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.summary.as_ref()?.get(name)?.as_i64()
    }
}

impl Records {
    fn folder(&self) -> String {
        format!("infra/runs/{}/", self.pipeline)
    }

    fn key(&self, date: Date) -> String {
        format!("{}{date}.json", self.folder())
    }

    /// What became of a day.
    pub async fn day(&self, cloud: &Cloud, date: Date) -> Result<Day> {
        let told = read(cloud, &self.bucket, &self.key(date)).await?;
        let Some(Told { text, .. }) = told else { return Ok(Day::default()) };
        let broken =
            || format!("s3://{}/{} cannot be understood; delete it to begin the day anew", self.bucket, self.key(date));
        serde_json::from_slice(&text).with_context(broken)
    }

    /// Takes down what became of a day.
    pub async fn write(&self, cloud: &Cloud, date: Date, day: &Day) -> Result<()> {
        let text = serde_json::to_vec_pretty(day)?;
        let put = cloud.clients.s3.put_object().bucket(&self.bucket).key(self.key(date));
        let put = put.content_type("application/json").body(ByteStream::from(text));
        put.send().await.explain("s3:PutObject")?;
        Ok(())
    }

    /// The days that have a record, the newest first.
    pub async fn dates(&self, cloud: &Cloud) -> Result<Vec<Date>> {
        let request = cloud.clients.s3.list_objects_v2().bucket(&self.bucket).prefix(self.folder());
        let pages = request.into_paginator().send().try_collect().await.explain("s3:ListBucket");
        let pages = missing_is_none(pages, ABSENT)?.unwrap_or_default();
        let keys = pages.iter().flat_map(ListObjectsV2Output::contents).filter_map(|object| object.key());
        let folder = self.folder();
        let dates = keys.filter_map(|key| key.strip_prefix(&folder)?.strip_suffix(".json")?.parse().ok());
        let mut dates: Vec<Date> = dates.collect();
        dates.sort_unstable_by(|a, b| b.cmp(a));
        Ok(dates)
    }

    /// The last days that have a record, the newest first, with it.
    pub async fn last(&self, cloud: &Cloud, most: usize) -> Result<Vec<(Date, Day)>> {
        let mut dates = self.dates(cloud).await?;
        dates.truncate(most);
        let reads = dates.into_iter().map(|date| async move { anyhow::Ok((date, self.day(cloud, date).await?)) });
        stream::iter(reads).buffered(AT_ONCE).try_collect().await
    }
}

/// An object's bytes; nothing where there is none.
async fn read(cloud: &Cloud, bucket: &str, key: &str) -> Result<Option<Told>> {
    let answer = cloud.clients.s3.get_object().bucket(bucket).key(key).send().await.explain("s3:GetObject");
    let Some(answer) = missing_is_none(answer, ABSENT)? else { return Ok(None) };
    let size = answer.content_length().unwrap_or_default();
    ensure!(size <= LARGEST, "s3://{bucket}/{key} has {size} bytes, which is no record and no summary");
    let written = answer.last_modified().map(aws_smithy_types::DateTime::secs);
    let bytes = answer.body.collect().await.with_context(|| format!("s3://{bucket}/{key} cannot be read"))?;
    Ok(Some(Told { text: bytes.into_bytes().to_vec(), written }))
}

/// What stands in an object.
pub struct Told {
    /// Its content.
    pub text: Vec<u8>,
    /// When it was written, in seconds since 1970.
    pub written: Option<i64>,
}

/// `s3://bucket/key` in its two parts.
pub fn parts(uri: &str) -> Option<(&str, &str)> {
    uri.strip_prefix("s3://")?.split_once('/')
}

/// Whether there is such an object, or, for a folder that ends in `/`, anything in it.
pub async fn is_there(cloud: &Cloud, uri: &str) -> Result<bool> {
    let Some((bucket, key)) = parts(uri) else { return Ok(false) };
    let request = cloud.clients.s3.list_objects_v2().bucket(bucket).prefix(key).max_keys(1);
    let page = missing_is_none(request.send().await.explain("s3:ListBucket"), ABSENT)?;
    let first = page.and_then(|page| Some(page.contents().first()?.key()?.to_owned()));
    Ok(first.is_some_and(|first| first == key || key.ends_with('/')))
}

/// The JSON in which a job says what it did; nothing where it said nothing that can be understood. Of a folder, as Spark
/// writes one, the first line of its only part.
pub async fn summary(cloud: &Cloud, uri: &str) -> Option<Value> {
    // A summary is a courtesy: a job that completed did so without one, too.
    let Told { text, .. } = told(cloud, uri).await.ok()??;
    serde_json::Deserializer::from_slice(&text).into_iter().next()?.ok()
}

/// What a job wrote to say what it did; nothing where there is nothing. Of a folder, which Spark wrote, the first part
/// that has anything in it.
pub async fn told(cloud: &Cloud, uri: &str) -> Result<Option<Told>> {
    let Some((bucket, key)) = parts(uri) else { return Ok(None) };
    if !key.ends_with('/') {
        return read(cloud, bucket, key).await;
    }
    let request = cloud.clients.s3.list_objects_v2().bucket(bucket).prefix(format!("{key}part-"));
    let Some(page) = missing_is_none(request.send().await.explain("s3:ListBucket"), ABSENT)? else { return Ok(None) };
    let whole = page.contents().iter().find(|object| object.size().is_some_and(|size| size > 0));
    match whole.and_then(|part| part.key()) {
        Some(part) => read(cloud, bucket, part).await,
        None => Ok(None),
    }
}

/// Takes away the object that says that a job is done.
pub async fn forget(cloud: &Cloud, uri: &str) -> Result<()> {
    let Some((bucket, key)) = parts(uri) else { return Ok(()) };
    cloud.clients.s3.delete_object().bucket(bucket).key(key).send().await.explain("s3:DeleteObject")?;
    Ok(())
}
