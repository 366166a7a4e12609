//! A file of the user's, kept in a bucket: a job, a bootstrap script. Compared by checksum, never by time.
//!
//! Or a copy of somebody else's object, which is made once: the original is not looked at again, and what it was copied
//! from and its checksum then are kept with the copy.
//!
//! Its metadata say whose it is and what was uploaded, and S3's own checksum says whether that is still there: one that
//! somebody overwrote, even with the same metadata, shows as drift. Deleting it deletes all of its versions, so that
//! its bucket can go.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, bail, ensure};
use aws_sdk_s3::{
    operation::head_object::HeadObjectOutput,
    types::{ChecksumMode, MetadataDirective},
};
use engine::{Address, Diff, Effect, Identity, Inventory, Ref, Resource, Result, StepContext};
use futures::future::{try_join, try_join_all};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::json;
use tempfile::NamedTempFile;

use super::{
    Bucket, BucketFolder, bucket_contents as contents, sha256_of,
    upload::{self, Content, Upload},
};
use crate::cloud::{Cloud, CloudError, Explain, missing_is_none};

/// Says which stack the object belongs to.
const STACK: &str = "infra-stack";
/// Says which resource of the stack it is.
const ADDRESS: &str = "infra-address";
/// The SHA-256 of the whole, in hexadecimal.
const SHA256: &str = "infra-sha256";
/// What a plan calls an object without a checksum that can be believed.
const OVERWRITTEN: &str = "written by somebody else";
/// What it is a copy of.
const COPIED_FROM: &str = "infra-copied-from";
/// The checksum that S3 reports for what was uploaded: of the whole, or of the parts' checksums.
const CHECKSUM: &str = "infra-checksum";
/// Bytes of an object that is copied.
const MOST_COPIED: i64 = 16 << 20;
/// What a key may not hold where a copy's origin is named.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// What S3 takes for the type of an object that was uploaded without one.
const UNTYPED: &str = "binary/octet-stream";

/// Where an object's content comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectSource {
    /// A file on this machine.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its SHA-256 in hexadecimal; see [`sha256_of`](super::sha256_of).
        sha256: String,
    },
    /// These bytes; not many.
    Bytes {
        /// What they are; shown by their checksum.
        #[serde(skip)]
        bytes: Arc<[u8]>,
        /// Their SHA-256 in hexadecimal.
        sha256: String,
    },
    /// An object of another bucket: `s3://…`.
    Copy(String),
    /// Whatever is there already: it is kept as it is.
    Kept,
}

/// An object in a bucket.
#[derive(Clone, Debug, Serialize)]
pub struct BucketObject {
    /// The bucket.
    pub bucket: Ref<Bucket>,
    /// The spec's folder that it lies in. It is made first: once anything lies in it, nobody can tell that it was not.
    #[serde(skip)]
    pub folder: Option<Ref<BucketFolder>>,
    /// The bucket's name in S3.
    pub bucket_name: String,
    /// The key.
    pub key: String,
    /// What is in it.
    pub source: ObjectSource,
    /// The media type; `binary/octet-stream` where nothing is said.
    pub content_type: Option<String>,
}

/// What S3 reports of an object.
#[derive(Clone, Debug, Serialize)]
pub struct BucketObjectObserved {
    /// The bucket's name in S3.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The SHA-256 of what is there, where it is known: not when somebody else wrote it.
    pub sha256: Option<String>,
    /// What it is a copy of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied_from: Option<String>,
    /// The media type.
    pub content_type: String,
    /// Whether it is the stack's by its metadata.
    pub ours: bool,
    /// The resource that it is by its metadata.
    pub address: Option<String>,
    /// The resource that the spec has for the key.
    pub wanted_address: String,
}

