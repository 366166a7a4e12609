//! A policy of the account's own, to attach to roles and users.
//!
//! IAM lists policies without their tags, so each one's are a call. To ask only for the stack's, its policies are made
//! under a path of their own (`/infra/STACK/`): one shared read then finds them, orphans too. Nothing depends on the
//! path but their ARNs, by which they are attached. An adopted policy keeps its path (AWS cannot change it) and is
//! found through the spec's names or through what it is attached to.

use std::collections::BTreeSet;

use anyhow::ensure;
use aws_sdk_iam::types::ManagedPolicyDetail;
use engine::{Address, Diff, Identity, Inventory, Resource, Result, StepContext, World};
use futures::future::try_join_all;
use serde::Serialize;

use super::{
    PolicyDocument,
    shared::{HELD, Holder, TAKEN, arns, from_iam, into_iam, is_ours, must_be_ours, own_name, partition},
};
use crate::{
    cloud::{Answered, Cloud, CloudError, Explain, Identities, STACK_TAG, Tags, gone_is_ok, missing_is_none},
    resources::tagging::{self, TagChanges},
};

/// AWS keeps at most this many versions of a policy. Source: "IAM and AWS STS quotas" in the IAM User Guide.
const VERSIONS: usize = 5;

/// A policy.
#[derive(Clone, Debug, Serialize)]
pub struct IamPolicy {
    /// Its name in the account.
    pub name: String,
    /// What it is for. AWS cannot change it afterwards, so that another text here is no difference: replacing the
    /// policy for it would take the permission from whoever holds it.
    pub description: String,
    /// What it allows.
    pub document: PolicyDocument,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a policy.
#[derive(Clone, Debug, Serialize)]
pub struct IamPolicyObserved {
    /// `arn:aws:iam::…:policy/…`.
    pub arn: String,
    /// Its name in the account.
    pub name: String,
    /// The default version's document.
    pub document: PolicyDocument,
    /// The versions that are not the default, oldest first.
    pub older: Vec<String>,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for IamPolicy {
    const KIND: &'static str = "iam_policy";
    const LAYER: &'static str = "access";
    const IDENTITY: Identity = Identity::Name;
    // A resource that is renamed in the spec and keeps its name in the account needs its predecessor's.
    const EXCLUSIVE: bool = true;
    type Observed = IamPolicyObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { name: _, description: _, document: _, tags: _ } = self;
        Vec::new()
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, IamPolicyObserved)>> {
        let identities = cloud.identities().await?;
        let (own_path, held) = (path(cloud), held_by_ours(cloud, &identities));
        let candidates = identities.policies.iter().filter(|policy| {
            policy.path() == Some(&own_path)
                || policy.arn().is_some_and(|arn| held.contains(arn))
                || policy.arn().is_some_and(|arn| cloud.names.identities.contains(name_in(arn)))
        });
        let reads = candidates.map(|policy| async move {
            let tags = tags_of(cloud, policy.arn().unwrap_or_default()).await?;
            anyhow::Ok(tags.map(|tags| read(policy, tags)))
        });
        let found = try_join_all(reads).await?.into_iter().flatten();
        let (own, others): (Vec<_>, Vec<_>) =
            found.partition(|policy| policy.tags.get(STACK_TAG) == Some(&cloud.names.stack));
        let others = others.into_iter().map(|policy| (policy.name, policy.arn, policy.tags));
        cloud.note_strangers(Self::KIND, others);
        let named = own.into_iter();
        Ok(named.filter_map(|policy| Some((own_name(cloud, &policy.tags, Self::KIND)?, policy))).collect())
    }

    fn id(observed: &IamPolicyObserved) -> String {
        observed.arn.clone()
    }

    fn diff(&self, observed: &IamPolicyObserved, _known: &Inventory) -> Diff {
        let Self { name, description: _, document, tags } = self;
        let mut diff = Diff::default();
        diff.fixed("name", &observed.name, name);
        diff.field("document", &observed.document, document).map("tags", &observed.tags, tags);
        diff
    }

