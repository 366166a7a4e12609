"""The daemon: up twice, down, state that stays, a kill, a stale pid, another's process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time

import pytest
from conftest import READ, Cloud, as_dict, infra_local, tagged, tags, trust, until

pytestmark = pytest.mark.strict_only


@pytest.fixture
def home(tmp_path):
    yield tmp_path / "home"
    infra_local("down", home=tmp_path / "home")


def up(home, *more: str) -> Cloud:
    return Cloud(infra_local("up", "--port", "0", "--speed", "fast", *more, home=home)["endpoint"], home, False)


def test_up_twice_is_one(home):
    first = infra_local("up", "--port", "0", home=home)
    again = infra_local("up", "--port", "0", home=home)
    assert (first["already"], again["already"]) == (False, True) and first["pid"] == again["pid"]
    assert infra_local("status", home=home)["up"] is True
    assert home.stat().st_mode & 0o777 == 0o700


def test_down_of_nothing(home):
    assert infra_local("down", home=home) == {"stopped": False, "hosts": False}
    assert infra_local("status", home=home) == {"up": False}


def test_loopback_only(home):
    cloud = up(home)
    port = int(cloud.endpoint.rsplit(":", 1)[1])
    listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=False).stdout
    bound = [line.split()[3] for line in listening.splitlines() if line.split()[3].endswith(f":{port}")]
    assert bound in ([f"127.0.0.1:{port}"], [])


def fill(cloud: Cloud) -> dict:
    """Something of each service; what it must look like after a restart."""
    ec2, s3, iam, kms, emr = (cloud.client(s) for s in ("ec2", "s3", "iam", "kms", "emr"))
    vpc = ec2.create_vpc(CidrBlock="10.60.0.0/16", TagSpecifications=tagged("vpc", a="b"))["Vpc"]["VpcId"]
    table = ec2.create_route_table(VpcId=vpc, ClientToken="one")["RouteTable"]["RouteTableId"]
    s3.create_bucket(Bucket="kept-bucket", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket="kept-bucket", Key="a/b", Body=b"x" * 100_000)
    iam.create_role(RoleName="kept", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"), Tags=tags(a="b"))
    iam.attach_role_policy(RoleName="kept", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    iam.put_role_policy(RoleName="kept", PolicyName="p", PolicyDocument=READ)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    secret = kms.encrypt(KeyId=key, Plaintext=b"hi")["CiphertextBlob"]
    cluster = emr.run_job_flow(
        Name="c", ReleaseLabel="emr-5.29.0", ServiceRole="EMR_DefaultRole", JobFlowRole="EMR_EC2_DefaultRole",
        Instances={"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True},
    )["JobFlowId"]  # fmt: skip
    return {"vpc": vpc, "table": table, "secret": secret, "cluster": cluster}


def check(cloud: Cloud, kept: dict) -> None:
    ec2, emr = cloud.client("ec2"), cloud.client("emr")
    assert as_dict(ec2.describe_vpcs(VpcIds=[kept["vpc"]])["Vpcs"][0]["Tags"]) == {"a": "b"}
    assert ec2.create_route_table(VpcId=kept["vpc"], ClientToken="one")["RouteTable"]["RouteTableId"] == kept["table"]
    assert cloud.client("s3").get_object(Bucket="kept-bucket", Key="a/b")["Body"].read() == b"x" * 100_000
    role = cloud.client("iam").get_account_authorization_details(Filter=["Role"])["RoleDetailList"][0]
    assert role["RoleName"] == "kept" and as_dict(role["Tags"]) == {"a": "b"}
    assert [p["PolicyName"] for p in role["AttachedManagedPolicies"]] == ["AmazonS3ReadOnlyAccess"]
    assert cloud.client("kms").decrypt(CiphertextBlob=kept["secret"])["Plaintext"] == b"hi"
    until(lambda: emr.describe_cluster(ClusterId=kept["cluster"])["Cluster"]["Status"]["State"], ["WAITING"])


def test_state_is_kept_over_down_and_up(home):
    kept = fill(up(home))
    infra_local("down", home=home)
    check(up(home), kept)


def test_a_kill_loses_little_and_its_pid_is_stale(home):
    cloud = up(home)
    kept = fill(cloud)
    time.sleep(2.5)
    os.kill(json.loads((home / "daemon.json").read_text())["pid"], signal.SIGKILL)
    until(lambda: infra_local("status", home=home)["up"], [False])
    check(up(home), kept)


def test_another_process_is_not_ended(home):
    home.mkdir()
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        (home / "daemon.json").write_text(
            json.dumps({"pid": sleeper.pid, "began": "1", "endpoint": "http://127.0.0.1:9"})
        )
        assert infra_local("down", home=home) == {"stopped": False, "hosts": False}
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_state_of_another_version_is_put_aside(home):
    home.mkdir()
    (home / "state.pickle").write_bytes(b"not a pickle")
    up(home)
    assert (home / "state.unreadable").exists() and not (home / "state.pickle").exists()


def test_keep_alive(home):
    cloud = up(home)
    with socket.create_connection(("127.0.0.1", int(cloud.endpoint.rsplit(":", 1)[1])), 5) as wire:
        for _ in range(3):
            wire.sendall(b"GET /infra-local/status HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = wire.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200") and b"Connection: close" not in answer
