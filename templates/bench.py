"""How fast the pipelines' jobs are on this machine, and how much memory they take: `bench.py [vendas] [nyc311]`.

Vendas' totals are checked against DuckDB's, NYC 311's rows against the manifests: a benchmark of a wrong result ends
with 1. Each job runs as a process of its own with local Spark; memory is the peak of the whole process tree.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "tests"), str(HERE / "nyc311"), str(HERE / "vendas")]


def resident(process: int) -> int:
    """Bytes that the process and its children have in memory."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # Java starts its children from other threads, but has none here that matters.
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(resident(int(child)) for child in children)


def measured(*command: object) -> tuple[dict, float, int]:
    """Runs a command: the JSON of its last line, its seconds, its peak memory."""
    started, peak = time.monotonic(), 0
    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        )
        said = []
        reader = threading.Thread(target=lambda: said.extend(child.stdout))
        reader.start()
        while child.poll() is None:
            peak = max(peak, resident(child.pid))
            time.sleep(0.05)
        reader.join()
        if child.returncode:
            errors.seek(0)
            sys.exit(f"{command} ended with {child.returncode}\n{errors.read()[-3000:]}{''.join(said[-3:])}")
    return json.loads(said[-1]), time.monotonic() - started, peak


def submit(options, job: Path, *arguments: object) -> tuple[dict, float, int]:
    """Runs a job with local Spark."""
    import pyspark

    command = [Path(pyspark.__file__).parent / "bin/spark-submit", "--master", options.master]
    command += [
        "--driver-memory",
        options.memory,
        "--conf",
        "spark.ui.enabled=false",
        "--conf",
        "spark.driver.host=127.0.0.1",
    ]
    command += ["--conf", "spark.sql.shuffle.partitions=8", "--conf", "spark.ui.showConsoleProgress=false"]
    if job.parent.name == "nyc311":
        command += ["--py-files", ",".join(str(job.with_name(f"{name}.py")) for name in ("lake", "columns"))]
    return measured(*command, job, *arguments)


def row(what: str, rows: int, seconds: float, peak: int) -> None:
    print(f"{what:<26}{rows:>12,}{seconds:>10.1f} s{rows / seconds:>12,.0f}/s{peak / 2**20:>9,.0f} MiB", flush=True)


def vendas(options, base: Path) -> bool:
    """The generator and the job; whether the totals are DuckDB's."""
    from test_vendas import by_duckdb

    rows = options.sales
    made, seconds, peak = measured(
        sys.executable, HERE / "vendas/generate.py", "--bronze", base / "bronze", "--sales", rows
    )
    row("vendas generate", made["sales"], seconds, peak)
    places = ["--bronze", (base / "bronze").as_uri(), "--gold", (base / "gold").as_uri()]
    summary, seconds, peak = submit(options, HERE / "vendas/processa_spark_vendas.py", *places)
    row("vendas processa", summary["in"], seconds, peak)
    started = time.monotonic()
    found = by_duckdb(base)
    row("  the same by DuckDB", found[0], time.monotonic() - started, 0)
    totals = (summary["out"], summary["quantity"], summary["value"], summary["commission"])
    same = totals == (found[0], found[1], str(found[2]), str(found[3])) and found[0] == rows
    print(f"  totals {'are' if same else 'ARE NOT'} DuckDB's: {totals}" + ("" if same else f" and {found}"))
    return same


def nyc311(options, base: Path) -> bool:
    """A history of days through the three jobs; whether every row is accounted for."""
    import made_requests
    from conftest import Lake

    lake, days = Lake(None, base), max(1, options.requests // options.a_day)
    last = made_requests.datetime.date(2020, 1, 1) + made_requests.datetime.timedelta(days - 1)
    rows = 0
    for number in range(days):
        day = str(made_requests.datetime.date(2020, 1, 1) + made_requests.datetime.timedelta(number))
        first_key = 45_000_000 + number * options.a_day
        requests = made_requests.requests(day, 1, options.a_day, seed=number, first_key=first_key)
        lake.put("new", day, requests)
        rows += len(requests)
    span, jobs = ["--from", "2020-01-01", "--to", str(last)], HERE / "nyc311"
    trees = {name: [f"--{name}", lake.uri(name)] for name in ("raw", "preprocessed", "cleaned", "runs")}
    profile = ["--profile", lake.uri("runs/profile.json")]
    summary, seconds, peak = submit(
        options, jobs / "preprocess.py", *trees["raw"], *trees["preprocessed"], *trees["runs"], "--kinds", "new", *span
    )
    row("nyc311 preprocess", summary["in"], seconds, peak)
    summary, seconds, peak = submit(options, jobs / "profile_columns.py", *trees["preprocessed"], *profile, *span)
    row("nyc311 profile", summary["rows"], seconds, peak)
    arguments = [*trees["preprocessed"], *trees["cleaned"], *trees["runs"], *profile, "--kinds", "new", *span]
    summary, seconds, peak = submit(options, jobs / "clean.py", *arguments)
    row("nyc311 clean", summary["in"], seconds, peak)
    same = summary["in"] == rows == summary["out"] + summary["duplicates"] + summary["rejected"]
    parts = [summary[part] for part in ("out", "duplicates", "rejected")]
    print(f"  {rows:,} rows {'are' if same else 'ARE NOT'} accounted for: out, duplicates, rejected = {parts}")
    return same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["vendas", "nyc311"])
    parser.add_argument("--sales", type=int, default=15_000_000)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--a-day", type=int, default=10_000, help="requests a day: as many as there really are")
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--memory", default="3g", help="of Spark's one process")
    options = parser.parse_args()
    good = True
    for name in options.what:
        with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
            good &= {"vendas": vendas, "nyc311": nyc311}[name](options, Path(folder))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
