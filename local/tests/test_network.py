"""VPCs, subnets, gateways, routes, addresses, endpoints."""

from __future__ import annotations

import pytest
from conftest import REGION, as_dict, passes_on_stock, refused, tagged, until

NOWHERE = "0123456789abcdef0"


@passes_on_stock
def test_zones_and_regions(aws, cloud):
    zones = aws.ec2.describe_availability_zones()["AvailabilityZones"]
    assert len(zones) >= 2 and all(z["ZoneName"].startswith(REGION) for z in zones)
    assert len(aws.ec2.describe_regions()["Regions"]) > 5


@passes_on_stock
def test_vpc_reads_back_what_was_set(aws, network, name):
    vpc = aws.ec2.describe_vpcs(VpcIds=[network.vpc])["Vpcs"][0]
    assert as_dict(vpc["Tags"]) == {"stack": name} and vpc["CidrBlockAssociationSet"]
    aws.ec2.modify_vpc_attribute(VpcId=network.vpc, EnableDnsHostnames={"Value": True})
    assert aws.ec2.describe_vpc_attribute(VpcId=network.vpc, Attribute="enableDnsHostnames")["EnableDnsHostnames"][
        "Value"
    ]


@passes_on_stock
def test_vpc_filters(aws, network, name):
    def ids(*filters):
        return [v["VpcId"] for v in aws.ec2.describe_vpcs(Filters=list(filters))["Vpcs"]]

    assert ids(*network.filter) == [network.vpc]
    assert ids({"Name": "tag:stack", "Values": [name[:9] + "*"]}) == [network.vpc]
    assert ids({"Name": "tag:stack", "Values": ["nobody"]}) == []
    assert ids(*network.filter, {"Name": "cidr", "Values": ["10.99.0.0/16"]}) == []


def test_unknown_filter_is_an_error(aws):
    with refused("InvalidParameterValue"):
        aws.ec2.describe_vpcs(Filters=[{"Name": "bogus", "Values": ["x"]}])
    with refused("InvalidParameterValue"):
        aws.ec2.describe_instances(Filters=[{"Name": "bogus", "Values": ["x"]}])


@passes_on_stock
def test_vpc_errors(aws):
    with refused("InvalidVpcID.NotFound"):
        aws.ec2.describe_vpcs(VpcIds=[f"vpc-{NOWHERE}"])
    with refused("InvalidVpc.Range"):
        aws.ec2.create_vpc(CidrBlock="10.0.0.0/8")
    with refused("InvalidParameterValue"):
        aws.ec2.create_vpc(CidrBlock="10.0.0.300/16")


def test_dry_run_makes_nothing(aws):
    with refused("DryRunOperation"):
        aws.ec2.create_vpc(CidrBlock="10.31.0.0/16", DryRun=True)
    assert aws.ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.31.0.0/16"]}])["Vpcs"] == []


def test_new_vpc_has_defaults_that_cannot_be_deleted(aws, network):
    vpc = aws.ec2.create_vpc(CidrBlock="10.32.0.0/16")["Vpc"]["VpcId"]
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    groups = aws.ec2.describe_security_groups(Filters=inside)["SecurityGroups"]
    assert [g["GroupName"] for g in groups] == ["default"]
    tables = aws.ec2.describe_route_tables(Filters=inside)["RouteTables"]
    assert len(tables) == 1 and tables[0]["Associations"][0]["Main"] and tables[0]["Routes"][0]["GatewayId"] == "local"
    assert len(aws.ec2.describe_network_acls(Filters=inside)["NetworkAcls"]) == 1
    with refused("CannotDelete"):
        aws.ec2.delete_security_group(GroupId=groups[0]["GroupId"])
    with refused("DependencyViolation"):
        aws.ec2.delete_route_table(RouteTableId=tables[0]["RouteTableId"])
    aws.ec2.delete_vpc(VpcId=vpc)
    for read, field in (("describe_security_groups", "SecurityGroups"), ("describe_network_acls", "NetworkAcls")):
        assert getattr(aws.ec2, read)(Filters=inside)[field] == []


