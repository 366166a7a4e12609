# -*- coding: utf-8 -*-
"""Sales with their users, products, values and commissions: bronze/*.csv to gold/vendas/ as parquet.

VALOR_VENDA = QUANTIDADE x PRECO, exact. COMISSAO = 10 % of it where ID_PRODUTO <= 25, else 13 %, rounded to two
decimals, half away from zero. Money is decimal throughout. A sale whose user or product is not there is kept, with its
reason, under gold/vendas_rejeitadas/: every sale that comes in goes out or is rejected, or the job fails.
The input is never written. Spark 2.4 and 3.5, Python 3.6 upwards; README.md has the arguments and exit codes.
"""

from __future__ import print_function

import argparse
import datetime
import json
import sys
import time
import traceback

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

DONE, FAILED, REFUSED, MISCOUNTED = 0, 1, 3, 4
MONEY = "decimal(18,2)"
# What a sale gets from its user and product; the rest of it is never null, or the sale is rejected.
LOOKED_UP = ["NOME", "CIDADE", "UF", "DESCRICAO"]

USERS = T.StructType(
    [
        T.StructField("ID_USUARIO", T.IntegerType()),
        T.StructField("NOME", T.StringType()),
        T.StructField("EMAIL", T.StringType()),
        T.StructField("CIDADE", T.StringType()),
        T.StructField("UF", T.StringType()),
    ]
)
PRODUCTS = T.StructType(
    [
        T.StructField("ID_PRODUTO", T.IntegerType()),
        T.StructField("DESCRICAO", T.StringType()),
        T.StructField("PRECO", T.DecimalType(10, 2)),
    ]
)
SALES = T.StructType(
    [
        T.StructField("ID_VENDA", T.LongType()),
        T.StructField("ID_USUARIO", T.IntegerType()),
        T.StructField("ID_PRODUTO", T.IntegerType()),
        T.StructField("QUANTIDADE", T.IntegerType()),
        T.StructField("DATA_VENDA", T.DateType()),
    ]
)
# How Spark's versions say that a CSV is not what the schema says.
MALFORMED = ["Malformed records are detected", "MALFORMED_RECORD_IN_PARSING", "CSV header does not conform"]


class Refused(Exception):
    """The input is not as it must be."""


class Miscounted(Exception):
    """Sales are unaccounted for."""


def moment(text):
    """A time of the command line."""
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")


def parse(argv=None):
    parser = argparse.ArgumentParser(
        description="Sales with their users, products, values and commissions.", allow_abbrev=False
    )
    parser.add_argument("--bronze", required=True, help="the input's URI: s3://BUCKET/bronze/")
    parser.add_argument("--gold", required=True, help="the output's URI: s3://BUCKET/gold/")
    parser.add_argument("--at", type=moment, help="DH_PROCESSAMENTO, YYYY-MM-DDTHH:MM:SS in UTC; now unless said")
    parser.add_argument(
        "--files", type=int, default=0, help="how many files gold/vendas/ has; Spark's choice unless said"
    )
    options = parser.parse_args(argv)
    options.at = options.at or datetime.datetime.utcnow().replace(microsecond=0)
    bronze, gold = options.bronze.rstrip("/") + "/", options.gold.rstrip("/") + "/"
    if gold.startswith(bronze) or bronze.startswith(gold):
        parser.error("gold must not be in bronze, nor bronze in gold: the input is never written")
    return options


def session():
    """The Spark session, set up so that versions 2.4 and 3.5 give the same."""
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.parquet.compression.codec": "snappy",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        # Otherwise values of columns that a query does not need are not looked at, and FAILFAST does not see them.
        "spark.sql.csv.parser.columnPruning.enabled": "false",
    }
    spark = SparkSession.builder.appName("processa_spark_vendas").getOrCreate()
    for key in sorted(settings):
        spark.conf.set(key, settings[key])
    spark.sparkContext.setLogLevel("WARN")
    return spark


def table(spark, options, name, schema):
    """One of the input's tables; its headers must be the schema's."""
    reader = (
        spark.read.schema(schema).option("header", "true").option("enforceSchema", "false").option("mode", "FAILFAST")
    )
    reader = reader.option("dateFormat", "yyyy-MM-dd").option("encoding", "UTF-8")
    return reader.csv("%s/%s/" % (options.bronze.rstrip("/"), name))


def by_key(spark, options, name, schema):
    """A table whose first column is its key: a key twice would double sales."""
    frame, key = table(spark, options, name, schema), schema[0].name
    twice = frame.groupBy(key).count().where("count > 1").orderBy(key).select(key).take(5)
    if twice:
        raise Refused("%s has %s more than once: %s" % (name, key, ", ".join(str(row[0]) for row in twice)))
    return frame.where(F.col(key).isNotNull())


