//! The kinds of `resources/compute`.

mod changes;
mod clusters;
mod fleets;
mod hosts;
mod security;

use std::collections::{BTreeMap, BTreeSet};

use engine::{Address, Graph, Ref, Resource};
use infra::{
    cloud::{Cloud, Tags},
    resources::{InternetGateway, Peer, RouteTable, RouteTarget, Rule, SecurityGroup, SecurityGroupRules, Subnet, Vpc},
};

use crate::support::world::{Stack, lines};

/// A public subnet with two groups, which every test of the room stands on.
struct Ground {
    graph: Graph<Cloud>,
    subnet: Ref<Subnet>,
    /// The subnet's way out.
    routes: Address,
    /// Two more groups, `a` and `b`.
    groups: [Ref<SecurityGroup>; 2],
}

/// How many resources the ground is.
const GROUND: usize = 8;

fn ground(stack: &Stack) -> Ground {
    let mut graph = Graph::default();
    let vpc = graph.add("main", Vpc { cidr: "10.7.0.0/16".into(), tags: tags::<Vpc>(stack, "main") });
    let internet = InternetGateway { vpc: vpc.clone(), tags: tags::<InternetGateway>(stack, "main") };
    let internet = graph.add("main", internet);
    let subnet = Subnet {
        vpc: vpc.clone(),
        cidr: "10.7.0.0/24".into(),
        zone: None,
        public_addresses: true,
        tags: tags::<Subnet>(stack, "public"),
    };
    let subnet = graph.add("public", subnet);
    let table = RouteTable {
        vpc: vpc.clone(),
        routes: BTreeMap::from([("0.0.0.0/0".to_owned(), RouteTarget::Internet(internet))]),
        subnets: vec![subnet.clone()],
        tags: tags::<RouteTable>(stack, "public"),
    };
    let routes = graph.add("public", table).address().clone();
    let groups = ["a", "b"].map(|name| {
        let (description, tags) = (format!("group {name}"), tags::<SecurityGroup>(stack, name));
        let group = graph.add(name, SecurityGroup { vpc: vpc.clone(), description, tags });
        let anywhere = Peer::Range("0.0.0.0/0".into());
        let out = Rule { protocol: "-1".into(), ports: (-1, -1), peer: anywhere, description: None };
        let rules = SecurityGroupRules {
            group: group.clone(),
            ingress: BTreeSet::new(),
            egress: BTreeSet::from([out]),
            shared_with_emr: true,
        };
        graph.add(name, rules);
        group
    });
    Ground { graph, subnet, routes, groups }
}

fn tags<R: Resource<Cloud>>(stack: &Stack, name: &str) -> Tags {
    stack.cloud.tags(&Address::new(R::KIND, name))
}

/// The stack's object as it is now.
async fn find<R: Resource<Cloud>, T>(stack: &Stack, name: &str, pick: impl Fn(&R::Observed) -> T) -> T {
    let known = stack.observe().await;
    pick(known.find::<Cloud, R>(name).unwrap_or_else(|| panic!("{}/{name} is not there: {known:?}", R::KIND)))
}

/// Insists that the plan is exactly `expected`, applies it, and insists that a second one is empty.
async fn heals(stack: &Stack, desired: &Graph<Cloud>, expected: &[&str]) {
    assert_eq!(lines(&stack.plan(desired).await), expected);
    assert_eq!(stack.converge(desired).await, expected);
}
