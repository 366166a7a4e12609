//! A group of hosts that rules apply to. What the rules are says [`SecurityGroupRules`](super::SecurityGroupRules), a
//! kind of its own: groups refer to each other, so all of them exist before the first rule.

use anyhow::bail;
use aws_sdk_ec2::types::{ResourceType, SecurityGroup as Object};
use engine::{Address, Diff, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;

use super::{Vpc, filter};
use crate::cloud::{Answered, Cloud, Explain, Tags, claimed_name, from_ec2, gone_is_ok, tag_specification, taken};
use crate::resources::tagging;

/// A security group. Every one needs a [`SecurityGroupRules`](super::SecurityGroupRules) of the same name: AWS lets a
/// group without rules of its own send anything anywhere.
#[derive(Clone, Debug, Serialize)]
pub struct SecurityGroup {
    /// The VPC whose interfaces may join.
    pub vpc: Ref<Vpc>,
    /// What it is for. AWS fixes it at birth and a running host's group cannot be replaced, so a description that
    /// changed later is kept as it is and not compared.
    pub description: String,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a security group.
#[derive(Clone, Debug, Serialize)]
pub struct SecurityGroupObserved {
    /// `sg-…`.
    pub id: String,
    /// The VPC's id.
    pub vpc: String,
    /// The name, unique in the VPC.
    pub name: String,
    /// What it was said to be for when it was made.
    pub description: String,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for SecurityGroup {
    const KIND: &'static str = "security_group";
    const LAYER: &'static str = "network";
    const AFTER: &'static [&'static str] = &["vpc"];
    const TYPICAL_SECONDS: u32 = 2;
    type Observed = SecurityGroupObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { vpc, description: _, tags: _ } = self;
        vec![vpc.address()]
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, SecurityGroupObserved)>> {
        let found = cloud.security_groups().await?;
        let named = found.iter().map(read);
        Ok(named.filter_map(|group| Some((claimed_name(&group.tags, Self::KIND)?, group))).collect())
    }

    fn id(observed: &SecurityGroupObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &SecurityGroupObserved, known: &Inventory) -> Diff {
        let Self { vpc, description: _, tags } = self;
        let mut diff = Diff::default();
        diff.fixed_link("vpc", &observed.vpc, known.get(vpc).map(|vpc| vpc.id.as_str()), vpc).map(
            "tags",
            &observed.tags,
            tags,
        );
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<SecurityGroupObserved> {
        let (cloud, vpc) = (cx.world, cx.observed(&self.vpc)?);
        let name = cloud.names.unique(&cx.address().name);
        let request = cloud.clients.ec2.create_security_group().vpc_id(&vpc.id).group_name(&name);
        let request = request.description(&self.description);
        let request = request.tag_specifications(tag_specification(ResourceType::SecurityGroup, &self.tags));
        let send = || async { request.clone().send().await.explain("ec2:CreateSecurityGroup") };
        let id = match cloud.settle(&[], send).await {
            Err(error) if error.is(&["InvalidGroup.Duplicate"]) => {
                let request = cloud.clients.ec2.describe_security_groups().filters(filter("vpc-id", [&vpc.id]));
                let answer = request.filters(filter("group-name", [&name])).send().await;
                let answer = answer.explain("ec2:DescribeSecurityGroups")?;
                let found = read(answer.security_groups().first().answered("ec2:DescribeSecurityGroups")?);
                let what = format!("the security group {name} of {},", vpc.id);
                bail!(taken(&cloud.names, cx.address(), &what, &found.id, &found.tags))
            }
            answer => answer?.group_id.answered("ec2:CreateSecurityGroup")?,
        };
        let (description, tags) = (self.description.clone(), self.tags.clone());
        Ok(SecurityGroupObserved { id, vpc: vpc.id.clone(), name, description, tags })
    }

    async fn update(
        &self,
        observed: &SecurityGroupObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<SecurityGroupObserved> {
        tagging::ec2(cx.world, &observed.id, diff, &self.tags).await?;
        Ok(SecurityGroupObserved { tags: self.tags.clone(), ..observed.clone() })
    }

    async fn delete(observed: &SecurityGroupObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let request = cx.world.clients.ec2.delete_security_group().group_id(&observed.id);
        // The interfaces of hosts that were terminated a moment ago may still be in it.
        let send = || async { gone_is_ok(request.clone().send().await.explain("ec2:DeleteSecurityGroup")) };
        Ok(cx.world.settle(&["DependencyViolation"], send).await?)
    }
}

fn read(object: &Object) -> SecurityGroupObserved {
    SecurityGroupObserved {
        id: object.group_id().unwrap_or_default().to_owned(),
        vpc: object.vpc_id().unwrap_or_default().to_owned(),
        name: object.group_name().unwrap_or_default().to_owned(),
        description: object.description().unwrap_or_default().to_owned(),
        tags: from_ec2(object.tags()),
    }
}
