"""Whether hosts can have bodies on this machine. Tried out, in a child that leaves nothing behind."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from infra_local.bodies import groups, kernel

_PROGRAMS = ("ip", "mount", "sh", "tar", "unshare")


class NotPossible(Exception):
    """`code` is for programs: not-linux, not-root, no-program, or kernel."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def check(group: Path) -> None:
    """Say why not, if not."""
    if platform.system() != "Linux":
        raise NotPossible("not-linux", "hosts are Linux namespaces, and this is not Linux")
    if os.geteuid() != 0:
        raise NotPossible("not-root", "hosts need root: they are namespaces, mounts and a systemd each")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for program in _PROGRAMS:
        if not shutil.which(program):
            raise NotPossible("no-program", f"hosts need `{program}`, which is not installed here")
    refused = _try(group)
    if refused:
        raise NotPossible(
            "kernel", f"this kernel, or the container that this runs in, does not let hosts be: {refused}"
        )


def _try(group: Path) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _probe(group.with_name(f"{group.name}-probe"))
        except BaseException as error:
            os.write(writer, str(error).encode()[:2000])
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as told:
        text = told.read().decode(errors="replace")
    os.waitpid(child, 0)
    return text


def _probe(group: Path) -> None:
    kernel.private_mounts()
    base = Path("/tmp")
    kernel.mount("tmpfs", base, "tmpfs")
    for name in ("lower", "upper", "work", "root"):
        (base / name).mkdir()
    options = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
    kernel.mount("overlay", base / "root", "overlay", options=options)
    kernel.mount("cgroup2", groups.MOUNT, "cgroup2")
    group.mkdir()
    group.rmdir()
    network = base / "network"
    kernel.new_network(network)
    kernel.inside(network, lambda: kernel.run(["ip", "link", "add", "one", "type", "veth", "peer", "name", "other"]))
    kernel.unshare(kernel.CLONE_NEWPID)
