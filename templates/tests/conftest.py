"""What the pipelines' tests share: one Spark session, a lake of files made without extract, a fake Socrata.

`scripts/test` makes the environment. Tests marked `slow` need other Pythons and make environments of their own.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TEMPLATES = HERE.parent
sys.path[:0] = [str(TEMPLATES / "nyc311"), str(TEMPLATES / "vendas"), str(HERE)]

import fake_socrata  # noqa: E402

import extract  # noqa: E402

os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
os.environ.pop("SPARK_HOME", None)
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "SOCRATA_APP_TOKEN", "SOCRATA_APP_TOKEN_FILE", "SOCRATA_URL"):
    os.environ.pop(name, None)
os.environ.update(
    AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION="us-west-2",
    AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)  # fmt: skip

SPARK = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.net.preferIPv4Stack=true",
}


def absent(what: str) -> None:
    """Skips with the reason, where this machine cannot have it; fails in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def java():
    """Java 8 to 17, for Spark 3.5."""
    found = shutil.which("java") or (os.environ.get("JAVA_HOME") and Path(os.environ["JAVA_HOME"], "bin/java"))
    if not found:
        absent("Spark needs Java 8, 11 or 17; hint: apt-get install openjdk-17-jre-headless")
    return found


@pytest.fixture(scope="session")
def spark_folder(tmp_path_factory):
    """Where Spark may leave its own files."""
    return tmp_path_factory.mktemp("spark")


@pytest.fixture(scope="session")
def spark(java, spark_folder):
    """The one session of the whole run."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.sql.warehouse.dir", str(spark_folder))
    for key, value in SPARK.items():
        builder = builder.config(key, value)
    builder.config("spark.local.dir", str(spark_folder)).getOrCreate()
    import lake

    session = lake.session("tests")
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture
def socrata():
    server = fake_socrata.FakeSocrata()
    yield server
    server.close()


class Lake:
    """A local lake, and the jobs on it in the one session."""

    def __init__(self, spark, base: Path) -> None:
        self.spark, self.base = spark, base

    def uri(self, name: str) -> str:
        return (self.base / name).as_uri()

    def put(self, kind: str, day: str, *pages: list[dict] | bytes, **wrong) -> Path:
        """A raw day as the extract would leave it, from rows or from bytes; `wrong` overrides the manifest."""
        folder = self.base / "raw" / ("updates" if kind == "updates" else "") / day.replace("-", "/")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        described, columns, types, rows = [], set(), {}, 0
        for number, page in enumerate(pages):
            count = page.count(b"\n") if isinstance(page, bytes) else len(page)
            if not isinstance(page, bytes):
                columns.update(*page)
                extract.count_types(page, types)
                page = "".join(json.dumps(row, sort_keys=True) + "\n" for row in page).encode()
            name = f"page-{number:05d}.json"
            (folder / name).write_bytes(page)
            digest = hashlib.sha256(page).hexdigest()
            described.append({"name": name, "rows": count, "bytes": len(page), "sha256": digest})
            rows += count
        manifest = {
            "version": 1,
            "kind": kind,
            "day": day,
            "rows": rows,
            "columns": sorted(columns),
            "types": types,
            "pages": described,
        }
        (folder / "_manifest.json").write_text(json.dumps({**manifest, **wrong}))
        return folder

    def preprocess(self, *days: str, kinds=("new", "updates")) -> dict:
        import preprocess

        arguments = ["--raw", self.uri("raw"), "--preprocessed", self.uri("preprocessed"), "--runs", self.uri("runs")]
        return preprocess.work(self.spark, preprocess.parse([*arguments, "--kinds", *kinds, *self._days(days)]))

    def profile(self, *days: str, more=()) -> dict:
        import profile_columns

        arguments = ["--preprocessed", self.uri("preprocessed"), "--profile", self.uri("runs/profile.json"), *more]
        return profile_columns.work(self.spark, profile_columns.parse([*arguments, *self._days(days)]))

    def keep_all(self, *dropped: str) -> None:
        """A decision that keeps every column but those."""
        import columns

        decision = {
            name: {"null_share": 0, "drop": "mostly null" if name in dropped else None} for name in columns.COLUMNS
        }
        (self.base / "runs").mkdir(parents=True, exist_ok=True)
        (self.base / "runs/profile.json").write_text(json.dumps({"version": 1, "rows": 1, "columns": decision}))

    def clean(self, *days: str, kinds=("new", "updates"), latest="2020-12-31") -> dict:
        import clean

        arguments = [
            "--preprocessed",
            self.uri("preprocessed"),
            "--cleaned",
            self.uri("cleaned"),
            "--runs",
            self.uri("runs"),
        ]
        arguments += ["--profile", self.uri("runs/profile.json"), "--latest", latest, "--kinds", *kinds]
        return clean.work(self.spark, clean.parse([*arguments, *self._days(days)]))

    @staticmethod
    def _days(days):
        return ["--day", days[0]] if len(days) == 1 else ["--from", days[0], "--to", days[1]]

    def rows(self, name: str = "cleaned/*/*/*") -> list[dict]:
        """All rows below a folder, in order of their keys."""
        found = self.spark.read.parquet(self.uri(name).replace("%2A", "*"))
        return sorted((row.asDict() for row in found.collect()), key=lambda row: str(row["unique_key"]))

    def by_key(self) -> dict[int, dict]:
        found = {row["unique_key"]: row for row in self.rows()}
        assert len(found) == len(self.rows()), "a key stands in the cleaned tree twice"
        return found

    def rejected(self, batch: str) -> list[dict]:
        return self.rows(f"runs/clean/{batch}/rejected")

    def load(self, kind: str, day: str, rows: list[dict]) -> None:
        """The day's raw folder, as the extract would pick its rows."""
        date = "created_date" if kind == "new" else "closed_date"
        self.put(kind, day, [row for row in rows if row.get(date, "")[:10] == day])


@pytest.fixture
def lake_of(spark, tmp_path):
    return Lake(spark, tmp_path)


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file of a tree, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(*command: object, timeout: float = 300, **options) -> subprocess.CompletedProcess:
    """Runs a command to its end."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout, **options)


def day_after(day: str, days: int = 1) -> str:
    return str(datetime.date.fromisoformat(day) + datetime.timedelta(days))
