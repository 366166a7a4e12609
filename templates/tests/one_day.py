"""A day of requests for the tests of the jobs, and its way through them."""

from __future__ import annotations

import made_requests

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
