"""The daemon's side of steps that really run: starts a process for each, looks whether it has ended, ends it.

Called with the cloud's lock held: it waits for nothing, and the processes talk to the cloud as any client does.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from infra_local.daemon import python_path
from infra_local.spark import java, submit
from infra_local.spark.installation import Installation
from infra_local.strict import emr_injection, emr_logs, s3_buckets
from infra_local.strict.emr_steps import INTERRUPTED, UNKNOWN, TimedRunner

log = logging.getLogger("infra_local")

_COMMAND_RUNNER = "command-runner.jar"
_END = 10.0
# All that a step sees of this machine's environment.
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL")


class SparkRunner:
    def __init__(self, installation: Installation, home: Path, endpoint: str) -> None:
        self.installation, self.home, self.endpoint = installation, home / "spark", endpoint
        self.outside = java.outside(installation.java)
        self.timed = TimedRunner()
        self.running: dict[str, subprocess.Popen] = {}
        self.leaving: list[subprocess.Popen] = []

    def events(self, cluster_id: str) -> Path:
        """Where a cluster's Spark leaves its event logs, which a history server reads."""
        folder = self.home / cluster_id / "events"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _folder(self, cluster, step) -> Path:
        return self.home / cluster.id / "steps" / step.id

    def start(self, cluster, step) -> None:
        self.leaving = [p for p in self.leaving if p.poll() is None]
        if emr_injection.is_armed("step-hang", "step-failure"):
            self.timed.start(cluster, step)
            return
        step.fate = None
        try:
            self._launch(cluster, step, submit.read(step.jar, list(step.args or [])))
        except (submit.Refused, OSError) as refusal:
            step.refusal = str(refusal)

    def _launch(self, cluster, step, submission: submit.Submission) -> None:
        folder = self._folder(cluster, step)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps(self._job(cluster, step, folder, submission)))
        with open(folder / "process.log", "wb") as said:
            self.running[step.id] = subprocess.Popen(
                [sys.executable, "-m", "infra_local.spark.process", str(folder)],
                stdin=subprocess.PIPE, stdout=said, stderr=said, start_new_session=True, cwd="/",
                env={**os.environ, "PYTHONPATH": python_path()},
            )  # fmt: skip

    def _job(self, cluster, step, folder: Path, submission: submit.Submission) -> dict:
        where = emr_logs.place(cluster)
        self._configure(cluster, folder)
        return {
            "endpoint": self.endpoint,
            "region": cluster.emr_backend.region_name,
            "account": cluster.emr_backend.account_id,
            "step": cluster.steps.index(step) + 1,
            "jar": _COMMAND_RUNNER,
            "shown": list(step.args),
            "fetched": submission.fetched,
            "command": [str(self.installation.spark / "bin" / "spark-submit"), *submission.arguments],
            "environment": self._environment(cluster, folder),
            "logs": where and {"bucket": where[0], "prefix": f"{where[1]}steps/{step.id}/"},
        }

    def _environment(self, cluster, folder: Path) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        python = str(self.installation.python)
        return {
            **kept,
            "TZ": "UTC",  # as on EMR's nodes
            "SPARK_HOME": str(self.installation.spark),
            "SPARK_CONF_DIR": str(folder / "conf"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "JAVA_HOME": str(self.installation.java),
            "PYSPARK_PYTHON": python,
            "PYSPARK_DRIVER_PYTHON": python,
            "TMPDIR": str(folder / "tmp"),
            "AWS_ACCESS_KEY_ID": cluster.emr_backend.account_id,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": cluster.emr_backend.region_name,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _configure(self, cluster, folder: Path) -> None:
        """Spark's defaults: the cluster's own, and above them what leads to the local cloud."""
        settings = {
            name: value
            for block in cluster.configurations or []
            if block.get("Classification", block.get("classification")) == "spark-defaults"
            for name, value in (block.get("Properties", block.get("properties")) or {}).items()
            if not submit.is_ours(name)
        }
        settings |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.extraClassPath": ":".join(map(str, self.installation.jars)),
            "spark.driver.extraJavaOptions": f'-XX:+UseSerialGC "-Djava.io.tmpdir={folder / "tmp"}"',
            "spark.ui.enabled": "false",
            "spark.local.dir": str(folder / "tmp"),
            "spark.sql.warehouse.dir": (folder / "work" / "warehouse").as_uri(),
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": self.events(cluster.id).as_uri(),
            "spark.hadoop.hadoop.tmp.dir": str(folder / "tmp"),
            "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
        }
        for scheme in ("s3", "s3a", "s3n"):
            settings[f"spark.hadoop.fs.{scheme}.impl"] = "org.apache.hadoop.fs.s3a.S3AFileSystem"
        for name, value in (
            ("endpoint", self.endpoint),
            ("endpoint.region", cluster.emr_backend.region_name),
            ("path.style.access", "true"),
            ("user.agent.prefix", s3_buckets.STEP_AGENT),
            ("connection.ssl.enabled", "false"),
            ("aws.credentials.provider", "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider"),
            ("access.key", cluster.emr_backend.account_id),
            ("secret.key", "local"),
        ):
            settings[f"spark.hadoop.fs.s3a.{name}"] = value
        (folder / "conf").mkdir()
        lines = [f"{name} {_escaped(str(value))}\n" for name, value in settings.items()]
        (folder / "conf" / "spark-defaults.conf").write_text("".join(lines))

    def poll(self, cluster, step) -> tuple[str, str | None] | None:
        if self.timed.has(step):
            return self.timed.poll(cluster, step)
        refusal = getattr(step, "refusal", None)
        if refusal:
            self._write_controller(cluster, step, f"ERROR {refusal}", "WARN Step failed with exitCode 1")
            emr_logs.step_failure(cluster, step, UNKNOWN, refusal, "controller")
            return "FAILED", UNKNOWN
        process = self.running.get(step.id)
        if process is None:
            return self._interrupted(cluster, step)
        if process.poll() is None:
            return None
        del self.running[step.id]
        process.stdin.close()
        try:
            outcome = json.loads((self._folder(cluster, step) / "outcome.json").read_text())
        except (OSError, ValueError):
            return self._interrupted(cluster, step)
        if outcome["code"] == 0:
            return "COMPLETED", None
        emr_logs.step_failure(cluster, step, UNKNOWN, outcome["message"])
        return "FAILED", UNKNOWN

    def _interrupted(self, cluster, step) -> tuple[str, str]:
        """Its process is gone and did not say how it ended: the daemon or the process was killed."""
        folder = self._folder(cluster, step)
        for name in ("stdout", "stderr"):
            path = folder / name
            text = path.read_text(errors="replace") if path.exists() else ""
            emr_logs.write(cluster, f"steps/{step.id}/{name}.gz", text)
        self._write_controller(cluster, step, f"ERROR {INTERRUPTED}")
        emr_logs.step_failure(cluster, step, UNKNOWN, INTERRUPTED, "controller")
        return "FAILED", INTERRUPTED

    def _write_controller(self, cluster, step, *lines: str) -> None:
        path = self._folder(cluster, step) / "controller"
        path.parent.mkdir(parents=True, exist_ok=True)
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        with open(path, "a") as out:
            out.writelines(f"{now}Z {line}\n" for line in lines)
        emr_logs.write(cluster, f"steps/{step.id}/controller.gz", path.read_text())

    def cancel(self, cluster, step) -> None:
        self.timed.cancel(cluster, step)
        process = self.running.pop(step.id, None)
        if process:
            with contextlib.suppress(OSError):
                process.stdin.write(b"cancel\n")
                process.stdin.flush()
            self.leaving.append(process)

    def history(self, cluster) -> dict | None:
        places = [self.installation.java, *self.outside]
        found = {"spark": self.installation.spark, "events": self.events(cluster.id)}
        return {**{name: str(path) for name, path in found.items()}, "java": [str(path) for path in places]}

    def close(self) -> None:
        """End all that runs, and wait for it: the daemon ends, or forgets everything."""
        processes = [*self.running.values(), *self.leaving]
        self.running, self.leaving = {}, []
        for process in processes:
            with contextlib.suppress(OSError):
                process.stdin.close()
        deadline = time.monotonic() + _END
        for process in processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("the process %s of a step does not end", process.pid)

    def forget(self) -> None:
        """The account is empty again."""
        self.close()
        shutil.rmtree(self.home, ignore_errors=True)


def _escaped(value: str) -> str:
    """A value in a file of Java properties, which spark-defaults.conf is."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")
