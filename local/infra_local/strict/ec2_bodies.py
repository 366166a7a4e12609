"""Instances with bodies: which hosts there should be, and what they tell of themselves.

Without `--hosts` nothing here shows, but for public addresses that no network routes.
"""

from __future__ import annotations

import os
import random

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends, elastic_ip_addresses, elastic_network_interfaces
from moto.ec2.models.instances import Instance, InstanceState
from moto.ec2.responses import EC2Response
from moto.ec2.utils import Base64EncodedString
from moto.emr.models import emr_backends

from infra_local.bodies.registry import PATIENCE, registry
from infra_local.clock import clock
from infra_local.hooks import around
from infra_local.strict import emr_releases, emr_steps

_LOGINS = (("ubuntu", "ubuntu"), ("debian", "admin"))


def _public_address() -> str:
    """From the range that RFC 2544 sets aside for tests.

    moto's own are loopback, which no other network reaches, or Amazon's, where a packet that gets out finds a stranger.
    """
    return f"198.{random.choice((18, 19))}.{random.randint(0, 255)}.{random.randint(1, 254)}"


def install() -> None:
    elastic_ip_addresses.random_ip = _public_address
    elastic_network_interfaces.random_public_ip = _public_address

    @around(EC2Response, "get_console_output")
    def get_console_output(original, self):
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        if not registry.is_up() or not _has_body(instance):
            return original(self)
        written = registry.console(instance.id)
        result = {"InstanceId": instance.id, "Timestamp": utcnow()}
        if written:
            result["Output"] = Base64EncodedString.from_raw_string(written)
        return ActionResult(result)

    @around(Instance, "reboot")
    def reboot(original, self):
        if self.state == "running":
            registry.restarted(self.id)
        return original(self)

    @around(Instance, "start")
    def start(original, self):
        if self.state == "stopped":
            registry.restarted(self.id)
        return original(self)


def reset() -> None:
    registry.boots, registry.held = {}, {}


def _has_body(instance: Instance) -> bool:
    """Of a large cluster's nodes some have none."""
    node = getattr(instance, "emr_node", None)
    return bool(instance.nics) and (node is None or node["has_body"])


def boots(instance: Instance) -> bool:
    """Whether a host is on its way that an instance waits for; its patience is `holds`'s."""
    return instance.state == "pending" and registry.is_up() and _has_body(instance)


def holds(instance: Instance) -> bool:
    """Whether an instance is to stay pending, because its host does not answer yet."""
    if not registry.is_up() or not _has_body(instance):
        return False
    if registry.answers(instance.id) or instance.id in registry.failed:
        return False
    backend = instance.ec2_backend
    registry.held[instance.id] = (backend.account_id, backend.region_name)
    clock.after(PATIENCE, "instance-without-answer", backend.account_id, backend.region_name, instance.id)
    return True


@clock.on("instance-without-answer")
def _without_answer(account: str, region: str, instance_id: str) -> None:
    # On AWS such an instance runs as well; that nobody can log in is another matter.
    instance = ec2_backends[account][region].get_instance_by_id(instance_id)
    if registry.held.pop(instance_id, None) and instance and instance.state == "pending":
        instance._state = InstanceState("running", 16)


def take(told: dict) -> None:
    """What the supervisor reports; the caller holds the lock."""
    if told.get("down"):
        registry.gone()
    else:
        registry.report(told)
    for instance_id, (account, region) in list(registry.held.items()):
        if not registry.supervisor or registry.answers(instance_id) or instance_id in registry.failed:
            registry.held.pop(instance_id)
            clock.after(0, "instance-running", account, region, instance_id)
    for instance_id, boot in told.get("ended", {}).items():
        _ended(instance_id, boot)


def _ended(instance_id: str, boot: int) -> None:
    """The host was switched off from within."""
    instance = next((i for i in _instances() if i.id == instance_id), None)
    if not instance or instance.state != "running" or boot != registry.boots.get(instance_id, 0):
        return
    if instance.instance_initiated_shutdown_behavior == "terminate":
        instance.terminate()
    else:
        instance.stop()


