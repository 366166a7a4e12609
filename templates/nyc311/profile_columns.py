# -*- coding: utf-8 -*-
"""Decides, once, on history, which columns the cleaned tree leaves out: mostly null, or without variability.

The decision is a JSON file that `clean` reads. It is not taken again each day: the columns of the tree would come and
go. (Not called profile.py: Python's own `cProfile` would import it in the place of the standard library's.)
Spark 2.4 and 3.5, Python 3.6 upwards; README.md has the arguments and exit codes.
"""

import argparse
import sys
import time

from pyspark.sql import functions as F

import columns
import lake


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--preprocessed", required=True, help="the preprocessed tree's URI")
    parser.add_argument("--profile", required=True, help="the URI of the JSON file to write")
    parser.add_argument("--max-null", type=float, default=0.9, help="drop a column with more nulls than this share")
    parser.add_argument("--again", action="store_true", help="decide anew; the cleaned tree must then be made anew")
    lake.add_days(parser)
    options = lake.check_days(parser, parser.parse_args(argv))
    if not 0 <= options.max_null <= 1:
        parser.error("--max-null must be 0 to 1")
    return options


def work(spark, options):
    """The decision."""
    started = time.time()
    files = lake.Files(spark)
    decided = files.read_json(options.profile)
    if decided is not None and not options.again:
        return dict(summary(decided), decided="before")
    folders, expected = [], 0
    for day in lake.days(options):
        folder, rows = lake.whole_day(files, options.preprocessed, "new", day)
        folders.append(folder)
        expected += rows
    if not expected:
        raise lake.Refused("there are no rows from %s to %s to decide on" % (options.first, options.last))
    frame = columns.known_values(spark.read.schema(columns.string_schema()).parquet(*folders))
    asked = [F.count(F.lit(1)).alias("rows")]
    for number, name in enumerate(columns.COLUMNS):
        value = columns.known(name)
        asked.append(F.count(value).alias("known_%d" % number))
        # Exact, and cheaper than counting distinct values: all the question is whether there are two.
        asked.append((F.min(value) != F.max(value)).alias("varies_%d" % number))
    answer = frame.agg(*asked).first()
    if answer["rows"] != expected:
        raise lake.Miscounted("%d rows are expected, there are %d" % (expected, answer["rows"]))
    decision = {
        "version": 1,
        "from": str(options.first),
        "to": str(options.last),
        "rows": expected,
        "max_null": options.max_null,
        "columns": {},
    }
    for number, name in enumerate(columns.COLUMNS):
        nulls = 1 - answer["known_%d" % number] / float(expected)
        drop = None
        if name not in columns.KEPT:
            if nulls > options.max_null:
                drop = "mostly null"
            elif not answer["varies_%d" % number]:
                drop = "no variability"
        decision["columns"][name] = {"null_share": round(nulls, 6), "drop": drop}
    files.write_json(options.profile, decision)
    return dict(summary(decision), decided="now", seconds=round(time.time() - started, 1))


def summary(decision):
    """What the decision comes to."""
    dropped = sorted(name for name, one in decision["columns"].items() if one["drop"])
    return {"job": "profile_columns", "rows": decision["rows"], "dropped": dropped}


def main(argv=None):
    return lake.run("profile_columns", work, parse(argv))


if __name__ == "__main__":
    sys.exit(main())
