//! A deployed pipeline: the pointer that says which version of its code is current, and what each kept version is made
//! of. It is written last, once all files of the version are there.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::primitives::ByteStream;
use engine::{Address, Diff, Effect, Identity, Inventory, Ref, Resource, Result, StepContext};
use futures::future::try_join_all;
use serde::Serialize;
use serde_json::json;

use super::{Bucket, BucketObject, bucket_contents as contents, bucket_object::verified};
use crate::cloud::{Cloud, CloudError, CodeFolder, Explain, IndexedFile, PointerText};

/// So many versions are kept in S3, the current one among them: each can be gone back to.
pub const KEPT_VERSIONS: usize = 5;

/// A deployed pipeline.
#[derive(Clone, Debug, Serialize)]
pub struct Pipeline {
    /// The bucket.
    pub bucket: Ref<Bucket>,
    /// The bucket's name in S3, and the folder for code.
    #[serde(skip)]
    pub at: CodeFolder,
    /// The folder of the pipeline's code.
    pub code: String,
    /// The version that is to be current.
    pub version: String,
    /// The files of that version.
    #[serde(skip)]
    pub files: Vec<Ref<BucketObject>>,
}

/// What is found of a pipeline.
#[derive(Clone, Debug, Serialize)]
pub struct PipelineObserved {
    /// The bucket's name in S3.
    pub bucket: String,
    /// The folder of the pipeline's code.
    pub code: String,
    /// The current version; nothing where the pointer is not as it was written.
    pub version: Option<String>,
    /// It, and those that were current before, the newest first.
    pub history: Vec<String>,
    /// Whether the pointer is as the stack wrote it.
    pub ours: bool,
    /// The pipeline's name.
    #[serde(skip)]
    pub name: String,
    #[serde(skip)]
    at: CodeFolder,
    #[serde(skip)]
    files: BTreeMap<String, IndexedFile>,
}

fn code(at: &CodeFolder, name: &str) -> String {
    format!("s3://{}/{}{name}/", at.bucket, at.folder)
}

