//! The code of pipelines in buckets: which versions are there, and which one is current.
//!
//! ```text
//! cod/nyc311/current.json                    the pointer: the current version, earlier ones, what each consists of
//! cod/nyc311/versions/1a2b3c4d5e6f/…         a version's files, never changed once they are there
//! ```
//!
//! One listing a bucket and one read a pipeline tell all of it, however many files there are: a listing shows no
//! checksums, but S3 gives a new entity tag to whatever is written anew, and the pointer holds the tags of those objects
//! whose checksums were seen to be right when it was written.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use futures::future::{try_join, try_join_all};
use serde::{Deserialize, Serialize};

use super::{Cloud, Explain, missing_is_none};

/// The pointer's key, in a pipeline's folder.
const POINTER: &str = "current.json";
/// Where versions are, in a pipeline's folder.
const VERSIONS: &str = "versions/";

/// A folder of a bucket in which pipelines have their code.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeFolder {
    /// The bucket's name in S3.
    pub bucket: String,
    /// The folder, ending in `/`: `cod/`.
    pub folder: String,
}

impl CodeFolder {
    /// A pipeline's pointer.
    pub fn pointer(&self, pipeline: &str) -> String {
        format!("{}{pipeline}/{POINTER}", self.folder)
    }

    /// A file of a version.
    pub fn key(&self, pipeline: &str, version: &str, path: &str) -> String {
        format!("{}{pipeline}/{VERSIONS}{version}/{path}", self.folder)
    }
}

/// Whether a key is that of a version's file, in whatever folder for code.
pub fn is_of_a_version(key: &str) -> bool {
    key.contains(&format!("/{VERSIONS}"))
}

/// What was found in the folders of code.
#[derive(Debug, Default)]
pub struct Code {
    /// The files of versions.
    pub files: Vec<CodeFile>,
    /// The pointers by their pipelines.
    pub pointers: BTreeMap<String, Pointer>,
}

/// A file of a version of a pipeline.
#[derive(Clone, Debug)]
pub struct CodeFile {
    /// Its folder.
    pub at: CodeFolder,
    /// The key.
    pub key: String,
    /// The pipeline.
    pub pipeline: String,
    /// The version.
    pub version: String,
    /// Changes whenever the object is written.
    pub tag: String,
    /// What the pointer says of it, if it knows the key: the SHA-256 of what was put there, if that is still there.
    pub known: Option<Option<String>>,
}

/// A pipeline's pointer.
#[derive(Clone, Debug)]
pub struct Pointer {
    /// Its folder.
    pub at: CodeFolder,
    /// What it says; nothing where it is not as it was written.
    pub says: Option<PointerText>,
}

/// What a pointer says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointerText {
    /// The stack.
    pub stack: String,
    /// The pipeline.
    pub pipeline: String,
    /// The current version.
    pub version: String,
    /// It, and those that were current before, the newest first.
    pub history: Vec<String>,
    /// The files of these versions, by their keys.
    pub files: BTreeMap<String, IndexedFile>,
}

/// A file whose checksum was seen to be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedFile {
    /// S3's entity tag at the time.
    pub tag: String,
    /// The SHA-256 of it, in hexadecimal.
    pub sha256: String,
}

impl Cloud {
    /// The code of pipelines in those of the spec's folders that `ours` answers for; read once a pass.
    pub async fn code(&self, ours: impl Fn(&str) -> bool + Send + Sync) -> engine::Result<std::sync::Arc<Code>> {
        super::reads::once(&self.reads.code, self.read_code(ours)).await
    }

    async fn read_code(&self, ours: impl Fn(&str) -> bool + Send + Sync) -> engine::Result<Code> {
        let folders = self.names.code.iter().filter(|(at, _)| ours(&at.bucket));
        let mut code = Code::default();
        for (files, pointers) in try_join_all(folders.map(|(at, wanted)| self.read_folder(at, wanted))).await? {
            code.files.extend(files);
            code.pointers.extend(pointers);
        }
        for file in &mut code.files {
            let says = code.pointers.get(&file.pipeline).and_then(|pointer| pointer.says.as_ref());
            let indexed = says.and_then(|says| says.files.get(&file.key));
            file.known = indexed.map(|indexed| (indexed.tag == file.tag).then(|| indexed.sha256.clone()));
        }
        Ok(code)
    }

    async fn read_folder(
        &self,
        at: &CodeFolder,
        wanted: &BTreeSet<String>,
    ) -> engine::Result<(Vec<CodeFile>, Vec<(String, Pointer)>)> {
        let point = |pipeline: String| async move {
            anyhow::Ok(self.pointer(at, &pipeline).await?.map(|pointer| (pipeline, pointer)))
        };
        let (keys, pointers) =
            try_join(self.list_code(at, &at.folder), try_join_all(wanted.iter().cloned().map(point))).await?;
        let mut files = Vec::new();
        let mut others = BTreeSet::new();
        for (key, tag) in keys {
            let Some((pipeline, rest)) = key.strip_prefix(&at.folder).and_then(|rest| rest.split_once('/')) else {
                continue;
            };
            if let Some((version, path)) = rest.strip_prefix(VERSIONS).and_then(|rest| rest.split_once('/')) {
                if !path.is_empty() {
                    let (pipeline, version) = (pipeline.to_owned(), version.to_owned());
                    files.push(CodeFile { at: at.clone(), pipeline, version, tag, known: None, key });
                }
            } else if rest == POINTER && !wanted.contains(pipeline) {
                others.insert(pipeline.to_owned());
            }
        }
        // Of pipelines that the spec no longer has: theirs must go too.
        let others = try_join_all(others.into_iter().map(point)).await?;
        Ok((files, pointers.into_iter().chain(others).flatten().collect()))
    }

    /// Every key below a prefix with its entity tag.
    pub async fn list_code(&self, at: &CodeFolder, prefix: &str) -> engine::Result<Vec<(String, String)>> {
        let request = self.clients.s3.list_objects_v2().bucket(&at.bucket).prefix(prefix);
        let pages = request.into_paginator().send().try_collect().await.explain("s3:ListBucket");
        let pages = missing_is_none(pages, &["NoSuchBucket"])?.unwrap_or_default();
        let objects = pages.iter().flat_map(ListObjectsV2Output::contents);
        let pair = |object: &aws_sdk_s3::types::Object| {
            Some((object.key()?.to_owned(), object.e_tag().unwrap_or_default().trim_matches('"').to_owned()))
        };
        Ok(objects.filter_map(pair).collect())
    }

    async fn pointer(&self, at: &CodeFolder, pipeline: &str) -> engine::Result<Option<Pointer>> {
        let request = self.clients.s3.get_object().bucket(&at.bucket).key(at.pointer(pipeline));
        let answer = request.send().await.explain("s3:GetObject");
        let Some(answer) = missing_is_none(answer, &["NoSuchKey", "NoSuchBucket"])? else { return Ok(None) };
        // One that somebody else wrote says nothing that may be believed.
        let bytes = answer.body.collect().await.map(aws_sdk_s3::primitives::AggregatedBytes::into_bytes);
        let says = bytes.ok().and_then(|bytes| serde_json::from_slice::<PointerText>(&bytes).ok());
        let says = says.filter(|says| says.stack == self.names.stack && says.pipeline == pipeline);
        Ok(Some(Pointer { at: at.clone(), says }))
    }
}
