"""With `--spark` steps really run: their output, logs, failures, cancellation, and what a daemon's end makes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from conftest import PACKAGE, REGION, infra_local, until
from spark import BUCKET, Steps, fill, start, submit
from test_emr import cluster_state, wanted

pytestmark = pytest.mark.strict_only


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    home = tmp_path_factory.mktemp("spark") / "a folder" / "local"
    cloud = start(home, "--speed", "instant")
    fill(cloud)
    yield cloud
    infra_local("down", home=home)


def cluster(cloud, **more) -> Steps:
    emr = cloud.client("emr")
    made = emr.run_job_flow(**wanted("c", LogUri=f"s3://{BUCKET}/logs", **more))["JobFlowId"]
    until(cluster_state(emr, made), ["WAITING"], 30)
    return Steps(cloud, made)


@pytest.fixture(scope="module")
def steps(cloud):
    return cluster(cloud, StepConcurrencyLevel=2)


def test_a_word_count_is_carried_out(cloud, steps):
    assert cloud.control("status")["spark"] is True
    (made,) = steps.add(submit("counts.py", f"s3://{BUCKET}/raw/", f"s3://{BUCKET}/out/", options=("--name", "count")))
    assert steps.until(made, "COMPLETED", "FAILED")[-1] == "COMPLETED", steps.log(made, "stderr")[-3000:]
    listed = steps.s3.list_objects_v2(Bucket=BUCKET, Prefix="out/")["Contents"]
    parts = [o["Key"] for o in listed if "part-" in o["Key"]]
    assert len(parts) == 1 and "out/_SUCCESS" in [o["Key"] for o in listed]
    lines = steps.s3.get_object(Bucket=BUCKET, Key=parts[0])["Body"].read().decode().splitlines()
    counted = dict(line.split() for line in lines)
    assert counted == {"to": "2", "be": "2", **dict.fromkeys(["or", "not", "that", "is", "the", "question"], "1")}
    assert steps.log(made, "stdout") == "words: 8\n"
    assert "Submitted application: count" in steps.log(made, "stderr")
    controller = steps.log(made, "controller").splitlines()
    assert "Step succeeded with exitCode 0" in controller[-1] and f"Fetched s3://{BUCKET}/cod/counts.py" in "\n".join(
        controller
    )
    assert "FailureDetails" not in steps.status(made)
    events = list((cloud.home / "spark" / steps.cluster / "events").iterdir())
    assert len(events) == 1 and '"App Name":"count"' in events[0].read_text()


def test_a_step_writes_to_a_bucket_that_is_encrypted_with_a_key(cloud, steps):
    s3, bucket = steps.s3, f"{BUCKET}-with-a-key"
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [default]})
    (made,) = steps.add(submit("writes.py", f"s3://{bucket}/out/"))
    assert steps.until(made, "COMPLETED", "FAILED")[-1] == "COMPLETED", steps.log(made, "stdout")[-3000:]
    assert steps.log(made, "stdout") == "rows: 9\n"
    (written,) = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"] if o["Key"].endswith(".parquet")]
    head = s3.head_object(Bucket=bucket, Key=written)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_a_failure_leaves_its_reason_and_its_log(steps):
    (made,) = steps.add(submit("fails.py"))
    assert steps.until(made, "COMPLETED", "FAILED")[-1] == "FAILED"
    failure = steps.status(made)["FailureDetails"]
    assert failure == {
        "Reason": "Unknown Error.",
        "Message": "ValueError: no such column: borough",
        "LogFile": steps.uri(made, "stderr"),
    }
    assert "raise ValueError('no such column: borough')" in steps.log(made, "stderr")
    assert steps.log(made, "stdout").startswith("before the end\nTraceback")
    assert "Step failed with exitCode 1" in steps.log(made, "controller")


@pytest.mark.parametrize(
    ("step", "reason", "log"),
    [
        (submit("nowhere.py"), f"java.io.FileNotFoundException: No such file or directory 's3://{BUCKET}/cod/nowhere.py'", "stderr"),
        ({"Jar": f"s3://{BUCKET}/my.jar", "Args": ["x"]}, f"the local cloud runs spark-submit alone, and not the jar s3://{BUCKET}/my.jar", "controller"),
        ({"Jar": "command-runner.jar", "Args": ["hive-script", "--run"]}, "the local cloud runs spark-submit alone, and not hive-script", "controller"),
    ],
)  # fmt: skip
def test_what_cannot_run_fails_and_says_why(steps, step, reason, log):
    if "Jar" in step:
        step = {"Name": "x", "ActionOnFailure": "CONTINUE", "HadoopJarStep": step}
    (made,) = steps.add(step)
    assert steps.until(made, "COMPLETED", "FAILED")[-1] == "FAILED"
    failure = steps.status(made)["FailureDetails"]
    assert reason in failure["Message"] and failure["LogFile"] == steps.uri(made, log)
    assert reason in steps.log(made, log)


def _log_or_nothing(steps: Steps, step: str) -> str:
    try:
        return steps.log(step, "stdout")
    except steps.s3.exceptions.NoSuchKey:
        return ""


def test_two_at_once_and_a_cancelled_one_really_ends(steps):
    first, second, third = steps.add(submit("waits.py"), submit("waits.py"), submit("fails.py"))
    for step in (first, second):
        steps.until(step, "RUNNING")
        # Its log is there while it runs.
        until(lambda step=step: _log_or_nothing(steps, step), ["waits\n"], 60)
    assert steps.status(third)["State"] == "PENDING"
    assert any("waits.py" in command for command in steps.running(first))
    answer = steps.emr.cancel_steps(ClusterId=steps.cluster, StepIds=[first], StepCancellationOption="SEND_INTERRUPT")[
        "CancelStepsInfoList"
    ]
    assert answer[0]["Status"] == "SUBMITTED"
    steps.until(first, "CANCELLED")
    until(lambda: steps.running(first), [[]], 20)
    assert steps.until(third, "FAILED", seconds=60)[0] in ("PENDING", "RUNNING"), "the cancelled one made room"
    assert steps.status(second)["State"] == "RUNNING" and steps.running(second)
    until(lambda: "cancelled" in steps.log(first, "controller"), [True], 20)
    steps.emr.cancel_steps(ClusterId=steps.cluster, StepIds=[second], StepCancellationOption="TERMINATE_PROCESS")
    until(lambda: steps.running(second), [[]], 20)
    until(cluster_state(steps.emr, steps.cluster), ["WAITING"], 20)


def test_the_clusters_end_is_its_steps_end(cloud):
    steps = cluster(cloud)
    (made,) = steps.add(submit("waits.py"))
    steps.until(made, "RUNNING")
    until(lambda: any("waits.py" in command for command in steps.running(made)), [True], 60)
    steps.emr.terminate_job_flows(JobFlowIds=[steps.cluster])
    until(lambda: steps.running(made), [[]], 20)
    assert steps.status(made)["State"] == "CANCELLED"


def test_no_sites_page_can_have_code_run(cloud, steps):
    def ask(origin: str | None) -> int:
        request = Request(f"{cloud.endpoint}/infra-local/status", headers={"Origin": origin} if origin else {})
        try:
            return build_opener(ProxyHandler({})).open(request, timeout=10).status
        except HTTPError as error:
            return error.code

    assert [ask(o) for o in ("https://example.com", "null", "http://localhost:3000", None)] == [403, 403, 200, 200]


def test_injected_failures_need_no_spark(cloud, steps):
    cloud.control("inject", {"emr": "step-failure"})
    (made,) = steps.add(submit("waits.py"))
    assert steps.until(made, "COMPLETED", "FAILED")[-1] == "FAILED"
    assert "injected" in steps.log(made, "stderr")


@pytest.mark.parametrize("how", ["down", "killed"])
def test_a_step_does_not_outlive_the_daemon(tmp_path, how):
    home = tmp_path / "local"
    cloud = start(home, "--speed", "instant")
    fill(cloud)
    steps = cluster(cloud)
    (made,) = steps.add(submit("waits.py"))
    steps.until(made, "RUNNING")
    until(lambda: _log_or_nothing(steps, made), ["waits\n"], 60)
    if how == "down":
        infra_local("down", home=home)
        assert steps.running(made) == [], "`down` returns when all has ended"
    else:
        cloud.control("save", {})
        os.kill(json.loads((home / "daemon.json").read_text())["pid"], signal.SIGKILL)
        until(lambda: steps.running(made), [[]], 20)
    # One comes back with Spark and the other one without.
    again = infra_local("up", "--port", "0", *(["--spark"] if how == "down" else []), home=home)
    steps = Steps(type(cloud)(again["endpoint"], home, False), steps.cluster)
    try:
        assert steps.until(made, "FAILED", seconds=20)
        failure = steps.status(made)["FailureDetails"]
        assert failure["Message"] == "The local cloud ended while this step ran."
        until(cluster_state(steps.emr, steps.cluster), ["WAITING"], 20)
        if how == "down":
            assert "The local cloud ended" in steps.log(made, "controller") and steps.log(made, "stdout") == "waits\n"
    finally:
        infra_local("down", home=home)


def test_a_reset_ends_steps_and_forgets_them(tmp_path):
    home = tmp_path / "local"
    cloud = start(home, "--speed", "instant")
    try:
        fill(cloud)
        steps = cluster(cloud)
        (made,) = steps.add(submit("waits.py"))
        steps.until(made, "RUNNING")
        infra_local("reset", home=home)
        assert steps.running(made) == [] and not (home / "spark" / steps.cluster).exists()
        assert cloud.control("status")["spark"] is True
    finally:
        infra_local("down", home=home)


def test_a_daemon_that_runs_takes_it_on(tmp_path):
    home = tmp_path / "local"
    infra_local("up", "--port", "0", home=home)
    try:
        cloud = start(home)
        assert cloud.control("status")["spark"] is True
    finally:
        infra_local("down", home=home)


def test_a_machine_without_java_is_told_so(tmp_path):
    home, tools = tmp_path / "home", tmp_path / "tools"
    tools.mkdir()
    script = (
        "import sys; from infra_local.spark import java; java._PLACES = (); from infra_local.cli import main; "
        f"sys.exit(main(['up', '--spark', '--home', {str(home)!r}]))"
    )
    environment = {"PATH": str(tools), "HOME": str(tmp_path), "PYTHONPATH": str(PACKAGE)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    told = json.loads(done.stdout)
    assert done.returncode == 1 and (told["error"], told["of"]) == ("no-java", "spark")
    assert "needs Java 17, 11 or 8, and this machine has no Java" in done.stderr and "Java 17" in done.stderr
    assert not home.exists(), "nothing is changed"
