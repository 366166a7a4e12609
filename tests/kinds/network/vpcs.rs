//! vpc, subnet.

use aws_sdk_ec2::types::AttributeBooleanValue;

use super::*;

/// A VPC with one subnet, and what can change about them.
struct Wanted {
    cidr: &'static str,
    public_addresses: bool,
    owner: Option<&'static str>,
}

fn graph(stack: &Stack, wanted: &Wanted) -> Graph<Cloud> {
    let mut draft = Draft::new(stack);
    let owner: Vec<(&str, &str)> = wanted.owner.iter().map(|owner| ("owner", *owner)).collect();
    draft.more = &owner;
    let vpc = draft.vpc("10.7.0.0/16");
    let tags = draft.tags::<Subnet>("a");
    let Draft { mut graph, .. } = draft;
    let (cidr, public_addresses) = (wanted.cidr.into(), wanted.public_addresses);
    graph.add("a", Subnet { vpc, cidr, zone: None, public_addresses, tags });
    graph
}

#[tokio::test]
async fn a_vpc_and_its_subnet_live_change_and_go() {
    let stack = stack("vpcs", &[]).await;
    let first = Wanted { cidr: "10.7.0.0/24", public_addresses: false, owner: None };
    assert_eq!(stack.converge(&graph(&stack, &first)).await, ["create vpc/main", "create subnet/a"]);

    let changed = Wanted { public_addresses: true, owner: Some("ada"), ..first };
    let done = stack.converge(&graph(&stack, &changed)).await;
    assert_eq!(done, ["update vpc/main tags.owner", "update subnet/a public_addresses tags.owner"]);

    let moved = Wanted { cidr: "10.7.1.0/24", ..changed };
    assert_eq!(stack.converge(&graph(&stack, &moved)).await, ["delete subnet/a", "create subnet/a"]);
    stack.destroy().await;
}

#[tokio::test]
async fn what_is_changed_by_hand_is_one_field_and_heals() {
    let stack = stack("vpcs", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let wanted = graph(&stack, &Wanted { cidr: "10.7.0.0/24", public_addresses: false, owner: None });
    stack.converge(&wanted).await;
    let vpc = find::<Vpc, _>(&stack, "main", |vpc| vpc.id.clone()).await;
    let subnet = find::<Subnet, _>(&stack, "a", |subnet| subnet.id.clone()).await;
    let set = |value| AttributeBooleanValue::builder().value(value).build();

    ec2.modify_vpc_attribute().vpc_id(&vpc).enable_dns_hostnames(set(false)).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update vpc/main dns_hostnames"]);

    ec2.modify_vpc_attribute().vpc_id(&vpc).enable_dns_support(set(false)).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update vpc/main dns_support"]);

    let groups = ec2.describe_security_groups().filters(filter("vpc-id", &vpc)).send().await.unwrap();
    let group = groups.security_groups()[0].group_id().unwrap().to_owned();
    let request = ec2.authorize_security_group_ingress().group_id(&group);
    request.ip_permissions(permission(22, "0.0.0.0/0")).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update vpc/main default_group_empty"]);
    let request = ec2.authorize_security_group_egress().group_id(&group);
    request.ip_permissions(permission(443, "0.0.0.0/0")).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update vpc/main default_group_empty"]);

    tag(&stack, &vpc, "costs", "nobody").await;
    assert_eq!(stack.converge(&wanted).await, ["update vpc/main tags.costs"]);
    tag(&stack, &vpc, "project", "another").await;
    assert_eq!(stack.converge(&wanted).await, ["update vpc/main tags.project"]);
    tag(&stack, &subnet, "costs", "nobody").await;
    assert_eq!(stack.converge(&wanted).await, ["update subnet/a tags.costs"]);

    let request = ec2.modify_subnet_attribute().subnet_id(&subnet);
    request.map_public_ip_on_launch(set(true)).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update subnet/a public_addresses"]);

    ec2.delete_subnet().subnet_id(&subnet).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["create subnet/a"]);
    stack.destroy().await;
}

#[tokio::test]
async fn a_half_made_vpc_is_finished() {
    let stack = stack("vpcs", &[]).await;
    let request = stack.cloud.clients.ec2.create_vpc().cidr_block("10.7.0.0/16");
    request.tag_specifications(tagged::<Vpc>(&stack, ResourceType::Vpc, "main")).send().await.unwrap();
    let mut draft = Draft::new(&stack);
    draft.vpc("10.7.0.0/16");
    assert_eq!(stack.converge(&draft.graph).await, ["update vpc/main dns_hostnames default_group_empty"]);
    stack.destroy().await;
}
