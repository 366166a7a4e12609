//! Buckets, their folders, and what the stack itself puts into them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use engine::Ref;

use super::{Stack, cluster::log4j_patch, origin};
use crate::{
    cloud::Names,
    resources::{Bucket, BucketEncryption, BucketFolder, BucketObject, LifecycleRule, ObjectSource, sha256_of},
    spec::{self, Encryption, FilePath, Script, Span, Spec},
};

/// Where the stack's own objects lie in a bucket.
const OWN_FOLDER: &str = "infra/";

/// A file of the project that the stack needs in S3.
struct Upload<'a> {
    /// The resource's name.
    address: String,
    /// The bucket's name in the spec.
    bucket: &'a str,
    /// The bucket's name in S3.
    bucket_name: String,
    key: String,
    source: Source<'a>,
    span: &'a Span,
}

/// Where its content comes from.
enum Source<'a> {
    /// A file of the project.
    File(&'a Path),
    /// An object of AWS's.
    Copy(String),
}

/// What the stack needs in S3: bootstrap scripts, and AWS's patch of log4j.
fn uploads<'a>(spec: &'a Spec, account: &str) -> Vec<Upload<'a>> {
    let Some(cluster) = &spec.cluster else { return Vec::new() };
    let Some(bucket) = home(spec) else { return Vec::new() };
    let scripts = cluster.bootstrap.iter().filter_map(|action| match &action.script {
        Script::File(file) => Some((file, &action.span)),
        Script::S3(_) => None,
    });
    let upload = |(file, span): (&'a FilePath, &'a Span)| {
        let key = key_of(file);
        let bucket_name = spec.buckets[bucket].name.resolve(account);
        let source = Source::File(&file.path);
        Upload { address: format!("{bucket}/{key}"), bucket, bucket_name, key, source, span }
    };
    // A script that runs twice is uploaded once.
    let mut all: Vec<Upload<'a>> = scripts.map(upload).collect();
    all.extend(cluster.log4j_patch.then(|| {
        let origin = log4j_patch(*cluster.release);
        let key = patch_key(&origin);
        let bucket_name = spec.buckets[bucket].name.resolve(account);
        let (address, span) = (format!("{bucket}/{key}"), &cluster.log4j_patch.span);
        Upload { address, bucket, bucket_name, key, source: Source::Copy(origin), span }
    }));
    all.sort_by(|a, b| a.address.cmp(&b.address));
    all.dedup_by(|a, b| a.address == b.address);
    all
}

/// The bucket that holds the stack's own objects: the cluster's logs' or else the first.
fn home(spec: &Spec) -> Option<&str> {
    let logs = spec.cluster.as_ref().and_then(|cluster| cluster.logs.as_ref()).map(|logs| logs.bucket.value.as_str());
    logs.or_else(|| spec.buckets.keys().next().map(String::as_str))
}

/// Where the stack keeps its copy of AWS's patch: apart from the project's own scripts.
fn patch_key(origin: &str) -> String {
    format!("{OWN_FOLDER}log4j/{}", origin.rsplit('/').next().unwrap_or_default())
}

fn key_of(file: &FilePath) -> String {
    let name = file.path.file_name().map(PathBuf::from).unwrap_or_default();
    format!("{OWN_FOLDER}bootstrap/{}", name.display())
}

/// The names that only storage has.
pub(super) fn names(spec: &Spec, account: &str) -> Names {
    let in_s3 = |bucket: &spec::Bucket| bucket.name.resolve(account);
    let folders = spec
        .buckets
        .values()
        .filter(|bucket| !bucket.folders.is_empty())
        .map(|bucket| (in_s3(bucket), bucket.folders.iter().map(|folder| folder.value.clone()).collect()));
    Names {
        buckets: spec.buckets.iter().map(|(name, bucket)| (in_s3(bucket), name.clone())).collect(),
        protected_buckets: spec.buckets.values().filter(|bucket| *bucket.protect).map(|bucket| in_s3(bucket)).collect(),
        folders: folders.collect(),
        objects: uploads(spec, account)
            .into_iter()
            .map(|upload| ((upload.bucket_name, upload.key), upload.address))
            .collect(),
        ..Names::default()
    }
}

