"""Counts the words of all text files under a place, and prints the most frequent: the job of `make demo`."""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

if len(sys.argv) != 2:
    sys.exit("usage: count_words.py PLACE")
spark = SparkSession.builder.appName("count words").getOrCreate()
lines = spark.read.option("recursiveFileLookup", "true").text(sys.argv[1])
words = lines.select(f.explode(f.split("value", "[^A-Za-z]+")).alias("word")).where("word <> ''")
counts = words.groupBy("word").count().orderBy(f.desc("count"), "word")
for row in counts.limit(5).collect():
    print("{:>6}  {}".format(row["count"], row["word"]))
print("{:>6}  words in all".format(words.count()))
spark.stop()
