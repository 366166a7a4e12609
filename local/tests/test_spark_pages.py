"""With `--hosts --spark` a master shows its pages: Spark's own history server, and stand-ins that say what they are."""

from __future__ import annotations

import json

import hosts
import pytest
import spark
from conftest import infra_local, instance_of, until
from test_bodies_nodes import nodes_of, run_cluster
from test_emr import cluster_state

pytestmark = pytest.mark.strict_only


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    base = tmp_path_factory.mktemp("pages")
    home = base / "local"
    # Each says why it cannot be; the second finds the daemon of the first.
    hosts.start(home)
    try:
        world = hosts.World(spark.start(home, "--hosts"), base)
        world.route_privately()
        spark.fill(world.cloud)
        yield world
    finally:
        infra_local("down", home=home)


@pytest.fixture(scope="module")
def steps(world):
    made = spark.Steps(world.cloud, run_cluster(world, LogUri=f"s3://{spark.BUCKET}/logs/"))
    until(cluster_state(made.emr, made.cluster), ["WAITING"], 90)
    return made


@pytest.fixture(scope="module")
def master(world, steps):
    (node,) = nodes_of(world, steps.cluster, "MASTER")
    return node


def page(world, node: str, address: str) -> tuple[int, str]:
    """What a page answers, asked from the node; 0 where nobody does."""
    said = world.try_ssh("hadoop", node, f"curl -s -m 20 -w '\\n%{{http_code}}' http://{address}").stdout
    text, _, code = said.strip().rpartition("\n")
    return int(code), text


def test_the_history_server_lists_what_ran(world, steps, master):
    until(lambda: page(world, master, "localhost:18080/api/v1/applications"), [(200, "[ ]")], 60)
    read, write = f"s3://{spark.BUCKET}/raw/", f"s3://{spark.BUCKET}/out/"
    (made,) = steps.add(spark.submit("counts.py", read, write, options=("--name", "word count")))
    assert steps.until(made, "COMPLETED", "FAILED")[-1] == "COMPLETED"
    # By its name, as the master and nobody else answers to it.
    name = instance_of(world.ec2, master)["PrivateDnsName"]

    def listed() -> list:
        code, text = page(world, master, f"{name}:18080/api/v1/applications")
        return [(a["name"], a["attempts"][0]["completed"]) for a in json.loads(text)] if code == 200 else [code]

    until(listed, [[("word count", True)]], 30)
    code, text = page(world, master, f"{name}:18080/")
    assert code == 200 and "History Server" in text and "3.5.6" in text


def test_pages_are_those_of_the_clusters_applications(world, master):
    found = {port: page(world, master, f"localhost:{port}") for port in (8890, "80/ganglia/", "8088/cluster", 50070)}
    assert {code for code, _ in found.values()} == {200}
    for port, name in ((8890, "Zeppelin"), ("80/ganglia/", "Ganglia"), (50070, "HDFS&#x27;s NameNode")):
        assert f"<h1>{name}</h1>" in found[port][1] and "runs no page of a cluster but" in found[port][1]
    assert page(world, master, "localhost:80/")[0] == 302, "Ganglia's is below its own path"
    # Nobody asked for Hue or Livy.
    for port in (8888, 8998):
        assert world.try_ssh("hadoop", master, f"curl -s -m 5 localhost:{port}").returncode == 7


def test_yarn_tells_what_runs(world, steps, master):
    apps = "localhost:8088/ws/v1/cluster/apps"
    assert page(world, master, apps) == (200, '{"apps": null}\n')
    (made,) = steps.add(spark.submit("waits.py"))
    steps.until(made, "RUNNING")
    code, text = page(world, master, f"{apps}?states=RUNNING,ACCEPTED")
    assert code == 200 and [a["name"] for a in json.loads(text)["apps"]["app"]] == ["waits.py"]
    steps.emr.cancel_steps(ClusterId=steps.cluster, StepIds=[made], StepCancellationOption="TERMINATE_PROCESS")
    until(lambda: page(world, master, apps), [(200, '{"apps": null}\n')], 30)


def test_pages_are_reached_from_inside_alone(world, master):
    address = instance_of(world.ec2, master)["PrivateIpAddress"]
    assert "unreachable" in world.knock(address, 18080)
    # Its group lets ssh in from the bastion and nothing else.
    probe = f"timeout 3 bash -c 'echo >/dev/tcp/{address}/18080' 2>/dev/null && echo open || echo closed"
    assert world.ssh("ubuntu", world.bastion, probe) == "closed"


def test_pages_come_back_after_a_reboot(world, master):
    world.ssh("hadoop", master, "sudo touch /run/before")
    world.ec2.reboot_instances(InstanceIds=[master])
    answers = "curl -s -o /dev/null -m 5 -w '%{http_code}' localhost:18080/api/v1/applications"
    ask = f"test ! -e /run/before && systemctl is-system-running && {answers}"
    until(lambda: world.try_ssh("hadoop", master, ask).stdout.split(), [["running", "200"]], 90)
