"""A cloud of their own for the tests: a daemon on a free port, with a home that goes away."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import SimpleNamespace
from urllib.request import ProxyHandler, Request, build_opener

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

PACKAGE = Path(__file__).resolve().parent.parent
# The package under test is the one beside the tests, installed nowhere.
sys.path.insert(0, str(PACKAGE))
REGION = "us-west-2"

# Put on the tests that stock moto passes as well; all others are about what moto gets wrong.
passes_on_stock = pytest.mark.passes_on_stock


def pytest_addoption(parser):
    parser.addoption("--stock", action="store_true", help="against unmodified moto, the tests that it passes")
    parser.addoption("--prove", action="store_true", help="with --stock: also run the others, which must fail")


def pytest_configure(config):
    config.addinivalue_line("markers", "passes_on_stock: stock moto behaves like AWS here too")
    config.addinivalue_line("markers", "strict_only: needs what stock moto's server does not have")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--stock"):
        return
    kept, dropped = [], []
    for item in items:
        if item.get_closest_marker("passes_on_stock"):
            kept.append(item)
        elif config.getoption("--prove") and not item.get_closest_marker("strict_only"):
            item.add_marker(pytest.mark.xfail(strict=True, reason="stock moto deviates from AWS here"))
            kept.append(item)
        else:
            dropped.append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


def infra_local(*arguments: str, home: Path) -> dict:
    """Run the command line; its JSON answer."""
    done = subprocess.run(
        [sys.executable, "-m", "infra_local", *arguments, "--home", str(home)],
        cwd=PACKAGE, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Cloud:
    def __init__(self, endpoint: str, home: Path, stock: bool) -> None:
        self.endpoint, self.home, self.stock = endpoint, home, stock

    def client(self, service: str, region: str = REGION, account: str = "AKIAIOSFODNN7EXAMPLE", **kwargs):
        config = Config(
            retries={"max_attempts": 0}, s3={"addressing_style": "path"}, max_pool_connections=40, connect_timeout=5
        )
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=region, aws_access_key_id=account,
            aws_secret_access_key=kwargs.get("secret", "none"), aws_session_token=kwargs.get("token"), config=config,
        )  # fmt: skip

    def control(self, path: str, given: dict | None = None) -> dict:
        data = None if given is None else json.dumps(given).encode()
        request = Request(
            f"{self.endpoint}/infra-local/{path}", data=data, headers={"Content-Type": "application/json"}
        )
        with build_opener(ProxyHandler({})).open(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def cloud(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("cloud")
    stock = request.config.getoption("--stock")
    known = infra_local("up", "--port", "0", "--speed", "fast", *(["--stock"] if stock else []), home=home)
    yield Cloud(known["endpoint"], home, stock)
    infra_local("down", home=home)


@pytest.fixture(scope="session")
def aws(cloud):
    names = ("ec2", "s3", "iam", "emr", "kms", "sts", "ssm", "resourcegroupstaggingapi")
    return SimpleNamespace(**{name: cloud.client(name) for name in names})


@pytest.fixture
def name():
    return f"t-{uuid.uuid4().hex[:10]}"


def refused(*codes: str):
    """The block must fail with one of AWS's codes."""
    return _Refused(codes)


class _Refused:
    def __init__(self, codes: tuple[str, ...]) -> None:
        self.codes, self.message = codes, ""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _traceback) -> bool:
        assert error is not None, f"accepted, AWS answers {self.codes[0]}"
        if not isinstance(error, ClientError):
            return False
        code = error.response["Error"]["Code"]
        assert code in self.codes, f"{code}, AWS answers {self.codes[0]}: {error}"
        self.message = error.response["Error"]["Message"]
        return True


def until(read, wanted, seconds: float = 8.0):
    """Read until it is one of the wanted values; all that was seen, in order."""
    seen, end = [], time.time() + seconds
    while True:
        value = read()
        if not seen or seen[-1] != value:
            seen.append(value)
        if value in wanted or time.time() > end:
            assert value in wanted, f"saw {seen}"
            return seen
        time.sleep(0.05)


def tags(**pairs: str) -> list[dict]:
    return [{"Key": k, "Value": v} for k, v in pairs.items()]


def tagged(kind: str, **pairs: str) -> list[dict]:
    return [{"ResourceType": kind, "Tags": tags(**pairs)}]


def as_dict(rows) -> dict:
    return {t["Key"]: t["Value"] for t in rows or []}


@pytest.fixture
def network(aws, name):
    """A VPC with a public and a private subnet, a gateway, a routed table and a group, all tagged with the name."""
    ec2 = aws.ec2
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16", TagSpecifications=tagged("vpc", stack=name))["Vpc"]["VpcId"]
    public = _subnet(ec2, vpc, "10.20.1.0/24", "a", name)
    private = _subnet(ec2, vpc, "10.20.2.0/24", "b", name)
    gateway = ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway", stack=name))["InternetGateway"][
        "InternetGatewayId"
    ]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=tagged("route-table", stack=name))["RouteTable"][
        "RouteTableId"
    ]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    association = ec2.associate_route_table(RouteTableId=table, SubnetId=public)["AssociationId"]
    group = ec2.create_security_group(
        GroupName=f"{name}-a", Description="d", VpcId=vpc, TagSpecifications=tagged("security-group", stack=name)
    )["GroupId"]
    return SimpleNamespace(
        vpc=vpc, public=public, private=private, gateway=gateway, table=table, association=association, group=group,
        filter=[{"Name": "tag:stack", "Values": [name]}],
    )  # fmt: skip


def _subnet(ec2, vpc: str, cidr: str, zone: str, name: str) -> str:
    return ec2.create_subnet(
        VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{REGION}{zone}", TagSpecifications=tagged("subnet", stack=name)
    )["Subnet"]["SubnetId"]


@pytest.fixture(scope="session")
def image(aws):
    found = aws.ec2.describe_images(
        Owners=["amazon"], Filters=[{"Name": "name", "Values": ["al2023-ami-2023*x86_64"]}]
    )["Images"]
    return max(found, key=lambda i: i.get("CreationDate", ""))["ImageId"]


def launch_arguments(network, image: str, name: str, **more) -> dict:
    return {
        "ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "SubnetId": network.public,
        "SecurityGroupIds": [network.group],
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True}}],
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
        "TagSpecifications": tagged("instance", stack=name) + tagged("volume", stack=name), **more,
    }  # fmt: skip


def instance_of(ec2, instance_id: str) -> dict:
    return ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def state_of(ec2, instance_id: str):
    return lambda: instance_of(ec2, instance_id)["State"]["Name"]


@pytest.fixture
def running(aws, network, image, name):
    """A running instance in the public subnet."""
    made = aws.ec2.run_instances(**launch_arguments(network, image, name))["Instances"][0]["InstanceId"]
    until(state_of(aws.ec2, made), ["running"])
    return made


def trust(service: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        }
    )


READ = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}]}
)
