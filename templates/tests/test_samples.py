"""The templates' own tests pass on their samples, as `infra pipeline test` runs them, and leave nothing behind."""

from __future__ import annotations

import os
import re
import shlex
import sys

import pytest
from conftest import SPARK, TEMPLATES, run

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("template", ["nyc311", "vendas"])
def test_own_tests_pass(java, tmp_path, template):
    folder = TEMPLATES / template
    # A process each: modules of the two may have one name, and a session that is set up for one is not for the other.
    settings = {**SPARK, "spark.sql.warehouse.dir": str(tmp_path), "spark.local.dir": str(tmp_path)}
    options = " ".join(f"--conf {shlex.quote(f'{key}={value}')}" for key, value in settings.items())
    environment = {
        **os.environ, "PYTHONPATH": ".", "PYTHONDONTWRITEBYTECODE": "1",
        "PYSPARK_SUBMIT_ARGS": f"--master local[2] {options} pyspark-shell",
    }  # fmt: skip
    before = {path.name for path in folder.iterdir()}
    done = run(sys.executable, "-m", "unittest", "discover", "-s", "tests", "-t", "tests", cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr[-5000:]
    assert int(re.search(r"^Ran (\d+) tests? in", done.stderr, re.MULTILINE).group(1)) > 1
    assert done.stderr.rstrip().endswith("OK"), "none is left out"
    assert {path.name for path in folder.iterdir()} == before, "what is left here would be deployed"
