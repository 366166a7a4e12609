//! What is in a bucket: counted before it is deleted, and taken along only where the user said so.

use std::{collections::BTreeSet, fmt};

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use engine::{Result, StepContext};

use crate::cloud::{Cloud, CloudError, Explain};

/// Counting stops here: the message says "more than".
const COUNT_PAGES: usize = 10;

/// One version of an object, or the mark that a delete left in a bucket with versioning.
pub(super) struct Version {
    /// The key.
    pub key: String,
    id: Option<String>,
    /// In bytes; nothing for a delete's mark.
    pub size: Option<i64>,
    latest: bool,
}

impl Version {
    /// Whether it holds data: neither a folder's empty marker nor a delete's mark does.
    fn is_data(&self) -> bool {
        self.size.is_some_and(|size| size > 0 || !self.key.ends_with('/'))
    }
}

struct Page {
    versions: Vec<Version>,
    next: Option<(Option<String>, Option<String>)>,
}

async fn page(
    cloud: &Cloud,
    bucket: &str,
    prefix: &str,
    from: Option<(Option<String>, Option<String>)>,
) -> Result<Page, CloudError> {
    let (key, version) = from.unwrap_or_default();
    let request = cloud.clients.s3.list_object_versions().bucket(bucket).prefix(prefix).max_keys(1000);
    let request = request.set_key_marker(key).set_version_id_marker(version);
    let answer = request.send().await.explain("s3:ListBucketVersions")?;
    let version = |key: Option<&str>, id: Option<&str>, size: Option<i64>, latest: Option<bool>| Version {
        key: key.unwrap_or_default().to_owned(),
        id: id.map(str::to_owned),
        size,
        latest: latest.unwrap_or(false),
    };
    let kept = answer.versions().iter();
    let kept = kept.map(|one| version(one.key(), one.version_id(), Some(one.size().unwrap_or(0)), one.is_latest()));
    let marks = answer.delete_markers().iter();
    let marks = marks.map(|one| version(one.key(), one.version_id(), None, one.is_latest()));
    let versions = kept.chain(marks).collect();
    let more = answer.is_truncated() == Some(true);
    let next = more.then(|| (answer.next_key_marker.clone(), answer.next_version_id_marker.clone()));
    Ok(Page { versions, next })
}

/// Whether nothing at all is in the bucket.
pub(super) async fn is_empty(cloud: &Cloud, bucket: &str) -> Result<bool, CloudError> {
    Ok(page(cloud, bucket, "", None).await?.versions.is_empty())
}

/// What a bucket holds, as far as one page of its list tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Objects.
    pub objects: usize,
    /// Versions of objects that were overwritten or deleted.
    pub older: usize,
    /// In bytes, all of them together.
    pub bytes: u64,
    /// Whether there is more than that.
    pub more: bool,
}

impl Holding {
    /// True when there is no data: the empty markers of folders are none.
    pub fn is_empty(&self) -> bool {
        self.objects + self.older == 0 && !self.more
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { objects, older, bytes, more } = *self;
        if more {
            return write!(f, "{} or more objects and versions", objects + older);
        }
        write!(f, "{}", counted(objects, "object"))?;
        if older > 0 {
            write!(f, " and {}", counted(older, "older version"))?;
        }
        write!(f, ", {}", size(bytes))
    }
}

fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// `0 bytes`, `3.4 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return counted(usize::try_from(bytes).unwrap_or_default(), "byte");
    }
    // In tenths, so that no floating point is needed; from 1023.95 on it is 1.0 of the next unit.
    let (mut tenths, mut unit) = (u128::from(bytes) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// What is in a bucket beside the objects that the stack itself put there, whose keys are `own`; nothing where the bucket
/// is gone. One call.
pub async fn holding(cloud: &Cloud, bucket: &str, own: &BTreeSet<&str>) -> Result<Option<Holding>, CloudError> {
    let page = match page(cloud, bucket, "", None).await {
        Err(error) if error.is_missing() => return Ok(None),
        page => page?,
    };
    let mut holding = Holding { more: page.next.is_some(), ..Holding::default() };
    for version in page.versions.iter().filter(|version| version.is_data() && !own.contains(version.key.as_str())) {
        *if version.latest { &mut holding.objects } else { &mut holding.older } += 1;
        holding.bytes += version.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    }
    Ok(Some(holding))
}

/// Deletes for good every version below `prefix` that `pick` picks; says how many.
pub(super) async fn purge(
    cloud: &Cloud,
    bucket: &str,
    prefix: &str,
    pick: impl Fn(&Version) -> bool + Send + Sync,
    mut told: impl FnMut(usize) + Send,
) -> Result<usize> {
    let mut from = None;
    let mut gone = 0;
    loop {
        let page = page(cloud, bucket, prefix, from.clone()).await?;
        let picked = page.versions.iter().filter(|version| pick(version));
        let batch: Vec<ObjectIdentifier> = picked
            .map(|version| ObjectIdentifier::builder().key(&version.key).set_version_id(version.id.clone()).build())
            .collect::<Result<_, _>>()?;
        let picked = batch.len();
        // A page holds at most as many as one request may delete.
        if picked > 0 {
            delete(cloud, bucket, batch).await?;
            gone += picked;
            told(gone);
        }
        match page.next {
            None => return Ok(gone),
            // What a page ends with may be gone by now: the same place is looked at again.
            Some(_) if picked > 0 => {}
            next => from = next,
        }
    }
}

async fn delete(cloud: &Cloud, bucket: &str, batch: Vec<ObjectIdentifier>) -> Result<()> {
    let delete = Delete::builder().set_objects(Some(batch)).quiet(true).build()?;
    let answer = cloud.clients.s3.delete_objects().bucket(bucket).delete(delete).send().await;
    let answer = answer.explain("s3:DeleteObjectVersion")?;
    if let Some(first) = answer.errors().first() {
        let (key, code) = (first.key().unwrap_or_default(), first.code().unwrap_or_default());
        let (others, message) = (answer.errors().len() - 1, first.message().unwrap_or_default());
        anyhow::bail!("s3:DeleteObjectVersion answered {code} for {key} in {bucket}: {message} (and {others} more)");
    }
    Ok(())
}

/// Makes the bucket ready to be deleted. Folders' empty markers go; data goes only where the user allowed it.
pub(super) async fn clear(cx: &StepContext<'_, Cloud>, bucket: &str) -> Result<()> {
    let cloud = cx.world;
    if !cloud.empty_buckets {
        refuse_data(cloud, bucket).await?;
    }
    let told = |gone| cx.progress(format!("deleted {} in {bucket}", counted(gone, "version")));
    purge(cloud, bucket, "", |version| cloud.empty_buckets || !version.is_data(), told).await?;
    abort_uploads(cloud, bucket, None).await
}

async fn refuse_data(cloud: &Cloud, bucket: &str) -> Result<()> {
    let (mut objects, mut older, mut from, mut pages) = (0_usize, 0_usize, None, 0);
    let more = loop {
        let page = page(cloud, bucket, "", from).await?;
        for version in page.versions.iter().filter(|version| version.is_data()) {
            *if version.latest { &mut objects } else { &mut older } += 1;
        }
        pages += 1;
        match page.next {
            None => break "",
            Some(_) if pages == COUNT_PAGES => break "more than ",
            Some(next) => from = Some(next),
        }
    };
    if objects + older == 0 && more.is_empty() {
        return Ok(());
    }
    let older = if older == 0 { String::new() } else { format!(" and {}", counted(older, "older version")) };
    let objects = counted(objects, "object");
    anyhow::bail!(
        "bucket {bucket} is not empty: it holds {more}{objects}{older}; `--empty-buckets` deletes what is in it too"
    )
}

/// Gives up the uploads that were begun and never finished: all, or those of one key.
pub(super) async fn abort_uploads(cloud: &Cloud, bucket: &str, only: Option<&str>) -> Result<()> {
    let s3 = &cloud.clients.s3;
    loop {
        let request = s3.list_multipart_uploads().bucket(bucket).set_prefix(only.map(str::to_owned));
        let answer = request.send().await.explain("s3:ListBucketMultipartUploads")?;
        let mut gone = 0_usize;
        for upload in answer.uploads().iter().filter(|upload| only.is_none() || upload.key() == only) {
            let request = s3.abort_multipart_upload().bucket(bucket).set_key(upload.key.clone());
            let answer = request.set_upload_id(upload.upload_id.clone()).send().await;
            match answer.explain("s3:AbortMultipartUpload") {
                Err(error) if !error.is(&["NoSuchUpload"]) => return Err(error.into()),
                _ => gone += 1,
            }
        }
        // The next look begins anew: what was on this page is gone.
        if answer.is_truncated() != Some(true) || gone == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_bucket_holds_is_told_in_words() {
        let told = |objects, older, bytes, more| Holding { objects, older, bytes, more }.to_string();
        assert_eq!(told(1, 0, 1, false), "1 object, 1 byte");
        assert_eq!(told(12, 1, 3_565_200, false), "12 objects and 1 older version, 3.4 MiB");
        assert_eq!(told(0, 2, 1024, false), "0 objects and 2 older versions, 1.0 KiB");
        assert_eq!(told(990, 10, 5, true), "1000 or more objects and versions");
        assert_eq!(size(1_073_741_823), "1023.9 MiB");
        assert_eq!(size(u64::MAX), "16383.9 PiB");
        assert!(Holding::default().is_empty() && !Holding { older: 1, ..Holding::default() }.is_empty());
    }
}
