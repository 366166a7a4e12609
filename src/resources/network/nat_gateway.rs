//! The way out to the internet for private subnets.
//!
//! It takes minutes to come up and to go, and either may be interrupted. One that is still `pending` exists, with its
//! `state` to be waited for; one that `failed` or is `deleting` exists until it is gone, because it keeps its subnet
//! and address, and is replaced where it is desired.

use std::time::Duration;

use anyhow::bail;
use aws_sdk_ec2::types::{NatGateway as Object, NatGatewayState, ResourceType};
use engine::{Address, Diff, Effect, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::{Value, json};

use super::{ElasticIp, InternetGateway, Subnet, claimed_in, filter};
use crate::cloud::{Answered, Cloud, Explain, Tags, ec2_filter, from_ec2, gone_is_ok, tag_specification};
use crate::resources::tagging;

/// About two minutes each way on AWS.
const PATIENCE: Duration = Duration::from_mins(10);

/// A public NAT gateway.
#[derive(Clone, Debug, Serialize)]
pub struct NatGateway {
    /// The public subnet that it stands in.
    pub subnet: Ref<Subnet>,
    /// The address that its traffic comes from.
    pub address: Ref<ElasticIp>,
    /// The gateway through which its traffic leaves. AWS finds it by the VPC, but fails a NAT gateway that is made
    /// before it, and lets it go only after every NAT gateway.
    pub internet: Ref<InternetGateway>,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a NAT gateway.
#[derive(Clone, Debug, Serialize)]
pub struct NatGatewayObserved {
    /// `nat-…`.
    pub id: String,
    /// The subnet's id.
    pub subnet: String,
    /// The address's allocation.
    pub address: String,
    /// The address itself.
    pub public_ip: String,
    /// `available` once it works.
    pub state: String,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for NatGateway {
    const KIND: &'static str = "nat_gateway";
    const LAYER: &'static str = "network";
    const AFTER: &'static [&'static str] = &["subnet", "elastic_ip", "internet_gateway"];
    // A renamed one needs its predecessor's address.
    const EXCLUSIVE: bool = true;
    const TYPICAL_SECONDS: u32 = 100;
    type Observed = NatGatewayObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { subnet, address, internet, tags: _ } = self;
        vec![subnet.address(), address.address(), internet.address()]
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, NatGatewayObserved)>> {
        let request = cloud.clients.ec2.describe_nat_gateways().filter(ec2_filter(&cloud.names.stack));
        // Deleted ones linger for an hour with their tags.
        let request = request.filter(filter("state", ["pending", "available", "failed", "deleting"]));
        let found: Vec<Object> =
            request.into_paginator().items().send().try_collect().await.explain("ec2:DescribeNatGateways")?;
        let named = found.iter().map(read);
        let mut named: Vec<(String, NatGatewayObserved)> =
            named.filter_map(|nat| Some((claimed_in(cloud, &nat.tags, Self::KIND)?, nat))).collect();
        // A remnant counts only while nothing has taken its place.
        named.sort_by_key(|(_, nat)| is_remnant(nat));
        let mut all: Vec<(String, NatGatewayObserved)> = Vec::new();
        for (name, nat) in named {
            if !(is_remnant(&nat) && all.iter().any(|(other, _)| *other == name)) {
                all.push((name, nat));
            }
        }
        Ok(all)
    }

    fn id(observed: &NatGatewayObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &NatGatewayObserved, known: &Inventory) -> Diff {
        let Self { subnet, address, internet, tags } = self;
        let mut diff = Diff::default();
        if is_remnant(observed) {
            diff.fixed("state", observed.state.as_str(), "available");
        } else {
            diff.field("state", observed.state.as_str(), "available");
        }
        if known.get(internet).is_none() {
            diff.push("internet", Value::Null, json!(internet), Effect::Replaces);
        }
        diff.fixed_link("subnet", &observed.subnet, known.get(subnet).map(|subnet| subnet.id.as_str()), subnet)
            .fixed_link("address", &observed.address, known.get(address).map(|address| address.id.as_str()), address)
            .map("tags", &observed.tags, tags);
        diff
    }

    fn outputs(observed: &NatGatewayObserved) -> Vec<(&'static str, String)> {
        vec![("public_ip", observed.public_ip.clone())]
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<NatGatewayObserved> {
        let cloud = cx.world;
        let (subnet, address) = (cx.observed(&self.subnet)?, cx.observed(&self.address)?);
        let request = cloud.clients.ec2.create_nat_gateway().subnet_id(&subnet.id).allocation_id(&address.id);
        let request = request.client_token(cx.token());
        let request = request.tag_specifications(tag_specification(ResourceType::Natgateway, &self.tags));
        let send = || async { request.clone().send().await.explain("ec2:CreateNatGateway") };
        let object = cloud.settle(&[], send).await?.nat_gateway.answered("ec2:CreateNatGateway")?;
        let id = object.nat_gateway_id().unwrap_or_default();
        let born = NatGatewayObserved {
            id: id.to_owned(),
            subnet: subnet.id.clone(),
            address: address.id.clone(),
            public_ip: address.public_ip.clone(),
            state: "pending".into(),
            tags: self.tags.clone(),
        };
        until_available(cx, id).await?;
        Ok(NatGatewayObserved { state: "available".into(), ..born })
    }

    async fn update(
        &self,
        observed: &NatGatewayObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<NatGatewayObserved> {
        tagging::ec2(cx.world, &observed.id, diff, &self.tags).await?;
        if diff.touches("state") {
            until_available(cx, &observed.id).await?;
        }
        Ok(NatGatewayObserved { state: "available".into(), tags: self.tags.clone(), ..observed.clone() })
    }

    async fn delete(observed: &NatGatewayObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let (cloud, id) = (cx.world, &observed.id);
        if observed.state != "deleting" {
            let request = cloud.clients.ec2.delete_nat_gateway().nat_gateway_id(id);
            gone_is_ok(request.send().await.explain("ec2:DeleteNatGateway"))?;
        }
        // Until then it keeps its subnet, its address and the VPC's internet gateway.
        cloud
            .wait(cx, format!("NAT gateway {id} to be gone"), PATIENCE, || async {
                let object = look(cloud, id).await?;
                let gone = object.is_none_or(|object| object.state() == Some(&NatGatewayState::Deleted));
                Ok(gone.then_some(()))
            })
            .await
    }
}

/// True when it will never (again) carry traffic.
fn is_remnant(observed: &NatGatewayObserved) -> bool {
    !matches!(observed.state.as_str(), "pending" | "available")
}

async fn until_available(cx: &StepContext<'_, Cloud>, id: &str) -> Result<()> {
    let what = format!("NAT gateway {id} to become available");
    cx.world
        .wait(cx, what, PATIENCE, || async {
            // AWS may not show it at once.
            let Some(object) = look(cx.world, id).await? else { return Ok(None) };
            match object.state() {
                Some(NatGatewayState::Available) => Ok(Some(())),
                Some(NatGatewayState::Pending) | None => Ok(None),
                Some(state) => bail!(
                    "NAT gateway {id} is {}: {} {}; the next run replaces it",
                    state.as_str(),
                    object.failure_code().unwrap_or("no reason given"),
                    object.failure_message().unwrap_or_default()
                ),
            }
        })
        .await
}

async fn look(cloud: &Cloud, id: &str) -> Result<Option<Object>> {
    let answer = cloud.clients.ec2.describe_nat_gateways().nat_gateway_ids(id).send().await;
    match answer.explain("ec2:DescribeNatGateways") {
        Ok(answer) => Ok(answer.nat_gateways.unwrap_or_default().pop()),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read(object: &Object) -> NatGatewayObserved {
    let address = object.nat_gateway_addresses().iter().find(|address| address.is_primary().unwrap_or(true));
    NatGatewayObserved {
        id: object.nat_gateway_id().unwrap_or_default().to_owned(),
        subnet: object.subnet_id().unwrap_or_default().to_owned(),
        address: address.and_then(|address| address.allocation_id()).unwrap_or_default().to_owned(),
        public_ip: address.and_then(|address| address.public_ip()).unwrap_or_default().to_owned(),
        state: object.state().map_or("pending", NatGatewayState::as_str).to_owned(),
        tags: from_ec2(object.tags()),
    }
}
