//! The VPC's way to and from the internet.

use aws_sdk_ec2::types::{InternetGateway as Object, ResourceType};
use engine::{Address, Diff, Effect, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::Value;

use super::Vpc;
use crate::cloud::{
    Answered, Cloud, CloudError, Explain, Tags, claimed_name, ec2_filter, from_ec2, gone_is_ok, tag_specification,
};
use crate::resources::tagging;

/// An internet gateway, attached to its VPC.
#[derive(Clone, Debug, Serialize)]
pub struct InternetGateway {
    /// The VPC that it is attached to.
    pub vpc: Ref<Vpc>,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of an internet gateway.
#[derive(Clone, Debug, Serialize)]
pub struct InternetGatewayObserved {
    /// `igw-…`.
    pub id: String,
    /// The id of the VPC that it is attached to, if it is.
    pub vpc: Option<String>,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for InternetGateway {
    const KIND: &'static str = "internet_gateway";
    const LAYER: &'static str = "network";
    const AFTER: &'static [&'static str] = &["vpc"];
    // A VPC takes one.
    const EXCLUSIVE: bool = true;
    const TYPICAL_SECONDS: u32 = 2;
    type Observed = InternetGatewayObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { vpc, tags: _ } = self;
        vec![vpc.address()]
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, InternetGatewayObserved)>> {
        let request = cloud.clients.ec2.describe_internet_gateways().filters(ec2_filter(&cloud.names.stack));
        let found: Vec<Object> =
            request.into_paginator().items().send().try_collect().await.explain("ec2:DescribeInternetGateways")?;
        let named = found.iter().map(read);
        Ok(named.filter_map(|gateway| Some((claimed_name(&gateway.tags, Self::KIND)?, gateway))).collect())
    }

    fn id(observed: &InternetGatewayObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &InternetGatewayObserved, known: &Inventory) -> Diff {
        let Self { vpc, tags } = self;
        let mut diff = Diff::default();
        let wanted = known.get(vpc).map(|vpc| vpc.id.as_str());
        if let Some(attached) = &observed.vpc {
            diff.fixed_link("vpc", attached, wanted, vpc);
        } else {
            let wanted = wanted.map_or_else(|| vpc.address().to_string(), str::to_owned);
            diff.push("vpc", Value::Null, Value::String(wanted), Effect::InPlace);
        }
        diff.map("tags", &observed.tags, tags);
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<InternetGatewayObserved> {
        let tags = tag_specification(ResourceType::InternetGateway, &self.tags);
        let answer = cx.world.clients.ec2.create_internet_gateway().tag_specifications(tags).send().await;
        let object = answer.explain("ec2:CreateInternetGateway")?.internet_gateway;
        let id = object.and_then(|object| object.internet_gateway_id).answered("ec2:CreateInternetGateway")?;
        let vpc = cx.observed(&self.vpc)?;
        attach(cx.world, &id, &vpc.id).await?;
        Ok(InternetGatewayObserved { id, vpc: Some(vpc.id.clone()), tags: self.tags.clone() })
    }

    async fn update(
        &self,
        observed: &InternetGatewayObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<InternetGatewayObserved> {
        let vpc = cx.observed(&self.vpc)?;
        if diff.touches("vpc") {
            attach(cx.world, &observed.id, &vpc.id).await?;
        }
        tagging::ec2(cx.world, &observed.id, diff, &self.tags).await?;
        Ok(InternetGatewayObserved { vpc: Some(vpc.id.clone()), tags: self.tags.clone(), ..observed.clone() })
    }

    async fn delete(observed: &InternetGatewayObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let (cloud, id) = (cx.world, &observed.id);
        if let Some(vpc) = &observed.vpc {
            let request = cloud.clients.ec2.detach_internet_gateway().internet_gateway_id(id).vpc_id(vpc);
            // The public addresses of what was deleted a moment ago may still count.
            let send = || async {
                match request.clone().send().await.explain("ec2:DetachInternetGateway") {
                    Err(error) if error.is(&["Gateway.NotAttached"]) => Ok(()),
                    result => gone_is_ok(result),
                }
            };
            cloud.settle(&["DependencyViolation"], send).await?;
        }
        let request = cloud.clients.ec2.delete_internet_gateway().internet_gateway_id(id);
        Ok(gone_is_ok(request.send().await.explain("ec2:DeleteInternetGateway"))?)
    }
}

async fn attach(cloud: &Cloud, id: &str, vpc: &str) -> Result<(), CloudError> {
    let request = cloud.clients.ec2.attach_internet_gateway().internet_gateway_id(id).vpc_id(vpc);
    let send = || async { request.clone().send().await.explain("ec2:AttachInternetGateway") };
    let Err(refused) = cloud.settle(&[], send).await else { return Ok(()) };
    // An interrupted run may have attached it without a read having shown so; or the VPC has another one.
    if refused.is(&["Resource.AlreadyAssociated"]) {
        let answer = cloud.clients.ec2.describe_internet_gateways().internet_gateway_ids(id).send().await;
        let gateways = answer.explain("ec2:DescribeInternetGateways")?.internet_gateways.unwrap_or_default();
        if gateways.iter().any(|gateway| read(gateway).vpc.as_deref() == Some(vpc)) {
            return Ok(());
        }
    }
    Err(refused)
}

fn read(object: &Object) -> InternetGatewayObserved {
    InternetGatewayObserved {
        id: object.internet_gateway_id().unwrap_or_default().to_owned(),
        vpc: object.attachments().iter().find_map(|attachment| attachment.vpc_id.clone()),
        tags: from_ec2(object.tags()),
    }
}
