//! What roles, users, policies and profiles have in common: tags, attachments, and names that are taken.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use aws_sdk_iam::types::{AttachedPolicy, PolicyDetail, Tag};
use engine::{Address, Diff, Ref, Result, StepContext};
use serde::Serialize;
use serde_json::Value;

use super::{IamPolicy, PolicyDocument};
use crate::{
    cloud::{ADDRESS_TAG, Cloud, CloudError, Explain, STACK_TAG, Tags, claimed_name, gone_is_ok, taken},
    resources::tagging::{self, TagChanges},
};

/// IAM's code for a name that is taken.
pub(super) const TAKEN: &[&str] = &["EntityAlreadyExists"];
/// IAM's code for an object that others still hold on to.
pub(super) const HELD: &[&str] = &["DeleteConflict"];

/// IAM's form of `tags`.
pub(super) fn into_iam(tags: &Tags) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(|pair| tag(pair).expect("a tag with key and value is whole")).collect()
}

/// Reads IAM's tags; those that AWS itself sets (`aws:…`) are nobody's drift.
pub(super) fn from_iam(tags: &[Tag]) -> Tags {
    let ours = tags.iter().filter(|tag| !tag.key().starts_with("aws:"));
    ours.map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

/// True when the tags are this stack's.
pub(super) fn is_ours(cloud: &Cloud, tags: &[Tag]) -> bool {
    tags.iter().any(|tag| tag.key() == STACK_TAG && tag.value() == cloud.names.stack)
}

/// The name that the tags claim within `kind`, if they are this stack's: IAM's lists hold the whole account.
pub(super) fn own_name(cloud: &Cloud, tags: &Tags, kind: &str) -> Option<String> {
    (tags.get(STACK_TAG) == Some(&cloud.names.stack)).then(|| claimed_name(tags, kind)).flatten()
}

/// For a create that found its name taken: goes on where the tags say that an interrupted run made the object, and
/// leaves anybody else's alone.
pub(super) fn must_be_ours(cx: &StepContext<'_, Cloud>, what: &str, name: &str, tags: &Tags) -> Result<()> {
    let (names, address) = (&cx.world.names, cx.address());
    let ours = tags.get(STACK_TAG) == Some(&names.stack) && tags.get(ADDRESS_TAG) == Some(&address.to_string());
    ensure!(ours, taken(names, address, what, name, tags));
    Ok(())
}

/// The partition that the region lies in.
pub(super) fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The ARNs of attached policies.
pub(super) fn arns(attached: &[AttachedPolicy]) -> BTreeSet<String> {
    attached.iter().filter_map(|policy| policy.policy_arn.clone()).collect()
}

/// Inline policies by name.
pub(super) fn documents(inline: &[PolicyDetail]) -> BTreeMap<String, PolicyDocument> {
    let named = inline.iter().filter_map(|policy| {
        Some((policy.policy_name.clone()?, PolicyDocument::reported(policy.policy_document.as_deref()?)))
    });
    named.collect()
}

/// What a role or user may do: policies attached, by ARN, and policies of its own.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Grants {
    /// The ARNs of the attached policies, AWS's and the account's.
    pub attached: BTreeSet<String>,
    /// The inline policies by name.
    pub inline: BTreeMap<String, PolicyDocument>,
}

impl Grants {
    /// What is wanted, as far as the stack's own policies are known: the address stands for one that is to be made.
    pub(super) fn wanted(
        managed: &BTreeSet<String>,
        policies: &[Ref<IamPolicy>],
        inline: &BTreeMap<String, PolicyDocument>,
        arn_of: impl Fn(&Ref<IamPolicy>) -> Option<String>,
    ) -> Self {
        let own = policies.iter().map(|link| arn_of(link).unwrap_or_else(|| link.address().to_string()));
        Self { attached: managed.iter().cloned().chain(own).collect(), inline: inline.clone() }
    }

    /// What is left of what was observed when the diff was made. A policy that was made since may have the ARN of one
    /// that was deleted for it, and a deleted one is attached no more.
    pub(super) fn left(&self, diff: &Diff, made: &BTreeMap<Address, String>) -> Self {
        let coming = diff.changes.iter().filter(|change| change.field == "attached");
        let coming: Vec<&str> =
            coming.filter_map(|change| change.to.as_array()).flatten().filter_map(Value::as_str).collect();
        let made = made.iter().filter(|(address, _)| coming.contains(&address.to_string().as_str()));
        let made: BTreeSet<&String> = made.map(|(_, arn)| arn).collect();
        let attached = self.attached.iter().filter(|arn| !made.contains(arn)).cloned().collect();
        Self { attached, inline: self.inline.clone() }
    }

    /// Compares: one field for the attachments, one for each inline policy.
    pub(super) fn compare(&self, diff: &mut Diff, wanted: &Self) {
        let Self { attached, inline } = self;
        diff.set("attached", attached, &wanted.attached).map("inline", inline, &wanted.inline);
    }
}

