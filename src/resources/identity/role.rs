//! Who something is on AWS, and what it may do: an instance, a cluster, EMR itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use aws_sdk_iam::types::RoleDetail;
use engine::{Address, Diff, Identity, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;

use super::{
    IamPolicy, PolicyDocument,
    profile::{self, remove_role},
    shared::{Grants, HELD, Holder, TAKEN, arns, documents, from_iam, into_iam, is_ours, made, must_be_ours, own_name},
};
use crate::cloud::{Answered, Cloud, CloudError, Explain, STACK_TAG, Tags, gone_is_ok};

/// A role.
#[derive(Clone, Debug, Serialize)]
pub struct IamRole {
    /// Its name in the account.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who may take it on.
    pub trust: PolicyDocument,
    /// The ARNs of attached policies that are not the stack's, such as AWS's own.
    pub managed: BTreeSet<String>,
    /// The stack's policies that are attached.
    pub policies: Vec<Ref<IamPolicy>>,
    /// Policies of its own, by name.
    pub inline: BTreeMap<String, PolicyDocument>,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a role.
#[derive(Clone, Debug, Serialize)]
pub struct IamRoleObserved {
    /// `arn:aws:iam::…:role/…`.
    pub arn: String,
    /// Its name in the account.
    pub name: String,
    /// What it is for; `None` where the list of roles did not show it yet.
    pub description: Option<String>,
    /// Who may take it on.
    pub trust: PolicyDocument,
    /// What it may do.
    #[serde(flatten)]
    pub grants: Grants,
    /// The instance profiles that hold it.
    pub profiles: BTreeSet<String>,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for IamRole {
    const KIND: &'static str = "iam_role";
    const LAYER: &'static str = "access";
    const AFTER: &'static [&'static str] = &["iam_policy"];
    const IDENTITY: Identity = Identity::Name;
    // As for policies.
    const EXCLUSIVE: bool = true;
    const TYPICAL_SECONDS: u32 = 2;
    type Observed = IamRoleObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { name: _, description: _, trust: _, managed: _, policies, inline: _, tags: _ } = self;
        policies.iter().map(Ref::address).collect()
    }

    // The read that tells all leaves the descriptions out; one list of the account's roles has them, and goes out at
    // the same time. Source: `RoleDetail` and `ListRoles` in the IAM API reference.
    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, IamRoleObserved)>> {
        let (identities, descriptions) = tokio::try_join!(cloud.identities(), descriptions(cloud))?;
        let others = identities.roles.iter().filter(|role| !is_ours(cloud, role.tags()));
        let others = others.filter_map(|role| Some((role.role_name()?, from_iam(role.tags()))));
        cloud.note_strangers(Self::KIND, others.map(|(name, tags)| (name.to_owned(), name.to_owned(), tags)));
        let own = identities.roles.iter().filter_map(|role| {
            let tags = from_iam(role.tags());
            let name = own_name(cloud, &tags, Self::KIND)?;
            let description = descriptions.get(role.role_name()?).cloned();
            Some((name, read(role, description, tags)))
        });
        Ok(own.collect())
    }

    fn id(observed: &IamRoleObserved) -> String {
        observed.name.clone()
    }

    fn diff(&self, observed: &IamRoleObserved, known: &Inventory) -> Diff {
        self.compare(observed, |link| Some(known.get(link)?.arn.clone()))
    }

    fn outputs(observed: &IamRoleObserved) -> Vec<(&'static str, String)> {
        vec![("arn", observed.arn.clone())]
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<IamRoleObserved> {
        let cloud = cx.world;
        let request = cloud.clients.iam.create_role().role_name(&self.name);
        let request = request.assume_role_policy_document(self.trust.minified());
        let request = request.set_description((!self.description.is_empty()).then(|| self.description.clone()));
        let request = request.set_tags(Some(into_iam(&self.tags)));
        let send = || async { request.clone().send().await.explain("iam:CreateRole") };
        let born = match cloud.settle(self.not_yet(), send).await {
            Ok(answer) => {
                let role = answer.role.answered("iam:CreateRole")?;
                IamRoleObserved {
                    arn: role.arn,
                    name: role.role_name,
                    description: Some(self.description.clone()),
                    trust: self.trust.clone(),
                    grants: Grants::default(),
                    profiles: BTreeSet::new(),
                    tags: self.tags.clone(),
                }
            }
            Err(error) if error.is(TAKEN) => self.half_made(cx).await?,
            Err(error) => return Err(error.into()),
        };
        let arns = made(cx, &self.policies)?;
        let missing = self.compare(&born, |link| arns.get(link.address()).cloned());
        self.update(&born, &missing, cx).await
    }

    async fn update(
        &self,
        observed: &IamRoleObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<IamRoleObserved> {
        let (cloud, iam, name) = (cx.world, &cx.world.clients.iam, &observed.name);
        if diff.touches("description") {
            // UpdateRole would set the longest session back to an hour. Source: the IAM API reference.
            let request = iam.update_role_description().role_name(name).description(&self.description);
            let send = || async { request.clone().send().await.explain("iam:UpdateRoleDescription") };
            cloud.settle(&[], send).await?;
        }
        if diff.touches("trust") {
            let request = iam.update_assume_role_policy().role_name(name).policy_document(self.trust.minified());
            let send = || async { request.clone().send().await.explain("iam:UpdateAssumeRolePolicy") };
            cloud.settle(self.not_yet(), send).await?;
        }
        let arns = made(cx, &self.policies)?;
        let grants = self.grants(|link| arns.get(link.address()).cloned());
        let left = observed.grants.left(diff, &arns);
        Holder::Role(name).change(cloud, diff, (&left, &grants), &self.tags).await?;
        Ok(IamRoleObserved {
            description: Some(self.description.clone()),
            trust: self.trust.clone(),
            grants,
            tags: self.tags.clone(),
            ..observed.clone()
        })
    }

    async fn delete(observed: &IamRoleObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let (cloud, name) = (cx.world, &observed.name);
        Holder::Role(name).strip(cloud, &observed.grants).await?;
        for profile in &observed.profiles {
            leave(cloud, name, profile).await?;
        }
        let request = cloud.clients.iam.delete_role().role_name(name);
        let send = || async { gone_is_ok(request.clone().send().await.explain("iam:DeleteRole")) };
        Ok(cloud.settle(HELD, send).await?)
    }
}

impl IamRole {
    fn grants(&self, arn_of: impl Fn(&Ref<IamPolicy>) -> Option<String>) -> Grants {
        Grants::wanted(&self.managed, &self.policies, &self.inline, arn_of)
    }

    fn compare(&self, observed: &IamRoleObserved, arn_of: impl Fn(&Ref<IamPolicy>) -> Option<String>) -> Diff {
        let Self { name, description, trust, managed, policies, inline, tags } = self;
        let wanted = Grants::wanted(managed, policies, inline, arn_of);
        let mut diff = Diff::default();
        diff.fixed("name", &observed.name, name)
            .field("description", observed.description.as_ref().unwrap_or(description), description)
            .field("trust", &observed.trust, trust);
        observed.grants.compare(&mut diff, &wanted);
        diff.map("tags", &observed.tags, tags);
        diff
    }

    /// What AWS answers while it does not know everywhere a user or role that the trust names.
    fn not_yet(&self) -> &'static [&'static str] {
        if self.trust.names_principals() { &["MalformedPolicyDocument"] } else { &[] }
    }

    /// Reads the role that stands in the way of a create, if it is the stack's. Its grants are what an interrupted run
    /// got to: granting all again finishes that.
    async fn half_made(&self, cx: &StepContext<'_, Cloud>) -> Result<IamRoleObserved> {
        let request = cx.world.clients.iam.get_role().role_name(&self.name);
        let role = request.send().await.explain("iam:GetRole")?.role.answered("iam:GetRole")?;
        let tags = from_iam(role.tags());
        must_be_ours(cx, "the role", &self.name, &tags)?;
        Ok(IamRoleObserved {
            description: Some(role.description.clone().unwrap_or_default()),
            trust: PolicyDocument::reported(role.assume_role_policy_document().unwrap_or_default()),
            arn: role.arn,
            name: role.role_name,
            grants: Grants::default(),
            profiles: BTreeSet::new(),
            tags,
        })
    }
}

fn read(role: &RoleDetail, description: Option<String>, tags: Tags) -> IamRoleObserved {
    let profiles = role.instance_profile_list().iter().map(|profile| profile.instance_profile_name.clone());
    IamRoleObserved {
        arn: role.arn().unwrap_or_default().to_owned(),
        name: role.role_name().unwrap_or_default().to_owned(),
        description,
        trust: PolicyDocument::reported(role.assume_role_policy_document().unwrap_or_default()),
        grants: Grants { attached: arns(role.attached_managed_policies()), inline: documents(role.role_policy_list()) },
        profiles: profiles.collect(),
        tags,
    }
}

/// The account's roles' descriptions by role; empty where a role has none.
async fn descriptions(cloud: &Cloud) -> Result<BTreeMap<String, String>> {
    let roles = cloud.clients.iam.list_roles().max_items(1000).into_paginator().items().send();
    let roles: Vec<_> = roles.try_collect().await.explain("iam:ListRoles")?;
    Ok(roles.into_iter().map(|role| (role.role_name, role.description.unwrap_or_default())).collect())
}

/// Takes a role out of a profile, so that the role can go. The stack's profiles are gone by then, unless the role is
/// being replaced; one that somebody else put it into is theirs.
async fn leave(cloud: &Cloud, role: &str, profile: &str) -> Result<()> {
    let Some(found) = profile::look(cloud, profile).await? else { return Ok(()) };
    if found.role.as_deref() != Some(role) {
        return Ok(());
    }
    if found.tags.get(STACK_TAG) != Some(&cloud.names.stack) {
        bail!("the role {role} is in the instance profile {profile}, which is not the stack's: take it out there");
    }
    let removed: Result<(), CloudError> = remove_role(cloud, profile, role).await;
    Ok(removed?)
}
