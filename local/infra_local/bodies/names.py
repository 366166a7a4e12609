"""A VPC's name server, at the address that Amazon's has: the names of its own hosts, forwards and backwards.

It knows no other names. What is elsewhere is reached through the proxy, which looks names up itself.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from pathlib import Path

from infra_local.bodies.kernel import inside
from infra_local.bodies.wanted import Wanted

log = logging.getLogger("infra_local")

# Amazon's resolver answers at this address in every VPC:
# https://docs.aws.amazon.com/vpc/latest/userguide/AmazonDNS-concepts.html
RESOLVER = "169.254.169.253"

_A, _PTR, _IN = 1, 12, 1
_TTL = 5
_QUESTION_ONLY = 0x0100  # what is kept of a question's flags: that recursion was asked for
_ANSWER = 0x8480  # an answer, with authority, recursion available
_NO_SUCH_NAME, _NOT_UNDERSTOOD = 3, 1


def of(hosts: Iterable[Wanted]) -> dict[str, str]:
    """Names and addresses. Inside its VPC a host's public name stands for its private address, as on AWS."""
    found: dict[str, str] = {}
    for host in hosts:
        found[host.full_name] = host.private_ip
        found[ip_address(host.private_ip).reverse_pointer] = host.full_name
        if host.public_name:
            found[host.public_name] = host.private_ip
    return found


def answer(question: bytes, names: dict[str, str]) -> bytes | None:
    """The answer to a packet; nothing where it is no question."""
    if len(question) < 12:
        return None
    number, flags, count = struct.unpack_from(">HHH", question)
    if flags & 0x8000:
        return None
    try:
        if count != 1:
            raise ValueError("one question at a time")
        name, end = _name(question, 12)
        kind, family = struct.unpack_from(">HH", question, end)
    except (ValueError, IndexError, struct.error):
        return struct.pack(">HHHHHH", number, _ANSWER | flags & _QUESTION_ONLY | _NOT_UNDERSTOOD, 0, 0, 0, 0)
    known = names.get(name) if family == _IN else None
    data = b""
    if known and kind == _PTR and name.endswith(".arpa"):
        data = _written(known)
    elif known and kind == _A and not name.endswith(".arpa"):
        data = socket.inet_aton(known)
    # A name that is known and has nothing of this kind, such as an IPv6 address, is an empty answer.
    status = 0 if known else _NO_SUCH_NAME
    head = struct.pack(">HHHHHH", number, _ANSWER | flags & _QUESTION_ONLY | status, 1, 1 if data else 0, 0, 0)
    record = struct.pack(">HHHIH", 0xC00C, kind, _IN, _TTL, len(data)) + data if data else b""
    return head + question[12 : end + 4] + record


def _name(packet: bytes, at: int) -> tuple[str, int]:
    labels = []
    while length := packet[at]:
        if length > 63:
            raise ValueError("a question has no pointers")
        label = packet[at + 1 : at + 1 + length]
        if len(label) != length:
            raise ValueError("cut short")
        labels.append(label.decode("ascii", "replace").lower())
        at += 1 + length
    return ".".join(labels), at + 1


def _written(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class _Server(asyncio.DatagramProtocol):
    def __init__(self, names: Callable[[], dict[str, str]]) -> None:
        self.names = names

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        told = answer(data, self.names())
        if told:
            self.transport.sendto(told, addr)

    def error_received(self, exc: OSError) -> None:
        log.debug("name server: %s", exc)


async def serve(network: Path, names: Callable[[], dict[str, str]]) -> asyncio.DatagramTransport:
    """Answer within a VPC's router."""

    def bind() -> socket.socket:
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wire.setblocking(False)
        wire.bind((RESOLVER, 53))
        return wire

    wire = await asyncio.to_thread(inside, network, bind)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Server(names), sock=wire)
    return transport
