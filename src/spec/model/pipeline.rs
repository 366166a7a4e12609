//! Pipelines: code that runs on the stack.

use std::{fmt, time::Duration};

use indexmap::IndexMap;

use super::{super::Diagnostic, FilePath, Spanned, Table, Template, Text};

/// A pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Folder under `templates/` with its files.
    pub template: Spanned<String>,
    /// Who runs its tasks in order.
    pub orchestrator: Spanned<Orchestrator>,
    /// The host that it runs on: a name in [`super::Spec::hosts`]; `None` only for [`Orchestrator::Steps`].
    pub on: Option<Spanned<String>>,
    /// Its data and code: a name in [`super::Spec::buckets`].
    pub bucket: Spanned<String>,
    /// Daily start; `None`: only by hand.
    pub schedule: Option<Spanned<Schedule>>,
    /// How often a failed task is tried again; 2 by default.
    pub retries: Spanned<u32>,
    /// Time between tries; 5 minutes by default.
    pub retry_wait: Spanned<Duration>,
    /// Folders of the bucket by the role that the template gives them, each ending in `/`.
    pub folders: IndexMap<String, Spanned<String>>,
    /// Settings for the template.
    pub settings: IndexMap<String, Spanned<Text>>,
    /// Secrets for the template by name; read when it is deployed, never stored in S3 or shown.
    pub secrets: IndexMap<String, Spanned<SecretSource>>,
    /// Spark jobs beyond or instead of the template's own.
    pub jobs: Table<Job>,
    /// What to run when it ends so.
    pub alerts: Vec<Spanned<Alert>>,
    /// What the template's folder brings; `None` where the files that a spec names were not read with it, or its manifest
    /// cannot be.
    pub content: Option<Template>,
    /// What is wrong with what the folder holds, so that it cannot be deployed: never anything where
    /// [`super::super::Templates::Fit`] was asked for.
    pub unfit: Vec<Diagnostic>,
}

/// Who runs a pipeline's tasks in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orchestrator {
    /// luigi on a host with the `luigi` service.
    Luigi,
    /// Airflow on a host with the `airflow` service.
    Airflow,
    /// EMR's steps alone.
    Steps,
}

impl Orchestrator {
    /// Its word in a spec.
    pub fn word(self) -> &'static str {
        match self {
            Self::Luigi => "luigi",
            Self::Airflow => "airflow",
            Self::Steps => "steps",
        }
    }
}

/// Every day at this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// IANA time zone; `UTC` by default.
    pub zone: String,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02} {}", self.hour, self.minute, self.zone)
    }
}

/// Where a secret is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of whoever deploys.
    Env(String),
    /// A file with nothing else in it.
    File(FilePath),
}

/// A Spark job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The script in the template's folder, e.g. `jobs/clean.py`.
    pub script: Spanned<String>,
    /// Arguments for the script.
    pub arguments: Vec<Text>,
    /// Arguments for spark-submit, e.g. `--executor-memory`, `4g`.
    pub spark: Vec<Text>,
}

/// A command for when a pipeline ends in some way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// When it runs.
    pub when: AlertWhen,
    /// The command, run by a shell on the pipeline's host.
    pub run: Text,
}

/// When an alert runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertWhen {
    /// On any exit code but 0.
    Failure,
    /// On exit code 0.
    Success,
    /// On exactly this exit code.
    Code(u8),
}
