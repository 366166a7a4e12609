//! Uploading a file: whole, or in parts where it is large. What arrives is what was planned: the file is hashed first,
//! refused if it isn't the planned one, and every request carries the checksum of its part, which S3 verifies.

use std::{path::Path, sync::Arc};

use anyhow::{Context, ensure};
use aws_sdk_s3::{
    primitives::ByteStream,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use aws_smithy_types::byte_stream::Length;
use base64::{Engine, prelude::BASE64_STANDARD};
use engine::{Result, StepContext};
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, BufReader};

use super::bucket_contents as contents;
use crate::cloud::{Answered, Cloud, CloudError, Explain};

/// From here on a file goes in parts.
const WHOLE: u64 = 16 << 20;
const PART: u64 = 8 << 20;
/// Source: "Amazon S3 multipart upload limits" in the Amazon S3 user guide.
const MOST_PARTS: u64 = 10_000;
/// Parts on their way at once.
const AT_ONCE: usize = 4;
const BLOCK: usize = 256 << 10;

/// What is uploaded.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    /// What is in a file.
    File(&'a Path),
    /// These bytes; not many.
    Bytes(&'a Arc<[u8]>),
}

/// A file, hashed and ready to go.
pub(super) struct Upload<'a> {
    source: Content<'a>,
    size: u64,
    part: u64,
    /// The SHA-256 of each part, in base64.
    parts: Vec<String>,
    /// The SHA-256 that S3 will report: of the whole, or of the parts' and how many there are.
    pub checksum: String,
}

/// The SHA-256 of a file in hexadecimal, read block by block.
pub async fn sha256_of(path: &Path) -> Result<String> {
    Ok(hash(path, u64::MAX).await?.0)
}

/// A checksum without the number of parts, which not every S3 appends.
pub(super) fn digest(checksum: &str) -> &str {
    checksum.split('-').next().unwrap_or(checksum)
}

impl<'a> Upload<'a> {
    /// Hashes the file and insists that it is the one that was planned.
    pub(super) async fn of(content: Content<'a>, sha256: &str) -> Result<Self> {
        let source = match content {
            Content::File(source) => source,
            Content::Bytes(bytes) => {
                let checksum = BASE64_STANDARD.encode(Sha256::digest(bytes));
                let parts = vec![checksum.clone()];
                return Ok(Self { source: content, size: 0, part: u64::MAX, parts, checksum });
            }
        };
        let shown = source.display();
        let size = tokio::fs::metadata(source).await.with_context(|| format!("cannot read {shown}"))?.len();
        let part = if size <= WHOLE { u64::MAX } else { PART.max(size.div_ceil(MOST_PARTS)) };
        let (whole, digests) = hash(source, part).await?;
        ensure!(whole == sha256, "{shown} has changed since the plan was made; plan again");
        let parts: Vec<String> = digests.iter().map(|digest| BASE64_STANDARD.encode(digest)).collect();
        let checksum = match parts.as_slice() {
            [one] if size <= WHOLE => one.clone(),
            parts => format!("{}-{}", BASE64_STANDARD.encode(Sha256::digest(digests.concat())), parts.len()),
        };
        Ok(Self { source: content, size, part, parts, checksum })
    }