impl Resource<Cloud> for Pipeline {
    const KIND: &'static str = "pipeline";
    const LAYER: &'static str = "pipelines";
    const AFTER: &'static [&'static str] = &["bucket", "bucket_object"];
    const OBSERVES_AFTER: &'static [&'static str] = &["bucket"];
    const IDENTITY: Identity = Identity::Name;
    type Observed = PipelineObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { bucket, at: _, code: _, version: _, files } = self;
        std::iter::once(bucket.address()).chain(files.iter().map(Ref::address)).collect()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, PipelineObserved)>> {
        let ours = |bucket: &str| known.all::<Cloud, Bucket>().any(|(_, observed)| observed.name == bucket);
        let found = cloud.code(ours).await?;
        let wanted = |name: &str| cloud.names.code.values().any(|pipelines| pipelines.contains(name));
        let pointers = found.pointers.iter();
        // A pointer that is not ours, of a pipeline that the spec does not have, is somebody else's file.
        let pointers = pointers.filter(|(name, pointer)| pointer.says.is_some() || wanted(name));
        let observed = pointers.map(|(name, pointer)| {
            let says = pointer.says.clone();
            // One that cannot be believed says nothing of the versions that are there all the same: the way back stays.
            let there = || -> BTreeSet<String> {
                let files = found.files.iter().filter(|file| file.pipeline == *name && file.at == pointer.at);
                files.map(|file| file.version.clone()).collect()
            };
            let observed = PipelineObserved {
                bucket: pointer.at.bucket.clone(),
                code: code(&pointer.at, name),
                version: says.as_ref().map(|says| says.version.clone()),
                history: says.as_ref().map_or_else(|| there().into_iter().collect(), |says| says.history.clone()),
                ours: says.is_some(),
                name: name.clone(),
                at: pointer.at.clone(),
                files: says.map(|says| says.files).unwrap_or_default(),
            };
            (name.clone(), observed)
        });
        Ok(observed.collect())
    }

    fn id(observed: &PipelineObserved) -> String {
        format!("s3://{}/{}", observed.at.bucket, observed.at.pointer(&observed.name))
    }

    fn diff(&self, observed: &PipelineObserved, known: &Inventory) -> Diff {
        let Self { bucket, at: _, code, version, files: _ } = self;
        let mut diff = Diff::default();
        let name = known.get(bucket).map(|bucket| bucket.name.as_str());
        diff.fixed_link("bucket", &observed.bucket, name, bucket).fixed("code", &observed.code, code);
        if observed.version.as_ref() != Some(version) {
            diff.push("version", json!(observed.version), json!(version), Effect::InPlace);
        }
        diff
    }

    fn outputs(observed: &PipelineObserved) -> Vec<(&'static str, String)> {
        let version = observed.version.clone().unwrap_or_default();
        vec![("code", format!("{}versions/{version}/", observed.code)), ("version", version)]
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<PipelineObserved> {
        self.point(cx, Vec::new(), BTreeMap::new()).await
    }

    async fn update(
        &self,
        observed: &PipelineObserved,
        _: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<PipelineObserved> {
        self.point(cx, observed.history.clone(), observed.files.clone()).await
    }

    async fn delete(observed: &PipelineObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let key = observed.at.pointer(&observed.name);
        if !observed.ours {
            cx.progress(format!("s3://{}/{key} was overwritten by somebody else: left alone", observed.bucket));
            return Ok(());
        }
        match contents::purge(cx.world, &observed.bucket, &key, |version| version.key == key, |_| {}).await {
            Err(error) if error.downcast_ref().is_some_and(CloudError::is_missing) => Ok(()),
            result => result.map(drop),
        }
    }
}

impl Pipeline {
    /// Writes the pointer, with an index of what it vouches for.
    async fn point(
        &self,
        cx: &StepContext<'_, Cloud>,
        before: Vec<String>,
        indexed: BTreeMap<String, IndexedFile>,
    ) -> Result<PipelineObserved> {
        let cloud = cx.world;
        let name = cx.address().name.clone();
        let mut history = before;
        history.retain(|version| *version != self.version);
        history.insert(0, self.version.clone());
        history.truncate(KEPT_VERSIONS);
        let folder = self.at.key(&name, "", "");
        let folder = folder.trim_end_matches('/');
        let listed = cloud.list_code(&self.at, &format!("{folder}/")).await?;
        let kept = |key: &str| {
            let version = key.strip_prefix(folder).and_then(|rest| rest.trim_start_matches('/').split('/').next());
            version.is_some_and(|version| history.iter().any(|kept| kept == version))
        };
        let looks = listed.into_iter().filter(|(key, _)| kept(key)).map(|(key, tag)| {
            let known = indexed.get(&key).filter(|known| known.tag == tag).cloned();
            async move {
                let known = match known {
                    Some(known) => Some(known),
                    // Believed once S3 says its checksum is the one that was uploaded.
                    None => {
                        verified(cloud, &self.at.bucket, &key).await?.map(|(sha256, tag)| IndexedFile { tag, sha256 })
                    }
                };
                anyhow::Ok(known.map(|known| (key, known)))
            }
        });
        let files: BTreeMap<String, IndexedFile> = try_join_all(looks).await?.into_iter().flatten().collect();
        let says = PointerText {
            stack: cloud.names.stack.clone(),
            pipeline: name.clone(),
            version: self.version.clone(),
            history,
            files,
        };
        let text = serde_json::to_vec_pretty(&says)?;
        let key = self.at.pointer(&name);
        let put = || async {
            let request = cloud.clients.s3.put_object().bucket(&self.at.bucket).key(&key);
            let request = request.content_type("application/json").body(ByteStream::from(text.clone()));
            request.send().await.explain("s3:PutObject")
        };
        cloud.settle(&[], put).await?;
        Ok(PipelineObserved {
            bucket: self.at.bucket.clone(),
            code: code(&self.at, &name),
            version: Some(says.version),
            history: says.history,
            ours: true,
            name,
            at: self.at.clone(),
            files: says.files,
        })
    }
}
