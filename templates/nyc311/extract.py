"""Loads New York's 311 service requests from Socrata into the lake's raw tree, one day at a time.

Two trees: `RAW/2020/01/02/` has the requests that were created on that day, `RAW/updates/2020/01/02/` those that were
closed on it, whenever they were created. Each day's folder has pages of JSON lines and, written last, a manifest with
their counts and checksums: a day without a manifest was not loaded, whatever else lies there. A day that has one is
left alone, so that a full load that was interrupted goes on where it was. README.md has the arguments and exit codes.
"""

import argparse
import collections
import datetime
import hashlib
import json
import logging
import os
import re
import stat
import sys
import time

import requests
from botocore.exceptions import BotoCoreError, ClientError
from requests.adapters import HTTPAdapter
from sodapy import Socrata
from urllib3.util.retry import Retry

import storage

MANIFEST = "_manifest.json"
# Which date decides, by kind, and where the kind's tree begins below RAW.
KINDS = {"new": ("created_date", ""), "updates": ("closed_date", "updates/")}
TOKEN = "SOCRATA_APP_TOKEN"
# Beyond this the API refuses (SODA 2.0) or answers slowly (2.1).
LARGEST_PAGE = 50_000
LONGEST_PAUSE = 120
TRIES = 3
# What JSON calls what Python reads it as. Null is no value.
TYPES = {str: "text", int: "number", float: "number", bool: "boolean", dict: "object", list: "list"}

log = logging.getLogger("extract")


class SourceError(Exception):
    """The source does not give what it should."""


class MovingSource(SourceError):
    """What the source has changed while it was read."""


class TokenError(Exception):
    """The application token cannot be used as it is."""


class BoundedRetry(Retry):
    """Waits as long as the server asks, within reason."""

    def get_retry_after(self, response):
        asked = super().get_retry_after(response)
        return asked if asked is None else min(asked, LONGEST_PAUSE)


def token(file=None):
    """The application token, from a file that only its owner can read or from the environment; None without either."""
    file = file or os.environ.get(f"{TOKEN}_FILE")
    if not file:
        value, where = os.environ.get(TOKEN, ""), f"${TOKEN}"
    else:
        where = str(file)
        try:
            with open(file, encoding="ascii", errors="replace") as opened:
                mode = os.fstat(opened.fileno()).st_mode
                if mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise TokenError(f"others can read the token file {file}; hint: chmod 600 {file}")
                value = opened.read()
        except OSError as error:
            raise TokenError(f"the token file {file} cannot be read: {error.strerror}") from None
    value = value.strip()
    if value and not re.fullmatch(r"[!-~]+", value):
        raise TokenError(f"{where} holds no application token: it must be one word of printable characters")
    if file and not value:
        raise TokenError(f"the token file {file} is empty")
    return value or None


def connect(url, app_token, backoff=2.0, retries=8, timeout=120):
    """A client that waits and asks again after 429, 5xx and broken connections: sodapy itself has no retries."""
    scheme, _, domain = url.rstrip("/").partition("://")
    if scheme not in ("https", "http") or not domain:
        raise ValueError(f"{url} is no address of a Socrata site")
    if app_token and scheme == "http" and not re.match(r"(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$", domain):
        raise ValueError(f"the token would go to {domain} in the clear; hint: https://{domain}")
    retry = BoundedRetry(
        total=retries,
        status_forcelist=[429, 500, 502, 503, 504],
        allowed_methods=["GET"],
        backoff_factor=backoff,
        raise_on_status=False,  # the last answer's own message says more
    )
    adapter = {"prefix": f"{scheme}://", "adapter": HTTPAdapter(max_retries=retry)}
    client = Socrata(domain, app_token, timeout=timeout, session_adapter=adapter)
    # A redirect would take the token, which is in a header of its own, to another host.
    client.session.max_redirects = 0
    return client


class Source:
    """The two data sets as one: requests that were created before 2020 are in the first."""

    def __init__(
        self, client, dataset="erm2-nwe9", history="76ig-c548", history_before="2020-01-01", page=LARGEST_PAGE
    ):
        self.client, self.dataset, self.history, self.page = client, dataset, history, page
        self.history_before = datetime.date.fromisoformat(history_before)

    def datasets(self, kind, day):
        """Where that day's requests are. One that is closed today can have been created in either."""
        if kind == "updates":
            return [self.history, self.dataset]
        return [self.history if day < self.history_before else self.dataset]

    def count(self, dataset, where):
        """How many rows the source says that there are."""
        answer = self.client.get(dataset, select="count(*) AS count", where=where)
        try:
            return int(answer[0]["count"])
        except (LookupError, TypeError, ValueError):
            raise SourceError(f"{dataset} answered a count with {str(answer)[:200]}") from None

    def pages(self, dataset, where):
        """The rows, page by page. Without an order, pages overlap and leave rows out; `:id` is the order that lasts."""
        offset = 0
        while True:
            rows = self.client.get(dataset, where=where, order=":id", limit=self.page, offset=offset)
            if not isinstance(rows, list):
                raise SourceError(f"{dataset} answered with {str(rows)[:200]} instead of rows")
            if rows:
                yield rows
            if len(rows) < self.page:
                return
            offset += len(rows)


def where_day(kind, day):
    """The condition that picks the day. Socrata's times have no zone: they are New York's."""
    return f"{KINDS[kind][0]} between '{day}T00:00:00.000' and '{day}T23:59:59.999'"


def place(kind, day):
    """The day's folder below RAW, zero-padded so that folders sort by date."""
    return f"{KINDS[kind][1]}{day:%Y/%m/%d}"


def days(first, last):
    """Each day, both ends included."""
    return [first + datetime.timedelta(n) for n in range((last - first).days + 1)]


