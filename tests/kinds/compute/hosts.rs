//! instance: its life, and every field of it.

use aws_sdk_ec2::types::KeyType;
use engine::Graph;
use infra::{
    cloud::{Cloud, PROTECT_TAG},
    resources::{DiskSpec, ImageChoice, Instance},
};

use super::{GROUND, Ground, find, ground, heals, tags};
use crate::support::world::{Stack, lines, stack};

/// A host like the bastion of the nyc311 stack.
pub(super) fn bastion(stack: &Stack, ground: &Ground) -> Instance {
    let name = "ubuntu/images/hvm-ssd/ubuntu-*-amd64-server-*".into();
    Instance {
        subnet: ground.subnet.clone(),
        groups: vec![ground.groups[0].clone()],
        instance_type: "t2.micro".into(),
        image: ImageChoice::Newest { owner: "099720109477".into(), name },
        disk: DiskSpec { gib: 8, iops: 3000, throughput: 125 },
        key: None,
        profile: None,
        elastic_ip: None,
        private_address: None,
        user_data: Some("#cloud-config\n".into()),
        protect: false,
        after: Vec::new(),
        tags: tags::<Instance>(stack, "bastion"),
    }
}

/// The ground with one host, `change`d.
pub(super) fn with_bastion(stack: &Stack, change: impl FnOnce(&mut Instance, &Ground)) -> Graph<Cloud> {
    let mut ground = ground(stack);
    let mut host = bastion(stack, &ground);
    change(&mut host, &ground);
    ground.graph.add("bastion", host);
    ground.graph
}

#[tokio::test]
async fn a_host_lives_and_goes() {
    let stack = stack("host", &[]).await;
    let plain = with_bastion(&stack, |_, _| {});
    assert_eq!(stack.converge(&plain).await.len(), GROUND + 1);
    find::<Instance, _>(&stack, "bastion", |host| {
        assert_eq!(host.state, "running");
        assert!(host.public_ip.is_some() && host.private_ip.is_some(), "{host:?}");
        let disk = host.disk.as_ref().unwrap();
        assert!(disk.encrypted && disk.delete_on_termination && disk.volume_type == "gp3", "{disk:?}");
        assert_eq!(disk.tags.get("infra:address").map(String::as_str), Some("instance/bastion"));
    })
    .await;
    let outputs: Vec<&str> =
        stack.observe().await.items().flat_map(|(_, item)| item.outputs()).map(|of| of.0).collect();
    assert!(["id", "public_ip", "private_ip"].iter().all(|name| outputs.contains(name)), "{outputs:?}");

    let told = stack.plan(&with_bastion(&stack, |host, _| host.user_data = None)).await;
    assert!(told.is_empty(), "other user data is no reason to touch a host: {told:?}");
    let other = |host: &mut Instance, _: &Ground| {
        host.image = ImageChoice::Newest { owner: "099720109477".into(), name: "ubuntu/something/else".into() };
    };
    let other = with_bastion(&stack, other);
    assert_eq!(lines(&stack.plan(&other).await), ["delete instance/bastion", "create instance/bastion"]);
    // One that does not know what it was asked to boot from has nothing to compare.
    let id = find::<Instance, _>(&stack, "bastion", |host| host.id.clone()).await;
    let tag = aws_sdk_ec2::types::Tag::builder().key("infra:image").build();
    stack.cloud.clients.ec2.delete_tags().resources(id).tags(tag).send().await.unwrap();
    let unknown = stack.plan(&other).await;
    assert!(unknown.is_empty(), "{unknown:?}");
    stack.destroy().await;
}

#[tokio::test]
async fn what_can_change_in_place_does() {
    let stack = stack("host", &[]).await;
    stack.converge(&with_bastion(&stack, |_, _| {})).await;
    let id = find::<Instance, _>(&stack, "bastion", |host| host.id.clone()).await;

    let larger = with_bastion(&stack, |host, _| host.instance_type = "t3.small".into());
    heals(&stack, &larger, &["update instance/bastion instance_type"]).await;
    let grown = with_bastion(&stack, |host, _| {
        host.instance_type = "t3.small".into();
        host.disk = DiskSpec { gib: 12, iops: 4000, throughput: 200 };
        host.tags.insert("owner".into(), "ada".into());
    });
    let fields = if crate::support::world::is_stock() {
        // Stock moto forgets the throughput at birth, so that it cannot be compared.
        "disk.gib disk.iops disk.tags.owner tags.owner"
    } else {
        "disk.gib disk.iops disk.throughput disk.tags.owner tags.owner"
    };
    heals(&stack, &grown, &[&format!("update instance/bastion {fields}")]).await;

    find::<Instance, _>(&stack, "bastion", |host| assert_eq!(host.id, id, "it is the same host")).await;
    let shrunk = with_bastion(&stack, |host, _| host.instance_type = "t3.small".into());
    heals(&stack, &shrunk, &["delete instance/bastion", "create instance/bastion"]).await;
    stack.destroy().await;
}

