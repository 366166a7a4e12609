"""Days merged into the cleaned tree: duplicates, updates, empty days, repeated and interrupted runs."""

from __future__ import annotations

import datetime
import json
import shutil

import made_requests
import pytest
from conftest import files_below
from one_day import DAY, ROWS, accounted, request, through

import clean
import lake

pytestmark = pytest.mark.spark


class TestMerge:
    """One row a request, whatever comes in which order; and what stops the job."""

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
