# -*- coding: utf-8 -*-
"""What the jobs share beside columns: the Spark session, files of the lake, days, and how a job ends.

Files are read and written through Hadoop, so that `s3://`, `hdfs://` and `file://` are alike to a job. Python 3.6 and
Spark 2.4 upwards; goes as --py-files.
"""

from __future__ import print_function

import datetime
import json
import sys
import traceback

from pyspark.sql import SparkSession

SUMMARY = "summary.json"
MANIFEST = "_manifest.json"
DAY_SUMMARY = "_summary.json"
# Where a kind's tree begins.
KINDS = {"new": "", "updates": "updates/"}

DONE, FAILED, REFUSED, MISCOUNTED = 0, 1, 3, 4


class Refused(Exception):
    """The input is not as it must be. Nothing was written that a later step would take for whole."""


class Miscounted(Exception):
    """Rows are unaccounted for."""


SETTINGS = {
    # The times have no zone: they are New York's, kept as they are.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "snappy",
    "spark.sql.parquet.mergeSchema": "false",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}


def session(name):
    """The Spark session, set up so that versions 2.4 and 3.5 give the same."""
    builder = SparkSession.builder.appName(name)
    for key in sorted(SETTINGS):
        builder = builder.config(key, SETTINGS[key])
    spark = builder.getOrCreate()
    for key in sorted(SETTINGS):
        spark.conf.set(key, SETTINGS[key])
    spark.sparkContext.setLogLevel("WARN")
    return spark


def run(name, work, options):
    """Does a job's work; its exit code. The summary goes to standard output as one line."""
    spark = session(name)
    try:
        summary = work(spark, options)
        print(json.dumps(summary, sort_keys=True))
        return DONE
    except Refused as refusal:
        print("refused: %s" % refusal, file=sys.stderr)
        return REFUSED
    except Miscounted as difference:
        print("rows are unaccounted for: %s" % difference, file=sys.stderr)
        return MISCOUNTED
    except Exception as error:
        if "Malformed records are detected" in str(error) or "MALFORMED_RECORD_IN_PARSING" in str(error):
            print("refused: the raw files hold a record that is no JSON object", file=sys.stderr)
            return REFUSED
        traceback.print_exc()
        return FAILED
    finally:
        spark.stop()


def day(text):
    """A day of the command line."""
    return datetime.datetime.strptime(text, "%Y-%m-%d").date()


def add_days(parser):
    """The arguments that say which days."""
    parser.add_argument("--day", type=day, help="one day, YYYY-MM-DD")
    parser.add_argument("--from", dest="first", type=day, help="first day of a range")
    parser.add_argument("--to", dest="last", type=day, help="last day of the range")


def check_days(parser, options):
    """Both ends of the range, whichever way it was said."""
    if bool(options.day) == bool(options.first or options.last):
        parser.error("either --day or --from and --to")
    if not options.day and not (options.first and options.last):
        parser.error("--from and --to go together")
    options.first = options.first or options.day
    options.last = options.last or options.day
    if options.first > options.last:
        parser.error("%s is after %s" % (options.first, options.last))
    return options


def days(options):
    """Each day of the range."""
    return [options.first + datetime.timedelta(n) for n in range((options.last - options.first).days + 1)]


def batch(options):
    """What the batch is called. A range of one day is not that day: it can be of fewer kinds."""
    return str(options.day) if options.day else "%s_%s" % (options.first, options.last)


def place(kind, of):
    """A day's folder within a tree."""
    return KINDS[kind] + of.strftime("%Y/%m/%d")


def join(*parts):
    """A URI of its parts."""
    return "/".join([part.rstrip("/") for part in parts[:-1]] + [parts[-1].lstrip("/")])


def whole_day(files, preprocessed, kind, of):
    """The folder of a preprocessed day, and how many rows it must have."""
    folder = join(preprocessed, place(kind, of))
    summary = files.read_json(join(folder, DAY_SUMMARY))
    if summary is None:
        raise Refused("%s is not whole: preprocess the day first" % folder)
    return folder, summary["rows"]


class Files(object):
    """Small files and folders, on whatever file system a URI names."""

    def __init__(self, spark):
        self._jvm = spark.sparkContext._jvm
        self._settings = spark.sparkContext._jsc.hadoopConfiguration()

    def _at(self, uri):
        path = self._jvm.org.apache.hadoop.fs.Path(uri)
        return path.getFileSystem(self._settings), path

    def exists(self, uri):
        """Whether there is such a file or folder."""
        system, path = self._at(uri)
        return system.exists(path)

    def names(self, uri):
        """What lies directly in a folder, in order."""
        system, path = self._at(uri)
        return sorted(found.getPath().getName() for found in system.listStatus(path)) if system.exists(path) else []

    def read(self, uri):
        """The file's text; None where there is none."""
        system, path = self._at(uri)
        if not system.exists(path):
            return None
        stream = system.open(path)
        try:
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream)).decode("utf-8")
        finally:
            stream.close()

    def write(self, uri, text):
        """Writes the file, in the place of one that is there. It appears whole."""
        folder, _, name = uri.rpartition("/")
        new = join(folder, ".%s.new" % name)
        system, path = self._at(new)
        stream = system.create(path, True)
        try:
            stream.write(bytearray(text.encode("utf-8")))
        finally:
            stream.close()
        self.move(new, uri)

    def write_json(self, uri, value):
        """Writes the value as JSON."""
        self.write(uri, json.dumps(value, indent=1, sort_keys=True) + "\n")

    def read_json(self, uri):
        """The JSON file's value; None where there is no file."""
        text = self.read(uri)
        return None if text is None else json.loads(text)

    def move(self, old, new):
        """Puts a file in the place of another."""
        system, source = self._at(old)
        _, target = self._at(new)
        system.mkdirs(target.getParent())
        if system.exists(target):
            system.delete(target, False)
        if not system.rename(source, target):
            raise IOError("%s cannot be moved to %s" % (old, new))

    def delete(self, uri):
        """Deletes a file, or a folder with all that is in it."""
        system, path = self._at(uri)
        system.delete(path, True)

    def digest(self, uri):
        """The file's length and SHA-256."""
        system, path = self._at(uri)
        if not system.exists(path):
            return None, None
        length = system.getFileStatus(path).getLen()
        stream = system.open(path)
        try:
            return length, self._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream)
        finally:
            stream.close()
