//! `route_table`.

use super::*;

/// Two subnets and two tables; what each table holds is up to the test.
struct Wanted {
    /// The subnets that follow `out`; the others follow `inner`.
    out: &'static [&'static str],
    inner: &'static [&'static str],
    /// The ranges that `out` routes to the internet.
    ranges: &'static [&'static str],
}

const FIRST: Wanted = Wanted { out: &["a"], inner: &["b"], ranges: &["0.0.0.0/0"] };

fn graph(stack: &Stack, Wanted { out, inner, ranges }: &Wanted) -> Graph<Cloud> {
    let mut draft = Draft::new(stack);
    let vpc = draft.vpc("10.7.0.0/16");
    let internet = draft.internet(&vpc);
    let a = draft.subnet(&vpc, "a", "10.7.0.0/24");
    let b = draft.subnet(&vpc, "b", "10.7.1.0/24");
    let pick = |names: &[&str]| -> Vec<Ref<Subnet>> {
        [&a, &b].into_iter().filter(|one| names.contains(&one.address().name.as_str())).cloned().collect()
    };
    let routes: Vec<(&str, RouteTarget)> =
        ranges.iter().map(|range| (*range, RouteTarget::Internet(internet.clone()))).collect();
    draft.table(&vpc, "out", &routes, &pick(out).iter().collect::<Vec<_>>());
    draft.table(&vpc, "inner", &[], &pick(inner).iter().collect::<Vec<_>>());
    draft.graph
}

#[tokio::test]
async fn routes_and_subnets_change_in_place() {
    let stack = stack("tables", &[]).await;
    stack.converge(&graph(&stack, &FIRST)).await;

    let more = Wanted { ranges: &["0.0.0.0/0", "198.51.100.7/24"], ..FIRST };
    assert_eq!(stack.converge(&graph(&stack, &more)).await, ["update route_table/out routes.198.51.100.0/24"]);
    let fewer = Wanted { ranges: &["198.51.100.0/24"], ..FIRST };
    assert_eq!(stack.converge(&graph(&stack, &fewer)).await, ["update route_table/out routes.0.0.0.0/0"]);

    let swapped = Wanted { out: &["b"], inner: &["a"], ..fewer };
    let done = stack.converge(&graph(&stack, &swapped)).await;
    assert_eq!(done, ["update route_table/out subnets", "update route_table/inner subnets"]);
    let none = Wanted { out: &[], inner: &["a", "b"], ..swapped };
    let done = stack.converge(&graph(&stack, &none)).await;
    assert_eq!(done, ["update route_table/out subnets", "update route_table/inner subnets"]);
    let neither = Wanted { inner: &[], ..none };
    assert_eq!(stack.converge(&graph(&stack, &neither)).await, ["update route_table/inner subnets"]);
    stack.destroy().await;
}

