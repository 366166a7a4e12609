//! bucket.

use std::collections::BTreeSet;

use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, ExpirationStatus, LifecycleExpiration,
    ObjectOwnership, OwnershipControls, OwnershipControlsRule, PublicAccessBlockConfiguration, Tag, Tagging,
    VersioningConfiguration,
};
use engine::{Address, Graph, World};
use infra::{
    cloud::Cloud,
    resources::{Bucket, BucketEncryption, BucketObserved, KmsKey, LifecycleRule},
};

use super::{fails, heals, names, tags};
use crate::support::world::{REGION, Stack, lines, stack};

/// What can change about a bucket.
#[derive(Clone, Default)]
struct Wanted {
    kms: bool,
    versioning: bool,
    lifecycle: Vec<LifecycleRule>,
    protect: bool,
    owner: Option<&'static str>,
}

fn name(stack: &Stack) -> String {
    format!("{}-data", stack.cloud.names.stack)
}

fn graph(stack: &Stack, wanted: &Wanted) -> Graph<Cloud> {
    let mut graph = Graph::default();
    let key = KmsKey { description: "data".into(), tags: tags(stack, "kms_key", "data", None) };
    let key = graph.add("data", key);
    let bucket = Bucket {
        name: name(stack),
        encryption: if wanted.kms { BucketEncryption::Kms(key) } else { BucketEncryption::S3 },
        versioning: wanted.versioning,
        lifecycle: wanted.lifecycle.iter().cloned().collect(),
        protect: wanted.protect,
        tags: tags(stack, "bucket", "data", wanted.owner),
    };
    graph.add("data", bucket);
    graph
}

fn everything() -> Wanted {
    let raw = LifecycleRule { prefix: "raw/".into(), expire_days: Some(30), ..LifecycleRule::default() };
    let all = LifecycleRule { noncurrent_days: Some(7), abort_uploads_days: Some(2), ..LifecycleRule::default() };
    Wanted { kms: true, versioning: true, lifecycle: vec![raw, all], protect: false, owner: Some("ada") }
}

async fn observed(stack: &Stack) -> BucketObserved {
    stack.observe().await.find::<Cloud, Bucket>("data").expect("a bucket").clone()
}

async fn make_by_hand(stack: &Stack, name: &str) {
    let place = CreateBucketConfiguration::builder();
    let place = place.location_constraint(BucketLocationConstraint::from(REGION)).build();
    let request = stack.cloud.clients.s3.create_bucket().bucket(name).create_bucket_configuration(place);
    request.send().await.unwrap();
}

#[tokio::test]
async fn a_bucket_lives_changes_and_goes() {
    let stack = stack("bucket", &["data"]).await;
    let mut wanted = Wanted::default();
    assert_eq!(stack.converge(&graph(&stack, &wanted)).await, ["create kms_key/data", "create bucket/data"]);
    let found = observed(&stack).await;
    assert_eq!(found.encryption.as_deref(), Some("AES256"));
    assert_eq!(found.ownership.as_deref(), Some("BucketOwnerEnforced"));
    assert_eq!(found.public_access_blocked.len(), 4);
    assert_eq!(found.arn, format!("arn:aws:s3:::{}", name(&stack)));

    let Wanted { kms, versioning, lifecycle, protect: _, owner } = everything();
    wanted.kms = kms;
    assert_eq!(stack.converge(&graph(&stack, &wanted)).await, ["update bucket/data encryption"]);
    let found = observed(&stack).await;
    assert!(found.encryption_key.is_some_and(|key| key.starts_with("arn:aws:kms:")) && found.bucket_key);
    wanted.versioning = versioning;
    assert_eq!(stack.converge(&graph(&stack, &wanted)).await, ["update bucket/data versioning"]);
    wanted.lifecycle = lifecycle;
    assert_eq!(stack.converge(&graph(&stack, &wanted)).await, ["update bucket/data lifecycle"]);
    wanted.owner = owner;
    assert_eq!(stack.converge(&graph(&stack, &wanted)).await, ["update bucket/data tags.owner"]);
    // And back again.
    let done = stack.converge(&graph(&stack, &Wanted::default())).await;
    assert_eq!(done, ["update bucket/data encryption versioning lifecycle tags.owner"]);
    stack.destroy().await;
}

#[tokio::test]
async fn a_bucket_is_made_with_everything_at_once() {
    let stack = stack("bucket", &["data"]).await;
    let done = stack.converge(&graph(&stack, &everything())).await;
    assert_eq!(done, ["create kms_key/data", "create bucket/data"]);
    stack.destroy().await;
}

