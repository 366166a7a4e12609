//! Buckets, their folders, and what the stack itself puts into them.

use super::{Stack, origin};
use crate::{
    cloud::Names,
    resources::{Bucket, BucketEncryption, BucketFolder, LifecycleRule},
    spec::{self, Encryption, Spec},
};

/// The names that only storage has.
pub(super) fn names(_spec: &Spec, _account: &str) -> Names {
    Names::default()
}

impl Stack<'_> {
    pub(super) fn storage(&mut self) -> anyhow::Result<()> {
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
                self.graph.add_at(origin(&folder.span), address, resource);
            }
            self.buckets.insert(name.clone(), link);
        }
        Ok(())
    }
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
