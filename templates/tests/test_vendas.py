"""Vendas: the generator's bytes, and the job's totals beside DuckDB's."""

from __future__ import annotations

import csv
import decimal
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import duckdb
import generate
import processa_spark_vendas as vendas
import pytest
from conftest import TEMPLATES, files_below, run
from moto import mock_aws

AT = ["--at", "2024-05-06T07:08:09"]


def made(folder: Path, sales: int = 5000, *more: str) -> Path:
    assert generate.main(["--bronze", str(folder), "--sales", str(sales), *more]) == 0
    return folder


def work(spark, base: Path, *more: str) -> dict:
    options = vendas.parse(["--bronze", (base / "bronze").as_uri(), "--gold", (base / "gold").as_uri(), *AT, *more])
    for key, value in {"spark.sql.csv.parser.columnPruning.enabled": "false"}.items():
        spark.conf.set(key, value)
    summary = vendas.work(spark, options)
    assert summary["in"] == summary["out"] + summary["rejected"]
    return summary


def by_duckdb(base: Path) -> tuple:
    """The totals, computed without Spark. DuckDB's `round` of a decimal is half away from zero too."""
    tables = {name: f"read_csv('{base}/bronze/{name}/*.csv', header = true, all_varchar = true)"
              for name in ("vendas", "usuarios", "produtos")}  # fmt: skip
    return duckdb.sql(f"""
        SELECT count(*), sum(q), sum(value), sum(CAST(round(value * rate, 2) AS DECIMAL(18, 2))) FROM (
            SELECT CAST(v.QUANTIDADE AS INTEGER) AS q,
                CAST(CAST(v.QUANTIDADE AS INTEGER) * CAST(p.PRECO AS DECIMAL(10, 2)) AS DECIMAL(14, 2)) AS value,
                CAST(CASE WHEN CAST(p.ID_PRODUTO AS INTEGER) <= 25 THEN 0.10 ELSE 0.13 END AS DECIMAL(3, 2)) AS rate
            FROM {tables["vendas"]} v JOIN {tables["usuarios"]} u USING (ID_USUARIO) JOIN {tables["produtos"]} p USING (ID_PRODUTO))
    """).fetchone()


class TestGenerate:
    """The course's data, at any size."""

    def test_the_same_seed_gives_the_same_bytes(self, tmp_path):
        assert files_below(made(tmp_path / "a")) == files_below(made(tmp_path / "b"))
        other = files_below(made(tmp_path / "c", 5000, "--seed", "7"))
        assert all(other[name] != content for name, content in files_below(tmp_path / "a").items())

    def test_numbers_and_keys(self, tmp_path, monkeypatch):
        monkeypatch.setattr(generate, "ROWS_A_FILE", 700)
        made(tmp_path, 2001)
        tables = {}
        for name in ("usuarios", "produtos", "vendas"):
            tables[name] = []
            for file in sorted((tmp_path / name).glob("*.csv")):
                tables[name] += csv.DictReader(file.read_text(encoding="utf-8").splitlines())
        assert [len(tables[name]) for name in ("usuarios", "produtos", "vendas")] == [100, 50, 2001]
        assert len(list((tmp_path / "vendas").iterdir())) == 3
        assert [row["ID_VENDA"] for row in tables["vendas"]] == [str(n) for n in range(1, 2002)]
        assert {int(row["ID_PRODUTO"]) for row in tables["vendas"]} == set(range(1, 51))
        assert {int(row["ID_USUARIO"]) for row in tables["vendas"]} == set(range(1, 101))
        assert all(1 <= int(row["QUANTIDADE"]) <= 10 for row in tables["vendas"])
        assert all(decimal.Decimal(row["PRECO"]).as_tuple().exponent == -2 for row in tables["produtos"])

    def test_fewer_files_than_before_leave_none_behind(self, tmp_path, monkeypatch):
        monkeypatch.setattr(generate, "ROWS_A_FILE", 100)
        made(tmp_path, 500)
        made(tmp_path, 150)
        assert len(list((tmp_path / "vendas").iterdir())) == 2

    def test_memory_does_not_grow_with_the_number(self, tmp_path):
        peak = "import resource, generate; generate.main(); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        used = []
        for sales in (1000, 600_000):
            done = run(sys.executable, "-c", peak, "--bronze", tmp_path / "x", "--sales", sales,
                       env={**os.environ, "PYTHONPATH": str(TEMPLATES / "vendas")})  # fmt: skip
            assert done.returncode == 0, done.stderr
            used.append(int(done.stdout.split()[-1]))
        assert used[1] < used[0] + 8 * 1024, f"{used} KiB"

    def test_s3_gets_the_same(self, tmp_path):
        made(tmp_path, 300)
        with mock_aws():
            s3 = boto3.client("s3")
            s3.create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
            s3.put_object(Bucket="data", Key="bronze/vendas/vendas-00009.csv", Body=b"old")
            assert generate.main(["--bronze", "s3://data/bronze/", "--sales", "300"]) == 0
            found = {item["Key"].removeprefix("bronze/"): s3.get_object(Bucket="data", Key=item["Key"])["Body"].read()
                     for item in s3.list_objects_v2(Bucket="data")["Contents"]}  # fmt: skip
        assert found == files_below(tmp_path)


