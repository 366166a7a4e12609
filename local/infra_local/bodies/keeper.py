"""Starts the hosts, ends them, and leaves nothing behind, whichever process of theirs is killed.

    keeper ── init (pid 1 of a pid namespace) ── supervisor ── hosts

When init ends, the kernel ends all below it and takes the mounts and networks away. The control groups are left: whoever
of the keeper and init remains removes them. The keeper ends with the daemon, and the hosts with the keeper.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from infra_local import daemon
from infra_local.bodies import groups, image, kernel, possible
from infra_local.bodies.places import Places

_START = 30.0


class HostsError(daemon.DaemonError):
    """Hosts that cannot be started, with a word for programs."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def prepare(home: Path, say: Callable[[str], None]) -> None:
    """What must be there before hosts can be; changes nothing where they cannot."""
    places = Places(home)
    try:
        possible.check(places.group)
        image.build(say)
    except possible.NotPossible as error:
        raise HostsError(error.code, str(error)) from None
    except image.ImageError as error:
        raise HostsError("no-image", str(error)) from None


def find(home: Path) -> dict | None:
    """The processes that run this project's hosts, if they do."""
    try:
        known = json.loads(Places(home).record.read_text())
        if daemon.process_began(known["pid"]) == known["began"]:
            return known
    except (OSError, ValueError, KeyError):
        pass
    return None


def up(home: Path, cloud: dict) -> dict:
    """Start the hosts of a daemon that runs; returns when all that there should be answer, with what is known."""
    places = Places(home)
    with open(places.lock, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not find(home):
            _end(places)
            with open(places.log, "ab") as log:
                child = subprocess.Popen(
                    [sys.executable, "-m", "infra_local", "hosts", "--home", str(home)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                    env={**os.environ, "PYTHONPATH": daemon.python_path()},
                )  # fmt: skip
            _wait(lambda: daemon.ask(cloud, "status")["hosts"], child, places)
    return _answering(cloud)


def _wait(look: Callable[[], object], child: subprocess.Popen, places: Places) -> None:
    deadline = time.monotonic() + _START
    while not look():
        if child.poll() is not None or time.monotonic() > deadline:
            if child.poll() is None:
                child.terminate()
            said = "\n".join(places.log.read_text(errors="replace").splitlines()[-20:])
            raise HostsError("no-start", f"the hosts do not come up:\n{said}")
        time.sleep(0.02)


def _answering(cloud: dict) -> dict:
    """Wait until each host that there should be answers, or is known not to."""
    while True:
        hosts = daemon.ask(cloud, "status")["hosts"]
        if not hosts or not hosts["starting"]:
            return hosts or {}
        time.sleep(0.03)


def down(home: Path) -> bool:
    """End the hosts; whether there were any."""
    places = Places(home)
    if not places.record.exists():
        return False
    with open(places.lock, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = find(home)
        if known:
            with contextlib.suppress(ProcessLookupError):
                os.kill(known["pid"], signal.SIGTERM)
            while daemon.process_began(known["pid"]) == known["began"]:
                time.sleep(0.01)
        _end(places)
    places.lock.unlink(missing_ok=True)
    return bool(known)


def _end(places: Places, sweep: Callable[[Path], None] = groups.sweep) -> None:
    """Remove what is left when no process is."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        # A keeper that was killed: its init is about to go, and is waited for.
        known = json.loads(places.record.read_text())
        deadline = time.monotonic() + 10
        while daemon.process_began(known["init"]) == known["init_began"] and time.monotonic() < deadline:
            time.sleep(0.01)
    places.record.unlink(missing_ok=True)
    places.gateway.unlink(missing_ok=True)
    if places.gateway.parent != places.home:
        with contextlib.suppress(OSError):
            places.gateway.parent.rmdir()
    with contextlib.suppress(OSError):
        places.live.rmdir()
    if os.geteuid() == 0:
        sweep(places.group)


def serve(home: Path) -> int:
    """Be the keeper: start the hosts' namespaces, wait for an end, clean up."""
    places = Places(home)
    cloud = daemon.find(home)
    if not cloud:
        print("the local cloud does not run", file=sys.stderr)
        return 1
    stop, stopped = os.pipe()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: os.write(stopped, b"x"))
    places.live.mkdir(mode=0o700, exist_ok=True)
    places.keys.mkdir(mode=0o700, exist_ok=True)
    me = os.pidfd_open(os.getpid())
    told, tell = os.pipe()
    # Children of this process are born in the new pid namespace; it stays outside.
    kernel.unshare(kernel.CLONE_NEWPID)
    init = os.fork()
    if init == 0:
        os.close(tell)
        _init(places, cloud["endpoint"], me, told)
    os.close(told)
    known = {
        "pid": os.getpid(),
        "began": daemon.process_began(os.getpid()),
        "init": init,
        "init_began": daemon.process_began(init),
        "client_network": f"/proc/{init}/root{places.networks}/user",
    }
    part = places.record.with_suffix(".part")
    part.write_text(json.dumps(known))
    part.replace(places.record)
    os.write(tell, json.dumps(known).encode())
    os.close(tell)
    ended = os.pidfd_open(init)
    select.select([stop, ended, os.pidfd_open(cloud["pid"])], [], [])
    with contextlib.suppress(ProcessLookupError):
        os.kill(init, signal.SIGKILL)
    os.waitpid(init, 0)
    # Its namespace is over: this process can start no other, and cleans up by itself.
    _end(places, groups.sweep_here)
    with contextlib.suppress(OSError):
        daemon.ask(cloud, "bodies", {"down": True}, timeout=2)
    return 0


def _init(places: Places, endpoint: str, keeper: int, told: int) -> None:
    """Be pid 1: make the namespace's mounts, start the supervisor, bury orphans, and clean up at the end."""
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        kernel.private_mounts()
        kernel.mount("proc", Path("/proc"), "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
        kernel.mount("cgroup2", groups.MOUNT, "cgroup2")
        known = json.loads(os.read(told, 1 << 16))
        supervisor = os.fork()
        if supervisor == 0:
            _supervise(places, endpoint, known)
        _watch(keeper, supervisor)
        with contextlib.suppress(OSError):
            os.kill(-1, signal.SIGKILL)
        with contextlib.suppress(OSError):
            groups.end(places.group)
    finally:
        os._exit(1)


def _supervise(places: Places, endpoint: str, known: dict) -> None:
    try:
        from infra_local.bodies import supervisor

        supervisor.main(places, endpoint, known)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _watch(keeper: int, supervisor: int) -> None:
    """Reap what was orphaned, until the keeper or the supervisor is gone."""
    poll = select.poll()
    poll.register(keeper, select.POLLIN)
    poll.register(os.pidfd_open(supervisor), select.POLLIN)
    while not poll.poll(500):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid != supervisor:
            os.waitpid(found.si_pid, 0)
