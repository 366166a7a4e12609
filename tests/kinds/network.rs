//! vpc, subnet.

use engine::{Address, Graph};
use infra::{
    cloud::Cloud,
    resources::{Subnet, Vpc},
};

use crate::support::world::{Stack, stack};

/// A VPC with one subnet, and what can change about them.
struct Wanted {
    cidr: &'static str,
    public_addresses: bool,
    owner: Option<&'static str>,
}

fn graph(stack: &Stack, wanted: &Wanted) -> Graph<Cloud> {
    let mut graph = Graph::default();
    let tags = |kind, name: &str| {
        let mut tags = stack.cloud.tags(&Address::new(kind, name));
        tags.extend(wanted.owner.map(|owner| ("owner".to_owned(), owner.to_owned())));
        tags
    };
    let vpc = graph.add("main", Vpc { cidr: "10.7.0.0/16".into(), tags: tags("vpc", "main") });
    graph.add(
        "a",
        Subnet {
            vpc,
            cidr: wanted.cidr.into(),
            zone: None,
            public_addresses: wanted.public_addresses,
            tags: tags("subnet", "a"),
        },
    );
    graph
}

#[tokio::test]
async fn a_vpc_and_its_subnet_live_change_and_go() {
    let stack = stack("network", &[]).await;
    let first = Wanted { cidr: "10.7.0.0/24", public_addresses: false, owner: None };
    assert_eq!(stack.converge(&graph(&stack, &first)).await, ["create vpc/main", "create subnet/a"]);

    let changed = Wanted { public_addresses: true, owner: Some("ada"), ..first };
    let done = stack.converge(&graph(&stack, &changed)).await;
    assert_eq!(done, ["update vpc/main tags.owner", "update subnet/a public_addresses tags.owner"]);

    let moved = Wanted { cidr: "10.7.1.0/24", ..changed };
    assert_eq!(stack.converge(&graph(&stack, &moved)).await, ["delete subnet/a", "create subnet/a"]);
    stack.destroy().await;
}