impl Resource<Cloud> for BucketObject {
    const KIND: &'static str = "bucket_object";
    const LAYER: &'static str = "storage";
    const AFTER: &'static [&'static str] = &["bucket", "bucket_folder"];
    // Only in buckets that are the stack's.
    const OBSERVES_AFTER: &'static [&'static str] = &["bucket"];
    const IDENTITY: Identity = Identity::Name;
    const TYPICAL_SECONDS: u32 = 2;
    type Observed = BucketObjectObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { bucket, folder, bucket_name: _, key: _, source: _, content_type: _ } = self;
        std::iter::once(bucket.address()).chain(folder.as_ref().map(Ref::address)).collect()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, BucketObjectObserved)>> {
        let ours = |bucket: &str| known.all::<Cloud, Bucket>().any(|(_, observed)| observed.name == bucket);
        let wanted = cloud.names.objects.iter().filter(|((bucket, _), _)| ours(bucket));
        let reads = wanted.map(|((bucket, key), name)| async move {
            anyhow::Ok(read(cloud, bucket, key, name).await?.map(|observed| (name.clone(), observed)))
        });
        let (single, code) = try_join(try_join_all(reads), code(cloud, &ours)).await?;
        Ok(single.into_iter().flatten().chain(code).collect())
    }

    fn id(observed: &BucketObjectObserved) -> String {
        format!("s3://{}/{}", observed.bucket, observed.key)
    }

    fn diff(&self, observed: &BucketObjectObserved, known: &Inventory) -> Diff {
        let Self { bucket, folder: _, bucket_name: _, key, source, content_type } = self;
        let mut diff = Diff::default();
        let name = known.get(bucket).map(|bucket| bucket.name.as_str());
        diff.fixed_link("bucket", &observed.bucket, name, bucket).fixed("key", &observed.key, key);
        match source {
            ObjectSource::File { path: _, sha256 } | ObjectSource::Bytes { bytes: _, sha256 }
                if observed.sha256.as_ref() != Some(sha256) =>
            {
                let there = observed.sha256.as_deref().unwrap_or(OVERWRITTEN);
                diff.push("sha256", json!(there), json!(sha256), Effect::InPlace);
            }
            ObjectSource::Copy(of) if observed.copied_from.as_ref() != Some(of) || observed.sha256.is_none() => {
                let there = observed.copied_from.as_deref().filter(|_| observed.sha256.is_some());
                diff.push("copy_of", json!(there.unwrap_or(OVERWRITTEN)), json!(of), Effect::InPlace);
            }
            ObjectSource::Kept => return diff,
            _ => {}
        }
        // Of what somebody else wrote, that it is another thing says it all.
        if observed.ours {
            diff.field("content_type", observed.content_type.as_str(), content_type.as_deref().unwrap_or(UNTYPED))
                .field("address", &observed.address.as_deref(), &Some(observed.wanted_address.as_str()));
        }
        diff
    }

    fn outputs(observed: &BucketObjectObserved) -> Vec<(&'static str, String)> {
        // A version has many files, and its pipeline's `code` says where they are.
        let of_a_version = crate::cloud::is_of_a_version(&observed.key);
        if of_a_version { Vec::new() } else { vec![("uri", Self::id(observed))] }
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<BucketObjectObserved> {
        let Self { bucket: _, folder: _, bucket_name, key, source, content_type } = self;
        let (stack, address) = (ascii(&cx.world.names.stack), ascii(&cx.address().to_string()));
        let content_type = content_type.as_deref().unwrap_or(UNTYPED);
        let fetched;
        let (content, sha256, copied_from) = match source {
            ObjectSource::File { path, sha256 } => (Content::File(path), sha256.clone(), None),
            ObjectSource::Bytes { bytes, sha256 } => (Content::Bytes(bytes), sha256.clone(), None),
            ObjectSource::Copy(of) => {
                fetched = fetch(cx, of, bucket_name, key, [(STACK, &stack), (ADDRESS, &address)]).await?;
                (Content::File(fetched.path()), sha256_of(fetched.path()).await?, Some(of.clone()))
            }
            ObjectSource::Kept => bail!("it is gone, and what was in it is not known here; plan again"),
        };
        let upload = Upload::of(content, &sha256).await?;
        let mut metadata = vec![(STACK, &stack), (ADDRESS, &address), (SHA256, &sha256), (CHECKSUM, &upload.checksum)];
        let origin = copied_from.as_deref().map(ascii);
        metadata.extend(origin.as_ref().map(|origin| (COPIED_FROM, origin)));
        upload.send(cx, bucket_name, key, content_type, &metadata).await?;
        Ok(BucketObjectObserved {
            bucket: bucket_name.clone(),
            key: key.clone(),
            sha256: Some(sha256),
            copied_from,
            content_type: content_type.to_owned(),
            ours: true,
            address: Some(address.clone()),
            wanted_address: address,
        })
    }

    async fn update(
        &self,
        _observed: &BucketObjectObserved,
        _diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<BucketObjectObserved> {
        // S3 changes nothing about an object but by writing it anew.
        self.create(cx).await
    }

    async fn delete(observed: &BucketObjectObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let BucketObjectObserved { bucket, key, ours, .. } = observed;
        if !ours {
            cx.progress(format!("s3://{bucket}/{key} was overwritten by somebody else: left alone"));
            return Ok(());
        }
        match contents::purge(cx.world, bucket, key, |version| version.key == *key, |_| {}).await {
            Err(error) if error.downcast_ref().is_some_and(CloudError::is_missing) => Ok(()),
            result => result.map(drop),
        }
    }
}

/// Copies an object of another bucket within S3, which reaches buckets of other regions, and fetches the copy: its
/// checksum is what tells later whether it is still that. The copy is the stack's from the first.
async fn fetch(
    cx: &StepContext<'_, Cloud>,
    of: &str,
    bucket: &str,
    key: &str,
    marks: [(&str, &String); 2],
) -> Result<NamedTempFile> {
    let (cloud, s3) = (cx.world, &cx.world.clients.s3);
    let (from, name) = of.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).context("not an s3:// URI")?;
    let origin = format!("{from}/{}", utf8_percent_encode(name, KEY));
    let request = s3.copy_object().copy_source(origin).bucket(bucket).key(key);
    let request = request.metadata_directive(MetadataDirective::Replace);
    let request = marks.into_iter().fold(request, |request, (name, value)| request.metadata(name, value));
    // Only the bucket of ours can be too young to be known; an original that is missing stays missing.
    let send = || async { request.clone().send().await.explain("s3:GetObject") };
    cloud.settle(&[], send).await.with_context(|| format!("cannot copy {of}"))?;
    let answer = s3.get_object().bucket(bucket).key(key).send().await.explain("s3:GetObject")?;
    let size = answer.content_length().unwrap_or_default();
    ensure!(size <= MOST_COPIED, "{of} has {size} bytes: too many for a script");
    let content = answer.body.collect().await.context("the copy cannot be fetched")?.into_bytes();
    let file = NamedTempFile::new().context("cannot make a temporary file")?;
    tokio::fs::write(file.path(), &content).await.context("cannot write a temporary file")?;
    Ok(file)
}

