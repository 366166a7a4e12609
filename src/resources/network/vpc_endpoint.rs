//! A way to an AWS service that does not leave AWS: a gateway endpoint, which is routes in the tables that it names.

use std::{collections::BTreeSet, time::Duration};

use aws_sdk_ec2::types::{ResourceType, State, VpcEndpoint as Object, VpcEndpointType};
use engine::{Address, Diff, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;

use super::{RouteTable, Vpc, claimed_in};
use crate::cloud::{Answered, Cloud, CloudError, Explain, Tags, ec2_filter, from_ec2, gone_is_ok, tag_specification};
use crate::resources::tagging;

/// Seconds on AWS.
const PATIENCE: Duration = Duration::from_mins(2);

/// A gateway endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct VpcEndpoint {
    /// The VPC.
    pub vpc: Ref<Vpc>,
    /// The service, without region: `s3`.
    pub service: String,
    /// The tables that get a route to the service.
    pub route_tables: Vec<Ref<RouteTable>>,
    /// What it is tagged with.
    pub tags: Tags,
}

/// What AWS reports of a gateway endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct VpcEndpointObserved {
    /// `vpce-…`.
    pub id: String,
    /// The VPC's id.
    pub vpc: String,
    /// The service, without region: `s3`; the full name where that is not the region's.
    pub service: String,
    /// The tables' ids.
    pub route_tables: BTreeSet<String>,
    /// `available` while it works.
    pub state: String,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for VpcEndpoint {
    const KIND: &'static str = "vpc_endpoint";
    const LAYER: &'static str = "network";
    const AFTER: &'static [&'static str] = &["vpc", "route_table"];
    // A table takes one route to a service.
    const EXCLUSIVE: bool = true;
    const TYPICAL_SECONDS: u32 = 5;
    type Observed = VpcEndpointObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { vpc, service: _, route_tables, tags: _ } = self;
        std::iter::once(vpc.address()).chain(route_tables.iter().map(Ref::address)).collect()
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, VpcEndpointObserved)>> {
        let request = cloud.clients.ec2.describe_vpc_endpoints().filters(ec2_filter(&cloud.names.stack));
        let found: Vec<Object> =
            request.into_paginator().items().send().try_collect().await.explain("ec2:DescribeVpcEndpoints")?;
        // One that is being deleted counts until it is gone: it still keeps its tables and its VPC.
        let named = found.iter().filter(|object| !is_gone(object)).map(|object| read(cloud, object));
        Ok(named.filter_map(|endpoint| Some((claimed_in(cloud, &endpoint.tags, Self::KIND)?, endpoint))).collect())
    }

    fn id(observed: &VpcEndpointObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &VpcEndpointObserved, known: &Inventory) -> Diff {
        let Self { vpc, service, route_tables, tags } = self;
        let mut diff = Diff::default();
        if !matches!(observed.state.as_str(), "pending" | "available") {
            diff.fixed("state", observed.state.as_str(), "available");
        }
        let tables = route_tables
            .iter()
            .map(|table| known.get(table).map_or_else(|| table.address().to_string(), |observed| observed.id.clone()));
        diff.fixed_link("vpc", &observed.vpc, known.get(vpc).map(|vpc| vpc.id.as_str()), vpc)
            .fixed("service", &observed.service, service)
            .set("route_tables", &observed.route_tables, &tables.collect())
            .map("tags", &observed.tags, tags);
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<VpcEndpointObserved> {
        let (cloud, vpc, tables) = (cx.world, cx.observed(&self.vpc)?, self.tables(cx)?);
        let request = cloud.clients.ec2.create_vpc_endpoint().vpc_endpoint_type(VpcEndpointType::Gateway);
        let request = request.vpc_id(&vpc.id).service_name(prefix(cloud) + &self.service).client_token(cx.token());
        let request = request.set_route_table_ids(Some(tables.into_iter().collect()));
        let request = request.tag_specifications(tag_specification(ResourceType::VpcEndpoint, &self.tags));
        let send = || async { request.clone().send().await.explain("ec2:CreateVpcEndpoint") };
        let answer = cloud.settle(&[], send).await?;
        Ok(read(cloud, &answer.vpc_endpoint.answered("ec2:CreateVpcEndpoint")?))
    }

    async fn update(
        &self,
        observed: &VpcEndpointObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<VpcEndpointObserved> {
        let (cloud, tables) = (cx.world, self.tables(cx)?);
        if diff.touches("route_tables") {
            let less = |from: &BTreeSet<String>, these: &BTreeSet<String>| {
                let left: Vec<String> = from.difference(these).cloned().collect();
                (!left.is_empty()).then_some(left)
            };
            let request = cloud.clients.ec2.modify_vpc_endpoint().vpc_endpoint_id(&observed.id);
            let request = request.set_add_route_table_ids(less(&tables, &observed.route_tables));
            let request = request.set_remove_route_table_ids(less(&observed.route_tables, &tables));
            let send = || async { request.clone().send().await.explain("ec2:ModifyVpcEndpoint") };
            cloud.settle(&[], send).await?;
        }
        tagging::ec2(cloud, &observed.id, diff, &self.tags).await?;
        Ok(VpcEndpointObserved { route_tables: tables, tags: self.tags.clone(), ..observed.clone() })
    }

    async fn delete(observed: &VpcEndpointObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        const OPERATION: &str = "ec2:DeleteVpcEndpoints";
        let (cloud, id) = (cx.world, &observed.id);
        if observed.state != "deleting" {
            let answer = cloud.clients.ec2.delete_vpc_endpoints().vpc_endpoint_ids(id).send().await;
            // AWS answers that all is well and lists what it could not delete.
            let refused = answer.explain(OPERATION)?.unsuccessful.unwrap_or_default();
            for error in refused.into_iter().filter_map(|item| item.error) {
                let message = error.message.unwrap_or_default();
                let error = CloudError { operation: OPERATION, code: error.code, message, request_id: None };
                gone_is_ok::<()>(Err(error))?;
            }
        }
        cloud
            .wait(cx, format!("VPC endpoint {id} to be gone"), PATIENCE, || async {
                let answer = cloud.clients.ec2.describe_vpc_endpoints().vpc_endpoint_ids(id).send().await;
                match answer.explain("ec2:DescribeVpcEndpoints") {
                    Ok(answer) => Ok(answer.vpc_endpoints().iter().all(is_gone).then_some(())),
                    Err(error) if error.is_missing() => Ok(Some(())),
                    Err(error) => Err(error.into()),
                }
            })
            .await
    }
}

impl VpcEndpoint {
    fn tables(&self, cx: &StepContext<'_, Cloud>) -> Result<BTreeSet<String>> {
        self.route_tables.iter().map(|table| Ok(cx.observed(table)?.id.clone())).collect()
    }
}

/// What the names of the region's services begin with.
fn prefix(cloud: &Cloud) -> String {
    format!("com.amazonaws.{}.", cloud.names.region)
}

fn is_gone(object: &Object) -> bool {
    state(object) == "deleted"
}

/// AWS's documentation and its answers differ in the capital.
fn state(object: &Object) -> String {
    object.state().map_or("available", State::as_str).to_ascii_lowercase()
}

fn read(cloud: &Cloud, object: &Object) -> VpcEndpointObserved {
    let service = object.service_name().unwrap_or_default();
    VpcEndpointObserved {
        id: object.vpc_endpoint_id().unwrap_or_default().to_owned(),
        vpc: object.vpc_id().unwrap_or_default().to_owned(),
        service: service.strip_prefix(&prefix(cloud)).unwrap_or(service).to_owned(),
        route_tables: object.route_table_ids().iter().cloned().collect(),
        state: state(object),
        tags: from_ec2(object.tags()),
    }
}