    fn outputs(observed: &IamPolicyObserved) -> Vec<(&'static str, String)> {
        vec![("arn", observed.arn.clone())]
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<IamPolicyObserved> {
        let cloud = cx.world;
        let request = cloud.clients.iam.create_policy().policy_name(&self.name).path(path(cloud));
        let request = request.policy_document(self.document.minified()).set_tags(Some(into_iam(&self.tags)));
        let request = request.set_description((!self.description.is_empty()).then(|| self.description.clone()));
        match request.send().await.explain("iam:CreatePolicy") {
            Ok(answer) => Ok(IamPolicyObserved {
                arn: answer.policy.and_then(|policy| policy.arn).answered("iam:CreatePolicy")?,
                name: self.name.clone(),
                document: self.document.clone(),
                older: Vec::new(),
                tags: self.tags.clone(),
            }),
            Err(error) if error.is(TAKEN) => {
                let found = self.half_made(cx).await?;
                self.update(&found, &self.diff(&found, &Inventory::default()), cx).await
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn update(
        &self,
        observed: &IamPolicyObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<IamPolicyObserved> {
        let (iam, arn) = (&cx.world.clients.iam, &observed.arn);
        let mut older = observed.older.clone();
        if diff.touches("document") {
            while older.len() + 1 >= VERSIONS {
                delete_version(cx.world, arn, &older.remove(0)).await?;
            }
            let request = iam.create_policy_version().policy_arn(arn).set_as_default(true);
            let request = request.policy_document(self.document.minified());
            let send = || async { request.clone().send().await.explain("iam:CreatePolicyVersion") };
            cx.world.settle(&[], send).await?;
        }
        let TagChanges { set, remove } = tagging::changes(diff, &self.tags);
        if !set.is_empty() {
            let request = iam.tag_policy().policy_arn(arn).set_tags(Some(into_iam(&set)));
            cx.world.settle(&[], || async { request.clone().send().await.explain("iam:TagPolicy") }).await?;
        }
        if !remove.is_empty() {
            let request = iam.untag_policy().policy_arn(arn).set_tag_keys(Some(remove));
            request.send().await.explain("iam:UntagPolicy")?;
        }
        Ok(IamPolicyObserved { document: self.document.clone(), older, tags: self.tags.clone(), ..observed.clone() })
    }

    async fn delete(observed: &IamPolicyObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let (cloud, arn) = (cx.world, &observed.arn);
        release(cloud, arn).await?;
        for version in &observed.older {
            delete_version(cloud, arn, version).await?;
        }
        let request = cloud.clients.iam.delete_policy().policy_arn(arn);
        let send = || async { gone_is_ok(request.clone().send().await.explain("iam:DeletePolicy")) };
        Ok(cloud.settle(HELD, send).await?)
    }
}

impl IamPolicy {
    /// Reads the policy that stands in the way of a create, if it is the stack's.
    async fn half_made(&self, cx: &StepContext<'_, Cloud>) -> Result<IamPolicyObserved> {
        let (cloud, iam) = (cx.world, &cx.world.clients.iam);
        let identities = cloud.unread().identities().await?;
        let taken = identities.policies.iter().find(|policy| policy.arn().map(name_in) == Some(&self.name));
        let arn = taken.and_then(|policy| policy.arn.clone()).unwrap_or_else(|| {
            // Made so recently that the read does not show it.
            let (region, account) = (&cloud.names.region, &cloud.names.account);
            format!("arn:{}:iam::{account}:policy{}{}", partition(region), path(cloud), self.name)
        });
        let tags = tags_of(cloud, &arn).await?.unwrap_or_default();
        must_be_ours(cx, "the policy", &arn, &tags)?;
        let versions = iam.list_policy_versions().policy_arn(&arn).into_paginator().items().send();
        let versions: Vec<_> = versions.try_collect().await.explain("iam:ListPolicyVersions")?;
        let (current, older): (Vec<_>, Vec<_>) = versions.iter().partition(|version| version.is_default_version());
        let current = current.first().and_then(|version| version.version_id()).answered("iam:ListPolicyVersions")?;
        let request = iam.get_policy_version().policy_arn(&arn).version_id(current);
        let version = request.send().await.explain("iam:GetPolicyVersion")?.policy_version;
        let document = version.and_then(|version| version.document).answered("iam:GetPolicyVersion")?;
        let document = PolicyDocument::reported(&document);
        let older = in_age(older.into_iter().filter_map(|version| version.version_id.clone()));
        Ok(IamPolicyObserved { arn, name: self.name.clone(), document, older, tags })
    }
}

fn path(cloud: &Cloud) -> String {
    format!("/infra/{}/", cloud.names.stack)
}

/// The ARNs of what is attached to the stack's roles and users.
fn held_by_ours(cloud: &Cloud, identities: &Identities) -> BTreeSet<String> {
    let roles = identities.roles.iter().filter(|role| is_ours(cloud, role.tags()));
    let users = identities.users.iter().filter(|user| is_ours(cloud, user.tags()));
    let of_roles = roles.flat_map(|role| arns(role.attached_managed_policies()));
    of_roles.chain(users.flat_map(|user| arns(user.attached_managed_policies()))).collect()
}

/// The policy's name: what its ARN ends in. (moto gives no `PolicyName` beside it.)
fn name_in(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

async fn tags_of(cloud: &Cloud, arn: &str) -> Result<Option<Tags>, CloudError> {
    let request = cloud.clients.iam.list_policy_tags().policy_arn(arn);
    // AWS allows fifty tags and a page holds a hundred.
    let answer = missing_is_none(request.send().await.explain("iam:ListPolicyTags"), &["NoSuchEntity"])?;
    Ok(answer.map(|answer| from_iam(answer.tags())))
}

fn read(policy: &ManagedPolicyDetail, tags: Tags) -> IamPolicyObserved {
    let (current, older): (Vec<_>, Vec<_>) =
        policy.policy_version_list().iter().partition(|version| version.is_default_version());
    let document = current.first().and_then(|version| version.document()).unwrap_or_default();
    let arn = policy.arn().unwrap_or_default();
    IamPolicyObserved {
        arn: arn.to_owned(),
        name: name_in(arn).to_owned(),
        document: PolicyDocument::reported(document),
        older: in_age(older.into_iter().filter_map(|version| version.version_id.clone())),
        tags,
    }
}

/// Versions, oldest first: `v2` is older than `v10`.
fn in_age(versions: impl Iterator<Item = String>) -> Vec<String> {
    let mut versions: Vec<String> = versions.collect();
    let number = |version: &String| version.trim_start_matches('v').parse::<u64>().unwrap_or(u64::MAX);
    versions.sort_by_key(number);
    versions
}

async fn delete_version(cloud: &Cloud, arn: &str, version: &str) -> Result<(), CloudError> {
    let request = cloud.clients.iam.delete_policy_version().policy_arn(arn).version_id(version);
    gone_is_ok(request.send().await.explain("iam:DeletePolicyVersion"))
}

/// Detaches a policy that is to be deleted. Roles and users that go have gone by now; those that stay and take its
/// successor do so later. Others' are left alone.
async fn release(cloud: &Cloud, arn: &str) -> Result<()> {
    let pages = cloud.clients.iam.list_entities_for_policy().policy_arn(arn).into_paginator().send();
    let pages: Result<Vec<_>, CloudError> = pages.try_collect().await.explain("iam:ListEntitiesForPolicy");
    let (mut roles, mut users, mut others) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for page in missing_is_none(pages, &["NoSuchEntity"])?.unwrap_or_default() {
        roles.extend(page.policy_roles.into_iter().flatten().filter_map(|role| role.role_name));
        users.extend(page.policy_users.into_iter().flatten().filter_map(|user| user.user_name));
        let groups = page.policy_groups.into_iter().flatten().filter_map(|group| group.group_name);
        others.extend(groups.map(|group| format!("group {group}")));
    }
    if roles.is_empty() && users.is_empty() && others.is_empty() {
        return Ok(());
    }
    let identities = cloud.unread().identities().await?;
    for role in identities.roles.iter().filter(|role| role.role_name().is_some_and(|name| roles.contains(name))) {
        let name = role.role_name().unwrap_or_default();
        if is_ours(cloud, role.tags()) {
            Holder::Role(name).detach(cloud, arn).await?;
        } else {
            others.push(format!("role {name}"));
        }
    }
    for user in identities.users.iter().filter(|user| user.user_name().is_some_and(|name| users.contains(name))) {
        let name = user.user_name().unwrap_or_default();
        if is_ours(cloud, user.tags()) {
            Holder::User(name).detach(cloud, arn).await?;
        } else {
            others.push(format!("user {name}"));
        }
    }
    let (name, others) = (name_in(arn), others.join(", "));
    ensure!(others.is_empty(), "the policy {name} is still attached to {others}, not the stack's: detach it there");
    Ok(())
}