#[tokio::test]
async fn strict_groups_change_in_place() {
    let stack = stack("host", &[]).await;
    let plain = with_bastion(&stack, |_, _| {});
    stack.converge(&plain).await;
    let both = with_bastion(&stack, |host, ground| host.groups = ground.groups.to_vec());
    heals(&stack, &both, &["update instance/bastion groups"]).await;
    heals(&stack, &plain, &["update instance/bastion groups"]).await;
    stack.destroy().await;
}

#[tokio::test]
async fn what_is_fixed_at_birth_makes_another_host() {
    let stack = stack("host", &[]).await;
    let key = format!("{}-hand", stack.cloud.names.stack);
    let ec2 = &stack.cloud.clients.ec2;
    ec2.create_key_pair().key_name(&key).key_type(KeyType::Ed25519).send().await.unwrap();
    stack.converge(&with_bastion(&stack, |_, _| {})).await;
    let replaced = ["delete instance/bastion", "create instance/bastion"];

    let keyed = with_bastion(&stack, |host, _| host.key = Some(key.clone()));
    heals(&stack, &keyed, &replaced).await;
    let addressed = with_bastion(&stack, |host, _| {
        host.key = Some(key.clone());
        host.private_address = Some("10.7.0.77".into());
    });
    heals(&stack, &addressed, &replaced).await;
    let (image, ip) =
        find::<Instance, _>(&stack, "bastion", |host| (host.image.clone(), host.private_ip.clone())).await;
    assert_eq!(ip.as_deref(), Some("10.7.0.77"));
    let pinned = with_bastion(&stack, |host, _| {
        host.key = Some(key.clone());
        host.image = ImageChoice::Id(image.clone());
    });
    assert!(stack.plan(&pinned).await.is_empty(), "the image that it has, and an address that nobody asked for");
    stack.destroy().await;
    ec2.delete_key_pair().key_name(&key).send().await.unwrap();
}

#[tokio::test]
async fn protection_holds_until_it_is_lifted_in_the_spec() {
    let stack = stack("host", &[]).await;
    let plain = with_bastion(&stack, |_, _| {});
    let protected = with_bastion(&stack, |host, _| host.protect = true);
    stack.converge(&protected).await;
    let id = find::<Instance, _>(&stack, "bastion", |host| host.id.clone()).await;

    let refused = stack.plan(&Graph::default()).await.refused;
    assert!(refused.iter().any(|refusal| refusal.id == id), "{refused:?}");
    // By hand: the attribute without the tag, then the tag without the attribute.
    let ec2 = &stack.cloud.clients.ec2;
    let off = aws_sdk_ec2::types::AttributeBooleanValue::builder().value(false).build();
    ec2.modify_instance_attribute().instance_id(&id).disable_api_termination(off).send().await.unwrap();
    heals(&stack, &protected, &["update instance/bastion protect"]).await;
    let tag = aws_sdk_ec2::types::Tag::builder().key(PROTECT_TAG).build();
    ec2.delete_tags().resources(&id).tags(tag).send().await.unwrap();
    heals(&stack, &protected, &[&format!("update instance/bastion tags.{PROTECT_TAG}")]).await;

    heals(&stack, &plain, &[&format!("update instance/bastion protect tags.{PROTECT_TAG}")]).await;
    stack.destroy().await;
}

#[tokio::test]
async fn a_profile_comes_changes_and_goes() {
    let stack = stack("host", &[]).await;
    let iam = &stack.cloud.clients.iam;
    let profiles = ["one", "two"].map(|name| stack.cloud.names.unique(name));
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    for name in &profiles {
        iam.create_role().role_name(name).assume_role_policy_document(trust).send().await.unwrap();
        iam.create_instance_profile().instance_profile_name(name).send().await.unwrap();
        iam.add_role_to_instance_profile().instance_profile_name(name).role_name(name).send().await.unwrap();
    }
    let of = |profile: Option<&String>| with_bastion(&stack, |host, _| host.profile = profile.cloned());
    stack.converge(&of(Some(&profiles[0]))).await;
    let update = ["update instance/bastion profile"];
    // Another one takes its place; moto shows that in the association but not in the instance.
    let other = of(Some(&profiles[1]));
    let (plan, outcome) = stack.apply(&other).await;
    assert!(lines(&plan) == update && outcome.is_complete(), "{plan:?} {:?}", outcome.failed);
    let associations = stack.cloud.clients.ec2.describe_iam_instance_profile_associations();
    let id = find::<Instance, _>(&stack, "bastion", |host| host.id.clone()).await;
    let filter = aws_sdk_ec2::types::Filter::builder().name("instance-id").values(id).build();
    let answer = associations.filters(filter).send().await.unwrap();
    let arns: Vec<&str> =
        answer.iam_instance_profile_associations().iter().filter_map(|of| of.iam_instance_profile()?.arn()).collect();
    assert!(arns.len() == 1 && arns[0].ends_with(&profiles[1]), "{arns:?}");

    heals(&stack, &of(None), &update).await;
    heals(&stack, &of(Some(&profiles[0])), &update).await;
    stack.destroy().await;
    for name in &profiles {
        iam.remove_role_from_instance_profile().instance_profile_name(name).role_name(name).send().await.unwrap();
        iam.delete_instance_profile().instance_profile_name(name).send().await.unwrap();
        iam.delete_role().role_name(name).send().await.unwrap();
    }
}