def count_types(rows, seen):
    """Adds to `seen`, by column, how many rows have a value of which type: what the next day can be compared with."""
    for name in sorted(set().union(*rows)):
        for found, count in collections.Counter([type(row[name]) for row in rows if name in row]).items():
            if found in TYPES:
                types = seen.setdefault(name, {})
                types[TYPES[found]] = types.get(TYPES[found], 0) + count


def load_day(source, raw, kind, day, again=False):
    """Loads one day, unless it is loaded; its manifest, and whether it was loaded now."""
    here = place(kind, day)
    loaded = raw.read(f"{here}/{MANIFEST}")
    if loaded is not None and not again:
        return json.loads(loaded), False
    for attempt in range(1, TRIES + 1):
        try:
            return _load(source, raw, kind, day, here), True
        except (requests.ConnectionError, requests.Timeout, MovingSource, requests.exceptions.ChunkedEncodingError,
                requests.exceptions.ContentDecodingError, requests.exceptions.JSONDecodeError) as error:  # fmt: skip
            if attempt == TRIES:
                raise
            log.warning("%s %s: %s; trying again (%d of %d)", kind, day, error, attempt + 1, TRIES)
    raise AssertionError("the last attempt returns or raises")


def _load(source, raw, kind, day, here):
    # First what says that the day is whole, then what an interrupted load may have left.
    raw.delete(f"{here}/{MANIFEST}")
    for name in raw.names(here):
        raw.delete(f"{here}/{name}")
    where = where_day(kind, day)
    pages, columns, types, counts = [], set(), {}, {}
    for dataset in source.datasets(kind, day):
        expected, rows_of_dataset = source.count(dataset, where), 0
        for rows in source.pages(dataset, where):
            columns.update(*rows)
            count_types(rows, types)
            # ASCII, keys in order: the same rows give the same bytes, and no character of theirs ends a line.
            content = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows).encode("ascii")
            name = f"page-{len(pages):05d}.json"
            raw.write(f"{here}/{name}", content)
            digest = hashlib.sha256(content).hexdigest()
            pages.append({"name": name, "rows": len(rows), "bytes": len(content), "sha256": digest})
            rows_of_dataset += len(rows)
        after = source.count(dataset, where)
        if not expected == rows_of_dataset == after:
            raise MovingSource(f"{dataset} had {expected} rows before, {after} after, and gave {rows_of_dataset}")
        counts[dataset] = rows_of_dataset
    manifest = {
        "version": 1, "kind": kind, "day": str(day), "where": where, "datasets": counts,
        "rows": sum(counts.values()), "columns": sorted(columns), "types": types, "pages": pages,
    }  # fmt: skip
    raw.write(f"{here}/{MANIFEST}", (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode())
    return manifest


def parse(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--raw", required=True, metavar="URI", help="the raw tree: s3://BUCKET/raw/ or a local folder")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=["new", "updates"])
    parser.add_argument("--day", type=datetime.date.fromisoformat, help="one day; yesterday unless said")
    parser.add_argument("--from", dest="first", type=datetime.date.fromisoformat, help="first day of a full load")
    parser.add_argument(
        "--to", dest="last", type=datetime.date.fromisoformat, help="its last day; yesterday unless said"
    )
    parser.add_argument("--again", action="store_true", help="load days that are loaded already")
    parser.add_argument("--token-file", metavar="FILE", help=f"mode 0600; else ${TOKEN}_FILE or ${TOKEN}")
    parser.add_argument("--url", default=os.environ.get("SOCRATA_URL", "https://data.cityofnewyork.us"))
    parser.add_argument("--dataset", default="erm2-nwe9")
    parser.add_argument("--history-dataset", default="76ig-c548")
    parser.add_argument(
        "--history-before", default="2020-01-01", help="created before this day: in the history data set"
    )
    parser.add_argument("--page", type=int, default=LARGEST_PAGE)
    parser.add_argument("--backoff", type=float, default=float(os.environ.get("SOCRATA_BACKOFF", "2")))
    options = parser.parse_args(argv)
    yesterday = datetime.date.today() - datetime.timedelta(days=1)
    if options.day and (options.first or options.last):
        parser.error("--day and --from/--to exclude each other")
    if options.last and not options.first:
        parser.error("--to needs --from")
    options.first = options.first or options.day or yesterday
    options.last = options.last or options.day or yesterday
    if options.first > options.last:
        parser.error(f"{options.first} is after {options.last}")
    if not 1 <= options.page <= LARGEST_PAGE:
        parser.error(f"--page must be 1 to {LARGEST_PAGE}")
    return options


def main(argv=None):
    options = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    started, rows, loaded, kept = time.monotonic(), 0, 0, 0
    try:
        client = connect(options.url, token(options.token_file), options.backoff)
        source = Source(client, options.dataset, options.history_dataset, options.history_before, options.page)
        raw = storage.folder(options.raw)
    except (TokenError, ValueError) as error:
        log.error("error: %s", error)
        return 2
    try:
        for day in days(options.first, options.last):
            for kind in options.kinds:
                manifest, now = load_day(source, raw, kind, day, options.again)
                rows += manifest["rows"]
                loaded, kept = loaded + now, kept + (not now)
                log.info("%s %s: %d rows%s", kind, day, manifest["rows"], "" if now else ", loaded before")
    except MovingSource as error:
        log.error("error: %s; hint: it is being updated, try again later", error)
        return 3
    except (SourceError, requests.RequestException, BotoCoreError, ClientError, OSError) as error:
        log.error("error: %s", error)
        return 1
    finally:
        client.close()
    print(json.dumps({"rows": rows, "loaded": loaded, "kept": kept, "seconds": round(time.monotonic() - started, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