@pytest.mark.spark
class TestJob:
    """bronze/ to gold/vendas/."""

    def test_totals_are_those_of_duckdb(self, spark, tmp_path):
        made(tmp_path / "bronze", 20_000)
        bronze = files_below(tmp_path / "bronze")
        summary = work(spark, tmp_path)
        rows, quantity, value, commission = by_duckdb(tmp_path)
        assert rows == 20_000 and value > 0
        assert (summary["out"], summary["quantity"]) == (rows, quantity)
        assert (summary["value"], summary["commission"]) == (str(value), str(commission))
        assert files_below(tmp_path / "bronze") == bronze, "the input was written"

    def test_each_row(self, spark, tmp_path):
        bronze = made(tmp_path / "bronze", 10)
        (bronze / "produtos/produtos.csv").write_text(
            "ID_PRODUTO,DESCRICAO,PRECO\n25,A,0.05\n26,B,0.05\n27,C,99999999.99\n"
        )
        sales = "ID_VENDA,ID_USUARIO,ID_PRODUTO,QUANTIDADE,DATA_VENDA\n"
        sales += "1,1,25,1,2023-01-02\n2,1,26,5,2023-01-02\n3,1,27,10,2023-01-02\n4,1,26,3,2023-01-02\n"
        (bronze / "vendas/vendas-00000.csv").write_text(sales)
        work(spark, tmp_path)
        rows = spark.read.parquet((tmp_path / "gold/vendas").as_uri()).orderBy("ID_VENDA").collect()
        money = [(str(row["VALOR_VENDA"]), str(row["COMISSAO"])) for row in rows]
        # 0.005 rounds away from zero, 0.0325 and 0.0195 to the nearest.
        assert money == [("0.05", "0.01"), ("0.25", "0.03"), ("999999999.90", "129999999.99"), ("0.15", "0.02")]
        assert [str(rows[0]["DH_PROCESSAMENTO"]), str(rows[0]["DATA_VENDA"])] == ["2024-05-06 07:08:09", "2023-01-02"]

    def test_sales_without_their_user_or_product_are_kept_with_the_reason(self, spark, tmp_path):
        bronze = made(tmp_path / "bronze", 10)
        with open(bronze / "vendas/vendas-00000.csv", "a") as file:
            file.write(
                "11,999,1,1,2023-01-01\n12,1,999,1,2023-01-01\n13,1,1,0,2023-01-01\n14,1,1,1,\n,1,1,1,2023-01-01\n"
            )
        summary = work(spark, tmp_path)
        assert (summary["in"], summary["out"], summary["rejected"]) == (15, 10, 5)
        assert summary["rejected_by_reason"] == {
            "ID_USUARIO is unknown": 1, "ID_PRODUTO is unknown": 1, "QUANTIDADE is no quantity": 1,
            "DATA_VENDA is missing": 1, "ID_VENDA is missing": 1,
        }  # fmt: skip
        kept = spark.read.parquet((tmp_path / "gold/vendas_rejeitadas").as_uri()).orderBy("ID_VENDA").collect()
        assert [row["ID_VENDA"] for row in kept] == [None, 11, 12, 13, 14]

    @pytest.mark.parametrize("name, text", [
        ("vendas", "ID_VENDA,ID_USUARIO,ID_PRODUTO,QUANTIDADE,DATA_VENDA\n1,1,1,many,2023-01-01\n"),
        ("vendas", "ID_VENDA,ID_USUARIO,QUANTIDADE,ID_PRODUTO,DATA_VENDA\n1,1,1,1,2023-01-01\n"),
        ("vendas", "ID_VENDA,ID_USUARIO,ID_PRODUTO,QUANTIDADE,DATA_VENDA\n1,1,1\n"),
        ("produtos", "ID_PRODUTO,DESCRICAO,PRECO\n1,A,free\n"),
    ])  # fmt: skip
    def test_a_file_that_is_not_what_it_should_be_fails_the_job(self, spark, tmp_path, name, text):
        bronze = made(tmp_path / "bronze", 10)
        next((bronze / name).glob("*.csv")).write_text(text)
        with pytest.raises(Exception) as caught:
            work(spark, tmp_path)
        assert any(sign in str(caught.value) for sign in vendas.MALFORMED), str(caught.value)[:500]
        assert not (tmp_path / "gold/vendas_resumo").exists()

    def test_a_key_twice_is_refused(self, spark, tmp_path):
        bronze = made(tmp_path / "bronze", 10)
        with open(bronze / "usuarios/usuarios.csv", "a") as file:
            file.write("7,Outra,x@example.com,Curitiba,PR\n")
        with pytest.raises(vendas.Refused, match="ID_USUARIO more than once: 7"):
            work(spark, tmp_path)

    def test_a_second_run_gives_the_same(self, spark, tmp_path):
        made(tmp_path / "bronze", 500)
        results = []
        for _ in range(2):
            summary = work(spark, tmp_path)
            summary.pop("seconds")
            rows = spark.read.parquet((tmp_path / "gold/vendas").as_uri()).orderBy("ID_VENDA").collect()
            results.append((summary, rows))
        assert results[0] == results[1]

    @pytest.mark.parametrize("gold", ["s3://data/bronze/", "s3://data/bronze", "s3://data/bronze/gold/", "s3://data/"])
    def test_gold_in_bronze_is_refused(self, gold):
        with pytest.raises(SystemExit) as ended:
            vendas.parse(["--bronze", "s3://data/bronze/", "--gold", gold])
        assert ended.value.code == 2

    def test_exit_codes(self, java, tmp_path):
        """As a process: refused, and then done."""
        bronze = made(tmp_path / "bronze", 100)
        users = (bronze / "usuarios/usuarios.csv").read_text(encoding="utf-8")
        (bronze / "usuarios/usuarios.csv").write_text(users + "1,A,a,A,A\n", encoding="utf-8")
        command = [sys.executable, TEMPLATES / "vendas/processa_spark_vendas.py"]
        command += ["--bronze", bronze.as_uri(), "--gold", (tmp_path / "gold").as_uri()]
        environment = {
            **os.environ,
            "PYSPARK_SUBMIT_ARGS": "--master local[2] --conf spark.ui.enabled=false pyspark-shell",
        }
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
        assert done.returncode == 3 and "refused: usuarios has ID_USUARIO more than once: 1" in done.stderr
        (bronze / "usuarios/usuarios.csv").write_text(users, encoding="utf-8")
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]
        assert json.loads(done.stdout.splitlines()[-1])["out"] == 100
