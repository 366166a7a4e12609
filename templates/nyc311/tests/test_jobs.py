"""`infra pipeline test nyc311` runs these, in one Spark session on this machine: the sample, through the three jobs.

sample/raw/ is as the extract leaves it: 2 and 3 January 2020, each with its new requests and its updates.
"""

import json
import pathlib
import shutil
import tempfile
import unittest

from pyspark.sql import functions as F

import clean
import lake
import preprocess
import profile_columns

SAMPLE = pathlib.Path(__file__).resolve().parents[1] / "sample"
FIRST, SECOND = "2020-01-02", "2020-01-03"


class Jobs(unittest.TestCase):
    """Both days of the sample, one after the other, as the pipeline would do them."""

    @classmethod
    def setUpClass(cls):
        cls.spark = lake.session("infra pipeline test")
        cls.spark.sparkContext.setLogLevel("ERROR")
        # The jobs get a copy, and write beside it: the sample stays as it is.
        cls.folder = tempfile.TemporaryDirectory()
        cls.base = pathlib.Path(cls.folder.name)
        shutil.copytree(str(SAMPLE / "raw"), str(cls.base / "raw"))
        cls.preprocessed, cls.profiled, cls.cleaned = {}, {}, {}
        for day in (FIRST, SECOND):
            cls.preprocessed[day] = cls.work(preprocess, day, "raw", "preprocessed", "runs")
            cls.profiled[day] = cls.work(profile_columns, day, "preprocessed", profile="runs/profile.json")
            cls.cleaned[day] = cls.work(clean, day, "preprocessed", "cleaned", "runs", profile="runs/profile.json")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def uri(cls, name):
        return "file://%s/%s" % (cls.base, name)

    @classmethod
    def work(cls, job, day, *trees, **files):
        """One job on one day, with the arguments of pipeline.yaml; its summary."""
        arguments = ["--day", day]
        for argument, name in [(tree, tree) for tree in trees] + sorted(files.items()):
            arguments += ["--" + argument, cls.uri(name)]
        return job.work(cls.spark, job.parse(arguments))

    def rows(self, name):
        """What is written there, by key. Times as text: Python would show them by this machine's clock."""
        frame = self.spark.read.parquet(self.uri(name))
        for name in [name for name, kind in frame.dtypes if kind == "timestamp"]:
            frame = frame.withColumn(name, F.col(name).cast("string"))
        found = [row.asDict() for row in frame.collect()]
        by_key = {row["unique_key"]: row for row in found}
        self.assertEqual(len(by_key), len(found), "a key is there twice")
        return by_key

    def raw(self, kind, day):
        """The day's rows as they came."""
        folder = self.base / "raw" / lake.place(kind, lake.day(day))
        pages = [page.read_text(encoding="ascii") for page in sorted(folder.glob("page-*.json"))]
        return [json.loads(line) for page in pages for line in page.splitlines()]

    def test_every_row_that_comes_in_goes_out_is_a_duplicate_or_is_rejected(self):
        for day, out, duplicates, rejected in [(FIRST, 13, 3, 1), (SECOND, 6, 1, 1)]:
            rows = len(self.raw("new", day)) + len(self.raw("updates", day))
            before, summary = self.preprocessed[day], self.cleaned[day]
            self.assertEqual((before["in"], before["out"], summary["in"]), (rows, rows, rows))
            found = (summary["out"], summary["duplicates"], summary["rejected"])
            self.assertEqual(found, (out, duplicates, rejected))
            self.assertEqual(rows, sum(found))

    def test_a_request_is_in_the_folder_of_the_day_on_which_it_was_created(self):
        counts = {"2019/12/30": 1, "2019/12/31": 1, "2020/01/02": 12, "2020/01/03": 3}
        self.assertEqual({day: len(self.rows("cleaned/" + day)) for day in counts}, counts)
        self.assertEqual(len(self.rows("cleaned/*/*/*")), 17)

    def test_a_cleaned_row(self):
        """Plain characters, single spaces, five digits of the zip code, types; and none of the columns left out."""
        given = self.raw("new", FIRST)[1]
        self.assertEqual(given["descriptor"], "Loud Music at Café  Niño’s – “El Señor”")
        row = self.rows("cleaned/2020/01/02")[45000002]
        place = json.loads(row.pop("location"))
        self.assertEqual((place["latitude"], place["longitude"]), ("40.734321", "-73.997154"))
        self.assertEqual(str(row.pop("load_date")), FIRST)
        self.assertEqual(
            row,
            {
                "unique_key": 45000002,
                "created_date": "2020-01-02 01:05:00",
                "closed_date": None,
                "agency": "NYPD",
                "agency_name": "New York City Police Department",
                "complaint_type": "Noise - Commercial",
                "descriptor": 'Loud Music at Cafe Nino\'s - "El Senor"',
                "location_type": "Club/Bar/Restaurant",
                "incident_zip": "10011",
                "incident_address": "61 WEST 10 STREET",
                "status": "Open",
                "due_date": "2020-01-02 09:05:00",
                "resolution_action_updated_date": None,
                "bbl": "1005740033",
                "borough": "MANHATTAN",
                "x_coordinate_state_plane": 985031,
                "y_coordinate_state_plane": 206823,
                "open_data_channel_type": "PHONE",
                "latitude": 40.734321,
                "longitude": -73.997154,
                "problems": None,
            },
        )

    def test_a_disguised_null_is_null_and_an_odd_value_is_noted(self):
        given = self.raw("new", FIRST)[2]
        self.assertEqual((given["borough"], given["incident_zip"]), ("Unspecified", "XXXXX"))
        rows = self.rows("cleaned/2020/01/02")
        self.assertEqual([rows[45000003][name] for name in ("borough", "open_data_channel_type")], [None, None])
        self.assertEqual(rows[45000003]["incident_zip"], None)
        self.assertEqual(rows[45000003]["problems"], "incident_zip: no zip code: XXXXX")
        self.assertEqual(rows[45000006]["closed_date"], None)
        self.assertEqual(rows[45000006]["problems"], "closed_date: before created_date: 1900-01-01T00:00:00.000")

    def test_a_row_that_comes_twice_is_there_once(self):
        keys = [row.get("unique_key") for row in self.raw("new", FIRST)]
        self.assertEqual(keys.count("45000004"), 2)
        # And two that were closed on the day on which they were created: they are in both of the day's trees.
        self.assertEqual(self.cleaned[FIRST]["repeated_in_batch"], 1 + 2)

    def test_a_rejected_row_is_kept_as_it_came_with_the_reason(self):
        self.assertEqual(self.cleaned[FIRST]["rejected_by_reason"], {"unique_key is missing": 1})
        row = self.rows("runs/clean/%s/rejected" % FIRST)[None]
        self.assertEqual((row["kind"], row["reason"]), ("new", "unique_key is missing"))
        self.assertEqual((row["descriptor"], row["park_facility_name"]), ("Blocked Hydrant", "Unspecified"))
        row = self.rows("runs/clean/%s/rejected" % SECOND)["44990003"]
        self.assertEqual((row["kind"], row["reason"]), ("updates", "created_date is too early"))
        self.assertEqual(row["created_date"], "1900-01-01T00:00:00.000")

    def test_an_update_is_merged_into_the_request(self):
        """Open on the first day, closed on the second: one row, with the later word, where the request was."""
        given = [row for row in self.raw("new", FIRST) if row.get("unique_key") == "45000005"]
        self.assertEqual([(row["status"], row.get("closed_date")) for row in given], [("Open", None)])
        row = self.rows("cleaned/2020/01/02")[45000005]
        self.assertEqual((row["status"], row["closed_date"]), ("Closed", "2020-01-03 10:25:00"))
        self.assertEqual((row["created_date"], str(row["load_date"])), ("2020-01-02 08:10:00", SECOND))
        summary = self.cleaned[SECOND]
        self.assertEqual((summary["added"], summary["updated"], summary["known_before"]), (4, 2, 0))
        self.assertEqual(summary["days_written"], ["2019/12/31", "2020/01/02", "2020/01/03"])

    def test_columns_are_decided_on_once(self):
        self.assertEqual([self.profiled[day]["decided"] for day in (FIRST, SECOND)], ["now", "before"])
        decision = json.loads((self.base / "runs/profile.json").read_text(encoding="utf-8"))["columns"]
        # "Unspecified" in each row is no value; one value in each row tells nothing; and a landmark is in one row of 14.
        self.assertEqual(decision["park_facility_name"], {"null_share": 1.0, "drop": "mostly null"})
        self.assertEqual(decision["address_type"], {"null_share": 0.0, "drop": "no variability"})
        self.assertEqual(decision["landmark"], {"null_share": 0.928571, "drop": "mostly null"})
        self.assertEqual(decision["closed_date"]["drop"], None, "an update needs it, however few have it")
        for day in (FIRST, SECOND):
            self.assertEqual(self.cleaned[day]["dropped_columns"], self.profiled[FIRST]["dropped"])
