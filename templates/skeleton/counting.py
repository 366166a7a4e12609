"""What the job does, apart from where it reads and writes: this is what tests are about."""

from pyspark.sql import functions as F


def counted(rows, minimum):
    """How often each name occurs, most often first; names that occur less often than `minimum` are left out."""
    names = rows.where(F.trim(F.col("name")) != "").groupBy(F.trim(F.col("name")).alias("name"))
    return names.agg(F.count("*").alias("times")).where(F.col("times") >= minimum).orderBy(F.desc("times"), "name")
