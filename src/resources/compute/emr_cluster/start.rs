//! Starting a cluster, and waiting until it can work.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_sdk_emr::{
    Client,
    operation::run_job_flow::builders::RunJobFlowFluentBuilder,
    types::{Application, InstanceFleetType, InstanceRoleType, JobFlowInstancesConfig},
};
use engine::{Resource, Result, StepContext};
use tokio::time::Instant;

use super::{ClusterEnded, EmrCluster, EmrClusterObserved, nodes::ClusterNodes, read, reasons::remedy, requests};
use crate::cloud::{Answered, Cloud, CloudError, Explain, emr_once};

/// Ids and names that are known once what has them is there.
pub(super) struct Links {
    pub subnet: String,
    pub master_group: String,
    pub slave_group: String,
    pub service_group: Option<String>,
    pub security: Option<String>,
}

/// Asks EMR for the cluster; returns its id.
///
/// `RunJobFlow` takes no client token, so that a repeated request is a second cluster. The engine has looked by tag a
/// moment ago, and the request is sent once: where no answer comes back, the next run finds the cluster by its tag.
pub(super) async fn start(cluster: &EmrCluster, cx: &StepContext<'_, Cloud>) -> Result<String> {
    const OPERATION: &str = "elasticmapreduce:RunJobFlow";
    let cloud = cx.world;
    let service = cluster.service_group.as_ref().map(|link| cx.observed(link)).transpose()?;
    let security = cluster.security.as_ref().map(|link| cx.observed(link)).transpose()?;
    let links = Links {
        subnet: cx.observed(&cluster.subnet)?.id.clone(),
        master_group: cx.observed(&cluster.master_group)?.id.clone(),
        slave_group: cx.observed(&cluster.slave_group)?.id.clone(),
        service_group: service.map(|group| group.id.clone()),
        security: security.map(|found| found.name.clone()),
    };
    let request = request(&cloud.clients.emr, cluster, links)?;
    let send = || async { request.clone().customize().config_override(emr_once()).send().await.explain(OPERATION) };
    let answer = cloud.settle_while(may_be_sent_again, send).await.map_err(explain_refusal)?;
    Ok(answer.job_flow_id.answered(OPERATION)?)
}

/// The request that starts the cluster.
pub(super) fn request(emr: &Client, cluster: &EmrCluster, links: Links) -> Result<RunJobFlowFluentBuilder> {
    let applications = cluster.applications.iter().map(|name| Application::builder().name(name).build());
    let security = links.security.clone();
    let mut request = emr
        .run_job_flow()
        .name(&cluster.name)
        .release_label(&cluster.release)
        .set_applications(Some(applications.collect()))
        .instances(instances(cluster, links))
        .service_role(&cluster.service_role)
        .job_flow_role(&cluster.node_profile)
        .step_concurrency_level(requests::int(cluster.step_concurrency))
        .set_log_uri(cluster.log_uri.clone())
        .set_security_configuration(security)
        .set_managed_scaling_policy(cluster.managed_scaling.as_ref().map(requests::scaling))
        .set_auto_termination_policy(cluster.auto_termination.map(requests::idle).transpose()?)
        .set_ebs_root_volume_size(cluster.root_disk_gib.map(requests::int))
        .visible_to_all_users(cluster.visible)
        .set_tags(Some(requests::tags(&cluster.tags)));
    if !cluster.configurations.is_empty() {
        request = request.set_configurations(Some(requests::configurations(&cluster.configurations)));
    }
    for action in &cluster.bootstrap {
        request = request.bootstrap_actions(requests::bootstrap(action));
    }
    Ok(request)
}

/// What to do about a refusal, where that is known.
fn explain_refusal(error: CloudError) -> anyhow::Error {
    match remedy(None, &error.message) {
        Some(remedy) => anyhow::Error::from(error).context(remedy),
        None => error.into(),
    }
}

/// Refusals that made nothing and that pass by themselves: roles and profiles which EMR does not know yet, and
/// throttling, which the SDK is kept from handling here.
fn may_be_sent_again(error: &CloudError) -> bool {
    let message = error.message.to_lowercase();
    let is_young = ["instanceprofile", "instance profile", "service role", "servicerole", "security configuration"];
    let refused = error.is(&["ValidationException", "InvalidRequestException"]);
    error.is(&["Throttling*"]) || (refused && is_young.iter().any(|text| message.contains(text)))
}

