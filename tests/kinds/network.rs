//! The kinds of `resources/network`.

mod endpoints;
mod gateways;
mod groups;
mod route_tables;
mod rules;
mod vpcs;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_sdk_ec2::types::{Filter, IpPermission, IpRange, ResourceType, Tag, TagSpecification};
use engine::{Address, Graph, Ref, Resource};
use infra::{
    cloud::{Cloud, Tags, tag_specification},
    resources::{
        ElasticIp, InternetGateway, NatGateway, Peer, RouteTable, RouteTarget, Rule, SecurityGroup, SecurityGroupRules,
        Subnet, Vpc, VpcEndpoint,
    },
};

use crate::support::world::{Stack, stack};

/// A network being drawn; each method adds one resource.
struct Draft<'a> {
    stack: &'a Stack,
    graph: Graph<Cloud>,
    /// Tags on everything.
    more: &'a [(&'a str, &'a str)],
}

impl<'a> Draft<'a> {
    fn new(stack: &'a Stack) -> Self {
        Self { stack, graph: Graph::default(), more: &[] }
    }

    fn tags<R: Resource<Cloud>>(&self, name: &str) -> Tags {
        let mut tags = tags::<R>(self.stack, name);
        tags.extend(self.more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        tags
    }

    fn vpc(&mut self, cidr: &str) -> Ref<Vpc> {
        let tags = self.tags::<Vpc>("main");
        self.graph.add("main", Vpc { cidr: cidr.into(), tags })
    }

    fn subnet(&mut self, vpc: &Ref<Vpc>, name: &str, cidr: &str) -> Ref<Subnet> {
        let (vpc, cidr, tags) = (vpc.clone(), cidr.into(), self.tags::<Subnet>(name));
        self.graph.add(name, Subnet { vpc, cidr, zone: None, public_addresses: false, tags })
    }

    fn internet(&mut self, vpc: &Ref<Vpc>) -> Ref<InternetGateway> {
        let tags = self.tags::<InternetGateway>("main");
        self.graph.add("main", InternetGateway { vpc: vpc.clone(), tags })
    }

    fn address(&mut self, name: &str) -> Ref<ElasticIp> {
        let tags = self.tags::<ElasticIp>(name);
        self.graph.add(name, ElasticIp { tags })
    }

    fn nat(
        &mut self,
        subnet: &Ref<Subnet>,
        address: &Ref<ElasticIp>,
        internet: &Ref<InternetGateway>,
    ) -> Ref<NatGateway> {
        let (subnet, address, internet) = (subnet.clone(), address.clone(), internet.clone());
        let tags = self.tags::<NatGateway>("main");
        self.graph.add("main", NatGateway { subnet, address, internet, tags })
    }

    fn table(
        &mut self,
        vpc: &Ref<Vpc>,
        name: &str,
        routes: &[(&str, RouteTarget)],
        subnets: &[&Ref<Subnet>],
    ) -> Ref<RouteTable> {
        let routes: BTreeMap<String, RouteTarget> =
            routes.iter().map(|(range, target)| ((*range).to_owned(), target.clone())).collect();
        let subnets = subnets.iter().map(|subnet| (*subnet).clone()).collect();
        let tags = self.tags::<RouteTable>(name);
        self.graph.add(name, RouteTable { vpc: vpc.clone(), routes, subnets, tags })
    }

    fn endpoint(&mut self, vpc: &Ref<Vpc>, service: &str, tables: &[&Ref<RouteTable>]) -> Ref<VpcEndpoint> {
        let route_tables = tables.iter().map(|table| (*table).clone()).collect();
        let tags = self.tags::<VpcEndpoint>("main");
        self.graph.add("main", VpcEndpoint { vpc: vpc.clone(), service: service.into(), route_tables, tags })
    }

    fn group(&mut self, vpc: &Ref<Vpc>, name: &str) -> Ref<SecurityGroup> {
        let tags = self.tags::<SecurityGroup>(name);
        self.graph.add(name, SecurityGroup { vpc: vpc.clone(), description: format!("what {name} is for"), tags })
    }

    fn rules(&mut self, group: &Ref<SecurityGroup>, ingress: &[Rule], egress: &[Rule]) {
        self.rules_beside(group, ingress, egress, false);
    }

    fn rules_beside(&mut self, group: &Ref<SecurityGroup>, ingress: &[Rule], egress: &[Rule], shared_with_emr: bool) {
        let (ingress, egress): (BTreeSet<Rule>, BTreeSet<Rule>) =
            (ingress.iter().cloned().collect(), egress.iter().cloned().collect());
        let rules = SecurityGroupRules { group: group.clone(), ingress, egress, shared_with_emr };
        self.graph.add(group.address().name.clone(), rules);
    }
}

fn tags<R: Resource<Cloud>>(stack: &Stack, name: &str) -> Tags {
    stack.cloud.tags(&Address::new(R::KIND, name))
}

/// The tags for a create call by hand: those that the stack's own would have.
fn tagged<R: Resource<Cloud>>(stack: &Stack, of: ResourceType, name: &str) -> TagSpecification {
    tag_specification(of, &tags::<R>(stack, name))
}

fn tcp(port: i32, peer: Peer) -> Rule {
    Rule { protocol: "tcp".into(), ports: (port, port), peer, description: None }
}

fn range(text: &str) -> Peer {
    Peer::Range(text.into())
}

fn permission(port: i32, range: &str) -> IpPermission {
    let builder = IpPermission::builder().ip_protocol("tcp").from_port(port).to_port(port);
    builder.ip_ranges(IpRange::builder().cidr_ip(range).build()).build()
}

/// The stack's object as it is now.
async fn find<R: Resource<Cloud>, T>(stack: &Stack, name: &str, pick: impl Fn(&R::Observed) -> T) -> T {
    let known = stack.observe().await;
    pick(known.find::<Cloud, R>(name).unwrap_or_else(|| panic!("{}/{name} is not there: {known:?}", R::KIND)))
}

/// Tags an object as a user of the console would.
async fn tag(stack: &Stack, id: &str, key: &str, value: &str) {
    let tag = Tag::builder().key(key).value(value).build();
    stack.cloud.clients.ec2.create_tags().resources(id).tags(tag).send().await.unwrap();
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// The public and the private subnet of the nyc311 stack with everything between, as `infra` will draw it.
fn platform(draft: &mut Draft<'_>, range_start: &str) {
    let vpc = draft.vpc(&format!("{range_start}.0.0/16"));
    let internet = draft.internet(&vpc);
    let public = draft.subnet(&vpc, "public", &format!("{range_start}.0.0/24"));
    let private = draft.subnet(&vpc, "private", &format!("{range_start}.1.0/24"));
    let address = draft.address("nat");
    let nat = draft.nat(&public, &address, &internet);
    let out = draft.table(&vpc, "public", &[("0.0.0.0/0", RouteTarget::Internet(internet))], &[&public]);
    let inner = draft.table(&vpc, "private", &[("0.0.0.0/0", RouteTarget::Nat(nat))], &[&private]);
    draft.endpoint(&vpc, "s3", &[&out, &inner]);
    let bastion = draft.group(&vpc, "bastion");
    let hosts = draft.group(&vpc, "hosts");
    let anywhere = Rule { protocol: "-1".into(), ports: (-1, -1), peer: range("0.0.0.0/0"), description: None };
    draft.rules(&bastion, &[tcp(22, range("198.51.100.0/24"))], &[tcp(22, Peer::Group(hosts.clone()))]);
    draft.rules(&hosts, &[tcp(22, Peer::Group(bastion))], &[anywhere]);
}

#[tokio::test]
async fn a_whole_network_lives_is_retagged_and_goes() {
    let stack = stack("network", &[]).await;
    let mut draft = Draft::new(&stack);
    platform(&mut draft, "10.7");
    let done = stack.converge(&draft.graph).await;
    assert!(done.iter().all(|line| line.starts_with("create ")), "{done:#?}");
    assert_eq!(done.len(), draft.graph.len());

    let mut owned = Draft { more: &[("owner", "ada")], ..Draft::new(&stack) };
    platform(&mut owned, "10.7");
    let done = stack.converge(&owned.graph).await;
    assert!(done.iter().all(|line| line.starts_with("update ") && line.ends_with(" tags.owner")), "{done:#?}");
    assert_eq!(done.len(), draft.graph.len() - 2, "rules have no tags");

    let mut moved = Draft::new(&stack);
    let vpc = moved.vpc("10.8.0.0/16");
    moved.internet(&vpc);
    let done = stack.converge(&moved.graph).await;
    assert_eq!(done[..2], ["delete vpc/main", "create vpc/main"]);
    stack.destroy().await;
}

#[tokio::test]
async fn strict_a_network_moves_to_another_range_as_a_whole() {
    // Not on stock moto: on stock moto no address goes with its NAT gateway, so the next one cannot have it.
    let stack = stack("network", &[]).await;
    let mut first = Draft::new(&stack);
    platform(&mut first, "10.7");
    stack.converge(&first.graph).await;
    let mut second = Draft::new(&stack);
    platform(&mut second, "10.8");
    let done = stack.converge(&second.graph).await;
    assert_eq!(done.len(), 2 * (second.graph.len() - 1), "all but the address is replaced: {done:#?}");
    stack.destroy().await;
}

/// Drops an apply after `after`: what AWS was asked for by then happens, its answers are lost.
async fn interrupted(stack: &Stack, desired: &Graph<Cloud>, after: Duration) {
    let _ = tokio::time::timeout(after, stack.apply(desired)).await;
    // What is on its way arrives.
    tokio::time::sleep(Duration::from_millis(500)).await;
}

#[tokio::test]
async fn an_interrupted_apply_or_destroy_is_finished_by_the_next() {
    for after in [200, 350, 500, 700, 1000, 1500] {
        let stack = stack("network", &[]).await;
        let mut draft = Draft::new(&stack);
        platform(&mut draft, "10.7");
        interrupted(&stack, &draft.graph, Duration::from_millis(after)).await;
        stack.converge(&draft.graph).await;
        interrupted(&stack, &Graph::default(), Duration::from_millis(after)).await;
        stack.destroy().await;
    }
}
