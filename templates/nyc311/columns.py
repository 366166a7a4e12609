# -*- coding: utf-8 -*-
"""The columns of a 311 service request, and what their values are made into. Shared by the jobs: goes as --py-files.

Python 3.6 and Spark 2.4 upwards; no functions in Python per row, so that nothing is slower than Spark itself.
"""

import re
import unicodedata

from pyspark.sql import functions as F
from pyspark.sql import types as T

# As the API names them, in both data sets. One that the API adds is reported by `preprocess` until it stands here.
COLUMNS = """
unique_key created_date closed_date agency agency_name complaint_type descriptor location_type incident_zip
incident_address street_name cross_street_1 cross_street_2 intersection_street_1 intersection_street_2 address_type
city landmark facility_type status due_date resolution_description resolution_action_updated_date community_board
council_district police_precinct bbl borough x_coordinate_state_plane y_coordinate_state_plane open_data_channel_type
park_facility_name park_borough vehicle_type taxi_company_borough taxi_pick_up_location bridge_highway_name
bridge_highway_direction road_ramp bridge_highway_segment latitude longitude location
:@computed_region_efsh_h5xi :@computed_region_f5dn_yrer :@computed_region_yeji_bk3q :@computed_region_92fq_4b7q
:@computed_region_sbqj_enih :@computed_region_7mpf_4k6g
""".split()

# Without these no update can be merged: they stay whatever the profile says.
KEPT = ["unique_key", "created_date", "closed_date", "resolution_action_updated_date", "status"]

LONGS = ["unique_key"]
INTEGERS = ["x_coordinate_state_plane", "y_coordinate_state_plane"]
DOUBLES = ["latitude", "longitude"]
TIMESTAMPS = ["created_date", "closed_date", "due_date", "resolution_action_updated_date"]

# Spellings of "we do not know", compared in upper case after cleaning.
NULLS = ["", "N/A", "NA", "NULL", "NONE", "NAN", "UNSPECIFIED", "0 UNSPECIFIED", "UNKNOWN", "-", "*"]

# Only these shapes are cast: what Spark makes of others has changed between its versions.
_NUMBERS = {"bigint": r"^-?[0-9]{1,18}$", "int": r"^-?[0-9]{1,9}$", "double": r"^-?[0-9]{1,15}(\.[0-9]{1,20})?$"}
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?)?$"
_ZIP = r"^[0-9]{5}(-[0-9]{4})?$"


def string_schema():
    """Every column a string: a column that changes its type upstream changes nothing here."""
    return T.StructType([T.StructField(name, T.StringType(), True) for name in COLUMNS])


def plain(text):
    """The text without accents and without anything that is not ASCII."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def clean_name(name):
    """A column's name of small letters, digits and single underscores."""
    return re.sub("[^a-z0-9]+", "_", plain(name).lower()).strip("_")


def _translation():
    """Letters that lose their accents, and signs that have a plain one, as the two strings that `translate` takes."""
    pairs = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}
    # Letters with a stroke are letters of their own to Unicode.
    pairs.update(zip("\u00d8\u00f8\u0110\u0111\u0141\u0142\u0131", "OoDdLli"))
    for code in list(range(0xC0, 0x250)) + list(range(0x1E00, 0x1F00)):
        if len(plain(chr(code))) == 1:
            pairs.setdefault(chr(code), plain(chr(code)))
    return "".join(pairs), "".join(pairs.values())


_FROM, _TO = _translation()
# Two letters for one.
_LONGER = [("\u00df", "ss"), ("\u00e6", "ae"), ("\u00c6", "AE"), ("\u0153", "oe"), ("\u0152", "OE")]


def known_values(frame):
    """The frame with an array `known` more: each of COLUMNS, as `known` reads it.

    The value in printable ASCII, without accents, with single spaces; null where it says that nothing is known. What a
    value says is not judged: it is data. One expression for all columns, behind an `explode` that the optimizer does not
    see through: as an expression a column, it would be copied into each place that uses it, and grow beyond what Java
    compiles.
    """
    clean = "translate(v, %s, %s)" % (_text(_FROM), _text(_TO))
    for letter, letters in _LONGER:
        clean = "replace(%s, %s, %s)" % (clean, _text(letter), _text(letters))
    for pattern, by in [("[\u0300-\u036f\u200b-\u200f\ufeff]", ""), ("[^ -~]+", " "), (" {2,}", " ")]:
        clean = "regexp_replace(%s, %s, %s)" % (clean, _text(pattern), _text(by))
    # Most values are clean: one look instead of nine. No repeated group, which would exhaust Java's stack on long text.
    clean = "CASE WHEN v RLIKE '[^ -~]|  |^ | $' THEN trim(%s) ELSE v END" % clean
    nulls = ", ".join(_text(null) for null in NULLS)
    values = "array(%s)" % ", ".join("`%s`" % name for name in COLUMNS)
    known = "transform(transform(%s, v -> %s), v -> CASE WHEN upper(v) IN (%s) THEN NULL ELSE v END)"
    return frame.select("*", F.explode(F.array(F.expr(known % (values, clean, nulls)))).alias("known"))


def _text(text):
    """A string literal of SQL."""
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "\\'")


def known(name):
    """A column of a frame of `known_values`."""
    return F.col("known").getItem(COLUMNS.index(name))


def typed(name):
    """A known column as its type, and the problem where it has a value that cannot be one."""
    value = known(name)
    if name in TIMESTAMPS:
        result, kind = F.when(value.rlike(_TIME), value.cast("timestamp")), "no date"
    elif name == "incident_zip":
        result, kind = F.when(value.rlike(_ZIP), F.substring(value, 1, 5)), "no zip code"
    elif name in LONGS + INTEGERS + DOUBLES:
        to = "bigint" if name in LONGS else "int" if name in INTEGERS else "double"
        # Whole coordinates can come as 1021234.0, after their column has changed its type upstream.
        text = value if to == "double" else F.regexp_replace(value, "[.]0+$", "")
        result, kind = F.when(text.rlike(_NUMBERS[to]), text.cast(to)), "no number"
    else:
        return value, None
    return result, problem(name, kind, value.isNotNull() & result.isNull())


def problem(name, what, condition):
    """A note about a column's value where the condition holds. Notes are told apart by `; `, which no value has."""
    value = F.translate(F.substring(known(name), 1, 100), ";", ",")
    return F.when(condition, F.concat(F.lit("%s: %s: " % (clean_name(name), what)), value))
