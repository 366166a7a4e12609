"""Made-up 311 requests, with the quirks of the real ones: nulls left out, numbers as text, disguised nulls, odd dates.

The shares of nulls and of disguised nulls are those measured on a public sample of a million rows, 2010 to 2020.
"""

from __future__ import annotations

import datetime
import random

FORM = "%Y-%m-%dT%H:%M:%S.000"
ABSENT = {
    "closed_date": 0.03, "descriptor": 0.003, "location_type": 0.24, "incident_zip": 0.055, "incident_address": 0.175,
    "street_name": 0.175, "cross_street_1": 0.32, "cross_street_2": 0.32, "intersection_street_1": 0.767,
    "intersection_street_2": 0.768, "address_type": 0.126, "city": 0.062, "landmark": 0.913, "facility_type": 0.145,
    "due_date": 0.648, "resolution_description": 0.02, "resolution_action_updated_date": 0.015, "bbl": 0.243,
    "x_coordinate_state_plane": 0.085, "y_coordinate_state_plane": 0.085, "vehicle_type": 0.9997,
    "taxi_company_borough": 0.9992, "taxi_pick_up_location": 0.992, "bridge_highway_name": 0.9977,
    "bridge_highway_direction": 0.9977, "road_ramp": 0.9977, "bridge_highway_segment": 0.9976,
}  # fmt: skip
AGENCIES = [
    ("NYPD", "New York City Police Department", ["Noise - Residential", "Illegal Parking", "Blocked Driveway"]),
    ("HPD", "Department of Housing Preservation and Development", ["HEAT/HOT WATER", "PLUMBING"]),
    ("DOT", "Department of Transportation", ["Street Light Condition"]),
    ("DPR", "Department of Parks and Recreation", ["Damaged Tree"]),
]
BOROUGHS = ["BROOKLYN", "QUEENS", "MANHATTAN", "BRONX", "STATEN ISLAND", "Unspecified"]


def request(key: int, created: datetime.datetime, chance: random.Random) -> dict:
    """One request."""
    agency, agency_name, complaints = chance.choice(AGENCIES)
    borough = chance.choice(BOROUGHS)
    closed = created + datetime.timedelta(hours=chance.choice([1, 5, 30, 80]))
    latitude, longitude = f"{40.5 + chance.random() * 0.4:.12f}", f"{-74.2 + chance.random() * 0.5:.12f}"
    row = {
        "unique_key": str(key), "created_date": created.strftime(FORM), "closed_date": closed.strftime(FORM),
        "agency": agency, "agency_name": agency_name, "complaint_type": chance.choice(complaints),
        "descriptor": chance.choice(["Loud Music/Party", "ENTIRE BUILDING", "Café / Bodega  – Niño’s"]),
        "location_type": chance.choice(["Street/Sidewalk", "RESIDENTIAL BUILDING"]),
        "incident_zip": chance.choice(["11226", "10467", "10001", "11385", "10000-1234", "*", "XXXXX"]),
        "incident_address": f"{chance.randint(1, 900)} EAST  {chance.randint(1, 240)} STREET",
        "street_name": f"EAST  {chance.randint(1, 240)} STREET", "cross_street_1": "BEND",
        "cross_street_2": chance.choice(["DEAD END", "3 AVENUE"]), "intersection_street_1": "BROADWAY",
        "intersection_street_2": chance.choice(["2 AVENUE", "9 AVENUE"]), "city": borough,
        "address_type": chance.choice(["ADDRESS", "INTERSECTION"]), "landmark": "GRAND CENTRAL",
        "facility_type": chance.choice(["N/A", "N/A", "N/A", "Precinct"]), "status": "Closed",
        "due_date": (created + datetime.timedelta(hours=8)).strftime(FORM),
        "resolution_description": 'The Police Department responded.\nLine two, "quoted".',
        "resolution_action_updated_date": closed.strftime(FORM),
        "community_board": f"{chance.randint(1, 18):02d} {borough}" if borough != "Unspecified" else "0 Unspecified",
        "bbl": f"{chance.randint(1, 5)}{chance.randint(1, 99999):05d}{chance.randint(1, 9999):04d}",
        "borough": borough, "x_coordinate_state_plane": str(chance.randint(913281, 1067220)),
        "y_coordinate_state_plane": str(chance.randint(121152, 271876)),
        "open_data_channel_type": chance.choice(["PHONE", "PHONE", "UNKNOWN", "ONLINE", "MOBILE"]),
        "park_facility_name": "Unspecified" if chance.random() < 0.993 else "Central Park", "park_borough": borough,
        "vehicle_type": "Car Service", "taxi_company_borough": "QUEENS", "taxi_pick_up_location": "JFK Airport",
        "bridge_highway_name": "Belt Pkwy", "bridge_highway_direction": "East/Queens Bound", "road_ramp": "Roadway",
        "bridge_highway_segment": "Exit 31",
    }  # fmt: skip
    for name, share in ABSENT.items():
        if chance.random() < share:
            del row[name]
    if chance.random() > 0.255:
        human = '{"address": "", "city": "", "state": "", "zip": ""}'
        row.update(latitude=latitude, longitude=longitude)
        row["location"] = {"latitude": latitude, "longitude": longitude, "human_address": human}
        row.update({":@computed_region_efsh_h5xi": "14507", ":@computed_region_f5dn_yrer": str(chance.randint(1, 40))})
    if "closed_date" not in row:
        row["status"] = "Open"
        row.pop("resolution_action_updated_date", None)
    return row


def requests(first: str, days: int, a_day: int, seed: int = 311, first_key: int = 45_000_000) -> list[dict]:
    """So many a day, in order; the same each time."""
    chance, start = random.Random(seed), datetime.datetime.fromisoformat(first)
    apart = datetime.timedelta(seconds=86400 / a_day)
    return [request(first_key + n, start + n * apart, chance) for n in range(days * a_day)]


def seen_on(day: str, rows: list[dict]) -> list[dict]:
    """What the API would have shown at the end of that day: nothing newer, and open what is closed later."""
    shown = []
    for row in rows:
        if row["created_date"][:10] > day:
            continue
        row = dict(row)
        if row.get("closed_date", "")[:10] > day:
            del row["closed_date"]
            row.pop("resolution_action_updated_date", None)
            row["status"] = "Open"
        shown.append(row)
    return shown
