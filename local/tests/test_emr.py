"""EMR: validation, a cluster's states, its nodes and groups, what moto lacks."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError
from conftest import as_dict, passes_on_stock, refused, state_of, tags, trust, until

INVALID = ("ValidationException", "InvalidRequestException")


def groups(core: int = 1) -> list[dict]:
    return [
        {"Name": "m", "InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
        {"Name": "c", "InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": core},
    ]


def wanted(name: str, subnet: str | None = None, instances: dict | None = None, **more) -> dict:
    return {
        "Name": name, "ReleaseLabel": "emr-5.29.0", "ServiceRole": "EMR_DefaultRole", "JobFlowRole": "EMR_EC2_DefaultRole",
        "Applications": [{"Name": n} for n in ("Spark", "Ganglia", "Zeppelin")],
        "Instances": {
            "InstanceGroups": groups(), "KeepJobFlowAliveWhenNoSteps": True,
            **({"Ec2SubnetId": subnet} if subnet else {}), **(instances or {}),
        },
        "Tags": tags(stack=name), **more,
    }  # fmt: skip


def cluster_of(emr, cluster_id: str) -> dict:
    return emr.describe_cluster(ClusterId=cluster_id)["Cluster"]


def cluster_state(emr, cluster_id: str):
    return lambda: cluster_of(emr, cluster_id)["Status"]["State"]


@pytest.fixture
def managed(aws, network, name):
    """Master and slave groups of our own, so that EMR makes none."""
    make = aws.ec2.create_security_group
    return tuple(
        make(GroupName=f"{name}-{k}", Description="d", VpcId=network.vpc)["GroupId"] for k in ("master", "slave")
    )


def own_groups(managed) -> dict:
    return {"EmrManagedMasterSecurityGroup": managed[0], "EmrManagedSlaveSecurityGroup": managed[1]}


def test_cluster_passes_through_its_states(aws, network, managed, name):
    made = aws.emr.run_job_flow(**wanted(name, network.public, own_groups(managed), LogUri="s3://logs/x/"))
    cluster_id = made["JobFlowId"]
    assert made["ClusterArn"].endswith(cluster_id)
    assert until(cluster_state(aws.emr, cluster_id), ["WAITING"]) == ["STARTING", "BOOTSTRAPPING", "WAITING"]
    found = cluster_of(aws.emr, cluster_id)
    assert {a["Name"]: a["Version"] for a in found["Applications"]} == {
        "Spark": "2.4.4",
        "Ganglia": "3.7.2",
        "Zeppelin": "0.8.2",
    }
    assert found["Ec2InstanceAttributes"]["EmrManagedMasterSecurityGroup"] == managed[0]
    assert found["InstanceCollectionType"] == "INSTANCE_GROUP" and found["MasterPublicDnsName"]
    assert (
        found["LogUri"] == "s3n://logs/x/"
        and found["AutoTerminate"] is False
        and as_dict(found["Tags"]) == {"stack": name}
    )
    aws.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    assert until(cluster_state(aws.emr, cluster_id), ["TERMINATED"]) == ["TERMINATING", "TERMINATED"]
    assert cluster_of(aws.emr, cluster_id)["Status"]["StateChangeReason"]["Code"] == "USER_REQUEST"


@pytest.mark.parametrize("wrong", [
    {"ReleaseLabel": "emr-99.0.0"},
    {"Applications": [{"Name": "Spork"}]},
    {"SecurityConfiguration": "no-such-configuration"},
    {"JobFlowRole": "no-such-profile"},
    {"StepConcurrencyLevel": 300},
    {"AutoTerminationPolicy": {"IdleTimeout": 3600}},
    {"Name": "x" * 257},
], ids=lambda w: next(iter(w)))  # fmt: skip
def test_run_job_flow_is_checked(aws, name, wrong):
    with refused(*INVALID):
        aws.emr.run_job_flow(**{**wanted(name), **wrong})


@pytest.mark.parametrize("kind", ["t2.micro", "t3.large", "m5.large", "m6g.xlarge"])
def test_instance_types_of_the_release(aws, name, kind):
    rows = [{**g, "InstanceType": kind} for g in groups()]
    with refused(*INVALID) as refusal:
        aws.emr.run_job_flow(**wanted(name, None, {"InstanceGroups": rows}))
    assert f"Instance type '{kind}' is not supported" in refusal.message


@pytest.mark.parametrize("instances", [
    {"InstanceGroups": groups()[1:]},
    {"InstanceGroups": groups(), "InstanceFleets": [{"InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1}]},
    {"Ec2SubnetId": "subnet-0123456789abcdef0"},
    {"EmrManagedMasterSecurityGroup": "sg-0123456789abcdef0", "EmrManagedSlaveSecurityGroup": "sg-0123456789abcdef0"},
], ids=["no-master", "groups-and-fleets", "no-subnet", "no-group"])  # fmt: skip
def test_instances_are_checked(aws, name, instances):
    with refused(*INVALID):
        aws.emr.run_job_flow(**wanted(name, None, instances))


def test_private_subnet_needs_a_service_access_group(aws, network, managed, name):
    with refused(*INVALID) as refusal:
        aws.emr.run_job_flow(**wanted(name, network.private, own_groups(managed)))
    assert "You must also specify a ServiceAccessSecurityGroup" in refusal.message


def ends_with_errors(aws, cluster_id: str) -> dict:
    until(cluster_state(aws.emr, cluster_id), ["TERMINATED_WITH_ERRORS"])
    return cluster_of(aws.emr, cluster_id)["Status"]["StateChangeReason"]


def test_unknown_service_role_ends_the_cluster(aws, network, name):
    made = aws.emr.run_job_flow(**wanted(name, network.public, ServiceRole=f"absent-{name}"))["JobFlowId"]
    reason = ends_with_errors(aws, made)
    assert (
        reason["Code"] == "VALIDATION_ERROR"
        and reason["Message"].startswith("EMR service role")
        and "is invalid" in reason["Message"]
    )


def test_service_role_without_rights_ends_the_cluster(aws, network, name):
    aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("elasticmapreduce.amazonaws.com"))
    made = aws.emr.run_job_flow(**wanted(name, network.public, ServiceRole=name))["JobFlowId"]
    assert "has insufficient EC2 permissions" in ends_with_errors(aws, made)["Message"]


def test_subnet_without_a_way_out_ends_the_cluster(aws, network, name):
    made = aws.emr.run_job_flow(**wanted(name, network.private))["JobFlowId"]
    assert "VPC/subnet configuration was invalid" in ends_with_errors(aws, made)["Message"]


def test_open_group_is_blocked_as_public_access(aws, network, managed, name):
    world = [{"IpProtocol": "tcp", "FromPort": 8088, "ToPort": 8088, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    aws.ec2.authorize_security_group_ingress(GroupId=managed[0], IpPermissions=world)
    made = aws.emr.run_job_flow(**wanted(name, network.public, own_groups(managed)))["JobFlowId"]
    assert "block public access" in ends_with_errors(aws, made)["Message"]


def test_emr_adds_rules_that_stay_and_nodes_that_hold(aws, network, managed, name):
    aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("elasticmapreduce.amazonaws.com"))
    aws.iam.attach_role_policy(
        RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonElasticMapReduceRole"
    )
    made = aws.emr.run_job_flow(**wanted(name, network.public, own_groups(managed), ServiceRole=name))["JobFlowId"]
    until(cluster_state(aws.emr, made), ["WAITING"])
    inside = [{"Name": "vpc-id", "Values": [network.vpc]}]
    names = {g["GroupName"] for g in aws.ec2.describe_security_groups(Filters=inside)["SecurityGroups"]}
    assert not any(n.startswith("ElasticMapReduce") for n in names)
    mine = [{"Name": "tag:aws:elasticmapreduce:job-flow-id", "Values": [made]}]
    nodes = [i for r in aws.ec2.describe_instances(Filters=mine)["Reservations"] for i in r["Instances"]]
    assert len(nodes) == 2 and {n["SubnetId"] for n in nodes} == {network.public}
    assert all(as_dict(n["Tags"])["stack"] == name for n in nodes)
    assert {g["GroupId"] for n in nodes for g in n["SecurityGroups"]} == set(managed)
    with refused("DependencyViolation"):
        aws.ec2.delete_subnet(SubnetId=network.public)
    aws.emr.terminate_job_flows(JobFlowIds=[made])
    until(cluster_state(aws.emr, made), ["TERMINATED"])
    until(state_of(aws.ec2, nodes[0]["InstanceId"]), ["terminated"])
    for group in managed:
        with refused("DependencyViolation"):
            aws.ec2.delete_security_group(GroupId=group)
    for group in managed:
        found = aws.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
        aws.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=found)
    for group in managed:
        aws.ec2.delete_security_group(GroupId=group)


def test_emr_doubles_no_rule_that_has_a_description(aws, network, managed, name):
    aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("elasticmapreduce.amazonaws.com"))
    aws.iam.attach_role_policy(
        RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonElasticMapReduceRole"
    )
    ours = [{"GroupId": managed[1], "Description": "Ours"}]
    rule = {"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, "UserIdGroupPairs": ours}
    aws.ec2.authorize_security_group_ingress(GroupId=managed[0], IpPermissions=[rule])
    made = aws.emr.run_job_flow(**wanted(name, network.public, own_groups(managed), ServiceRole=name))["JobFlowId"]
    until(cluster_state(aws.emr, made), ["WAITING"])
    found = aws.ec2.describe_security_groups(GroupIds=[managed[0]])["SecurityGroups"][0]["IpPermissions"]
    pairs = [p for r in found if r["IpProtocol"] == "tcp" for p in r["UserIdGroupPairs"]]
    assert sorted((p["GroupId"] == managed[1], p.get("Description", "")) for p in pairs) == [(False, ""), (True, "Ours")]
    aws.emr.terminate_job_flows(JobFlowIds=[made])


def test_termination_protection(aws, network, name):
    made = aws.emr.run_job_flow(**wanted(name, network.public, {"TerminationProtected": True}))["JobFlowId"]
    with refused(*INVALID) as refusal:
        aws.emr.terminate_job_flows(JobFlowIds=[made])
    assert "termination protected" in refusal.message
    assert cluster_state(aws.emr, made)() not in ("TERMINATING", "TERMINATED")
    aws.emr.set_termination_protection(JobFlowIds=[made], TerminationProtected=False)
    aws.emr.terminate_job_flows(JobFlowIds=[made])
    assert until(cluster_state(aws.emr, made), ["TERMINATED"])[0] == "TERMINATING"


@passes_on_stock
def test_list_clusters_by_state(aws, name):
    made = aws.emr.run_job_flow(**wanted(name))["JobFlowId"]
    live = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]

    def ids(states):
        return [
            c["Id"]
            for p in aws.emr.get_paginator("list_clusters").paginate(ClusterStates=states)
            for c in p["Clusters"]
        ]

    assert made in ids(live) and made not in ids(["TERMINATED"])
    with refused("InvalidRequestException"):
        aws.emr.describe_cluster(ClusterId="j-1234567890ABC")


def test_clusters_are_in_the_region_they_were_made_in(cloud, aws, name):
    made = aws.emr.run_job_flow(**wanted(name))["JobFlowId"]
    assert cluster_of(aws.emr, made)["Ec2InstanceAttributes"]["Ec2AvailabilityZone"].startswith("us-west-2")
    with refused("InvalidRequestException"):
        cloud.client("emr", "us-east-1").describe_cluster(ClusterId=made)


def test_unknown_cluster_is_no_crash(aws):
    for call in (
        lambda: aws.emr.list_steps(ClusterId="j-1234567890ABC"),
        lambda: aws.emr.list_instance_groups(ClusterId="j-1234567890ABC"),
        lambda: aws.emr.terminate_job_flows(JobFlowIds=["j-1234567890ABC"]),
    ):
        with refused("InvalidRequestException"):
            call()


def test_groups_can_be_resized_and_added(aws, name):
    made = aws.emr.run_job_flow(**wanted(name))["JobFlowId"]
    until(cluster_state(aws.emr, made), ["WAITING"])
    core = next(
        g for g in aws.emr.list_instance_groups(ClusterId=made)["InstanceGroups"] if g["InstanceGroupType"] == "CORE"
    )
    aws.emr.modify_instance_groups(ClusterId=made, InstanceGroups=[{"InstanceGroupId": core["Id"], "InstanceCount": 3}])
    task = {"Name": "t", "InstanceRole": "TASK", "InstanceType": "m5.xlarge", "InstanceCount": 1}
    assert len(aws.emr.add_instance_groups(JobFlowId=made, InstanceGroups=[task])["InstanceGroupIds"]) == 1
    assert len(aws.emr.list_instances(ClusterId=made)["Instances"]) == 5
    with refused(*INVALID):
        aws.emr.add_instance_groups(JobFlowId=made, InstanceGroups=[{**task, "InstanceRole": "MASTER"}])


CONFIGURATION = {"EncryptionConfiguration": {
    "EnableInTransitEncryption": False, "EnableAtRestEncryption": True,
    "AtRestEncryptionConfiguration": {"S3EncryptionConfiguration": {"EncryptionMode": "SSE-S3"}},
}}  # fmt: skip


def test_security_configurations(aws, name):
    aws.emr.create_security_configuration(Name=name, SecurityConfiguration=json.dumps(CONFIGURATION))
    found = aws.emr.describe_security_configuration(Name=name)["SecurityConfiguration"]
    assert json.loads(found) == CONFIGURATION
    assert name in [c["Name"] for c in aws.emr.list_security_configurations()["SecurityConfigurations"]]
    for document in (json.dumps(CONFIGURATION), "{bad"):
        with refused("InvalidRequestException"):
            aws.emr.create_security_configuration(Name=name, SecurityConfiguration=document)
    aws.emr.delete_security_configuration(Name=name)
    with refused("InvalidRequestException"):
        aws.emr.describe_security_configuration(Name=name)


def test_release_labels_and_types(aws):
    labels = [r for p in (aws.emr.list_release_labels(Filters={"Prefix": "emr-5.29"}),) for r in p["ReleaseLabels"]]
    assert labels == ["emr-5.29.0"]
    found = {a["Name"]: a["Version"] for a in aws.emr.describe_release_label(ReleaseLabel="emr-5.29.0")["Applications"]}
    assert (found["Spark"], found["Hadoop"], found["Ganglia"]) == ("2.4.4", "2.8.5", "3.7.2")
    types = {
        t["Type"] for t in aws.emr.list_supported_instance_types(ReleaseLabel="emr-5.29.0")["SupportedInstanceTypes"]
    }
    assert "m5.xlarge" in types and not types & {"t2.micro", "m5.large"}
    with refused(*INVALID):
        aws.emr.describe_release_label(ReleaseLabel="emr-99.0.0")


def test_policies_need_5_30(aws, name):
    limits = {"UnitType": "Instances", "MinimumCapacityUnits": 1, "MaximumCapacityUnits": 5}
    old = aws.emr.run_job_flow(**wanted(name))["JobFlowId"]
    new = aws.emr.run_job_flow(**{**wanted(name), "ReleaseLabel": "emr-5.36.2"})["JobFlowId"]
    with refused("ValidationException"):
        aws.emr.put_auto_termination_policy(ClusterId=old, AutoTerminationPolicy={"IdleTimeout": 3600})
    with refused("ValidationException"):
        aws.emr.put_managed_scaling_policy(ClusterId=old, ManagedScalingPolicy={"ComputeLimits": limits})
    aws.emr.put_auto_termination_policy(ClusterId=new, AutoTerminationPolicy={"IdleTimeout": 3600})
    assert aws.emr.get_auto_termination_policy(ClusterId=new)["AutoTerminationPolicy"] == {"IdleTimeout": 3600}
    aws.emr.put_managed_scaling_policy(ClusterId=new, ManagedScalingPolicy={"ComputeLimits": limits})
    assert aws.emr.get_managed_scaling_policy(ClusterId=new)["ManagedScalingPolicy"]["ComputeLimits"] == limits
    aws.emr.remove_auto_termination_policy(ClusterId=new)
    assert "AutoTerminationPolicy" not in aws.emr.get_auto_termination_policy(ClusterId=new)
    aws.emr.remove_managed_scaling_policy(ClusterId=new)


def test_block_public_access_is_on_from_the_start(aws, cloud):
    emr = cloud.client("emr", "eu-west-1")
    found = emr.get_block_public_access_configuration()["BlockPublicAccessConfiguration"]
    assert found["BlockPublicSecurityGroupRules"] is True
    assert found["PermittedPublicSecurityGroupRuleRanges"] == [{"MinRange": 22, "MaxRange": 22}]
    emr.put_block_public_access_configuration(BlockPublicAccessConfiguration={"BlockPublicSecurityGroupRules": False})
    assert (
        emr.get_block_public_access_configuration()["BlockPublicAccessConfiguration"]["BlockPublicSecurityGroupRules"]
        is False
    )


def test_default_roles_can_be_required(cloud, aws, name):
    if cloud.stock:
        raise ClientError({"Error": {"Code": "Accepted"}}, "RunJobFlow")
    cloud.control("default-roles", {"default_roles": "required"})
    try:
        with refused("ValidationException") as refusal:
            aws.emr.run_job_flow(**wanted(name))
        assert refusal.message == "Invalid InstanceProfile: EMR_EC2_DefaultRole."
    finally:
        cloud.control("default-roles", {"default_roles": "assumed"})
