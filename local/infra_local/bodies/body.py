"""One instance's host: its disk, its cable and the systemd-nspawn that runs it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from infra_local.bodies import groups, identity, image, pages
from infra_local.bodies.disk import Disk
from infra_local.bodies.machine import PYTHON_PLACE, Machine
from infra_local.bodies.network import Router
from infra_local.bodies.places import Places
from infra_local.bodies.relay import dial_inside
from infra_local.bodies.wanted import Wanted

# What systemd-nspawn ends with when its host asks to be started again.
_RESTART = 133
_ORDERLY = 10.0
_LOOK = 0.02
# As long as EC2 keeps of a console.
_CONSOLE = 64 << 10
# /run is nspawn's own: it leaves locks there that the machine should not see.
_START = 'mount -t tmpfs -o mode=755 tmpfs /run && echo $$ >"$1/cgroup.procs" && shift && exec "$@"'


class Body:
    """A host that runs, once started."""

    def __init__(self, host: Wanted, router: Router, places: Places, machine: Machine) -> None:
        self.host, self.router, self.machine, self.keys = host, router, machine, places.keys
        self.disk = Disk(places.disks / host.instance)
        self.log = places.disks / f"{host.instance}.log"
        self.group = places.group / host.instance
        self.process: asyncio.subprocess.Process | None = None
        self.identity: identity.Identity | None = None
        self.answers = False
        self.asks_again = False  # it ended, and is to be started again
        self.watch: asyncio.Task | None = None

    @property
    def runs(self) -> bool:
        return self.process is not None

    @property
    def is_over(self) -> bool:
        """Whether it ended by itself."""
        return self.process is not None and self.process.returncode is not None

    async def start(self, host: Wanted, when_over: Callable[[], None]) -> None:
        """Start the host, and return while it boots; tell when it ends."""
        self.host, self.asks_again = host, False
        await asyncio.to_thread(self._prepare)
        command = [*image.tool("systemd-nspawn"), *self._options()]
        environment = {"PATH": os.environ["PATH"], "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network", "LC_ALL": "C.UTF-8"}
        with open(self.log, "wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                "unshare", "--mount", "--propagation", "unchanged", "sh", "-c", _START, "sh", self.group, *command,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            )  # fmt: skip
        self.end = asyncio.create_task(self._until_over(self.process, when_over))

    async def _until_over(self, process: asyncio.subprocess.Process, tell: Callable[[], None]) -> None:
        self.asks_again = await process.wait() == _RESTART
        tell()

    def _prepare(self) -> None:
        self.router.plug(self.host)
        self.disk.attach()
        self.identity = identity.of(self.host.instance, self.keys)
        if self.disk.is_new:
            self.disk.furnish(self.host, self.identity, self.machine)
        pages.furnish(self.disk, self.host)
        groups.make(self.group)

    def _options(self) -> list[str]:
        host = self.host
        options = [
            "--quiet", "--keep-unit", "--register=no", "--settings=no", "--link-journal=no", "--resolv-conf=off",
            "--timezone=off", "--console=pipe", "--boot", f"--machine={host.hostname}", f"--directory={self.disk.root}",
            f"--network-namespace-path={self.router.base / host.instance}",
            # What docker needs on top.
            "--capability=CAP_NET_ADMIN", "--system-call-filter=@keyring", "--system-call-filter=bpf",
            "--tmpfs=/var/lib/docker:mode=711",
        ]  # fmt: skip
        pip = image.cache() / "pip"
        pip.mkdir(exist_ok=True)
        options.append(f"--bind={_escaped(pip)}:/root/.cache/pip")
        if self.machine.python:
            options.append(f"--bind-ro={_escaped(self.machine.python)}:{PYTHON_PLACE}")
        for here, there in pages.binds(host.node) if host.node else []:
            options.append(f"--bind-ro={_escaped(here)}:{there}")
        return options

    async def until_it_answers(self) -> None:
        """Wait for sshd; forever, as the caller knows for how long."""
        while not self.answers:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                reader, writer = await dial_inside(self.router.path, self.host.private_ip, 22)
                try:
                    self.answers = (await asyncio.wait_for(reader.read(8), 5)).startswith(b"SSH-2.0")
                finally:
                    writer.close()
            if not self.answers:
                await asyncio.sleep(_LOOK)

    def console(self) -> str:
        """What it wrote while it booted, and its keys, as cloud-init writes them."""
        written = self.log.read_bytes()[-_CONSOLE // 2 :].decode(errors="replace")
        return written + identity.console(self.identity, self.host.hostname) if self.identity else written

    async def stop(self, orderly: bool) -> None:
        """Switch it off. Its disk stays."""
        process, self.process, self.answers = self.process, None, False
        if process and process.returncode is None and orderly:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), _ORDERLY)
        await asyncio.to_thread(groups.end, self.group)
        if process:
            await process.wait()
        await asyncio.to_thread(self._put_away)

    def _put_away(self) -> None:
        self.disk.detach()
        self.router.unplug(self.host)

    async def remove(self) -> None:
        """Its instance is terminated: nothing of it stays."""
        await self.stop(orderly=False)
        await asyncio.to_thread(self.disk.remove)
        self.log.unlink(missing_ok=True)
        identity.forget(self.host.instance, self.keys)


def _escaped(path: Path | str) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:")
