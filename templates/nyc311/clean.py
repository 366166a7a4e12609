# -*- coding: utf-8 -*-
"""Preprocessed days to the cleaned tree: typed, in plain characters, one row a request, with the updates merged.

Every row that comes in goes out, is a duplicate, or is rejected with its reason; the job fails where the three do not
add up. Only the days of the cleaned tree that the batch has requests of are written. They are written aside first and
then put in place file by file, from a note that says which: a job that is killed at any moment is finished by the next.
Spark 2.4 and 3.5, Python 3.6 upwards; README.md has the arguments and exit codes.
"""

import argparse
import datetime
import functools
import sys
import time
from multiprocessing.pool import ThreadPool

from pyspark.sql import functions as F
from pyspark.sql.window import Window

import columns
import lake

PARTS = ["year", "month", "day"]


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--preprocessed", required=True, help="the preprocessed tree's URI")
    parser.add_argument("--cleaned", required=True, help="the URI of the tree to write")
    parser.add_argument("--profile", required=True, help="the URI of the decision of profile_columns.py")
    parser.add_argument("--runs", required=True, help="the URI under which summaries and rejected rows go")
    parser.add_argument("--kinds", nargs="+", choices=sorted(lake.KINDS), default=["new", "updates"])
    parser.add_argument("--earliest", type=lake.day, default=datetime.date(2010, 1, 1), help="no request is older")
    tomorrow = datetime.date.today() + datetime.timedelta(1)
    parser.add_argument("--latest", type=lake.day, default=tomorrow, help="nothing has happened after this day")
    lake.add_days(parser)
    return lake.check_days(parser, parser.parse_args(argv))


def work(spark, options):
    """One batch; its summary."""
    started = time.time()
    files = lake.Files(spark)
    finish(files, options)
    decision = files.read_json(options.profile)
    if decision is None:
        raise lake.Refused("%s is not there: decide on the columns first, with profile_columns.py" % options.profile)
    # A column that the decision does not know is newer than it: left out, as the tree has no such column.
    keep = [name for name in columns.COLUMNS if not decision["columns"].get(name, {"drop": "unknown"})["drop"]]

    home = lake.join(options.runs, "clean", lake.batch(options))
    raw, rows_in = read(spark, files, options)
    judged = judge(raw, keep, options).persist()
    rejected = reject(spark, judged, raw.columns, lake.join(home, "rejected"))
    fresh = judged.where("reason IS NULL").drop("reason", "raw")
    merged = merge(spark, files, fresh, options).persist()
    counts = count(merged, fresh.columns)
    staged = stage(spark, files, merged.where("_rank = 1").select(fresh.columns), lake.join(home, "staging"))
    merged.unpersist()
    judged.unpersist()
    summary = {
        "job": "clean",
        "batch": lake.batch(options),
        "kinds": sorted(options.kinds),
        "in": rows_in,
        "out": counts["added"] + counts["updated"],
        "added": counts["added"],
        "updated": counts["updated"],
        "duplicates": counts["repeated"] + counts["known"],
        "repeated_in_batch": counts["repeated"],
        "known_before": counts["known"],
        "rejected": sum(rejected.values()),
        "rejected_by_reason": rejected,
        "problems": counts["problems"],
        "null_shares": counts["null_shares"],
        "by_day": counts["by_day"],
        "dropped_columns": sorted(set(columns.COLUMNS) - set(keep)),
        "days_written": sorted(staged["days"]),
        "seconds": round(time.time() - started, 1),
    }
    check(summary, counts["before"], counts["before_repeated"], staged["rows"])
    files.write_json(pending(options, lake.batch(options)), {"days": staged["days"], "summary": summary})
    finish(files, options)
    return summary


def check(summary, before, before_repeated, staged):
    """Whether every row is accounted for; Miscounted where one is not."""
    accounted = summary["out"] + summary["duplicates"] + summary["rejected"]
    if summary["in"] != accounted:
        raise lake.Miscounted("%(in)d in; %(out)d out, %(duplicates)d duplicates, %(rejected)d rejected" % summary)
    expected = before - before_repeated + summary["added"]
    if staged != expected:
        raise lake.Miscounted("the days written have %d rows; %d are expected" % (staged, expected))


def read(spark, files, options):
    """The batch's rows as strings, with their kind; and how many there must be."""
    schema, rows, frames = columns.string_schema(), 0, []
    for kind in sorted(options.kinds):
        folders = []
        for day in lake.days(options):
            folder, expected = lake.whole_day(files, options.preprocessed, kind, day)
            folders.append(folder)
            rows += expected
        frames.append(spark.read.schema(schema).parquet(*folders).withColumn("kind", F.lit(kind)))
    return functools.reduce(lambda one, other: one.union(other), frames), rows


