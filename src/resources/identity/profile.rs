//! What hands a role to instances.
//!
//! IAM lists profiles without their tags, so that each one's are a call; it is made only for those that may be the
//! stack's: that hold one of its roles, that hold none (an interrupted run left them so), or that the spec names.

use std::collections::BTreeSet;

use aws_sdk_iam::types::InstanceProfile as Object;
use engine::{Address, Diff, Identity, Inventory, Ref, Resource, Result, StepContext};
use futures::future::try_join_all;
use serde::Serialize;

use super::{
    IamRole,
    shared::{HELD, TAKEN, from_iam, into_iam, is_ours, must_be_ours, own_name},
};
use crate::{
    cloud::{Answered, Cloud, CloudError, Explain, STACK_TAG, Tags, gone_is_ok, missing_is_none},
    resources::tagging::{self, TagChanges},
};

/// An instance profile.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceProfile {
    /// Its name in the account.
    pub name: String,
    /// The role that it hands out.
    pub role: Ref<IamRole>,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of an instance profile.
#[derive(Clone, Debug, Serialize)]
pub struct InstanceProfileObserved {
    /// `arn:aws:iam::…:instance-profile/…`.
    pub arn: String,
    /// Its name in the account.
    pub name: String,
    /// The name of the role that it hands out; AWS allows one.
    pub role: Option<String>,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for InstanceProfile {
    const KIND: &'static str = "instance_profile";
    const LAYER: &'static str = "access";
    const AFTER: &'static [&'static str] = &["iam_role"];
    const IDENTITY: Identity = Identity::Name;
    // As for policies.
    const EXCLUSIVE: bool = true;
    const TYPICAL_SECONDS: u32 = 2;
    type Observed = InstanceProfileObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { name: _, role, tags: _ } = self;
        vec![role.address()]
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, InstanceProfileObserved)>> {
        let all = async {
            let pages = cloud.clients.iam.list_instance_profiles().max_items(1000).into_paginator().items().send();
            let all: Vec<Object> = pages.try_collect().await.explain("iam:ListInstanceProfiles")?;
            anyhow::Ok(all)
        };
        let (identities, all) = tokio::try_join!(cloud.identities(), all)?;
        let ours = identities.roles.iter().filter(|role| is_ours(cloud, role.tags()));
        let our_roles: BTreeSet<&str> = ours.filter_map(|role| role.role_name()).collect();
        let candidates = all.iter().filter(|profile| {
            profile.roles().iter().all(|role| our_roles.contains(role.role_name()))
                || cloud.names.identities.contains(profile.instance_profile_name())
        });
        let looks = try_join_all(candidates.map(|profile| look(cloud, profile.instance_profile_name()))).await?;
        let (own, others): (Vec<_>, Vec<_>) =
            looks.into_iter().flatten().partition(|profile| profile.tags.get(STACK_TAG) == Some(&cloud.names.stack));
        let others = others.into_iter().map(|profile| (profile.name.clone(), profile.name, profile.tags));
        cloud.note_strangers(Self::KIND, others);
        let named = own.into_iter();
        Ok(named.filter_map(|profile| Some((own_name(cloud, &profile.tags, Self::KIND)?, profile))).collect())
    }

    fn id(observed: &InstanceProfileObserved) -> String {
        observed.name.clone()
    }

    fn diff(&self, observed: &InstanceProfileObserved, known: &Inventory) -> Diff {
        self.compare(observed, known.get(&self.role).map(|role| role.name.as_str()))
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<InstanceProfileObserved> {
        let cloud = cx.world;
        let role = cx.observed(&self.role)?;
        let request = cloud.clients.iam.create_instance_profile().instance_profile_name(&self.name);
        let request = request.set_tags(Some(into_iam(&self.tags)));
        let born = match request.send().await.explain("iam:CreateInstanceProfile") {
            Ok(answer) => {
                let object = answer.instance_profile.answered("iam:CreateInstanceProfile")?;
                InstanceProfileObserved { tags: self.tags.clone(), ..read(&object) }
            }
            Err(error) if error.is(TAKEN) => {
                let found = look(cloud, &self.name).await?.answered("iam:GetInstanceProfile")?;
                must_be_ours(cx, "the instance profile", &self.name, &found.tags)?;
                found
            }
            Err(error) => return Err(error.into()),
        };
        let missing = self.compare(&born, Some(&role.name));
        self.update(&born, &missing, cx).await
    }

    async fn update(
        &self,
        observed: &InstanceProfileObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<InstanceProfileObserved> {
        let (cloud, iam, name) = (cx.world, &cx.world.clients.iam, &observed.name);
        let role = cx.observed(&self.role)?;
        if diff.touches("role") {
            // Interrupted in between, the profile has no role, which the next run sees.
            if let Some(other) = &observed.role {
                remove_role(cloud, name, other).await?;
            }
            let request = iam.add_role_to_instance_profile().instance_profile_name(name).role_name(&role.name);
            let send = || async { request.clone().send().await.explain("iam:AddRoleToInstanceProfile") };
            // AWS may count the removed role for a moment.
            let also: &[&str] = if observed.role.is_some() { &["LimitExceeded"] } else { &[] };
            cloud.settle(also, send).await?;
        }
        let TagChanges { set, remove } = tagging::changes(diff, &self.tags);
        if !set.is_empty() {
            let request = iam.tag_instance_profile().instance_profile_name(name).set_tags(Some(into_iam(&set)));
            cloud.settle(&[], || async { request.clone().send().await.explain("iam:TagInstanceProfile") }).await?;
        }
        if !remove.is_empty() {
            let request = iam.untag_instance_profile().instance_profile_name(name).set_tag_keys(Some(remove));
            request.send().await.explain("iam:UntagInstanceProfile")?;
        }
        Ok(InstanceProfileObserved { role: Some(role.name.clone()), tags: self.tags.clone(), ..observed.clone() })
    }

    async fn delete(observed: &InstanceProfileObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let cloud = cx.world;
        if let Some(role) = &observed.role {
            remove_role(cloud, &observed.name, role).await?;
        }
        let request = cloud.clients.iam.delete_instance_profile().instance_profile_name(&observed.name);
        let send = || async { gone_is_ok(request.clone().send().await.explain("iam:DeleteInstanceProfile")) };
        Ok(cloud.settle(HELD, send).await?)
    }
}

impl InstanceProfile {
    fn compare(&self, observed: &InstanceProfileObserved, role_name: Option<&str>) -> Diff {
        let Self { name, role, tags } = self;
        let mut diff = Diff::default();
        diff.fixed("name", &observed.name, name)
            .field_link("role", observed.role.as_deref().unwrap_or_default(), role_name, role)
            .map("tags", &observed.tags, tags);
        diff
    }
}

/// Reads one profile with its tags; `None` where there is none.
pub(super) async fn look(cloud: &Cloud, name: &str) -> Result<Option<InstanceProfileObserved>, CloudError> {
    let answer = cloud.clients.iam.get_instance_profile().instance_profile_name(name).send().await;
    let answer = missing_is_none(answer.explain("iam:GetInstanceProfile"), &["NoSuchEntity"])?;
    Ok(answer.and_then(|answer| answer.instance_profile).map(|object| read(&object)))
}

/// Takes the role out of the profile; one that is not in it is as wanted.
pub(super) async fn remove_role(cloud: &Cloud, profile: &str, role: &str) -> Result<(), CloudError> {
    let request = cloud.clients.iam.remove_role_from_instance_profile();
    let answer = request.instance_profile_name(profile).role_name(role).send().await;
    gone_is_ok(answer.explain("iam:RemoveRoleFromInstanceProfile"))
}

fn read(object: &Object) -> InstanceProfileObserved {
    InstanceProfileObserved {
        arn: object.arn().to_owned(),
        name: object.instance_profile_name().to_owned(),
        role: object.roles().first().map(|role| role.role_name().to_owned()),
        tags: from_iam(object.tags()),
    }
}
