"""Bytes between two connections, until both sides have said that they are done."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from ipaddress import ip_address
from pathlib import Path

from infra_local.bodies.kernel import inside

_CHUNK = 1 << 16
_PATIENCE = 30.0

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def relay(one: Stream, other: Stream) -> None:
    """Pass everything on, both ways, and each side's end on its own. There is no limit to how long nothing comes."""
    try:
        await asyncio.gather(_pass(one[0], other[1]), _pass(other[0], one[1]))
    finally:
        for writer in (one[1], other[1]):
            writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (ConnectionError, TimeoutError):
        # One direction broke: the other one has nobody to talk to any more.
        writer.transport.abort()


def socket_inside(network: Path, address: str) -> socket.socket:
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    return inside(network, lambda: socket.socket(family, socket.SOCK_STREAM))


async def dial_inside(network: Path, address: str, port: int) -> Stream:
    """Connect from within a network namespace."""
    loop = asyncio.get_running_loop()
    wire = await asyncio.to_thread(socket_inside, network, address)
    try:
        wire.setblocking(False)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.wait_for(loop.sock_connect(wire, (address, port)), _PATIENCE)
        return await asyncio.open_connection(sock=wire)
    except BaseException:
        wire.close()
        raise


async def listen_inside(network: Path, address: str, port: int, serve) -> asyncio.AbstractServer:
    """Listen within a network namespace, and serve from without."""

    def bind() -> socket.socket:
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wire.bind((address, port))
        return wire

    wire = await asyncio.to_thread(inside, network, bind)
    return await asyncio.start_server(serve, sock=wire, backlog=256)


def reason(error: BaseException) -> str:
    """Why a connection failed, in one line."""
    number = getattr(error, "errno", None)
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)) and not number:
        return "no answer"
    # asyncio puts words of its own in the place of the system's.
    words = os.strerror(number) if isinstance(error, ConnectionError) and number else getattr(error, "strerror", None)
    return (words or str(error) or type(error).__name__).replace("\n", " ")


def to(port: int):
    """A handler that passes each connection on to a port of this machine."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            await relay((reader, writer), far)

    return serve