def reason(options):
    """Why a row cannot be in the cleaned tree; null for one that can."""
    key, _ = columns.typed("unique_key")
    created, _ = columns.typed("created_date")
    return (
        F.when(columns.known("unique_key").isNull(), "unique_key is missing")
        .when(key.isNull(), "unique_key is no number")
        .when(columns.known("created_date").isNull(), "created_date is missing")
        .when(created.isNull(), "created_date is no date")
        .when(created < start_of(options.earliest), "created_date is too early")
        .when(created >= end_of(options.latest), "created_date is in the future")
    )


def reject(spark, judged, names, target):
    """Keeps the rejected rows as they came, with their reason; how many by reason."""
    fields = [F.col("raw").getField(name).alias(name) for name in names]
    rejected = judged.where("reason IS NOT NULL").select(*fields + [F.col("reason")])
    rejected.coalesce(1).write.mode("overwrite").parquet(target)
    counted = spark.read.schema(rejected.schema).parquet(target).groupBy("reason").count().collect()
    return {row["reason"]: row["count"] for row in counted}


def start_of(day):
    return F.lit("%s 00:00:00" % day).cast("timestamp")


def end_of(day):
    return start_of(day + datetime.timedelta(1))


def judge(frame, keep, options):
    """The rows typed and in plain characters, under clean names; what could not be kept of a value is in `problems`.

    A row that cannot be in the cleaned tree has its `reason`, and is there in `raw` as it came.
    """
    created, _ = columns.typed("created_date")
    # Planned dates may be in the future, but not in another age.
    latest_due = options.latest + datetime.timedelta(10 * 366)
    impossible = {
        "closed_date": lambda v: [("before created_date", v < created), ("in the future", v >= end_of(options.latest))],
        "due_date": lambda v: [("before created_date", v < created), ("too late", v >= end_of(latest_due))],
        "resolution_action_updated_date": lambda v: [
            ("too early", v < start_of(options.earliest)),
            ("in the future", v >= end_of(options.latest)),
        ],
    }
    values, problems = [], []
    for name in keep:
        value, untyped = columns.typed(name)
        if untyped is not None:
            problems.append(untyped)
        for what, condition in impossible[name](value) if name in impossible else []:
            problems.append(columns.problem(name, what, condition))
            value = F.when(~F.coalesce(condition, F.lit(False)), value)
        values.append(value.alias(columns.clean_name(name)))
    notes = F.concat_ws("; ", *problems)
    values.append(F.when(notes != "", notes).alias("problems"))
    values.append(F.lit(str(options.last)).cast("date").alias("load_date"))
    raw = F.struct(*[F.col("`%s`" % name) for name in frame.columns])
    values.append(F.when(reason(options).isNotNull(), raw).alias("raw"))
    values.append(reason(options).alias("reason"))
    return columns.known_values(frame).select(*values)


def merge(spark, files, fresh, options):
    """The batch and the cleaned days that it touches, ranked by key: 1 is the request's present state.

    That is the row with the latest word about the request; of equals, the one loaded for the later day, and of those,
    the batch's, so that a batch can be cleaned again.
    """
    days = [row[0].strftime("%Y/%m/%d") for row in fresh.select(F.to_date("created_date")).distinct().collect()]
    folders = [lake.join(options.cleaned, day) for day in sorted(days)]
    folders = [folder for folder in folders if files.exists(folder)]
    everything = fresh.withColumn("_before", F.lit(0))
    if folders:
        before = spark.read.parquet(*folders)
        if before.dtypes != fresh.dtypes:
            names = sorted({name for name, _ in set(before.dtypes) ^ set(fresh.dtypes)})
            hint = "keep the decision that it was made with, or clean the history again into an empty tree"
            raise lake.Refused("the cleaned tree has other columns (%s); %s" % (", ".join(names), hint))
        everything = everything.union(before.withColumn("_before", F.lit(1)))
    # The last resort of the order: without it, Spark could choose another of two that differ each time.
    content = [F.coalesce(F.col(name).cast("string"), F.lit("\u0000")) for name in fresh.columns]
    everything = everything.withColumn("_content", F.sha2(F.concat_ws("\u0001", *content), 256))
    key = Window.partitionBy("unique_key")
    order = [F.col(name).desc_nulls_last() for name in ["resolution_action_updated_date", "closed_date", "load_date"]]
    order += [F.col("_before").asc(), F.col("_content").asc()]
    return (
        everything.withColumn("_rank", F.row_number().over(key.orderBy(*order)))
        .withColumn("_in_batch", F.sum(1 - F.col("_before")).over(key))
        .withColumn("_in_tree", F.sum("_before").over(key))
    )


