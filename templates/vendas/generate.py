"""Makes the course's data: users, products and any number of sales, as CSV in bronze/. The same seed, the same bytes.

Sales are written in files of a million rows, one at a time, so that memory does not grow with their number. Any Python
from 3.6, nothing else needed for a local folder; boto3 for `s3://BUCKET/bronze/`. README.md has the arguments.
"""

import argparse
import datetime
import json
import os
import random
import shutil
import sys
import tempfile
import time
import urllib.parse

FIRST_DAY = datetime.date(2023, 1, 1)
DAYS = 365
ROWS_A_FILE = 1000000
NAMES = (
    "Ana Bruno Carla Diego Elisa Fábio Gabriela Heitor Inês João Karina Luís Márcia Nuno Olívia Paulo Raquel".split()
)
FAMILIES = "Almeida Barbosa Conceição Dias Esteves Ferreira Gonçalves Lima Magalhães Nóbrega Oliveira Pinto".split()
CITIES = [
    ("São Paulo", "SP"),
    ("Rio de Janeiro", "RJ"),
    ("Belo Horizonte", "MG"),
    ("Curitiba", "PR"),
    ("Salvador", "BA"),
]
THINGS = "Teclado Mouse Monitor Cadeira Mesa Cabo Câmera Fone Microfone Impressora".split()
KINDS = ["Básico", "Padrão", "Avançado", "Profissional", "Único"]


def users(count, seed):
    """The users' file."""
    chance = random.Random("%s users" % seed)
    yield "ID_USUARIO,NOME,EMAIL,CIDADE,UF\n"
    for key in range(1, count + 1):
        name = "%s %s" % (pick(chance, NAMES), pick(chance, FAMILIES))
        yield "%d,%s,usuario%d@example.com,%s,%s\n" % ((key, name, key) + pick(chance, CITIES))


def products(count, seed):
    """The products' file; prices have two decimals."""
    chance = random.Random("%s products" % seed)
    yield "ID_PRODUTO,DESCRICAO,PRECO\n"
    for key in range(1, count + 1):
        cents = 499 + int(chance.random() * 250000)
        thing = "%s %s %d" % (pick(chance, THINGS), pick(chance, KINDS), key)
        yield "%d,%s,%d.%02d\n" % (key, thing, cents // 100, cents % 100)


def sales(first, count, of_users, of_products, seed):
    """A file of sales, in pieces of some thousand rows."""
    # `random()` alone: what it gives is the same in every version of Python, which the other methods do not promise.
    chance = random.Random("%s sales %d" % (seed, first)).random
    days = [(FIRST_DAY + datetime.timedelta(n)).isoformat() for n in range(DAYS)]
    yield "ID_VENDA,ID_USUARIO,ID_PRODUTO,QUANTIDADE,DATA_VENDA\n"
    for start in range(first, first + count, 5000):
        yield "".join(
            "%d,%d,%d,%d,%s\n"
            % (
                key,
                1 + int(chance() * of_users),
                1 + int(chance() * of_products),
                1 + int(chance() * 10),
                days[int(chance() * DAYS)],
            )
            for key in range(start, min(start + 5000, first + count))
        )


def pick(chance, values):
    return values[int(chance.random() * len(values))]


class Local(object):
    """A folder on this machine."""

    def __init__(self, path):
        self.path = os.path.abspath(path)

    def write(self, name, pieces):
        path = os.path.join(self.path, *name.split("/"))
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        new = path + ".new"
        with open(new, "w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
        os.replace(new, path)

    def empty(self, folder):
        shutil.rmtree(os.path.join(self.path, folder), ignore_errors=True)


class Bucket(object):
    """A folder of a bucket. A file goes through a temporary one, and from it in parts."""

    def __init__(self, bucket, prefix):
        import boto3

        self.client, self.bucket, self.prefix = boto3.client("s3"), bucket, prefix

    def key(self, name):
        return "/".join(part for part in (self.prefix, name) if part)

    def write(self, name, pieces):
        with tempfile.TemporaryFile() as file:
            for piece in pieces:
                file.write(piece.encode("utf-8"))
            file.seek(0)
            self.client.upload_fileobj(file, self.bucket, self.key(name))

    def empty(self, folder):
        pages = self.client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=self.key(folder) + "/"):
            for found in page.get("Contents", []):
                self.client.delete_object(Bucket=self.bucket, Key=found["Key"])


def folder(uri):
    """The folder of that URI."""
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme == "s3":
        return Bucket(parts.netloc, parts.path.strip("/"))
    return Local(urllib.parse.unquote(parts.path) if parts.scheme == "file" else uri)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--bronze", required=True, help="s3://BUCKET/bronze/ or a local folder")
    parser.add_argument("--sales", type=int, default=15000000)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--products", type=int, default=50)
    parser.add_argument("--seed", type=int, default=2024)
    options = parser.parse_args(argv)
    if options.sales < 0 or options.users < 1 or options.products < 1:
        parser.error("at least one user, one product and no sale")
    started, bronze = time.time(), folder(options.bronze)
    # Files of an earlier, larger run would be read with these.
    for name in ["usuarios", "produtos", "vendas"]:
        bronze.empty(name)
    bronze.write("usuarios/usuarios.csv", users(options.users, options.seed))
    bronze.write("produtos/produtos.csv", products(options.products, options.seed))
    for number, first in enumerate(range(1, max(2, options.sales + 1), ROWS_A_FILE)):
        count = min(ROWS_A_FILE, options.sales - first + 1)
        pieces = sales(first, count, options.users, options.products, options.seed)
        bronze.write("vendas/vendas-%05d.csv" % number, pieces)
    print(json.dumps({"sales": options.sales, "seconds": round(time.time() - started, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
