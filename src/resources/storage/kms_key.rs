//! A key that encrypts what the stack keeps, known by an alias, with its material rotated every year.
//!
//! AWS deletes keys only after a week at least. Until then a key that waits for its deletion is not ours any more once
//! it has lost its alias: another one takes its address. A key that waits keeps its tags and cannot lose them
//! (<https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html>), so they go first and the alias goes last:
//! it is what an interrupted delete is found by. The alias alone is no proof of ownership, since anybody may point it
//! at any key; hence the one tag, [`RETIRED_TAG`], that takes the place of the others.

use std::collections::BTreeMap;

use aws_sdk_kms::types::{KeyMetadata, Tag};
use engine::{Address, Diff, Inventory, Resource, Result, StepContext};
use futures::future::try_join_all;
use serde::Serialize;

use crate::cloud::{Answered, Cloud, CloudError, Explain, STACK_TAG, Tags, claimed_name, missing_is_none};
use crate::resources::tagging;

/// What a key that is on its way out carries: the stack and address that it had.
const RETIRED_TAG: &str = "infra:retired";
const ENABLED: &str = "Enabled";
const PENDING_DELETION: &str = "PendingDeletion";
/// The least that AWS allows.
const WAITING_DAYS: i32 = 7;

/// A KMS key.
#[derive(Clone, Debug, Serialize)]
pub struct KmsKey {
    /// What it is for.
    pub description: String,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a KMS key.
#[derive(Clone, Debug, Serialize)]
pub struct KmsKeyObserved {
    /// The key's id, a UUID.
    pub id: String,
    /// The key's ARN.
    pub arn: String,
    /// The alias, where it points at this key.
    pub alias: Option<String>,
    /// `Enabled`, `Disabled`, `PendingDeletion`.
    pub state: String,
    /// Whether AWS renews the material every year.
    pub rotation: bool,
    /// What it is for.
    pub description: String,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for KmsKey {
    const KIND: &'static str = "kms_key";
    const LAYER: &'static str = "storage";
    const ALWAYS: &'static [(&'static str, &'static str)] = &[("rotation", "every year")];
    const TYPICAL_SECONDS: u32 = 2;
    type Observed = KmsKeyObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { description: _, tags: _ } = self;
        Vec::new()
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, KmsKeyObserved)>> {
        let (tagged, aliases) = tokio::try_join!(cloud.tagged(), aliases(cloud))?;
        let mut keys: BTreeMap<String, Option<&Tags>> = BTreeMap::new();
        for (arn, tags) in tagged.iter().filter(|(arn, _)| arn.contains(":kms:")) {
            keys.insert(arn.rsplit('/').next().unwrap_or_default().to_owned(), Some(tags));
        }
        for key in aliases.values() {
            keys.entry(key.key_id().to_owned()).or_insert(None);
        }
        let reads = keys.iter().map(|(id, tags)| read(cloud, id, *tags, &aliases));
        Ok(try_join_all(reads).await?.into_iter().flatten().collect())
    }

    fn id(observed: &KmsKeyObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &KmsKeyObserved, _known: &Inventory) -> Diff {
        let Self { description, tags } = self;
        let mut diff = Diff::default();
        diff.field("alias", &observed.alias, &claimed_alias(tags))
            .field("state", observed.state.as_str(), ENABLED)
            .field("rotation", &observed.rotation, &true)
            .field("description", &observed.description, description)
            .map("tags", &observed.tags, tags);
        diff
    }

    fn losses(_observed: &KmsKeyObserved) -> Vec<String> {
        vec![format!(
            "what it encrypted: the key is scheduled for deletion in {WAITING_DAYS} days, until then it can be kept"
        )]
    }

