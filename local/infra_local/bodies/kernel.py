"""What Python 3.10 lacks of the kernel's calls: namespaces and mounts, and work done inside a network namespace."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
CLONE_NEWPID = 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_Result = TypeVar("_Result")


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    result = _libc.mount(
        source.encode(), os.fsencode(target), kind.encode() or None, ctypes.c_ulong(flags), options.encode() or None
    )
    _checked(result, f"mount {kind or source} at {target}")


def unmount(target: Path) -> None:
    """Take a mount away; what still uses it keeps it until it lets go."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def private_mounts() -> None:
    """Nothing that this process mounts from now on is seen by any other."""
    unshare(CLONE_NEWNS)
    mount("none", Path("/"), flags=MS_REC | MS_PRIVATE)


def _in_thread(do: Callable[[], _Result]) -> _Result:
    """Run in a thread that ends afterwards: namespaces belong to threads, and so no other one notices."""
    outcome: list = []

    def run() -> None:
        try:
            outcome.append((do(), None))
        except BaseException as error:  # handed to the caller's thread
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error:
        raise error
    return result


def new_network(name: Path) -> None:
    """Make a network namespace that `name`, a file, holds."""

    def make() -> None:
        unshare(CLONE_NEWNET)
        name.touch()
        mount("/proc/thread-self/ns/net", name, flags=MS_BIND)

    _in_thread(make)


def inside(network: Path, do: Callable[[], _Result]) -> _Result:
    """Do something in a network namespace; sockets and processes made there stay there."""

    def enter() -> _Result:
        held = os.open(network, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _checked(_libc.setns(held, CLONE_NEWNET), f"setns {network}")
        finally:
            os.close(held)
        return do()

    return _in_thread(enter)


def run(command: list[str], text: str = "") -> str:
    """Run a program to its end; its output, or an error with what it said."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise OSError(f"{Path(command[0]).name} failed with {done.returncode}: {said}")
    return done.stdout