impl Stack<'_> {
    pub(super) async fn storage(&mut self) -> anyhow::Result<()> {
        for (name, bucket) in &self.spec.buckets {
            let bucket_name = bucket.name.resolve(&self.names.account);
            let encryption = match (bucket.encryption.value, &self.kms) {
                (Encryption::Kms, Some(key)) => BucketEncryption::Kms(key.clone()),
                _ => BucketEncryption::S3,
            };
            let resource = Bucket {
                name: bucket_name.clone(),
                encryption,
                versioning: *bucket.versioning,
                lifecycle: lifecycle(bucket),
                protect: *bucket.protect,
                tags: self.tags::<Bucket>(name),
            };
            let link = self.graph.add_at(origin(&bucket.span), name, resource);
            for folder in &bucket.folders {
                let resource =
                    BucketFolder { bucket: link.clone(), bucket_name: bucket_name.clone(), key: folder.value.clone() };
                let address = format!("{name}/{}", folder.trim_end_matches('/'));
                let link = self.graph.add_at(origin(&folder.span), address, resource);
                self.folders.insert((name.clone(), folder.value.clone()), link);
            }
            self.buckets.insert(name.clone(), link);
        }
        for upload in uploads(self.spec, &self.names.account) {
            let Upload { address, bucket, bucket_name, key, source, span } = upload;
            let source = match source {
                Source::File(path) => {
                    let sha256 = sha256_of(path).await.with_context(|| format!("asked for at {span}"))?;
                    ObjectSource::File { path: path.to_owned(), sha256 }
                }
                Source::Copy(origin) => ObjectSource::Copy(origin),
            };
            let (folder, bucket) = (self.folder_of(bucket, &key), self.buckets[bucket].clone());
            let resource = BucketObject { bucket, folder, bucket_name, key, source, content_type: None };
            self.graph.add_at(origin(span), address, resource);
        }
        Ok(())
    }

    /// The innermost of a bucket's folders that a key lies in.
    pub(super) fn folder_of(&self, bucket: &str, key: &str) -> Option<Ref<BucketFolder>> {
        let around = self.folders.iter().filter(|((of, folder), _)| of == bucket && key.starts_with(folder));
        around.max_by_key(|((_, folder), _)| folder.len()).map(|(_, link)| link.clone())
    }
}

/// Where the stack's copy of AWS's patch of log4j will be; nothing for a stack without a bucket.
pub(super) fn patch(spec: &Spec, names: &Names) -> Option<String> {
    let bucket = spec.buckets[home(spec)?].name.resolve(&names.account);
    let release = *spec.cluster.as_ref()?.release;
    Some(format!("s3://{bucket}/{}", patch_key(&log4j_patch(release))))
}

/// Where a bootstrap script will be, once it is uploaded.
pub(super) fn uploaded(spec: &Spec, names: &Names, file: &FilePath) -> String {
    let bucket = home(spec).map(|bucket| spec.buckets[bucket].name.resolve(&names.account)).unwrap_or_default();
    format!("s3://{bucket}/{}", key_of(file))
}

fn lifecycle(bucket: &spec::Bucket) -> std::collections::BTreeSet<LifecycleRule> {
    let abandoned = LifecycleRule {
        prefix: String::new(),
        expire_days: None,
        noncurrent_days: None,
        abort_uploads_days: Some(*bucket.abort_uploads_days),
    };
    let expiring = bucket.expire.iter().map(|expiry| LifecycleRule {
        prefix: expiry.prefix.clone(),
        expire_days: Some(expiry.days),
        noncurrent_days: expiry.noncurrent_days,
        abort_uploads_days: None,
    });
    expiring.chain([abandoned]).collect()
}
