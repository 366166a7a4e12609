"""`infra pipeline test vendas` runs these, in one Spark session on this machine: the sample's bronze to gold."""

import pathlib
import shutil
import tempfile
import unittest

import processa_spark_vendas as vendas
from pyspark.sql import functions as F

SAMPLE = pathlib.Path(__file__).resolve().parents[1] / "sample"

# By hand, by ID_VENDA: QUANTIDADE x PRECO = VALOR_VENDA, and of that 10 %, or 13 % where ID_PRODUTO is above 25.
MONEY = {
    1: ("99.80", "9.98"),  # 2 x 49.90; 10 %
    2: ("59.97", "6.00"),  # 3 x 19.99; 10 % is 5.997
    3: ("1234.56", "123.46"),  # 1 x 1234.56; 10 % is 123.456
    4: ("0.05", "0.01"),  # 1 x 0.05; 10 % is 0.005, and a half goes up
    5: ("700.00", "70.00"),  # 2 x 350.00; product 25, the last with 10 %
    6: ("700.00", "91.00"),  # 2 x 350.00; product 26, the first with 13 %
    7: ("350.00", "45.50"),  # 1 x 350.00; 13 %
    9: ("12345.60", "1234.56"),  # 10 x 1234.56; 10 %
    10: ("0.50", "0.05"),  # 10 x 0.05; 10 %
    11: ("19.99", "2.00"),  # 1 x 19.99; 10 % is 1.999
    12: ("350.00", "35.00"),  # 1 x 350.00; 10 %
}


def files_below(folder):
    """Every file of a tree, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("**/*") if path.is_file()}


class Job(unittest.TestCase):
    """The sample's twelve sales: eleven are sold, and one's user is not there."""

    @classmethod
    def setUpClass(cls):
        cls.spark = vendas.session()
        cls.spark.sparkContext.setLogLevel("ERROR")
        # The job gets a copy, and writes beside it: the sample stays as it is.
        cls.folder = tempfile.TemporaryDirectory()
        cls.base = pathlib.Path(cls.folder.name)
        shutil.copytree(str(SAMPLE / "bronze"), str(cls.base / "bronze"))
        arguments = ["--bronze", "file://%s/bronze" % cls.base, "--gold", "file://%s/gold" % cls.base]
        cls.summary = vendas.work(cls.spark, vendas.parse(arguments + ["--at", "2024-05-06T07:08:09"]))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def rows(self, name):
        """A table of gold, by ID_VENDA; all as text, as times and money are read by people."""
        frame = self.spark.read.parquet("file://%s/gold/%s" % (self.base, name))
        found = frame.select(*[F.col(column).cast("string").alias(column) for column in frame.columns]).collect()
        return {int(row["ID_VENDA"]): row.asDict() for row in found}

    def test_every_sale_is_sold_or_rejected(self):
        self.assertEqual((self.summary["in"], self.summary["out"], self.summary["rejected"]), (12, 11, 1))
        self.assertEqual(sorted(self.rows("vendas")), sorted(MONEY))

    def test_a_row_of_gold(self):
        self.assertEqual(
            self.rows("vendas")[1],
            {
                "ID_VENDA": "1",
                "DATA_VENDA": "2023-01-02",
                "ID_USUARIO": "1",
                "NOME": "Inês Conceição",
                "CIDADE": "São Paulo",
                "UF": "SP",
                "ID_PRODUTO": "1",
                "DESCRICAO": "Teclado Básico 1",
                "QUANTIDADE": "2",
                "PRECO": "49.90",
                "VALOR_VENDA": "99.80",
                "COMISSAO": "9.98",
                "DH_PROCESSAMENTO": "2024-05-06 07:08:09",
            },
        )

    def test_values_and_commissions(self):
        found = {key: (row["VALOR_VENDA"], row["COMISSAO"]) for key, row in self.rows("vendas").items()}
        self.assertEqual(found, MONEY)
        self.assertEqual((self.summary["value"], self.summary["commission"]), ("15860.47", "1617.56"))

    def test_a_sale_whose_user_is_not_there_is_kept_with_the_reason(self):
        rejected = {
            "ID_VENDA": "8", "ID_USUARIO": "99", "ID_PRODUTO": "1", "QUANTIDADE": "1", "DATA_VENDA": "2023-03-01",
            "MOTIVO": "ID_USUARIO is unknown",
        }  # fmt: skip
        self.assertEqual(self.rows("vendas_rejeitadas"), {8: rejected})
        self.assertEqual(self.summary["rejected_by_reason"], {"ID_USUARIO is unknown": 1})

    def test_bronze_is_never_written(self):
        self.assertEqual(files_below(self.base / "bronze"), files_below(SAMPLE / "bronze"))
