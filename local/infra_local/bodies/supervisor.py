"""Follows the local cloud's instances and gives each that runs a host; all hosts are this process's children."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.request
from pathlib import Path

from infra_local.bodies import egress, gateway, image, kernel, machine, metadata, names, relay
from infra_local.bodies.body import Body
from infra_local.bodies.network import SERVICES, USER, Router, UserNetwork
from infra_local.bodies.places import Places
from infra_local.bodies.registry import PATIENCE
from infra_local.bodies.wanted import Wanted

log = logging.getLogger("infra_local")

_WAIT = 25.0


class Daemon:
    """The local cloud, asked over loopback."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint, self.port = endpoint, int(endpoint.rsplit(":", 1)[1])
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, path: str, told: dict | None = None) -> dict:
        data = None if told is None else json.dumps(told).encode()
        request = urllib.request.Request(
            f"{self.endpoint}/infra-local/{path}", data=data, headers={"Content-Type": "application/json"}
        )
        with self.opener.open(request, timeout=_WAIT + 10) as answer:
            return json.load(answer)


class Vpc:
    """A VPC's router, and what listens on it for the hosts."""

    def __init__(self, router: Router) -> None:
        self.router = router
        self.users: set[str] = set()  # the instances that are in it, running or not
        self.hosts: dict[str, Wanted] = {}  # those that run
        self.servers: list[asyncio.AbstractServer | asyncio.DatagramTransport] = []
        self.lock = asyncio.Lock()


