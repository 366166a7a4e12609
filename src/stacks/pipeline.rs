//! What pipelines bring: their code in S3, a version a content; and what is on their hosts.
//!
//! A version is named by a checksum of all that it consists of, so that the same content is the same version wherever it
//! is deployed from, and another content never takes the place of one that a job is reading.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context;
use engine::{Origin, Ref};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Stack, archive, origin, pipeline_host};
use crate::{
    cloud::{Cloud, CodeFolder, Names},
    resources::{BucketObject, KEPT_VERSIONS, ObjectSource, Pipeline},
    spec::{
        self, Spanned, Spec,
        fill::{self, ARCHIVE},
    },
};

/// The file of a version that says what the pipeline is: for jobs, and for whoever runs it.
pub const DESCRIPTION: &str = "pipeline.json";

/// A version of a pipeline, ready to be deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its name: part of a checksum of all that is in it.
    pub version: String,
    /// Its files by their paths.
    pub files: BTreeMap<String, Arc<[u8]>>,
}

/// What a version says of itself, in [`DESCRIPTION`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// The stack.
    pub stack: String,
    /// The pipeline.
    pub pipeline: String,
    /// The version.
    pub version: String,
    /// Jobs in the order in which they run.
    pub jobs: Vec<JobDescription>,
    /// What variables in the jobs' arguments stand for, but what depends on the day.
    pub values: BTreeMap<String, Value>,
}

/// A job of a version. Its texts have variables still: what depends on the day is filled in for each run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobDescription {
    /// Its name.
    pub name: String,
    /// The path of the script in the version's folder.
    pub script: String,
    /// Arguments for the script.
    pub arguments: Vec<String>,
    /// Arguments for spark-submit.
    pub spark: Vec<String>,
    /// The object that is there once it has done its work.
    pub output: Option<String>,
    /// The object in which it says what it did.
    pub summary: Option<String>,
}

/// Where a pipeline's code is.
pub fn code_folder(spec: &Spec, pipeline: &spec::Pipeline, account: &str) -> CodeFolder {
    let bucket =
        spec.buckets.get(&pipeline.bucket.value).map(|bucket| bucket.name.resolve(account)).unwrap_or_default();
    CodeFolder { bucket, folder: fill::code_root(pipeline) }
}

/// The folders in which pipelines have their code; also those in which only removed ones can have left some.
pub(super) fn names(spec: &Spec, account: &str) -> BTreeMap<CodeFolder, BTreeSet<String>> {
    let mut folders: BTreeMap<CodeFolder, BTreeSet<String>> = BTreeMap::new();
    for (name, pipeline) in &spec.pipelines {
        folders.entry(code_folder(spec, pipeline, account)).or_default().insert(name.clone());
    }
    for bucket in spec.buckets.values() {
        if bucket.folders.iter().any(|folder| folder.value == fill::CODE) {
            let bucket = bucket.name.resolve(account);
            folders.entry(CodeFolder { bucket, folder: fill::CODE.to_owned() }).or_default();
        }
    }
    folders
}

/// The version that the template's folder holds now, or why it holds none.
pub fn release(spec: &Spec, name: &str, pipeline: &spec::Pipeline, account: &str) -> anyhow::Result<Release> {
    if let Some(wrong) = pipeline.unfit.first() {
        anyhow::bail!("{wrong}");
    }
    // What knows its own version would change it: the checksum is of what is filled in with none.
    let unnamed = fill_in(spec, name, pipeline, account, "")?;
    let version = version_of(&unnamed);
    let files = fill_in(spec, name, pipeline, account, &version)?;
    Ok(Release { version, files })
}

fn version_of(files: &BTreeMap<String, Arc<[u8]>>) -> String {
    let mut sum = Sha256::new();
    for (path, bytes) in files {
        // Lengths, so that no two sets of files run together alike.
        for part in [path.as_bytes(), bytes] {
            sum.update((part.len() as u64).to_le_bytes());
            sum.update(part);
        }
    }
    hexadecimal(&sum.finalize()[..6])
}

