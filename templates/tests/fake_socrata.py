"""A small Socrata on loopback: enough of SODA 2.1's queries for the extract, and its faults on request.

As on the real one, pages without `$order` are not stable: here they never are, so that a test sees it. `fake_socrata.py
--serve` is the same as a program, with made-up requests that are the same each time; it needs nothing but Python.
"""

from __future__ import annotations

import argparse
import datetime
import json
import operator
import re
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import made_requests

WORDS = re.compile(r"\s*('(?:[^']|'')*'|<=|>=|!=|<|>|=|\(|\)|[:@\w.]+)")
COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
SETTINGS = {"$where", "$order", "$limit", "$offset", "$select"}


class BadQuery(Exception):
    """What the API answers with 400."""


def same_length(value):
    """Floating timestamps compare as text once they are equally long."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?)?", value):
        value += "T00:00:00" if "T" not in value else ""
        value += ".000" if "." not in value else ""
    return value


class Condition:
    """A `$where`, as a function of a row."""

    def __init__(self, text: str, columns: set[str]) -> None:
        self.words, end = [], 0
        text = text.strip()
        while end < len(text):
            found = WORDS.match(text, end)
            if not found:
                raise BadQuery(f"query.compiler.malformed at {end}")
            self.words.append(found.group(1))
            end = found.end()
        self.columns = columns
        self.holds = self.either()
        if self.words:
            raise BadQuery(f"unexpected {self.words[0]}")

    def take(self, *wanted: str) -> str:
        if not self.words or (wanted and self.words[0].upper() not in wanted):
            raise BadQuery(f"expected {' or '.join(wanted) or 'more'}, got {self.words[:1]}")
        return self.words.pop(0)

    def ahead(self, word: str) -> bool:
        if self.words and self.words[0].upper() == word:
            self.words.pop(0)
            return True
        return False

    def either(self):
        terms = [self.both()]
        while self.ahead("OR"):
            terms.append(self.both())
        return lambda row: any(term(row) for term in terms)

    def both(self):
        terms = [self.one()]
        while self.ahead("AND"):
            terms.append(self.one())
        return lambda row: all(term(row) for term in terms)

    def one(self):
        if self.ahead("("):
            inner = self.either()
            self.take(")")
            return inner
        left = self.value()
        if self.ahead("IS"):
            negated = self.ahead("NOT")
            self.take("NULL")
            return lambda row: (left(row) is None) != negated
        if self.ahead("BETWEEN"):
            low = self.value()
            self.take("AND")
            high = self.value()
            return lambda row: left(row) is not None and low(row) <= left(row) <= high(row)
        compare, right = COMPARE[self.take(*COMPARE)], self.value()
        return lambda row: left(row) is not None and right(row) is not None and compare(left(row), right(row))

    def value(self):
        word = self.take()
        if word.startswith("'"):
            text = same_length(word[1:-1].replace("''", "'"))
            return lambda row: text
        if word not in self.columns:
            raise BadQuery(f"query.soql.no-such-column: {word}")
        return lambda row: same_length(row.get(word))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, code: int, value, cut: bool = False, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json;charset=utf-8")
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def do_GET(self):
        server = self.server
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        with server.lock:
            server.seen.append((parts.path, query, dict(self.headers)))
            number = len(server.seen)
            fault = server.faults.pop(0) if server.faults else server.faults_at.pop(number, None)
        if isinstance(fault, int):
            headers = {"Location": "http://127.0.0.1:1/"} if 300 <= fault < 400 else {"Retry_After": server.retry_after}
            return self.answer(fault, {"code": "fault", "error": True, "message": "injected"}, **headers)
        if callable(fault):
            fault(server)
        if server.delay:
            time.sleep(server.delay)
        found = re.fullmatch(r"/resource/(\w{4}-\w{4})\.json", parts.path)
        if not found or found.group(1) not in server.data:
            return self.answer(404, {"code": "dataset.missing", "error": True, "message": "Not found"})
        try:
            return self.answer(200, self.rows(server, found.group(1), query, number), cut=fault == "cut")
        except BadQuery as error:
            return self.answer(400, {"code": "query.soql", "error": True, "message": str(error)})

    def rows(self, server, dataset: str, query: dict, number: int):
        with server.lock:
            rows = list(server.data[dataset])
        for name in query:
            if name not in SETTINGS:
                raise BadQuery(f"unknown parameter {name}")
        columns = {":id"} | {name for table in server.data.values() for row in table for name in row}
        days = re.findall(r"'(\d{4}-\d\d-\d\d)", query.get("$where", ""))
        if server.nightly and days:
            rows = made_requests.seen_on(max(days), rows)
        if "$where" in query:
            rows = list(filter(Condition(query["$where"], columns).holds, rows))
        if re.fullmatch(r"count\(\*\)( as \w+)?", query.get("$select", ""), re.IGNORECASE):
            return [{"count": str(len(rows))}]
        if "$select" in query:
            raise BadQuery("only counts here")
        limit, offset = (int(query.get(name, default)) for name, default in (("$limit", 1000), ("$offset", 0)))
        if limit > 50_000:
            raise BadQuery("$limit is at most 50000")
        order = query.get("$order")
        if order is None:
            turn = number * 7919 % max(1, len(rows))
            rows = rows[turn:] + rows[:turn]
        elif order in columns:
            rows.sort(key=lambda row: (row.get(order) is None, row.get(order)))
        else:
            raise BadQuery(f"query.soql.no-such-column: {order}")
        return [{k: v for k, v in row.items() if k != ":id"} for row in rows[offset : offset + limit]]


class FakeSocrata:
    """The server. `faults` are for the next requests: a status, "cut" or a function; `faults_at` for the n-th.

    With `nightly`, whoever asks for a day sees what there was to see in the night after it.
    """

    def __init__(self, port: int = 0, **data: list[dict]) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.server.lock = threading.Lock()
        self.server.seen, self.server.faults, self.server.faults_at = [], [], {}
        self.server.delay, self.server.retry_after, self.server.nightly = 0.0, "0", False
        self.server.data = {"erm2-nwe9": [], "76ig-c548": []}
        for name, rows in data.items():
            self.load(name.replace("_", "-"), rows)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def load(self, dataset: str, rows: list[dict]) -> None:
        """The data set's rows, each with the `:id` that decides their order."""
        keyed = [{":id": f"row-{n * 2654435761 % 2**32:010d}-{n}", **row} for n, row in enumerate(rows)]
        with self.server.lock:
            self.server.data[dataset] = keyed

    def __getattr__(self, name):
        return getattr(self.server, name)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def made(first: datetime.date, days: int, a_day: int) -> dict[str, list[dict]]:
    """So many requests a day by data set, many of them closed on a later day, and beside them what is wrong at times.

    That is: a row that comes twice, a key that is missing or is none, a closing date of 1900, words like an attack.
    """
    sets: dict[str, list[dict]] = {"erm2-nwe9": [], "76ig-c548": []}
    for number, row in enumerate(made_requests.requests(str(first), days, a_day)):
        rows = sets["76ig-c548" if row["created_date"] < "2020-01-01" else "erm2-nwe9"]
        rows.append(row)
        if number % 50 == 7:
            rows.append(dict(row))
        if number % 100 == 13:
            rows.append({name: value for name, value in row.items() if name != "unique_key"})
        if number % 200 == 21:
            rows.append({**row, "unique_key": f"{row['unique_key']}-B"})
        if number % 100 == 33:
            row["closed_date"] = "1900-01-01T00:00:00.000"
        if number % 400 == 45:
            row["complaint_type"] = "../../WEB-INF/web.xml;x='; DROP TABLE requests--<script>"
    return sets


def main() -> int:
    parser = argparse.ArgumentParser(description="A small Socrata on loopback, until SIGTERM.", allow_abbrev=False)
    parser.add_argument("--serve", action="store_true", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first", type=datetime.date.fromisoformat, default=datetime.date(2020, 1, 1))
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--a-day", type=int, default=2000, help="requests a day")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        socrata = FakeSocrata(options.port)
        socrata.server.nightly = True
    except OSError as error:
        print(f"cannot listen on 127.0.0.1:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    for dataset, rows in made(options.first, options.days, options.a_day).items():
        socrata.load(dataset, rows)
    print(
        json.dumps({"url": socrata.url, "rows": {name: len(rows) for name, rows in socrata.data.items()}}), flush=True
    )
    ended.wait()
    socrata.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