def count(merged, names):
    """What became of the rows."""

    def rows(condition):
        return F.coalesce(F.sum(F.when(F.expr(condition), 1).otherwise(0)), F.lit(0))

    batch = merged.where("_in_batch > 0")
    answer = merged.agg(
        rows("_before = 0").alias("batch"),
        rows("_rank = 1 AND _in_batch > 0").alias("keys"),
        rows("_rank = 1 AND _in_tree = 0").alias("added"),
        rows("_rank = 1 AND _in_tree > 0 AND _before = 0").alias("updated"),
        rows("_rank = 1 AND _in_batch > 0 AND _before = 1").alias("known"),
        rows("_before = 1").alias("before"),
        (rows("_before = 1") - rows("_rank = 1 AND _in_tree > 0")).alias("before_repeated"),
    ).first()
    result = {name: answer[name] for name in ["added", "updated", "known", "before", "before_repeated"]}
    result["repeated"] = answer["batch"] - answer["keys"]
    known = batch.where("_rank = 1").agg(*[F.count(F.col(name)).alias(name) for name in names]).first()
    # Of no rows, no share is null.
    shown = [name for name in names if name != "problems"] if answer["keys"] else []
    result["null_shares"] = {name: round(1 - known[name] / float(answer["keys"]), 6) for name in shown}
    notes = batch.where("_before = 0").select(F.explode(F.split("problems", "; ")).alias("note"))
    by_column = notes.groupBy(F.substring_index("note", ": ", 2).alias("what")).count().collect()
    result["problems"] = {row["what"]: row["count"] for row in by_column}
    by_day = batch.where("_rank = 1").groupBy(F.to_date("created_date").alias("day")).count().collect()
    result["by_day"] = {str(row["day"]): row["count"] for row in by_day}
    return result


def stage(spark, files, frame, staging):
    """Writes the days aside; their files by day, and how many rows they have."""
    files.delete(staging)
    date = F.col("created_date")
    parts = [F.date_format(date, form).alias(part) for part, form in zip(PARTS, ["yyyy", "MM", "dd"])]
    frame.select("*", *parts).repartition(*PARTS).write.partitionBy(*PARTS).parquet(staging)
    days = {}
    for year in partitions(files, staging):
        for month in partitions(files, lake.join(staging, year)):
            for day in partitions(files, lake.join(staging, year, month)):
                names = [n for n in files.names(lake.join(staging, year, month, day)) if n.endswith(".parquet")]
                days["/".join(part.split("=")[1] for part in (year, month, day))] = names
    rows = spark.read.schema(frame.schema).parquet(staging).count() if days else 0
    return {"days": days, "rows": rows}


def partitions(files, folder):
    return [name for name in files.names(folder) if "=" in name]


def pending(options, batch=""):
    """Where the notes are about batches that are written, but not in place."""
    return lake.join(options.runs, "clean", "pending", batch + ".json" if batch else "")


def finish(files, options):
    """Puts in place what is written: this batch, or before it one whose job was killed. Can be repeated at any point."""
    for name in files.names(pending(options)):
        if name.startswith(".") or not name.endswith(".json"):
            continue
        note = files.read_json(lake.join(pending(options), name))
        home = lake.join(options.runs, "clean", name[: -len(".json")])
        # The summary says that the batch is in place: an older one does not while it is not.
        files.delete(lake.join(home, lake.SUMMARY))
        put_day = functools.partial(put, files, options, home)
        pool = ThreadPool(8)
        try:
            pool.map(put_day, sorted(note["days"].items()))
        finally:
            pool.terminate()
        files.write_json(lake.join(home, lake.SUMMARY), note["summary"])
        files.delete(lake.join(home, "staging"))
        files.delete(lake.join(pending(options), name))


def put(files, options, home, one):
    """Puts a day's files in place, and then takes away those that were there."""
    day, names = one
    target = lake.join(options.cleaned, day)
    staging = lake.join(home, "staging", "/".join("%s=%s" % pair for pair in zip(PARTS, day.split("/"))))
    for name in names:
        if files.exists(lake.join(staging, name)):
            files.move(lake.join(staging, name), lake.join(target, name))
        elif not files.exists(lake.join(target, name)):
            raise IOError("%s is neither in %s nor in %s" % (name, staging, target))
    for name in files.names(target):
        if name not in names:
            files.delete(lake.join(target, name))


def main(argv=None):
    return lake.run("clean", work, parse(argv))


if __name__ == "__main__":
    sys.exit(main())
