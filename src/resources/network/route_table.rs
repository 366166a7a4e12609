//! Where a subnet's traffic goes. Routes and the subnets that follow them are fields.
//!
//! AWS's own routes are nobody's drift: the VPC's `local` one and those that a gateway endpoint keeps. A route whose
//! target is gone (a blackhole) is.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::bail;
use aws_sdk_ec2::types::{
    ResourceType, Route, RouteOrigin, RouteState, RouteTable as Object, RouteTableAssociation,
    RouteTableAssociationStateCode,
};
use engine::{Address, Diff, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;

use super::{InternetGateway, NatGateway, Subnet, Vpc, canonical_range, filter};
use crate::cloud::{
    Answered, Cloud, CloudError, Explain, Tags, claimed_name, ec2_filter, from_ec2, gone_is_ok, tag_specification,
};
use crate::resources::tagging;

/// A route table.
#[derive(Clone, Debug, Serialize)]
pub struct RouteTable {
    /// The VPC.
    pub vpc: Ref<Vpc>,
    /// By the range that they lead to, in CIDR notation.
    pub routes: BTreeMap<String, RouteTarget>,
    /// The subnets whose traffic follows the routes.
    pub subnets: Vec<Ref<Subnet>>,
    /// What it is tagged with.
    pub tags: Tags,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteTarget {
    /// To and from the internet.
    Internet(Ref<InternetGateway>),
    /// Out to the internet.
    Nat(Ref<NatGateway>),
}

/// What AWS reports of a route table.
#[derive(Clone, Debug, Serialize)]
pub struct RouteTableObserved {
    /// `rtb-…`.
    pub id: String,
    /// The VPC's id.
    pub vpc: String,
    /// The target's id by destination; said to be a blackhole where it is one.
    pub routes: BTreeMap<String, String>,
    /// The association's id by the subnet's.
    pub subnets: BTreeMap<String, String>,
    /// The tags.
    pub tags: Tags,
}

impl Resource<Cloud> for RouteTable {
    const KIND: &'static str = "route_table";
    const LAYER: &'static str = "network";
    const AFTER: &'static [&'static str] = &["vpc", "subnet", "internet_gateway", "nat_gateway"];
    const TYPICAL_SECONDS: u32 = 3;
    type Observed = RouteTableObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { vpc, routes, subnets, tags: _ } = self;
        let targets = routes.values().map(RouteTarget::address);
        std::iter::once(vpc.address()).chain(targets).chain(subnets.iter().map(Ref::address)).collect()
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, RouteTableObserved)>> {
        let request = cloud.clients.ec2.describe_route_tables().filters(ec2_filter(&cloud.names.stack));
        let found: Vec<Object> =
            request.into_paginator().items().send().try_collect().await.explain("ec2:DescribeRouteTables")?;
        let named = found.iter().map(read);
        Ok(named.filter_map(|table| Some((claimed_name(&table.tags, Self::KIND)?, table))).collect())
    }

    fn id(observed: &RouteTableObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &RouteTableObserved, known: &Inventory) -> Diff {
        let Self { vpc, routes, subnets, tags } = self;
        let mut diff = Diff::default();
        let wanted_routes = routes.iter().map(|(range, target)| (canonical_range(range), target.known(known)));
        let wanted_subnets = subnets.iter().map(|subnet| {
            known.get(subnet).map_or_else(|| subnet.address().to_string(), |observed| observed.id.clone())
        });
        diff.fixed_link("vpc", &observed.vpc, known.get(vpc).map(|vpc| vpc.id.as_str()), vpc)
            .map("routes", &observed.routes, &wanted_routes.collect())
            .set("subnets", &observed.subnets.keys().cloned().collect(), &wanted_subnets.collect())
            .map("tags", &observed.tags, tags);
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<RouteTableObserved> {
        let (cloud, vpc) = (cx.world, cx.observed(&self.vpc)?);
        let request = cloud.clients.ec2.create_route_table().vpc_id(&vpc.id).client_token(cx.token());
        let request = request.tag_specifications(tag_specification(ResourceType::RouteTable, &self.tags));
        let send = || async { request.clone().send().await.explain("ec2:CreateRouteTable") };
        let object = cloud.settle(&[], send).await?.route_table.answered("ec2:CreateRouteTable")?;
        let born = read(&object);
        let mut missing = Diff::default();
        missing.field("routes", &born.routes.len(), &self.routes.len());
        missing.field("subnets", &born.subnets.len(), &self.subnets.len());
        self.update(&born, &missing, cx).await
    }

    async fn update(
        &self,
        observed: &RouteTableObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<RouteTableObserved> {
        let mut after = observed.clone();
        if diff.touches("routes") {
            let routes = self.routes.iter().map(|(range, target)| Ok((canonical_range(range), target.id(cx)?)));
            after.routes = routes.collect::<Result<_>>()?;
            bring_routes(cx.world, observed, &after.routes).await?;
        }
        if diff.touches("subnets") {
            let subnets = self.subnets.iter().map(|subnet| Ok(cx.observed(subnet)?.id.clone()));
            after.subnets = bring_subnets(cx.world, observed, subnets.collect::<Result<_>>()?).await?;
        }
        tagging::ec2(cx.world, &observed.id, diff, &self.tags).await?;
        Ok(RouteTableObserved { tags: self.tags.clone(), ..after })
    }

    async fn delete(observed: &RouteTableObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        for association in observed.subnets.values() {
            disassociate(cx.world, association).await?;
        }
        let request = cx.world.clients.ec2.delete_route_table().route_table_id(&observed.id);
        let send = || async { gone_is_ok(request.clone().send().await.explain("ec2:DeleteRouteTable")) };
        Ok(cx.world.settle(&["DependencyViolation"], send).await?)
    }
}

impl RouteTarget {
    fn address(&self) -> &Address {
        match self {
            Self::Internet(gateway) => gateway.address(),
            Self::Nat(gateway) => gateway.address(),
        }
    }

    /// The target's id; its address while it does not exist.
    fn known(&self, known: &Inventory) -> String {
        let id = match self {
            Self::Internet(gateway) => known.get(gateway).map(|gateway| gateway.id.clone()),
            Self::Nat(gateway) => known.get(gateway).map(|gateway| gateway.id.clone()),
        };
        id.unwrap_or_else(|| self.address().to_string())
    }

    fn id(&self, cx: &StepContext<'_, Cloud>) -> Result<String> {
        Ok(match self {
            Self::Internet(gateway) => cx.observed(gateway)?.id.clone(),
            Self::Nat(gateway) => cx.observed(gateway)?.id.clone(),
        })
    }
}

/// Makes the table's routes `wanted`: what is missing or leads elsewhere first, then what is too many.
async fn bring_routes(cloud: &Cloud, table: &RouteTableObserved, wanted: &BTreeMap<String, String>) -> Result<()> {
    for (range, target) in wanted {
        match table.routes.get(range) {
            Some(current) if current == target => {}
            Some(_) => replace_route(cloud, &table.id, range, target).await?,
            None => match create_route(cloud, &table.id, range, target).await {
                Err(error) if error.is(&["RouteAlreadyExists"]) => {
                    replace_route(cloud, &table.id, range, target).await?;
                }
                result => result?,
            },
        }
    }
    for range in table.routes.keys().filter(|range| !wanted.contains_key(*range)) {
        let [v4, v6, list] = destination(range);
        let request = cloud.clients.ec2.delete_route().route_table_id(&table.id).set_destination_cidr_block(v4);
        let request = request.set_destination_ipv6_cidr_block(v6).set_destination_prefix_list_id(list);
        gone_is_ok(request.send().await.explain("ec2:DeleteRoute"))?;
    }
    Ok(())
}

async fn create_route(cloud: &Cloud, table: &str, range: &str, target: &str) -> Result<(), CloudError> {
    let ([v4, v6, list], [nat, gateway]) = (destination(range), gateways(target));
    let request = cloud.clients.ec2.create_route().route_table_id(table).set_destination_cidr_block(v4);
    let request = request.set_destination_ipv6_cidr_block(v6).set_destination_prefix_list_id(list);
    let request = request.set_nat_gateway_id(nat).set_gateway_id(gateway);
    let send = || async { request.clone().send().await.explain("ec2:CreateRoute") };
    cloud.settle(&[], send).await.map(drop)
}

async fn replace_route(cloud: &Cloud, table: &str, range: &str, target: &str) -> Result<(), CloudError> {
    let ([v4, v6, list], [nat, gateway]) = (destination(range), gateways(target));
    let request = cloud.clients.ec2.replace_route().route_table_id(table).set_destination_cidr_block(v4);
    let request = request.set_destination_ipv6_cidr_block(v6).set_destination_prefix_list_id(list);
    let request = request.set_nat_gateway_id(nat).set_gateway_id(gateway);
    let send = || async { request.clone().send().await.explain("ec2:ReplaceRoute") };
    cloud.settle(&[], send).await.map(drop)
}

/// In which of the three parameters a destination goes: IPv4 range, IPv6 range, prefix list.
fn destination(text: &str) -> [Option<String>; 3] {
    let text = text.to_owned();
    if text.starts_with("pl-") {
        [None, None, Some(text)]
    } else if text.contains(':') {
        [None, Some(text), None]
    } else {
        [Some(text), None, None]
    }
}

/// In which of the two parameters a target goes: NAT gateway, internet gateway.
fn gateways(target: &str) -> [Option<String>; 2] {
    if target.starts_with("nat-") { [Some(target.to_owned()), None] } else { [None, Some(target.to_owned())] }
}

/// Makes the table's subnets `wanted`; returns the associations by subnet.
async fn bring_subnets(
    cloud: &Cloud,
    table: &RouteTableObserved,
    wanted: BTreeSet<String>,
) -> Result<BTreeMap<String, String>> {
    let mut after = BTreeMap::new();
    for subnet in wanted {
        let association = match table.subnets.get(&subnet) {
            Some(association) => association.clone(),
            None => associate(cloud, &table.id, &subnet).await?,
        };
        after.insert(subnet, association);
    }
    for (_, association) in table.subnets.iter().filter(|(subnet, _)| !after.contains_key(*subnet)) {
        disassociate(cloud, association).await?;
    }
    Ok(after)
}

/// Associates a subnet, which may follow another table: AWS refuses to associate it then, and has a call that moves it
/// without a moment in between. That other table's own step may let go of it at the same time, so this looks again.
async fn associate(cloud: &Cloud, table: &str, subnet: &str) -> Result<String> {
    for _ in 0..5 {
        let request = cloud.clients.ec2.describe_route_tables().filters(filter("association.subnet-id", [subnet]));
        let answer = request.send().await.explain("ec2:DescribeRouteTables")?;
        let all = answer.route_tables().iter().flat_map(Object::associations);
        let current = all.filter(|association| association.subnet_id() == Some(subnet)).find(|one| holds(one));
        let id = current.and_then(RouteTableAssociation::route_table_association_id);
        let moved = match id {
            Some(id) if current.and_then(RouteTableAssociation::route_table_id) == Some(table) => {
                return Ok(id.to_owned());
            }
            Some(id) => {
                let request = cloud.clients.ec2.replace_route_table_association().association_id(id);
                let answer = request.route_table_id(table).send().await.explain("ec2:ReplaceRouteTableAssociation");
                answer.map(|answer| answer.new_association_id)
            }
            None => {
                let request = cloud.clients.ec2.associate_route_table().route_table_id(table).subnet_id(subnet);
                let send = || async { request.clone().send().await.explain("ec2:AssociateRouteTable") };
                cloud.settle(&[], send).await.map(|answer| answer.association_id)
            }
        };
        match moved {
            Ok(association) => return Ok(association.answered("ec2:AssociateRouteTable")?),
            Err(error) if error.is_missing() || error.is(&["Resource.AlreadyAssociated"]) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(cloud.pace.poll).await;
    }
    bail!("{subnet} keeps being moved between route tables while it is to follow {table}")
}

async fn disassociate(cloud: &Cloud, association: &str) -> Result<(), CloudError> {
    let request = cloud.clients.ec2.disassociate_route_table().association_id(association);
    gone_is_ok(request.send().await.explain("ec2:DisassociateRouteTable"))
}

/// False for an association that is going or gone.
fn holds(association: &RouteTableAssociation) -> bool {
    use RouteTableAssociationStateCode::{Disassociated, Disassociating, Failed};
    let state = association.association_state().and_then(|state| state.state());
    !matches!(state, Some(Disassociated | Disassociating | Failed))
}

/// The route's destination and target, unless AWS keeps the route itself.
fn read_route(route: &Route) -> Option<(String, String)> {
    let keeps_itself = [RouteOrigin::CreateRouteTable, RouteOrigin::EnableVgwRoutePropagation];
    if route.origin().is_some_and(|origin| keeps_itself.contains(origin)) {
        return None;
    }
    let destination =
        route.destination_cidr_block().or(route.destination_ipv6_cidr_block()).or(route.destination_prefix_list_id());
    let target = route
        .gateway_id()
        .or(route.nat_gateway_id())
        .or(route.instance_id())
        .or(route.network_interface_id())
        .or(route.transit_gateway_id())
        .or(route.vpc_peering_connection_id())
        .or(route.egress_only_internet_gateway_id())
        .or(route.carrier_gateway_id())
        .or(route.local_gateway_id())
        .or(route.core_network_arn())
        .unwrap_or("nothing");
    if target.starts_with("vpce-") {
        return None;
    }
    let blackhole = if route.state() == Some(&RouteState::Blackhole) { " (blackhole)" } else { "" };
    Some((destination?.to_owned(), format!("{target}{blackhole}")))
}

fn read(object: &Object) -> RouteTableObserved {
    let associations = object.associations().iter().filter(|association| holds(association));
    RouteTableObserved {
        id: object.route_table_id().unwrap_or_default().to_owned(),
        vpc: object.vpc_id().unwrap_or_default().to_owned(),
        routes: object.routes().iter().filter_map(read_route).collect(),
        subnets: associations
            .filter_map(|one| Some((one.subnet_id.clone()?, one.route_table_association_id.clone()?)))
            .collect(),
        tags: from_ec2(object.tags()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_keeps_itself_is_not_read_and_a_blackhole_is_told() {
        let route = |origin| Route::builder().origin(origin).state(RouteState::Active);
        let local = route(RouteOrigin::CreateRouteTable).destination_cidr_block("10.0.0.0/16").gateway_id("local");
        let learnt = route(RouteOrigin::EnableVgwRoutePropagation).destination_cidr_block("10.1.0.0/16");
        let list = || route(RouteOrigin::CreateRoute).destination_prefix_list_id("pl-7");
        let nat = route(RouteOrigin::CreateRoute).destination_cidr_block("0.0.0.0/0").nat_gateway_id("nat-1");
        for unread in [local.build(), learnt.gateway_id("vgw-1").build(), list().gateway_id("vpce-1").build()] {
            assert_eq!(read_route(&unread), None);
        }
        let read = |route: Route| read_route(&route).unwrap();
        assert_eq!(read(list().transit_gateway_id("tgw-1").build()), ("pl-7".into(), "tgw-1".into()));
        assert_eq!(read(nat.clone().build()), ("0.0.0.0/0".into(), "nat-1".into()));
        let blackhole = nat.state(RouteState::Blackhole).build();
        assert_eq!(read(blackhole), ("0.0.0.0/0".into(), "nat-1 (blackhole)".into()));
    }
}
