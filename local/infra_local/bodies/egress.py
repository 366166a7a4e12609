"""The hosts' way out: an HTTP proxy, as their networks have no route to the real one.

It listens inside a VPC and connects from this machine, or, for the VPC's own and for public addresses of hosts, from
inside the VPC. Debian's packages are kept in the cache folder: they never change under their name.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from infra_local.bodies.relay import Stream, dial_inside, reason, relay

PORT = 3128

_PATIENCE = 60.0
_HOP = (b"proxy-", b"connection:", b"keep-alive:")


class Egress:
    """The way out of one VPC."""

    def __init__(self, network: Path, ranges: Callable[[], list[str]], cloud: int, cache: Path) -> None:
        self.network, self.ranges, self.cloud, self.cache = network, ranges, cloud, cache

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            method, target, _version = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            if method == "CONNECT":
                await self._tunnel((reader, writer), target)
            else:
                await self._forward((reader, writer), method, target, head)
        except (
            OSError,
            ValueError,
            asyncio.TimeoutError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ) as error:
            with contextlib.suppress(OSError):
                text = f"{reason(error)}\n".encode()
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Type: text/plain\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
                await writer.drain()
        finally:
            writer.close()

    async def _tunnel(self, near: Stream, target: str) -> None:
        host, _, port = target.rpartition(":")
        host = host.strip("[]")
        upstream = None if self._is_near(host) else _upstream("https")
        far = await self._dial(*(upstream or (host, int(port))))
        if upstream:
            far[1].write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
            answer = await asyncio.wait_for(far[0].readuntil(b"\r\n\r\n"), _PATIENCE)
            if b" 200" not in answer.split(b"\r\n", 1)[0]:
                raise OSError(answer.split(b"\r\n", 1)[0].decode("latin-1"))
        near[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await relay(near, far)

    async def _forward(self, near: Stream, method: str, target: str, head: bytes) -> None:
        url = urlsplit(target)
        if url.scheme != "http" or not url.hostname:
            raise ValueError(f"{target} is not an http address")
        kept = self._kept(method, url.path, target)
        if kept and kept.exists():
            await _send_file(near[1], kept)
            return
        upstream = None if self._is_near(url.hostname) else _upstream("http")
        far = await self._dial(*(upstream or (url.hostname, url.port or 80)))
        path = target if upstream else (url.path or "/") + (f"?{url.query}" if url.query else "")
        lines = [f"{method} {path} HTTP/1.1".encode("latin-1")]
        fields = [line for line in head.split(b"\r\n")[1:] if line and not line.lower().startswith(_HOP)]
        # One request a connection: what follows may be for another server.
        far[1].write(b"\r\n".join([*lines, *fields, b"Connection: close"]) + b"\r\n\r\n")
        sender = asyncio.ensure_future(_send_body(near[0], far[1], fields))
        try:
            await _answer(far[0], near[1], kept)
        finally:
            sender.cancel()
            far[1].close()

    def _kept(self, method: str, path: str, url: str) -> Path | None:
        if method != "GET" or not path.endswith(".deb"):
            return None
        return self.cache / hashlib.sha256(url.encode()).hexdigest()

    def _is_near(self, host: str) -> bool:
        """Whether it is an address of the VPC's or of another host."""
        with contextlib.suppress(ValueError):
            address = ip_address(host)
            return any(address in ip_network(r, strict=False) for r in self.ranges())
        return False

    async def _dial(self, host: str, port: int) -> Stream:
        if self._is_near(host):
            return await dial_inside(self.network, host, port)
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1)
        # A host may use this machine's network and its local cloud, and nothing else that listens here; nor what is told
        # to this machine alone, such as the credentials of an instance that it may be itself.
        addresses = [ip_address(f[4][0].split("%")[0]) for f in found]
        own = any(a.is_loopback or a.is_link_local or a.is_unspecified for a in addresses)
        if own and port != self.cloud and (host, port) not in (_upstream("http"), _upstream("https")):
            raise PermissionError(1, f"{host} port {port} is this machine's own and not for its hosts")
        return await asyncio.wait_for(asyncio.open_connection(host, port), _PATIENCE)


def _upstream(scheme: str) -> tuple[str, int] | None:
    """The proxy that this machine itself uses."""
    name = f"{scheme}_proxy"
    given = os.environ.get(name) or os.environ.get(name.upper())
    if not given:
        return None
    url = urlsplit(given if "//" in given else f"http://{given}")
    return (url.hostname or "", url.port or 3128)


async def _send_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fields: list[bytes]) -> None:
    named = dict(f.lower().split(b":", 1) for f in fields if b":" in f)
    left = int(named.get(b"content-length", b"0"))
    if b"transfer-encoding" in named:
        left = 1 << 62
    while left and (data := await reader.read(min(left, 1 << 16))):
        writer.write(data)
        await writer.drain()
        left -= len(data)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: Path | None) -> None:
    """Pass an answer on to its end; one that is to be kept is written down beside it."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, *fields = head.split(b"\r\n")
    lines = [status] + [f for f in fields if f and not f.lower().startswith(_HOP)]
    writer.write(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n")
    length = next((int(f[15:]) for f in fields if f.lower().startswith(b"content-length:")), None)
    keep = kept if kept and length and b" 200" in status else None
    part = keep.with_suffix(f".part{os.getpid()}-{id(writer)}") if keep else None
    done = 0
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(open(part, "wb")) if part else None
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
            if out:
                out.write(data)
            done += len(data)
    if keep and part:
        part.replace(keep) if done == length else part.unlink()


async def _send_file(writer: asyncio.StreamWriter, path: Path) -> None:
    with open(path, "rb") as source:
        size = os.fstat(source.fileno()).st_size
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
        while data := source.read(1 << 18):
            writer.write(data)
            await writer.drain()
