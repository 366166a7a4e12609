//! The VPC, its subnets and the ways out of it.

use std::collections::BTreeMap;

use super::{Stack, origin};
use crate::{
    resources::{ElasticIp, InternetGateway, NatGateway, RouteTable, RouteTarget, Subnet, Vpc, VpcEndpoint},
    spec::{Endpoint, Route},
};

/// Everywhere.
const WORLD: &str = "0.0.0.0/0";

impl Stack<'_> {
    pub(super) fn network(&mut self) {
        let Some(network) = &self.spec.network else { return };
        let at = || origin(&network.span);
        let vpc = Vpc { cidr: network.cidr.to_string(), tags: self.tags::<Vpc>("main") };
        let vpc = self.graph.add_at(at(), "main", vpc);
        self.vpc = Some(vpc.clone());

        for (name, subnet) in &network.subnets {
            let resource = Subnet {
                vpc: vpc.clone(),
                cidr: subnet.cidr.to_string(),
                zone: subnet.zone.as_ref().map(|zone| zone.value.clone()),
                public_addresses: *subnet.route == Route::Internet,
                tags: self.tags::<Subnet>(name),
            };
            let link = self.graph.add_at(origin(&subnet.span), name, resource);
            self.subnets.insert(name.clone(), link);
        }

        let gateway = network.needs_internet_gateway().then(|| {
            let resource = InternetGateway { vpc: vpc.clone(), tags: self.tags::<InternetGateway>("main") };
            self.graph.add_at(at(), "main", resource)
        });
        self.internet = gateway.as_ref().map(|gateway| gateway.address().clone());
        let nat = network.nat_subnet().zip(gateway.clone()).map(|(subnet, internet)| {
            let address = ElasticIp { tags: self.tags::<ElasticIp>("nat") };
            let address = self.graph.add_at(at(), "nat", address);
            let tags = self.tags::<NatGateway>("main");
            let resource = NatGateway { subnet: self.subnets[subnet].clone(), address, internet, tags };
            self.graph.add_at(at(), "main", resource)
        });

        // One table for each way out that some subnet takes.
        let mut tables = Vec::new();
        for (route, name) in [(Route::Internet, "internet"), (Route::Nat, "nat"), (Route::None, "none")] {
            let taking = network.subnets.iter().filter(|(_, subnet)| *subnet.route == route);
            let subnets: Vec<_> = taking.map(|(name, _)| self.subnets[name].clone()).collect();
            if subnets.is_empty() {
                continue;
            }
            let target = match route {
                Route::Internet => gateway.clone().map(RouteTarget::Internet),
                Route::Nat => nat.clone().map(RouteTarget::Nat),
                Route::None => None,
            };
            let routes: BTreeMap<_, _> = target.into_iter().map(|target| (WORLD.to_owned(), target)).collect();
            let table = RouteTable { vpc: vpc.clone(), routes, subnets, tags: self.tags::<RouteTable>(name) };
            tables.push(self.graph.add_at(at(), name, table));
        }

        for endpoint in &network.endpoints {
            let Endpoint::S3 = endpoint.value;
            let resource = VpcEndpoint {
                vpc: vpc.clone(),
                service: "s3".into(),
                route_tables: tables.clone(),
                tags: self.tags::<VpcEndpoint>("s3"),
            };
            self.graph.add_at(origin(&endpoint.span), "s3", resource);
        }
    }
}
