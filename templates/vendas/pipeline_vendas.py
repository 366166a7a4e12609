"""The DAG `pipeline_vendas`: a cluster is made, given its step, waited for, and ended, also after a failure.

The settings are read from the Airflow Variable `pipeline_vendas` (JSON), or else from `pipeline_vendas.json` beside this
file; README.md lists them. It needs Airflow 2.8 and the Amazon provider 8.15.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib

import pendulum
from airflow import DAG
from airflow.models import Variable
from airflow.providers.amazon.aws.operators.emr import (
    EmrAddStepsOperator,
    EmrCreateJobFlowOperator,
    EmrTerminateJobFlowOperator,
)
from airflow.providers.amazon.aws.sensors.emr import EmrJobFlowSensor, EmrStepSensor

NAME = "pipeline_vendas"
BESIDE = pathlib.Path(__file__).with_suffix(".json")
NEEDED = ["region", "data"]
DEFAULTS = {
    "stack": "vendas",  # the tag infra:stack of the cluster
    "code": "",  # the job's URI; DATA/cod/processa_spark_vendas.py unless said
    "bronze": "",  # DATA/bronze/ unless said
    "gold": "",  # DATA/gold/ unless said
    "logs": "",  # where EMR writes its logs
    "release": "emr-7.0.0",
    "applications": ["Hadoop", "Spark", "Hive"],
    "types": {"MASTER": "m5.xlarge", "CORE": "m5.xlarge", "TASK": "m5.xlarge"},
    "subnet": "",
    "key": "",
    "roles": {"nodes": "EMR_EC2_DefaultRole", "service": "regras-emr"},
    "tags": {},
    "cluster": "",  # a file with the whole request, as infra writes it from the spec; goes before release to roles
    "job_flow": {},  # what else RunJobFlow is told; goes before all of the above
    "spark": [],  # arguments for spark-submit
    "schedule": None,  # cron; only by hand unless said
    "zone": "UTC",  # whose clock the schedule goes by
    "poll": 30,  # seconds between looks at the cluster and the step
    "cluster_minutes": 60,
    "step_minutes": 360,
    "aws_conn_id": None,  # a connection of Airflow's; the host's own role unless said
}


def settings() -> dict:
    """What this DAG is to do."""
    found = Variable.get(NAME, default_var=None, deserialize_json=True)
    where = f"the Variable {NAME}"
    if found is None:
        where = str(BESIDE)
        if not BESIDE.exists():
            raise ValueError(f"neither a Variable {NAME} nor {BESIDE} says what to do")
        found = json.loads(BESIDE.read_text(encoding="utf-8"))
    unknown = sorted(set(found) - set(DEFAULTS) - set(NEEDED))
    missing = [name for name in NEEDED if not found.get(name)]
    if unknown or missing:
        raise ValueError(f"{where}: unknown {unknown}, missing {missing}")
    data = found["data"].rstrip("/")
    inferred = {"code": f"{data}/cod/processa_spark_vendas.py", "bronze": f"{data}/bronze/", "gold": f"{data}/gold/"}
    return {**DEFAULTS, **inferred, **{name: value for name, value in found.items() if value not in ("", None)}}


def specified(wanted: dict) -> dict:
    """The request for the spec's own cluster, from the file that infra writes on this host."""
    try:
        request = json.loads(pathlib.Path(wanted["cluster"]).read_text(encoding="utf-8"))["request"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{wanted['cluster']} has no request for a cluster: {error!r}") from error
    # With its address it would be the one cluster that `infra cluster up` starts, and not this run's.
    request["Tags"] = [tag for tag in request.get("Tags", []) if tag["Key"] != "infra:address"]
    return request


def described(wanted: dict) -> dict:
    """The request for a cluster as the settings describe it. It ends itself too, where this DAG cannot: it has a limit
    for idleness."""
    counts = {role: {"Name": role.lower(), "InstanceRole": role, "InstanceType": kind, "InstanceCount": 1,
                     "Market": "ON_DEMAND"} for role, kind in wanted["types"].items()}  # fmt: skip
    instances = {"InstanceGroups": list(counts.values()), "KeepJobFlowAliveWhenNoSteps": True}
    if wanted["subnet"]:
        instances["Ec2SubnetId"] = wanted["subnet"]
    if wanted["key"]:
        instances["Ec2KeyName"] = wanted["key"]
    request = {
        "ReleaseLabel": wanted["release"],
        "Applications": [{"Name": name} for name in wanted["applications"]],
        "Instances": instances,
        "JobFlowRole": wanted["roles"]["nodes"],
        "ServiceRole": wanted["roles"]["service"],
        "StepConcurrencyLevel": 10,
        "VisibleToAllUsers": True,
        "AutoTerminationPolicy": {"IdleTimeout": 3600},
        "Tags": [
            {"Key": key, "Value": value} for key, value in {"infra:stack": wanted["stack"], **wanted["tags"]}.items()
        ],
    }
    if wanted["logs"]:
        request["LogUri"] = wanted["logs"]
    return request


def job_flow(wanted: dict) -> dict:
    """The request for the cluster of a run."""
    request = specified(wanted) if wanted["cluster"] else described(wanted)
    request["Name"] = "vendas {{ data_interval_start | ds }}"
    # `null` takes a field away: releases before 5.30.0 know no AutoTerminationPolicy.
    request = {name: value for name, value in {**request, **wanted["job_flow"]}.items() if value is not None}
    refuse_files(request)
    return request


def refuse_files(value: object) -> None:
    """A text that ends in .json would be read by the operators as a file of this host."""
    if isinstance(value, str) and value.endswith(".json"):
        raise ValueError(f"{value} ends in .json, which the operator would take for a template of its own")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        refuse_files(inner)


def step(wanted: dict) -> dict:
    """The step."""
    arguments = ["spark-submit", "--deploy-mode", "cluster", *wanted["spark"], wanted["code"]]
    arguments += ["--bronze", wanted["bronze"], "--gold", wanted["gold"]]
    arguments += ["--at", "{{ data_interval_start | ds }}T00:00:00"]
    refuse_files(arguments)
    jar = {"Jar": "command-runner.jar", "Args": arguments}
    return {"Name": "processa_spark_vendas", "ActionOnFailure": "CANCEL_AND_WAIT", "HadoopJarStep": jar}


WANTED = settings()
# Only one of the five operators takes a region; all of them look here.
os.environ.setdefault("AWS_DEFAULT_REGION", WANTED["region"])
CLUSTER = "{{ ti.xcom_pull(task_ids='create_cluster') }}"
COMMON = {"aws_conn_id": WANTED["aws_conn_id"]}

with DAG(
    NAME,
    description="Sales with their users, products, values and commissions",
    start_date=pendulum.datetime(2024, 1, 1, tz=WANTED["zone"]),
    schedule=WANTED["schedule"],
    # What has a time is meant to run then: Airflow's own default would leave it paused.
    is_paused_upon_creation=WANTED["schedule"] is None,
    catchup=False,
    max_active_runs=1,
    # A second try of a create would leave the first cluster behind; of a step, do it twice.
    default_args={"retries": 0},
    tags=["infra", WANTED["stack"]],
    doc_md=__doc__,
) as dag:
    create = EmrCreateJobFlowOperator(
        task_id="create_cluster",
        job_flow_overrides=job_flow(WANTED),
        region_name=WANTED["region"],
        emr_conn_id=None,
        waiter_delay=30,
        waiter_max_attempts=60,
        **COMMON,
    )
    ready = EmrJobFlowSensor(
        task_id="wait_for_cluster",
        job_flow_id=CLUSTER,
        target_states=["WAITING", "RUNNING"],
        failed_states=["TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"],
        poke_interval=WANTED["poll"],
        timeout=WANTED["cluster_minutes"] * 60,
        **COMMON,
    )
    add = EmrAddStepsOperator(task_id="add_step", job_flow_id=CLUSTER, steps=[step(WANTED)], **COMMON)
    wait = EmrStepSensor(
        task_id="wait_for_step",
        job_flow_id=CLUSTER,
        step_id="{{ ti.xcom_pull(task_ids='add_step')[0] }}",
        poke_interval=WANTED["poll"],
        timeout=WANTED["step_minutes"] * 60,
        **COMMON,
    )
    end = EmrTerminateJobFlowOperator(
        task_id="end_cluster", job_flow_id=CLUSTER, retries=3, retry_delay=datetime.timedelta(seconds=30), **COMMON
    )
    # As a teardown it runs also after a failure, and does not decide how the run ends: as a leaf with
    # `trigger_rule=all_done`, its success would make a failed run a successful one.
    create >> ready >> add >> wait >> end.as_teardown(setups=create)
