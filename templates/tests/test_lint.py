"""What ships is formatted, lint-free, and the jobs, with their own tests, are for Python 3.6."""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

import pytest
from conftest import HERE, TEMPLATES, run

BIN = Path(sys.executable).parent
JOBS = ["nyc311/lake.py", "nyc311/columns.py", "nyc311/preprocess.py", "nyc311/profile_columns.py", "nyc311/clean.py",
        "vendas/processa_spark_vendas.py", "vendas/generate.py",
        "nyc311/tests/test_jobs.py", "vendas/tests/test_job.py"]  # fmt: skip
FOLDERS = ("nyc311", "nyc311/tests", "vendas", "vendas/tests", "tests", ".")
OURS = sorted(path for folder in FOLDERS for path in (TEMPLATES / folder).glob("*.py"))


@pytest.mark.parametrize("what", [["check"], ["format", "--check"]])
def test_ruff(what):
    done = run(BIN / "ruff", *what, TEMPLATES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_vermin():
    done = run(BIN / "vermin", "-t=3.6-", "--no-tips", "--violations", *[TEMPLATES / job for job in JOBS])
    assert done.returncode == 0, done.stdout
    newer = run(BIN / "vermin", "-t=3.6-", "--no-tips", TEMPLATES / "nyc311/extract.py")
    assert newer.returncode != 0, "vermin finds nothing too new anywhere"


def test_hadolint():
    for file in TEMPLATES.glob("*/Dockerfile"):
        done = run(BIN / "hadolint", file)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_has_what_the_tasks_import():
    """Each module of ours that `tasks.py` needs is copied, and the rest is in the pinned requirements."""
    copied = re.findall(r"(\w+)\.py", (TEMPLATES / "nyc311/Dockerfile").read_text())
    needed, found = ["tasks"], set()
    while needed:
        name = needed.pop()
        found.add(name)
        for node in ast.walk(ast.parse((TEMPLATES / f"nyc311/{name}.py").read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            needed += [other for other in names if (TEMPLATES / f"nyc311/{other}.py").exists() and other not in found]
    assert sorted(copied) == sorted(found)


def test_no_module_hides_one_of_pythons():
    """A `profile.py` beside the jobs would be imported by Python's own cProfile, and so by Spark."""
    names = {path.stem for path in OURS if path.parent.name in ("nyc311", "vendas")}
    assert names & set(sys.stdlib_module_names) == set()


def test_files_are_short_and_say_what_they_are():
    for path in OURS:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 400, path
        assert ast.get_docstring(ast.parse(text)), path


def test_readmes_name_every_argument():
    for folder in ("nyc311", "vendas"):
        text = (TEMPLATES / folder / "README.md").read_text()
        for script in (TEMPLATES / folder).glob("*.py"):
            for argument in re.findall(r'add_argument\(\s*"(--[\w-]+)"', script.read_text(encoding="utf-8")):
                assert f"`{argument}" in text, f"{script.name} {argument} is not in the README"
    assert (HERE / "test_lint.py").exists() and os.path.isabs(TEMPLATES)