    /// Uploads it.
    pub(super) async fn send(
        &self,
        cx: &StepContext<'_, Cloud>,
        bucket: &str,
        key: &str,
        content_type: &str,
        metadata: &[(&str, &String)],
    ) -> Result<()> {
        let cloud = cx.world;
        if self.size > WHOLE {
            return self.send_parts(cx, bucket, key, content_type, metadata).await;
        }
        let send = || async {
            let body = self.body(0).await.map_err(|error| CloudError {
                operation: "s3:PutObject",
                code: None,
                message: format!("{error:#}"),
                request_id: None,
            })?;
            let request = cloud.clients.s3.put_object().bucket(bucket).key(key).content_type(content_type).body(body);
            let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256).checksum_sha256(&self.checksum);
            let request =
                metadata.iter().fold(request, |request, (name, value)| request.metadata(*name, value.as_str()));
            request.send().await.explain("s3:PutObject")
        };
        cloud.settle(&[], send).await?;
        Ok(())
    }

    async fn send_parts(
        &self,
        cx: &StepContext<'_, Cloud>,
        bucket: &str,
        key: &str,
        content_type: &str,
        metadata: &[(&str, &String)],
    ) -> Result<()> {
        let (cloud, s3) = (cx.world, &cx.world.clients.s3);
        // An interrupted run may have left one half way: it would cost money for ever and nobody would see it.
        contents::abort_uploads(cloud, bucket, Some(key)).await?;
        let request = s3.create_multipart_upload().bucket(bucket).key(key).content_type(content_type);
        let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256);
        let request = metadata.iter().fold(request, |request, (name, value)| request.metadata(*name, value.as_str()));
        let send = || async { request.clone().send().await.explain("s3:PutObject") };
        let id = cloud.settle(&[], send).await?.upload_id.answered("s3:PutObject")?;
        let result = self.fill(cx, bucket, key, &id).await;
        if result.is_err() {
            // The failure that brought us here is the one to tell.
            let _ = s3.abort_multipart_upload().bucket(bucket).key(key).upload_id(&id).send().await;
        }
        result
    }

    async fn fill(&self, cx: &StepContext<'_, Cloud>, bucket: &str, key: &str, id: &str) -> Result<()> {
        let s3 = &cx.world.clients.s3;
        let parts = (0..self.parts.len()).map(|index| async move {
            let (number, checksum) = (i32::try_from(index + 1)?, &self.parts[index]);
            let body = self.body(index as u64).await?;
            let request = s3.upload_part().bucket(bucket).key(key).upload_id(id).part_number(number).body(body);
            let request = request.checksum_algorithm(ChecksumAlgorithm::Sha256).checksum_sha256(checksum);
            let answer = request.send().await.explain("s3:PutObject")?;
            cx.progress(format!("uploaded part {number} of {}", self.parts.len()));
            let part = CompletedPart::builder().part_number(number).checksum_sha256(checksum);
            anyhow::Ok(part.set_e_tag(answer.e_tag).build())
        });
        let parts: Vec<CompletedPart> = stream::iter(parts).buffered(AT_ONCE).try_collect().await?;
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = s3.complete_multipart_upload().bucket(bucket).key(key).upload_id(id).multipart_upload(parts);
        request.send().await.explain("s3:PutObject")?;
        Ok(())
    }

    /// The part's bytes, read from the file as they are sent.
    async fn body(&self, number: u64) -> Result<ByteStream> {
        let source = match self.source {
            Content::File(source) => source,
            Content::Bytes(bytes) => return Ok(ByteStream::from(bytes.to_vec())),
        };
        let offset = number.saturating_mul(self.part);
        let length = self.part.min(self.size.saturating_sub(offset));
        let from = ByteStream::read_from().path(source).offset(offset).length(Length::Exact(length));
        from.build().await.with_context(|| format!("cannot read {}", source.display()))
    }
}

/// The SHA-256 of the file, in hexadecimal, and of its parts.
async fn hash(path: &Path, part: u64) -> Result<(String, Vec<[u8; 32]>)> {
    let unreadable = || format!("cannot read {}", path.display());
    let mut file = BufReader::with_capacity(BLOCK, tokio::fs::File::open(path).await.with_context(unreadable)?);
    let mut whole = Sha256::new();
    let mut parts = Vec::new();
    let mut block = vec![0; BLOCK];
    loop {
        let mut this = Sha256::new();
        let mut left = part;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            let read = file.read(&mut block[..most]).await.with_context(unreadable)?;
            if read == 0 {
                break;
            }
            whole.update(&block[..read]);
            this.update(&block[..read]);
            left -= read as u64;
        }
        // An empty file is one empty part.
        if left < part || parts.is_empty() {
            parts.push(this.finalize().into());
        }
        if left > 0 {
            break;
        }
    }
    let hex = whole.finalize().iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"));
    Ok((hex, parts))
}
