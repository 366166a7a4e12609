"""How a step's arguments become what runs here, and what is told of its end; needs neither Spark nor Java."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infra_local.spark import java, process, submit

pytestmark = pytest.mark.strict_only

OURS = ["--master", "local[2]", "--deploy-mode", "client", "--driver-memory", "1g"]


@pytest.mark.parametrize(
    ("given", "runs", "fetched"),
    [
        ("--deploy-mode cluster s3://b/x.py a b", "files/0/x.py a b", ["s3://b/x.py"]),
        ("--master yarn --deploy-mode=cluster --driver-memory 8g /x.py", "/x.py", []),
        ("--conf spark.master=yarn --conf spark.sql.x=1 -c spark.eventLog.dir=hdfs:///l x.py", "--conf spark.sql.x=1 x.py", []),
        ("--py-files s3://b/a.zip,s3://c/b.py --verbose s3n://b/x.py --master yarn",
         "--py-files files/0/a.zip,files/1/b.py --verbose files/2/x.py --master yarn", ["s3://b/a.zip", "s3://c/b.py", "s3n://b/x.py"]),
        ("--archives s3://b/e.tgz#env --class a.B s3://b/a.jar s3://b/out", "--archives files/0/e.tgz#env --class a.B files/1/a.jar s3://b/out", ["s3://b/e.tgz", "s3://b/a.jar"]),
    ],
)  # fmt: skip
def test_spark_submit_is_brought_to_this_machine(given, runs, fetched):
    made = submit.read("command-runner.jar", ["spark-submit", *given.split()])
    assert made.arguments == [*OURS, *runs.split()]
    assert list(made.fetched) == fetched


@pytest.mark.parametrize(
    ("jar", "given", "reason"),
    [
        ("s3://us-west-2.elasticmapreduce/libs/script-runner/script-runner.jar", ["s3://b/x.sh"], "script-runner.jar"),
        ("command-runner.jar", [], "without arguments"),
        ("command-runner.jar", ["bash", "-c", "true"], "not bash"),
        ("command-runner.jar", ["spark-submit", "--name", "x"], "no script or jar"),
        ("command-runner.jar", ["spark-submit", "--py-files"], "--py-files has no value"),
    ],
)
def test_what_is_no_spark_submit_is_refused(jar, given, reason):
    with pytest.raises(submit.Refused) as refusal:
        submit.read(jar, given)
    assert reason in str(refusal.value)


def test_the_last_words_of_a_log(tmp_path):
    log = tmp_path / "stderr"
    log.write_text(
        "26/11/24 INFO x: y\nTraceback (most recent call last):\n  File 'x'\npyspark.errors.AnalysisException: no column\n"
        "26/11/24 INFO ShutdownHookManager: Error in the log of something else\n"
    )
    assert process.last_words(log) == "pyspark.errors.AnalysisException: no column"
    log.write_text(
        'Exception in thread "main" org.apache.spark.SparkUserAppException: User application exited with 3\n'
    )
    assert "exited with 3" in process.last_words(log)
    assert process.last_words(tmp_path / "nothing") == ""


def test_a_java_that_does_not_fit_is_named(tmp_path, monkeypatch):
    for version, text in (("21", "21.0.1"), ("8", "1.8.0_392"), ("11", "11.0.21")):
        program = tmp_path / version / "bin" / "java"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\necho 'openjdk version \"{text}\" 2023' >&2\n")
        program.chmod(0o755)
    monkeypatch.setattr(java, "_PLACES", (f"{tmp_path}/21",))
    monkeypatch.setattr(java.shutil, "which", lambda _: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert java.find() == (None, "Java 21")
    monkeypatch.setattr(java, "_PLACES", (f"{tmp_path}/*",))
    assert java.find()[0] == (tmp_path / "11").resolve()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "8"))
    assert java.find()[0] == (tmp_path / "8").resolve(), "the one that is named comes first"


def test_the_folders_that_a_java_links_into(tmp_path):
    home, settings = tmp_path / "jvm", tmp_path / "etc" / "java"
    for folder in (home / "conf", home / "lib", settings / "security"):
        folder.mkdir(parents=True)
    for name in ("net.properties", "security/java.policy"):
        (settings / name).touch()
        (home / "conf" / name).parent.mkdir(exist_ok=True)
        (home / "conf" / name).symlink_to(settings / name)
    (home / "lib" / "inside").symlink_to(home / "conf")
    assert java.outside(home) == [settings]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_session_is_ended_with_all_that_is_in_it():
    # A leader with a grandchild that is in a process group of its own, as Spark's Python workers are.
    script = (
        "import subprocess, sys; from infra_local.spark import process\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import os, time; os.setpgid(0, 0); print(1, flush=True); time.sleep(60)'], stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); assert process._others() == [child.pid]\n"
        "process.end_session(); assert process._others() == []; print(child.wait())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=process.Path(process.__file__).parents[2], start_new_session=True,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["-15"], done.stderr