fn fill_in(
    spec: &Spec,
    name: &str,
    pipeline: &spec::Pipeline,
    account: &str,
    version: &str,
) -> anyhow::Result<BTreeMap<String, Arc<[u8]>>> {
    let Some(content) = &pipeline.content else { return Ok(BTreeMap::new()) };
    let values = fill::values(spec, name, pipeline, account, version);
    let mut files: BTreeMap<String, Arc<[u8]>> = BTreeMap::new();
    for file in &content.files {
        let bytes = std::fs::read(&file.source).with_context(|| format!("cannot read {}", file.shown))?;
        let bytes = if file.rendered {
            let text = String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", file.shown))?;
            let start = spec::Span { file: Arc::clone(&file.shown), line: 1, column: 1, len: 1 };
            let filled = fill::fill(&text, &start, &values);
            filled.map_err(|wrong| anyhow::anyhow!("{}: {}", wrong.span, wrong.message))?.into_bytes()
        } else {
            bytes
        };
        files.insert(file.path.clone(), bytes.into());
    }
    if !content.modules.is_empty() {
        let modules = files.iter().filter(|(path, _)| content.is_module(path));
        let modules: Vec<(&str, &[u8])> = modules.map(|(path, bytes)| (path.as_str(), &**bytes)).collect();
        let archive = archive::zip(modules);
        files.insert(ARCHIVE.to_owned(), archive.into());
    }
    let described = describe(spec, name, pipeline, account, version, &values)?;
    files.insert(DESCRIPTION.to_owned(), described.into());
    Ok(files)
}

fn describe(
    spec: &Spec,
    name: &str,
    pipeline: &spec::Pipeline,
    account: &str,
    version: &str,
    values: &fill::Values,
) -> anyhow::Result<Vec<u8>> {
    let texts = |texts: &[spec::Spanned<String>]| texts.iter().map(|text| text.value.clone()).collect();
    let job = |(name, task): (&String, &spec::Spanned<spec::Task>)| JobDescription {
        name: name.clone(),
        script: task.script.value.clone(),
        arguments: texts(&task.arguments),
        spark: texts(&task.spark),
        output: task.output.as_ref().map(|output| output.value.clone()),
        summary: task.summary.as_ref().map(|summary| summary.value.clone()),
    };
    let jobs: Vec<JobDescription> = fill::tasks(pipeline, account).iter().map(job).collect();
    let description = Description {
        stack: spec.stack.value.clone(),
        pipeline: name.to_owned(),
        version: version.to_owned(),
        values: values
            .iter()
            .filter(|(name, _)| is_of_the_code(name, &jobs))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        jobs,
    };
    let mut text = serde_json::to_vec_pretty(&description)?;
    text.push(b'\n');
    Ok(text)
}

/// What says only when and how often it runs makes no other code, unless a job is told it.
fn is_of_the_code(value: &str, jobs: &[JobDescription]) -> bool {
    let texts = |job: &'_ JobDescription| {
        let more = [&job.output, &job.summary].into_iter().flatten();
        job.arguments.iter().chain(&job.spark).chain(more).any(|text| text.contains(value))
    };
    !["retries", "retry_seconds", "schedule"].contains(&value) || jobs.iter().any(texts)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

