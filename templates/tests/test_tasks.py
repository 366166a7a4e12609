"""luigi's graph: whole, against a local lake with real Spark; by EMR's steps, against a local AWS; and what fails how."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

import boto3
import luigi
import made_requests
import pytest
import yaml
from conftest import SPARK, TEMPLATES, files_below
from luigi.cmdline_parser import CmdlineParser
from moto.server import ThreadedMotoServer

import storage
import tasks

NYC311 = TEMPLATES / "nyc311"
ROWS = made_requests.requests("2020-01-01", 3, 60)


def spark_submit() -> str:
    import pyspark

    return str(Path(pyspark.__file__).parent / "bin/spark-submit")


class Runs:
    """luigi as its command line runs it, with a configuration of its own."""

    def __init__(self, tmp_path: Path, **settings: object) -> None:
        self.base = tmp_path
        self.config = tmp_path / "luigi-test.cfg"
        self.settings = {"lake": tmp_path / "lake", "history_from": "2020-01-01", "history_to": "2020-01-01",
                         "backoff": 0, "page": 50, "poll": 0.05, **settings}  # fmt: skip
        self.environment: dict[str, str] = {}

    def luigi(self, *arguments: str) -> subprocess.CompletedProcess:
        child = self.start(*arguments, "--local-scheduler")
        out, errors = child.communicate(timeout=280)
        return subprocess.CompletedProcess(child.args, child.returncode, out, errors)

    def start(self, *arguments: str) -> subprocess.Popen:
        lines = [f"{name} = {value}" for name, value in self.settings.items()]
        self.config.write_text("\n".join(["[nyc311]", *lines, ""]))
        environment = {
            **os.environ,
            "LUIGI_CONFIG_PATH": str(self.config),
            "PYTHONPATH": str(NYC311),
            **self.environment,
        }
        # The folder's own luigi.cfg, with the exit codes, is read because luigi starts there.
        return subprocess.Popen(
            [sys.executable, "-m", "luigi", "--module", "tasks", *arguments],
            cwd=NYC311, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def summary(self, name: str) -> dict:
        return json.loads((self.base / "lake/runs" / name / "summary.json").read_text())


@pytest.fixture
def local(tmp_path, socrata, java):
    conf = " ".join(f"--conf '{key}={value}'" for key, value in SPARK.items())
    socrata.load("erm2-nwe9", made_requests.seen_on("2020-01-02", ROWS))
    return Runs(tmp_path, url=socrata.url, spark="local", spark_submit=spark_submit(),
                spark_arguments=f"--master local[2] {conf}")  # fmt: skip


@pytest.mark.spark
def test_the_whole_graph_on_this_machine(local, socrata):
    first = local.luigi("Daily", "--day", "2020-01-02")
    assert first.returncode == 0, first.stderr[-4000:]
    summary = local.summary("clean/2020-01-02")
    assert summary["in"] == summary["out"] + summary["duplicates"] + summary["rejected"]
    assert summary["out"] > 60 and summary["by_day"]["2020-01-02"] == 60
    before, seen = files_below(local.base / "lake"), len(socrata.seen)

    second = local.luigi("Daily", "--day", "2020-01-02")
    assert second.returncode == 0 and files_below(local.base / "lake") == before and len(socrata.seen) == seen

    # A task that fails, and the run after it goes on there: extract and preprocess are not done again.
    shutil.rmtree(local.base / "lake/runs/clean")
    profile = local.base / "lake/runs/profile.json"
    good = profile.read_bytes()
    profile.with_name(".profile.json.crc").unlink()
    profile.write_text('{"columns": {}')
    failed = local.luigi("Daily", "--day", "2020-01-02")
    assert failed.returncode == 30, failed.stderr[-4000:]
    assert "clean 2020-01-02 ended with 1" in failed.stderr
    profile.write_bytes(good)
    third = local.luigi("Daily", "--day", "2020-01-02")
    assert third.returncode == 0 and len(socrata.seen) == seen
    assert local.summary("clean/2020-01-02")["updated"] == summary["out"]


def test_a_source_that_refuses_fails_the_task(local, socrata):
    socrata.faults[:] = [403] * 100
    done = local.luigi("Daily", "--day", "2020-01-02")
    assert done.returncode == 30, done.stderr[-3000:]
    assert not (local.base / "lake/raw").exists()


def test_a_spark_submit_that_is_not_there_fails_the_task(local):
    local.settings["spark_submit"] = "/nowhere/spark-submit"
    assert local.luigi("Preprocess", "--day", "2020-01-02").returncode == 30


def test_a_missing_setting_is_an_error(local):
    del local.settings["lake"]
    done = local.luigi("Daily", "--day", "2020-01-02")
    assert done.returncode == 35, done.stderr[-3000:]


def test_an_unknown_task_is_an_error(local):
    """luigi looks at the command line before it knows its exit codes."""
    done = local.luigi("Hourly")
    assert done.returncode == 1 and "No task Hourly" in done.stderr


class Scheduler:
    """luigid, on loopback."""

    def __init__(self, base: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("luigid"), "--address", "127.0.0.1", "--port", str(self.port)],
            cwd=base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def tasks(self, status: str) -> dict:
        told = urllib.parse.quote(json.dumps({"status": status, "upstream_status": ""}))
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/task_list?data={told}", timeout=30) as answer:
            return json.load(answer)["response"]

    def until(self, status: str) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                if self.tasks(status):
                    return
            except OSError:
                pass
            assert time.monotonic() < deadline, f"no task is {status}"
            time.sleep(0.1)


@pytest.fixture
def scheduler(tmp_path):
    found = Scheduler(tmp_path)
    yield found
    found.process.kill()
    found.process.wait()


def test_a_run_that_was_killed_goes_on_at_once(tmp_path, socrata, scheduler):
    """By the name that its worker has in pipeline.yaml; another worker is told that the task is being done."""
    words = yaml.safe_load((NYC311 / "pipeline.yaml").read_text())["host"]["command"]
    worker = words[words.index("--worker-id") :][:2]
    socrata.load("erm2-nwe9", ROWS)
    runs = Runs(tmp_path, url=socrata.url)
    at = ["--scheduler-host", "127.0.0.1", "--scheduler-port", str(scheduler.port)]
    extract = ["Extract", "--day", "2020-01-02", "--kind", "new", *at]
    socrata.server.delay = 120
    killed = runs.start(*extract, *worker)
    scheduler.until("RUNNING")
    killed.kill()
    killed.communicate()
    socrata.server.delay = 0
    other = runs.start(*extract, "--worker-id", "another")
    errors = other.communicate(timeout=120)[1]
    assert other.returncode == 10, errors[-3000:]
    again = runs.start(*extract, *worker)
    errors = again.communicate(timeout=120)[1]
    assert again.returncode == 0, errors[-3000:]
    assert (tmp_path / "lake/raw/2020/01/02/_manifest.json").exists() and scheduler.tasks("DONE")


class Emr:
    """A local AWS whose steps end as a test says, after it has written what the job would have."""

    def __init__(self) -> None:
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        host, port = self.server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self.s3, self.emr = (boto3.client(name, endpoint_url=self.endpoint) for name in ("s3", "emr"))
        self.s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        self.outcomes: dict[str, str] = {}
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def cluster(self, stack: str) -> str:
        return self.emr.run_job_flow(
            Name=stack, ReleaseLabel="emr-5.29.0", Applications=[{"Name": "Spark"}], JobFlowRole="a", ServiceRole="b",
            Instances={"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True},
            Tags=[{"Key": "infra:stack", "Value": stack}],
        )["JobFlowId"]  # fmt: skip

    def steps(self, cluster: str) -> list[dict]:
        return self.emr.list_steps(ClusterId=cluster)["Steps"][::-1]

    def work(self) -> None:
        from moto.emr.models import emr_backends

        while not self.stopping.wait(0.05):
            for cluster in [
                c for backend in emr_backends.values() for region in backend.values() for c in region.clusters.values()
            ]:
                for step in list(cluster.steps):
                    if step.state in ("PENDING", "RUNNING", "STARTING"):
                        outcome = self.outcomes.get(step.name, "COMPLETED")
                        if outcome == "COMPLETED":
                            job, batch = step.name.split(" ")
                            name = "profile.json" if job == "profile_columns" else f"{job}/{batch}/summary.json"
                            self.s3.put_object(Bucket="lake", Key=f"runs/{name}", Body=b"{}")
                        step.state = outcome

    def close(self) -> None:
        self.stopping.set()
        self.thread.join()
        self.server.stop()


@pytest.fixture(scope="module")
def emr():
    found = Emr()
    yield found
    found.close()


@pytest.fixture
def on_emr(tmp_path, socrata, emr):
    """The graph on a stack of its own; the lake is emptied."""
    socrata.load("erm2-nwe9", ROWS)
    stack = f"stack-{time.time_ns()}"
    for item in emr.s3.list_objects_v2(Bucket="lake").get("Contents", []):
        emr.s3.delete_object(Bucket="lake", Key=item["Key"])
    emr.outcomes.clear()
    runs = Runs(tmp_path, url=socrata.url, lake="s3://lake", code="s3://lake/cod/", stack=stack)
    runs.environment["AWS_ENDPOINT_URL"] = emr.endpoint
    return runs


def test_steps_on_the_stacks_own_cluster(on_emr, emr):
    other, cluster = emr.cluster("other"), emr.cluster(on_emr.settings["stack"])
    done = on_emr.luigi("Daily", "--day", "2020-01-02")
    assert done.returncode == 0, done.stderr[-4000:]
    assert emr.steps(other) == []
    steps = {step["Name"]: step["Config"]["Args"] for step in emr.steps(cluster)}
    history = "preprocess 2020-01-01_2020-01-01"
    assert set(steps) == {history, "preprocess 2020-01-02", "profile_columns once", "clean 2020-01-02"}
    assert list(steps)[-1] == "clean 2020-01-02"
    assert steps["clean 2020-01-02"] == [
        "spark-submit", "--deploy-mode", "cluster", "--py-files", "s3://lake/cod/lake.py,s3://lake/cod/columns.py",
        "s3://lake/cod/clean.py", "--preprocessed", "s3://lake/preprocessed", "--cleaned", "s3://lake/cleaned",
        "--runs", "s3://lake/runs", "--profile", "s3://lake/runs/profile.json", "--day", "2020-01-02",
    ]  # fmt: skip
    keys = {item["Key"] for item in emr.s3.list_objects_v2(Bucket="lake")["Contents"]}
    assert {"raw/2020/01/02/_manifest.json", "raw/updates/2020/01/02/_manifest.json"} < keys
    again = on_emr.luigi("Daily", "--day", "2020-01-02")
    assert again.returncode == 0 and len(emr.steps(cluster)) == 4


def test_the_day_of_a_history_of_one_day_gets_its_updates(on_emr, emr):
    """The history has new requests only: that it was preprocessed does not mean that the day was."""
    cluster = emr.cluster(on_emr.settings["stack"])
    on_emr.settings.update(history_from="2020-01-02", history_to="2020-01-02")
    done = on_emr.luigi("Daily", "--day", "2020-01-02")
    assert done.returncode == 0, done.stderr[-4000:]
    steps = {step["Name"]: step["Config"]["Args"] for step in emr.steps(cluster)}
    history = "preprocess 2020-01-02_2020-01-02"
    assert set(steps) == {history, "preprocess 2020-01-02", "profile_columns once", "clean 2020-01-02"}
    assert "--kinds" in steps[history] and "--kinds" not in steps["preprocess 2020-01-02"]


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "INTERRUPTED"])
def test_a_step_that_does_not_end_well_fails_the_run(on_emr, emr, state):
    cluster = emr.cluster(on_emr.settings["stack"])
    emr.outcomes["preprocess 2020-01-02"] = state
    done = on_emr.luigi("Daily", "--day", "2020-01-02")
    assert done.returncode == 30, done.stderr[-3000:]
    assert f"on {cluster} is {state}" in done.stderr
    assert "clean 2020-01-02" not in [step["Name"] for step in emr.steps(cluster)]
    emr.outcomes.clear()
    assert on_emr.luigi("Daily", "--day", "2020-01-02").returncode == 0
    names = [step["Name"] for step in emr.steps(cluster)]
    assert names.count("preprocess 2020-01-01_2020-01-01") == 1 and names.count("preprocess 2020-01-02") == 2


def test_a_step_that_still_runs_is_followed_and_not_added_again(on_emr, emr):
    cluster = emr.cluster(on_emr.settings["stack"])
    emr.outcomes["preprocess 2020-01-02"] = "RUNNING"
    jar = {"Jar": "command-runner.jar", "Args": ["left by a run that was killed"]}
    step = {"Name": "preprocess 2020-01-02", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
    emr.emr.add_job_flow_steps(JobFlowId=cluster, Steps=[step])
    timer = threading.Timer(8, emr.outcomes.clear)
    timer.start()
    done = on_emr.luigi("Preprocess", "--day", "2020-01-02")
    timer.join()
    assert done.returncode == 0, done.stderr[-3000:]
    assert [step["Config"]["Args"] for step in emr.steps(cluster)] == [jar["Args"]]


@pytest.mark.parametrize("clusters, what", [(0, "no cluster; hint: infra cluster up"), (2, "several clusters")])
def test_not_exactly_one_cluster_is_an_error(on_emr, emr, clusters, what):
    for _ in range(clusters):
        emr.cluster(on_emr.settings["stack"])
    done = on_emr.luigi("Preprocess", "--day", "2020-01-02")
    assert done.returncode == 30 and what in done.stderr


def test_code_on_this_machine_is_no_code_for_the_cluster(on_emr, emr):
    emr.cluster(on_emr.settings["stack"])
    del on_emr.settings["code"]
    done = on_emr.luigi("Preprocess", "--day", "2020-01-02")
    assert done.returncode == 30 and "the cluster does not see it" in done.stderr


def test_a_job_that_leaves_no_summary_has_failed(on_emr, emr, monkeypatch):
    emr.cluster(on_emr.settings["stack"])
    monkeypatch.setattr(emr.s3, "put_object", lambda **_: None)
    done = on_emr.luigi("Preprocess", "--day", "2020-01-02")
    assert done.returncode == 30 and "left no preprocess/2020-01-02/summary.json" in done.stderr


class TestGraph:
    """What needs what, without running it."""

    @pytest.fixture(autouse=True)
    def settings(self, tmp_path):
        settings = [
            "--nyc311-lake",
            str(tmp_path),
            "--nyc311-history-from",
            "2020-01-01",
            "--nyc311-history-to",
            "2020-01-03",
        ]
        with CmdlineParser.global_instance(["Daily", "--module", "tasks", *settings]):
            yield

    def test_a_full_load_is_cut_into_months(self):
        first, last = datetime.date(2019, 11, 20), datetime.date(2020, 2, 3)
        cut = tasks.months(first, last)
        assert [str(day) for month in cut for day in month] == [
            "2019-11-20", "2019-11-30", "2019-12-01", "2019-12-31", "2020-01-01", "2020-01-31", "2020-02-01", "2020-02-03",
        ]  # fmt: skip
        loads = tasks.History(first=first, last=last).requires()
        extracts = [one for load in loads for one in load.requires()[0].requires()]
        assert len({one.task_id for one in extracts}) == len(extracts) == 76
        assert all(one.kind == "new" for one in extracts)

    def test_a_day_needs_both_trees_and_the_decision(self):
        day = datetime.date(2020, 1, 9)
        clean = tasks.Daily(day=day).requires()
        preprocess, profile = clean.requires()
        assert sorted((one.kind, one.day) for one in preprocess.requires()) == [("new", day), ("updates", day)]
        assert profile.requires().first == datetime.date(2020, 1, 1)
        assert profile.requires().last == datetime.date(2020, 1, 3)

    def test_two_cleans_never_run_at_once(self):
        scheduler = luigi.scheduler.Scheduler()
        days = [tasks.Clean(day=datetime.date(2020, 1, day)) for day in (8, 9)]
        for clean in days:
            scheduler.add_task(worker="w", task_id=clean.task_id, resources=clean.process_resources())
        assert scheduler.get_work(worker="w")["task_id"] is not None
        assert scheduler.get_work(worker="w2")["task_id"] is None

    def test_a_task_is_done_when_its_file_is_there(self, tmp_path):
        task = tasks.Extract(day=datetime.date(2020, 1, 9), kind="updates")
        assert not task.complete()
        storage.folder(str(tmp_path)).write("raw/updates/2020/01/09/page-00000.json", b"")
        assert not task.complete()
        storage.folder(str(tmp_path)).write("raw/updates/2020/01/09/_manifest.json", b"{}")
        assert task.complete()
