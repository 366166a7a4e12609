//! Changing a cluster in place.

use aws_sdk_emr::types::{InstanceFleetModifyConfig, InstanceFleetType, InstanceGroupModifyConfig, InstanceRoleType};
use engine::{Diff, Result};

use super::{
    EmrCluster, EmrClusterObserved, compare,
    nodes::{ClusterNodes, FleetObserved, GroupObserved, NodeFleet, NodeGroup, NodesObserved},
    requests,
};
use crate::{
    cloud::{Cloud, Explain},
    resources::tagging,
};

/// Does what `diff` asks for, a call a field. Each is safe to repeat: what an interrupted run left undone is in the
/// next one's diff.
pub(super) async fn apply(
    cluster: &EmrCluster,
    observed: &EmrClusterObserved,
    diff: &Diff,
    cloud: &Cloud,
) -> Result<()> {
    let (emr, id) = (&cloud.clients.emr, &observed.id);
    // Limits go first where they go, and come last where they come: while they hold, EMR chooses the sizes itself.
    if diff.touches("managed_scaling") && cluster.managed_scaling.is_none() {
        let request = emr.remove_managed_scaling_policy().cluster_id(id);
        request.send().await.explain("elasticmapreduce:RemoveManagedScalingPolicy")?;
    }
    match (&observed.nodes, &cluster.nodes) {
        (NodesObserved::Groups(from), ClusterNodes::Groups { master: _, core, task }) => {
            resize_groups(cloud, id, diff, from, core.as_ref(), task.as_ref()).await?;
        }
        (NodesObserved::Fleets(from), ClusterNodes::Fleets { master: _, core, task }) => {
            resize_fleets(cloud, id, diff, from, core.as_ref(), task.as_ref()).await?;
        }
        // The one cannot become the other: the planner replaces the cluster.
        _ => {}
    }
    if let Some(limits) = cluster.managed_scaling.as_ref().filter(|_| diff.touches("managed_scaling")) {
        let request = emr.put_managed_scaling_policy().cluster_id(id).managed_scaling_policy(requests::scaling(limits));
        request.send().await.explain("elasticmapreduce:PutManagedScalingPolicy")?;
    }
    if diff.touches("auto_termination") {
        if let Some(seconds) = cluster.auto_termination {
            let request = emr.put_auto_termination_policy().cluster_id(id);
            let request = request.auto_termination_policy(requests::idle(seconds)?);
            request.send().await.explain("elasticmapreduce:PutAutoTerminationPolicy")?;
        } else {
            let request = emr.remove_auto_termination_policy().cluster_id(id);
            request.send().await.explain("elasticmapreduce:RemoveAutoTerminationPolicy")?;
        }
    }
    if diff.touches("step_concurrency") {
        let level = requests::int(cluster.step_concurrency);
        let request = emr.modify_cluster().cluster_id(id).step_concurrency_level(level);
        request.send().await.explain("elasticmapreduce:ModifyCluster")?;
    }
    if diff.touches("termination_protection") {
        let request = emr.set_termination_protection().job_flow_ids(id);
        let request = request.termination_protected(cluster.termination_protection);
        request.send().await.explain("elasticmapreduce:SetTerminationProtection")?;
    }
    if diff.touches("visible") {
        let request = emr.set_visible_to_all_users().job_flow_ids(id).visible_to_all_users(cluster.visible);
        request.send().await.explain("elasticmapreduce:SetVisibleToAllUsers")?;
    }
    if diff.touches("keep_alive") {
        let request = emr.set_keep_job_flow_alive_when_no_steps().job_flow_ids(id);
        let request = request.keep_job_flow_alive_when_no_steps(true);
        request.send().await.explain("elasticmapreduce:SetKeepJobFlowAliveWhenNoSteps")?;
    }
    let changes = tagging::changes(diff, &cluster.tags);
    if !changes.set.is_empty() {
        let request = emr.add_tags().resource_id(id).set_tags(Some(requests::tags(&changes.set)));
        request.send().await.explain("elasticmapreduce:AddTags")?;
    }
    if !changes.remove.is_empty() {
        let request = emr.remove_tags().resource_id(id).set_tag_keys(Some(changes.remove));
        request.send().await.explain("elasticmapreduce:RemoveTags")?;
    }
    Ok(())
}

async fn resize_groups(
    cloud: &Cloud,
    id: &str,
    diff: &Diff,
    from: &[GroupObserved],
    core: Option<&NodeGroup>,
    task: Option<&NodeGroup>,
) -> Result<()> {
    let resize = |group: &GroupObserved, count: u32| {
        InstanceGroupModifyConfig::builder().instance_group_id(&group.id).instance_count(requests::int(count)).build()
    };
    let mut changes = Vec::new();
    if let (Some(group), Some(core)) = (from.iter().find(|group| group.role == "CORE"), core)
        && diff.touches("core.count")
    {
        changes.push(resize(group, core.count));
    }
    if let (Some(group), Some(task)) = (compare::task_group(from, task), task)
        && diff.touches("task.count")
    {
        changes.push(resize(group, task.count));
    }
    let others = compare::other_task_groups(from, task);
    let unwanted = others.filter(|group| diff.touches(&format!("task_groups.{}", group.id)));
    changes.extend(unwanted.map(|group| resize(group, 0)));
    if let Some(task) = task.filter(|_| diff.changes.iter().any(|change| change.field == "task")) {
        let request = cloud.clients.emr.add_instance_groups().job_flow_id(id);
        let request = request.instance_groups(requests::group(InstanceRoleType::Task, task));
        request.send().await.explain("elasticmapreduce:AddInstanceGroups")?;
    }
    if !changes.is_empty() {
        let request = cloud.clients.emr.modify_instance_groups().cluster_id(id).set_instance_groups(Some(changes));
        request.send().await.explain("elasticmapreduce:ModifyInstanceGroups")?;
    }
    Ok(())
}

async fn resize_fleets(
    cloud: &Cloud,
    id: &str,
    diff: &Diff,
    from: &[FleetObserved],
    core: Option<&NodeFleet>,
    task: Option<&NodeFleet>,
) -> Result<()> {
    for (role, field, wanted) in [("CORE", "core", core), ("TASK", "task", task)] {
        let there = from.iter().find(|fleet| fleet.role == role);
        match (there, wanted) {
            (Some(fleet), wanted) if diff.touches(field) => {
                let (on_demand, spot) = wanted.map_or((0, 0), |wanted| (wanted.on_demand, wanted.spot));
                let change = InstanceFleetModifyConfig::builder().instance_fleet_id(&fleet.id);
                let change = change.target_on_demand_capacity(requests::int(on_demand));
                let change = change.target_spot_capacity(requests::int(spot)).build();
                let request = cloud.clients.emr.modify_instance_fleet().cluster_id(id).instance_fleet(change);
                request.send().await.explain("elasticmapreduce:ModifyInstanceFleet")?;
            }
            (None, Some(wanted)) if diff.touches(field) => {
                let fleet = requests::fleet(InstanceFleetType::Task, wanted);
                let request = cloud.clients.emr.add_instance_fleet().cluster_id(id).instance_fleet(fleet);
                request.send().await.explain("elasticmapreduce:AddInstanceFleet")?;
            }
            _ => {}
        }
    }
    Ok(())
}
