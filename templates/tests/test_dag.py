"""The DAG on Airflow 2.8.0 as the hosts have it, against a local AWS: it loads, it succeeds, and it fails as it should."""

from __future__ import annotations

import json
import os
import shutil
import threading

import boto3
import environments
import pytest
from conftest import HERE, TEMPLATES, absent, run
from moto.server import ThreadedMotoServer

pytestmark = pytest.mark.slow
SETTINGS = {"region": "sa-east-1", "data": "s3://data", "logs": "s3://logs/logs/", "poll": 1, "stack": "vendas-test"}
ORDER = ["create_cluster", "wait_for_cluster", "add_step", "wait_for_step", "end_cluster"]


@pytest.fixture(scope="module")
def python():
    found = environments.find_python("3.10")
    if found is None:
        absent("Airflow 2.8.0's pinned packages are for Python 3.10, and this machine has none")
    return environments.airflow(found)


class Airflow:
    """An Airflow home of its own, with the DAG."""

    def __init__(self, python: str, base, endpoint: str = "http://127.0.0.1:1") -> None:
        self.python, self.base = python, base
        self.dags = base / "dags"
        self.dags.mkdir()
        shutil.copy(TEMPLATES / "vendas/pipeline_vendas.py", self.dags)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.environment.update(
            AIRFLOW_HOME=str(base / "home"), DAGS=str(self.dags), AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__CORE__DAGS_FOLDER=str(self.dags), AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS="False",
            AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_ENDPOINT_URL=endpoint,
            AWS_EC2_METADATA_DISABLED="true",
        )  # fmt: skip

    def configure(self, **more) -> None:
        (self.dags / "pipeline_vendas.json").write_text(json.dumps({**SETTINGS, **more}))

    def airflow(self, *arguments: object):
        done = run(self.python, "-m", "airflow", *arguments, env=self.environment)
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    def dag_run(self, what: str) -> dict:
        done = run(self.python, HERE / "dag_run.py", what, env=self.environment, timeout=600)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def aws():
    """EMR whose steps end as `outcome` says."""
    from moto.emr.models import emr_backends

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint, stopping, outcome = f"http://{host}:{port}", threading.Event(), {"state": "COMPLETED"}

    def work():
        while not stopping.wait(0.2):
            for backend in list(emr_backends.values()):
                for region in list(backend.values()):
                    for cluster in list(region.clusters.values()):
                        for step in cluster.steps:
                            if step.state in ("PENDING", "STARTING", "RUNNING"):
                                step.state = outcome["state"]

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield endpoint, outcome
    stopping.set()
    thread.join()
    server.stop()


@pytest.fixture
def installed(python, aws, tmp_path):
    found = Airflow(python, tmp_path, aws[0])
    found.configure()
    found.airflow("db", "migrate")
    return found


def clusters(endpoint: str) -> list[dict]:
    emr = boto3.client("emr", endpoint_url=endpoint, region_name="sa-east-1")
    found = [emr.describe_cluster(ClusterId=one["Id"])["Cluster"] for one in emr.list_clusters()["Clusters"]]
    return [{**one, "Steps": emr.list_steps(ClusterId=one["Id"])["Steps"]} for one in found]


def test_it_loads_with_its_tasks_in_order(installed):
    found = installed.dag_run("import")
    assert found["errors"] == {}
    assert set(found["tasks"]) == set(ORDER)
    for task, following in zip(ORDER, ORDER[1:], strict=False):
        assert following in found["tasks"][task]


@pytest.mark.parametrize("settings, what", [
    ({"data": ""}, "missing ['data']"), ({"bukcet": "x"}, "unknown ['bukcet']"),
    ({"code": "s3://data/cod/job.json"}, "ends in .json"),
])  # fmt: skip
def test_wrong_settings_break_it_visibly(installed, settings, what):
    installed.configure(**settings)
    assert what in installed.dag_run("import")["errors"]["pipeline_vendas.py"]


def test_a_schedule_has_a_clock_and_is_kept_from_the_first_day(installed):
    assert installed.dag_run("import")["schedule"] == ["None", "UTC", True]
    installed.configure(schedule="30 2 * * *", zone="America/Sao_Paulo")
    assert installed.dag_run("import")["schedule"] == ["30 2 * * *", "America/Sao_Paulo", False]


