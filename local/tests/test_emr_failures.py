"""Failures that are made to happen, and those of bootstrap actions: the reason in AWS's words, the logs where EMR puts them."""

from __future__ import annotations

import pytest
from conftest import REGION, until
from spark import Steps
from test_emr import cluster_of, cluster_state, ends_with_errors, wanted
from test_emr_steps import step

pytestmark = pytest.mark.strict_only


@pytest.fixture(scope="module")
def bucket(cloud):
    name = "lake-of-steps"
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=name, Key="boot/patch.sh", Body=b"#!/bin/sh\nexit 0\n")
    return name


def action(path: str) -> dict:
    return {"Name": "patch", "ScriptBootstrapAction": {"Path": path, "Args": ["--all"]}}


def run(cloud, bucket: str, *actions: str) -> Steps:
    more = {"LogUri": f"s3n://{bucket}/logs/", "BootstrapActions": [action(path) for path in actions]}
    return Steps(cloud, cloud.client("emr").run_job_flow(**wanted("c", **more))["JobFlowId"])


def master_of(made: Steps) -> str:
    listed = made.emr.list_instances(ClusterId=made.cluster, InstanceGroupTypes=["MASTER"])["Instances"]
    return listed[0]["Ec2InstanceId"]


def test_a_bootstrap_failure_has_logs_of_its_node(cloud, aws, bucket):
    cloud.control("inject", {"emr": "bootstrap-failure"})
    made = run(cloud, bucket, f"s3://{bucket}/boot/patch.sh")
    reason, node = ends_with_errors(aws, made.cluster), master_of(made)
    assert reason == {
        "Code": "BOOTSTRAP_FAILURE",
        "Message": f"On the master instance ({node}), bootstrap action 1 returned a non-zero return code",
    }
    details = cluster_of(aws.emr, made.cluster)["Status"]["ErrorDetails"]
    assert details[0]["ErrorCode"] == "BOOTSTRAP_FAILURE_PRIMARY_WITH_NON_ZERO_CODE"
    folder = f"node/{node}/bootstrap-actions/1"
    assert made.log("", "stderr", folder).startswith("patch.sh: line 1: ")
    assert made.log("", "stdout", folder) == ""
    controller = made.log("", "controller", folder)
    assert f"Fetching file 's3://{bucket}/boot/patch.sh'" in controller and "ended with exit code 1" in controller


def test_without_bootstrap_actions_it_is_the_provisioning_that_fails(cloud, aws, bucket):
    cloud.control("inject", {"emr": "bootstrap-failure"})
    made = run(cloud, bucket)
    reason = ends_with_errors(aws, made.cluster)
    assert reason["Code"] == "BOOTSTRAP_FAILURE"
    assert reason["Message"] == f"On the master instance ({master_of(made)}), application provisioning failed"
    prefix = f"logs/{made.cluster}/node/{master_of(made)}/provision-node/"
    assert made.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] == 2


@pytest.mark.parametrize("missing", ["s3://lake-of-steps/boot/nowhere.sh", "s3://no-such-bucket-at-all/x.sh"])
def test_a_bootstrap_action_whose_script_is_missing(cloud, aws, bucket, missing):
    made = run(cloud, bucket, f"s3://{bucket}/boot/patch.sh", missing)
    reason = ends_with_errors(aws, made.cluster)
    assert reason["Code"] == "BOOTSTRAP_FAILURE"
    assert reason["Message"] == (
        f"Master instance ({master_of(made)}) failed attempting to download bootstrap action 2 file from S3"
    )


def test_bootstrap_actions_that_are_there_are_passed(cloud, aws, bucket):
    made = run(
        cloud,
        bucket,
        f"s3://{bucket}/boot/patch.sh",
        "s3://elasticmapreduce/bootstrap-actions/run-if",
        "file:/bin/true",
    )
    until(cluster_state(aws.emr, made.cluster), ["WAITING"])


def test_an_injected_step_failure_has_logs(cloud, aws, bucket):
    made = run(cloud, bucket)
    until(cluster_state(aws.emr, made.cluster), ["WAITING"])
    cloud.control("inject", {"emr": "step-failure"})
    (failed,) = made.add(step("s"))
    made.until(failed, "FAILED", seconds=10)
    failure = made.status(failed)["FailureDetails"]
    assert failure["Reason"] == "Unknown Error." and failure["LogFile"] == made.uri(failed, "stderr")
    assert failure["Message"] + "\n" == made.log(failed, "stderr")
    assert "Step failed with exitCode 1" in made.log(failed, "controller") and made.log(failed, "stdout") == ""
    (listed,) = made.emr.list_steps(ClusterId=made.cluster)["Steps"]
    assert listed["Status"]["FailureDetails"] == failure


def test_a_cluster_without_logs_fails_as_well(cloud, aws):
    cloud.control("inject", {"emr": "step-failure"})
    made = Steps(cloud, aws.emr.run_job_flow(**wanted("c"))["JobFlowId"])
    until(cluster_state(aws.emr, made.cluster), ["WAITING"])
    (failed,) = made.add(step("s"))
    made.until(failed, "FAILED", seconds=10)
    assert "LogFile" not in made.status(failed)["FailureDetails"]


def test_yarn_tells_the_steps_that_run(cloud, aws):
    made = Steps(cloud, aws.emr.run_job_flow(**wanted("c"))["JobFlowId"])
    until(cluster_state(aws.emr, made.cluster), ["WAITING"])
    ask = lambda what, more="": cloud.control(f"yarn?cluster={made.cluster}&what={what}{more}")  # noqa: E731
    assert ask("apps") == {"apps": None} and ask("info")["clusterInfo"]["state"] == "STARTED"
    cloud.control("inject", {"emr": "step-hang"})
    (hangs,) = made.add(step("s"))
    made.until(hangs, "RUNNING", seconds=10)
    (row,) = ask("apps")["apps"]["app"]
    assert (row["name"], row["state"]) == ("s", "RUNNING") and row["id"].endswith("_0001")
    assert ask("apps", "&states=ACCEPTED,running")["apps"]["app"][0]["id"] == row["id"]
    assert ask("apps", "&states=FINISHED") == {"apps": None}
    assert ask("metrics")["clusterMetrics"]["appsRunning"] == 1
    aws.emr.terminate_job_flows(JobFlowIds=[made.cluster])
    made.until(hangs, "CANCELLED", seconds=10)
    assert ask("apps") == {"apps": None}
