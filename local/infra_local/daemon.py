"""The daemon's life: started in the background, found again, and ended, by nobody but itself.

DIR/daemon.json names the process and when it began; a pid alone may by now be another program's.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

from infra_local import __version__

_FILE = "daemon.json"
_LOG = "daemon.log"


class DaemonError(Exception):
    """A daemon that cannot be started or ended, with the reason for the user."""


def prepare_home(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)


def process_began(pid: int) -> str | None:
    """When a process began, in kernel ticks: with the pid it names one process for good."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _began_by_ps(pid)
    fields = text.rsplit(")", 1)[1].split()
    return None if fields[0] in "ZX" else fields[19]


def _began_by_ps(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return None
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def find(home: Path) -> dict | None:
    """The running daemon of this directory, or nothing; a stale file is nothing."""
    try:
        known = json.loads((home / _FILE).read_text())
        if process_began(int(known["pid"])) == known["began"]:
            return known
    except (OSError, ValueError, KeyError):
        pass
    return None


def ask(known: dict, path: str, given: dict | None = None, timeout: float = 10.0) -> dict:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(
        f"{known['endpoint']}/infra-local/{path}",
        data=None if given is None else json.dumps(given).encode(),
        headers={"Content-Type": "application/json"},
    )
    with opener.open(request, timeout=timeout) as answer:
        return json.load(answer)


def up(home: Path, serve_arguments: list[str], wait: float = 60.0) -> tuple[dict, bool]:
    """Start the daemon and return when it answers; (what is known of it, whether it was up already)."""
    prepare_home(home)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `up` at once start one
        known = find(home)
        if known:
            return known, True
        (home / _FILE).unlink(missing_ok=True)
        with open(home / _LOG, "ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "infra_local", "serve", "--home", str(home), *serve_arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env={**os.environ, "PYTHONPATH": python_path()},
                close_fds=True,
            )
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise DaemonError(f"the local cloud ended at once (exit {child.returncode}):\n{log_tail(home)}")
            known = find(home)
            if known and known["pid"] == child.pid:
                return known, False
            time.sleep(0.02)
        child.terminate()
        raise DaemonError(f"the local cloud did not answer within {wait:.0f} s:\n{log_tail(home)}")


def python_path() -> str:
    """Where a child finds this package."""
    here = str(Path(__file__).resolve().parent.parent)
    given = os.environ.get("PYTHONPATH")
    return f"{here}{os.pathsep}{given}" if given else here


def down(home: Path, wait: float = 30.0) -> bool:
    """End the daemon of this directory after it has saved its state; False if none runs."""
    known = find(home)
    if not known:
        (home / _FILE).unlink(missing_ok=True)
        return False
    pid = int(known["pid"])
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        if process_began(pid) != known["began"]:
            (home / _FILE).unlink(missing_ok=True)
            return True
        time.sleep(0.02)
    raise DaemonError(f"process {pid} did not end within {wait:.0f} s")


def log_tail(home: Path, lines: int = 40) -> str:
    try:
        return "\n".join((home / _LOG).read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def serve(home: Path | None, port: int, memory: bool, spark=None) -> int:
    """Run in the foreground until SIGTERM or SIGINT, then save, unless everything is kept in memory.

    `home` is where daemon.json says how to reach it, with `memory` as without.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    from infra_local.cloud import Cloud
    from infra_local.server import Server
    from infra_local.settings import settings

    if home:
        prepare_home(home)
    cloud = Cloud(None if memory else home)
    try:
        server = Server(port, cloud)
    except OSError as error:
        print(f"cannot listen on 127.0.0.1:{port}: {error.strerror}", file=sys.stderr)
        return 1
    port = server.server_port
    os.environ["MOTO_PORT"] = str(port)
    cloud.endpoint = f"http://127.0.0.1:{port}"
    if spark:
        cloud.run_steps(spark)
    known = {
        "endpoint": cloud.endpoint,
        "port": port,
        "pid": os.getpid(),
        "began": process_began(os.getpid()),
        "version": __version__,
        "stock": settings.stock,
    }
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    threading.Thread(target=cloud.tick, daemon=True).start()
    if home:
        part = home / (_FILE + ".part")
        part.write_text(json.dumps(known))
        part.replace(home / _FILE)
    stop.wait()
    cloud.stopping.set()
    server.shutdown()
    cloud.end_steps()
    cloud.save()
    (home / _FILE).unlink(missing_ok=True)
    return 0