class Supervisor:
    def __init__(self, places: Places, daemon: Daemon, known: dict) -> None:
        self.places, self.daemon, self.known = places, daemon, known
        self.user = UserNetwork(places.networks)
        self.machine = machine.read(self.daemon.port)
        self.vpcs: dict[tuple[str, str], Vpc] = {}
        self.numbers = 0
        self.wanted: dict[str, Wanted] = {}
        self.lives: dict[str, asyncio.Task] = {}
        self.news: dict[str, asyncio.Event] = {}
        self.bodies: dict[str, Body] = {}
        self.ready: dict[str, dict] = {}
        self.failed: dict[str, str] = {}
        self.ended: dict[str, int] = {}
        self.report_due = asyncio.Event()

    async def run(self) -> None:
        for folder in (self.places.networks, self.places.disks):
            folder.mkdir()
        self.user.open()
        held = [await gateway.serve(self.places.gateway, self.user.path)]
        # Where the user's commands run, the local cloud has the address that it has everywhere else.
        held.append(
            await relay.listen_inside(self.user.path, "127.0.0.1", self.daemon.port, relay.to(self.daemon.port))
        )
        await asyncio.gather(self._follow(), self._report())

    async def _follow(self) -> None:
        after = -1
        while True:
            try:
                answer = await asyncio.to_thread(self.daemon.ask, f"bodies?after={after}&wait={_WAIT:.0f}")
            except (OSError, ValueError) as error:
                log.warning("the local cloud does not answer: %s", error)
                await asyncio.sleep(0.2)
                continue
            after = answer["version"]
            wanted = {w.instance: w for w in map(Wanted.read, answer["bodies"])}
            if wanted != self.wanted:
                self.wanted = wanted
                self._bring_about()

    def _bring_about(self) -> None:
        for instance in [*self.wanted, *self.lives]:
            if instance in self.lives:
                self.news[instance].set()
            elif self.wanted[instance].running:
                self.news[instance] = asyncio.Event()
                self.lives[instance] = asyncio.create_task(self._live(instance))

    async def _live(self, instance: str) -> None:
        """An instance's life, from its first start until it is terminated."""
        news, boot = self.news[instance], -1
        try:
            while True:
                news.clear()
                host, body = self.wanted.get(instance), self.bodies.get(instance)
                if not host:
                    return
                if body and body.is_over:
                    again = body.asks_again
                    await self._stop(body, orderly=False)
                    log.info(
                        "%s %s", instance, "starts again, as it asked" if again else "was switched off from within"
                    )
                    if again:
                        boot = -1
                    else:
                        self.ended[instance] = boot
                        self.report_due.set()
                elif body and body.runs and (not host.running or host.boot != boot):
                    await self._stop(body, orderly=True)
                if host.running and host.boot != boot:
                    boot = host.boot
                    await self._start(host)
                elif body and body.runs:
                    await self._connect(host)
                await news.wait()
        finally:
            self.lives.pop(instance, None)
            self.news.pop(instance, None)
            await self._remove(instance)

    async def _start(self, host: Wanted) -> None:
        instance = host.instance
        try:
            vpc = await self._vpc(host)
            body = self.bodies.get(instance) or Body(host, vpc.router, self.places, self.machine)
            self.bodies[instance] = body
            await body.start(host, self.news[instance].set)
            await self._connect(host)
        except Exception as error:
            log.exception("%s cannot start", instance)
            self.failed[instance] = relay.reason(error)
            self.report_due.set()
            return
        log.info("%s starts: %s, %s", instance, host.private_ip, host.public_ip or "private")
        body.watch = asyncio.create_task(self._until_ready(body))

    async def _until_ready(self, body: Body) -> None:
        instance, began = body.host.instance, time.monotonic()
        try:
            await asyncio.wait_for(body.until_it_answers(), PATIENCE)
        except asyncio.TimeoutError:
            self.failed[instance] = "its sshd does not answer"
            log.error("%s: %s\n%s", instance, self.failed[instance], body.console()[-2000:])
        else:
            self.ready[instance] = {"boot": body.host.boot, "console": body.console()}
            log.info("%s answers after %.2f s", instance, time.monotonic() - began)
        self.report_due.set()

    async def _stop(self, body: Body, orderly: bool) -> None:
        self._is_not_ready(body)
        await body.stop(orderly)
        await self._disconnect(body.host)

    async def _remove(self, instance: str) -> None:
        body = self.bodies.pop(instance, None)
        if not body:
            return
        log.info("%s ends", instance)
        self._is_not_ready(body)
        await self._disconnect(body.host)
        await body.remove()
        key = (body.host.region, body.host.vpc)
        vpc = self.vpcs[key]
        vpc.users.discard(instance)
        if not vpc.users:
            del self.vpcs[key]
            for server in vpc.servers:
                server.close()
            await asyncio.to_thread(vpc.router.close)

    def _is_not_ready(self, body: Body) -> None:
        if body.watch:
            body.watch.cancel()
        self.ready.pop(body.host.instance, None)
        self.failed.pop(body.host.instance, None)
        self.report_due.set()

    async def _vpc(self, host: Wanted) -> Vpc:
        key = (host.region, host.vpc)
        if key not in self.vpcs:
            self.numbers += 1
            self.vpcs[key] = Vpc(Router(self.places.networks, self.numbers, self.user))
        vpc = self.vpcs[key]
        vpc.users.add(host.instance)
        async with vpc.lock:
            if not vpc.servers:
                await asyncio.to_thread(vpc.router.open)
                out = egress.Egress(vpc.router.path, lambda: self._near(vpc), self.daemon.port, _debs())
                about = metadata.Service(lambda: self._by_address(key))
                listen = relay.listen_inside
                vpc.servers = [
                    await listen(vpc.router.path, SERVICES, egress.PORT, out.serve),
                    await listen(vpc.router.path, SERVICES, self.daemon.port, relay.to(self.daemon.port)),
                    await listen(vpc.router.path, metadata.ADDRESS, metadata.PORT, about.serve),
                    await names.serve(vpc.router.path, lambda: self._names(key)),
                ]
        return vpc

    async def _connect(self, host: Wanted) -> None:
        """Bring a host's public address and rules into force."""
        vpc = self.vpcs[host.region, host.vpc]
        vpc.hosts[host.instance] = host
        await self._apply(vpc)

    async def _disconnect(self, host: Wanted) -> None:
        vpc = self.vpcs[host.region, host.vpc]
        if vpc.hosts.pop(host.instance, None):
            await self._apply(vpc)

    async def _apply(self, vpc: Vpc) -> None:
        async with vpc.lock:
            await asyncio.to_thread(vpc.router.apply, list(vpc.hosts.values()))

    def _in(self, key: tuple[str, str]) -> list[Wanted]:
        return [h for h in self.wanted.values() if (h.region, h.vpc) == key]

    def _names(self, key: tuple[str, str]) -> dict[str, str]:
        return names.of(self._in(key))

    def _by_address(self, key: tuple[str, str]) -> dict[str, Wanted]:
        return {host.private_ip: host for host in self._in(key)}

    def _near(self, vpc: Vpc) -> list[str]:
        """What is reached from inside a VPC: its own ranges, and all hosts' public addresses."""
        ranges = {r for host in vpc.hosts.values() for r in host.vpc_ranges}
        return [*ranges, *(h.public_ip for h in self.wanted.values() if h.public_ip)]

    async def _report(self) -> None:
        while True:
            self.report_due.clear()
            ended, self.ended = self.ended, {}
            told = {
                "supervisor": {
                    **self.known,
                    "gateway": str(self.places.gateway),
                    "client_address": USER,
                    "aws_endpoint": f"http://{SERVICES}:{self.daemon.port}",
                    "python": self.machine.python_version,
                },
                "ready": self.ready,
                "failed": self.failed,
                "ended": ended,
            }
            try:
                await asyncio.to_thread(self.daemon.ask, "bodies", told)
            except (OSError, ValueError) as error:
                log.warning("the local cloud takes no report: %s", error)
                self.ended = {**ended, **self.ended}
                self.report_due.set()
                await asyncio.sleep(0.2)
            await self.report_due.wait()


def _debs() -> Path:
    folder = image.cache() / "debs"
    folder.mkdir(exist_ok=True)
    return folder


def main(places: Places, endpoint: str, known: dict) -> None:
    """Run until killed. The caller has made the mount and pid namespaces that all of this lives in."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    kernel.mount("tmpfs", places.live, "tmpfs", options="mode=700")
    asyncio.run(Supervisor(places, Daemon(endpoint), known).run())
