"""ClientToken: the same call again makes nothing new; other parameters are refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from conftest import REGION, launch_arguments, passes_on_stock, refused


def test_run_instances(aws, network, image, name):
    first = aws.ec2.run_instances(**launch_arguments(network, image, name, ClientToken=name))["Instances"][0]
    again = aws.ec2.run_instances(**launch_arguments(network, image, name, ClientToken=name))["Instances"][0]
    assert again["InstanceId"] == first["InstanceId"] and first["ClientToken"] == name
    with refused("IdempotentParameterMismatch"):
        aws.ec2.run_instances(**launch_arguments(network, image, name, ClientToken=name, InstanceType="t3.large"))


def test_sixteen_at_once_make_one(aws, network, image, name):
    wanted = launch_arguments(network, image, name, ClientToken=name)
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: aws.ec2.run_instances(**wanted)["Instances"][0]["InstanceId"], range(16)))
    assert len(set(made)) == 1


def test_nat_gateway(aws, network, name):
    address = aws.ec2.allocate_address(Domain="vpc")["AllocationId"]
    wanted = {"SubnetId": network.public, "AllocationId": address, "ClientToken": name}
    made = {aws.ec2.create_nat_gateway(**wanted)["NatGateway"]["NatGatewayId"] for _ in range(3)}
    assert len(made) == 1


def test_route_table(aws, network, name):
    made = {
        aws.ec2.create_route_table(VpcId=network.vpc, ClientToken=name)["RouteTable"]["RouteTableId"] for _ in range(2)
    }
    assert len(made) == 1


def test_vpc_endpoint(aws, network, name):
    wanted = {
        "VpcId": network.vpc,
        "ServiceName": f"com.amazonaws.{REGION}.s3",
        "RouteTableIds": [network.table],
        "ClientToken": name,
    }
    made = {aws.ec2.create_vpc_endpoint(**wanted)["VpcEndpoint"]["VpcEndpointId"] for _ in range(2)}
    assert len(made) == 1


def test_volume(aws, name):
    wanted = {"AvailabilityZone": f"{REGION}a", "Size": 1, "ClientToken": name}
    assert len({aws.ec2.create_volume(**wanted)["VolumeId"] for _ in range(2)}) == 1
    with refused("IdempotentParameterMismatch"):
        aws.ec2.create_volume(**{**wanted, "Size": 2})


@passes_on_stock
def test_the_token_is_free_again_when_its_object_is_gone(aws, network, name):
    first = aws.ec2.create_route_table(VpcId=network.vpc, ClientToken=name)["RouteTable"]["RouteTableId"]
    aws.ec2.delete_route_table(RouteTableId=first)
    assert aws.ec2.create_route_table(VpcId=network.vpc, ClientToken=name)["RouteTable"]["RouteTableId"] != first
