"""Hosts: each instance a Linux with systemd and sshd, in its VPC's network. Needs Linux and root."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import PACKAGE, infra_local, instance_of, until
from hosts import World, links, start

pytestmark = pytest.mark.strict_only


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    # So deep that a socket's path would be too long.
    base = tmp_path_factory.mktemp("hosts")
    home = base / "a-project-that-lies-very-deep" / "in-somebody-elses-folders" / "local"
    before = links()
    cloud = start(home)
    world = World(cloud, base)
    for instance in (world.bastion, world.debian, world.amazon):
        assert set(world.until(instance, "running")) <= {"pending", "running"}
    yield world
    infra_local("down", home=home)
    assert links() == before, "this machine's own network is as it was"
    assert not list(Path("/run/netns").glob("vpc*") if Path("/run/netns").exists() else [])


def test_an_instance_that_runs_answers(world):
    assert world.ssh("ubuntu", world.bastion, "cat /etc/hostname") == "ip-10-30-0-4"
    assert sorted(world.hosts["ready"]) == sorted([world.bastion, world.debian, world.amazon])
    assert world.hosts["starting"] == [] and world.hosts["failed"] == {}


def test_the_gateway_is_its_owners_alone(world):
    gateway = Path(world.hosts["gateway"])
    assert len(str(gateway)) <= 107 < len(str(world.cloud.home / "gateway.sock"))
    assert gateway.stat().st_mode & 0o777 == 0o600 and gateway.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("login", "which"), [("ubuntu", "bastion"), ("admin", "debian"), ("ec2-user", "amazon")])
def test_a_login_is_the_images_own_and_an_administrator(world, login, which):
    said = world.ssh(login, getattr(world, which), "id -un; sudo -n id -un; ls -ld ~ ~/.ssh ~/.ssh/authorized_keys")
    lines = said.splitlines()
    assert lines[:2] == [login, "root"]
    assert [line.split()[0][:10] for line in lines[2:]] == ["drwxr-xr-x", "drwx------", "-rw-------"]
    assert all(line.split()[2] == login for line in lines[2:])
    others = {"ubuntu", "admin", "ec2-user"} - {login}
    assert world.try_ssh(others.pop(), getattr(world, which), "true").returncode == 255


def test_sshd_and_systemd_are_as_in_a_clouds_image(world):
    said = world.ssh(
        "ubuntu", world.bastion, "sudo sshd -T; systemctl is-system-running --wait; stat -c %a /etc/sudoers.d/*"
    )
    assert "passwordauthentication no" in said.splitlines()
    assert said.splitlines()[-3] == "running" and said.splitlines()[-2:] == ["440", "440"]
    assert 'command="echo' in world.ssh("ubuntu", world.bastion, "sudo cat /root/.ssh/authorized_keys")


def test_a_key_that_is_not_the_consoles_is_refused(world):
    keys = world.host_keys(world.bastion)
    assert [k.split()[0] for k in keys] == ["ecdsa-sha2-nistp256", "ssh-ed25519"]
    assert keys[1].split()[2] == "root@ip-10-30-0-4"
    honest, world.pinned[world.bastion] = world.pinned[world.bastion], world.host_keys(world.debian)
    done = world.try_ssh("ubuntu", world.bastion, "true")
    world.pinned[world.bastion] = honest
    assert done.returncode == 255 and "Host key verification failed" in done.stderr


def test_a_private_host_is_reached_through_the_bastion_only(world):
    address = world.address(world.debian)
    assert address.startswith("10.30.1.")
    assert "unreachable" in world.knock(address, 22)
    assert world.ssh("admin", world.debian, "cat /etc/hostname") == "ip-" + address.replace(".", "-")
    # Its group lets the bastion's group in, and not its own neighbours.
    other = world.address(world.amazon)
    probe = "timeout 2 bash -c 'echo >/dev/tcp/{}/22' 2>/dev/null && echo open || echo closed"
    assert world.ssh("admin", world.debian, probe.format(other)) == "closed"
    assert world.ssh("ubuntu", world.bastion, probe.format(other)) == "open"


def test_hosts_know_their_private_addresses_alone(world):
    said = world.ssh("ubuntu", world.bastion, "ip -brief -4 address show scope global; ip route")
    assert "10.30.0.4/24" in said and "198." not in said and "default via 10.30.0.1" in said


def test_security_groups_hold(world):
    address = world.address(world.bastion)
    # sshd on a second port: systemd's own tools need nothing installed.
    world.ssh("ubuntu", world.bastion, "sudo systemd-run --unit=second /usr/sbin/sshd -D -p 2222")
    assert world.knock(address, 2222, 1.5) == ""
    rule = {"GroupId": world.open, "IpProtocol": "tcp", "FromPort": 2200, "ToPort": 2300}
    world.ec2.authorize_security_group_ingress(**rule, CidrIp="203.0.113.7/32")
    until(lambda: world.knock(address, 2222, 1), ["ok"])
    world.ec2.revoke_security_group_ingress(**rule, CidrIp="203.0.113.7/32")
    until(lambda: world.knock(address, 2222, 1), [""])


def test_an_elastic_address_moves_the_way_in(world):
    before = world.address(world.bastion)
    allocated = world.ec2.allocate_address(Domain="vpc")
    world.ec2.associate_address(InstanceId=world.bastion, AllocationId=allocated["AllocationId"])
    assert world.address(world.bastion) == allocated["PublicIp"] != before
    until(lambda: world.knock(allocated["PublicIp"], 22), ["ok"])
    assert "unreachable" in world.knock(before, 22)
    assert world.ssh("ubuntu", world.bastion, "id -un") == "ubuntu"


def test_packages_come_through_the_way_out(world):
    script = """set -e