@passes_on_stock
def test_subnets(aws, network):
    found = aws.ec2.describe_subnets(Filters=network.filter)["Subnets"]
    assert {s["SubnetId"] for s in found} == {network.public, network.private}
    assert found[0]["AvailableIpAddressCount"] == 251
    for cidr, code in (("10.20.1.128/25", "InvalidSubnet.Conflict"), ("10.99.1.0/24", "InvalidSubnet.Range")):
        with refused(code):
            aws.ec2.create_subnet(VpcId=network.vpc, CidrBlock=cidr)


@passes_on_stock
def test_internet_gateway(aws, network):
    found = aws.ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [network.vpc]}])[
        "InternetGateways"
    ]
    assert [g["InternetGatewayId"] for g in found] == [network.gateway]
    with refused("Resource.AlreadyAssociated"):
        aws.ec2.attach_internet_gateway(InternetGatewayId=network.gateway, VpcId=network.vpc)
    with refused("DependencyViolation"):
        aws.ec2.delete_internet_gateway(InternetGatewayId=network.gateway)


@pytest.fixture
def nat(aws, network, name):
    address = aws.ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip", stack=name))["AllocationId"]
    made = aws.ec2.create_nat_gateway(
        SubnetId=network.public, AllocationId=address, TagSpecifications=tagged("natgateway", stack=name)
    )["NatGateway"]
    return made, address


def nat_state(aws, nat_id):
    return lambda: aws.ec2.describe_nat_gateways(NatGatewayIds=[nat_id])["NatGateways"][0]["State"]


def test_nat_gateway_becomes_available_and_lingers_when_deleted(aws, nat, network):
    made, address = nat
    assert made["State"] == "pending"
    assert until(nat_state(aws, made["NatGatewayId"]), ["available"]) == ["pending", "available"]
    found = aws.ec2.describe_nat_gateways(Filters=network.filter)["NatGateways"][0]
    where = found["NatGatewayAddresses"][0]
    assert where["PublicIp"] and where["NetworkInterfaceId"] and where["PrivateIp"].startswith("10.20.1.")
    with refused("AuthFailure", "InvalidIPAddress.InUse"):
        aws.ec2.release_address(AllocationId=address)
    aws.ec2.delete_nat_gateway(NatGatewayId=made["NatGatewayId"])
    assert until(nat_state(aws, made["NatGatewayId"]), ["deleted"])[0] == "deleting"
    assert as_dict(aws.ec2.describe_nat_gateways(NatGatewayIds=[made["NatGatewayId"]])["NatGateways"][0]["Tags"])
    aws.ec2.release_address(AllocationId=address)


def test_nat_gateway_tag_filter_leaves_others_out(aws, nat):
    assert aws.ec2.describe_nat_gateways(Filters=[{"Name": "tag:stack", "Values": ["nobody"]}])["NatGateways"] == []


def test_nat_gateway_without_internet_gateway_fails(aws, name):
    vpc = aws.ec2.create_vpc(CidrBlock="10.33.0.0/16")["Vpc"]["VpcId"]
    subnet = aws.ec2.create_subnet(VpcId=vpc, CidrBlock="10.33.1.0/24")["Subnet"]["SubnetId"]
    address = aws.ec2.allocate_address(Domain="vpc")["AllocationId"]
    made = aws.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    until(nat_state(aws, made), ["failed"])
    assert aws.ec2.describe_nat_gateways(NatGatewayIds=[made])["NatGateways"][0]["FailureCode"] == "Gateway.NotAttached"
    aws.ec2.release_address(AllocationId=address)


def test_unknown_nat_gateway(aws):
    with refused("NatGatewayNotFound"):
        aws.ec2.describe_nat_gateways(NatGatewayIds=[f"nat-{NOWHERE}"])
    with refused("NatGatewayNotFound"):
        aws.ec2.delete_nat_gateway(NatGatewayId=f"nat-{NOWHERE}")


@passes_on_stock
def test_routes(aws, network):
    table = aws.ec2.describe_route_tables(RouteTableIds=[network.table])["RouteTables"][0]
    world = [r for r in table["Routes"] if r.get("DestinationCidrBlock") == "0.0.0.0/0"][0]
    assert world["GatewayId"] == network.gateway and world["State"] == "active"
    assert [a["SubnetId"] for a in table["Associations"]] == [network.public]
    with refused("RouteAlreadyExists"):
        aws.ec2.create_route(RouteTableId=network.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=network.gateway)
    with refused("InvalidRoute.NotFound"):
        aws.ec2.delete_route(RouteTableId=network.table, DestinationCidrBlock="9.9.9.0/24")
    with refused("DependencyViolation"):
        aws.ec2.delete_route_table(RouteTableId=network.table)