/// The files of pipelines' versions. What a pointer vouches for is not asked for one by one.
async fn code(cloud: &Cloud, ours: &(impl Fn(&str) -> bool + Sync)) -> Result<Vec<(String, BucketObjectObserved)>> {
    let code = cloud.code(ours).await?;
    let reads = code.files.iter().map(|file| async move {
        let bucket = &file.at.bucket;
        let name = format!("{}/{}", cloud.names.buckets.get(bucket).map_or("", String::as_str), file.key);
        if let Some(Some(sha256)) = &file.known {
            let address = ascii(&Address::new(BucketObject::KIND, name.as_str()).to_string());
            let observed = BucketObjectObserved {
                bucket: bucket.clone(),
                key: file.key.clone(),
                sha256: Some(sha256.clone()),
                copied_from: None,
                content_type: UNTYPED.to_owned(),
                ours: true,
                address: Some(address.clone()),
                wanted_address: address,
            };
            return anyhow::Ok(Some((name, observed)));
        }
        let observed = read(cloud, bucket, &file.key, &name).await?;
        // Somebody's own file among ours is left alone.
        let observed = observed.filter(|observed| observed.ours || file.known.is_some());
        Ok(observed.map(|observed| (name, observed)))
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// The checksum of an object of the stack's that is still what was uploaded, and its entity tag; nothing for any other.
pub(super) async fn verified(cloud: &Cloud, bucket: &str, key: &str) -> Result<Option<(String, String)>> {
    let request = cloud.clients.s3.head_object().bucket(bucket).key(key).checksum_mode(ChecksumMode::Enabled);
    let Some(head) = missing_is_none(request.send().await.explain("s3:GetObject"), &["NotFound", "NoSuchKey", "404"])?
    else {
        return Ok(None);
    };
    let ours = head.metadata().and_then(|metadata| metadata.get(STACK)) == Some(&ascii(&cloud.names.stack));
    let tag = head.e_tag().unwrap_or_default().trim_matches('"').to_owned();
    Ok(sha256(&head).filter(|_| ours).map(|sha256| (sha256, tag)))
}

/// Metadata travel as headers.
fn ascii(text: &str) -> String {
    utf8_percent_encode(text, CONTROLS).to_string()
}

async fn read(cloud: &Cloud, bucket: &str, key: &str, name: &str) -> Result<Option<BucketObjectObserved>> {
    let request = cloud.clients.s3.head_object().bucket(bucket).key(key).checksum_mode(ChecksumMode::Enabled);
    let head = match request.send().await.explain("s3:GetObject") {
        Err(error) if error.is_missing() => return Ok(None),
        head => head?,
    };
    let metadata = |name: &str| head.metadata().and_then(|metadata| metadata.get(name)).cloned();
    let ours = metadata(STACK) == Some(ascii(&cloud.names.stack));
    Ok(Some(BucketObjectObserved {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        sha256: if ours { sha256(&head) } else { None },
        copied_from: metadata(COPIED_FROM).filter(|_| ours),
        content_type: head.content_type().unwrap_or(UNTYPED).to_owned(),
        ours,
        address: metadata(ADDRESS),
        wanted_address: ascii(&Address::new(BucketObject::KIND, name).to_string()),
    }))
}

/// What the metadata say was uploaded, if S3's checksum says that it is what is there.
fn sha256(head: &HeadObjectOutput) -> Option<String> {
    let metadata = head.metadata()?;
    let (uploaded, there) = (metadata.get(CHECKSUM)?, head.checksum_sha256()?);
    (upload::digest(uploaded) == upload::digest(there)).then(|| metadata.get(SHA256).cloned())?
}
