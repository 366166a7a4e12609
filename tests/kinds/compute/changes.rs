//! instance: changed by hand, and half made.

use aws_sdk_ec2::types::{
    AttributeValue, HttpTokensState, InstanceMetadataEndpointState, InstanceType, ResourceType, Tag,
};
use engine::Graph;
use infra::{
    cloud::{STACK_TAG, tag_specification},
    resources::{Instance, Subnet},
};

use super::{find, ground, heals, hosts::with_bastion, tags};
use crate::support::world::{Stack, lines, stack};

async fn host(stack: &Stack) -> (String, String) {
    find::<Instance, _>(stack, "bastion", |host| (host.id.clone(), host.disk.as_ref().unwrap().id.clone())).await
}

async fn stopped(stack: &Stack, id: &str) {
    stack.cloud.clients.ec2.stop_instances().instance_ids(id).send().await.unwrap();
    while find::<Instance, _>(stack, "bastion", |host| host.state != "stopped").await {
        tokio::time::sleep(stack.cloud.pace.poll).await;
    }
}

#[tokio::test]
async fn a_change_by_hand_is_one_field_and_is_healed() {
    let stack = stack("hand", &[]).await;
    let plain = with_bastion(&stack, |_, _| {});
    stack.converge(&plain).await;
    let (id, volume) = host(&stack).await;
    let ec2 = &stack.cloud.clients.ec2;
    let heals = async |field: &str| heals(&stack, &plain, &[&format!("update instance/bastion {field}")]).await;
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();

    ec2.create_tags().resources(&id).tags(tag("owner", "eve")).send().await.unwrap();
    heals("tags.owner").await;
    ec2.create_tags().resources(&volume).tags(tag("project", "other")).send().await.unwrap();
    heals("disk.tags.project").await;
    let gone = Tag::builder().key(STACK_TAG).build();
    ec2.delete_tags().resources(&volume).tags(gone).send().await.unwrap();
    heals(&format!("disk.tags.{STACK_TAG}")).await;

    let options = || ec2.modify_instance_metadata_options().instance_id(&id);
    let (required, on) = (HttpTokensState::Required, InstanceMetadataEndpointState::Enabled);
    let request = options().http_tokens(HttpTokensState::Optional).http_endpoint(on.clone());
    request.http_put_response_hop_limit(1).send().await.unwrap();
    heals("http_tokens").await;
    let request = options().http_tokens(required.clone()).http_endpoint(on);
    request.http_put_response_hop_limit(2).send().await.unwrap();
    heals("metadata_hops").await;
    let request = options().http_tokens(required).http_put_response_hop_limit(1);
    request.http_endpoint(InstanceMetadataEndpointState::Disabled).send().await.unwrap();
    heals("metadata_endpoint").await;

    ec2.modify_volume().volume_id(&volume).iops(3500).send().await.unwrap();
    heals("disk.iops").await;
    stopped(&stack, &id).await;
    heals("state").await;
    stopped(&stack, &id).await;
    let other = AttributeValue::builder().value("t3.small").build();
    ec2.modify_instance_attribute().instance_id(&id).instance_type(other).send().await.unwrap();
    ec2.start_instances().instance_ids(&id).send().await.unwrap();
    while find::<Instance, _>(&stack, "bastion", |host| host.state != "running").await {
        tokio::time::sleep(stack.cloud.pace.poll).await;
    }
    heals("instance_type").await;

    ec2.terminate_instances().instance_ids(&id).send().await.unwrap();
    let done = stack.converge(&plain).await;
    assert_eq!(done.last().map(String::as_str), Some("create instance/bastion"));
    stack.destroy().await;
}

#[tokio::test]
async fn strict_a_group_taken_away_by_hand_comes_back() {
    let stack = stack("hand", &[]).await;
    let both = with_bastion(&stack, |host, ground| host.groups = ground.groups.to_vec());
    stack.converge(&both).await;
    let (id, _) = host(&stack).await;
    let group = find::<infra::resources::SecurityGroup, _>(&stack, "a", |group| group.id.clone()).await;
    stack.cloud.clients.ec2.modify_instance_attribute().instance_id(&id).groups(group).send().await.unwrap();
    heals(&stack, &both, &["update instance/bastion groups"]).await;
    stack.destroy().await;
}

#[tokio::test]
async fn an_interrupted_launch_is_found_and_finished() {
    let stack = stack("half", &[]).await;
    let plain = with_bastion(&stack, |_, _| {});
    stack.converge(&ground(&stack).graph).await;
    let subnet = find::<Subnet, _>(&stack, "public", |subnet| subnet.id.clone()).await;
    let image = stack.cloud.clients.ec2.describe_images().owners("099720109477").send().await.unwrap();
    // Another group, another metadata setting, no disk tags: as if RunInstances had been an older `infra`'s.
    let request = stack.cloud.clients.ec2.run_instances().min_count(1).max_count(1).subnet_id(subnet);
    let request = request.instance_type(InstanceType::T2Micro).image_id(image.images()[0].image_id().unwrap());
    let own = tag_specification(ResourceType::Instance, &tags::<Instance>(&stack, "bastion"));
    request.tag_specifications(own).send().await.unwrap();

    let plan = lines(&stack.plan(&plain).await);
    assert_eq!(plan, ["delete instance/bastion", "create instance/bastion"], "its disk is not encrypted");
    stack.converge(&plain).await;
    stack.destroy().await;
}

#[tokio::test]
async fn an_interrupted_change_of_type_is_finished() {
    let stack = stack("half", &[]).await;
    stack.converge(&with_bastion(&stack, |_, _| {})).await;
    let (id, _) = host(&stack).await;
    // Killed after the stop.
    stopped(&stack, &id).await;
    let larger = with_bastion(&stack, |host, _| host.instance_type = "t3.small".into());
    heals(&stack, &larger, &["update instance/bastion state instance_type"]).await;
    // Killed after the change.
    stopped(&stack, &id).await;
    heals(&stack, &larger, &["update instance/bastion state"]).await;
    find::<Instance, _>(&stack, "bastion", |host| assert_eq!((&host.id, host.state.as_str()), (&id, "running"))).await;
    stack.destroy().await;
}

#[tokio::test]
async fn an_interrupted_delete_is_waited_for() {
    let stack = stack("half", &[]).await;
    stack.converge(&with_bastion(&stack, |_, _| {})).await;
    let (id, _) = host(&stack).await;
    stack.cloud.clients.ec2.terminate_instances().instance_ids(&id).send().await.unwrap();
    // On a cloud where this takes time the subnet cannot go before its host has gone.
    stack.converge(&Graph::default()).await;
    assert!(stack.observe().await.is_empty());
}
