//! Versions that are in S3: reading one back, to deploy it again or to run what it describes.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    cloud::{Cloud, CodeFolder, Explain},
    stacks::pipeline::{DESCRIPTION, Description, Release, sha256},
};

/// Files on their way at once.
const AT_ONCE: usize = 8;

/// A file of a version.
async fn read(cloud: &Cloud, at: &CodeFolder, key: &str) -> Result<Arc<[u8]>> {
    let answer = cloud.clients.s3.get_object().bucket(&at.bucket).key(key).send().await.explain("s3:GetObject")?;
    let bytes = answer.body.collect().await.with_context(|| format!("s3://{}/{key} cannot be read", at.bucket))?;
    Ok(bytes.into_bytes().to_vec().into())
}

/// A version with all that is in it. `checksums` are those of its files by their keys, as the pointer has them.
pub async fn release(
    cloud: &Cloud,
    at: &CodeFolder,
    pipeline: &str,
    version: &str,
    checksums: &BTreeMap<String, String>,
) -> Result<Release> {
    let folder = at.key(pipeline, version, "");
    let keys =
        checksums.iter().filter(|(key, _)| key.starts_with(&folder)).map(|(key, sha)| (key.clone(), sha.clone()));
    let reads = keys.map(|(key, checksum)| {
        let folder = &folder;
        async move {
            let bytes = read(cloud, at, &key).await?;
            ensure!(
                sha256(&bytes) == checksum,
                "s3://{}/{key} is no longer what was deployed, and cannot be deployed again",
                at.bucket
            );
            anyhow::Ok((key[folder.len()..].to_owned(), bytes))
        }
    });
    let files: BTreeMap<String, Arc<[u8]>> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
    if !files.contains_key(DESCRIPTION) {
        bail!("version {version} of {pipeline} is not whole: it has no {DESCRIPTION}");
    }
    Ok(Release { version: version.to_owned(), files })
}

/// What a version says of itself.
pub async fn description(cloud: &Cloud, at: &CodeFolder, pipeline: &str, version: &str) -> Result<Description> {
    let key = at.key(pipeline, version, DESCRIPTION);
    let bytes = read(cloud, at, &key).await?;
    serde_json::from_slice(&bytes).with_context(|| format!("s3://{}/{key} cannot be understood", at.bucket))
}

/// A file of a version as text; nothing where the version has none of that path, or it is no text.
pub async fn text(cloud: &Cloud, at: &CodeFolder, pipeline: &str, version: &str, path: &str) -> Option<String> {
    let bytes = read(cloud, at, &at.key(pipeline, version, path)).await.ok()?;
    String::from_utf8(bytes.to_vec()).ok()
}