    fn outputs(observed: &KmsKeyObserved) -> Vec<(&'static str, String)> {
        vec![("arn", observed.arn.clone())]
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<KmsKeyObserved> {
        let cloud = cx.world;
        let request = cloud.clients.kms.create_key().description(&self.description);
        let answer = request.set_tags(Some(into_kms(&self.tags)?)).send().await.explain("kms:CreateKey")?;
        let object = answer.key_metadata.answered("kms:CreateKey")?;
        let born = KmsKeyObserved {
            id: object.key_id().to_owned(),
            arn: object.arn().unwrap_or_default().to_owned(),
            alias: None,
            state: ENABLED.into(),
            rotation: false,
            description: self.description.clone(),
            tags: self.tags.clone(),
        };
        let missing = self.diff(&born, &Inventory::default());
        self.update(&born, &missing, cx).await
    }

    async fn update(
        &self,
        observed: &KmsKeyObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<KmsKeyObserved> {
        let (cloud, kms, id) = (cx.world, &cx.world.clients.kms, observed.id.as_str());
        // A key takes no other change while it waits for its deletion or is disabled.
        if diff.touches("state") {
            if observed.state == PENDING_DELETION {
                kms.cancel_key_deletion().key_id(id).send().await.explain("kms:CancelKeyDeletion")?;
            }
            let send = || async { kms.enable_key().key_id(id).send().await.explain("kms:EnableKey") };
            cloud.settle(&["KMSInvalidStateException"], send).await?;
        }
        let alias = claimed_alias(&self.tags);
        if let (true, Some(alias)) = (diff.touches("alias"), &alias) {
            aim(cloud, alias, id).await?;
        }
        if diff.touches("rotation") || observed.state == PENDING_DELETION {
            let send = || async { kms.enable_key_rotation().key_id(id).send().await.explain("kms:EnableKeyRotation") };
            cloud.settle(&["KMSInvalidStateException", "DisabledException"], send).await?;
        }
        if diff.touches("description") {
            let request = kms.update_key_description().key_id(id).description(&self.description);
            request.send().await.explain("kms:UpdateKeyDescription")?;
        }
        let tagging::TagChanges { set, remove } = tagging::changes(diff, &self.tags);
        if !set.is_empty() {
            let request = kms.tag_resource().key_id(id).set_tags(Some(into_kms(&set)?));
            request.send().await.explain("kms:TagResource")?;
        }
        if !remove.is_empty() {
            let request = kms.untag_resource().key_id(id).set_tag_keys(Some(remove));
            request.send().await.explain("kms:UntagResource")?;
        }
        Ok(KmsKeyObserved {
            alias,
            state: ENABLED.into(),
            rotation: true,
            description: self.description.clone(),
            tags: self.tags.clone(),
            ..observed.clone()
        })
    }

    async fn delete(observed: &KmsKeyObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let (cloud, kms, id) = (cx.world, &cx.world.clients.kms, observed.id.as_str());
        let alias = alias(cloud, &cx.address().name);
        if observed.state != PENDING_DELETION {
            if observed.alias.is_none() {
                aim(cloud, &alias, id).await?;
            }
            let retired = Tags::from([(RETIRED_TAG.to_owned(), retired(cloud, &cx.address().name))]);
            let request = kms.tag_resource().key_id(id).set_tags(Some(into_kms(&retired)?));
            request.send().await.explain("kms:TagResource")?;
            let keys: Vec<String> = observed.tags.keys().filter(|key| *key != RETIRED_TAG).cloned().collect();
            if !keys.is_empty() {
                let request = kms.untag_resource().key_id(id).set_tag_keys(Some(keys));
                request.send().await.explain("kms:UntagResource")?;
            }
            let request = kms.schedule_key_deletion().key_id(id).pending_window_in_days(WAITING_DAYS);
            request.send().await.explain("kms:ScheduleKeyDeletion")?;
        }
        let gone = kms.delete_alias().alias_name(alias).send().await.explain("kms:DeleteAlias");
        missing_is_none(gone, &["NotFoundException"])?;
        Ok(())
    }
}

fn prefix(cloud: &Cloud) -> String {
    format!("alias/infra/{}/", cloud.names.stack)
}

fn alias(cloud: &Cloud, name: &str) -> String {
    prefix(cloud) + name
}

/// The alias that goes with a key's own tags.
fn claimed_alias(tags: &Tags) -> Option<String> {
    Some(format!("alias/infra/{}/{}", tags.get(STACK_TAG)?, claimed_name(tags, KmsKey::KIND)?))
}

fn retired(cloud: &Cloud, name: &str) -> String {
    format!("{} {}/{name}", cloud.names.stack, KmsKey::KIND)
}

/// The stack's aliases, with the keys that they point at: described by their aliases, which tells both at once.
async fn aliases(cloud: &Cloud) -> Result<BTreeMap<String, KeyMetadata>> {
    let kms = &cloud.clients.kms;
    let names = match &cloud.names.kms_keys {
        names if names.is_empty() => listed(cloud).await?,
        names => names.iter().map(|name| alias(cloud, name)).collect(),
    };
    let looks = names.into_iter().map(|alias| async move {
        let answer = kms.describe_key().key_id(&alias).send().await.explain("kms:DescribeKey");
        let found = missing_is_none(answer, &["NotFoundException"])?;
        anyhow::Ok(found.and_then(|found| found.key_metadata).map(|key| (alias, key)))
    });
    Ok(try_join_all(looks).await?.into_iter().flatten().collect())
}

/// The stack's aliases, where it is not known which there can be.
async fn listed(cloud: &Cloud) -> Result<Vec<String>> {
    let pages = cloud.clients.kms.list_aliases().limit(100).into_paginator().items().send();
    let all: Vec<_> = pages.try_collect().await.explain("kms:ListAliases")?;
    let prefix = prefix(cloud);
    let aimed = all.iter().filter(|alias| alias.target_key_id().is_some());
    let names = aimed.filter_map(|alias| alias.alias_name().filter(|name| name.starts_with(&prefix)));
    Ok(names.map(str::to_owned).collect())
}

/// Points `alias` at the key, wherever it pointed before: the alias is in the stack's own part of the name space.
async fn aim(cloud: &Cloud, alias: &str, id: &str) -> Result<()> {
    let kms = &cloud.clients.kms;
    let send = || async {
        kms.create_alias().alias_name(alias).target_key_id(id).send().await.explain("kms:CreateAlias").map(drop)
    };
    match cloud.settle(&["KMSInvalidStateException"], send).await {
        Err(error) if error.is(&["AlreadyExistsException"]) => {
            let request = kms.update_alias().alias_name(alias).target_key_id(id);
            request.send().await.explain("kms:UpdateAlias")?;
            Ok(())
        }
        result => Ok(result?),
    }
}

/// Reads one key and says which name it has; nothing where the key isn't ours, or not any more.
async fn read(
    cloud: &Cloud,
    id: &str,
    tags: Option<&Tags>,
    aliases: &BTreeMap<String, KeyMetadata>,
) -> Result<Option<(String, KmsKeyObserved)>> {
    let kms = &cloud.clients.kms;
    let own: Vec<&String> = aliases.iter().filter(|(_, key)| key.key_id() == id).map(|(alias, _)| alias).collect();
    let key = async {
        if let Some(alias) = own.first() {
            return Ok(aliases[*alias].clone());
        }
        let answer = kms.describe_key().key_id(id).send().await.explain("kms:DescribeKey")?;
        answer.key_metadata.answered("kms:DescribeKey")
    };
    let rotation = async {
        let answer = kms.get_key_rotation_status().key_id(id).send().await.explain("kms:GetKeyRotationStatus");
        // Somebody pointed the alias at a key of a sort that has none.
        Ok(missing_is_none(answer, &["UnsupportedOperationException"])?
            .is_some_and(|found| found.key_rotation_enabled()))
    };
    let tags = async {
        match tags {
            Some(tags) => Ok(tags.clone()),
            None => tags_of(cloud, id).await,
        }
    };
    let found = match tokio::try_join!(key, rotation, tags) {
        // The tagging API lists keys for a while after they are gone.
        Err(error) if error.is_missing() => return Ok(None),
        found => found?,
    };
    let (key, rotation, tags) = found;
    let ours = tags.get(STACK_TAG) == Some(&cloud.names.stack);
    let name = match claimed_name(&tags, KmsKey::KIND) {
        Some(name) if ours => Some(name),
        _ => {
            let names = own.iter().filter_map(|alias| alias.strip_prefix(&prefix(cloud)));
            let mut names = names.filter(|name| ours || tags.get(RETIRED_TAG) == Some(&retired(cloud, name)));
            names.next().map(str::to_owned)
        }
    };
    let Some(name) = name else { return Ok(None) };
    let observed = KmsKeyObserved {
        id: id.to_owned(),
        arn: key.arn().unwrap_or_default().to_owned(),
        alias: own.into_iter().find(|own| **own == alias(cloud, &name)).cloned(),
        state: key.key_state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
        rotation,
        description: key.description().unwrap_or_default().to_owned(),
        tags,
    };
    let gone = observed.state == PENDING_DELETION && observed.alias.is_none();
    Ok((!gone).then_some((name, observed)))
}

async fn tags_of(cloud: &Cloud, id: &str) -> Result<Tags, CloudError> {
    let pages = cloud.clients.kms.list_resource_tags().key_id(id).into_paginator().items().send();
    let found: Vec<Tag> = pages.try_collect().await.explain("kms:ListResourceTags")?;
    Ok(found.iter().map(|tag| (tag.tag_key().to_owned(), tag.tag_value().to_owned())).collect())
}

fn into_kms(tags: &Tags) -> Result<Vec<Tag>> {
    tags.iter().map(|(key, value)| Ok(Tag::builder().tag_key(key).tag_value(value).build()?)).collect()
}