#[tokio::test]
async fn what_is_changed_by_hand_shows_and_heals() {
    let stack = stack("bucket", &["data"]).await;
    let graph = graph(&stack, &everything());
    stack.converge(&graph).await;
    let (s3, bucket) = (&stack.cloud.clients.s3, name(&stack));

    s3.delete_public_access_block().bucket(&bucket).send().await.unwrap();
    heals(&stack, &graph, &["update bucket/data public_access_blocked"]).await;
    let half = PublicAccessBlockConfiguration::builder().block_public_acls(true).ignore_public_acls(true);
    let half = half.block_public_policy(false).restrict_public_buckets(true).build();
    let request = s3.put_public_access_block().bucket(&bucket).public_access_block_configuration(half);
    request.send().await.unwrap();
    heals(&stack, &graph, &["update bucket/data public_access_blocked"]).await;

    s3.delete_bucket_policy().bucket(&bucket).send().await.unwrap();
    heals(&stack, &graph, &["update bucket/data policy"]).await;
    let policy = observed(&stack).await.policy.to_string().replace("Deny", "Allow");
    let loose = policy.replace("\"*\"", &format!("{{\"AWS\":\"arn:aws:iam::{}:root\"}}", stack.cloud.names.account));
    s3.put_bucket_policy().bucket(&bucket).policy(loose).send().await.unwrap();
    heals(&stack, &graph, &["update bucket/data policy"]).await;

    s3.delete_bucket_encryption().bucket(&bucket).send().await.unwrap();
    heals(&stack, &graph, &["update bucket/data encryption"]).await;

    let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    s3.put_bucket_versioning().bucket(&bucket).versioning_configuration(off).send().await.unwrap();
    heals(&stack, &graph, &["update bucket/data versioning"]).await;

    let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::ObjectWriter).build().unwrap();
    let controls = OwnershipControls::builder().rules(rule).build().unwrap();
    s3.put_bucket_ownership_controls().bucket(&bucket).ownership_controls(controls).send().await.unwrap();
    heals(&stack, &graph, &["update bucket/data ownership"]).await;

    s3.delete_bucket_lifecycle().bucket(&bucket).send().await.unwrap();
    heals(&stack, &graph, &["update bucket/data lifecycle"]).await;
    let rule = aws_sdk_s3::types::LifecycleRule::builder().id("off").status(ExpirationStatus::Disabled);
    let rule = rule.filter(aws_sdk_s3::types::LifecycleRuleFilter::builder().prefix("raw/").build());
    let rule = rule.expiration(LifecycleExpiration::builder().days(30).build()).build().unwrap();
    let rules = aws_sdk_s3::types::BucketLifecycleConfiguration::builder().rules(rule).build().unwrap();
    let request = s3.put_bucket_lifecycle_configuration().bucket(&bucket).lifecycle_configuration(rules);
    request.send().await.unwrap();
    heals(&stack, &graph, &["update bucket/data lifecycle"]).await;

    let mut all = observed(&stack).await.tags;
    all.insert("by".into(), "hand".into());
    put_tags(&stack, &all).await;
    heals(&stack, &graph, &["update bucket/data tags.by"]).await;
    stack.destroy().await;
}

async fn put_tags(stack: &Stack, tags: &infra::cloud::Tags) {
    let all = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build().unwrap()).collect();
    let tagging = Tagging::builder().set_tag_set(Some(all)).build().unwrap();
    let request = stack.cloud.clients.s3.put_bucket_tagging().bucket(name(stack)).tagging(tagging);
    request.send().await.unwrap();
}

#[tokio::test]
async fn a_bucket_key_that_is_switched_off_shows() {
    use aws_sdk_s3::types as s3;
    let stack = stack("bucket", &["data"]).await;
    let graph = graph(&stack, &everything());
    stack.converge(&graph).await;
    let key = observed(&stack).await.encryption_key.unwrap();
    let default = s3::ServerSideEncryptionByDefault::builder().sse_algorithm(s3::ServerSideEncryption::AwsKms);
    // S3 takes a key by its id too, which is the same key.
    let default = default.kms_master_key_id(key.rsplit('/').next().unwrap()).build().unwrap();
    let rule = s3::ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default);
    let rule = rule.bucket_key_enabled(false).build();
    let rules = s3::ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
    let request = stack.cloud.clients.s3.put_bucket_encryption().bucket(name(&stack));
    request.server_side_encryption_configuration(rules).send().await.unwrap();
    heals(&stack, &graph, &["update bucket/data bucket_key"]).await;
    stack.destroy().await;
}