impl Stack<'_> {
    pub(super) fn pipelines(&mut self) -> anyhow::Result<()> {
        for (name, pipeline) in &self.spec.pipelines {
            let at = code_folder(self.spec, pipeline, &self.names.account);
            let release = match self.intent.releases.get(name) {
                Some(release) => release.clone(),
                None if !pipeline.unfit.is_empty() => {
                    self.stays(name, pipeline, at);
                    continue;
                }
                None if pipeline.content.is_none() => continue,
                None => release(self.spec, name, pipeline, &self.names.account)?,
            };
            let bucket = self.buckets[&pipeline.bucket.value].clone();
            let place = |key: &str| format!("{}/{key}", pipeline.bucket.value);
            let mut files: Vec<Ref<BucketObject>> = Vec::new();
            for (path, bytes) in &release.files {
                let key = at.key(name, &release.version, path);
                let resource = BucketObject {
                    bucket: bucket.clone(),
                    folder: self.folder_of(&pipeline.bucket.value, &key),
                    bucket_name: at.bucket.clone(),
                    key: key.clone(),
                    source: ObjectSource::Bytes { bytes: Arc::clone(bytes), sha256: sha256(bytes) },
                    content_type: None,
                };
                let origin = code_origin(pipeline, path);
                files.push(self.graph.add_at(origin, place(&key), resource));
            }
            for kept in self.kept(name, Some(&release.version), &at) {
                self.graph.add_at(origin(&pipeline.template.span), place(&kept.key.clone()), kept);
            }
            let code = format!("s3://{}/{}{name}/", at.bucket, at.folder);
            let resource = Pipeline { bucket, at, code, version: release.version.clone(), files };
            self.graph.add_at(origin(&pipeline.span), name, resource);
            self.releases.insert(name.clone(), release);
        }
        Ok(())
    }

    /// A pipeline whose folder holds nothing that can be deployed: what is deployed of it stays as it is.
    fn stays(&mut self, name: &str, pipeline: &Spanned<spec::Pipeline>, at: CodeFolder) {
        let Some(found) = self.known.find::<Cloud, Pipeline>(name) else { return };
        let version = found.version.clone().unwrap_or_default();
        let mut files = Vec::new();
        for kept in self.kept(name, None, &at) {
            let place = format!("{}/{}", pipeline.bucket.value, kept.key);
            files.push(self.graph.add_at(origin(&pipeline.template.span), place, kept));
        }
        let bucket = self.buckets[&pipeline.bucket.value].clone();
        let code = format!("s3://{}/{}{name}/", at.bucket, at.folder);
        let resource = Pipeline { bucket, at, code, version, files };
        self.graph.add_at(origin(&pipeline.span), name, resource);
    }

    /// The files of the versions that were current before `version`, or of all: they stay as they are.
    fn kept(&self, name: &str, version: Option<&str>, at: &CodeFolder) -> Vec<BucketObject> {
        let Some(pipeline) = self.known.find::<Cloud, Pipeline>(name) else { return Vec::new() };
        let before = pipeline.history.iter().filter(|before| Some(before.as_str()) != version);
        let before = before.take(KEPT_VERSIONS - usize::from(version.is_some()));
        let folders: Vec<String> = before.map(|before| at.key(name, before, "")).collect();
        let objects = self.known.all::<Cloud, BucketObject>();
        let kept = objects.filter(|(_, object)| {
            object.bucket == at.bucket && folders.iter().any(|folder| object.key.starts_with(folder))
        });
        let bucket = &self.spec.pipelines[name].bucket.value;
        let resource = |(_, object): (&str, &crate::resources::BucketObjectObserved)| BucketObject {
            bucket: self.buckets[bucket].clone(),
            folder: None,
            bucket_name: at.bucket.clone(),
            key: object.key.clone(),
            source: ObjectSource::Kept,
            content_type: None,
        };
        kept.map(resource).collect()
    }
}

/// Where a file of a version comes from: the template's own file where it is one.
fn code_origin(pipeline: &spec::Pipeline, path: &str) -> Origin {
    let file = pipeline.content.as_ref().and_then(|content| content.file(path));
    match file {
        Some(file) => Origin { file: file.shown.to_string(), line: 1, column: 1 },
        None => origin(&pipeline.template.span),
    }
}

/// What is a pipeline's own in a plan: its code, its pointer, and what is on its host.
pub fn belongs_to(names: &Names, pipeline: &str, address: &engine::Address) -> bool {
    if address.kind == "pipeline" {
        return address.name == pipeline;
    }
    let mut folders = names.code.keys();
    if pipeline_host::is_of(pipeline, address) {
        return true;
    }
    address.kind == "bucket_object"
        && folders.any(|at| {
            let bucket = names.buckets.get(&at.bucket).map_or("", String::as_str);
            address.name.starts_with(&format!("{bucket}/{}{pipeline}/", at.folder))
        })
}