fn instances(cluster: &EmrCluster, links: Links) -> JobFlowInstancesConfig {
    let request = JobFlowInstancesConfig::builder()
        .ec2_subnet_id(links.subnet)
        .emr_managed_master_security_group(links.master_group)
        .emr_managed_slave_security_group(links.slave_group)
        .set_service_access_security_group(links.service_group)
        .set_ec2_key_name(cluster.key.clone())
        .keep_job_flow_alive_when_no_steps(true)
        .termination_protected(cluster.termination_protection);
    let request = match &cluster.nodes {
        ClusterNodes::Groups { master, core, task } => {
            let of = |role: InstanceRoleType, group| requests::group(role, group);
            let mut groups = vec![of(InstanceRoleType::Master, master)];
            groups.extend(core.as_ref().map(|core| of(InstanceRoleType::Core, core)));
            // EMR refuses an empty group; one is added when it is to have machines.
            groups.extend(task.as_ref().filter(|task| task.count > 0).map(|task| of(InstanceRoleType::Task, task)));
            request.set_instance_groups(Some(groups))
        }
        ClusterNodes::Fleets { master, core, task } => {
            let of = |role: InstanceFleetType, fleet| requests::fleet(role, fleet);
            let mut fleets = vec![of(InstanceFleetType::Master, master)];
            fleets.extend(core.as_ref().map(|core| of(InstanceFleetType::Core, core)));
            let task = task.as_ref().filter(|task| task.on_demand + task.spot > 0);
            fleets.extend(task.map(|task| of(InstanceFleetType::Task, task)));
            request.set_instance_fleets(Some(fleets))
        }
    };
    request.build()
}

/// How often it is told that nothing has changed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until the cluster can work, telling every state that it passes through, for how long it has lasted, and the
/// nodes as they come.
pub(super) async fn until_ready(
    id: &str,
    deadline: Duration,
    cx: &StepContext<'_, Cloud>,
) -> Result<EmrClusterObserved> {
    let cloud = cx.world;
    let begin = Instant::now();
    let told = Mutex::new((String::new(), begin));
    let (told, deadline_words) = (&told, format!("cluster {id} to be ready"));
    let look = || async move {
        let cluster = cloud.settle_while(is_unknown, || read::describe(cloud, id)).await?;
        let state = read::state(&cluster);
        match state.as_str() {
            "RUNNING" | "WAITING" => return Ok(Some(cluster)),
            ending if ending.starts_with("TERMINAT") => {
                return Err(ended(id, &cluster).into());
            }
            _ => {}
        }
        // A count that EMR does not tell just now is no reason to stop waiting.
        let nodes = read::nodes(cloud, &cluster).await.ok();
        let nodes = nodes.map(|nodes| format!(", {} of {} nodes run", nodes.running(), nodes.wanted()));
        let now = format!("{state}{}", nodes.unwrap_or_default());
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.0 != now || told.1.elapsed() >= PATIENCE {
            let (elapsed, typical) = (begin.elapsed().as_secs(), EmrCluster::TYPICAL_SECONDS / 60);
            cx.progress(format!("cluster {id}: {now}, after {elapsed} s; typically ready within {typical} minutes"));
            *told = (now, Instant::now());
        }
        Ok(None)
    };
    let ready = cloud.wait(cx, deadline_words, deadline, look).await?;
    read::read(cloud, ready).await
}

/// EMR may not know everywhere what it made a moment ago.
fn is_unknown(error: &CloudError) -> bool {
    error.is(&["InvalidRequestException"]) && error.message.contains("is not valid")
}

/// That it ended, and why.
fn ended(id: &str, cluster: &aws_sdk_emr::types::Cluster) -> ClusterEnded {
    let reason = cluster.status().and_then(|status| status.state_change_reason());
    ClusterEnded {
        id: id.to_owned(),
        code: reason.and_then(|reason| reason.code()).map(|code| code.as_str().to_owned()),
        message: reason.and_then(|reason| reason.message()).unwrap_or_default().to_owned(),
        log_uri: cluster.log_uri().filter(|uri| !uri.is_empty()).map(str::to_owned),
    }
}
