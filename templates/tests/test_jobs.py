"""The jobs of NYC 311 on small data, in one Spark session: each odd input with its outcome, and no row unaccounted for."""

from __future__ import annotations

import datetime
import json
import shutil
import signal
import subprocess
import sys
import time

import made_requests
import pytest
from conftest import SPARK, TEMPLATES, files_below

import clean
import columns
import lake
import preprocess
import profile_columns

pytestmark = pytest.mark.spark
DAY = "2020-01-02"
ROWS = made_requests.requests("2020-01-01", 4, 30)


def request(key: object = 1, **values) -> dict:
    """One request of the day, as the API gives it; None leaves a column out."""
    row = {
        "unique_key": str(key), "created_date": f"{DAY}T10:20:30.000", "closed_date": f"{DAY}T11:00:00.000",
        "resolution_action_updated_date": f"{DAY}T11:00:00.000", "status": "Closed", "agency": "NYPD", "city": "BRONX",
    }  # fmt: skip
    return {name: value for name, value in {**row, **values}.items() if value is not None}


def accounted(summary: dict) -> dict:
    assert summary["in"] == summary["out"] + summary["duplicates"] + summary["rejected"], summary
    return summary


def through(lake_of, new: list[dict], updates: list[dict] = (), day: str = DAY) -> dict:
    """A day through preprocess and clean."""
    lake_of.put("new", day, new)
    lake_of.put("updates", day, list(updates))
    lake_of.preprocess(day)
    return accounted(lake_of.clean(day))


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


