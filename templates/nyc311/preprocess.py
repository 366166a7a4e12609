# -*- coding: utf-8 -*-
"""Raw pages of JSON lines to snappy parquet in the same tree, every column a string. Nothing is judged here.

A day goes through only if it has a manifest and its pages are what the manifest says, row for row and byte for byte.
Spark 2.4 and 3.5, Python 3.6 upwards; README.md has the arguments and exit codes.
"""

import argparse
import sys
import time
from multiprocessing.pool import ThreadPool

import columns
import lake

# A file of parquet for so many bytes of JSON, which take about a tenth of it.
BYTES_A_FILE = 256 * 1024 * 1024


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--raw", required=True, help="the raw tree's URI")
    parser.add_argument("--preprocessed", required=True, help="the URI of the tree to write")
    parser.add_argument("--runs", required=True, help="the URI under which summaries go")
    parser.add_argument("--kinds", nargs="+", choices=sorted(lake.KINDS), default=["new", "updates"])
    parser.add_argument("--parallel", type=int, default=4, help="days at a time")
    lake.add_days(parser)
    return lake.check_days(parser, parser.parse_args(argv))


def work(spark, options):
    """All days of the range; the summary."""
    started = time.time()
    files = lake.Files(spark)
    todo = [(kind, day) for day in lake.days(options) for kind in options.kinds]
    # Before anything is written: are all days there?
    manifests = {}
    for kind, day in todo:
        uri = lake.join(options.raw, lake.place(kind, day), lake.MANIFEST)
        manifests[kind, day] = files.read_json(uri)
        if manifests[kind, day] is None:
            raise lake.Refused("%s is not there: the day was not loaded, or not to its end" % uri)
    pool = ThreadPool(max(1, min(options.parallel, len(todo))))
    try:
        parts = pool.map(lambda one: one_day(spark, files, options, one[0], one[1], manifests[one]), todo)
    finally:
        pool.terminate()
    unknown = sorted({name for part in parts for name in part["unknown_columns"]})
    summary = {
        "job": "preprocess",
        "batch": lake.batch(options),
        "kinds": sorted(options.kinds),
        "in": sum(manifests[one]["rows"] for one in todo),
        "out": sum(part["rows"] for part in parts),
        "by_day": {"%s %s" % one: part["rows"] for one, part in zip(todo, parts)},
        "schema": schema(manifests.values()),
        "unknown_columns": unknown,
        "seconds": round(time.time() - started, 1),
    }
    if summary["in"] != summary["out"]:
        raise lake.Miscounted("%(in)d rows came in, %(out)d went out" % summary)
    files.write_json(lake.join(options.runs, "preprocess", lake.batch(options), lake.SUMMARY), summary)
    return summary


def schema(manifests):
    """Each column's type as it came, and the share of rows that have it; nothing where the extract did not count them."""
    manifests = [manifest for manifest in manifests if "types" in manifest]
    rows, seen = sum(manifest["rows"] for manifest in manifests), {}
    for manifest in manifests:
        for name, types in manifest["types"].items():
            for kind, count in types.items():
                counts = seen.setdefault(name, {})
                counts[kind] = counts.get(kind, 0) + count
    return {
        name: {"type": " or ".join(sorted(counts)), "share": round(sum(counts.values()) / float(rows), 6)}
        for name, counts in seen.items()
    }


def one_day(spark, files, options, kind, day, manifest):
    """One day of a kind."""
    raw = lake.join(options.raw, lake.place(kind, day))
    target = lake.join(options.preprocessed, lake.place(kind, day))
    pages = []
    for page in manifest["pages"]:
        uri = lake.join(raw, page["name"])
        if files.digest(uri) != (page["bytes"], page["sha256"]):
            raise lake.Refused("%s is not what the manifest says: load the day again" % uri)
        pages.append(uri)
    schema = columns.string_schema()
    # PERMISSIVE, the default, would pass over what it cannot read.
    reader = spark.read.schema(schema).option("mode", "FAILFAST").option("encoding", "UTF-8")
    frame = reader.json(pages) if pages else spark.createDataFrame([], schema)
    size = sum(page["bytes"] for page in manifest["pages"])
    frame.coalesce(1 + size // BYTES_A_FILE).write.mode("overwrite").parquet(target)
    rows = spark.read.schema(schema).parquet(target).count()
    if rows != manifest["rows"]:
        files.delete(target)
        raise lake.Refused("%s has %d rows, its manifest says %d: load the day again" % (raw, rows, manifest["rows"]))
    unknown = sorted(set(manifest["columns"]) - set(columns.COLUMNS))
    summary = {"rows": rows, "kind": kind, "day": str(day), "unknown_columns": unknown}
    # Last: a day with it is whole.
    files.write_json(lake.join(target, lake.DAY_SUMMARY), summary)
    return summary


def main(argv=None):
    return lake.run("preprocess", work, parse(argv))


if __name__ == "__main__":
    sys.exit(main())
