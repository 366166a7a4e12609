"""What the tests of the hosts need: a cloud with hosts, ssh to them, and what they leave on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PACKAGE, Cloud, instance_of, state_of, tagged, until

from infra_local.bodies.places import Places

PROXY = Path(__file__).with_name("through_gateway.py")
REQUIRED = os.environ.get("INFRA_TEST_HOSTS") == "required" or os.environ.get("CI") == "true"


def start(home: Path) -> Cloud:
    """`up --hosts`; skips where this machine cannot, unless hosts are required."""
    done = subprocess.run(
        [sys.executable, "-m", "infra_local", "up", "--hosts", "--port", "0", "--home", str(home)],
        cwd=PACKAGE, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    if "error" in told:
        reason = f"no hosts here ({told['error']}): {told['message']}"
        if told["error"] in ("not-linux", "not-root", "no-program", "kernel") and not REQUIRED:
            pytest.skip(reason)
        pytest.fail(reason)
    return Cloud(told["endpoint"], home, False)


class World:
    """A VPC with a host in its public subnet and two in its private one."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud, self.folder, self.ec2 = cloud, folder, cloud.client("ec2")
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        ec2 = self.ec2
        ec2.import_key_pair(KeyName="user", PublicKeyMaterial=self.key.with_suffix(".pub").read_bytes())
        self.vpc = ec2.create_vpc(CidrBlock="10.30.0.0/16")["Vpc"]["VpcId"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.public = self._subnet("10.30.0.0/24")
        self.private = self._subnet("10.30.1.0/24")
        table = ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
        ec2.associate_route_table(RouteTableId=table, SubnetId=self.public)
        self.pinned: dict[str, list[str]] = {}
        ec2.modify_subnet_attribute(SubnetId=self.public, MapPublicIpOnLaunch={"Value": True})
        self.open = self._group("open", CidrIp="203.0.113.0/24")
        self.inner = self._group("inner")
        source = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": self.open}]}
        ec2.authorize_security_group_ingress(GroupId=self.inner, IpPermissions=[source])
        self.bastion = self.launch(self.public, self.open, "ubuntu/images/*22.04*", UserData=USER_DATA)
        self.debian = self.launch(self.private, self.inner, "debian-12-*")
        self.amazon = self.launch(self.private, self.inner, "al2023-ami-2023*x86_64")

    def _subnet(self, cidr: str) -> str:
        return self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr)["Subnet"]["SubnetId"]

    def route_privately(self) -> None:
        """Give the private subnet a way out, as EMR insists on one."""
        address = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = self.ec2.create_nat_gateway(SubnetId=self.public, AllocationId=address)["NatGateway"]["NatGatewayId"]
        table = self.ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=self.private)

    def _group(self, name: str, **ssh_from) -> str:
        group = self.ec2.create_security_group(GroupName=name, Description="d", VpcId=self.vpc)["GroupId"]
        if ssh_from:
            self.ec2.authorize_security_group_ingress(
                GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, **ssh_from
            )
        return group

    def launch(self, subnet: str, group: str, image: str, **more) -> str:
        found = self.ec2.describe_images(Filters=[{"Name": "name", "Values": [image]}])["Images"]
        made = self.ec2.run_instances(
            ImageId=found[0]["ImageId"], InstanceType="t3.micro", MinCount=1, MaxCount=1, SubnetId=subnet, KeyName="user",
            SecurityGroupIds=[group], TagSpecifications=tagged("instance", test="hosts"), **more,
        )["Instances"][0]  # fmt: skip
        assert made["State"]["Name"] == "pending"
        return made["InstanceId"]

    def until(self, instance: str, state: str, seconds: float = 60) -> list[str]:
        return until(state_of(self.ec2, instance), [state], seconds)

    def address(self, instance: str) -> str:
        known = instance_of(self.ec2, instance)
        return known.get("PublicIpAddress") or known["PrivateIpAddress"]

    @property
    def hosts(self) -> dict:
        return self.cloud.control("status")["hosts"]

    def host_keys(self, instance: str) -> list[str]:
        """The keys between the marks in the console's output, as cloud-init writes them."""
        text = self.ec2.get_console_output(InstanceId=instance)["Output"]
        inner = text.split("-----BEGIN SSH HOST KEY KEYS-----")[1].split("-----END SSH HOST KEY KEYS-----")[0]
        return inner.strip().splitlines()

    def ssh(self, login: str, instance: str, command: str, given: str = "", seconds: float = 120) -> str:
        """Run a command; its output. Host keys are pinned to what the console says."""
        done = self.try_ssh(login, instance, command, given, seconds)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def try_ssh(self, login: str, instance: str, command: str, given: str = "", seconds: float = 120):
        bastion, wanted = self.address(self.bastion), self.address(instance)
        pinned = {bastion: self.bastion, wanted: instance}
        for known in pinned.values():
            self.pinned[known] = self.pinned.get(known) or self.host_keys(known)
        lines = [f"{a} {' '.join(k.split()[:2])}" for a, i in pinned.items() for k in self.pinned[i]]
        (self.folder / "known_hosts").write_text("\n".join(lines) + "\n")
        jump = "" if wanted == bastion else f"Host {wanted}\n  ProxyJump ubuntu@{bastion}\n"
        (self.folder / "config").write_text(f"""Host *
  IdentityFile {self.key}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {self.folder}/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 10
  LogLevel ERROR
Host {bastion}
  ProxyCommand {sys.executable} {PROXY} {self.hosts["gateway"]} %h %p
{jump}""")
        return subprocess.run(
            ["ssh", "-F", self.folder / "config", f"{login}@{wanted}", command],
            input=given, capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip

    def knock(self, address: str, port: int, seconds: float = 3) -> str:
        """What the gateway says to a connection: `ok`, `error …`, or nothing within the time."""
        command = [sys.executable, str(PROXY), self.hosts["gateway"], address, str(port)]
        try:
            done = subprocess.run(command, input="", capture_output=True, text=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return ""
        return done.stderr.strip() or "ok"


# Says how often it ran.
USER_DATA = "#!/bin/sh\necho ran >>/var/lib/told-at-birth\n"


class Traces:
    """What a project's hosts hold on this machine: processes, namespaces, mounts, control groups."""

    def __init__(self, home: Path) -> None:
        self.home, self.places = home, Places(home)
        keeper = json.loads(self.places.record.read_text())["pid"]
        parents = {pid: _parent(pid) for pid in _pids()}
        self.processes = {keeper}
        while more := {p for p, parent in parents.items() if parent in self.processes} - self.processes:
            self.processes |= more
        mine = (_namespaces(os.getpid())) | _namespaces(1)
        self.namespaces = set().union(*(_namespaces(p) for p in self.processes)) - mine
        self.links = links()
        assert len(self.processes) > 3 and self.namespaces and self.groups(), "the hosts run"

    def groups(self) -> list[str]:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
        places = [Path(m[1]) / self.places.group.name for m in mounts if m[2] == "cgroup2"]
        return [str(p) for p in places if p.exists()]

    def left(self) -> dict:
        """What is still there of it; nothing where all is well."""
        alive = {p for p in _pids() if p in self.processes and _parent(p) is not None}
        held = {p: n for p in _pids() if (n := _namespaces(p) & self.namespaces)}
        mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.home) in line]
        files = [p.name for p in (self.places.record, self.places.gateway, self.places.live) if p.exists()]
        return {
            k: v
            for k, v in {
                "processes": alive, "namespaces": held, "mounts": mounts, "groups": self.groups(), "files": files,
            }.items()
            if v
        }  # fmt: skip

    def until_nothing_is_left(self, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while (left := self.left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left


def links() -> set[str]:
    """This machine's own network interfaces."""
    return {p.name for p in Path("/sys/class/net").iterdir()}


def _pids() -> list[int]:
    return [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]


def _parent(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[1])


def _namespaces(pid: int) -> set[str]:
    found = set()
    for kind in ("net", "mnt", "pid"):
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
        except OSError:
            return set()
    return found
