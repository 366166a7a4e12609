//! A bucket that nobody outside reaches: all public access blocked, no ACLs, TLS only, encrypted.
//!
//! AWS takes the tags in the create call itself, so that a bucket of the stack's is never without them. (Clouds that
//! don't know this yet get them in the next call; a bucket that a crash left between the two is recognised by `create`
//! alone: the journal knows that one was begun, it has the name that the spec asks for, no tags at all, and nothing in
//! it. Neither a plan nor a destroy ever takes an untagged bucket for ours.)

use std::collections::BTreeSet;

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use engine::{Address, Diff, Effect, Inventory, Ref, Resource, Result, StepContext, World};
use futures::future::try_join_all;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    KmsKey, LifecycleRule, ObservedRule, bucket_contents as contents,
    bucket_settings::{self as settings, Found, PUBLIC_ACCESS_BLOCKED},
    tls_policy,
};
use crate::cloud::{
    Cloud, CloudError, Explain, PROTECT_TAG, PROTECTED, STACK_TAG, Tags, claimed_name, gone_is_ok, taken,
};

/// Who holds the key to what a bucket keeps.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BucketEncryption {
    /// S3 itself.
    S3,
    /// The stack, in KMS.
    Kms(Ref<KmsKey>),
}

/// A bucket.
#[derive(Clone, Debug, Serialize)]
pub struct Bucket {
    /// The name in S3, unique among all accounts of the world.
    pub name: String,
    /// Who holds the key to what it keeps.
    pub encryption: BucketEncryption,
    /// Whether it keeps what is overwritten and deleted.
    pub versioning: bool,
    /// How long it keeps what.
    pub lifecycle: BTreeSet<LifecycleRule>,
    /// Whether it may not be deleted, not even when the spec no longer mentions it.
    pub protect: bool,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a bucket.
#[derive(Clone, Debug, Serialize)]
pub struct BucketObserved {
    /// The name in S3.
    pub name: String,
    /// The ARN.
    pub arn: String,
    /// The algorithm: `AES256`, `aws:kms`; nothing where objects are kept as they come.
    pub encryption: Option<String>,
    /// The KMS key.
    pub encryption_key: Option<String>,
    /// Whether the bucket saves most of the calls to KMS by a key of its own.
    pub bucket_key: bool,
    /// Whether it keeps what is overwritten and deleted.
    pub versioning: bool,
    /// How long it keeps what.
    pub lifecycle: BTreeSet<ObservedRule>,
    /// The sorts of public access that are blocked.
    pub public_access_blocked: BTreeSet<String>,
    /// Who owns objects: `BucketOwnerEnforced` where ACLs are off.
    pub ownership: Option<String>,
    /// Its policy.
    pub policy: Value,
    /// Whether it may not be deleted.
    pub protect: bool,
    /// The tags, but for the one that says so.
    pub tags: Tags,
}

impl Resource<Cloud> for Bucket {
    const KIND: &'static str = "bucket";
    const LAYER: &'static str = "storage";
    const ALWAYS: &'static [(&'static str, &'static str)] =
        &[("public_access", "blocked"), ("ownership", "bucket owner enforced"), ("transport", "TLS only")];
    const AFTER: &'static [&'static str] = &["kms_key"];
    const IDENTITY: engine::Identity = engine::Identity::Name;
    const TYPICAL_SECONDS: u32 = 3;
    type Observed = BucketObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { name: _, encryption, versioning: _, lifecycle: _, protect: _, tags: _ } = self;
        match encryption {
            BucketEncryption::S3 => Vec::new(),
            BucketEncryption::Kms(key) => vec![key.address()],
        }
    }

    /// Looks at the spec's buckets by their names, and at those that the tagging API lists: an orphan is found by its
    /// tag, and nothing has to be listed before the buckets can be read.
    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, BucketObserved)>> {
        let named = try_join_all(
            cloud
                .names
                .buckets
                .keys()
                .map(|bucket| async move { anyhow::Ok((bucket, settings::read(cloud, bucket).await?)) }),
        );
        let others = async {
            let tagged = cloud.tagged().await?;
            let names = tagged.keys().filter_map(|arn| arn.split_once(":s3:::").map(|(_, name)| name));
            let others: BTreeSet<&str> = names.filter(|name| !cloud.names.buckets.contains_key(*name)).collect();
            try_join_all(others.into_iter().map(|bucket| settings::read(cloud, bucket))).await
        };
        let (named, others) = tokio::try_join!(named, others)?;
        let strangers = named.iter().filter_map(|(name, found)| match found {
            Found::Strangers(tags) => Some(((*name).clone(), (*name).clone(), tags.clone())),
            Found::Ours(_) | Found::Nothing => None,
        });
        cloud.note_strangers(Self::KIND, strangers);
        let found = named.into_iter().map(|(_, found)| found).chain(others).filter_map(|found| match found {
            Found::Ours(observed) => Some(*observed),
            Found::Strangers(_) | Found::Nothing => None,
        });
        let address = |observed: &BucketObserved| {
            let spec_name = cloud.names.buckets.get(&observed.name).cloned();
            spec_name.or_else(|| claimed_name(&observed.tags, Self::KIND))
        };
        Ok(found.filter_map(|observed| Some((address(&observed)?, observed))).collect())
    }

    fn id(observed: &BucketObserved) -> String {
        observed.name.clone()
    }

    fn diff(&self, observed: &BucketObserved, known: &Inventory) -> Diff {
        let key = match &self.encryption {
            BucketEncryption::S3 => None,
            BucketEncryption::Kms(key) => known.get(key).map(|key| key.arn.as_str()),
        };
        self.compare(observed, key)
    }

    fn guard(observed: &BucketObserved) -> Option<String> {
        observed.protect.then(|| PROTECTED.to_owned())
    }

    fn losses(_observed: &BucketObserved) -> Vec<String> {
        vec!["its name, which anybody may take then".into()]
    }

    fn outputs(observed: &BucketObserved) -> Vec<(&'static str, String)> {
        vec![("name", observed.name.clone()), ("arn", observed.arn.clone())]
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<BucketObserved> {
        let cloud = cx.world;
        // Asked before making: in its oldest region S3 "makes" a bucket that the account has already.
        if cloud.unread().own_buckets().await?.contains(&self.name) {
            self.may_continue(cx).await?;
        } else {
            match self.make(cloud).await {
                // S3 did not list it a moment ago.
                Err(error) if error.is(&["BucketAlreadyOwnedByYou"]) => self.may_continue(cx).await?,
                Err(error) if error.is(&["BucketAlreadyExists"]) => {
                    let name = &self.name;
                    return Err(anyhow::Error::from(error).context(format!(
                        "another account has a bucket {name}: names are shared by all accounts of the world, choose another"
                    )));
                }
                result => result?,
            }
        }
        // What is set already depends on the cloud and on how far an interrupted run came.
        let read = || async { settings::read_all(cloud, &self.name).await };
        let born = cloud.settle(&[], read).await?;
        let missing = self.compare(&born, self.key(cx)?.as_deref());
        self.update(&born, &missing, cx).await
    }

    async fn update(
        &self,
        observed: &BucketObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<BucketObserved> {
        let (cloud, bucket) = (cx.world, self.name.as_str());
        let key = self.key(cx)?;
        let policy = tls_policy::document(&observed.arn);
        // One after the other: S3 refuses changes to one bucket at the same time with OperationAborted. Whose it is
        // comes first.
        if diff.touches("tags") || diff.touches("protect") {
            let mut tags = self.tags.clone();
            tags.extend(self.protect.then(|| (PROTECT_TAG.to_owned(), "true".to_owned())));
            settings::put_tags(cloud, bucket, &tags).await?;
        }
        if diff.touches("public_access_blocked") {
            settings::put_public_access_block(cloud, bucket).await?;
        }
        if diff.touches("ownership") {
            settings::put_ownership(cloud, bucket).await?;
        }
        if diff.touches("encryption") || diff.touches("bucket_key") {
            settings::put_encryption(cloud, bucket, key.as_deref()).await?;
        }
        if diff.touches("versioning") {
            settings::put_versioning(cloud, bucket, self.versioning).await?;
        }
        if diff.touches("lifecycle") {
            settings::put_lifecycle(cloud, bucket, &self.lifecycle).await?;
        }
        if diff.touches("policy") {
            settings::put_policy(cloud, bucket, &policy).await?;
        }
        Ok(BucketObserved {
            name: observed.name.clone(),
            arn: observed.arn.clone(),
            encryption: Some(if key.is_some() { settings::KMS } else { settings::S3 }.to_owned()),
            bucket_key: key.is_some(),
            encryption_key: key,
            versioning: self.versioning,
            lifecycle: self.lifecycle.iter().cloned().map(ObservedRule::Plain).collect(),
            public_access_blocked: PUBLIC_ACCESS_BLOCKED.map(str::to_owned).into(),
            ownership: Some(settings::OWNER_ENFORCED.to_owned()),
            policy,
            protect: self.protect,
            tags: self.tags.clone(),
        })
    }

    async fn delete(observed: &BucketObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let cloud = cx.world;
        match contents::clear(cx, &observed.name).await {
            Err(error) if error.downcast_ref().is_some_and(CloudError::is_missing) => return Ok(()),
            result => result?,
        }
        let request = || cloud.clients.s3.delete_bucket().bucket(&observed.name).send();
        let send = || async { gone_is_ok(request().await.explain("s3:DeleteBucket")) };
        Ok(cloud.settle(settings::BUSY, send).await?)
    }
}

impl Bucket {
    /// Compares; `key` is the ARN of the stack's key, where the bucket is to have one and it exists.
    fn compare(&self, observed: &BucketObserved, key: Option<&str>) -> Diff {
        let Self { name, encryption, versioning, lifecycle, protect, tags } = self;
        let mut diff = Diff::default();
        diff.fixed("name", &observed.name, name);
        compare_encryption(&mut diff, encryption, observed, key);
        let rules = lifecycle.iter().cloned().map(ObservedRule::Plain).collect();
        let blocked = PUBLIC_ACCESS_BLOCKED.map(str::to_owned).into();
        diff.field("versioning", &observed.versioning, versioning)
            .set("lifecycle", &observed.lifecycle, &rules)
            .set("public_access_blocked", &observed.public_access_blocked, &blocked)
            .field("ownership", &observed.ownership.as_deref(), &Some(settings::OWNER_ENFORCED));
        let policy = tls_policy::document(&observed.arn);
        if !tls_policy::means_the_same(&observed.policy, &policy) {
            // Told by its name: the document is the same for every bucket.
            diff.push("policy", observed.policy.clone(), json!(tls_policy::NAME), Effect::InPlace);
        }
        diff.field("protect", &observed.protect, protect).map("tags", &observed.tags, tags);
        diff
    }

    fn key(&self, cx: &StepContext<'_, Cloud>) -> Result<Option<String>> {
        match &self.encryption {
            BucketEncryption::S3 => Ok(None),
            BucketEncryption::Kms(key) => Ok(Some(cx.observed(key)?.arn.clone())),
        }
    }

    async fn make(&self, cloud: &Cloud) -> Result<(), CloudError> {
        let region = cloud.names.region.as_str();
        let mut tags = self.tags.clone();
        tags.extend(self.protect.then(|| (PROTECT_TAG.to_owned(), "true".to_owned())));
        let place = CreateBucketConfiguration::builder().set_tags(Some(settings::into_s3(&tags)));
        // The oldest region is the one that has no name here. Source: CreateBucket in the Amazon S3 API reference.
        let place = match region {
            "us-east-1" => place,
            other => place.location_constraint(BucketLocationConstraint::from(other)),
        };
        let request = cloud.clients.s3.create_bucket().bucket(&self.name).create_bucket_configuration(place.build());
        let send = || async { request.clone().send().await.explain("s3:CreateBucket") };
        // A name that was deleted a moment ago is not free at once.
        cloud.settle(settings::BUSY, send).await.map(drop)
    }

    /// The account has a bucket of that name: fine if an interrupted run began it, an error if it isn't ours.
    async fn may_continue(&self, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let (cloud, name) = (cx.world, self.name.as_str());
        let tags = match settings::tags(cloud, name).await {
            Err(error) if error.is(settings::ELSEWHERE) => {
                let region = &cloud.names.region;
                let why = format!("bucket {name} exists already, in another region than {region}: choose another name");
                return Err(anyhow::Error::from(error).context(why));
            }
            tags => tags?,
        };
        let ours = tags.get(STACK_TAG) == Some(&cloud.names.stack);
        let begun = cx.is_repeated() && tags.is_empty();
        if ours || (begun && contents::is_empty(cloud, name).await?) {
            return Ok(());
        }
        // The tags of one that another run is making come with its next call.
        tokio::time::sleep(cloud.pace.poll).await;
        let tags = settings::tags(cloud, name).await?;
        Err(anyhow::Error::msg(taken(&cloud.names, cx.address(), "the bucket", name, &tags)))
    }
}

fn compare_encryption(diff: &mut Diff, wanted: &BucketEncryption, observed: &BucketObserved, arn: Option<&str>) {
    let (algorithm, key) = (observed.encryption.as_deref(), observed.encryption_key.as_deref());
    let shown = json!(key.or(algorithm));
    match wanted {
        BucketEncryption::S3 if algorithm == Some(settings::S3) => {}
        BucketEncryption::S3 => drop(diff.push("encryption", shown, json!(settings::S3), Effect::InPlace)),
        BucketEncryption::Kms(link) => {
            // S3 takes a key by its ARN or its id.
            let same = |key: &str| arn.is_some_and(|arn| arn == key || arn.rsplit('/').next() == Some(key));
            if algorithm != Some(settings::KMS) || !key.is_some_and(same) {
                let to = arn.map_or_else(|| link.address().to_string(), str::to_owned);
                diff.push("encryption", shown, json!(to), Effect::InPlace);
            } else {
                diff.field("bucket_key", &observed.bucket_key, &true);
            }
        }
    }
}