#[tokio::test]
async fn routes_changed_by_hand_heal() {
    let stack = stack("tables", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let wanted = graph(&stack, &FIRST);
    stack.converge(&wanted).await;
    let table = find::<RouteTable, _>(&stack, "out", |table| table.id.clone()).await;
    let internet = find::<InternetGateway, _>(&stack, "main", |gateway| gateway.id.clone()).await;

    let add = |range: &str| ec2.create_route().route_table_id(&table).destination_cidr_block(range);
    add("203.0.113.0/24").gateway_id(&internet).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update route_table/out routes.203.0.113.0/24"]);

    ec2.delete_route().route_table_id(&table).destination_cidr_block("0.0.0.0/0").send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update route_table/out routes.0.0.0.0/0"]);

    let subnet = find::<Subnet, _>(&stack, "a", |subnet| subnet.id.clone()).await;
    let interface = ec2.create_network_interface().subnet_id(&subnet).send().await.unwrap();
    let interface = interface.network_interface.unwrap().network_interface_id.unwrap();
    let request = ec2.replace_route().route_table_id(&table).destination_cidr_block("0.0.0.0/0");
    request.network_interface_id(&interface).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update route_table/out routes.0.0.0.0/0"]);
    ec2.delete_network_interface().network_interface_id(&interface).send().await.unwrap();

    tag(&stack, &table, "costs", "nobody").await;
    assert_eq!(stack.converge(&wanted).await, ["update route_table/out tags.costs"]);
    stack.destroy().await;
}

#[tokio::test]
async fn subnets_moved_by_hand_come_back() {
    let stack = stack("tables", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let wanted = graph(&stack, &FIRST);
    stack.converge(&wanted).await;
    let association = || find::<RouteTable, _>(&stack, "out", |table| table.subnets.values().next().unwrap().clone());
    let inner = find::<RouteTable, _>(&stack, "inner", |table| table.id.clone()).await;

    // To another of the stack's tables: it is missing here and too much there.
    let request = ec2.replace_route_table_association().association_id(association().await);
    request.route_table_id(&inner).send().await.unwrap();
    let done = stack.converge(&wanted).await;
    assert_eq!(done, ["update route_table/out subnets", "update route_table/inner subnets"]);

    // To a table that is not the stack's.
    let vpc = find::<Vpc, _>(&stack, "main", |vpc| vpc.id.clone()).await;
    let foreign = ec2.create_route_table().vpc_id(&vpc).send().await.unwrap();
    let foreign = foreign.route_table.unwrap().route_table_id.unwrap();
    let request = ec2.replace_route_table_association().association_id(association().await);
    request.route_table_id(&foreign).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update route_table/out subnets"]);
    ec2.delete_route_table().route_table_id(&foreign).send().await.unwrap();

    // To the VPC's main table.
    ec2.disassociate_route_table().association_id(association().await).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update route_table/out subnets"]);
    stack.destroy().await;
}

#[tokio::test]
async fn a_table_without_its_routes_and_subnets_is_finished() {
    let stack = stack("tables", &[]).await;
    let mut draft = Draft::new(&stack);
    let vpc = draft.vpc("10.7.0.0/16");
    draft.internet(&vpc);
    stack.converge(&draft.graph).await;
    let vpc = find::<Vpc, _>(&stack, "main", |vpc| vpc.id.clone()).await;
    let request = stack.cloud.clients.ec2.create_route_table().vpc_id(vpc);
    let tags = tagged::<RouteTable>(&stack, ResourceType::RouteTable, "out");
    request.tag_specifications(tags).send().await.unwrap();
    let done = stack.converge(&graph(&stack, &FIRST)).await;
    assert!(done.contains(&"update route_table/out routes.0.0.0.0/0 subnets".to_owned()), "{done:?}");
    stack.destroy().await;
}

#[tokio::test]
async fn a_renamed_table_takes_its_predecessors_subnets() {
    let stack = stack("tables", &[]).await;
    stack.converge(&graph(&stack, &FIRST)).await;
    let mut draft = Draft::new(&stack);
    let vpc = draft.vpc("10.7.0.0/16");
    let internet = draft.internet(&vpc);
    let a = draft.subnet(&vpc, "a", "10.7.0.0/24");
    let b = draft.subnet(&vpc, "b", "10.7.1.0/24");
    draft.table(&vpc, "renamed", &[("0.0.0.0/0", RouteTarget::Internet(internet))], &[&a]);
    draft.table(&vpc, "inner", &[], &[&b]);
    assert_eq!(stack.converge(&draft.graph).await, ["create route_table/renamed", "delete route_table/out"]);
    stack.destroy().await;
}

#[tokio::test]
async fn a_route_follows_its_nat_gateway_when_that_is_replaced() {
    let stack = stack("tables", &[]).await;
    // Stock moto lets no address go with its NAT gateway.
    let is_strict = !crate::support::world::is_stock();
    let graph = |place: &str| {
        let mut draft = Draft::new(&stack);
        let vpc = draft.vpc("10.7.0.0/16");
        let internet = draft.internet(&vpc);
        let subnet = draft.subnet(&vpc, "a", "10.7.0.0/24");
        let other = draft.subnet(&vpc, "b", "10.7.1.0/24");
        let (address, spare) = (draft.address("nat"), draft.address("spare"));
        let nat = if place == "a" {
            draft.nat(&subnet, &address, &internet)
        } else {
            draft.nat(&other, if is_strict { &address } else { &spare }, &internet)
        };
        draft.table(&vpc, "out", &[("0.0.0.0/0", RouteTarget::Nat(nat))], &[]);
        draft.graph
    };
    stack.converge(&graph("a")).await;
    let done = stack.converge(&graph("b")).await;
    let expected = ["delete nat_gateway/main", "create nat_gateway/main", "update route_table/out routes.0.0.0.0/0"];
    assert_eq!(done, expected);
    stack.destroy().await;
}
