//! Reading and writing what a bucket is set to, one call a setting.

use std::collections::BTreeSet;

use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, ObjectOwnership, OwnershipControls, OwnershipControlsRule,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging, VersioningConfiguration,
};
use engine::{Address, Resource, Result};
use serde_json::Value;

use super::{Bucket, BucketObserved, LifecycleRule, ObservedRule};
use crate::cloud::{Cloud, CloudError, Explain, PROTECT_TAG, STACK_TAG, Tags, missing_is_none};

/// Encryption by S3 itself.
pub(super) const S3: &str = "AES256";
/// Encryption by KMS.
pub(super) const KMS: &str = "aws:kms";
/// No ACLs.
pub(super) const OWNER_ENFORCED: &str = "BucketOwnerEnforced";
/// All four sorts of public access.
pub(super) const PUBLIC_ACCESS_BLOCKED: [&str; 4] =
    ["block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets"];
/// What S3 says while another change to the bucket is under way.
pub(super) const BUSY: &[&str] = &["OperationAborted"];
/// What S3 says of a bucket that lives in another region.
pub(super) const ELSEWHERE: &[&str] =
    &["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"];

/// A bucket that was looked for by its name.
pub(super) enum Found {
    /// It is the stack's.
    Ours(Box<BucketObserved>),
    /// It is the account's, but not the stack's; its tags say whose.
    Strangers(Tags),
    /// There is none that we could see.
    Nothing,
}

