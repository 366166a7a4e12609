//! A user: for software that runs where no role reaches it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use aws_sdk_iam::types::UserDetail;
use engine::{Address, Diff, Identity, Inventory, Ref, Resource, Result, StepContext};
use futures::future::try_join_all;
use serde::Serialize;

use super::{
    AccessKey, IamPolicy, KeysObserved, PolicyDocument, access_key,
    shared::{Grants, HELD, Holder, TAKEN, arns, documents, from_iam, into_iam, is_ours, made, must_be_ours, own_name},
};
use crate::cloud::{Answered, Cloud, Explain, Tags, gone_is_ok};

/// A user.
#[derive(Clone, Debug, Serialize)]
pub struct IamUser {
    /// Its name in the account.
    pub name: String,
    /// The ARNs of attached policies that are not the stack's, such as AWS's own.
    pub managed: BTreeSet<String>,
    /// The stack's policies that are attached.
    pub policies: Vec<Ref<IamPolicy>>,
    /// Policies of its own, by name.
    pub inline: BTreeMap<String, PolicyDocument>,
    /// The access key, if it has one. An instance profile needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<AccessKey>,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a user, and where this machine keeps the key.
#[derive(Clone, Debug, Serialize)]
pub struct IamUserObserved {
    /// `arn:aws:iam::…:user/…`.
    pub arn: String,
    /// Its name in the account.
    pub name: String,
    /// Its name in the spec.
    #[serde(skip)]
    pub spec_name: String,
    /// What it may do.
    #[serde(flatten)]
    pub grants: Grants,
    /// The access keys; no secrets.
    pub access_keys: KeysObserved,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for IamUser {
    const KIND: &'static str = "iam_user";
    const LAYER: &'static str = "access";
    const AFTER: &'static [&'static str] = &["iam_policy"];
    const IDENTITY: Identity = Identity::Name;
    // As for policies.
    const EXCLUSIVE: bool = true;
    const TYPICAL_SECONDS: u32 = 2;
    type Observed = IamUserObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { name: _, managed: _, policies, inline: _, access_key: _, tags: _ } = self;
        policies.iter().map(Ref::address).collect()
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, IamUserObserved)>> {
        let identities = cloud.identities().await?;
        let others = identities.users.iter().filter(|user| !is_ours(cloud, user.tags()));
        let others = others.filter_map(|user| Some((user.user_name()?, from_iam(user.tags()))));
        cloud.note_strangers(Self::KIND, others.map(|(name, tags)| (name.to_owned(), name.to_owned(), tags)));
        let own = identities.users.iter().filter_map(|user| {
            let tags = from_iam(user.tags());
            Some((own_name(cloud, &tags, Self::KIND)?, user, tags))
        });
        // AWS lists keys by user only.
        let reads = own.map(|(name, user, tags)| async move {
            let profile = access_key::profile_of(cloud, &name);
            let keys = access_key::read(cloud, user.user_name().unwrap_or_default(), &profile).await?;
            anyhow::Ok((name.clone(), read(user, name, keys, tags)))
        });
        try_join_all(reads).await
    }

    fn id(observed: &IamUserObserved) -> String {
        observed.name.clone()
    }

    fn diff(&self, observed: &IamUserObserved, known: &Inventory) -> Diff {
        self.compare(observed, |link| Some(known.get(link)?.arn.clone()))
    }

    fn outputs(observed: &IamUserObserved) -> Vec<(&'static str, String)> {
        let mut outputs = vec![("arn", observed.arn.clone())];
        outputs.extend(observed.access_keys.outputs(&observed.spec_name));
        outputs
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<IamUserObserved> {
        let iam = &cx.world.clients.iam;
        let request = iam.create_user().user_name(&self.name).set_tags(Some(into_iam(&self.tags)));
        let (arn, tags, is_new) = match request.send().await.explain("iam:CreateUser") {
            Ok(answer) => (answer.user.answered("iam:CreateUser")?.arn, self.tags.clone(), true),
            Err(error) if error.is(TAKEN) => {
                let answer = iam.get_user().user_name(&self.name).send().await.explain("iam:GetUser")?;
                let user = answer.user.answered("iam:GetUser")?;
                let tags = from_iam(user.tags());
                must_be_ours(cx, "the user", &self.name, &tags)?;
                (user.arn, tags, false)
            }
            Err(error) => return Err(error.into()),
        };
        let spec_name = cx.address().name.clone();
        let access_keys = if is_new {
            KeysObserved::default()
        } else {
            access_key::read(cx.world, &self.name, &access_key::profile_of(cx.world, &spec_name)).await?
        };
        let grants = Grants::default();
        let born = IamUserObserved { arn, name: self.name.clone(), spec_name, grants, access_keys, tags };
        let arns = made(cx, &self.policies)?;
        let missing = self.compare(&born, |link| arns.get(link.address()).cloned());
        self.update(&born, &missing, cx).await
    }

    async fn update(
        &self,
        observed: &IamUserObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<IamUserObserved> {
        let (cloud, name) = (cx.world, &observed.name);
        let arns = made(cx, &self.policies)?;
        let grants = self.grants(|link| arns.get(link.address()).cloned());
        let left = observed.grants.left(diff, &arns);
        Holder::User(name).change(cloud, diff, (&left, &grants), &self.tags).await?;
        let mut access_keys = observed.access_keys.clone();
        if diff.touches("access_key") {
            let profile = access_key::profile_of(cloud, &observed.spec_name);
            access_keys = access_key::change(cloud, name, &profile, self.access_key.as_ref(), &access_keys).await?;
        }
        Ok(IamUserObserved { grants, access_keys, tags: self.tags.clone(), ..observed.clone() })
    }

    async fn delete(observed: &IamUserObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let (cloud, name) = (cx.world, &observed.name);
        let profile = access_key::profile_of(cloud, &observed.spec_name);
        access_key::delete_all(cloud, name, &profile).await?;
        Holder::User(name).strip(cloud, &observed.grants).await?;
        let request = cloud.clients.iam.delete_user().user_name(name);
        let send = || async { gone_is_ok(request.clone().send().await.explain("iam:DeleteUser")) };
        match cloud.settle(HELD, send).await {
            Err(error) if error.is(HELD) => Err(error).with_context(|| {
                format!("the user {name} has what infra did not give it (a console password, an MFA device, a group, a certificate): remove that first")
            }),
            result => Ok(result?),
        }
    }
}

impl IamUser {
    fn grants(&self, arn_of: impl Fn(&Ref<IamPolicy>) -> Option<String>) -> Grants {
        Grants::wanted(&self.managed, &self.policies, &self.inline, arn_of)
    }

    fn compare(&self, observed: &IamUserObserved, arn_of: impl Fn(&Ref<IamPolicy>) -> Option<String>) -> Diff {
        let Self { name, managed, policies, inline, access_key, tags } = self;
        let wanted = Grants::wanted(managed, policies, inline, arn_of);
        let mut diff = Diff::default();
        diff.fixed("name", &observed.name, name);
        observed.grants.compare(&mut diff, &wanted);
        access_key::compare(&mut diff, &observed.access_keys, access_key.as_ref());
        diff.map("tags", &observed.tags, tags);
        diff
    }
}

fn read(user: &UserDetail, spec_name: String, access_keys: KeysObserved, tags: Tags) -> IamUserObserved {
    IamUserObserved {
        arn: user.arn().unwrap_or_default().to_owned(),
        name: user.user_name().unwrap_or_default().to_owned(),
        spec_name,
        grants: Grants { attached: arns(user.attached_managed_policies()), inline: documents(user.user_policy_list()) },
        access_keys,
        tags,
    }
}
