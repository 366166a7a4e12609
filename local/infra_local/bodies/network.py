"""Networks: each VPC a router in a namespace of its own, and the user's network, from which only public addresses are in reach.

    host ── cable ── router of its VPC ── uplink ── the user (203.0.113.7)

A host has one cable, to the router; there are no bridges, so that every packet passes the security groups' rules,
within a subnet too. Public addresses are translated one to one by the router, as on AWS: a host knows its private one.
"""

from __future__ import annotations

import threading
from ipaddress import ip_network
from pathlib import Path

from infra_local.bodies import image, metadata
from infra_local.bodies.kernel import inside, new_network, run, unmount
from infra_local.bodies.names import RESOLVER
from infra_local.bodies.wanted import Rule, Wanted

# Where the user is. It lies in the range that the shipped specs let in.
USER = "203.0.113.7"
# The router's own address in each VPC, for what Amazon would provide there: the way out and the AWS endpoint.
SERVICES = "169.254.169.1"
_UPLINK = "internet"


def _ip(network: Path, commands: list[str]) -> None:
    inside(network, lambda: run(["ip", "-batch", "-"], "\n".join(commands) + "\n"))


def _set(network: Path, settings: dict[str, str]) -> None:
    def write() -> None:
        for name, value in settings.items():
            Path("/proc/sys/net/ipv4", name).write_text(value)

    inside(network, write)


def _routes(network: Path) -> None:
    _set(network, {"ip_forward": "1"})


def _answers(network: Path, link: str) -> None:
    """A router answers on a cable, and at once, for every address that is elsewhere: cables become a subnet."""
    _set(network, {f"conf/{link}/proxy_arp": "1", f"neigh/{link}/proxy_delay": "0"})


def _forget(network: Path) -> None:
    if network.exists():
        unmount(network)
        network.unlink()


class UserNetwork:
    """Where the user's commands run, and what stands for the internet."""

    def __init__(self, base: Path) -> None:
        self.path = base / "user"

    def open(self) -> None:
        new_network(self.path)
        _routes(self.path)
        _ip(self.path, ["link set lo up", f"addr add {USER}/32 dev lo"])


class Router:
    """A VPC's router."""

    def __init__(self, base: Path, number: int, user: UserNetwork) -> None:
        self.base, self.user = base, user
        self.path = base / f"vpc{number}"
        self.uplink = f"vpc{number}"  # its end in the user's network
        self.gateways: set[str] = set()
        self.lock = threading.Lock()
        self.public: set[str] = set()
        self.rules = ""

    def open(self) -> None:
        new_network(self.path)
        _routes(self.path)
        _ip(
            self.path,
            [
                "link set lo up",
                f"addr add {SERVICES}/32 dev lo",
                f"addr add {RESOLVER}/32 dev lo",
                f"addr add {metadata.ADDRESS}/32 dev lo",
                f"link add {_UPLINK} type veth peer name {self.uplink} netns {self.user.path}",
                f"link set {_UPLINK} up",
            ],
        )
        _ip(self.user.path, [f"link set {self.uplink} up"])
        _ip(self.path, [f"route add default via {USER} dev {_UPLINK} onlink"])

    def close(self) -> None:
        _ip(self.user.path, [f"link del {self.uplink}"])
        _forget(self.path)

    def plug(self, host: Wanted) -> Path:
        """A host's network namespace, connected; the host itself need not be there yet."""
        with self.lock:
            return self._plug(host)

    def _plug(self, host: Wanted) -> Path:
        network = self.base / host.instance
        new_network(network)
        subnet = ip_network(host.subnet_range)
        gateway = str(subnet.network_address + 1)  # Amazon's router has a subnet's first address
        lines = [] if gateway in self.gateways else [f"addr add {gateway}/32 dev lo"]
        lines += [
            f"link add {host.link} type veth peer name eth0 netns {network}",
            f"link set {host.link} up",
            f"route add {host.private_ip}/32 dev {host.link}",
        ]
        _ip(self.path, lines)
        _answers(self.path, host.link)
        self.gateways.add(gateway)
        _ip(
            network,
            [
                "link set lo up",
                "link set eth0 up",
                f"addr add {host.private_ip}/{subnet.prefixlen} dev eth0",
                f"route add default via {gateway}",
            ],
        )
        return network

    def unplug(self, host: Wanted) -> None:
        network = self.base / host.instance
        if network.exists():
            _ip(self.path, [f"link del {host.link}"])
            _forget(network)

    def apply(self, hosts: list[Wanted]) -> None:
        """Bring public addresses and rules to what these hosts ask for."""
        public = {h.public_ip for h in hosts if h.public_ip}
        gone, fresh = sorted(self.public - public), sorted(public - self.public)
        if gone or fresh:
            own = [f"addr del {p}/32 dev lo" for p in gone] + [f"addr add {p}/32 dev lo" for p in fresh]
            _ip(self.path, own)
            far = [f"route del {p}/32 dev {self.uplink}" for p in gone]
            _ip(self.user.path, far + [f"route add {p}/32 dev {self.uplink} src {USER}" for p in fresh])
            self.public = public
        rules = ruleset(hosts)
        if rules != self.rules:
            inside(self.path, lambda: run([*image.tool("nft"), "-f", "-"], rules))
            self.rules = rules


def ruleset(hosts: list[Wanted]) -> str:
    """A VPC's rules for nft: addresses translated, and what the security groups let in, in one atomic change."""
    public = [h for h in hosts if h.public_ip]
    inward = ", ".join(f"{h.public_ip} : {h.private_ip}" for h in public)
    outward = ", ".join(f"{h.private_ip} : {h.public_ip}" for h in public)
    # A host that calls a neighbour by its public address stays itself to it: only what goes up is translated.
    translate_in = f"dnat to ip daddr map {{ {inward} }}" if public else ""
    translate_out = f'oifname "{_UPLINK}" snat to ip saddr map {{ {outward} }}' if public else ""
    out = f'oifname "{_UPLINK}" ip saddr {{ {", ".join(h.private_ip for h in public)} }} accept' if public else ""
    cables = ", ".join(f'"{h.link}" : jump {h.link}' for h in hosts)
    into = f"oifname vmap {{ {cables} }}" if hosts else ""
    chains = "\n".join(
        f"  chain {h.link} {{\n" + "".join(f"    {line}\n" for rule in h.rules if (line := _line(rule))) + "  }"
        for h in hosts
    )
    return f"""table ip infra
delete table ip infra
table ip infra {{
{chains}
  chain translate_in {{
    type nat hook prerouting priority dstnat
    {translate_in}
  }}
  chain translate_out {{
    type nat hook postrouting priority srcnat
    {translate_out}
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop
    ct state established,related accept
    {out}
    oifname "{_UPLINK}" reject with icmp type net-unreachable
    {into}
  }}
}}
"""


def _line(rule: Rule) -> str:
    sources = [s for s in rule.sources if ":" not in s]
    if not sources:
        return ""
    nets = sorted({str(ip_network(s, strict=False)) for s in sources})
    origin = "" if "0.0.0.0/0" in nets else f"ip saddr {{ {', '.join(nets)} }} "
    if rule.protocol in ("tcp", "udp"):
        first, last = rule.first or 0, 65535 if rule.last in (None, -1) else rule.last
        return f"{origin}{rule.protocol} dport {first}-{last} accept"
    if rule.protocol == "icmp":
        return f"{origin}ip protocol icmp accept"
    return f"{origin}accept" if rule.protocol == "-1" else ""