def _instances() -> list[Instance]:
    found = []
    for regions in list(dict.values(ec2_backends)):
        for backend in list(dict.values(regions)):
            for reservation in backend.reservations.values():
                found += reservation.instances
    return found


def wanted() -> list[dict]:
    """Every host that there should be; the caller holds the lock."""
    present = [i for i in _instances() if i.state not in ("shutting-down", "terminated") and _has_body(i)]
    return [_wanted(i, present) for i in present]


def _wanted(instance: Instance, present: list[Instance]) -> dict:
    backend = instance.ec2_backend
    subnet = backend.get_subnet(instance.nics[0].subnet.id)
    vpc = backend.get_vpc(subnet.vpc_id)
    image = backend.amis.get(instance.image_id)
    name = (image.name if image else "") or ""
    key = backend.key_pairs.get(instance.key_name) if instance.key_name else None
    node = _node(instance)
    return {
        "instance": instance.id,
        "region": backend.region_name,
        "vpc": vpc.id,
        "vpc_ranges": [a["cidr_block"] for a in vpc.get_cidr_block_association_set(ipv6=False)],
        "subnet_range": subnet.cidr_block,
        "private_ip": instance.private_ip,
        "public_ip": instance.public_ip,
        "full_name": instance.private_dns_name,
        "public_name": instance.public_dns_name,
        "login": "hadoop" if node else next((login for part, login in _LOGINS if part in name), "ec2-user"),
        "image": name or instance.image_id,
        "authorized_key": key.public_key.strip() if key else None,
        "user_data": instance.user_data.as_bytes().decode() if instance.user_data else None,
        "running": instance.state in ("pending", "running"),
        "boot": registry.boots.get(instance.id, 0),
        "rules": _rules(instance, present),
        "node": node,
        "metadata": _metadata(instance),
    }


def _metadata(instance: Instance) -> dict:
    """What the metadata service tells it."""
    backend = instance.ec2_backend
    held = backend.iam_instance_profile_associations.get(instance.id)
    profile = held.iam_instance_profile if held else None
    options = instance.metadata_options
    return {
        "account": backend.account_id,
        "zone": instance.placement.zone if instance.placement else "",
        "type": instance.instance_type,
        "image": instance.image_id,
        "profile": profile.arn if profile else None,
        "role": profile.roles[0].name if profile and profile.roles else None,
        "is_on": options.http_endpoint != "disabled",
        "needs_token": options.http_tokens == "required",
    }


def _node(instance: Instance) -> dict | None:
    """What it is in an EMR cluster."""
    known, backend = getattr(instance, "emr_node", None), instance.ec2_backend
    cluster = known and emr_backends[backend.account_id][backend.region_name].clusters.get(known["cluster"])
    if not cluster:
        return None
    applications = [a.name for a in cluster.applications]
    shows_history = known["role"] == "MASTER" and "Spark" in applications
    return {
        "cluster": cluster.id,
        "role": known["role"],
        "release": emr_releases.version(cluster.release_label or "")[0],
        "applications": applications,
        "port": int(os.environ["MOTO_PORT"]),
        "history": emr_steps.runner.history(cluster) if shows_history else None,
    }


def _rules(instance: Instance, present: list[Instance]) -> list[dict]:
    """What the security groups let in; a group as a source stands for its members' addresses."""
    members: dict[str, list[str]] = {}
    for other in present:
        if other.ec2_backend is instance.ec2_backend:
            for group in _groups(other):
                members.setdefault(group.id, []).append(f"{other.private_ip}/32")
    rules = []
    for group in _groups(instance):
        for rule in group.ingress_rules:
            sources = [rule.cidr_ipv4] if rule.cidr_ipv4 else []
            sources += sorted(members.get(rule.source_group.get("GroupId", ""), []))
            if sources:
                rules.append(
                    {"protocol": rule.ip_protocol, "first": rule.from_port, "last": rule.to_port, "sources": sources}
                )
    return rules


def _groups(instance: Instance) -> list:
    groups = {g.id: g for nic in instance.nics.values() for g in nic.group_set}
    groups.update({g.id: g for g in instance.security_groups})
    return list(groups.values())
