//! `vpc_endpoint`.

use super::*;

fn graph(stack: &Stack, service: &str, tables: &[&str]) -> Graph<Cloud> {
    let mut draft = Draft::new(stack);
    let vpc = draft.vpc("10.7.0.0/16");
    let all = [draft.table(&vpc, "a", &[], &[]), draft.table(&vpc, "b", &[], &[])];
    let chosen: Vec<&Ref<RouteTable>> =
        all.iter().filter(|table| tables.contains(&table.address().name.as_str())).collect();
    draft.endpoint(&vpc, service, &chosen);
    draft.graph
}

#[tokio::test]
async fn an_endpoint_lives_changes_and_goes() {
    let stack = stack("endpoints", &[]).await;
    stack.converge(&graph(&stack, "s3", &["a"])).await;
    let more = graph(&stack, "s3", &["a", "b"]);
    assert_eq!(stack.converge(&more).await, ["update vpc_endpoint/main route_tables"]);
    let fewer = graph(&stack, "s3", &["a"]);
    assert_eq!(stack.converge(&fewer).await, ["update vpc_endpoint/main route_tables"]);
    let another = graph(&stack, "dynamodb", &["a"]);
    assert_eq!(stack.converge(&another).await, ["delete vpc_endpoint/main", "create vpc_endpoint/main"]);
    stack.destroy().await;
}

#[tokio::test]
async fn an_endpoint_changed_by_hand_heals() {
    let stack = stack("endpoints", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let wanted = graph(&stack, "s3", &["a"]);
    stack.converge(&wanted).await;
    let id = find::<VpcEndpoint, _>(&stack, "main", |endpoint| endpoint.id.clone()).await;
    let (a, b) = (
        find::<RouteTable, _>(&stack, "a", |table| table.id.clone()).await,
        find::<RouteTable, _>(&stack, "b", |table| table.id.clone()).await,
    );

    ec2.modify_vpc_endpoint().vpc_endpoint_id(&id).add_route_table_ids(&b).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update vpc_endpoint/main route_tables"]);
    ec2.modify_vpc_endpoint().vpc_endpoint_id(&id).remove_route_table_ids(&a).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update vpc_endpoint/main route_tables"]);
    tag(&stack, &id, "costs", "nobody").await;
    assert_eq!(stack.converge(&wanted).await, ["update vpc_endpoint/main tags.costs"]);
    ec2.delete_vpc_endpoints().vpc_endpoint_ids(&id).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["create vpc_endpoint/main"]);
    stack.destroy().await;
}
