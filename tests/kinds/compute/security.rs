//! `emr_security_configuration`.

use std::sync::Arc;

use engine::Graph;
use infra::{cloud::Cloud, resources::EmrSecurityConfiguration};
use serde_json::{Value, json};

use super::heals;
use crate::support::world::{Stack, stack};

fn metadata(minimum: u32) -> Value {
    json!({ "InstanceMetadataServiceConfiguration": {
        "MinimumInstanceMetadataServiceVersion": minimum,
        "HttpPutResponseHopLimit": 1,
    }})
}

fn graph(stack: &Stack, configuration: Value) -> Graph<Cloud> {
    let mut graph = Graph::default();
    let name = EmrSecurityConfiguration::full_name(&stack.cloud.names, "nodes");
    graph.add("nodes", EmrSecurityConfiguration { name, configuration, after: Vec::new() });
    graph
}

async fn named_stack() -> Stack {
    let mut stack = stack("security", &[]).await;
    // Stock moto cannot list them.
    Arc::make_mut(&mut stack.cloud.names).security_configurations = vec!["nodes".into()];
    stack
}

#[tokio::test]
async fn a_configuration_lives_is_replaced_and_goes() {
    let stack = named_stack().await;
    assert_eq!(stack.converge(&graph(&stack, metadata(2))).await, ["create emr_security_configuration/nodes"]);
    let replaced = ["delete emr_security_configuration/nodes", "create emr_security_configuration/nodes"];
    heals(&stack, &graph(&stack, metadata(1)), &replaced).await;
    stack.destroy().await;
}

#[tokio::test]
async fn the_order_of_keys_says_nothing_and_a_hand_made_one_is_found() {
    let stack = named_stack().await;
    let text = r#"{ "InstanceMetadataServiceConfiguration": { "HttpPutResponseHopLimit": 1, "MinimumInstanceMetadataServiceVersion": 2 } }"#;
    let name = EmrSecurityConfiguration::full_name(&stack.cloud.names, "nodes");
    let request = stack.cloud.clients.emr.create_security_configuration().name(name).security_configuration(text);
    request.send().await.unwrap();
    assert!(stack.plan(&graph(&stack, metadata(2))).await.is_empty());
    stack.destroy().await;
}

#[tokio::test]
async fn another_stacks_is_not_ours_although_its_name_begins_alike() {
    let stack = named_stack().await;
    // The stack `STACK-more` has a configuration `nodes`.
    let name = format!("{}-more.nodes", stack.cloud.names.stack);
    let emr = &stack.cloud.clients.emr;
    let text = metadata(2).to_string();
    emr.create_security_configuration().name(&name).security_configuration(text).send().await.unwrap();
    assert!(stack.observe().await.is_empty());
    emr.delete_security_configuration().name(&name).send().await.unwrap();
}