sudo apt-get -qq update
sudo apt-get -qq install -y --no-install-recommends hello >/dev/null
hello
python3 -m venv /tmp/venv
/tmp/venv/bin/pip --quiet download --dest /tmp/six six
ls /tmp/six
"""
    said = world.ssh("admin", world.debian, "bash -s", script).splitlines()
    assert said[0] == "Hello, world!" and said[1].startswith("six-")


def test_there_is_no_other_way_out(world):
    probe = "timeout 3 bash -c 'echo >/dev/tcp/198.51.100.1/80' 2>&1; echo $?"
    assert world.ssh("ubuntu", world.bastion, probe).splitlines()[-1] == "1"
    assert world.ssh("admin", world.debian, probe).splitlines()[-1] == "1"


def test_hosts_call_the_local_cloud_and_nothing_else_of_this_machine(world):
    port = world.cloud.endpoint.rsplit(":", 1)[1]
    ask = "curl -s {} http://{}/infra-local/status"
    for where in (
        ask.format("", f"169.254.169.1:{port}"),
        ask.format("--noproxy '' -x $http_proxy", f"127.0.0.1:{port}"),
    ):
        assert json.loads(world.ssh("admin", world.debian, where))["hosts"]["up"]
    with subprocess.Popen(
        [sys.executable, "-c", "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); s.accept()"],
        stdout=subprocess.PIPE, text=True,
    ) as listener:  # fmt: skip
        other = listener.stdout.readline().strip()
        for address in (f"127.0.0.1:{other}", f"localhost:{other}", "169.254.169.254", f"0.0.0.0:{other}"):
            refused = f"curl -s --noproxy '' -x $http_proxy http://{address}/"
            assert "not for its hosts" in world.ssh("admin", world.debian, refused)
        listener.kill()


def test_a_host_has_its_role_and_asks_the_local_cloud(world):
    iam, name = world.cloud.client("iam"), "bodies-work"
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    roles = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
    script = f"""token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token)
