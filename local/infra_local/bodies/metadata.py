"""A VPC's metadata service, at the address that Amazon's has: who a host is, and the credentials of its role.

A host is told apart by the address that it asks from, as on AWS. Version 2, with its tokens; version 1 too where the
instance has it. Source: "Use the Instance Metadata Service to access instance metadata" in the EC2 user guide.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from http import HTTPStatus

from infra_local.bodies.wanted import Wanted

log = logging.getLogger("infra_local")

ADDRESS = "169.254.169.254"
PORT = 80

_PATIENCE = 10.0
_LONGEST = 6 * 60 * 60  # of a token's life, and of credentials'
_MOST_TOKENS = 4096
_ROLES = "meta-data/iam/security-credentials/"


class Refused(Exception):
    """What is answered instead: a status of HTTP."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Service:
    """The metadata service of one VPC."""

    def __init__(self, hosts: Callable[[], dict[str, Wanted]]) -> None:
        self.hosts = hosts  # by the private address
        self.tokens: dict[str, tuple[str, float]] = {}  # whose it is, and until when

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE)
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            method, path, _version = first.split(" ", 2)
            fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            status, text = self.answer(writer.get_extra_info("peername")[0], method, path.partition("?")[0], fields)
            kind = "application/json" if text.startswith("{") else "text/plain"
            answer = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\nConnection: close\r\n"
            writer.write(f"{answer}Content-Length: {len(text.encode())}\r\n\r\n{text}".encode())
            await writer.drain()
        except (
            OSError,
            ValueError,
            asyncio.TimeoutError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ) as error:
            log.debug("metadata: %s", error)
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    def answer(self, peer: str, method: str, path: str, fields: dict[str, str]) -> tuple[HTTPStatus, str]:
        """The status and the text of an answer to whoever asks from that address."""
        try:
            return HTTPStatus.OK, self._answer(peer, method, path, fields)
        except Refused as refused:
            return refused.status, f"{refused.status.phrase}\n"

    def _answer(self, peer: str, method: str, path: str, fields: dict[str, str]) -> str:
        host = self.hosts().get(peer)
        if not host or not host.metadata or not host.metadata.is_on:
            raise Refused(HTTPStatus.FORBIDDEN)
        version, _, rest = path.lstrip("/").partition("/")
        if version != "latest":
            raise Refused(HTTPStatus.NOT_FOUND)
        if rest == "api/token":
            if method != "PUT":
                raise Refused(HTTPStatus.METHOD_NOT_ALLOWED)
            return self._token(host, fields)
        if method != "GET":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED)
        token = fields.get("x-aws-ec2-metadata-token")
        if token is None and host.metadata.needs_token:
            raise Refused(HTTPStatus.UNAUTHORIZED)
        if token is not None and not self._holds(host, token):
            raise Refused(HTTPStatus.UNAUTHORIZED)
        found = told(host)
        if rest in found:
            return found[rest]
        below = rest if rest.endswith("/") or not rest else f"{rest}/"
        names = {name[len(below) :] for name in found if name.startswith(below)}
        if not names:
            raise Refused(HTTPStatus.NOT_FOUND)
        return "\n".join(sorted({f"{name.split('/')[0]}/" if "/" in name else name for name in names}))

    def _token(self, host: Wanted, fields: dict[str, str]) -> str:
        # A proxy that is open to others would pass on their requests too.
        if "x-forwarded-for" in fields:
            raise Refused(HTTPStatus.FORBIDDEN)
        seconds = fields.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if not seconds.isdecimal() or not 1 <= int(seconds) <= _LONGEST:
            raise Refused(HTTPStatus.BAD_REQUEST)
        now = time.monotonic()
        self.tokens = {name: one for name, one in self.tokens.items() if one[1] > now}
        while len(self.tokens) >= _MOST_TOKENS:
            del self.tokens[next(iter(self.tokens))]
        token = secrets.token_urlsafe(40)
        self.tokens[token] = (host.instance, now + int(seconds))
        return token

    def _holds(self, host: Wanted, token: str) -> bool:
        whose, until = self.tokens.get(token, ("", 0.0))
        return whose == host.instance and until > time.monotonic()


def told(host: Wanted) -> dict[str, str]:
    """Everything that a host is told of itself, by its path below /latest/."""
    known = host.metadata
    assert known, "asked for a host that has metadata"
    found = {
        "meta-data/ami-id": known.image,
        "meta-data/hostname": host.full_name,
        "meta-data/instance-id": host.instance,
        "meta-data/instance-type": known.type,
        "meta-data/local-hostname": host.full_name,
        "meta-data/local-ipv4": host.private_ip,
        "meta-data/placement/availability-zone": known.zone,
        "meta-data/placement/region": host.region,
        "dynamic/instance-identity/document": json.dumps(
            {
                "accountId": known.account,
                "availabilityZone": known.zone,
                "imageId": known.image,
                "instanceId": host.instance,
                "instanceType": known.type,
                "privateIp": host.private_ip,
                "region": host.region,
                "version": "2017-09-30",
            },
            indent=1,
        ),
    }
    if host.public_ip:
        found |= {"meta-data/public-ipv4": host.public_ip, "meta-data/public-hostname": host.public_name or ""}
    if known.profile:
        now = datetime.now(timezone.utc)
        form, good = "%Y-%m-%dT%H:%M:%SZ", "Success"
        found["meta-data/iam/info"] = json.dumps(
            {"Code": good, "LastUpdated": now.strftime(form), "InstanceProfileArn": known.profile}, indent=1
        )
        if known.role:
            # The local cloud asks nobody what they may do: a key is the account that it names.
            found[_ROLES + known.role] = json.dumps(
                {
                    "Code": good,
                    "LastUpdated": now.strftime(form),
                    "Type": "AWS-HMAC",
                    "AccessKeyId": known.account,
                    "SecretAccessKey": "local",
                    "Token": f"local-{host.instance}",
                    "Expiration": (now + timedelta(seconds=_LONGEST)).strftime(form),
                },
                indent=1,
            )
    return found