/// Reads all settings at once.
pub(super) async fn read(cloud: &Cloud, bucket: &str) -> Result<Found> {
    let ours = |tags: &Tags| tags.get(STACK_TAG) == Some(&cloud.names.stack);
    let tags = async {
        match told(cloud, bucket).await {
            Some(tags) => Ok(tags),
            None => tags(cloud, bucket).await,
        }
    };
    let (tags, rest) = tokio::join!(tags, Box::pin(read_rest(cloud, bucket)));
    match tags {
        Ok(tags) if ours(&tags) => match rest {
            // Deleted while it was read.
            Err(error) if error.is(&["NoSuchBucket"]) => Ok(Found::Nothing),
            rest => Ok(Found::Ours(Box::new(with_tags(rest?, tags)))),
        },
        Ok(tags) => Ok(Found::Strangers(tags)),
        // Not there, or in another region: not one that we made.
        Err(error) if error.is(&["NoSuchBucket"]) || error.is(ELSEWHERE) => Ok(Found::Nothing),
        // Another account's, unless the spec names one of this account's that is closed to us.
        Err(error) if error.is(&["AccessDenied"]) && !cloud.own_buckets().await?.iter().any(|own| own == bucket) => {
            Ok(Found::Nothing)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads all settings of a bucket that was just made.
pub(super) async fn read_all(cloud: &Cloud, bucket: &str) -> Result<BucketObserved, CloudError> {
    let (tags, rest) = tokio::try_join!(tags(cloud, bucket), Box::pin(read_rest(cloud, bucket)))?;
    Ok(with_tags(rest, tags))
}

fn with_tags(rest: BucketObserved, mut tags: Tags) -> BucketObserved {
    let protect = tags.remove(PROTECT_TAG).is_some_and(|value| value == "true");
    BucketObserved { protect, tags, ..rest }
}

async fn read_rest(cloud: &Cloud, bucket: &str) -> Result<BucketObserved, CloudError> {
    let (encryption, versioning, blocked, ownership, policy, lifecycle) = tokio::try_join!(
        encryption(cloud, bucket),
        versioning(cloud, bucket),
        public_access_blocked(cloud, bucket),
        ownership(cloud, bucket),
        policy(cloud, bucket),
        lifecycle(cloud, bucket),
    )?;
    let default = encryption.as_ref().and_then(ServerSideEncryptionRule::apply_server_side_encryption_by_default);
    Ok(BucketObserved {
        name: bucket.to_owned(),
        arn: format!("arn:{}:s3:::{bucket}", partition(&cloud.names.region)),
        encryption: default.map(|default| default.sse_algorithm().as_str().to_owned()),
        encryption_key: default.and_then(|default| default.kms_master_key_id().map(str::to_owned)),
        bucket_key: encryption.as_ref().and_then(ServerSideEncryptionRule::bucket_key_enabled).unwrap_or(false),
        versioning,
        lifecycle,
        public_access_blocked: blocked,
        ownership,
        policy,
        protect: false,
        tags: Tags::new(),
    })
}

/// Source: "Amazon Resource Names (ARNs)" in the IAM user guide.
fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The bucket's tags as the tagging API tells them, which is asked anyway, where they are what the spec wants. It lags:
/// tags that are other ones may be those of a moment ago, and are asked of S3 itself.
async fn told(cloud: &Cloud, bucket: &str) -> Option<Tags> {
    let name = cloud.names.buckets.get(bucket)?;
    // Where it cannot be asked, whoever needs it says so.
    let tagged = cloud.tagged().await.ok()?;
    let of = |arn: &str| arn.split_once(":s3:::").is_some_and(|(_, name)| name == bucket);
    let (_, tags) = tagged.iter().find(|(arn, _)| of(arn))?;
    let mut wanted = cloud.tags(&Address::new(Bucket::KIND, name.as_str()));
    if cloud.names.protected_buckets.contains(bucket) {
        wanted.insert(PROTECT_TAG.into(), "true".into());
    }
    (*tags == wanted).then_some(wanted)
}

/// The bucket's tags, but for those that AWS itself sets.
pub(super) async fn tags(cloud: &Cloud, bucket: &str) -> Result<Tags, CloudError> {
    let answer = cloud.clients.s3.get_bucket_tagging().bucket(bucket).send().await;
    let found = missing_is_none(answer.explain("s3:GetBucketTagging"), &["NoSuchTagSet"])?;
    let tags = found.map(|found| found.tag_set).unwrap_or_default().into_iter();
    Ok(tags.map(|tag| (tag.key, tag.value)).filter(|(key, _)| !key.starts_with("aws:")).collect())
}

async fn encryption(cloud: &Cloud, bucket: &str) -> Result<Option<ServerSideEncryptionRule>, CloudError> {
    let answer = cloud.clients.s3.get_bucket_encryption().bucket(bucket).send().await;
    let absent = &["ServerSideEncryptionConfigurationNotFoundError"];
    let found = missing_is_none(answer.explain("s3:GetEncryptionConfiguration"), absent)?;
    Ok(found.and_then(|found| found.server_side_encryption_configuration?.rules.into_iter().next()))
}

async fn versioning(cloud: &Cloud, bucket: &str) -> Result<bool, CloudError> {
    let answer = cloud.clients.s3.get_bucket_versioning().bucket(bucket).send().await;
    // moto 5.2.5 calls the answer's root element by another name than S3 does, so that the SDK cannot read it.
    if let Some(raw) = answer.as_ref().err().and_then(|error| error.raw_response())
        && raw.status().is_success()
        && let Some(body) = raw.body().bytes()
    {
        return Ok(String::from_utf8_lossy(body).contains("<Status>Enabled</Status>"));
    }
    Ok(answer.explain("s3:GetBucketVersioning")?.status == Some(BucketVersioningStatus::Enabled))
}

async fn public_access_blocked(cloud: &Cloud, bucket: &str) -> Result<BTreeSet<String>, CloudError> {
    let answer = cloud.clients.s3.get_public_access_block().bucket(bucket).send().await;
    let absent = &["NoSuchPublicAccessBlockConfiguration"];
    let found = missing_is_none(answer.explain("s3:GetBucketPublicAccessBlock"), absent)?;
    let Some(block) = found.and_then(|found| found.public_access_block_configuration) else {
        return Ok(BTreeSet::new());
    };
    let on = [
        block.block_public_acls(),
        block.ignore_public_acls(),
        block.block_public_policy(),
        block.restrict_public_buckets(),
    ];
    let named = PUBLIC_ACCESS_BLOCKED.iter().zip(on);
    Ok(named.filter(|(_, on)| *on == Some(true)).map(|(name, _)| (*name).to_owned()).collect())
}

async fn ownership(cloud: &Cloud, bucket: &str) -> Result<Option<String>, CloudError> {
    let answer = cloud.clients.s3.get_bucket_ownership_controls().bucket(bucket).send().await;
    let absent = &["OwnershipControlsNotFoundError"];
    let found = missing_is_none(answer.explain("s3:GetBucketOwnershipControls"), absent)?;
    let rule = found.and_then(|found| found.ownership_controls?.rules.into_iter().next());
    Ok(rule.map(|rule| rule.object_ownership.as_str().to_owned()))
}

async fn policy(cloud: &Cloud, bucket: &str) -> Result<Value, CloudError> {
    let answer = cloud.clients.s3.get_bucket_policy().bucket(bucket).send().await;
    let found = missing_is_none(answer.explain("s3:GetBucketPolicy"), &["NoSuchBucketPolicy"])?;
    let Some(text) = found.and_then(|found| found.policy) else { return Ok(Value::Null) };
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn lifecycle(cloud: &Cloud, bucket: &str) -> Result<BTreeSet<ObservedRule>, CloudError> {
    let answer = cloud.clients.s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await;
    let found = missing_is_none(answer.explain("s3:GetLifecycleConfiguration"), &["NoSuchLifecycleConfiguration"])?;
    Ok(found.and_then(|found| found.rules).unwrap_or_default().iter().map(ObservedRule::read).collect())
}

/// S3's form of `tags`.
pub(super) fn into_s3(tags: &Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build().expect("both parts of a tag are given"))
        .collect()
}

/// Replaces all tags.
pub(super) async fn put_tags(cloud: &Cloud, bucket: &str, tags: &Tags) -> Result<()> {
    let tagging = Tagging::builder().set_tag_set(Some(into_s3(tags))).build()?;
    let request = cloud.clients.s3.put_bucket_tagging().bucket(bucket).tagging(tagging);
    let send = || async { request.clone().send().await.explain("s3:PutBucketTagging") };
    cloud.settle(BUSY, send).await?;
    Ok(())
}

/// Blocks all public access.
pub(super) async fn put_public_access_block(cloud: &Cloud, bucket: &str) -> Result<()> {
    let block = PublicAccessBlockConfiguration::builder().block_public_acls(true).ignore_public_acls(true);
    let block = block.block_public_policy(true).restrict_public_buckets(true).build();
    let request = cloud.clients.s3.put_public_access_block().bucket(bucket).public_access_block_configuration(block);
    let send = || async { request.clone().send().await.explain("s3:PutBucketPublicAccessBlock") };
    cloud.settle(BUSY, send).await?;
    Ok(())
}

/// Switches ACLs off.
pub(super) async fn put_ownership(cloud: &Cloud, bucket: &str) -> Result<()> {
    let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced).build()?;
    let controls = OwnershipControls::builder().rules(rule).build()?;
    let request = cloud.clients.s3.put_bucket_ownership_controls().bucket(bucket).ownership_controls(controls);
    let send = || async { request.clone().send().await.explain("s3:PutBucketOwnershipControls") };
    cloud.settle(BUSY, send).await?;
    Ok(())
}

/// Encrypts what comes from now on: by the KMS key with this ARN, else by S3.
pub(super) async fn put_encryption(cloud: &Cloud, bucket: &str, key: Option<&str>) -> Result<()> {
    let algorithm = if key.is_some() { ServerSideEncryption::AwsKms } else { ServerSideEncryption::Aes256 };
    let default = ServerSideEncryptionByDefault::builder().sse_algorithm(algorithm);
    let default = default.set_kms_master_key_id(key.map(str::to_owned)).build()?;
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default);
    let rule = rule.bucket_key_enabled(key.is_some()).build();
    let rules = ServerSideEncryptionConfiguration::builder().rules(rule).build()?;
    let request = cloud.clients.s3.put_bucket_encryption().bucket(bucket).server_side_encryption_configuration(rules);
    let send = || async { request.clone().send().await.explain("s3:PutEncryptionConfiguration") };
    cloud.settle(BUSY, send).await?;
    Ok(())
}

/// Switches versioning on, or suspends it: it cannot be undone.
pub(super) async fn put_versioning(cloud: &Cloud, bucket: &str, on: bool) -> Result<()> {
    let status = if on { BucketVersioningStatus::Enabled } else { BucketVersioningStatus::Suspended };
    let versioning = VersioningConfiguration::builder().status(status).build();
    let request = cloud.clients.s3.put_bucket_versioning().bucket(bucket).versioning_configuration(versioning);
    let send = || async { request.clone().send().await.explain("s3:PutBucketVersioning") };
    cloud.settle(BUSY, send).await?;
    Ok(())
}

/// Replaces all rules.
pub(super) async fn put_lifecycle(cloud: &Cloud, bucket: &str, rules: &BTreeSet<LifecycleRule>) -> Result<()> {
    let s3 = &cloud.clients.s3;
    if rules.is_empty() {
        let request = s3.delete_bucket_lifecycle().bucket(bucket);
        let send = || async { request.clone().send().await.explain("s3:PutLifecycleConfiguration") };
        cloud.settle(BUSY, send).await?;
        return Ok(());
    }
    let objects = rules.iter().enumerate().map(|(number, rule)| rule.object(number)).collect::<Result<_>>()?;
    let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(objects)).build()?;
    let request = s3.put_bucket_lifecycle_configuration().bucket(bucket).lifecycle_configuration(configuration);
    let send = || async { request.clone().send().await.explain("s3:PutLifecycleConfiguration") };
    cloud.settle(BUSY, send).await?;
    Ok(())
}

/// Replaces the policy.
pub(super) async fn put_policy(cloud: &Cloud, bucket: &str, policy: &Value) -> Result<()> {
    let request = cloud.clients.s3.put_bucket_policy().bucket(bucket).policy(policy.to_string());
    let send = || async { request.clone().send().await.explain("s3:PutBucketPolicy") };
    cloud.settle(BUSY, send).await?;
    Ok(())
}
