//! Finding the stack's hosts: one describe of instances and one of disks, at once.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use aws_sdk_ec2::types::{
    Filter, Instance as Object, InstanceAttributeName, InstanceMetadataOptionsResponse, InstanceStateName, Volume,
};
use engine::Result;
use futures::future::try_join_all;

use super::{DiskObserved, InstanceObserved};
use crate::cloud::{Cloud, CloudError, Explain, PROTECT_TAG, claimed_name, ec2_filter, from_ec2};

/// Every instance of the stack that is not gone, with the name that it claims within `kind`. EMR hands a cluster's tags
/// on to its nodes, whose address is another kind's.
pub(super) async fn instances(cloud: &Cloud, kind: &str) -> Result<Vec<(String, InstanceObserved)>> {
    let states = ["pending", "running", "stopping", "stopped", "shutting-down"].map(str::to_owned);
    let alive = Filter::builder().name("instance-state-name").set_values(Some(states.into())).build();
    let own = ec2_filter(&cloud.names.stack);
    let instances = cloud.clients.ec2.describe_instances().filters(own.clone()).filters(alive);
    let (reservations, volumes) = tokio::try_join!(
        async { instances.into_paginator().items().send().try_collect().await.explain("ec2:DescribeInstances") },
        async {
            let volumes = cloud.clients.ec2.describe_volumes().filters(own).into_paginator().items().send();
            volumes.try_collect().await.explain("ec2:DescribeVolumes")
        },
    )?;
    let objects = reservations.iter().flat_map(aws_sdk_ec2::types::Reservation::instances);
    let named = objects.filter_map(|object| Some((claimed_name(&from_ec2(object.tags()), kind)?, object)));
    let named: Vec<(String, &Object)> = named.collect();
    let volumes = by_id(volumes, named.iter().map(|(_, object)| *object), cloud).await?;
    let reads = named.into_iter().map(|(name, object)| {
        let volumes = &volumes;
        async move { anyhow::Ok((name, read(cloud, object, volumes).await?)) }
    });
    let mut found = try_join_all(reads).await?;
    // Live ones first: one that is shutting down does not compete with its successor for the address, and several that
    // are shutting down are as good as one.
    found.sort_by_key(|(_, one)| (!one.is_live(), one.id.clone()));
    let mut taken = BTreeSet::new();
    found.retain(|(name, one)| taken.insert(name.clone()) || one.is_live());
    Ok(found)
}

/// One instance, known by its id.
pub(super) async fn one(cloud: &Cloud, id: &str, kind: &str) -> Result<InstanceObserved> {
    let object = cloud.settle(&[], || describe(cloud, id)).await?;
    let object = object.with_context(|| format!("{id} of kind {kind} is not there any more"))?;
    let volumes = by_id(Vec::new(), std::iter::once(&object), cloud).await?;
    read(cloud, &object, &volumes).await
}

async fn describe(cloud: &Cloud, id: &str) -> Result<Option<Object>, CloudError> {
    let answer =
        cloud.clients.ec2.describe_instances().instance_ids(id).send().await.explain("ec2:DescribeInstances")?;
    let reservations = answer.reservations.unwrap_or_default().into_iter();
    Ok(reservations.flat_map(|reservation| reservation.instances.unwrap_or_default()).next())
}

/// An instance's state, and what AWS says of the reason.
pub(super) struct State {
    pub name: InstanceStateName,
    pub reason: String,
    pub has_address: bool,
}

/// The state; nothing where EC2 has forgotten the instance.
pub(super) async fn state(cloud: &Cloud, id: &str) -> Result<Option<State>> {
    let object = match describe(cloud, id).await {
        Err(error) if error.is_missing() => return Ok(None),
        object => object?,
    };
    Ok(object.and_then(|object| {
        Some(State {
            name: object.state()?.name()?.clone(),
            reason: object.state_reason().and_then(|reason| reason.message()).unwrap_or_default().to_owned(),
            has_address: object.private_ip_address().is_some(),
        })
    }))
}