/// Who holds grants and tags; users and roles have the same operations under other names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder<'a> {
    /// A role's name.
    Role(&'a str),
    /// A user's name.
    User(&'a str),
}

impl Holder<'_> {
    /// Brings grants and tags to what the diff asks for. What goes, goes first: AWS counts attachments.
    pub(super) async fn change(
        self,
        cloud: &Cloud,
        diff: &Diff,
        (from, to): (&Grants, &Grants),
        tags: &Tags,
    ) -> Result<(), CloudError> {
        if diff.touches("attached") {
            for arn in from.attached.difference(&to.attached) {
                self.detach(cloud, arn).await?;
            }
            for arn in to.attached.difference(&from.attached) {
                cloud.settle(&[], || self.attach(cloud, arn)).await?;
            }
        }
        for name in diff.changes.iter().filter_map(|change| change.field.strip_prefix("inline.")) {
            match to.inline.get(name) {
                Some(document) => {
                    let document = document.minified();
                    cloud.settle(&[], || self.put_inline(cloud, name, &document)).await?;
                }
                None => self.delete_inline(cloud, name).await?,
            }
        }
        let TagChanges { set, remove } = tagging::changes(diff, tags);
        if !set.is_empty() {
            cloud.settle(&[], || self.tag(cloud, &set)).await?;
        }
        if !remove.is_empty() {
            self.untag(cloud, remove).await?;
        }
        Ok(())
    }

    /// Takes all grants away, as AWS asks before it deletes the holder.
    pub(super) async fn strip(self, cloud: &Cloud, grants: &Grants) -> Result<(), CloudError> {
        for arn in &grants.attached {
            self.detach(cloud, arn).await?;
        }
        for name in grants.inline.keys() {
            self.delete_inline(cloud, name).await?;
        }
        Ok(())
    }

    async fn attach(self, cloud: &Cloud, arn: &str) -> Result<(), CloudError> {
        let iam = &cloud.clients.iam;
        match self {
            Self::Role(role) => {
                let answer = iam.attach_role_policy().role_name(role).policy_arn(arn).send().await;
                answer.explain("iam:AttachRolePolicy").map(drop)
            }
            Self::User(user) => {
                let answer = iam.attach_user_policy().user_name(user).policy_arn(arn).send().await;
                answer.explain("iam:AttachUserPolicy").map(drop)
            }
        }
    }

    /// Detaches; what is not attached is as wanted.
    pub(super) async fn detach(self, cloud: &Cloud, arn: &str) -> Result<(), CloudError> {
        let iam = &cloud.clients.iam;
        gone_is_ok(match self {
            Self::Role(role) => {
                let answer = iam.detach_role_policy().role_name(role).policy_arn(arn).send().await;
                answer.explain("iam:DetachRolePolicy").map(drop)
            }
            Self::User(user) => {
                let answer = iam.detach_user_policy().user_name(user).policy_arn(arn).send().await;
                answer.explain("iam:DetachUserPolicy").map(drop)
            }
        })
    }

    async fn put_inline(self, cloud: &Cloud, name: &str, document: &str) -> Result<(), CloudError> {
        let iam = &cloud.clients.iam;
        match self {
            Self::Role(role) => {
                let request = iam.put_role_policy().role_name(role).policy_name(name).policy_document(document);
                request.send().await.explain("iam:PutRolePolicy").map(drop)
            }
            Self::User(user) => {
                let request = iam.put_user_policy().user_name(user).policy_name(name).policy_document(document);
                request.send().await.explain("iam:PutUserPolicy").map(drop)
            }
        }
    }

    async fn delete_inline(self, cloud: &Cloud, name: &str) -> Result<(), CloudError> {
        let iam = &cloud.clients.iam;
        gone_is_ok(match self {
            Self::Role(role) => {
                let answer = iam.delete_role_policy().role_name(role).policy_name(name).send().await;
                answer.explain("iam:DeleteRolePolicy").map(drop)
            }
            Self::User(user) => {
                let answer = iam.delete_user_policy().user_name(user).policy_name(name).send().await;
                answer.explain("iam:DeleteUserPolicy").map(drop)
            }
        })
    }

    async fn tag(self, cloud: &Cloud, tags: &Tags) -> Result<(), CloudError> {
        let (iam, tags) = (&cloud.clients.iam, Some(into_iam(tags)));
        match self {
            Self::Role(role) => {
                iam.tag_role().role_name(role).set_tags(tags).send().await.explain("iam:TagRole").map(drop)
            }
            Self::User(user) => {
                iam.tag_user().user_name(user).set_tags(tags).send().await.explain("iam:TagUser").map(drop)
            }
        }
    }

    async fn untag(self, cloud: &Cloud, keys: Vec<String>) -> Result<(), CloudError> {
        let iam = &cloud.clients.iam;
        match self {
            Self::Role(role) => {
                let answer = iam.untag_role().role_name(role).set_tag_keys(Some(keys)).send().await;
                answer.explain("iam:UntagRole").map(drop)
            }
            Self::User(user) => {
                let answer = iam.untag_user().user_name(user).set_tag_keys(Some(keys)).send().await;
                answer.explain("iam:UntagUser").map(drop)
            }
        }
    }
}

/// The ARNs of the stack's own policies that a step refers to, all of which are made by now.
pub(super) fn made(cx: &StepContext<'_, Cloud>, policies: &[Ref<IamPolicy>]) -> Result<BTreeMap<Address, String>> {
    let arn = |link: &Ref<IamPolicy>| {
        let policy = cx.observed(link).with_context(|| format!("{} needs it", cx.address()))?;
        Ok((link.address().clone(), policy.arn.clone()))
    };
    policies.iter().map(arn).collect()
}
