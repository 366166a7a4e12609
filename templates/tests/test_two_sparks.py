"""The same jobs, unchanged, on Spark 2.4.4 (EMR 5.29.0) and 3.5.6: the same rows, the same summaries, the same decision."""

from __future__ import annotations

import json
import os
import sys

import environments
import generate
import made_requests
import pytest
from conftest import HERE, Lake, absent, run

pytestmark = [pytest.mark.slow, pytest.mark.spark]

ODD = [
    {"unique_key": "1", "created_date": "2020-01-02T01:02:03.456", "city": "Café – Niño’s Straße", "latitude": 40.7},
    {"unique_key": "2", "created_date": "2020-01-02", "closed_date": "1900-01-01T00:00:00.000", "due_date": "2100-01-01"},
    {"unique_key": "3", "created_date": "2020-01-02T01:02:03", "incident_zip": " 10467 ", "latitude": "1e3", "bbl": "007"},
    {"unique_key": "4", "created_date": "2020-02-30T00:00:00.000"},
    {"unique_key": "5", "created_date": "2020-1-2"},
    {"unique_key": "6", "created_date": "1900-01-01T00:00:00.000"},
    {"unique_key": " 7 ", "created_date": "2020-01-02T00:00:00.000", "x_coordinate_state_plane": "3000000000"},
    {"unique_key": "8", "created_date": "2020-01-02T00:00:00.000", "x_coordinate_state_plane": 12.0, "city": "日本😀"},
    {"unique_key": "8", "created_date": "2020-01-02T00:00:00.000", "x_coordinate_state_plane": 13, "city": "n/a"},
    {"unique_key": "9x", "created_date": "2020-01-02T00:00:00.000"},
    {"unique_key": "10", "created_date": "2020-01-02T24:00:00.000", "location": {"a": [1, 2.50, None, True, "é"]}},
]  # fmt: skip


def test_the_same_on_both(spark, tmp_path):
    python = environments.find_python("3.6", "3.7")
    if python is None:
        absent("Spark 2.4.4 needs a Python 3.6 or 3.7, and this machine has none")
    rows = made_requests.requests("2020-01-01", 3, 80)
    lakes = [Lake(spark, tmp_path / name) for name in ("2.4.4", "3.5.6")]
    for lake in lakes:
        for day in ("2020-01-01", "2020-01-02", "2020-01-03"):
            shown = made_requests.seen_on(day, rows) + (ODD if day == "2020-01-02" else [])
            created = [row for row in shown if row.get("created_date", "")[:10] == day or row in ODD]
            lake.put("new", day, created)
            lake.load("updates", day, shown)
        generate.main(["--bronze", str(lake.base / "bronze"), "--sales", "3000"])

    program, environment = environments.spark_2(python)
    summaries = []
    for lake, command, env in [(lakes[0], program, environment), (lakes[1], sys.executable, dict(os.environ))]:
        done = run(command, HERE / "two_sparks.py", lake.base, env=env, timeout=1200)
        assert done.returncode == 0, done.stderr[-5000:]
        summaries.append(json.loads(done.stdout.splitlines()[-1]))
        assert summaries[-1].pop(0) == lake.base.name
        for summary in summaries[-1]:
            summary.pop("seconds", None)
    assert summaries[0] == summaries[1]
    cleaned = [summary for summary in summaries[0] if summary["job"] == "clean"]
    assert sum(summary["rejected"] for summary in cleaned) == 2 * 5, "the odd ones were there"
    for name in ("runs/profile.json", "runs/preprocess/2020-01-02/summary.json"):
        texts = [json.loads((lake.base / name).read_text()) for lake in lakes]
        assert {**texts[0], "seconds": 0} == {**texts[1], "seconds": 0}
    for tree in (
        "preprocessed/2020/01/02",
        "preprocessed/updates/2020/01/02",
        "cleaned/*/*/*",
        "runs/clean/2020-01-02/rejected",
    ):
        both = [lake.rows(tree) for lake in lakes]
        assert both[0] == both[1] and both[0], tree
    assert lakes[0].by_key().keys() == lakes[1].by_key().keys()
    gold = [spark.read.parquet(lake.uri("gold/vendas")).orderBy("ID_VENDA").collect() for lake in lakes]
    assert gold[0] == gold[1] and len(gold[0]) == 3000
