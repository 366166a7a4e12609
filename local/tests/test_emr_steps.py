"""EMR steps: they run, end, are cancelled, and act on failure."""

from __future__ import annotations

import pytest
from conftest import refused, until
from test_emr import cluster_of, cluster_state, ends_with_errors, wanted

strict_only = pytest.mark.strict_only


def step(name: str, failure: str = "CONTINUE") -> dict:
    return {
        "Name": name, "ActionOnFailure": failure,
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["spark-submit", "x.py"]},
    }  # fmt: skip


@pytest.fixture
def waiting(aws, name):
    made = aws.emr.run_job_flow(**wanted(name))["JobFlowId"]
    until(cluster_state(aws.emr, made), ["WAITING"])
    return made


def step_state(aws, cluster_id: str, step_id: str):
    return lambda: aws.emr.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]["Status"]["State"]


def add(aws, cluster_id: str, *steps: dict) -> list[str]:
    return aws.emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=list(steps))["StepIds"]


def test_step_runs_to_its_end(aws, waiting):
    (made,) = add(aws, waiting, step("s1"))
    assert until(step_state(aws, waiting, made), ["COMPLETED"]) == ["PENDING", "RUNNING", "COMPLETED"]
    until(cluster_state(aws.emr, waiting), ["WAITING"])
    times = aws.emr.describe_step(ClusterId=waiting, StepId=made)["Step"]["Status"]["Timeline"]
    assert times["CreationDateTime"] <= times["StartDateTime"] <= times["EndDateTime"]


def test_steps_run_one_after_the_other(aws, waiting):
    first, second = add(aws, waiting, step("s1"), step("s2"))
    until(step_state(aws, waiting, first), ["RUNNING"])
    assert step_state(aws, waiting, second)() == "PENDING"
    until(step_state(aws, waiting, second), ["COMPLETED"])


def test_cancel_a_pending_step(aws, waiting):
    first, second = add(aws, waiting, step("s1"), step("s2"))
    answer = aws.emr.cancel_steps(ClusterId=waiting, StepIds=[second])["CancelStepsInfoList"]
    assert [(a["StepId"], a["Status"]) for a in answer] == [(second, "SUBMITTED")]
    assert step_state(aws, waiting, second)() == "CANCELLED"
    until(step_state(aws, waiting, first), ["COMPLETED"])
    assert aws.emr.cancel_steps(ClusterId=waiting, StepIds=[first])["CancelStepsInfoList"][0]["Status"] == "FAILED"


def test_cluster_without_keep_alive_ends_after_its_steps(aws, name):
    more = {"KeepJobFlowAliveWhenNoSteps": False}
    made = aws.emr.run_job_flow(**wanted(name, None, more, Steps=[step("s0")]))["JobFlowId"]
    until(cluster_state(aws.emr, made), ["TERMINATED"])
    assert cluster_of(aws.emr, made)["Status"]["StateChangeReason"]["Code"] == "ALL_STEPS_COMPLETED"


def test_no_steps_for_a_cluster_that_is_over(aws, waiting):
    aws.emr.terminate_job_flows(JobFlowIds=[waiting])
    with refused("ValidationException"):
        add(aws, waiting, step("late"))


def test_too_many_steps(aws, waiting):
    with refused("ValidationException") as refusal:
        add(aws, waiting, *[step(f"s{n}") for n in range(257)])
    assert "Maximum number of active steps" in refusal.message


@strict_only
def test_failed_step_acts(cloud, aws, waiting):
    cloud.control("inject", {"emr": "step-failure"})
    first, second = add(aws, waiting, step("s1", "CANCEL_AND_WAIT"), step("s2"))
    until(step_state(aws, waiting, first), ["FAILED"])
    until(step_state(aws, waiting, second), ["CANCELLED"])
    until(cluster_state(aws.emr, waiting), ["WAITING"])
    cloud.control("inject", {"emr": "step-failure"})
    add(aws, waiting, step("s3", "TERMINATE_CLUSTER"))
    assert ends_with_errors(aws, waiting)["Code"] == "STEP_FAILURE"


@strict_only
def test_hanging_step_is_cancelled(cloud, aws, waiting):
    cloud.control("inject", {"emr": "step-hang"})
    (made,) = add(aws, waiting, step("s1"))
    until(step_state(aws, waiting, made), ["RUNNING"])
    answer = aws.emr.cancel_steps(ClusterId=waiting, StepIds=[made], StepCancellationOption="TERMINATE_PROCESS")
    assert answer["CancelStepsInfoList"][0]["Status"] == "SUBMITTED"
    until(step_state(aws, waiting, made), ["CANCELLED"])
    until(cluster_state(aws.emr, waiting), ["WAITING"])


@strict_only
@pytest.mark.parametrize(("kind", "code"), [
    ("bootstrap-failure", "BOOTSTRAP_FAILURE"), ("no-capacity", "INTERNAL_ERROR"), ("validation-error", "VALIDATION_ERROR"),
])  # fmt: skip
def test_injected_failures_of_a_cluster(cloud, aws, name, kind, code):
    cloud.control("inject", {"emr": kind})
    made = aws.emr.run_job_flow(**wanted(name))["JobFlowId"]
    assert ends_with_errors(aws, made)["Code"] == code
    until(cluster_state(aws.emr, aws.emr.run_job_flow(**wanted(name))["JobFlowId"]), ["WAITING"])
