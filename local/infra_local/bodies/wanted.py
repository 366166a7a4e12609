"""What the daemon and the supervisor tell each other: the hosts that there should be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields


@dataclass(frozen=True)
class Rule:
    """One way in that a security group leaves open."""

    protocol: str  # tcp, udp, icmp, or -1 for all of them
    first: int | None
    last: int | None
    sources: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """What Spark's history server on a master needs of this machine."""

    spark: str
    java: tuple[str, ...]  # Java's home, and the other folders that it needs
    events: str


@dataclass(frozen=True)
class Node:
    """What a host is in an EMR cluster."""

    cluster: str
    role: str  # MASTER, CORE or TASK
    release: int
    applications: tuple[str, ...]
    port: int  # the local cloud's
    history: History | None = None

    @classmethod
    def read(cls, told: dict | None) -> Node | None:
        if not told:
            return None
        known = {**told, "applications": tuple(told["applications"])}
        history = told.get("history")
        known["history"] = History(history["spark"], tuple(history["java"]), history["events"]) if history else None
        return cls(**known)


@dataclass(frozen=True)
class Metadata:
    """What the metadata service tells a host of itself, beside what its network knows."""

    account: str
    zone: str
    type: str
    image: str
    profile: str | None  # the instance profile's ARN
    role: str | None  # the name of the role in it
    is_on: bool = True
    needs_token: bool = True


@dataclass(frozen=True)
class Wanted:
    """An instance as its host sees it."""

    instance: str
    region: str
    vpc: str
    vpc_ranges: tuple[str, ...]
    subnet_range: str
    private_ip: str
    public_ip: str | None
    full_name: str  # its private name, which its VPC's name server knows
    public_name: str | None
    login: str
    image: str
    authorized_key: str | None
    user_data: str | None  # as it was given: base64
    running: bool  # or stopped, with its disk kept
    boot: int  # counts starts and reboots: a host whose number is another one is started again
    rules: tuple[Rule, ...] = field(default=())
    node: Node | None = None
    metadata: Metadata | None = None

    @classmethod
    def read(cls, told: dict) -> Wanted:
        known = {f.name: told.get(f.name) for f in fields(cls)}
        known["vpc_ranges"] = tuple(told["vpc_ranges"])
        known["rules"] = tuple(
            Rule(r["protocol"], r["first"], r["last"], tuple(r["sources"])) for r in told.get("rules", ())
        )
        known["node"] = Node.read(told.get("node"))
        known["metadata"] = Metadata(**told["metadata"]) if told.get("metadata") else None
        return cls(**known)

    @property
    def hostname(self) -> str:
        return "ip-" + self.private_ip.replace(".", "-")

    @property
    def link(self) -> str:
        """The name of its cable at the router's end; the kernel takes 15 characters."""
        return "h" + hashlib.sha256(self.instance.encode()).hexdigest()[:12]
