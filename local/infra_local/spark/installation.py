"""Spark on this machine: installed once, in an environment of its own in the user's cache folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra_local.daemon import DaemonError
from infra_local.spark import java

# Python 3.13 is not among those that PySpark 3.5 knows.
_PYTHONS = ("python3.12", "python3.11", "python3.10")
_TOO_NEW = (3, 13)
_JARS = ("hadoop-aws-*.jar", "aws-java-sdk-bundle-*.jar")


class SparkError(DaemonError):
    """Spark cannot be here; `code` is for programs: no-java, no-python, no-spark or stock."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Installation:
    python: Path  # the interpreter that has pyspark
    spark: Path  # what SPARK_HOME names
    jars: tuple[Path, ...]  # what reads and writes s3://
    java: Path  # what JAVA_HOME names


def requirements() -> Path:
    """Beside the package, in the project and where `infra` unpacks it."""
    return Path(__file__).resolve().parents[2] / "requirements-spark.txt"


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    key = hashlib.sha256(requirements().read_bytes()).hexdigest()[:16]
    return Path(base).expanduser() / "infra" / "local-spark" / f"python-{key}"


def find() -> Installation:
    """What is installed; an error says what is missing."""
    home, there = java.find()
    if not home:
        wanted = ", ".join(map(str, java.VERSIONS[:-1])) + f" or {java.VERSIONS[-1]}"
        raise SparkError("no-java", f"Spark needs Java {wanted}, and this machine has {there}; {java.advice()}")
    folder = _folder()
    packages = next(folder.glob("lib/python3*/site-packages"), None)
    if not packages or not (folder / "complete").exists():
        raise SparkError("no-spark", "Spark is not installed; `up --spark` installs it")
    jars = [jar for pattern in _JARS for jar in (packages / "sagemaker_pyspark" / "jars").glob(pattern)]
    return Installation(folder / "bin" / "python", packages / "pyspark", tuple(jars), home)


def ensure(say: Callable[[str], None]) -> Installation:
    """What is installed, installed now where it is not."""
    try:
        return find()
    except SparkError as error:
        if error.code != "no-spark":
            raise
    folder = _folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once install once
        if not (folder / "complete").exists():
            say("Installing Spark for the local cloud (once; 560 MB, a minute or two) ...")
            _install(folder)
            (folder / "complete").touch()
    return find()


def _install(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    wanted, python = str(requirements()), str(folder / "bin" / "python")
    if shutil.which("uv"):
        _run(["uv", "venv", "--quiet", "--python", ">=3.10,<3.13", str(folder)])
        _run(["uv", "pip", "install", "--quiet", "--no-deps", "--python", python, "-r", wanted])
        return
    _run([_python(), "-m", "venv", str(folder)])
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-deps"]
    _run([*pip, "-r", wanted])


def _python() -> str:
    if sys.version_info < _TOO_NEW:
        # The one beneath this environment's, which may go away.
        return str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    for name in _PYTHONS:
        done = subprocess.run([name, "-c", ""], capture_output=True, check=False) if shutil.which(name) else None
        if done and done.returncode == 0:
            return name
    raise SparkError("no-python", "PySpark 3.5 needs a Python from 3.10 to 3.12 (or uv, which fetches one)")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise SparkError(
            "no-spark", f"Spark cannot be installed: {Path(command[0]).name} says\n{done.stderr.strip()[-3000:]}"
        )
