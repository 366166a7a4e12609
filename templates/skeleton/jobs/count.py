"""Counts the names of a day: CSV with a column `name` to parquet. Spark 2.4 and 3.5, Python 3.6 upwards."""

import argparse
import json
import sys

import counting
from pyspark.sql import SparkSession
from pyspark.sql import functions as F


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="source", required=True, help="the folder with a day's CSV")
    parser.add_argument("--to", dest="target", required=True, help="the folder to write")
    parser.add_argument("--summary", help="a folder for what the job did, as JSON")
    parser.add_argument("--minimum", type=int, default=1, help="leave out names that are rarer")
    return parser.parse_args(argv)


def main(argv=None):
    options = parse(argv)
    spark = SparkSession.builder.appName("count").getOrCreate()
    try:
        rows = spark.read.option("header", "true").csv(options.source)
        result = counting.counted(rows, options.minimum).cache()
        # The marker _SUCCESS is written last: half a day is never taken for a whole one.
        result.coalesce(1).write.mode("overwrite").parquet(options.target)
        # Every row is counted or left out: in = out + rejected. What else is told is shown as it is.
        rows_in, rows_out = rows.count(), result.agg(F.sum("times")).first()[0] or 0
        summary = {"job": "count", "in": rows_in, "out": rows_out, "rejected": rows_in - rows_out}
        summary["names"] = result.count()
        print(json.dumps(summary, sort_keys=True))
        if options.summary:
            text = spark.createDataFrame([(json.dumps(summary, sort_keys=True),)], ["value"])
            text.coalesce(1).write.mode("overwrite").text(options.summary)
    finally:
        spark.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
