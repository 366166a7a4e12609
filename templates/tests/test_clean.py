"""What becomes of a request's values in the cleaned tree, and no row unaccounted for."""

from __future__ import annotations

import datetime
import json

import pytest
from one_day import DAY, request, through

import columns

pytestmark = pytest.mark.spark


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
