# -*- coding: utf-8 -*-
"""All jobs on a lake that is there, in one session of whichever Spark runs this: Python 3.6 upwards.

Run as `two_sparks.py BASE`: reads BASE/raw and BASE/bronze, writes the rest, prints the summaries as JSON.
"""

from __future__ import print_function

import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ("nyc311", "vendas"):
    sys.path.insert(0, os.path.join(HERE, "..", folder))

from pyspark.sql import SparkSession  # noqa: E402

base = sys.argv[1]
builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
builder = builder.config("spark.sql.shuffle.partitions", "2").config("spark.driver.host", "127.0.0.1")
builder = builder.config("spark.ui.showConsoleProgress", "false").config("spark.sql.warehouse.dir", base + "/warehouse")
builder.getOrCreate()

import processa_spark_vendas as vendas  # noqa: E402

import clean  # noqa: E402
import lake  # noqa: E402
import preprocess  # noqa: E402
import profile_columns  # noqa: E402

spark = lake.session("two_sparks")
places = {name: ["--" + name, "file://%s/%s" % (base, name)] for name in ("raw", "preprocessed", "cleaned", "runs")}
profile = ["--profile", "file://%s/runs/profile.json" % base]
summaries = [spark.version]
for day in ["2020-01-01", "2020-01-02", "2020-01-03"]:
    on = ["--day", day]
    arguments = places["raw"] + places["preprocessed"] + places["runs"] + on
    summaries.append(preprocess.work(spark, preprocess.parse(arguments)))
    summaries.append(profile_columns.work(spark, profile_columns.parse(places["preprocessed"] + profile + on)))
    arguments = places["preprocessed"] + places["cleaned"] + places["runs"] + profile + on
    summaries.append(clean.work(spark, clean.parse(arguments + ["--latest", "2020-12-31"])))
    # And once more: a second run gives the same.
    summaries.append(clean.work(spark, clean.parse(arguments + ["--latest", "2020-12-31"])))
gold = ["--bronze", "file://%s/bronze" % base, "--gold", "file://%s/gold" % base, "--at", "2024-05-06T07:08:09"]
spark.conf.set("spark.sql.csv.parser.columnPruning.enabled", "false")
summaries.append(vendas.work(spark, vendas.parse(gold)))
print(json.dumps(summaries))
spark.stop()
