//! Making a host, and waiting for the states it passes through.

use std::time::Duration;

use anyhow::{Context, bail};
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, Filter, HttpTokensState, IamInstanceProfileSpecification, Image,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceStateName, InstanceType, ResourceType,
    VolumeType,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use engine::{Result, StepContext};

use super::{DiskSpec, ImageChoice, Instance, METADATA_HOPS, read};
use crate::cloud::{Answered, Cloud, CloudError, Explain, tag_specification};

/// Starting and stopping take a minute at most, some types' several.
const DEADLINE: Duration = Duration::from_mins(10);

/// Asks for the host; returns its id. The same token again is answered with the same host.
pub(super) async fn launch(instance: &Instance, cx: &StepContext<'_, Cloud>) -> Result<String> {
    const OPERATION: &str = "ec2:RunInstances";
    let cloud = cx.world;
    let image = image(&instance.image, cloud).await?;
    let image_id = image.image_id().unwrap_or_default();
    let root = image.root_device_name().with_context(|| format!("{image_id} names no root device"))?;
    let groups = instance.groups.iter().map(|link| Ok(cx.observed(link)?.id.clone()));
    let profile = instance.profile.as_ref().map(profile);
    let request = cloud
        .clients
        .ec2
        .run_instances()
        .client_token(cx.token())
        .min_count(1)
        .max_count(1)
        .image_id(image_id)
        .instance_type(InstanceType::from(instance.instance_type.as_str()))
        .subnet_id(&cx.observed(&instance.subnet)?.id)
        .set_security_group_ids(Some(groups.collect::<Result<_>>()?))
        .set_private_ip_address(instance.private_address.clone())
        .set_key_name(instance.key.clone())
        .set_iam_instance_profile(profile)
        .set_user_data(instance.user_data.as_ref().map(|text| BASE64_STANDARD.encode(text)))
        .disable_api_termination(instance.protect)
        .metadata_options(metadata())
        .block_device_mappings(BlockDeviceMapping::builder().device_name(root).ebs(disk(&instance.disk)).build())
        .tag_specifications(tag_specification(ResourceType::Instance, &instance.own_tags()))
        .tag_specifications(tag_specification(ResourceType::Volume, &instance.tags))
        .tag_specifications(tag_specification(ResourceType::NetworkInterface, &instance.tags));
    let send = || async { request.clone().send().await.explain(OPERATION) };
    let answer = cloud.settle_while(is_young, send).await.map_err(explain_refusal)?;
    let object = answer.instances.unwrap_or_default().pop().answered(OPERATION)?;
    Ok(object.instance_id.answered(OPERATION)?)
}

/// True where EC2 does not know yet what was made a moment ago: subnet, group, key pair, profile.
pub(super) fn is_young(error: &CloudError) -> bool {
    let is_profile = error.is(&["InvalidParameterValue"]) && error.message.contains("IAM Instance Profile");
    error.is_missing() || is_profile
}

pub(super) fn profile(name: &String) -> IamInstanceProfileSpecification {
    IamInstanceProfileSpecification::builder().name(name).build()
}

fn metadata() -> InstanceMetadataOptionsRequest {
    InstanceMetadataOptionsRequest::builder()
        .http_tokens(HttpTokensState::Required)
        .http_put_response_hop_limit(METADATA_HOPS)
        .http_endpoint(InstanceMetadataEndpointState::Enabled)
        .build()
}

fn disk(of: &DiskSpec) -> EbsBlockDevice {
    let DiskSpec { gib, iops, throughput } = of;
    EbsBlockDevice::builder()
        .volume_size(int(*gib))
        .volume_type(VolumeType::Gp3)
        .iops(int(*iops))
        .throughput(int(*throughput))
        .encrypted(true)
        .delete_on_termination(true)
        .build()
}

/// EC2 counts with `i32`.
pub(super) fn int(value: u32) -> i32 {
    value.try_into().unwrap_or(i32::MAX)
}

/// The image to boot from.
async fn image(choice: &ImageChoice, cloud: &Cloud) -> Result<Image> {
    let request = cloud.clients.ec2.describe_images();
    let request = match choice {
        ImageChoice::Id(id) => request.image_ids(id),
        ImageChoice::Newest { owner, name } => {
            let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
            request.owners(owner).filters(filter("name", name)).filters(filter("state", "available"))
        }
    };
    let found = request.into_paginator().items().send().try_collect().await.explain("ec2:DescribeImages")?;
    // Dates are written alike, so that the newest is the greatest.
    let newest = found.into_iter().max_by(|one, other| one.creation_date().cmp(&other.creation_date()));
    newest.with_context(|| match choice {
        ImageChoice::Id(id) => format!("there is no image {id} in {}", cloud.names.region),
        ImageChoice::Newest { owner, name } => {
            format!("owner {owner} has no image with a name like {name} in {}", cloud.names.region)
        }
    })
}

/// What to do about the refusals that no mistake in the spec explains.
pub(super) fn explain_refusal(error: CloudError) -> anyhow::Error {
    const REMEDIES: &[(&str, &str)] = &[
        (
            "InsufficientInstanceCapacity",
            "AWS has no such machine left in this zone: try later, another zone or another type",
        ),
        (
            "InsufficientHostCapacity",
            "AWS has no such machine left in this zone: try later, another zone or another type",
        ),
        (
            "VcpuLimitExceeded",
            "the account's vCPU limit is reached: ask for a higher one in Service Quotas, or use a smaller type",
        ),
        (
            "InstanceLimitExceeded",
            "the account's limit for this type is reached: ask for a higher one in Service Quotas",
        ),
        ("MaxSpotInstanceCountExceeded", "the account's spot limit is reached: ask for a higher one in Service Quotas"),
        (
            "VolumeLimitExceeded",
            "the account's limit for EBS storage is reached: ask for a higher one in Service Quotas",
        ),
        ("InsufficientFreeAddressesInSubnet", "the subnet has no address left: use a larger range"),
        ("InvalidIPAddress.InUse", "another interface has that private address"),
        ("Unsupported", "this zone does not offer the type: choose another zone or type"),
        ("PendingVerification", "AWS is still checking the account for this region: it mails when it is done"),
        ("OptInRequired", "the image is from the AWS Marketplace: accept its terms there first"),
    ];
    let remedy = REMEDIES.iter().find(|(code, _)| error.is(&[code])).map(|(_, remedy)| *remedy);
    let error = anyhow::Error::from(error);
    match remedy {
        Some(remedy) => error.context(remedy),
        None => error,
    }
}

/// Waits until the host is in a state, and has its address where it runs.
pub(super) async fn until(id: &str, wanted: &InstanceStateName, cx: &StepContext<'_, Cloud>) -> Result<()> {
    let cloud = cx.world;
    let is_end =
        |name: &InstanceStateName| matches!(name, InstanceStateName::ShuttingDown | InstanceStateName::Terminated);
    let look = || async {
        // An instance that EC2 does not show yet is not known to be anything else.
        let Some(state) = read::state(cloud, id).await? else { return Ok(None) };
        if is_end(&state.name) {
            bail!("{id} is {} instead of {}: {}", state.name.as_str(), wanted.as_str(), state.reason);
        }
        Ok((state.name == *wanted && state.has_address).then_some(()))
    };
    cloud.wait(cx, format!("{id} to be {}", wanted.as_str()), DEADLINE, look).await
}
