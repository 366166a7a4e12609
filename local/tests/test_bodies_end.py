"""The hosts' end: whoever ends them, and however, nothing of them is left on this machine."""

from __future__ import annotations

import json
import os
import signal

import pytest
from conftest import infra_local, until
from hosts import Traces, World, links, start

from infra_local.daemon import find

pytestmark = pytest.mark.strict_only


@pytest.fixture
def project(tmp_path):
    yield tmp_path / "home"
    infra_local("down", home=tmp_path / "home")


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [int(child) for child in children.read().split()]


def test_down_leaves_nothing_and_up_brings_the_hosts_back(project, tmp_path):
    before = links()
    world = World(start(project), tmp_path)
    world.until(world.bastion, "running")
    keys = world.host_keys(world.bastion)
    world.ssh("ubuntu", world.bastion, "touch written")
    traces = Traces(project)
    assert infra_local("down", home=project) == {"stopped": True, "hosts": True}
    assert traces.left() == {} and links() == before
    assert infra_local("down", home=project) == {"stopped": False, "hosts": False}

    world.cloud = start(project)
    world.ec2 = world.cloud.client("ec2")
    assert sorted(world.hosts["ready"]) == sorted([world.bastion, world.debian, world.amazon])
    assert world.host_keys(world.bastion) == keys, "whoever pinned them is not alarmed"
    assert world.ssh("ubuntu", world.bastion, "ls") == "", "its disk is a new one"

    world.cloud.control("reset", {})
    until(lambda: list((project / "host-keys").iterdir()), [[]])
    assert world.hosts["ready"] == world.hosts["starting"] == []


@pytest.mark.parametrize("victim", ["keeper", "init", "supervisor", "daemon"])
def test_whoever_is_killed_nothing_is_left(project, tmp_path, victim):
    world = World(start(project), tmp_path)
    world.until(world.bastion, "running")
    traces = Traces(project)
    record = json.loads((project / "hosts.json").read_text())
    # In the order in which they are started, the supervisor is init's first child.
    supervisor = min(_children(record["init"]))
    pids = {"keeper": record["pid"], "init": record["init"], "supervisor": supervisor, "daemon": find(project)["pid"]}
    os.kill(pids[victim], signal.SIGKILL)
    if victim == "keeper":
        # Its files are the only thing that nobody else removes; the next `up` or `down` does.
        until(lambda: set(traces.left()) <= {"files"}, [True])
    else:
        traces.until_nothing_is_left()
    if victim != "daemon":
        until(lambda: world.hosts, [None])
        assert "Linux version" in world.ec2.get_console_output(InstanceId=world.bastion)["Output"]
    world.cloud = start(project)
    world.ec2 = world.cloud.client("ec2")
    assert world.ssh("ubuntu", world.bastion, "id -un") == "ubuntu"