/// The root disks by id. One whose tags were taken away was not among the stack's: it is asked for by its id.
async fn by_id(
    known: Vec<Volume>,
    objects: impl Iterator<Item = &Object>,
    cloud: &Cloud,
) -> Result<BTreeMap<String, Volume>> {
    let keyed = |volume: Volume| Some((volume.volume_id()?.to_owned(), volume));
    let mut volumes: BTreeMap<String, Volume> = known.into_iter().filter_map(keyed).collect();
    let roots = objects.filter_map(|object| root(object)).map(|(_, id, _)| id.to_owned());
    let missing: Vec<String> = roots.filter(|id| !volumes.contains_key(id)).collect();
    if !missing.is_empty() {
        // By filter, not by id: one that has gone meanwhile is no error then.
        let filter = Filter::builder().name("volume-id").set_values(Some(missing)).build();
        let pages = cloud.clients.ec2.describe_volumes().filters(filter).into_paginator().items().send();
        let found = pages.try_collect().await.explain("ec2:DescribeVolumes")?;
        volumes.extend(found.into_iter().filter_map(keyed));
    }
    Ok(volumes)
}

/// The root disk's device, id and whether it goes with its host.
fn root(object: &Object) -> Option<(&str, &str, bool)> {
    let device = object.root_device_name()?;
    let mapping = object.block_device_mappings().iter().find(|mapping| mapping.device_name() == Some(device))?;
    let ebs = mapping.ebs()?;
    Some((device, ebs.volume_id()?, ebs.delete_on_termination().unwrap_or(false)))
}

async fn read(cloud: &Cloud, object: &Object, volumes: &BTreeMap<String, Volume>) -> Result<InstanceObserved> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let id = text(object.instance_id());
    let tags = from_ec2(object.tags());
    // Whether it is protected takes a call a host: it is asked of those that are meant to be, which are few.
    let is_protected = tags.contains_key(PROTECT_TAG);
    let protect = if is_protected { Some(protection(cloud, &id).await?) } else { None };
    let options = object.metadata_options();
    let option = |of: fn(&InstanceMetadataOptionsResponse) -> Option<&str>| text(options.and_then(of));
    let profile = object.iam_instance_profile().and_then(|profile| profile.arn());
    let disk = root(object).and_then(|(device, id, delete_on_termination)| {
        let volume = volumes.get(id)?;
        Some(DiskObserved {
            id: id.to_owned(),
            device: device.to_owned(),
            gib: number(volume.size()).unwrap_or_default(),
            volume_type: text(volume.volume_type().map(aws_sdk_ec2::types::VolumeType::as_str)),
            iops: number(volume.iops()),
            throughput: number(volume.throughput()),
            encrypted: volume.encrypted().unwrap_or(false),
            delete_on_termination,
            tags: from_ec2(volume.tags()),
        })
    });
    Ok(InstanceObserved {
        id,
        state: text(object.state().and_then(|state| state.name()).map(InstanceStateName::as_str)),
        subnet: text(object.subnet_id()),
        groups: object.security_groups().iter().filter_map(|group| group.group_id()).map(str::to_owned).collect(),
        instance_type: text(object.instance_type().map(aws_sdk_ec2::types::InstanceType::as_str)),
        image: text(object.image_id()),
        disk,
        key: object.key_name().filter(|name| !name.is_empty()).map(str::to_owned),
        profile: profile.and_then(|arn| arn.rsplit('/').next()).map(str::to_owned),
        private_ip: object.private_ip_address().map(str::to_owned),
        public_ip: object.public_ip_address().filter(|ip| !ip.is_empty()).map(str::to_owned),
        http_tokens: option(|of| of.http_tokens().map(aws_sdk_ec2::types::HttpTokensState::as_str)),
        metadata_hops: options
            .and_then(InstanceMetadataOptionsResponse::http_put_response_hop_limit)
            .unwrap_or_default(),
        metadata_endpoint: option(|of| {
            of.http_endpoint().map(aws_sdk_ec2::types::InstanceMetadataEndpointState::as_str)
        }),
        protect,
        tags,
    })
}

async fn protection(cloud: &Cloud, id: &str) -> Result<bool> {
    let request = cloud.clients.ec2.describe_instance_attribute().instance_id(id);
    let request = request.attribute(InstanceAttributeName::DisableApiTermination);
    let answer = request.send().await.explain("ec2:DescribeInstanceAttribute")?;
    Ok(answer.disable_api_termination().and_then(aws_sdk_ec2::types::AttributeBooleanValue::value).unwrap_or(false))
}

fn number(value: Option<i32>) -> Option<u32> {
    value.and_then(|value| value.try_into().ok()).filter(|value| *value > 0)
}