def test_the_cluster_is_the_one_of_the_file(installed):
    tags = [{"Key": "infra:address", "Value": "emr_cluster/main"}, {"Key": "infra:stack", "Value": "vendas-test"}]
    request = {
        "Name": "vendas-test", "ReleaseLabel": "emr-7.0.0", "Tags": tags, "StepConcurrencyLevel": 4,
        "Instances": {"InstanceCount": 9, "KeepJobFlowAliveWhenNoSteps": True}, "LogUri": "s3://logs/emr/",
    }  # fmt: skip
    file = installed.base / "cluster.json"
    file.write_text(json.dumps({"request": request}))
    # Of what both say, the file holds.
    installed.configure(
        cluster=str(file), release="emr-6.0.0", job_flow={"StepConcurrencyLevel": None, "LogUri": "s3://x/"}
    )
    found = installed.dag_run("import")
    expected = {**request, "Name": "vendas {{ data_interval_start | ds }}", "Tags": tags[1:], "LogUri": "s3://x/"}
    del expected["StepConcurrencyLevel"]
    assert (found["errors"], found["job_flow"]) == ({}, expected)

    request["Configurations"] = [{"Classification": "x", "Properties": {"y": "s3://data/y.json"}}]
    file.write_text(json.dumps({"request": request}))
    assert "s3://data/y.json ends in .json" in installed.dag_run("import")["errors"]["pipeline_vendas.py"]
    file.unlink()
    assert "has no request for a cluster" in installed.dag_run("import")["errors"]["pipeline_vendas.py"]


def test_no_settings_break_it_visibly(installed):
    (installed.dags / "pipeline_vendas.json").unlink()
    assert "says what to do" in installed.dag_run("import")["errors"]["pipeline_vendas.py"]


def test_the_variable_goes_before_the_file(installed):
    installed.airflow("variables", "set", "pipeline_vendas", json.dumps({"region": "sa-east-1"}))
    assert "missing ['data']" in installed.dag_run("import")["errors"]["pipeline_vendas.py"]


def test_a_run_that_succeeds_and_one_whose_step_fails(installed, aws):
    endpoint, outcome = aws
    others = boto3.client("emr", endpoint_url=endpoint, region_name="sa-east-1")
    other = others.run_job_flow(
        Name="somebody else's", ReleaseLabel="emr-7.0.0", JobFlowRole="a", ServiceRole="b",
        Instances={"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True},
    )["JobFlowId"]  # fmt: skip
    before = {one["Id"] for one in clusters(endpoint)}
    outcome["state"] = "COMPLETED"
    good = installed.dag_run("run")
    assert good == {"state": "success", "tasks": dict.fromkeys(ORDER, "success")}
    made = [one for one in clusters(endpoint) if one["Id"] not in before]
    assert len(made) == 1 and made[0]["Status"]["State"] == "TERMINATED"
    assert {"Key": "infra:stack", "Value": "vendas-test"} in made[0]["Tags"]
    assert made[0]["Name"] == "vendas 2024-05-06", "the template was not filled in"
    assert made[0]["Steps"][0]["Config"]["Args"] == [
        "spark-submit", "--deploy-mode", "cluster", "s3://data/cod/processa_spark_vendas.py",
        "--bronze", "s3://data/bronze/", "--gold", "s3://data/gold/", "--at", "2024-05-06T00:00:00",
    ]  # fmt: skip

    before = {one["Id"] for one in clusters(endpoint)}
    outcome["state"] = "FAILED"
    bad = installed.dag_run("run")
    assert bad["state"] == "failed", "a failed step left the run a success"
    assert bad["tasks"]["wait_for_step"] == "failed" and bad["tasks"]["end_cluster"] == "success"
    made = [one for one in clusters(endpoint) if one["Id"] not in before]
    assert len(made) == 1 and made[0]["Status"]["State"] == "TERMINATED"
    alive = {one["Id"] for one in clusters(endpoint) if not one["Status"]["State"].startswith("TERMINAT")}
    assert alive == {other}, "a cluster that is not the run's was ended"
