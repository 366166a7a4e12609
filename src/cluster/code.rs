//! Programs in a bucket: what is in its code folder, and putting a local file there.

use std::path::Path;

use anyhow::{Context, Result};
use aws_sdk_s3::{operation::list_objects_v2::ListObjectsV2Output, primitives::ByteStream, types::ChecksumAlgorithm};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    cloud::{Cloud, Explain, missing_is_none},
    resources::sha256_of,
};

const ABSENT: &[&str] = &["NotFound", "NoSuchKey", "404"];

/// A folder of a bucket in which programs are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeFolder {
    /// The bucket's name in S3.
    pub bucket: String,
    /// The folder, ending in `/`.
    pub folder: String,
}

impl CodeFolder {
    /// What stands in it under a name: `s3://…`.
    pub fn uri(&self, name: &str) -> String {
        format!("s3://{}/{}{name}", self.bucket, self.folder)
    }

    /// Whether there is a program of this name.
    pub async fn has(&self, cloud: &Cloud, name: &str) -> Result<bool> {
        self.has_key(cloud, &format!("{}{name}", self.folder)).await
    }

    async fn has_key(&self, cloud: &Cloud, key: &str) -> Result<bool> {
        let head = cloud.clients.s3.head_object().bucket(&self.bucket).key(key).send().await;
        Ok(missing_is_none(head.explain("s3:GetObject"), ABSENT)?.is_some())
    }

    /// The names of all programs in it, folders of uploads left out.
    pub async fn names(&self, cloud: &Cloud) -> Result<Vec<String>> {
        let request = cloud.clients.s3.list_objects_v2().bucket(&self.bucket).prefix(&self.folder).delimiter("/");
        let pages: Vec<_> = request.into_paginator().send().try_collect().await.explain("s3:ListBucket")?;
        let keys = pages.iter().flat_map(ListObjectsV2Output::contents).filter_map(|object| object.key());
        let names = keys.filter_map(|key| key.strip_prefix(&self.folder)).filter(|name| !name.is_empty());
        Ok(names.map(str::to_owned).collect())
    }

    /// Puts a file there, under a key that holds a part of its checksum: another version never takes the place of one
    /// that a step is reading, and the same one is uploaded once. Returns its URI.
    pub async fn put(&self, cloud: &Cloud, file: &Path) -> Result<String> {
        let sha256 = sha256_of(file).await?;
        let name = file.file_name().with_context(|| format!("{} is no file", file.display()))?.to_string_lossy();
        let name = format!("{}/{name}", &sha256[..16]);
        let key = format!("{}{name}", self.folder);
        if !self.has_key(cloud, &key).await? {
            let body = ByteStream::from_path(file).await.with_context(|| format!("cannot read {}", file.display()))?;
            let request = cloud.clients.s3.put_object().bucket(&self.bucket).key(&key).body(body);
            // S3 verifies that what arrives is what was hashed.
            let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256).checksum_sha256(in_base64(&sha256));
            request.send().await.explain("s3:PutObject")?;
        }
        Ok(self.uri(&name))
    }
}

/// A checksum in hexadecimal as S3 wants it.
fn in_base64(hexadecimal: &str) -> String {
    let bytes =
        (0..hexadecimal.len() / 2).filter_map(|at| u8::from_str_radix(&hexadecimal[at * 2..at * 2 + 2], 16).ok());
    BASE64_STANDARD.encode(bytes.collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_checksum_is_the_same_bytes_either_way() {
        assert_eq!(super::in_base64("00ff10"), "AP8Q");
    }
}