def test_associations_are_checked(aws, network):
    with refused("InvalidRouteTableID.NotFound"):
        aws.ec2.associate_route_table(RouteTableId=f"rtb-{NOWHERE}", SubnetId=network.public)
    other = aws.ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    with refused("Resource.AlreadyAssociated"):
        aws.ec2.associate_route_table(RouteTableId=other, SubnetId=network.public)


def test_route_to_a_gateway_that_is_not_attached(aws, network):
    loose = aws.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    with refused("InvalidParameterValue"):
        aws.ec2.create_route(RouteTableId=network.table, DestinationCidrBlock="8.8.8.0/24", GatewayId=loose)


def test_vpc_endpoint_is_a_route_and_goes_with_it(aws, network, name):
    service = f"com.amazonaws.{REGION}.s3"
    made = aws.ec2.create_vpc_endpoint(
        VpcId=network.vpc, ServiceName=service, VpcEndpointType="Gateway", RouteTableIds=[network.table],
        TagSpecifications=tagged("vpc-endpoint", stack=name),
    )["VpcEndpoint"]  # fmt: skip
    found = aws.ec2.describe_vpc_endpoints(Filters=network.filter)["VpcEndpoints"]
    assert len(found) == 1 and found[0]["RouteTableIds"] == [network.table] and found[0]["PolicyDocument"]

    def routed() -> bool:
        routes = aws.ec2.describe_route_tables(RouteTableIds=[network.table])["RouteTables"][0]["Routes"]
        return any((r.get("GatewayId") or "") == made["VpcEndpointId"] for r in routes)

    assert routed()
    aws.ec2.modify_vpc_endpoint(VpcEndpointId=made["VpcEndpointId"], RemoveRouteTableIds=[network.table])
    assert not routed()
    aws.ec2.modify_vpc_endpoint(VpcEndpointId=made["VpcEndpointId"], AddRouteTableIds=[network.table])
    assert routed()
    assert aws.ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])["Unsuccessful"] == []
    assert not routed()
    with refused("InvalidVpcEndpointId.NotFound"):
        aws.ec2.describe_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])


def test_vpc_endpoint_of_an_unknown_service(aws, network):
    with refused("InvalidServiceName"):
        aws.ec2.create_vpc_endpoint(
            VpcId=network.vpc, ServiceName="com.amazonaws.bogus.s4", RouteTableIds=[network.table]
        )


@passes_on_stock
def test_regions_are_apart(aws, cloud, network):
    assert cloud.client("ec2", "eu-west-1").describe_vpcs(Filters=network.filter)["Vpcs"] == []


def test_max_results_and_token(aws, name):
    made = [
        aws.ec2.create_vpc(CidrBlock="10.77.0.0/16", TagSpecifications=tagged("vpc", page=name))["Vpc"]["VpcId"]
        for _ in range(6)
    ]
    mine = [{"Name": "tag:page", "Values": [name]}]
    pages = list(aws.ec2.get_paginator("describe_vpcs").paginate(Filters=mine, PaginationConfig={"PageSize": 5}))
    assert [len(p["Vpcs"]) for p in pages] == [5, 1]
    assert {v["VpcId"] for p in pages for v in p["Vpcs"]} == set(made)
    for vpc in made:
        aws.ec2.delete_vpc(VpcId=vpc)


def test_images_old_and_new_in_every_region(cloud):
    for region in ("us-west-2", "sa-east-1", "us-east-1", "eu-west-1"):
        ec2 = cloud.client("ec2", region)
        for owner, pattern in (
            ("099720109477", "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-*"),
            ("136693071363", "debian-12-amd64-*"),
            ("amazon", "al2023-ami-2023*-x86_64"),
        ):
            found = ec2.describe_images(Owners=[owner], Filters=[{"Name": "name", "Values": [pattern]}])["Images"]
            assert len({i.get("CreationDate") for i in found}) >= 2, (region, pattern)