class TestClean:
    """One row a request, typed, in plain characters."""

    def test_types_and_names(self, lake_of):
        lake_of.keep_all("landmark")
        more = {
            ":@computed_region_efsh_h5xi": "14507",
            "landmark": "x",
            "incident_zip": "10467-1234",
            "latitude": "40.7",
        }
        through(lake_of, [request(1, x_coordinate_state_plane="1021234", bbl="0020190014", **more)])
        row = lake_of.by_key()[1]
        assert row["created_date"] == datetime.datetime(2020, 1, 2, 10, 20, 30)
        assert (row["x_coordinate_state_plane"], row["latitude"], row["incident_zip"]) == (1021234, 40.7, "10467")
        assert row["bbl"] == "0020190014", "leading zeros"
        assert row["computed_region_efsh_h5xi"] == "14507" and "landmark" not in row
        assert all(name == columns.clean_name(name) for name in row)
        assert (row["problems"], str(row["load_date"])) == (None, DAY)

    @pytest.mark.parametrize("given, kept", [
        ("Café  Niño’s – Ñandú", "Cafe Nino's - Nandu"), ("Straße Ærø Łódź", "Strasse AEro Lodz"), ("e\u0301", "e"),
        ("\u00a0x\u200b\ny\t z ", "x y z"), ("日本 😀 end", "end"), ("plain", "plain"), ("  ", None), ("Việt Nam", "Viet Nam"),
        ("a'b\\c\"d", "a'b\\c\"d"),
    ])  # fmt: skip
    def test_accents_and_odd_characters(self, spark, given, kept):
        row = tuple(given if name == "city" else None for name in columns.COLUMNS)
        frame = columns.known_values(spark.createDataFrame([row], columns.string_schema()))
        assert frame.select(columns.known("city")).first()[0] == kept

    @pytest.mark.parametrize("given", ["Unspecified", "N/A", "unknown", "0 Unspecified", "", " ", "*", "NULL", "n/a "])
    def test_disguised_nulls(self, spark, given):
        row = tuple(given if name == "city" else None for name in columns.COLUMNS)
        frame = columns.known_values(spark.createDataFrame([row], columns.string_schema()))
        assert frame.select(columns.known("city")).first()[0] is None

    def test_a_column_that_changes_its_type(self, lake_of):
        """From text to numbers, and from an object to text: the same values."""
        lake_of.keep_all()
        place = {"latitude": "40.7", "longitude": "-73.9", "human_address": '{"zip": ""}'}
        text = request(1, latitude="40.7", x_coordinate_state_plane="1021234", location=place, incident_zip="10467")
        numbers = {"unique_key": 2, "latitude": 40.7, "x_coordinate_state_plane": 1021234.0, "incident_zip": 10467}
        summary = through(lake_of, [text, {**text, **numbers, "location": json.dumps(place, sort_keys=True)}])
        assert summary["out"] == 2 and summary["problems"] == {}
        one, two = lake_of.by_key()[1], lake_of.by_key()[2]
        assert json.loads(one.pop("location")) == json.loads(two.pop("location")) == place
        assert {**one, "unique_key": 2} == two

    def test_a_value_that_cannot_have_its_type_is_noted(self, lake_of):
        lake_of.keep_all()
        summary = through(lake_of, [request(1, latitude="north; west", due_date="soon", incident_zip="XXXXX")])
        row = lake_of.by_key()[1]
        assert (row["latitude"], row["due_date"], row["incident_zip"]) == (None, None, None)
        notes = ["incident_zip: no zip code: XXXXX", "due_date: no date: soon", "latitude: no number: north, west"]
        assert row["problems"].split("; ") == notes
        assert summary["problems"] == {"incident_zip: no zip code": 1, "due_date: no date": 1, "latitude: no number": 1}

    def test_impossible_dates_are_flagged(self, lake_of):
        lake_of.keep_all()
        rows = [
            request(1, closed_date="1900-01-01T00:00:00.000"),
            request(2, closed_date="2100-01-01T00:00:00.000"),
            request(3, due_date="2100-01-01T00:00:00.000", resolution_action_updated_date="1900-01-01T00:00:00.000"),
            request(4, closed_date="2020-02-30T00:00:00.000"),
            request(5, closed_date="0001-01-01T00:00:00.000"),
        ]
        summary = through(lake_of, rows)
        found = lake_of.by_key()
        assert summary["out"] == 5 and summary["rejected"] == 0
        assert [found[key]["closed_date"] for key in (1, 2, 4, 5)] == [None] * 4
        assert found[1]["problems"] == "closed_date: before created_date: 1900-01-01T00:00:00.000"
        assert found[2]["problems"] == "closed_date: in the future: 2100-01-01T00:00:00.000"
        assert found[4]["problems"] == "closed_date: no date: 2020-02-30T00:00:00.000"
        assert (found[3]["due_date"], found[3]["resolution_action_updated_date"]) == (None, None)
        assert (
            summary["problems"]["due_date: too late"]
            == 1
            == summary["problems"]["resolution_action_updated_date: too early"]
        )

    def test_what_cannot_be_in_the_tree_is_kept_with_its_reason(self, lake_of):
        lake_of.keep_all()
        rows = [
            request(1),
            request("", city="no key"),
            request("N/A", city="no key"),
            request("12x", city="odd key"),
            request(5, created_date=None),
            request(6, created_date="yesterday"),
            request(7, created_date="1900-01-01T00:00:00.000"),
            request(8, created_date="2100-01-01T00:00:00.000"),
        ]
        summary = through(lake_of, rows)
        assert (summary["in"], summary["out"], summary["rejected"]) == (8, 1, 7)
        assert summary["rejected_by_reason"] == {
            "unique_key is missing": 2, "unique_key is no number": 1, "created_date is missing": 1,
            "created_date is no date": 1, "created_date is too early": 1, "created_date is in the future": 1,
        }  # fmt: skip
        kept = {row["unique_key"]: row for row in lake_of.rejected(DAY)}
        assert kept["12x"]["city"] == "odd key" and kept["12x"]["kind"] == "new"
        assert kept["7"]["created_date"] == "1900-01-01T00:00:00.000"
        assert len(lake_of.rejected(DAY)) == 7

    def test_an_empty_day(self, lake_of):
        lake_of.keep_all()
        summary = through(lake_of, [])
        assert (summary["in"], summary["out"], summary["days_written"]) == (0, 0, [])
        assert (lake_of.base / f"runs/clean/{DAY}/summary.json").exists()
        assert not list((lake_of.base).glob("cleaned/*"))

    def test_a_day_with_updates_only(self, lake_of):
        lake_of.keep_all()
        through(lake_of, [request(1, closed_date=None, status="Open", resolution_action_updated_date=None), request(2)])
        closed = {"closed_date": "2020-01-05T09:00:00.000", "resolution_action_updated_date": "2020-01-05T09:00:00.000"}
        other = request(9, created_date="2019-12-30T00:00:00.000", **closed)
        summary = through(lake_of, [], [request(1, **closed), other], day="2020-01-05")
        assert (summary["updated"], summary["added"], summary["duplicates"]) == (1, 1, 0)
        assert summary["days_written"] == ["2019/12/30", "2020/01/02"]
        found = lake_of.by_key()
        assert sorted(found) == [1, 2, 9] and found[1]["status"] == "Closed"
        assert found[1]["closed_date"] == datetime.datetime(2020, 1, 5, 9)

    def test_only_the_days_that_are_touched_are_written(self, lake_of):
        lake_of.keep_all()
        for day in ("2020-01-01", "2020-01-02", "2020-01-03"):
            lake_of.load("new", day, ROWS)
            lake_of.put("updates", day)
            lake_of.preprocess(day)
            accounted(lake_of.clean(day))
        before = files_below(lake_of.base / "cleaned")
        through(lake_of, [], [request(ROWS[35]["unique_key"], created_date=ROWS[35]["created_date"])], day="2020-01-04")
        after = files_below(lake_of.base / "cleaned")
        changed = {name[:10] for name in before.keys() ^ after.keys()}
        assert changed == {"2020/01/02"}
        assert len(lake_of.by_key()) == 90

    def test_forty_percent_duplicates(self, lake_of):
        lake_of.keep_all()
        rows = [request(n) for n in range(60)] + [request(n) for n in range(40)]
        summary = through(lake_of, rows)
        assert (summary["in"], summary["out"], summary["duplicates"], summary["rejected"]) == (100, 60, 40, 0)
        assert len(lake_of.by_key()) == 60

    def test_of_differing_duplicates_the_latest_word_stays(self, lake_of):
        lake_of.keep_all()
        late = {"resolution_action_updated_date": f"{DAY}T23:00:00.000", "status": "Reopened", "closed_date": None}
        summary = through(lake_of, [request(1), request(1, **late), request(1, status="Pending")])
        assert (summary["out"], summary["duplicates"]) == (1, 2)
        assert lake_of.by_key()[1]["status"] == "Reopened"

    def test_the_same_request_in_both_trees_of_a_day(self, lake_of):
        lake_of.keep_all()
        summary = through(lake_of, [request(1)], [request(1)])
        assert (summary["in"], summary["out"], summary["duplicates"]) == (2, 1, 1)

    def test_an_older_word_does_not_replace_a_newer_one(self, lake_of):
        lake_of.keep_all()
        new = {"resolution_action_updated_date": "2020-01-09T00:00:00.000", "status": "Closed"}
        through(lake_of, [], [request(1, **new)], day="2020-01-09")
        summary = through(lake_of, [request(1, status="Open", closed_date=None, resolution_action_updated_date=None)])
        assert (summary["out"], summary["known_before"], summary["duplicates"]) == (0, 1, 1)
        assert lake_of.by_key()[1]["status"] == "Closed"

    def test_a_second_run_changes_nothing(self, lake_of):
        lake_of.keep_all()
        first = through(lake_of, ROWS[30:60], ROWS[:35])
        before = lake_of.rows()
        second = accounted(lake_of.clean(DAY))
        assert lake_of.rows() == before
        assert [first[name] for name in ("in", "out", "duplicates", "rejected")] == [
            second[name] for name in ("in", "out", "duplicates", "rejected")
        ]

    def test_the_order_of_days_does_not_matter(self, lake_of, spark, tmp_path):
        trees = []
        for order in (["2020-01-01", "2020-01-02", "2020-01-03"], ["2020-01-03", "2020-01-01", "2020-01-02"]):
            shutil.rmtree(tmp_path / "cleaned", ignore_errors=True)
            lake_of.keep_all()
            for day in order:
                shown = made_requests.seen_on(day, ROWS)
                lake_of.load("new", day, shown)
                lake_of.load("updates", day, shown)
                lake_of.preprocess(day)
                accounted(lake_of.clean(day))
            trees.append(lake_of.rows())
        assert trees[0] == trees[1] and len(trees[0]) == 90
        assert sum(row["status"] == "Closed" for row in trees[0]) > 40, "updates arrived"

    def test_attack_strings_are_data(self, lake_of):
        lake_of.keep_all()
        evil = [
            "'; DROP TABLE requests; --", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "../../../etc/passwd",
            "${jndi:ldap://x/a}", "%s%n%x", '"}\n{"unique_key": "666"}', "\u202eevil\u0000", "a " * 50_000, "`id`", "\\",
        ]  # fmt: skip
        rows = [request(n, complaint_type=text, latitude=text) for n, text in enumerate(evil, 1)]
        rows.append(request("1; DROP TABLE x"))
        summary = through(lake_of, rows)
        assert (summary["in"], summary["out"], summary["rejected"]) == (12, 11, 1)
        found = lake_of.by_key()
        assert found[1]["complaint_type"] == evil[0] and found[4]["complaint_type"] == evil[3]
        assert found[5]["complaint_type"] == evil[4] and found[11]["complaint_type"] == "\\"
        assert found[7]["complaint_type"] == '"} {"unique_key": "666"}'
        assert found[8]["complaint_type"] == "evil"
        assert len(found[9]["complaint_type"]) == 99_999
        assert all(row["latitude"] is None and len(row["problems"]) < 200 for row in found.values())

    def test_a_day_that_is_not_preprocessed_is_refused(self, lake_of):
        lake_of.keep_all()
        with pytest.raises(lake.Refused, match="preprocess the day first"):
            lake_of.clean(DAY)

    def test_without_a_decision_it_is_refused(self, lake_of):
        lake_of.put("new", DAY, ROWS)
        lake_of.preprocess(DAY, kinds=["new"])
        with pytest.raises(lake.Refused, match="profile_columns"):
            lake_of.clean(DAY, kinds=["new"])

    def test_another_decision_than_the_trees_is_refused(self, lake_of):
        lake_of.keep_all("agency")
        through(lake_of, [request(1)])
        before = files_below(lake_of.base / "cleaned")
        lake_of.keep_all("city")
        with pytest.raises(lake.Refused, match="agency, city"):
            lake_of.clean(DAY)
        assert files_below(lake_of.base / "cleaned") == before

    def test_rows_that_are_lost_on_the_way_fail_the_job(self, lake_of):
        lake_of.keep_all()
        lake_of.put("new", DAY, ROWS)
        lake_of.preprocess(DAY, kinds=["new"])
        file = lake_of.base / "preprocessed/2020/01/02" / lake.DAY_SUMMARY
        file.with_name(f".{file.name}.crc").unlink()  # Hadoop's own checksum would notice
        file.write_text(json.dumps({**json.loads(file.read_text()), "rows": 121}))
        with pytest.raises(lake.Miscounted, match="121 in; 120 out"):
            lake_of.clean(DAY, kinds=["new"])
        assert (
            not list(lake_of.base.glob("cleaned/*")) and not (lake_of.base / f"runs/clean/{DAY}/summary.json").exists()
        )

    def test_rows_of_the_tree_that_are_lost_fail_the_job(self, lake_of, monkeypatch):
        lake_of.keep_all()
        through(lake_of, [request(1), request(2)])
        before = files_below(lake_of.base / "cleaned")
        stage = clean.stage
        monkeypatch.setattr(
            clean, "stage", lambda spark, files, frame, to: stage(spark, files, frame.where("unique_key = 3"), to)
        )
        with pytest.raises(lake.Miscounted, match="3 are expected"):
            through(lake_of, [], [request(3)], day="2020-01-03")
        assert files_below(lake_of.base / "cleaned") == before

    @pytest.mark.parametrize("moves", [0, 1, 2])
    def test_stopped_while_files_are_put_in_place_the_next_run_ends_it(self, lake_of, monkeypatch, moves):
        """Whether the next run is of the same batch or of another one."""
        lake_of.keep_all()
        through(lake_of, [request(1), request(2, created_date="2020-01-01T00:00:00.000")])
        later = {"created_date": "2020-01-01T00:00:00.000", "status": "Late", "resolution_action_updated_date": None}
        updates = [request(3), request(4, **later), request(5, created_date="2019-12-31T00:00:00.000")]
        done, move = [], lake.Files.move

        def stop(files, old, new):
            if "/cleaned/" in new and len(done) >= moves:
                raise RuntimeError("stopped")
            done.append(new) if "/cleaned/" in new else None
            move(files, old, new)

        monkeypatch.setattr(lake.Files, "move", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            through(lake_of, [], updates, day="2020-01-03")
        monkeypatch.undo()
        assert not (lake_of.base / "runs/clean/2020-01-03/summary.json").exists()
        through(lake_of, [request(6, created_date="2020-01-01T05:00:00.000")], day="2020-01-01")
        assert sorted(lake_of.by_key()) == [1, 2, 3, 4, 5, 6]
        assert json.loads((lake_of.base / "runs/clean/2020-01-03/summary.json").read_text())["added"] == 3
        assert list((lake_of.base / "runs/clean/pending").glob("*.json")) == []


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


class TestSubmitted:
    """The jobs as spark-submit runs them: exit codes, and a SIGKILL."""

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
        import os

        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        assert not (lake_of.base / "runs/clean/2020-01-03/summary.json").exists()
        accounted(lake_of.clean("2020-01-03"))
        assert lake_of.rows() == wanted
