"""Raw days to parquet, and the decision on columns: each odd input with its outcome."""

from __future__ import annotations

import json

import pytest
from one_day import DAY, ROWS, request

import clean
import columns
import lake
import preprocess
import profile_columns

pytestmark = pytest.mark.spark


class TestPreprocess:
    """Raw to parquet: whole days only, and nothing changed."""

    def test_every_value_comes_through_as_text(self, lake_of):
        lake_of.put("new", DAY, ROWS[:20], ROWS[20:])
        lake_of.put("updates", DAY)
        summary = lake_of.preprocess(DAY)
        assert (summary["in"], summary["out"]) == (120, 120)
        found = lake_of.rows("preprocessed/2020/01/02")
        for row, given in zip(found, ROWS, strict=True):
            for name in columns.COLUMNS:
                value = given.get(name)
                if isinstance(value, dict):
                    assert json.loads(row[name]) == value
                else:
                    assert row[name] == value
        assert json.loads((lake_of.base / f"runs/preprocess/{DAY}/summary.json").read_text())["out"] == 120

    def test_files_are_snappy(self, lake_of):
        lake_of.put("new", DAY, ROWS)
        lake_of.preprocess(DAY, kinds=["new"])
        assert list((lake_of.base / "preprocessed/2020/01/02").glob("*.snappy.parquet"))

    def test_a_day_without_a_manifest_is_refused_before_anything_is_written(self, lake_of):
        lake_of.put("new", DAY, ROWS)
        (lake_of.put("updates", DAY, ROWS) / "_manifest.json").unlink()
        with pytest.raises(lake.Refused, match="not loaded"):
            lake_of.preprocess(DAY)
        assert not (lake_of.base / "preprocessed").exists() and not (lake_of.base / "runs").exists()

    def test_a_page_that_is_cut_is_refused(self, lake_of):
        page = lake_of.put("new", DAY, ROWS) / "page-00000.json"
        page.write_bytes(page.read_bytes()[:-100])
        with pytest.raises(lake.Refused, match="manifest"):
            lake_of.preprocess(DAY, kinds=["new"])

    def test_a_page_of_the_same_length_with_another_byte_is_refused(self, lake_of):
        page = lake_of.put("new", DAY, ROWS) / "page-00000.json"
        page.write_bytes(page.read_bytes().replace(b"BROOKLYN", b"BROOKLIN", 1))
        with pytest.raises(lake.Refused, match="manifest"):
            lake_of.preprocess(DAY, kinds=["new"])

    def test_a_page_that_is_missing_is_refused(self, lake_of):
        (lake_of.put("new", DAY, ROWS[:9], ROWS[9:]) / "page-00001.json").unlink()
        with pytest.raises(lake.Refused, match="page-00001"):
            lake_of.preprocess(DAY, kinds=["new"])

    def test_counts_that_differ_are_refused_and_the_day_is_not_left_there(self, lake_of):
        lake_of.put("new", DAY, ROWS, rows=len(ROWS) + 1)
        with pytest.raises(lake.Refused, match="120 rows, its manifest says 121"):
            lake_of.preprocess(DAY, kinds=["new"])
        assert not (lake_of.base / "preprocessed/2020/01/02").exists()

    def test_a_file_that_the_manifest_does_not_name_is_not_read(self, lake_of):
        (lake_of.put("new", DAY, ROWS) / "page-00001.json").write_text('{"unique_key": "7"}\n')
        assert lake_of.preprocess(DAY, kinds=["new"])["out"] == 120

    def test_truncated_json_with_a_right_manifest_fails_the_job(self, lake_of):
        text = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
        lake_of.put("new", DAY, text[:-40] + b"\n")
        with pytest.raises(Exception, match="Malformed records are detected|MALFORMED_RECORD_IN_PARSING"):
            lake_of.preprocess(DAY, kinds=["new"])
        assert not (lake_of.base / "preprocessed/2020/01/02" / lake.DAY_SUMMARY).exists()
        assert not (lake_of.base / "runs").exists()

    def test_new_columns_of_the_api_are_reported(self, lake_of):
        lake_of.put("new", DAY, [request(1, borough_president="x")])
        assert lake_of.preprocess(DAY, kinds=["new"])["unknown_columns"] == ["borough_president"]

    def test_a_second_run_gives_the_same(self, lake_of):
        lake_of.put("new", DAY, ROWS)
        lake_of.preprocess(DAY, kinds=["new"])
        before = lake_of.rows("preprocessed/2020/01/02")
        lake_of.preprocess(DAY, kinds=["new"])
        assert lake_of.rows("preprocessed/2020/01/02") == before

    def test_many_days_in_one_job(self, lake_of):
        for day in ("2020-01-01", "2020-01-02", "2020-01-03"):
            lake_of.load("new", day, ROWS)
        summary = lake_of.preprocess("2020-01-01", "2020-01-03", kinds=["new"])
        assert summary["batch"] == "2020-01-01_2020-01-03" and summary["out"] == 90
        assert summary["by_day"] == {
            f"new 2020-01-0{n}": 30 for n in (1, 2, 3)
        }  # fmt: skip

    def test_a_range_of_one_day_is_not_that_day(self, lake_of):
        """Of the range, the updates may not be there: the day itself is to be done still."""
        lake_of.load("new", DAY, ROWS)
        assert lake_of.preprocess(DAY, DAY, kinds=["new"])["batch"] == f"{DAY}_{DAY}"
        assert [found.name for found in (lake_of.base / "runs/preprocess").iterdir()] == [f"{DAY}_{DAY}"]


