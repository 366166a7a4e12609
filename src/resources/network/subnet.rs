//! A part of the VPC's range in one zone.

use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, Subnet as Object};
use engine::{Address, Diff, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;

use super::Vpc;
use crate::cloud::{Answered, Cloud, Explain, Tags, claimed_name, ec2_filter, from_ec2, gone_is_ok, tag_specification};
use crate::resources::tagging;

/// A subnet.
#[derive(Clone, Debug, Serialize)]
pub struct Subnet {
    /// The VPC that it is a part of.
    pub vpc: Ref<Vpc>,
    /// The range, in CIDR notation.
    pub cidr: String,
    /// The zone, by its full name; AWS's choice where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Whether instances get public addresses.
    pub public_addresses: bool,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a subnet.
#[derive(Clone, Debug, Serialize)]
pub struct SubnetObserved {
    /// `subnet-…`.
    pub id: String,
    /// The VPC's id.
    pub vpc: String,
    /// The range.
    pub cidr: String,
    /// The zone's full name.
    pub zone: String,
    /// Whether instances get public addresses.
    pub public_addresses: bool,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for Subnet {
    const KIND: &'static str = "subnet";
    const LAYER: &'static str = "network";
    const AFTER: &'static [&'static str] = &["vpc"];
    // Ranges must not overlap: a renamed subnet needs its predecessor's.
    const EXCLUSIVE: bool = true;
    const TYPICAL_SECONDS: u32 = 2;
    type Observed = SubnetObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { vpc, cidr: _, zone: _, public_addresses: _, tags: _ } = self;
        vec![vpc.address()]
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, SubnetObserved)>> {
        let request = cloud.clients.ec2.describe_subnets().filters(ec2_filter(&cloud.names.stack));
        let found: Vec<Object> =
            request.into_paginator().items().send().try_collect().await.explain("ec2:DescribeSubnets")?;
        let named = found.iter().map(read);
        Ok(named.filter_map(|subnet| Some((claimed_name(&subnet.tags, Self::KIND)?, subnet))).collect())
    }

    fn id(observed: &SubnetObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &SubnetObserved, known: &Inventory) -> Diff {
        let Self { vpc, cidr, zone, public_addresses, tags } = self;
        let mut diff = Diff::default();
        diff.fixed_link("vpc", &observed.vpc, known.get(vpc).map(|vpc| vpc.id.as_str()), vpc)
            .fixed("cidr", &observed.cidr, cidr)
            .fixed("zone", &observed.zone, zone.as_ref().unwrap_or(&observed.zone))
            .field("public_addresses", &observed.public_addresses, public_addresses)
            .map("tags", &observed.tags, tags);
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<SubnetObserved> {
        let cloud = cx.world;
        let vpc = cx.observed(&self.vpc)?;
        let request = || {
            let request = cloud.clients.ec2.create_subnet().vpc_id(&vpc.id).cidr_block(&self.cidr);
            let request = request.set_availability_zone(self.zone.clone());
            request.tag_specifications(tag_specification(ResourceType::Subnet, &self.tags)).send()
        };
        let answer = cloud.settle(&[], || async { request().await.explain("ec2:CreateSubnet") }).await?;
        let born = read(&answer.subnet.answered("ec2:CreateSubnet")?);
        let mut missing = Diff::default();
        missing.field("public_addresses", &born.public_addresses, &self.public_addresses);
        self.update(&born, &missing, cx).await
    }

    async fn update(
        &self,
        observed: &SubnetObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<SubnetObserved> {
        let cloud = cx.world;
        if diff.touches("public_addresses") {
            let value = AttributeBooleanValue::builder().value(self.public_addresses).build();
            let request = cloud.clients.ec2.modify_subnet_attribute().subnet_id(&observed.id);
            let request = request.map_public_ip_on_launch(value);
            let send = || async { request.clone().send().await.explain("ec2:ModifySubnetAttribute") };
            cloud.settle(&[], send).await?;
        }
        tagging::ec2(cloud, &observed.id, diff, &self.tags).await?;
        Ok(SubnetObserved { public_addresses: self.public_addresses, tags: self.tags.clone(), ..observed.clone() })
    }

    async fn delete(observed: &SubnetObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let request = cx.world.clients.ec2.delete_subnet().subnet_id(&observed.id);
        // What was in it is gone, but AWS may take a moment to see that.
        let send = || async { gone_is_ok(request.clone().send().await.explain("ec2:DeleteSubnet")) };
        Ok(cx.world.settle(&["DependencyViolation"], send).await?)
    }
}

fn read(object: &Object) -> SubnetObserved {
    SubnetObserved {
        id: object.subnet_id().unwrap_or_default().to_owned(),
        vpc: object.vpc_id().unwrap_or_default().to_owned(),
        cidr: object.cidr_block().unwrap_or_default().to_owned(),
        zone: object.availability_zone().unwrap_or_default().to_owned(),
        public_addresses: object.map_public_ip_on_launch().unwrap_or(false),
        tags: from_ec2(object.tags()),
    }
}
