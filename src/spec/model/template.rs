//! What a template's folder brings: `templates/NAME/pipeline.yaml`, read and checked.

use std::{path::PathBuf, sync::Arc};

use indexmap::IndexMap;

use super::{Span, Spanned, Table};

/// A template's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The folder, as messages name it: `templates/nyc311`.
    pub shown: Arc<str>,
    /// Its files but the manifest, by their paths in the folder; what is not deployed (tests, samples) is left out.
    pub files: Vec<TemplateFile>,
    /// Folders of the bucket by the name that the template gives them, with a default each.
    pub folders: IndexMap<String, Spanned<String>>,
    /// Settings and their defaults.
    pub settings: IndexMap<String, Spanned<String>>,
    /// Secrets that a pipeline may be given.
    pub secrets: Vec<Spanned<String>>,
    /// Python packages and modules that all jobs import: one archive.
    pub modules: Vec<Spanned<String>>,
    /// Spark jobs in the order in which they run.
    pub jobs: Table<Task>,
    /// What is put on the pipeline's host, if anything is.
    pub host: Option<Spanned<OnTheHost>>,
}

/// A file of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFile {
    /// Its path in the folder, without `.j2`.
    pub path: String,
    /// The file itself.
    pub source: PathBuf,
    /// What it is called in messages: `templates/nyc311/luigi.cfg.j2`.
    pub shown: Arc<str>,
    /// Whether its variables are to be filled in: it ends in `.j2`.
    pub rendered: bool,
}

/// A Spark job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The script in the template's folder.
    pub script: Spanned<String>,
    /// Arguments for the script; variables are filled in for each run.
    pub arguments: Vec<Spanned<String>>,
    /// Arguments for spark-submit.
    pub spark: Vec<Spanned<String>>,
    /// The object that is there once the job has done its work; without it, what EMR says is believed.
    pub output: Option<Spanned<String>>,
    /// The object in which the job says what it did: JSON.
    pub summary: Option<Spanned<String>>,
}

/// What a template puts on the pipeline's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnTheHost {
    /// Files of the folder, each under its own name in the pipeline's folder on the host.
    pub files: Vec<Spanned<String>>,
    /// The command that runs the pipeline for one day, for luigi: its first word is looked for in the environment.
    pub command: Vec<Spanned<String>>,
    /// A file with pinned packages, which are installed in an environment of the pipeline's own.
    pub requirements: Option<Spanned<String>>,
    /// The file with the DAG, for Airflow.
    pub dag: Option<Spanned<String>>,
}

impl Template {
    /// The file of this path.
    pub fn file(&self, path: &str) -> Option<&TemplateFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a file belongs to one of the modules, and so to the archive.
    pub fn is_module(&self, path: &str) -> bool {
        self.modules.iter().any(|module| {
            path == module.value || path.strip_prefix(module.as_str()).is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

/// A text of a template that cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfilled {
    /// Where.
    pub span: Span,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}
