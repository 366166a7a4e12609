//! What a run is to do: the jobs of a version, each for each day, with all variables filled in.

use anyhow::{Context, Result};
use jiff::civil::Date;

use crate::{
    cloud::CodeFolder,
    cluster::submit::Job,
    spec::fill,
    stacks::pipeline::{Description, JobDescription, sha256},
};

/// A job for a day.
#[derive(Clone, Debug)]
pub struct Task {
    /// The day.
    pub date: Date,
    /// The job's name.
    pub job: String,
    /// What the cluster is told.
    pub submit: Job,
    /// Stands for it.
    pub command: String,
    /// The object that is there once it is done.
    pub output: Option<String>,
    /// The object in which it says what it did.
    pub summary: Option<String>,
}

/// A version's jobs for a day, in their order. `settings` take the place of the deployed ones.
pub fn of_day(
    described: &Description,
    at: &CodeFolder,
    date: Date,
    settings: &[(String, String)],
) -> Result<Vec<Task>> {
    let mut values = described.values.clone();
    if let Some(known) = values.get_mut("settings").and_then(serde_json::Value::as_object_mut) {
        known.extend(settings.iter().map(|(key, value)| (key.clone(), value.clone().into())));
    }
    let values = fill::with_date(values, date);
    described.jobs.iter().map(|job| task(described, at, job, date, &values)).collect()
}

fn task(
    described: &Description,
    at: &CodeFolder,
    job: &JobDescription,
    date: Date,
    values: &fill::Values,
) -> Result<Task> {
    let fill = |text: &String| {
        fill::expand(&job.name, text, values).with_context(|| format!("job {} of {}", job.name, described.pipeline))
    };
    let all = |texts: &[String]| texts.iter().map(fill).collect::<Result<Vec<String>>>();
    let modules = values.get("py_files").and_then(serde_json::Value::as_str).filter(|uri| !uri.is_empty());
    let script = at.key(&described.pipeline, &described.version, &job.script);
    let submit = Job {
        program: format!("s3://{}/{script}", at.bucket),
        arguments: all(&job.arguments)?,
        deploy_mode: "cluster".into(),
        name: Some(format!("{}/{}/{date}", described.pipeline, job.name)),
        options: all(&job.spark)?,
        py_files: modules.map(str::to_owned).into_iter().collect(),
        ..Job::default()
    };
    let command = sha256(submit.command().join("\0").as_bytes());
    let (output, summary) = (job.output.as_ref().map(fill).transpose()?, job.summary.as_ref().map(fill).transpose()?);
    Ok(Task { date, job: job.name.clone(), submit, command, output, summary })
}

/// The settings that a version has.
pub fn settings(described: &Description) -> Vec<&str> {
    let known = described.values.get("settings").and_then(serde_json::Value::as_object);
    known.into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}
