//! Changing a host.

use std::time::Duration;

use aws_sdk_ec2::types::{
    AttributeBooleanValue, AttributeValue, EbsInstanceBlockDeviceSpecification, Filter, HttpTokensState,
    InstanceBlockDeviceMappingSpecification, InstanceMetadataEndpointState, InstanceStateName, VolumeType,
};
use engine::{Diff, Result, StepContext};

use super::{DiskObserved, Instance, InstanceObserved, METADATA_HOPS, launch};
use crate::{
    cloud::{Cloud, Explain, gone_is_ok},
    resources::tagging,
};

/// A volume shows its new size once the modification is under way, which takes seconds and at times minutes.
const DISK_DEADLINE: Duration = Duration::from_mins(10);

/// Does what `diff` asks for. Every call is safe to repeat, and what an interrupted run left undone is in the next
/// one's diff: a host that was stopped to change its type is seen to be stopped, and started.
pub(super) async fn apply(
    instance: &Instance,
    observed: &InstanceObserved,
    diff: &Diff,
    cx: &StepContext<'_, Cloud>,
) -> Result<()> {
    let (cloud, id) = (cx.world, observed.id.as_str());
    if let Some(disk) = &observed.disk {
        change_disk(instance, disk, diff, cx).await?;
        change_fate(id, disk, diff, cloud).await?;
        tag_disk(instance, disk, diff, cloud).await?;
    }
    if diff.touches("groups") {
        let groups = instance.groups.iter().map(|link| Ok(cx.observed(link)?.id.clone())).collect::<Result<_>>()?;
        let request = cloud.clients.ec2.modify_instance_attribute().instance_id(id).set_groups(Some(groups));
        let send = || async { request.clone().send().await.explain("ec2:ModifyInstanceAttribute") };
        cloud.settle(&[], send).await?;
    }
    if diff.touches("profile") {
        change_profile(instance, id, cloud).await?;
    }
    if ["http_tokens", "metadata_hops", "metadata_endpoint"].iter().any(|field| diff.touches(field)) {
        let request = cloud.clients.ec2.modify_instance_metadata_options().instance_id(id);
        let request = request.http_tokens(HttpTokensState::Required).http_put_response_hop_limit(METADATA_HOPS);
        let request = request.http_endpoint(InstanceMetadataEndpointState::Enabled);
        request.send().await.explain("ec2:ModifyInstanceMetadataOptions")?;
    }
    // Before the tag: protection without it is seen by nobody and would make a later delete fail.
    if diff.touches("protect") || diff.touches(&format!("tags.{}", crate::cloud::PROTECT_TAG)) {
        let value = AttributeBooleanValue::builder().value(instance.protect).build();
        let request = cloud.clients.ec2.modify_instance_attribute().instance_id(id).disable_api_termination(value);
        request.send().await.explain("ec2:ModifyInstanceAttribute")?;
    }
    tagging::ec2(cloud, id, diff, &instance.own_tags()).await?;
    run(instance, observed, diff, cx).await?;
    if let (true, Some(link)) = (diff.touches("elastic_ip"), &instance.elastic_ip) {
        let address = cx.observed(link)?;
        let request = cloud.clients.ec2.associate_address().instance_id(id).allocation_id(&address.id);
        let request = request.allow_reassociation(true);
        let send = || async { request.clone().send().await.explain("ec2:AssociateAddress") };
        cloud.settle(&["IncorrectInstanceState"], send).await?;
    }
    Ok(())
}

/// Gives the host its type, for which it must be stopped, and lets it run.
async fn run(instance: &Instance, observed: &InstanceObserved, diff: &Diff, cx: &StepContext<'_, Cloud>) -> Result<()> {
    let (ec2, id) = (&cx.world.clients.ec2, observed.id.as_str());
    let changes_type = diff.touches("instance_type");
    if !changes_type && !diff.touches("state") {
        return Ok(());
    }
    let mut state = observed.state.as_str();
    if state == "pending" {
        launch::until(id, &InstanceStateName::Running, cx).await?;
        state = "running";
    }
    if state == "running" && changes_type {
        ec2.stop_instances().instance_ids(id).send().await.explain("ec2:StopInstances")?;
        state = "stopping";
    }
    if state == "stopping" {
        launch::until(id, &InstanceStateName::Stopped, cx).await?;
        state = "stopped";
    }
    if changes_type {
        let value = AttributeValue::builder().value(&instance.instance_type).build();
        let request = ec2.modify_instance_attribute().instance_id(id).instance_type(value);
        request.send().await.explain("ec2:ModifyInstanceAttribute")?;
    }
    if state == "stopped" {
        let started = ec2.start_instances().instance_ids(id).send().await.explain("ec2:StartInstances");
        started.map_err(launch::explain_refusal)?;
        launch::until(id, &InstanceStateName::Running, cx).await?;
    }
    Ok(())
}

