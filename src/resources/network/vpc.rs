//! The stack's network. Its DNS is on, and the group that every VPC is born with is emptied: what joins it by accident
//! reaches nothing.

use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, ResourceType, SecurityGroup, Vpc as Object, VpcAttributeName};
use engine::{Address, Diff, Inventory, Resource, Result, StepContext};
use serde::Serialize;

use crate::cloud::{
    ADDRESS_TAG, Answered, Cloud, Explain, STACK_TAG, Tags, claimed_name, ec2_filter, from_ec2, gone_is_ok, into_ec2,
    tag_specification,
};
use crate::resources::tagging;

/// A VPC.
#[derive(Clone, Debug, Serialize)]
pub struct Vpc {
    /// The range, in CIDR notation.
    pub cidr: String,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a VPC.
#[derive(Clone, Debug, Serialize)]
pub struct VpcObserved {
    /// `vpc-…`.
    pub id: String,
    /// The primary range.
    pub cidr: String,
    /// Whether the VPC resolves names.
    pub dns_support: bool,
    /// Whether instances with public addresses get public names.
    pub dns_hostnames: bool,
    /// Whether the group that the VPC was born with lets nothing in or out.
    pub default_group_empty: bool,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for Vpc {
    const KIND: &'static str = "vpc";
    const LAYER: &'static str = "network";
    const ALWAYS: &'static [(&'static str, &'static str)] = &[("dns", "on"), ("default_group", "emptied")];
    const TYPICAL_SECONDS: u32 = 3;
    type Observed = VpcObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { cidr: _, tags: _ } = self;
        Vec::new()
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, VpcObserved)>> {
        let request = cloud.clients.ec2.describe_vpcs().filters(ec2_filter(&cloud.names.stack));
        let found: Vec<Object> =
            request.into_paginator().items().send().try_collect().await.explain("ec2:DescribeVpcs")?;
        let reads = found.iter().filter_map(|object| {
            let tags = from_ec2(object.tags());
            Some((claimed_name(&tags, Self::KIND)?, read(cloud, object)))
        });
        futures::future::try_join_all(reads.map(|(name, read)| async { Ok((name, read.await?)) })).await
    }

