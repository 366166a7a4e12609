"""What the jobs say they did is what `infra pipeline report` reads: the contract of templates/README.md."""

from __future__ import annotations

import importlib.util
import json
import os

import generate
import processa_spark_vendas as vendas
import pytest
from conftest import TEMPLATES
from one_day import DAY, ROWS, request, through

import extract

# Summaries of the real jobs, by which the report's own tests read what it reads.
EXAMPLES = TEMPLATES.parent / "tests/cases/summaries"
COUNTS = ["in", "out", "duplicates", "rejected"]
MAPS_OF_COUNTS = ["rejected_by_reason", "problems", "by_day"]
LISTS_OF_NAMES = ["dropped_columns", "unknown_columns"]


def fits(summary: dict) -> dict:
    """Insists on the contract; the summary as whoever reads the file has it."""
    read = json.loads(json.dumps(summary))
    for name in COUNTS:
        assert name not in read or is_count(read[name]), name
    for name in MAPS_OF_COUNTS:
        assert all(is_count(count) for count in read.get(name, {}).values()), name
    for name in LISTS_OF_NAMES:
        assert all(isinstance(column, str) for column in read.get(name, [])), name
    assert all(is_share(share) for share in read.get("null_shares", {}).values())
    for column in read.get("schema", {}).values():
        assert isinstance(column["type"], str) and is_share(column["share"])
    assert read["in"] == read["out"] + read.get("duplicates", 0) + read.get("rejected", 0)
    if "rejected_by_reason" in read:
        assert sum(read["rejected_by_reason"].values()) == read["rejected"]
    return read


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_share(value: object) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= 1


def shape(value: object) -> object:
    """Names and types, without the values; maps by names of data have one entry that stands for all."""
    if isinstance(value, dict):
        return sorted({str(shape(inner)) for inner in value.values()})
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def is_as_the_example(name: str, summary: dict) -> None:
    """The example that the report is tested with is what the job says today; `UPDATE_EXAMPLES=1` writes it anew."""
    if os.environ.get("UPDATE_EXAMPLES") == "1":
        EXAMPLES.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**summary, "seconds": 12.5}, indent=1, sort_keys=True) + "\n"
        (EXAMPLES / f"{name}.json").write_text(text)
    example = json.loads((EXAMPLES / f"{name}.json").read_text())
    assert sorted(example) == sorted(summary), name
    for field, value in summary.items():
        # What is empty has no shape to compare.
        if value and example[field]:
            assert shape(example[field]) == shape(value), f"{name}: {field}"


@pytest.mark.spark
class TestSummaries:
    """The real jobs."""

    def test_nyc311(self, lake_of):
        lake_of.keep_all("landmark")
        rows = [*ROWS[30:60], ROWS[30], request("x1"), request(7, due_date="soon", latitude=40.7)]
        cleaned = fits(through(lake_of, rows))
        written = {job: json.loads((lake_of.base / f"runs/{job}/{DAY}/summary.json").read_text())
                   for job in ("preprocess", "clean")}  # fmt: skip
        assert written["clean"] == cleaned
        assert (cleaned["duplicates"], cleaned["rejected_by_reason"]) == (1, {"unique_key is no number": 1})
        fits(written["preprocess"])
        for job, summary in written.items():
            is_as_the_example(job, summary)

    def test_an_empty_day_has_no_rates(self, lake_of):
        lake_of.keep_all()
        summary = fits(through(lake_of, []))
        assert (summary["in"], summary["null_shares"]) == (0, {})
        written = json.loads((lake_of.base / f"runs/preprocess/{DAY}/summary.json").read_text())
        assert fits(written)["schema"] == {}

    def test_the_schema_is_of_the_types_that_came(self, lake_of):
        lake_of.put("new", DAY, [request(1, bbl=7, city=None), request(2, bbl="007"), request(3)])
        lake_of.put("updates", DAY, [request(4, location={"a": 1})])
        schema = lake_of.preprocess(DAY)["schema"]
        assert schema["bbl"] == {"type": "number or text", "share": 0.5}
        assert schema["location"] == {"type": "object", "share": 0.25}
        assert (schema["unique_key"]["share"], schema["city"]["share"]) == (1, 0.75)

    def test_a_manifest_of_before_types_were_counted_is_read(self, lake_of):
        file = lake_of.put("new", DAY, ROWS) / extract.MANIFEST
        manifest = json.loads(file.read_text())
        del manifest["types"]
        file.write_text(json.dumps(manifest))
        assert lake_of.preprocess(DAY, kinds=["new"])["schema"] == {}

    def test_vendas(self, spark, tmp_path):
        assert generate.main(["--bronze", str(tmp_path / "bronze"), "--sales", "200"]) == 0
        with open(tmp_path / "bronze/vendas/vendas-00000.csv", "a") as file:
            file.write("201,999,1,1,2023-01-01\n")
        spark.conf.set("spark.sql.csv.parser.columnPruning.enabled", "false")
        places = ["--bronze", (tmp_path / "bronze").as_uri(), "--gold", (tmp_path / "gold").as_uri()]
        summary = fits(vendas.work(spark, vendas.parse([*places, "--at", "2024-05-06T00:00:00"])))
        assert (summary["batch"], summary["rejected"]) == ("2024-05-06", 1)
        assert summary["null_shares"] == {"NOME": 0, "CIDADE": 0, "UF": 0, "DESCRICAO": 0}
        (part,) = (tmp_path / "gold/vendas_resumo").glob("part-*")
        assert json.loads(part.read_text()) == summary
        is_as_the_example("processa", summary)

    def test_the_skeleton(self, spark, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(str(TEMPLATES / "skeleton"))
        spec = importlib.util.spec_from_file_location("skeleton_count", TEMPLATES / "skeleton/jobs/count.py")
        job = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(job)
        # The session is everybody's here.
        monkeypatch.setattr(type(spark), "stop", lambda session: None)
        places = ["--from", (TEMPLATES / "skeleton/sample").as_uri(), "--to", (tmp_path / "counted").as_uri()]
        assert job.main([*places, "--summary", (tmp_path / "said").as_uri(), "--minimum", "2"]) == 0
        (part,) = (tmp_path / "said").glob("part-*")
        summary = fits(json.loads(part.read_text()))
        assert (summary["out"], summary["names"]) == (3, 1)


def test_types_are_counted_by_column():
    seen = {}
    extract.count_types([{"a": "1", "b": None}, {"a": 1, "c": True}], seen)
    extract.count_types([{"a": 1.5, "c": [1], "d": {}}], seen)
    assert seen == {"a": {"text": 1, "number": 2}, "c": {"boolean": 1, "list": 1}, "d": {"object": 1}}
