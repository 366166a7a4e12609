//! A folder: S3 has none, but tools show a key that ends in a slash as one, and jobs find it before there is data.
//!
//! A folder exists as soon as anything is in it. Only the spec's folders are looked for, since S3 cannot tell a marker
//! of ours from what a job wrote: one that the spec no longer names is left alone, with or without contents, until its
//! bucket goes. Deleting a folder deletes its empty marker; what is in it is the bucket's affair.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Address, Diff, Identity, Inventory, Ref, Resource, Result, StepContext};
use futures::future::try_join_all;
use serde::Serialize;

use super::{Bucket, bucket_contents as contents};
use crate::cloud::{Cloud, CloudError, Explain};

/// A folder in a bucket.
#[derive(Clone, Debug, Serialize)]
pub struct BucketFolder {
    /// The bucket.
    pub bucket: Ref<Bucket>,
    /// The bucket's name in S3.
    pub bucket_name: String,
    /// The key, with its slash at the end: `raw/`.
    pub key: String,
}

/// What S3 reports of a folder.
#[derive(Clone, Debug, Serialize)]
pub struct BucketFolderObserved {
    /// The bucket's name in S3.
    pub bucket: String,
    /// The key, with its slash at the end.
    pub key: String,
}

impl Resource<Cloud> for BucketFolder {
    const KIND: &'static str = "bucket_folder";
    const LAYER: &'static str = "storage";
    const AFTER: &'static [&'static str] = &["bucket"];
    // Only in buckets that are the stack's: a foreign one of that name may have such a folder too.
    const OBSERVES_AFTER: &'static [&'static str] = &["bucket"];
    const IDENTITY: Identity = Identity::Name;
    type Observed = BucketFolderObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { bucket, bucket_name: _, key: _ } = self;
        vec![bucket.address()]
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, BucketFolderObserved)>> {
        let reads = known.all::<Cloud, Bucket>().flat_map(|(bucket, observed)| {
            let wanted = cloud.names.folders.get(&observed.name).map(Vec::as_slice).unwrap_or_default();
            by_parent(wanted).into_iter().map(move |(parent, keys)| async move {
                let found = existing(cloud, &observed.name, parent, keys).await?;
                anyhow::Ok(found.into_iter().map(|key| named(bucket, &observed.name, key)).collect::<Vec<_>>())
            })
        });
        Ok(try_join_all(reads).await?.concat())
    }

    fn id(observed: &BucketFolderObserved) -> String {
        format!("s3://{}/{}", observed.bucket, observed.key)
    }

    fn diff(&self, observed: &BucketFolderObserved, known: &Inventory) -> Diff {
        let Self { bucket, bucket_name: _, key } = self;
        let mut diff = Diff::default();
        let name = known.get(bucket).map(|bucket| bucket.name.as_str());
        diff.fixed_link("bucket", &observed.bucket, name, bucket).fixed("key", &observed.key, key);
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<BucketFolderObserved> {
        let cloud = cx.world;
        let request = || cloud.clients.s3.put_object().bucket(&self.bucket_name).key(&self.key).if_none_match("*");
        match cloud.settle(&[], || async { request().send().await.explain("s3:PutObject") }).await {
            Err(error) if !error.is(&["PreconditionFailed"]) => return Err(error.into()),
            _ => {}
        }
        Ok(BucketFolderObserved { bucket: self.bucket_name.clone(), key: self.key.clone() })
    }

    async fn update(
        &self,
        observed: &BucketFolderObserved,
        _diff: &Diff,
        _cx: &StepContext<'_, Cloud>,
    ) -> Result<BucketFolderObserved> {
        // Nothing about a folder can change in place.
        Ok(observed.clone())
    }

    async fn delete(observed: &BucketFolderObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let BucketFolderObserved { bucket, key } = observed;
        let is_marker = |version: &contents::Version| version.key == *key && version.size.unwrap_or(0) == 0;
        match contents::purge(cx.world, bucket, key, is_marker, |_| {}).await {
            Err(error) if error.downcast_ref().is_some_and(CloudError::is_missing) => Ok(()),
            result => result.map(drop),
        }
    }
}

fn named(bucket: &str, bucket_name: &str, key: String) -> (String, BucketFolderObserved) {
    let name = format!("{bucket}/{}", key.trim_end_matches('/'));
    (name, BucketFolderObserved { bucket: bucket_name.to_owned(), key })
}

/// The folders by the one that they are in: one listing shows them all.
fn by_parent(keys: &[String]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut parents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for key in keys {
        let inner = key.trim_end_matches('/');
        let parent = inner.rfind('/').map_or("", |slash| &key[..=slash]);
        parents.entry(parent).or_default().insert(key);
    }
    parents
}

/// Which of `keys`, all directly in `parent`, are there.
async fn existing(cloud: &Cloud, bucket: &str, parent: &str, keys: BTreeSet<&str>) -> Result<Vec<String>> {
    let s3 = &cloud.clients.s3;
    let list = |prefix: &str, most: i32| {
        let request = s3.list_objects_v2().bucket(bucket).prefix(prefix).delimiter("/").max_keys(most).send();
        async { request.await.explain("s3:ListBucket") }
    };
    let page = match list(parent, 1000).await {
        Err(error) if error.is(&["NoSuchBucket"]) => return Ok(Vec::new()),
        page => page?,
    };
    let shown: BTreeSet<&str> = page.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    let (found, unseen): (Vec<&str>, Vec<&str>) = keys.into_iter().partition(|key| shown.contains(key));
    let mut found: Vec<String> = found.into_iter().map(str::to_owned).collect();
    // Thousands of neighbours: each folder that the first page didn't show is asked for by itself.
    if page.is_truncated() == Some(true) {
        let asked = unseen.into_iter().map(|key| async move {
            let page = list(key, 1).await?;
            let is_there = !page.contents().is_empty() || !page.common_prefixes().is_empty();
            Ok::<_, CloudError>(is_there.then(|| key.to_owned()))
        });
        found.extend(try_join_all(asked).await?.into_iter().flatten());
    }
    Ok(found)
}