    fn id(observed: &VpcObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &VpcObserved, _known: &Inventory) -> Diff {
        let Self { cidr, tags } = self;
        let mut diff = Diff::default();
        diff.fixed("cidr", &observed.cidr, cidr)
            .field("dns_support", &observed.dns_support, &true)
            .field("dns_hostnames", &observed.dns_hostnames, &true)
            .field("default_group_empty", &observed.default_group_empty, &true)
            .map("tags", &observed.tags, tags);
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<VpcObserved> {
        let cloud = cx.world;
        let request = cloud.clients.ec2.create_vpc().cidr_block(&self.cidr);
        let answer = request.tag_specifications(tag_specification(ResourceType::Vpc, &self.tags)).send().await;
        let object = answer.explain("ec2:CreateVpc")?.vpc.answered("ec2:CreateVpc")?;
        let born = VpcObserved {
            id: object.vpc_id().unwrap_or_default().to_owned(),
            cidr: self.cidr.clone(),
            // AWS's defaults; source: CreateVpc in the Amazon EC2 API reference.
            dns_support: true,
            dns_hostnames: false,
            default_group_empty: false,
            tags: self.tags.clone(),
        };
        let missing = self.diff(&born, &Inventory::default());
        self.update(&born, &missing, cx).await
    }

    async fn update(&self, observed: &VpcObserved, diff: &Diff, cx: &StepContext<'_, Cloud>) -> Result<VpcObserved> {
        let cloud = cx.world;
        let id = &observed.id;
        // AWS takes one attribute a call; names need resolution first.
        let on = || AttributeBooleanValue::builder().value(true).build();
        if diff.touches("dns_support") {
            let request = || cloud.clients.ec2.modify_vpc_attribute().vpc_id(id).enable_dns_support(on());
            cloud.settle(&[], || async { request().send().await.explain("ec2:ModifyVpcAttribute") }).await?;
        }
        if diff.touches("dns_hostnames") {
            let request = || cloud.clients.ec2.modify_vpc_attribute().vpc_id(id).enable_dns_hostnames(on());
            cloud.settle(&[], || async { request().send().await.explain("ec2:ModifyVpcAttribute") }).await?;
        }
        if diff.touches("default_group_empty") {
            empty_default_group(cloud, id, cx.address()).await?;
        }
        tagging::ec2(cloud, id, diff, &self.tags).await?;
        Ok(VpcObserved {
            dns_support: true,
            dns_hostnames: true,
            default_group_empty: true,
            tags: self.tags.clone(),
            ..observed.clone()
        })
    }

    async fn delete(observed: &VpcObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let request = cx.world.clients.ec2.delete_vpc().vpc_id(&observed.id);
        // What was in it is gone, but AWS may take a moment to see that.
        let send = || async { gone_is_ok(request.clone().send().await.explain("ec2:DeleteVpc")) };
        Ok(cx.world.settle(&["DependencyViolation"], send).await?)
    }
}

/// Reads what a describe of the VPC itself does not tell; the questions are asked at once.
async fn read(cloud: &Cloud, object: &Object) -> Result<VpcObserved> {
    let id = object.vpc_id().unwrap_or_default();
    let attribute = |name: VpcAttributeName| async move {
        let request = cloud.clients.ec2.describe_vpc_attribute().vpc_id(id).attribute(name);
        anyhow::Ok(request.send().await.explain("ec2:DescribeVpcAttribute")?)
    };
    let (support, hostnames, groups) = tokio::try_join!(
        attribute(VpcAttributeName::EnableDnsSupport),
        attribute(VpcAttributeName::EnableDnsHostnames),
        cloud.security_groups(),
    )?;
    let is_on = |value: Option<&AttributeBooleanValue>| value.and_then(AttributeBooleanValue::value).unwrap_or(false);
    let default_group = groups.iter().find(|group| group.vpc_id() == Some(id) && group.group_name() == Some("default"));
    Ok(VpcObserved {
        id: id.to_owned(),
        cidr: object.cidr_block().unwrap_or_default().to_owned(),
        dns_support: is_on(support.enable_dns_support()),
        dns_hostnames: is_on(hostnames.enable_dns_hostnames()),
        default_group_empty: default_group.is_some_and(is_empty),
        tags: from_ec2(object.tags()),
    })
}

fn is_empty(group: &SecurityGroup) -> bool {
    group.ip_permissions().is_empty() && group.ip_permissions_egress().is_empty()
}

/// Empties the group that the VPC was born with and marks it as seen to: the mark brings it into the one describe
/// that finds all of the stack's groups.
async fn empty_default_group(cloud: &Cloud, vpc: &str, address: &Address) -> Result<()> {
    let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let request = cloud.clients.ec2.describe_security_groups();
    let request = request.filters(filter("vpc-id", vpc)).filters(filter("group-name", "default"));
    let group = cloud.settle(&[], || async {
        let answer = request.clone().send().await.explain("ec2:DescribeSecurityGroups")?;
        answer.security_groups.unwrap_or_default().pop().answered("ec2:DescribeSecurityGroups")
    });
    let group = group.await?;
    let id = group.group_id().unwrap_or_default();
    if !group.ip_permissions().is_empty() {
        let request = cloud.clients.ec2.revoke_security_group_ingress().group_id(id);
        let request = request.set_ip_permissions(group.ip_permissions.clone());
        gone_is_ok(request.send().await.explain("ec2:RevokeSecurityGroupIngress"))?;
    }
    if !group.ip_permissions_egress().is_empty() {
        let request = cloud.clients.ec2.revoke_security_group_egress().group_id(id);
        let request = request.set_ip_permissions(group.ip_permissions_egress.clone());
        gone_is_ok(request.send().await.explain("ec2:RevokeSecurityGroupEgress"))?;
    }
    let mut tags = Tags::from([(STACK_TAG.into(), cloud.names.stack.clone())]);
    tags.insert(ADDRESS_TAG.into(), format!("{address}/default-group"));
    let request = cloud.clients.ec2.create_tags().resources(id).set_tags(Some(into_ec2(&tags)));
    request.send().await.explain("ec2:CreateTags")?;
    Ok(())
}
