"""`infra pipeline test` runs these, in one Spark session on this machine."""

import pathlib
import unittest

import counting
from pyspark.sql import SparkSession

SAMPLE = pathlib.Path(__file__).resolve().parents[1] / "sample"


class Counting(unittest.TestCase):
    """The sample, counted."""

    @classmethod
    def setUpClass(cls):
        cls.spark = SparkSession.builder.getOrCreate()

    def counted(self, minimum):
        """The result as pairs."""
        rows = self.spark.read.option("header", "true").csv(str(SAMPLE))
        return [tuple(row) for row in counting.counted(rows, minimum).collect()]

    def test_names_are_counted_without_the_blanks_around_them(self):
        self.assertEqual(self.counted(1), [("ana", 3), ("bea", 1)])

    def test_rare_names_are_left_out(self):
        self.assertEqual(self.counted(2), [("ana", 3)])
