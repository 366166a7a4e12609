"""A cluster's nodes are hosts: in their subnet and groups, with EMR's login, known by name inside their VPC."""

from __future__ import annotations

import pytest
from conftest import infra_local, instance_of, until
from hosts import World, start
from test_emr import cluster_of, cluster_state

pytestmark = pytest.mark.strict_only

KEEP = "KeepJobFlowAliveWhenNoSteps"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    base = tmp_path_factory.mktemp("nodes")
    cloud = start(base / "local")
    world = World(cloud, base)
    world.route_privately()
    for instance in (world.bastion, world.debian, world.amazon):
        world.until(instance, "running")
    yield world
    infra_local("down", home=cloud.home)


def run_cluster(world, core: int = 1, **more) -> str:
    groups = [
        {"Name": "m", "InstanceRole": "MASTER", "InstanceType": "m5.xlarge", "InstanceCount": 1},
        {"Name": "c", "InstanceRole": "CORE", "InstanceType": "m5.xlarge", "InstanceCount": core},
    ]
    instances = {
        "InstanceGroups": groups, KEEP: True, "Ec2SubnetId": world.private, "Ec2KeyName": "user",
        "EmrManagedMasterSecurityGroup": world.inner, "EmrManagedSlaveSecurityGroup": world.inner,
        "ServiceAccessSecurityGroup": world.open,
    }  # fmt: skip
    emr = world.cloud.client("emr")
    return emr.run_job_flow(
        Name="c", ReleaseLabel="emr-5.29.0", ServiceRole="EMR_DefaultRole", JobFlowRole="EMR_EC2_DefaultRole",
        Applications=[{"Name": n} for n in ("Spark", "Ganglia", "Zeppelin")], Instances=instances, **more,
    )["JobFlowId"]  # fmt: skip


def nodes_of(world, cluster: str, role: str = "*") -> list[str]:
    prefix = "tag:aws:elasticmapreduce:"
    pairs = (
        (f"{prefix}job-flow-id", cluster),
        (f"{prefix}instance-group-role", role),
        ("instance-state-name", "running"),
    )
    filters = [{"Name": name, "Values": [value]} for name, value in pairs]
    found = world.ec2.describe_instances(Filters=filters)["Reservations"]
    return [i["InstanceId"] for r in found for i in r["Instances"]]


@pytest.fixture(scope="module")
def cluster(world):
    emr = world.cloud.client("emr")
    made = run_cluster(world)
    seen = until(cluster_state(emr, made), ["WAITING"], 90)
    assert seen == ["STARTING", "BOOTSTRAPPING", "WAITING"]
    return made


def test_a_cluster_is_ready_when_its_nodes_answer(world, cluster):
    nodes = nodes_of(world, cluster)
    assert len(nodes) == 2 and set(nodes) <= set(world.hosts["ready"])


def test_the_master_is_reached_through_the_bastion_as_hadoop(world, cluster):
    (master,) = nodes_of(world, cluster, "MASTER")
    known = instance_of(world.ec2, master)
    assert known["PrivateIpAddress"].startswith("10.30.1.") and "PublicIpAddress" not in known
    assert "unreachable" in world.knock(known["PrivateIpAddress"], 22)
    said = world.ssh("hadoop", master, "id -un; sudo -n id -un; cat /etc/hostname; hostname -f").splitlines()
    assert said == ["hadoop", "root", known["PrivateDnsName"], known["PrivateDnsName"]]
    assert world.try_ssh("ec2-user", master, "true").returncode == 255
    described = cluster_of(world.cloud.client("emr"), cluster)
    assert described["MasterPublicDnsName"] == known["PrivateDnsName"]
    dashed = known["PrivateIpAddress"].replace(".", "-")
    assert known["PrivateDnsName"] == f"ip-{dashed}.us-west-2.compute.internal"
    listed = world.cloud.client("emr").list_instances(ClusterId=cluster, InstanceGroupTypes=["MASTER"])["Instances"]
    assert [i["PrivateDnsName"] for i in listed] == [known["PrivateDnsName"]]


def test_names_are_known_inside_the_vpc(world, cluster):
    (master,), (core,) = nodes_of(world, cluster, "MASTER"), nodes_of(world, cluster, "CORE")
    bastion = instance_of(world.ec2, world.bastion)
    look = "getent ahostsv4 {} | head -1 | cut -d' ' -f1"
    for asking, login in ((world.bastion, "ubuntu"), (core, "hadoop")):
        for instance in (master, core, world.bastion):
            known = instance_of(world.ec2, instance)
            said = world.ssh(login, asking, look.format(known["PrivateDnsName"]))
            assert said == known["PrivateIpAddress"]
        short = instance_of(world.ec2, master)
        name = short["PrivateDnsName"].split(".")[0]
        assert world.ssh(login, asking, look.format(name)) == short["PrivateIpAddress"], "the search domain"
        assert (
            world.ssh(login, asking, f"getent hosts {short['PrivateIpAddress']}").split()[1] == short["PrivateDnsName"]
        )
    # Inside, a public name is a private address.
    said = world.ssh("hadoop", core, look.format(bastion["PublicDnsName"]))
    assert said == bastion["PrivateIpAddress"] != bastion["PublicIpAddress"]
    assert world.try_ssh("ubuntu", world.bastion, "getent hosts nobody.us-west-2.compute.internal").returncode == 2


def test_resizing_and_the_end_take_hosts_along(world, cluster):
    emr = world.cloud.client("emr")
    groups = emr.list_instance_groups(ClusterId=cluster)["InstanceGroups"]
    (core,) = [g["Id"] for g in groups if g["InstanceGroupType"] == "CORE"]
    emr.modify_instance_groups(InstanceGroups=[{"InstanceGroupId": core, "InstanceCount": 6}])
    until(lambda: len(nodes_of(world, cluster, "CORE")), [6], 60)
    # Of many nodes the first few are hosts.
    hosts = lambda: [i for i in nodes_of(world, cluster) if i in world.hosts["ready"]]  # noqa: E731
    until(lambda: len(hosts()), [5], 60)
    emr.modify_instance_groups(InstanceGroups=[{"InstanceGroupId": core, "InstanceCount": 1}])
    until(lambda: len(hosts()), [2], 60)
    nodes = nodes_of(world, cluster)
    emr.terminate_job_flows(JobFlowIds=[cluster])
    until(cluster_state(emr, cluster), ["TERMINATED"], 30)
    until(lambda: set(nodes) & set(world.hosts["ready"] + world.hosts["starting"]), [set()], 30)
