//! Clusters that are not the stack's, and several that claim to be.

use aws_sdk_emr::types::{InstanceGroupConfig, InstanceRoleType, JobFlowInstancesConfig};

use super::{cluster, destroy, id, status, with_cluster};
use crate::support::world::{connection, endpoint};

/// Starts a cluster as a script would: with all that the first one has, its tags too, that of its address where it is
/// said. Returns its id.
async fn twin_of(first: &str, address: bool) -> String {
    let emr = connection().await.clients.emr;
    let found = emr.describe_cluster().cluster_id(first).send().await.unwrap().cluster.unwrap();
    let machines = found.ec2_instance_attributes().unwrap();
    let group =
        |role| InstanceGroupConfig::builder().instance_role(role).instance_type("m5.xlarge").instance_count(1).build();
    let instances = JobFlowInstancesConfig::builder()
        .instance_groups(group(InstanceRoleType::Master))
        .instance_groups(group(InstanceRoleType::Core))
        .ec2_subnet_id(machines.ec2_subnet_id().unwrap())
        .emr_managed_master_security_group(machines.emr_managed_master_security_group().unwrap())
        .emr_managed_slave_security_group(machines.emr_managed_slave_security_group().unwrap())
        .keep_job_flow_alive_when_no_steps(true);
    let request = emr.run_job_flow().name("twin").release_label("emr-5.29.0").instances(instances.build());
    let request = request.service_role(found.service_role().unwrap());
    let request = request.job_flow_role(machines.iam_instance_profile().unwrap());
    let mut tags = found.tags().to_vec();
    tags.retain(|tag| address || tag.key() != Some("infra:address"));
    let request = request.set_tags(Some(tags));
    request.send().await.unwrap().job_flow_id.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_live_clusters_of_one_stack_are_named_and_end_together_on_demand() {
    let (project, _) = with_cluster(&endpoint());
    let first = id(&project);
    let second = twin_of(&first, true).await;
    for verb in [&["up", "--yes"][..], &["down", "--yes"], &["status"], &["resize", "core=3"], &["steps"], &["ssh"]] {
        cluster(&project, verb).expect(1).says(&["emr_cluster/main", &first, &second, "down --all"]);
    }
    cluster(&project, &["down", "--all", "--yes"]).expect(0).says(&[&first, &second, "Verified"]);
    assert!(status(&project)["cluster"].is_null());
    destroy(&project);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_the_stack_that_no_spec_has_is_told_and_left_alone() {
    let (project, _) = with_cluster(&endpoint());
    let first = id(&project);
    let other = twin_of(&first, false).await;
    let told = [other.as_str(), "`twin`, has the stack's tag and is not the spec's own", "terminate-clusters"];
    cluster(&project, &["status"]).expect(0).says(&told);
    cluster(&project, &["down", "--yes"]).expect(0).says(&told).says(&[&first, "has ended"]);
    assert_eq!(status(&project)["others"][0]["id"], other.as_str());
    // It stands in the way of its network.
    project.local(&["destroy", "--empty-buckets"]).expect(1).says(&told);
    connection().await.clients.emr.terminate_job_flows().job_flow_ids(&other).send().await.unwrap();
    assert_eq!(status(&project)["others"], serde_json::json!([]));
    destroy(&project);
}

#[test]
fn another_stack_s_cluster_is_never_touched() {
    let ((one, _), (other, _)) = (with_cluster(&endpoint()), with_cluster(&endpoint()));
    let (mine, theirs) = (id(&one), id(&other));
    for verb in [&["steps", "--cluster", &theirs][..], &["logs", "--cluster", &theirs]] {
        cluster(&one, verb).expect(1).says(&[&theirs, "is no cluster of stack"]);
    }
    cluster(&one, &["down", "--all", "--force", "--yes"]).expect(0).says(&[&mine]);
    assert_eq!(id(&other), theirs);
    destroy(&one);
    assert_eq!(id(&other), theirs);
    destroy(&other);
}