async fn change_disk(instance: &Instance, disk: &DiskObserved, diff: &Diff, cx: &StepContext<'_, Cloud>) -> Result<()> {
    let fields = ["disk.gib", "disk.volume_type", "disk.iops", "disk.throughput"];
    if !fields.iter().any(|field| diff.touches(field)) {
        return Ok(());
    }
    let (cloud, wanted) = (cx.world, instance.disk);
    let request = cloud.clients.ec2.modify_volume().volume_id(&disk.id).volume_type(VolumeType::Gp3);
    let request = request.size(launch::int(wanted.gib)).iops(launch::int(wanted.iops));
    let request = request.throughput(launch::int(wanted.throughput));
    request.send().await.explain("ec2:ModifyVolume")?;
    let volumes = cloud.clients.ec2.describe_volumes().volume_ids(&disk.id);
    let look = || async {
        let answer = volumes.clone().send().await.explain("ec2:DescribeVolumes")?;
        let is_there = |volume: &aws_sdk_ec2::types::Volume| {
            let same = |from: Option<i32>, to: u32| from.is_none_or(|from| from == launch::int(to));
            same(volume.size(), wanted.gib)
                && same(volume.iops(), wanted.iops)
                && same(volume.throughput(), wanted.throughput)
        };
        Ok(answer.volumes().iter().any(is_there).then_some(()))
    };
    cloud.wait(cx, format!("{} to take its new shape", disk.id), DISK_DEADLINE, look).await
}

async fn change_fate(id: &str, disk: &DiskObserved, diff: &Diff, cloud: &Cloud) -> Result<()> {
    if diff.touches("disk.delete_on_termination") {
        let ebs = EbsInstanceBlockDeviceSpecification::builder().delete_on_termination(true).build();
        let mapping = InstanceBlockDeviceMappingSpecification::builder().device_name(&disk.device).ebs(ebs).build();
        let request = cloud.clients.ec2.modify_instance_attribute().instance_id(id).block_device_mappings(mapping);
        request.send().await.explain("ec2:ModifyInstanceAttribute")?;
    }
    Ok(())
}

/// The disk's tags are the host's; their changes stand below `disk`.
async fn tag_disk(instance: &Instance, disk: &DiskObserved, diff: &Diff, cloud: &Cloud) -> Result<()> {
    let mut own = Diff::default();
    for change in &diff.changes {
        if let Some(field) = change.field.strip_prefix("disk.tags.") {
            own.push(&format!("tags.{field}"), change.from.clone(), change.to.clone(), change.effect);
        }
    }
    Ok(tagging::ec2(cloud, &disk.id, &own, &instance.tags).await?)
}

/// A host has one profile at most: it is associated, replaced or taken away.
async fn change_profile(instance: &Instance, id: &str, cloud: &Cloud) -> Result<()> {
    let ec2 = &cloud.clients.ec2;
    let filter = |name: &str, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Filter::builder().name(name).set_values(Some(values)).build()
    };
    let request = ec2.describe_iam_instance_profile_associations().filters(filter("instance-id", &[id]));
    let request = request.filters(filter("state", &["associating", "associated"]));
    let answer = request.send().await.explain("ec2:DescribeIamInstanceProfileAssociations")?;
    let current = answer.iam_instance_profile_associations().first().and_then(|found| found.association_id());
    match (current, &instance.profile) {
        (Some(current), Some(profile)) => {
            let request = ec2.replace_iam_instance_profile_association().association_id(current);
            let request = request.iam_instance_profile(launch::profile(profile));
            let send = || async { request.clone().send().await.explain("ec2:ReplaceIamInstanceProfileAssociation") };
            cloud.settle_while(launch::is_young, send).await?;
        }
        (None, Some(profile)) => {
            let request = ec2.associate_iam_instance_profile().instance_id(id);
            let request = request.iam_instance_profile(launch::profile(profile));
            let send = || async { request.clone().send().await.explain("ec2:AssociateIamInstanceProfile") };
            cloud.settle_while(launch::is_young, send).await?;
        }
        (Some(current), None) => {
            let request = ec2.disassociate_iam_instance_profile().association_id(current);
            gone_is_ok(request.send().await.explain("ec2:DisassociateIamInstanceProfile"))?;
        }
        (None, None) => {}
    }
    Ok(())
}