curl -s -H "X-aws-ec2-metadata-token: $token" -w ' %{{http_code}}' {roles}"""
    assert world.ssh("admin", world.debian, script).endswith(" 404"), "it has no role"
    world.ec2.associate_iam_instance_profile(IamInstanceProfile={"Name": name}, InstanceId=world.debian)
    until(lambda: world.ssh("admin", world.debian, script), [f"{name} 200"])
    given = json.loads(world.ssh("admin", world.debian, script.replace(" -w ' %{http_code}'", "").strip() + name))
    assert given["Code"] == "Success" and given["AccessKeyId"] and given["SecretAccessKey"]
    port = world.cloud.endpoint.rsplit(":", 1)[1]
    for where in ("bash -c", "sudo systemd-run --quiet --pipe --wait bash -c"):
        assert world.ssh("admin", world.debian, f"{where} 'echo $AWS_ENDPOINT_URL'") == f"http://169.254.169.1:{port}"


def test_an_older_python_where_this_machine_has_one(world):
    if not list(Path.home().glob(".pyenv/versions/3.10.*")):
        pytest.skip("this machine has no Python 3.10 of its own")
    said = world.ssh(
        "admin",
        world.debian,
        "python3.10 -m venv /tmp/old && /tmp/old/bin/python -c 'import ssl, sqlite3, sys; print(sys.version)' && /tmp/old/bin/pip --version",
    )
    assert said.startswith("3.10.") and "python 3.10" in said


def test_commands_run_in_the_users_network(world):
    inside = ["nsenter", f"--net={world.hosts['client_network']}", "--"]
    banner = f"import socket; print(socket.create_connection(('{world.address(world.bastion)}', 22), 5).recv(8))"
    run = {"capture_output": True, "text": True, "check": True, "timeout": 20}
    assert subprocess.run([*inside, sys.executable, "-c", banner], **run).stdout.strip() == "b'SSH-2.0-'"
    status = subprocess.run([*inside, "curl", "-s", f"{world.cloud.endpoint}/infra-local/status"], **run).stdout
    assert json.loads(status)["hosts"]["client_address"] == "203.0.113.7"


def test_what_it_was_told_at_birth_happens_once_and_a_reboot_keeps_the_disk(world):
    assert world.ssh("ubuntu", world.bastion, "cat /var/lib/told-at-birth") == "ran"
    keys = world.host_keys(world.bastion)
    # What lies in /run is gone after a reboot.
    look = "ls -d /run/before kept 2>/dev/null"
    for reboot in (
        lambda: world.ec2.reboot_instances(InstanceIds=[world.bastion]),
        lambda: world.try_ssh("ubuntu", world.bastion, "sudo systemctl reboot"),
    ):
        world.ssh("ubuntu", world.bastion, "touch kept; sudo touch /run/before")
        reboot()
        until(lambda: world.try_ssh("ubuntu", world.bastion, look).stdout.split(), [["kept"]], 30)
        until(lambda: world.bastion in world.hosts["ready"], [True])
    assert world.ssh("ubuntu", world.bastion, "cat /var/lib/told-at-birth") == "ran"
    assert world.host_keys(world.bastion) == keys


def test_off_and_on_again(world):
    address = world.address(world.bastion)
    world.try_ssh("ubuntu", world.bastion, "touch kept; sudo poweroff")
    assert world.until(world.bastion, "stopped")[0] in ("running", "stopping")
    assert "unreachable" in world.knock(address, 22)
    world.ec2.start_instances(InstanceIds=[world.bastion])
    assert world.until(world.bastion, "running")[0] == "pending"
    assert world.address(world.bastion) == address, "an elastic address stays"
    assert world.ssh("ubuntu", world.bastion, "ls") == "kept"


def test_a_terminated_instance_has_no_host(world):
    made = world.launch(world.private, world.inner, "debian-12-*")
    world.until(made, "running")
    keys = world.cloud.home / "host-keys" / made
    assert keys.stat().st_mode & 0o777 == 0o700 and [p.stat().st_mode & 0o777 for p in keys.iterdir()] == [0o600] * 2
    address = instance_of(world.ec2, made)["PrivateIpAddress"]
    world.ec2.terminate_instances(InstanceIds=[made])
    until(lambda: made in world.hosts["ready"], [False])
    until(keys.exists, [False])
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert made not in running
    assert "unreachable" in world.ssh(
        "ubuntu", world.bastion, f"timeout 5 bash -c 'echo >/dev/tcp/{address}/22' 2>&1; true"
    )


def test_warm_starts_are_quick(world):
    began = time.monotonic()
    made = [world.launch(world.private, world.inner, "debian-12-*") for _ in range(3)]
    for instance in made:
        world.until(instance, "running")
    taken = time.monotonic() - began
    print(f"three hosts in {taken:.2f} s")
    world.ec2.terminate_instances(InstanceIds=made)
    assert taken < 15, "usually under 2 s; other work on this machine may slow it"


def test_a_console_without_hosts_is_motos(aws, running):
    assert "Linux version" in aws.ec2.get_console_output(InstanceId=running)["Output"]


def test_a_reason_where_hosts_cannot_be(tmp_path):
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    # In a user namespace without a mapping nobody is root.
    home = tmp_path / "home"
    done = subprocess.run(
        ["unshare", "--user", sys.executable, "-m", "infra_local", "up", "--hosts", "--home", str(home)],
        cwd=PACKAGE, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and json.loads(done.stdout)["error"] == "not-root"
    assert "root" in done.stderr and not home.exists(), "nothing is changed"
