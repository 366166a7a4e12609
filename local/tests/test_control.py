"""The control endpoints: speed, lag, counters, injected errors, reset."""

from __future__ import annotations

import time
from urllib.error import HTTPError

import pytest
from conftest import Cloud, infra_local, launch_arguments, passes_on_stock, refused, tagged, until

strict_only = pytest.mark.strict_only


@passes_on_stock
def test_status(cloud):
    found = cloud.control("status")
    assert {"version", "speed", "lag", "stock", "uptime", "calls"} <= set(found) and found["stock"] is cloud.stock


@passes_on_stock
def test_calls_are_counted(cloud, aws, name):
    cloud.control("calls", {})
    aws.ec2.describe_vpcs()
    aws.iam.list_roles()
    aws.s3.list_buckets()
    aws.emr.list_clusters()
    found = cloud.control("calls?reset=1")["calls"]
    assert found["ec2"] == {"DescribeVpcs": 1} and found["iam"] == {"ListRoles": 1}
    assert found["s3"] == {"ListBuckets": 1} and found["elasticmapreduce"] == {"ListClusters": 1}
    assert cloud.control("calls")["total"] == 0


@passes_on_stock
@pytest.mark.parametrize(("service", "operation", "code"), [
    ("ec2", "DescribeVpcs", "UnauthorizedOperation"), ("iam", "ListRoles", "AccessDenied"),
    ("emr", "ListClusters", "AccessDeniedException"), ("s3", "ListBuckets", "AccessDenied"),
    ("sts", "GetCallerIdentity", "ExpiredToken"),
])  # fmt: skip
def test_nth_call_fails(cloud, aws, service, operation, code):
    call = {
        "DescribeVpcs": aws.ec2.describe_vpcs, "ListRoles": aws.iam.list_roles, "ListClusters": aws.emr.list_clusters,
        "ListBuckets": aws.s3.list_buckets, "GetCallerIdentity": aws.sts.get_caller_identity,
    }[operation]  # fmt: skip
    cloud.control("fail", {"operation": operation, "code": code, "message": "no <way>", "nth": 2})
    call()
    with refused(code) as refusal:
        call()
    assert refusal.message == "no <way>"
    call()


@passes_on_stock
def test_nonsense_is_refused(cloud):
    for path, given in (("speed", {"speed": "warp"}), ("nothing", {}), ("fail", {})):
        with pytest.raises(HTTPError) as error:
            cloud.control(path, given)
        assert error.value.code in (400, 404)


@strict_only
def test_instant_is_over_by_the_next_call(cloud, aws, network, name):
    cloud.control("speed", {"speed": "instant"})
    try:
        address = aws.ec2.allocate_address(Domain="vpc")["AllocationId"]
        made = aws.ec2.create_nat_gateway(SubnetId=network.public, AllocationId=address)["NatGateway"]
        assert made["State"] == "pending"
        found = aws.ec2.describe_nat_gateways(NatGatewayIds=[made["NatGatewayId"]])["NatGateways"][0]
        assert found["State"] == "available"
    finally:
        cloud.control("speed", {"speed": "fast"})


@strict_only
def test_describes_lag_behind_creates(cloud, aws, name):
    cloud.control("lag", {"lag": 0.6})
    try:
        made = aws.ec2.create_vpc(CidrBlock="10.50.0.0/16", TagSpecifications=tagged("vpc", stack=name))["Vpc"]["VpcId"]
        mine = [{"Name": "tag:stack", "Values": [name]}]
        assert aws.ec2.describe_vpcs(Filters=mine)["Vpcs"] == []
        with refused("InvalidVpcID.NotFound"):
            aws.ec2.describe_vpcs(VpcIds=[made])
        aws.ec2.create_subnet(VpcId=made, CidrBlock="10.50.1.0/24")  # what acts on it is not affected
        until(lambda: len(aws.ec2.describe_vpcs(Filters=mine)["Vpcs"]), [1], 3)
        assert aws.ec2.describe_vpcs(VpcIds=[made])["Vpcs"]
    finally:
        cloud.control("lag", {"lag": 0})


@strict_only
def test_new_profile_reaches_ec2_after_the_lag(cloud, aws, network, image, name):
    cloud.control("lag", {"lag": 0.6})
    try:
        aws.iam.create_instance_profile(InstanceProfileName=name)
        wanted = launch_arguments(network, image, name, IamInstanceProfile={"Name": name})
        with refused("InvalidParameterValue") as refusal:
            aws.ec2.run_instances(**wanted)
        assert "Invalid IAM Instance Profile name" in refusal.message
        time.sleep(0.7)
        aws.ec2.run_instances(**wanted)
    finally:
        cloud.control("lag", {"lag": 0})


@strict_only
def test_reset_empties_the_account(tmp_path):
    known = infra_local("up", "--port", "0", "--speed", "instant", home=tmp_path)
    try:
        own = Cloud(known["endpoint"], tmp_path, False)
        ec2 = own.client("ec2")
        ec2.create_vpc(CidrBlock="10.51.0.0/16")
        own.client("iam").create_user(UserName="u")
        own.control("reset", {})
        assert [v["IsDefault"] for v in ec2.describe_vpcs()["Vpcs"]] == [True]
        assert own.client("iam").list_users()["Users"] == []
    finally:
        infra_local("down", home=tmp_path)
