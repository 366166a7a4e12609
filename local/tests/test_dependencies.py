"""DependencyViolation: every delete that AWS refuses, and the order in which it lets everything go."""

from __future__ import annotations

from conftest import REGION, launch_arguments, passes_on_stock, refused, state_of, until


def test_vpc_with_each_kind_of_child(aws, name):
    ec2 = aws.ec2
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]

    def stays() -> None:
        with refused("DependencyViolation") as refusal:
            ec2.delete_vpc(VpcId=vpc)
        assert "has dependencies and cannot be deleted" in refusal.message

    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    stays()
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    group = ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"]
    stays()
    ec2.delete_security_group(GroupId=group)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    stays()
    endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3", RouteTableIds=[table])[
        "VpcEndpoint"
    ]["VpcEndpointId"]
    stays()
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    ec2.delete_route_table(RouteTableId=table)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.40.1.0/24")["Subnet"]["SubnetId"]
    stays()
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


def test_subnet_with_an_interface(aws, network):
    eni = aws.ec2.create_network_interface(SubnetId=network.private)["NetworkInterface"]["NetworkInterfaceId"]
    with refused("DependencyViolation"):
        aws.ec2.delete_subnet(SubnetId=network.private)
    aws.ec2.delete_network_interface(NetworkInterfaceId=eni)
    aws.ec2.delete_subnet(SubnetId=network.private)


def test_instance_holds_subnet_group_and_interface(aws, network, running):
    with refused("DependencyViolation"):
        aws.ec2.delete_subnet(SubnetId=network.public)
    with refused("DependencyViolation") as refusal:
        aws.ec2.delete_security_group(GroupId=network.group)
    assert refusal.message == f"resource {network.group} has a dependent object"
    eni = aws.ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": [running]}])[
        "NetworkInterfaces"
    ]
    with refused("InvalidParameterValue", "InvalidNetworkInterface.InUse"):
        aws.ec2.delete_network_interface(NetworkInterfaceId=eni[0]["NetworkInterfaceId"])
    aws.ec2.terminate_instances(InstanceIds=[running])
    until(state_of(aws.ec2, running), ["terminated"])
    aws.ec2.delete_security_group(GroupId=network.group)
    aws.ec2.delete_subnet(SubnetId=network.public)


def test_group_that_another_group_refers_to(aws, network, name):
    other = aws.ec2.create_security_group(GroupName=f"{name}-b", Description="d", VpcId=network.vpc)["GroupId"]
    rule = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": other}]}]
    aws.ec2.authorize_security_group_ingress(GroupId=network.group, IpPermissions=rule)
    with refused("DependencyViolation"):
        aws.ec2.delete_security_group(GroupId=other)
    aws.ec2.revoke_security_group_ingress(GroupId=network.group, IpPermissions=rule)
    aws.ec2.delete_security_group(GroupId=other)


@passes_on_stock
def test_group_may_refer_to_itself(aws, network):
    rule = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": network.group}]}]
    aws.ec2.authorize_security_group_ingress(GroupId=network.group, IpPermissions=rule)
    aws.ec2.delete_security_group(GroupId=network.group)
    with refused("InvalidGroup.NotFound"):
        aws.ec2.describe_security_groups(GroupIds=[network.group])


def test_gateway_with_mapped_addresses_stays_attached(aws, network, image, name):
    aws.ec2.modify_subnet_attribute(SubnetId=network.public, MapPublicIpOnLaunch={"Value": True})
    made = aws.ec2.run_instances(**launch_arguments(network, image, name))["Instances"][0]["InstanceId"]
    until(state_of(aws.ec2, made), ["running"])
    with refused("DependencyViolation") as refusal:
        aws.ec2.detach_internet_gateway(InternetGatewayId=network.gateway, VpcId=network.vpc)
    assert "mapped public address" in refusal.message
    aws.ec2.terminate_instances(InstanceIds=[made])
    until(state_of(aws.ec2, made), ["terminated"])
    aws.ec2.detach_internet_gateway(InternetGatewayId=network.gateway, VpcId=network.vpc)


def test_address_in_use(aws, running):
    address = aws.ec2.allocate_address(Domain="vpc")
    association = aws.ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=running)["AssociationId"]
    with refused("InvalidIPAddress.InUse"):
        aws.ec2.release_address(AllocationId=address["AllocationId"])
    aws.ec2.disassociate_address(AssociationId=association)
    aws.ec2.release_address(AllocationId=address["AllocationId"])
    with refused("InvalidAllocationID.NotFound"):
        aws.ec2.release_address(AllocationId=address["AllocationId"])


@passes_on_stock
def test_deleting_a_key_pair_twice_is_fine(aws, name):
    aws.ec2.create_key_pair(KeyName=name, KeyType="ed25519")
    aws.ec2.delete_key_pair(KeyName=name)
    aws.ec2.delete_key_pair(KeyName=name)


def test_ordered_teardown_leaves_nothing(aws, network, running, name):
    ec2 = aws.ec2
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=network.public, AllocationId=address)["NatGateway"]["NatGatewayId"]

    def nat_state():
        return ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"][0]["State"]

    until(nat_state, ["available"])
    private_table = ec2.create_route_table(VpcId=network.vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=private_table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
    private = ec2.associate_route_table(RouteTableId=private_table, SubnetId=network.private)["AssociationId"]
    with refused("DependencyViolation"):
        ec2.delete_subnet(SubnetId=network.public)
    answer = ec2.terminate_instances(InstanceIds=[running])["TerminatingInstances"][0]
    assert answer["CurrentState"]["Name"] == "shutting-down"
    until(state_of(ec2, running), ["terminated"])
    assert ec2.describe_volumes(Filters=network.filter)["Volumes"] == []
    ec2.delete_nat_gateway(NatGatewayId=nat)
    until(nat_state, ["deleted"])
    ec2.release_address(AllocationId=address)
    for association, table in ((network.association, network.table), (private, private_table)):
        ec2.disassociate_route_table(AssociationId=association)
        ec2.delete_route_table(RouteTableId=table)
    ec2.detach_internet_gateway(InternetGatewayId=network.gateway, VpcId=network.vpc)
    ec2.delete_internet_gateway(InternetGatewayId=network.gateway)
    ec2.delete_security_group(GroupId=network.group)
    ec2.delete_subnet(SubnetId=network.public)
    ec2.delete_subnet(SubnetId=network.private)
    ec2.delete_vpc(VpcId=network.vpc)
    for read, field in (("describe_vpcs", "Vpcs"), ("describe_subnets", "Subnets"), ("describe_route_tables", "RouteTables"),
                        ("describe_security_groups", "SecurityGroups"), ("describe_internet_gateways", "InternetGateways")):  # fmt: skip
        assert getattr(ec2, read)(Filters=network.filter)[field] == []
    assert state_of(ec2, running)() == "terminated"
    left = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["stack"]}, {"Name": "value", "Values": [name]}])[
        "Tags"
    ]
    assert {t["ResourceId"] for t in left} == {running}
