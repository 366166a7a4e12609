"""What the tests of steps that really run need: a cloud with Spark, scripts in a bucket, and what runs for them here."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PACKAGE, REGION, Cloud, until

REQUIRED = os.environ.get("CI") == "true"
BUCKET = "lake-of-steps"

# Starts no Spark, which takes its time: spark-submit runs any Python.
WAITS = "import sys, time\nprint('waits', flush=True)\ntime.sleep(600)\n"
FAILS = "import sys\nprint('before the end')\nraise ValueError('no such column: borough')\n"
COUNTS = """import sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
words = spark.sparkContext.textFile(sys.argv[1]).flatMap(lambda line: line.split())
counts = words.map(lambda word: (word, 1)).reduceByKey(lambda one, other: one + other)
print("words:", counts.count())
counts.map(lambda pair: "%s %d" % pair).coalesce(1).saveAsTextFile(sys.argv[2])
"""

# A file is written aside and renamed, which S3A does by copying.
WRITES = """import sys
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()
spark.range(9).coalesce(1).write.mode("overwrite").parquet(sys.argv[1])
print("rows:", spark.read.parquet(sys.argv[1]).count())
"""


def start(home: Path, *more: str) -> Cloud:
    """`up --spark`, as users run it: the first time installs Spark. Skips where there is no Java, unless it is required."""
    done = subprocess.run(
        [sys.executable, "-m", "infra_local", "up", "--spark", *more, "--port", "0", "--home", str(home)],
        cwd=PACKAGE, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    told = json.loads(done.stdout.splitlines()[-1])
    if "error" in told:
        reason = f"no Spark here ({told['error']}): {told['message']}"
        if told["error"] in ("no-java", "no-python") and not REQUIRED:
            pytest.skip(reason)
        pytest.fail(reason)
    return Cloud(told["endpoint"], home, False)


def fill(cloud: Cloud) -> None:
    """A bucket with scripts, and with what they read."""
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for key, text in (
        ("cod/waits.py", WAITS), ("cod/fails.py", FAILS), ("cod/counts.py", COUNTS), ("cod/writes.py", WRITES),
        ("raw/one.txt", "to be or not to be\n"), ("raw/two.txt", "that is the question\n"),
    ):  # fmt: skip
        s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())


def submit(script: str, *arguments: str, options: tuple[str, ...] = (), **more) -> dict:
    words = ["spark-submit", "--deploy-mode", "cluster", *options, f"s3://{BUCKET}/cod/{script}", *arguments]
    jar = {"Jar": "command-runner.jar", "Args": words}
    return {"Name": script, "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar, **more}


class Steps:
    """The steps of one cluster, and their logs."""

    def __init__(self, cloud: Cloud, cluster: str) -> None:
        self.cloud, self.cluster = cloud, cluster
        self.emr, self.s3 = cloud.client("emr"), cloud.client("s3")

    def add(self, *steps: dict) -> list[str]:
        return self.emr.add_job_flow_steps(JobFlowId=self.cluster, Steps=list(steps))["StepIds"]

    def status(self, step: str) -> dict:
        return self.emr.describe_step(ClusterId=self.cluster, StepId=step)["Step"]["Status"]

    def until(self, step: str, *states: str, seconds: float = 120) -> list[str]:
        return until(lambda: self.status(step)["State"], states, seconds)

    def log(self, step: str, name: str, path: str = "") -> str:
        key = f"logs/{self.cluster}/{path or f'steps/{step}'}/{name}.gz"
        return gzip.decompress(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).decode()

    def uri(self, step: str, name: str) -> str:
        return f"s3://{BUCKET}/logs/{self.cluster}/steps/{step}/{name}.gz"

    def running(self, step: str) -> list[str]:
        """The commands of the processes that are a step's own, by the environment that only they have."""
        mark = f"SPARK_CONF_DIR={self.cloud.home}/spark/{self.cluster}/steps/{step}/conf".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found
