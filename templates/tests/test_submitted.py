"""The jobs as spark-submit runs them: exit codes, and a SIGKILL."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import SPARK, TEMPLATES
from one_day import DAY, ROWS, accounted, through

pytestmark = pytest.mark.spark


class TestSubmitted:
    """In a process of their own."""

    def submit(self, job, *arguments):
        submit = [sys.executable, "-c", "import pyspark.find_spark_home as f; print(f._find_spark_home())"]
        home = subprocess.run(submit, capture_output=True, text=True, check=True).stdout.strip()
        settings = [part for key, value in SPARK.items() for part in ("--conf", f"{key}={value}")]
        nyc311 = TEMPLATES / "nyc311"
        command = [f"{home}/bin/spark-submit", "--master", "local[2]", *settings]
        command += ["--py-files", f"{nyc311}/lake.py,{nyc311}/columns.py", f"{nyc311}/{job}.py", *map(str, arguments)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def places(self, lake_of, *names):
        return [part for name in names for part in (f"--{name}", lake_of.uri(name))]

    def test_malformed_input_ends_with_3(self, java, lake_of):
        lake_of.put("new", DAY, b'{"unique_key": "1"}\n{"unique_key": \n')
        child = self.submit(
            "preprocess", *self.places(lake_of, "raw", "preprocessed", "runs"), "--kinds", "new", "--day", DAY
        )
        # All that Python says comes by spark-submit's standard output.
        said, errors = child.communicate(timeout=240)
        assert child.returncode == 3, errors[-3000:]
        assert said.splitlines()[-1] == "refused: the raw files hold a record that is no JSON object"

    def test_killed_at_any_moment_and_run_again_gives_the_same(self, java, lake_of):
        lake_of.keep_all()
        through(lake_of, ROWS[30:60])
        lake_of.put("new", "2020-01-03", ROWS[60:90])
        lake_of.put("updates", "2020-01-03", [dict(row, status="Late") for row in ROWS[20:50]])
        lake_of.preprocess("2020-01-03")
        shutil.copytree(lake_of.base / "cleaned", lake_of.base / "before")
        accounted(lake_of.clean("2020-01-03"))
        wanted = lake_of.rows()
        for name in ("cleaned", "runs/clean"):
            shutil.rmtree(lake_of.base / name)
        shutil.copytree(lake_of.base / "before", lake_of.base / "cleaned")
        arguments = self.places(lake_of, "preprocessed", "cleaned", "runs")
        arguments += ["--profile", lake_of.uri("runs/profile.json"), "--day", "2020-01-03", "--latest", "2020-12-31"]
        child = self.submit("clean", *arguments)
        deadline = time.monotonic() + 240
        # Once it writes: what it leaves is neither the old state nor the new one.
        while (
            time.monotonic() < deadline
            and child.poll() is None
            and not list(lake_of.base.glob("runs/clean/*/staging/_t*"))
        ):
            time.sleep(0.02)
        assert child.poll() is None, child.stderr.read()[-3000:]
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        assert not (lake_of.base / "runs/clean/2020-01-03/summary.json").exists()
        accounted(lake_of.clean("2020-01-03"))
        assert lake_of.rows() == wanted
