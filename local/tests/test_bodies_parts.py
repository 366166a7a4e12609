"""The hosts' parts that need neither root nor Linux."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from infra_local.bodies import egress, gateway, image, machine, metadata, names, relay, sources
from infra_local.bodies.network import ruleset
from infra_local.bodies.wanted import Metadata, Rule, Wanted

pytestmark = pytest.mark.strict_only


def host(instance: str, private: str, public: str | None, *rules: Rule) -> Wanted:
    name = f"ip-{private.replace('.', '-')}.us-west-2.compute.internal"
    outer = public and f"ec2-{public.replace('.', '-')}.us-west-2.compute.amazonaws.com"
    return Wanted(
        instance, "us-west-2", "vpc-1", ("10.0.0.0/16",), "10.0.0.0/24", private, public, name, outer, "ubuntu", "image",
        None, None, True, 0, rules,
    )  # fmt: skip


def test_rules_are_the_security_groups():
    bastion = host(
        "i-1", "10.0.0.4", "198.18.0.1",
        Rule("tcp", 22, 22, ("203.0.113.0/24", "2001:db8::/32")), Rule("tcp", 443, 443, ("0.0.0.0/0",)),
    )  # fmt: skip
    inner = host(
        "i-2", "10.0.1.4", None, Rule("-1", None, None, ("10.0.0.4/32",)), Rule("icmp", -1, -1, ("0.0.0.0/0",))
    )
    text = ruleset([bastion, inner])
    chains = {c.split(" {")[0]: c for c in text.split("  chain ")[1:]}
    lines = [line.strip() for line in chains[bastion.link].splitlines()[1:]]
    assert lines[:2] == ["ip saddr { 203.0.113.0/24 } tcp dport 22-22 accept", "tcp dport 443-443 accept"]
    assert "ip saddr { 10.0.0.4/32 } accept" in chains[inner.link] and "ip protocol icmp accept" in chains[inner.link]
    assert "policy drop" in text and "dnat to ip daddr map { 198.18.0.1 : 10.0.0.4 }" in text
    assert "10.0.1.4 :" not in text, "a private host has no address to be translated to"
    assert "{  }" not in ruleset([]) and "{  }" not in ruleset([inner])


def asked(name: str, kind: int, number: int = 7) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


def test_names_of_hosts_are_answered_and_no_others():
    known = names.of([host("i-1", "10.0.0.4", "198.18.0.1"), host("i-2", "10.0.1.4", None)])
    address, reverse, ipv6 = 1, 12, 28

    def told(name: str, kind: int) -> tuple[int, bytes]:
        question = asked(name, kind)
        answer = names.answer(question, known)
        number, flags, _, answers, _, _ = struct.unpack_from(">HHHHHH", answer)
        assert number == 7 and flags & 0x8100 == 0x8100 and answer[12 : len(question)] == question[12:]
        return flags & 15, answer[len(question) + 12 :] if answers else b""

    assert told("ip-10-0-1-4.us-west-2.compute.internal", address) == (0, bytes([10, 0, 1, 4]))
    assert told("IP-10-0-1-4.US-West-2.compute.internal", address) == (0, bytes([10, 0, 1, 4]))
    assert told("ec2-198-18-0-1.us-west-2.compute.amazonaws.com", address) == (0, bytes([10, 0, 0, 4]))
    assert told("ip-10-0-1-4.us-west-2.compute.internal", ipv6) == (0, b""), "known, with no such address"
    assert told("ip-10-0-1-5.us-west-2.compute.internal", address) == (3, b"")
    assert told("example.com", address) == (3, b"")
    status, data = told("4.1.0.10.in-addr.arpa", reverse)
    assert status == 0 and data.startswith(b"\x0bip-10-0-1-4\x09us-west-2")


@pytest.mark.parametrize("packet", [b"", b"short", asked("a", 1)[:-3], asked("a", 1)[:12] + b"\xc0\x0c\0\1\0\1"])
def test_a_broken_question_harms_nobody(packet):
    answer = names.answer(packet, {"a": "10.0.0.1"})
    assert answer is None if len(packet) < 12 else answer[3] & 15 == 1


class TestMetadata:
    """Who asks is known by the address that it asks from; without a token nothing is told."""

    KNOWN = Metadata(
        "111122223333", "us-west-2a", "t3.micro", "ami-1", "arn:aws:iam::111122223333:instance-profile/w", "work"
    )
    TTL = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}

    def service(self, **changed) -> metadata.Service:
        known = {
            one.private_ip: one
            for one in (
                replace(host("i-1", "10.0.0.4", "198.18.0.1"), metadata=replace(self.KNOWN, **changed)),
                replace(host("i-2", "10.0.1.4", None), metadata=replace(self.KNOWN, profile=None, role=None)),
            )
        }
        return metadata.Service(lambda: known)

    def token(self, service: metadata.Service, peer: str = "10.0.0.4") -> dict[str, str]:
        status, token = service.answer(peer, "PUT", "/latest/api/token", self.TTL)
        assert status == 200 and token
        return {"x-aws-ec2-metadata-token": token}

    def test_a_host_gets_the_credentials_of_its_role(self):
        service = self.service()
        token = self.token(service)
        roles = "/latest/meta-data/iam/security-credentials/"
        assert service.answer("10.0.0.4", "GET", roles, token) == (200, "work")
        status, text = service.answer("10.0.0.4", "GET", roles + "work", token)
        given = json.loads(text)
        assert (
            status == 200 and given["AccessKeyId"] == "111122223333" and given["Token"] and given["Code"] == "Success"
        )
        assert datetime.fromisoformat(given["Expiration"].replace("Z", "+00:00")) > datetime.now(timezone.utc)
        assert service.answer("10.0.0.4", "GET", "/latest/meta-data/instance-id", token) == (200, "i-1")
        assert service.answer("10.0.0.4", "GET", "/latest/meta-data/public-ipv4", token) == (200, "198.18.0.1")
        assert "iam/" in service.answer("10.0.0.4", "GET", "/latest/meta-data/", token)[1].split("\n")
        document = json.loads(service.answer("10.0.0.4", "GET", "/latest/dynamic/instance-identity/document", token)[1])
        assert (document["accountId"], document["region"]) == ("111122223333", "us-west-2")

    def test_a_host_without_a_role_gets_none(self):
        service = self.service()
        token = self.token(service, "10.0.1.4")
        assert service.answer("10.0.1.4", "GET", "/latest/meta-data/iam/security-credentials/", token)[0] == 404
        assert service.answer("10.0.1.4", "GET", "/latest/meta-data/iam/info", token)[0] == 404
        assert service.answer("10.0.1.4", "GET", "/latest/meta-data/public-ipv4", token)[0] == 404

    @pytest.mark.parametrize(
        ("peer", "method", "path", "fields", "status"),
        [
            ("10.0.0.4", "GET", "/latest/meta-data/instance-id", {}, 401),
            ("10.0.0.4", "GET", "/latest/meta-data/instance-id", {"x-aws-ec2-metadata-token": "made-up"}, 401),
            ("10.0.0.4", "GET", "/latest/api/token", TTL, 405),
            ("10.0.0.4", "PUT", "/latest/meta-data/instance-id", TTL, 405),
            ("10.0.0.4", "PUT", "/latest/api/token", {}, 400),
            ("10.0.0.4", "PUT", "/latest/api/token", {"x-aws-ec2-metadata-token-ttl-seconds": "99999"}, 400),
            ("10.0.0.4", "PUT", "/latest/api/token", {**TTL, "x-forwarded-for": "192.0.2.1"}, 403),
            ("10.0.9.9", "PUT", "/latest/api/token", TTL, 403),
        ],
    )
    def test_refused(self, peer, method, path, fields, status):
        assert self.service().answer(peer, method, path, fields)[0] == status

    def test_a_token_is_its_own_host_s_alone_and_version_1_only_where_the_instance_has_it(self):
        service = self.service()
        assert service.answer("10.0.1.4", "GET", "/latest/meta-data/instance-id", self.token(service))[0] == 401
        older = self.service(needs_token=False)
        assert older.answer("10.0.0.4", "GET", "/latest/meta-data/instance-id", {}) == (200, "i-1")
        assert (
            older.answer("10.0.0.4", "GET", "/latest/meta-data/instance-id", {"x-aws-ec2-metadata-token": "x"})[0]
            == 401
        )
        assert self.service(is_on=False).answer("10.0.0.4", "PUT", "/latest/api/token", self.TTL)[0] == 403


def test_only_debians_own_sources_are_taken_over(tmp_path, monkeypatch):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://old.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb http://ubuntu.example/ubuntu jammy main\n"
    )
    (tmp_path / "sources.list.d" / "a.sources").write_text(
        "Types: deb\nURIs: http://security.example/debian\nSuites: bookworm-security\nComponents: main\n\n"
        "Enabled: no\nTypes: deb\nURIs: http://off.example/\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\nURIs: http://other.example/\nSuites: nodistro\nComponents: main\n"
    )
    monkeypatch.setattr(sources, "_APT", tmp_path)
    text = sources.text("bookworm")
    assert [line.split()[1] for line in text.splitlines() if line.startswith("URIs:")] == [
        "http://mirror.example/debian", "http://security.example/debian",
    ]  # fmt: skip
    assert "Signed-By: /k.gpg" in text and "Architectures: amd64" in text
    assert sources.text("trixie") == ""


def test_pips_own_settings_are_taken_over(tmp_path, monkeypatch):
    for name in ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "PIP_FIND_LINKS", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://me:secret@index.example/simple\nfind-links = /here\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    text, secret = sources.pip()
    assert "index-url = https://me:secret@index.example/simple" in text and secret
    assert "find-links" not in text, "a folder of this machine is not there on a host"
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    assert sources.pip()[1] is False


def test_certificates_that_only_this_machine_trusts():
    one, two = (f"-----BEGIN CERTIFICATE-----\n{x * 64}\n-----END CERTIFICATE-----" for x in "ab")
    assert sources.more_authorities(f"# a name\n{one}\n{two}\n{two}", one.replace("\n", "\r\n")) == [two]


def test_a_gateway_answers_before_it_relays(tmp_path, monkeypatch):
    async def here(_network, address, port):
        return await asyncio.open_connection(address, port)

    monkeypatch.setattr(gateway, "dial_inside", here)

    async def echo_at_the_end(reader, writer):
        writer.write((await reader.read()).upper())  # only after the other side has ended
        writer.close()

    async def run():
        server = await asyncio.start_server(echo_at_the_end, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        place = tmp_path / "gateway.sock"
        async with await gateway.serve(place, Path("/nowhere")):
            assert place.stat().st_mode & 0o777 == 0o600
            said = {}
            for line in (f"127.0.0.1 {port}", "127.0.0.1 1", "host 22", "127.0.0.1", "127.0.0.1 99999"):
                reader, writer = await asyncio.open_unix_connection(place)
                writer.write(f"{line}\n".encode() + b"hello")
                writer.write_eof()
                said[line] = (await reader.read()).decode()
                writer.close()
        server.close()
        return port, said

    port, said = asyncio.run(run())
    assert said.pop(f"127.0.0.1 {port}") == "ok\nHELLO"
    assert said.pop("127.0.0.1 1") == "error Connection refused\n"
    assert said.pop("host 22") == "error host is not an address\n"
    assert all(answer.startswith("error ") and answer.count("\n") == 1 for answer in said.values())


def test_a_deep_project_gets_a_short_socket(tmp_path):
    assert gateway.place(tmp_path) == tmp_path / "gateway.sock"
    deep = gateway.place(tmp_path / ("d" * 100))
    assert len(str(deep)) <= 107 and deep.parent.name.startswith("infra-")
    assert gateway.place(tmp_path / ("e" * 100)) != deep


def test_packages_are_fetched_once(tmp_path):
    asked = []

    async def server(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.decode())
        whole = b"gone" not in head.split(b"\r\n")[0]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + (b"12345" if whole else b"12"))
        await writer.drain()
        writer.close()

    async def run():
        origin = await asyncio.start_server(server, "127.0.0.1", 0)
        port = origin.sockets[0].getsockname()[1]
        out = egress.Egress(Path("/nowhere"), list, port, tmp_path)
        proxy = await asyncio.start_server(out.serve, "127.0.0.1", 0)
        bodies = []
        for name in ("a.deb", "a.deb", "b.txt", "b.txt", "gone.deb", "gone.deb"):
            reader, writer = await asyncio.open_connection(*proxy.sockets[0].getsockname())
            writer.write(
                f"GET http://127.0.0.1:{port}/x/{name}?q HTTP/1.1\r\nProxy-Connection: keep-alive\r\n\r\n".encode()
            )
            bodies.append((await reader.read()).split(b"\r\n\r\n", 1)[1])
            writer.close()
        for one in (origin, proxy):
            one.close()
        return f"http://127.0.0.1:{port}/x/a.deb?q", bodies

    url, bodies = asyncio.run(run())
    assert bodies == [b"12345"] * 4 + [b"12"] * 2
    assert [a.split()[1] for a in asked] == ["/x/a.deb?q", "/x/b.txt?q", "/x/b.txt?q", "/x/gone.deb?q", "/x/gone.deb?q"]
    assert all("Proxy-" not in a and "Connection: close" in a for a in asked)
    assert [p.name for p in tmp_path.iterdir()] == [hashlib.sha256(url.encode()).hexdigest()], "nothing that is cut off"


def test_a_failure_to_connect_is_one_line():
    assert relay.reason(ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 1)")) == "Connection refused"
    assert relay.reason(asyncio.TimeoutError()) == "no answer"
    assert relay.reason(ValueError("two\nlines")) == "two lines"


def test_the_images_place_depends_on_its_recipe(monkeypatch):
    before = image.folder()
    monkeypatch.setattr(image, "_PACKAGES", (*image._PACKAGES, "cowsay"))
    assert image.folder() != before and image.folder().parent == before.parent


def test_the_python_that_hosts_have_is_this_machines_or_the_images_own(tmp_path, monkeypatch):
    for name in ("python3", "python3.9", "python3.11", "python3.11-config"):
        (tmp_path / "image/root/usr/bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "image/root/usr/bin" / name).touch()
    monkeypatch.setattr(image, "folder", lambda: tmp_path / "image")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(machine.sources, "authorities", str)
    (tmp_path / "image/root/etc/ssl/certs").mkdir(parents=True)
    (tmp_path / "image/root/etc/ssl/certs/ca-certificates.crt").touch()
    assert machine.read(5566).python is None and machine.read(5566).python_version == "3.11"
    own = tmp_path / "pyenv/versions/3.10.4"
    for path in ("bin/python3.10", "lib/python3.10/os.py"):
        (own / path).parent.mkdir(parents=True)
        (own / path).touch()
    assert machine.read(5566).python == own and machine.read(5566).python_version == "3.10"
