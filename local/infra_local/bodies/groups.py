"""Control groups: each host's processes in one of their own, so that they can be told apart and ended together."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from infra_local.bodies import kernel

MOUNT = Path("/sys/fs/cgroup")


def make(group: Path) -> None:
    group.mkdir(parents=True, exist_ok=True)


def end(group: Path, patience: float = 10.0) -> None:
    """End all processes below a group, and remove it."""
    deadline = time.monotonic() + patience
    while group.exists():
        for folder in sorted([group, *(p for p in group.rglob("*") if p.is_dir())], reverse=True):
            with contextlib.suppress(OSError):
                for pid in (folder / "cgroup.procs").read_text().split():
                    # A process of another pid namespace shows as 0.
                    if int(pid) > 0:
                        os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(OSError):
                folder.rmdir()
        if time.monotonic() > deadline:
            raise OSError(f"{group} cannot be emptied")
        if group.exists():
            time.sleep(0.01)


def sweep_here(group: Path) -> None:
    """Remove what a project's hosts left of their groups; called when none of their processes is left.

    The machine's own mount may be another version's: this process gets one that nobody else sees.
    """
    kernel.private_mounts()
    kernel.mount("cgroup2", MOUNT, "cgroup2")
    end(group)


def sweep(group: Path) -> None:
    """The same in a child, by a process that goes on."""
    child = os.fork()
    if child == 0:
        try:
            sweep_here(group)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