def work(spark, options):
    """All of it; the summary."""
    started = time.time()
    users = by_key(spark, options, "usuarios", USERS)
    products = by_key(spark, options, "produtos", PRODUCTS)
    sales = table(spark, options, "vendas", SALES)
    joined = sales.join(F.broadcast(users.withColumn("_user", F.lit(True))), "ID_USUARIO", "left").join(
        F.broadcast(products.withColumn("_product", F.lit(True))), "ID_PRODUTO", "left"
    )
    reason = (
        F.when(F.col("ID_VENDA").isNull(), "ID_VENDA is missing")
        .when(F.col("_user").isNull(), "ID_USUARIO is unknown")
        .when(F.col("_product").isNull(), "ID_PRODUTO is unknown")
        .when(F.col("PRECO").isNull(), "PRECO is missing")
        .when(F.col("QUANTIDADE").isNull() | (F.col("QUANTIDADE") < 1), "QUANTIDADE is no quantity")
        .when(F.col("DATA_VENDA").isNull(), "DATA_VENDA is missing")
    )
    joined = joined.withColumn("_reason", reason)
    gold = options.gold.rstrip("/")
    rejected = joined.where("_reason IS NOT NULL").select(
        *[field.name for field in SALES] + [F.col("_reason").alias("MOTIVO")]
    )
    rejected.coalesce(1).write.mode("overwrite").parquet(gold + "/vendas_rejeitadas")

    value = (F.col("QUANTIDADE").cast("decimal(10,0)") * F.col("PRECO")).cast(MONEY)
    rate = F.when(F.col("ID_PRODUTO") <= 25, F.lit("0.10")).otherwise(F.lit("0.13")).cast("decimal(3,2)")
    # `round` of a decimal is half away from zero.
    commission = F.round(value * rate, 2).cast(MONEY)
    sold = joined.where("_reason IS NULL").select(
        "ID_VENDA", "DATA_VENDA", "ID_USUARIO", "NOME", "CIDADE", "UF", "ID_PRODUTO", "DESCRICAO", "QUANTIDADE", "PRECO",
        value.alias("VALOR_VENDA"),
        commission.alias("COMISSAO"),
        F.lit(options.at.strftime("%Y-%m-%d %H:%M:%S")).cast("timestamp").alias("DH_PROCESSAMENTO"),
    )  # fmt: skip
    if options.files:
        sold = sold.repartition(options.files)
    sold.write.mode("overwrite").parquet(gold + "/vendas")

    # From what was written, not from the same plan again.
    totals = spark.read.schema(sold.schema).parquet(gold + "/vendas").agg(
        F.count(F.lit(1)).alias("rows"), F.sum("QUANTIDADE").alias("quantity"),
        F.sum("VALOR_VENDA").alias("value"), F.sum("COMISSAO").alias("commission"),
        *[F.count(name).alias(name) for name in LOOKED_UP]
    ).first()  # fmt: skip
    reasons = (
        spark.read.schema(rejected.schema).parquet(gold + "/vendas_rejeitadas").groupBy("MOTIVO").count().collect()
    )
    summary = {
        "job": "processa_spark_vendas",
        "batch": str(options.at.date()),
        "in": sales.count(),
        "out": totals["rows"],
        "rejected": sum(row["count"] for row in reasons),
        "rejected_by_reason": {row["MOTIVO"]: row["count"] for row in reasons},
        "null_shares": {
            name: round(1 - totals[name] / float(totals["rows"]), 6) for name in LOOKED_UP if totals["rows"]
        },
        "quantity": totals["quantity"] or 0,
        # As text: a number of JSON is no decimal.
        "value": str(totals["value"] or "0.00"),
        "commission": str(totals["commission"] or "0.00"),
        "at": options.at.isoformat(),
        "seconds": round(time.time() - started, 1),
    }
    if summary["in"] != summary["out"] + summary["rejected"]:
        raise Miscounted("%(in)d in; %(out)d out, %(rejected)d rejected" % summary)
    # Last: with it, gold is whole.
    line = spark.createDataFrame([(json.dumps(summary, sort_keys=True),)], "value string")
    line.coalesce(1).write.mode("overwrite").text(gold + "/vendas_resumo")
    return summary


def main(argv=None):
    options = parse(argv)
    spark = session()
    try:
        print(json.dumps(work(spark, options), sort_keys=True))
        return DONE
    except Refused as refusal:
        print("refused: %s" % refusal, file=sys.stderr)
        return REFUSED
    except Miscounted as difference:
        print("sales are unaccounted for: %s" % difference, file=sys.stderr)
        return MISCOUNTED
    except Exception as error:
        if any(sign in str(error) for sign in MALFORMED):
            print("refused: a file of bronze is not what its table says", file=sys.stderr)
            return REFUSED
        traceback.print_exc()
        return FAILED
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(main())