#[tokio::test]
async fn a_protected_bucket_stays_even_when_the_spec_forgets_it() {
    let stack = stack("bucket", &["data"]).await;
    stack.converge(&graph(&stack, &Wanted { protect: true, ..Wanted::default() })).await;
    let plan = stack.plan(&Graph::default()).await;
    assert_eq!(plan.refused.len(), 1);
    assert!(plan.refused[0].reason.contains("`protect: false`"), "{}", plan.refused[0].reason);
    let done = stack.converge(&graph(&stack, &Wanted::default())).await;
    assert_eq!(done, ["update bucket/data protect"]);
    stack.destroy().await;
}

#[tokio::test]
async fn a_half_made_bucket_is_finished() {
    let stack = stack("bucket", &["data"]).await;
    let graph = graph(&stack, &everything());
    make_by_hand(&stack, &name(&stack)).await;
    // Without its tags it is nobody's: only a create takes it up, and only where the journal says that one was begun.
    assert!(stack.plan(&Graph::default()).await.is_empty());
    stack.cloud.begin_create(&Address::new("bucket", "data")).unwrap();
    heals(&stack, &graph, &["create kms_key/data", "create bucket/data"]).await;
    stack.destroy().await;

    make_by_hand(&stack, &name(&stack)).await;
    put_tags(&stack, &tags(&stack, "bucket", "data", Some("ada"))).await;
    let done = stack.converge(&graph).await;
    assert_eq!(done[0], "create kms_key/data");
    assert!(done[1].starts_with("update bucket/data encryption versioning lifecycle"), "{done:?}");
    assert!(!done[1].contains("tags"), "{done:?}");
    stack.destroy().await;
}

#[tokio::test]
async fn somebody_elses_bucket_is_left_alone() {
    let stack = stack("bucket", &["data"]).await;
    let (s3, bucket) = (&stack.cloud.clients.s3, name(&stack));
    let graph = graph(&stack, &Wanted::default());
    let insist = async |reason: &str| {
        let why = fails(&stack, &graph).await;
        assert!(why.contains(reason), "{why}");
        let left = stack.plan(&Graph::default()).await;
        assert!(!lines(&left).iter().any(|line| line.contains("bucket")), "{:?}", lines(&left));
    };
    make_by_hand(&stack, &bucket).await;
    let adopt = format!("does not belong to stack {}; `infra adopt bucket/data {bucket}`", stack.cloud.names.stack);
    insist(&adopt).await;
    // Something is in it.
    s3.put_object().bucket(&bucket).key("theirs").body(b"data".to_vec().into()).send().await.unwrap();
    insist(&adopt).await;
    s3.delete_object().bucket(&bucket).key("theirs").send().await.unwrap();
    // It has another stack's tag.
    put_tags(&stack, &[("infra:stack".to_owned(), "another".to_owned())].into()).await;
    insist("belongs to stack another").await;
    s3.delete_bucket().bucket(&bucket).send().await.unwrap();
    stack.destroy().await;
}

#[tokio::test]
async fn a_name_that_another_account_has_is_explained() {
    let stack = stack("bucket", &["data"]).await;
    let request = stack.cloud.clients.s3.create_bucket().bucket(name(&stack));
    let place = CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(REGION));
    let request = request.create_bucket_configuration(place.build()).customize();
    let request = request.mutate_request(|request| {
        request.headers_mut().insert("x-moto-account-id", "999999999999");
    });
    request.send().await.unwrap();
    let why = fails(&stack, &graph(&stack, &Wanted::default())).await;
    assert!(why.contains("names are shared by all accounts"), "{why}");
    stack.destroy().await;
}

#[tokio::test]
async fn a_bucket_that_the_spec_renames_is_replaced_and_one_that_it_forgets_goes() {
    let mut stack = stack("bucket", &[]).await;
    // Names that say nothing of the stack: found by the spec, then by the tagging API alone.
    let first = format!("x{}-one", stack.cloud.names.stack);
    let second = format!("x{}-two", stack.cloud.names.stack);
    let wanted = |stack: &mut Stack, name: &str| {
        names(stack).buckets = [(name.to_owned(), "data".to_owned())].into();
        let mut graph = Graph::default();
        let bucket = Bucket {
            name: name.to_owned(),
            encryption: BucketEncryption::S3,
            versioning: false,
            lifecycle: BTreeSet::new(),
            protect: false,
            tags: tags(stack, "bucket", "data", None),
        };
        graph.add("data", bucket);
        graph
    };
    let graph = wanted(&mut stack, &first);
    stack.converge(&graph).await;
    let graph = wanted(&mut stack, &second);
    assert_eq!(stack.converge(&graph).await, ["delete bucket/data", "create bucket/data"]);
    assert!(stack.cloud.clients.s3.head_bucket().bucket(&first).send().await.is_err());
    names(&mut stack).buckets.clear();
    stack.destroy().await;
    assert!(stack.cloud.clients.s3.head_bucket().bucket(&second).send().await.is_err());
}
