//! `internet_gateway`, `elastic_ip`, `nat_gateway`.

use aws_sdk_ec2::types::{DomainType, NatGatewayState};

use super::*;

#[tokio::test]
async fn an_internet_gateway_is_attached_again() {
    let stack = stack("gateways", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let mut draft = Draft::new(&stack);
    let vpc = draft.vpc("10.7.0.0/16");
    draft.internet(&vpc);
    assert_eq!(stack.converge(&draft.graph).await, ["create vpc/main", "create internet_gateway/main"]);

    let (id, vpc) = find::<InternetGateway, _>(&stack, "main", |one| (one.id.clone(), one.vpc.clone().unwrap())).await;
    ec2.detach_internet_gateway().internet_gateway_id(&id).vpc_id(&vpc).send().await.unwrap();
    assert_eq!(stack.converge(&draft.graph).await, ["update internet_gateway/main vpc"]);
    tag(&stack, &id, "costs", "nobody").await;
    assert_eq!(stack.converge(&draft.graph).await, ["update internet_gateway/main tags.costs"]);

    ec2.detach_internet_gateway().internet_gateway_id(&id).vpc_id(&vpc).send().await.unwrap();
    ec2.delete_internet_gateway().internet_gateway_id(&id).send().await.unwrap();
    assert_eq!(stack.converge(&draft.graph).await, ["create internet_gateway/main"]);
    stack.destroy().await;
}

#[tokio::test]
async fn an_internet_gateway_that_was_never_attached_is_finished_or_goes() {
    let stack = stack("gateways", &[]).await;
    let half_made = || async {
        let request = stack.cloud.clients.ec2.create_internet_gateway();
        let tags = tagged::<InternetGateway>(&stack, ResourceType::InternetGateway, "main");
        request.tag_specifications(tags).send().await.unwrap();
    };
    let mut draft = Draft::new(&stack);
    let vpc = draft.vpc("10.7.0.0/16");
    draft.internet(&vpc);
    half_made().await;
    assert_eq!(stack.converge(&draft.graph).await, ["create vpc/main", "update internet_gateway/main vpc"]);
    stack.destroy().await;
    half_made().await;
    stack.destroy().await;
}

#[tokio::test]
async fn an_address_stays_until_it_is_not_wanted() {
    let stack = stack("gateways", &[]).await;
    let mut draft = Draft::new(&stack);
    draft.address("nat");
    assert_eq!(stack.converge(&draft.graph).await, ["create elastic_ip/nat"]);
    let (id, public) = find::<ElasticIp, _>(&stack, "nat", |one| (one.id.clone(), one.public_ip.clone())).await;
    let outputs = stack.observe().await.item(&Address::new("elastic_ip", "nat")).unwrap().outputs();
    assert_eq!(outputs, [("public_ip", public)]);

    tag(&stack, &id, "project", "another").await;
    assert_eq!(stack.converge(&draft.graph).await, ["update elastic_ip/nat tags.project"]);
    stack.cloud.clients.ec2.release_address().allocation_id(&id).send().await.unwrap();
    assert_eq!(stack.converge(&draft.graph).await, ["create elastic_ip/nat"]);
    stack.destroy().await;
}

/// A NAT gateway in the one or the other subnet, with the one or the other address.
fn with_nat(stack: &Stack, subnet: &str, address: &str) -> Graph<Cloud> {
    let mut draft = Draft::new(stack);
    let vpc = draft.vpc("10.7.0.0/16");
    let internet = draft.internet(&vpc);
    let (a, b) = (draft.subnet(&vpc, "a", "10.7.0.0/24"), draft.subnet(&vpc, "b", "10.7.1.0/24"));
    let (nat, spare) = (draft.address("nat"), draft.address("spare"));
    draft.nat(if subnet == "a" { &a } else { &b }, if address == "nat" { &nat } else { &spare }, &internet);
    draft.graph
}

#[tokio::test]
async fn a_nat_gateway_moves_by_being_replaced() {
    let stack = stack("gateways", &[]).await;
    // Stock moto lets no address go with its NAT gateway.
    let address = if crate::support::world::is_stock() { "spare" } else { "nat" };
    let (first, moved) = (with_nat(&stack, "a", "nat"), with_nat(&stack, "b", address));
    stack.converge(&first).await;
    let id = find::<NatGateway, _>(&stack, "main", |nat| nat.id.clone()).await;
    tag(&stack, &id, "costs", "nobody").await;
    assert_eq!(stack.converge(&first).await, ["update nat_gateway/main tags.costs"]);
    assert_eq!(stack.converge(&moved).await, ["delete nat_gateway/main", "create nat_gateway/main"]);
    let public = find::<ElasticIp, _>(&stack, address, |address| address.public_ip.clone()).await;
    assert_eq!(find::<NatGateway, _>(&stack, "main", |nat| nat.public_ip.clone()).await, public);
    stack.destroy().await;
}

#[tokio::test]
async fn strict_a_renamed_internet_gateway_takes_the_nat_gateway_along() {
    // Not on stock moto: on stock moto no address goes with its NAT gateway, so the next one cannot have it.
    let stack = stack("gateways", &[]).await;
    stack.converge(&with_nat(&stack, "a", "nat")).await;
    let mut draft = Draft::new(&stack);
    let vpc = draft.vpc("10.7.0.0/16");
    let tags = draft.tags::<InternetGateway>("renamed");
    let internet = draft.graph.add("renamed", InternetGateway { vpc: vpc.clone(), tags });
    let subnet = draft.subnet(&vpc, "a", "10.7.0.0/24");
    let address = draft.address("nat");
    draft.nat(&subnet, &address, &internet);
    let done = stack.converge(&draft.graph).await;
    assert!(done.contains(&"delete nat_gateway/main".to_owned()), "{done:?}");
    stack.destroy().await;
}

#[tokio::test]
async fn a_nat_gateway_that_is_being_deleted_is_waited_for() {
    let stack = stack("gateways", &[]).await;
    let wanted = with_nat(&stack, "a", "nat");
    stack.converge(&wanted).await;
    let by_hand = || async {
        let id = find::<NatGateway, _>(&stack, "main", |nat| nat.id.clone()).await;
        stack.cloud.clients.ec2.delete_nat_gateway().nat_gateway_id(&id).send().await.unwrap();
        if crate::support::world::is_stock() {
            // Stock moto leaves its interface, with the address, where it was.
            let address = find::<ElasticIp, _>(&stack, "nat", |address| address.association.clone()).await;
            let request = stack.cloud.clients.ec2.disassociate_address();
            request.set_association_id(address).send().await.unwrap();
        }
    };
    by_hand().await;
    let done = stack.converge(&wanted).await;
    assert_eq!(done.last().unwrap(), "create nat_gateway/main");
    assert!(done.len() == 1 || done[0] == "delete nat_gateway/main", "{done:?}");
    // Where an interrupted destroy left off: neither subnet nor address is free yet.
    by_hand().await;
    stack.destroy().await;
}

/// Everything that a NAT gateway needs, and that one made by hand with the stack's tags; returns its id.
async fn nat_by_hand(stack: &Stack, attached: bool) -> String {
    let ec2 = &stack.cloud.clients.ec2;
    let mut draft = Draft::new(stack);
    let vpc = draft.vpc("10.7.0.0/16");
    draft.subnet(&vpc, "a", "10.7.0.0/24");
    draft.address("nat");
    if attached {
        draft.internet(&vpc);
    }
    stack.converge(&draft.graph).await;
    let address = find::<ElasticIp, _>(stack, "nat", |address| address.id.clone()).await;
    let request = ec2.create_nat_gateway().allocation_id(address);
    let request = request.subnet_id(find::<Subnet, _>(stack, "a", |subnet| subnet.id.clone()).await);
    let request = request.tag_specifications(tagged::<NatGateway>(stack, ResourceType::Natgateway, "main"));
    request.send().await.unwrap().nat_gateway.unwrap().nat_gateway_id.unwrap()
}

#[tokio::test]
async fn a_nat_gateway_that_an_interrupted_run_left_pending_is_waited_for() {
    let stack = stack("gateways", &[]).await;
    let id = nat_by_hand(&stack, true).await;
    // At instant speed it is there already.
    let done = stack.converge(&with_nat(&stack, "a", "nat")).await;
    let rest: Vec<&String> = done.iter().filter(|line| line.contains("nat_gateway")).collect();
    assert!(rest.is_empty() || rest == ["update nat_gateway/main state"], "{done:?}");
    let now = find::<NatGateway, _>(&stack, "main", |nat| (nat.id.clone(), nat.state.clone())).await;
    assert_eq!(now, (id, "available".to_owned()));
    stack.destroy().await;
}

#[tokio::test]
async fn strict_a_nat_gateway_that_failed_is_replaced_or_goes() {
    // Not on stock moto: on stock moto no NAT gateway fails.
    let stack = stack("gateways", &[]).await;
    let failed = || async {
        let id = nat_by_hand(&stack, false).await;
        for _ in 0..200 {
            let answer = stack.cloud.clients.ec2.describe_nat_gateways().nat_gateway_ids(&id).send().await.unwrap();
            if answer.nat_gateways()[0].state() == Some(&NatGatewayState::Failed) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{id} does not fail");
    };
    failed().await;
    let done = stack.converge(&with_nat(&stack, "a", "nat")).await;
    let nat: Vec<&String> = done.iter().filter(|line| line.contains("nat_gateway")).collect();
    assert_eq!(nat, ["delete nat_gateway/main", "create nat_gateway/main"]);
    stack.destroy().await;
    failed().await;
    stack.destroy().await;
}

#[tokio::test]
async fn two_addresses_of_one_name_are_an_error_that_names_both() {
    let stack = stack("gateways", &[]).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = stack.cloud.clients.ec2.allocate_address().domain(DomainType::Vpc);
        let tags = tagged::<ElasticIp>(&stack, ResourceType::ElasticIp, "nat");
        ids.push(request.tag_specifications(tags).send().await.unwrap().allocation_id.unwrap());
    }
    let error = engine::observe(&infra::resources::REGISTRY, &stack.cloud).await.unwrap_err().to_string();
    assert!(ids.iter().all(|id| error.contains(id)), "{error}");
    stack.cloud.clients.ec2.release_address().allocation_id(&ids[0]).send().await.unwrap();
    stack.destroy().await;
}
