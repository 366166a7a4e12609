//! How long a bucket keeps what is in it.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, ExpirationStatus, LifecycleExpiration, LifecycleRule as Object,
    LifecycleRuleFilter, NoncurrentVersionExpiration,
};
use engine::Result;
use serde::{Serialize, Serializer};

/// A rule for the objects whose keys begin alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LifecycleRule {
    /// What the keys begin with; empty for all.
    pub prefix: String,
    /// Objects are deleted after so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expire_days: Option<u32>,
    /// Versions that were overwritten or deleted go for good after so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noncurrent_days: Option<u32>,
    /// Uploads that were never finished are given up after so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_uploads_days: Option<u32>,
}

/// A rule as S3 has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObservedRule {
    /// One that we could have made.
    Plain(LifecycleRule),
    /// One that says more than ours can, by its id: somebody else made it.
    Foreign(String),
}

impl Serialize for ObservedRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(rule) => rule.serialize(serializer),
            Self::Foreign(id) => id.serialize(serializer),
        }
    }
}

impl ObservedRule {
    /// Reads a rule. Ids are not compared: S3 wants one for each rule and they mean nothing.
    pub(super) fn read(object: &Object) -> Self {
        Self::plain(object).map_or_else(|| Self::Foreign(object.id().unwrap_or("a rule").to_owned()), Self::Plain)
    }

    fn plain(object: &Object) -> Option<LifecycleRule> {
        let Object {
            expiration,
            id: _,
            #[expect(deprecated, reason = "rules from before 2016 have their prefix here")]
                prefix: old_prefix,
            filter,
            status,
            transitions,
            noncurrent_version_transitions,
            noncurrent_version_expiration,
            abort_incomplete_multipart_upload,
            ..
        } = object;
        let moves = transitions.as_ref().is_some_and(|moves| !moves.is_empty())
            || noncurrent_version_transitions.as_ref().is_some_and(|moves| !moves.is_empty());
        if moves || *status != ExpirationStatus::Enabled {
            return None;
        }
        let prefix = match filter {
            Some(filter) => {
                let only_prefix = filter.tag().is_none()
                    && filter.and().is_none()
                    && filter.object_size_greater_than().is_none()
                    && filter.object_size_less_than().is_none();
                only_prefix.then(|| filter.prefix().unwrap_or_default())?
            }
            None => old_prefix.as_deref().unwrap_or_default(),
        };
        if let Some(expiration) = expiration
            && (expiration.date().is_some() || expiration.expired_object_delete_marker() == Some(true))
        {
            return None;
        }
        if noncurrent_version_expiration.as_ref().is_some_and(|kept| kept.newer_noncurrent_versions().is_some()) {
            return None;
        }
        let days = |days: Option<i32>| days.and_then(|days| u32::try_from(days).ok());
        Some(LifecycleRule {
            prefix: prefix.to_owned(),
            expire_days: days(expiration.as_ref().and_then(LifecycleExpiration::days)),
            noncurrent_days: days(
                noncurrent_version_expiration.as_ref().and_then(NoncurrentVersionExpiration::noncurrent_days),
            ),
            abort_uploads_days: days(
                abort_incomplete_multipart_upload
                    .as_ref()
                    .and_then(AbortIncompleteMultipartUpload::days_after_initiation),
            ),
        })
    }
}

impl LifecycleRule {
    /// S3's form of the rule.
    pub(super) fn object(&self, number: usize) -> Result<Object> {
        let Self { prefix, expire_days, noncurrent_days, abort_uploads_days } = self;
        let days = |days: u32| i32::try_from(days);
        let mut rule = Object::builder()
            .id(format!("infra-{number}"))
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(prefix).build());
        if let Some(expire) = expire_days {
            rule = rule.expiration(LifecycleExpiration::builder().days(days(*expire)?).build());
        }
        if let Some(noncurrent) = noncurrent_days {
            let kept = NoncurrentVersionExpiration::builder().noncurrent_days(days(*noncurrent)?).build();
            rule = rule.noncurrent_version_expiration(kept);
        }
        if let Some(abort) = abort_uploads_days {
            let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(days(*abort)?).build();
            rule = rule.abort_incomplete_multipart_upload(abort);
        }
        Ok(rule.build()?)
    }
}