class TestProfile:
    """Which columns are left out: decided once."""

    def test_mostly_null_and_without_variability(self, lake_of):
        rows = [
            request(n, city=str(n) if n < 11 else None, borough="ONE", landmark="N/A", descriptor=str(n))
            for n in range(100)
        ]
        rows[0]["vehicle_type"], rows[1]["vehicle_type"] = "a", "b"
        lake_of.put("new", DAY, rows)
        lake_of.preprocess(DAY, kinds=["new"])
        lake_of.profile(DAY)
        decided = json.loads((lake_of.base / "runs/profile.json").read_text())
        drop = {name: column["drop"] for name, column in decided["columns"].items()}
        assert drop["city"] is None, "89 % null is not mostly null"
        assert drop["vehicle_type"] == "mostly null" == drop["landmark"], "disguised nulls are nulls"
        assert drop["borough"] == "no variability" == drop["agency"]
        assert drop["descriptor"] is None
        assert not any(drop[name] for name in columns.KEPT), "status varies not, but updates need it"
        assert decided["columns"]["city"]["null_share"] == 0.89

    def test_is_decided_once(self, lake_of):
        lake_of.put("new", DAY, [request(n, city=str(n)) for n in range(9)])
        lake_of.preprocess(DAY, kinds=["new"])
        assert lake_of.profile(DAY)["decided"] == "now"
        before = (lake_of.base / "runs/profile.json").read_bytes()
        lake_of.put("new", DAY, [request(n, city="one") for n in range(9)])
        lake_of.preprocess(DAY, kinds=["new"])
        assert lake_of.profile(DAY)["decided"] == "before"
        assert (lake_of.base / "runs/profile.json").read_bytes() == before
        assert "city" in lake_of.profile(DAY, more=["--again"])["dropped"]

    def test_there_is_nothing_to_decide_on(self, lake_of):
        lake_of.put("new", DAY)
        lake_of.preprocess(DAY, kinds=["new"])
        with pytest.raises(lake.Refused, match="no rows"):
            lake_of.profile(DAY)
        assert not (lake_of.base / "runs/profile.json").exists()


def test_settings_do_not_depend_on_what_the_cluster_has(spark):
    assert {key: spark.conf.get(key) for key in lake.SETTINGS} == lake.SETTINGS


def test_clean_names_are_apart():
    names = [columns.clean_name(name) for name in columns.COLUMNS]
    assert len(set(names)) == len(names) and set(columns.KEPT) < set(columns.COLUMNS)


@pytest.mark.parametrize("module", [preprocess, profile_columns, clean])
@pytest.mark.parametrize("wrong", [[], ["--day", "2020-01-01", "--to", "2020-01-02"], ["--from", "2020-01-01"],
                                   ["--from", "2020-01-02", "--to", "2020-01-01"], ["--day", "20200101"]])  # fmt: skip
def test_wrong_days_are_refused(module, wrong):
    places = {name: f"/{name}" for name in ("raw", "preprocessed", "cleaned", "runs", "profile")}
    needed = {preprocess: ["raw", "preprocessed", "runs"], profile_columns: ["preprocessed", "profile"]}
    arguments = [part for name in needed.get(module, ["preprocessed", "cleaned", "runs", "profile"])
                 for part in (f"--{name}", places[name])]  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        module.parse([*arguments, *wrong])
    assert ended.value.code == 2
