//! Destroying: in an order that a strict cloud accepts, and with nothing left behind.

use serde_json::Value;

use crate::support::{aws::Aws, census, cli::Project, server::Server, world::REGION, world::endpoint};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn destroy_leaves_nothing_of_either_shipped_stack() {
    let server = Server::under_test();
    let before = census::take(&server.endpoint).await;
    let project = Project::new(&server.endpoint, None);
    for (stack, region) in [("nyc311", "us-west-2"), ("vendas", "sa-east-1")] {
        let (aws, spec) = (Aws::new(&server.endpoint, region), format!("infra/{stack}.yaml"));
        project.local(&["-f", &spec, "apply", "--yes"]).expect(0);
        let made = left(&aws, stack);
        assert!(made.len() > 15, "the lists see the stack while it is there: {made:?}");
        project.local(&["-f", &spec, "destroy", "--yes"]).expect(0);
        assert_eq!(left(&aws, stack), [""; 0], "{stack}");
    }
    assert_eq!(census::take(&server.endpoint).await, before);
}

/// Everything with the stack's tags or name that the aws command line lists, service by service. Terminated instances
/// and deleted NAT gateways stay visible for an hour, as on AWS, and keys that are to be deleted for their waiting time.
fn left(aws: &Aws, stack: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut list = |words: String| {
        let Value::Array(items) = aws.run(&words) else { return };
        found.extend(items.iter().filter_map(Value::as_str).map(str::to_owned));
    };
    // One call for what has tags, as far as it knows.
    list(format!(
        "resourcegroupstaggingapi get-resources --tag-filters Key=infra:stack,Values={stack} --query ResourceTagMappingList[].ResourceARN"
    ));
    let by_tag = format!("--filters Name=tag:infra:stack,Values={stack}");
    for (call, query) in [
        ("describe-vpcs", "Vpcs[].VpcId"),
        ("describe-subnets", "Subnets[].SubnetId"),
        ("describe-internet-gateways", "InternetGateways[].InternetGatewayId"),
        ("describe-addresses", "Addresses[].AllocationId"),
        ("describe-route-tables", "RouteTables[].RouteTableId"),
        ("describe-vpc-endpoints", "VpcEndpoints[?State!='deleted'].VpcEndpointId"),
        ("describe-security-groups", "SecurityGroups[].GroupId"),
        ("describe-key-pairs", "KeyPairs[].KeyName"),
        ("describe-volumes", "Volumes[].VolumeId"),
        ("describe-network-interfaces", "NetworkInterfaces[].NetworkInterfaceId"),
        ("describe-instances", "Reservations[].Instances[?State.Name!='terminated'][].InstanceId"),
    ] {
        list(format!("ec2 {call} {by_tag} --query {query}"));
    }
    list(format!(
        "ec2 describe-nat-gateways --filter Name=tag:infra:stack,Values={stack} Name=state,Values=pending,available --query NatGateways[].NatGatewayId"
    ));
    for (call, query) in [
        ("list-roles", format!("Roles[?starts_with(RoleName,'{stack}')].RoleName")),
        ("list-roles", "Roles[?RoleName=='EMR_EC2_DefaultRole'||RoleName=='regras-emr'].RoleName".to_owned()),
        ("list-users", "Users[].UserName".to_owned()),
        ("list-policies --scope Local", "Policies[].PolicyName".to_owned()),
        ("list-instance-profiles", "InstanceProfiles[].InstanceProfileName".to_owned()),
    ] {
        list(format!("iam {call} --query {query}"));
    }
    list(format!("s3api list-buckets --query Buckets[?starts_with(Name,'{stack}')].Name"));
    list(format!("kms list-aliases --query Aliases[?contains(AliasName,'{stack}')].AliasName"));
    list("emr list-security-configurations --query SecurityConfigurations[].Name".to_owned());
    list("emr list-clusters --active --query Clusters[].Id".to_owned());
    // What the tagging API still lists although it is gone or going.
    found.retain(|arn| !is_gone(aws, arn));
    found
}

fn is_gone(aws: &Aws, arn: &str) -> bool {
    let Some((_, id)) = arn.strip_prefix("arn:aws:").and_then(|arn| arn.rsplit_once('/')) else { return false };
    let told = |words: String, gone: &str| aws.text(&words) == gone;
    if arn.contains(":instance/") {
        let query = "--query Reservations[0].Instances[0].State.Name";
        told(format!("ec2 describe-instances --instance-ids {id} {query}"), "terminated")
    } else if arn.contains(":natgateway/") {
        let query = "--query NatGateways[0].State";
        told(format!("ec2 describe-nat-gateways --nat-gateway-ids {id} {query}"), "deleted")
    } else if arn.contains(":key/") {
        told(format!("kms describe-key --key-id {id} --query KeyMetadata.KeyState"), "PendingDeletion")
    } else {
        false
    }
}

#[test]
fn a_refused_delete_names_what_is_in_the_way() {
    let (project, _) = Project::small(&endpoint());
    let aws = Aws::new(&endpoint(), REGION);
    project.local(&["apply", "--yes"]).expect(0);
    let subnet = project.id(&[], "subnet/public");
    let interface = aws.text(&format!(
        "ec2 create-network-interface --subnet-id {subnet} --description by-hand --query NetworkInterface.NetworkInterfaceId"
    ));
    let refused = project.local(&["destroy", "--yes"]).expect(1);
    refused.says(&[
        "cannot delete subnet/public",
        "ec2:DeleteSubnet answered DependencyViolation",
        "(request ",
        &format!("in the way of {subnet}: {interface} (by-hand)"),
        "not in the spec",
        "same command again",
    ]);
    let left: Vec<String> =
        project.local(&["status", "--json"]).expect(0).json().as_object().expect("addresses").keys().cloned().collect();
    assert_eq!(left, ["subnet/public", "vpc/main"], "everything else is deleted");
    aws.run(&format!("ec2 delete-network-interface --network-interface-id {interface}"));
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn a_host_of_somebody_elses_is_named_by_its_id() {
    let (project, _) = Project::small(&endpoint());
    let aws = Aws::new(&endpoint(), REGION);
    project.local(&["apply", "--yes"]).expect(0);
    let subnet = project.id(&[], "subnet/public");
    let image = aws.text(&format!(
        "ec2 describe-instances --instance-ids {} --query Reservations[0].Instances[0].ImageId",
        project.id(&[], "instance/bastion")
    ));
    let host = aws.text(&format!(
        "ec2 run-instances --subnet-id {subnet} --image-id {image} --instance-type t3.micro --query Instances[0].InstanceId"
    ));
    project.local(&["destroy", "--yes"]).expect(1).says(&["DependencyViolation", "in the way of", &host]);
    aws.run(&format!("ec2 terminate-instances --instance-ids {host}"));
    project.local(&["destroy", "--yes"]).expect(0);
}
