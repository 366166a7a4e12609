"""A cluster's nodes in EC2, and the security groups that EMR manages for it.

The nodes are ordinary instances in the cluster's subnet, with its tags and EMR's own: they stand in the way
of deleting the subnet and the groups as they do on AWS. EMR adds rules to the managed groups that refer to
each other and leaves them there when the cluster ends: whoever deletes the groups revokes them first.
"""

from __future__ import annotations

import contextlib

from moto.ec2.exceptions import InvalidPermissionDuplicateError
from moto.emr.models import EXAMPLE_AMI_ID, Cluster, ElasticMapReduceBackend, Instance
from moto.emr.utils import EmrSecurityGroupManager
from moto.iam.models import iam_backends

from infra_local.hooks import around
from infra_local.strict import emr_releases as releases
from infra_local.strict.emr_validation import is_public

# Each host takes memory and a moment of start: of a cluster's core and task nodes the first few are hosts.
_OTHER_BODIES = 4

_NAMES = {
    True: ("ElasticMapReduce-master", "ElasticMapReduce-slave", None),
    False: ("ElasticMapReduce-Master-Private", "ElasticMapReduce-Slave-Private", "ElasticMapReduce-ServiceAccess"),
}


def install() -> None:
    @around(ElasticMapReduceBackend, "_manage_security_groups")
    def manage(_original, self, ec2_subnet_id=None, emr_managed_master_security_group=None,
               emr_managed_slave_security_group=None, service_access_security_group=None, **_):  # fmt: skip
        ec2 = self.ec2_backend
        subnet = ec2.get_subnet(ec2_subnet_id) if ec2_subnet_id else None
        if emr_managed_master_security_group:  # the caller's own: none are made
            return emr_managed_master_security_group, emr_managed_slave_security_group, service_access_security_group
        vpc_id = subnet.vpc_id if subnet else ec2.default_vpc.id
        names = _NAMES[subnet is None or is_public(ec2, subnet)]
        return tuple(_group(ec2, vpc_id, name) if name else None for name in names)

    @around(ElasticMapReduceBackend, "run_instances")
    def run_instances(_original, self, cluster_id, instances, instance_group):
        launch(self.clusters[cluster_id], instance_group, int(instance_group.num_instances))

    Cluster.master_public_dns_name = property(_master_dns)


def _group(ec2, vpc_id: str, name: str) -> str:
    group = ec2.get_security_group_from_name(name, vpc_id)
    return (group or ec2.create_security_group(name, f"{name} for Elastic MapReduce", vpc_id)).id


def _master_dns(cluster) -> str | None:
    if cluster.state == "STARTING":
        return None
    for node in cluster.ec2_instances:
        if node.instance_group.id == cluster.master_instance_group_id:
            if getattr(node, "address", None):
                return node.address
            return node.ec2_instance.public_dns_name or node.ec2_instance.private_dns_name
    return None


def add_rules(cluster) -> None:
    """The rules EMR adds as the service role; a role that is only assumed to be there adds none."""
    backend = cluster.emr_backend
    name = (cluster.service_role or "").rsplit("/", 1)[-1]
    roles = iam_backends[backend.account_id][backend.partition].roles.values()
    master, slave, service = (
        cluster.master_security_group,
        cluster.slave_security_group,
        cluster.service_access_security_group,
    )
    if not master or not any(r.name == name for r in roles):
        return
    ec2 = backend.ec2_backend
    kinds = {"Master": master, "Slave": slave, "Service": service}
    vpc_id = ec2.get_security_group_from_id(master).vpc_id
    for rules, authorize in (
        (EmrSecurityGroupManager.MANAGED_RULES_INGRESS, ec2.authorize_security_group_ingress),
        (EmrSecurityGroupManager.MANAGED_RULES_EGRESS, ec2.authorize_security_group_egress),
    ):
        for rule in rules:
            late = rule["from_port"] == 9443 and releases.version(cluster.release_label or "") < (5, 30, 0)
            target, sources = kinds[rule["group_name_or_id"]], [kinds[g["GroupId"]] for g in rule["source_groups"]]
            if not target or late:
                continue
            for source in sources or [None]:
                if sources and not source:
                    continue
                group = ec2.get_security_group_from_id(target)
                egress = authorize == ec2.authorize_security_group_egress
                if not _has(group.egress_rules if egress else group.ingress_rules, rule, source):
                    _authorize(authorize, vpc_id, rule, target, source)


def _has(rules: list, wanted: dict, source: str | None) -> bool:
    """Whether a group has a rule already: to AWS, though not to moto, one with a description is the same rule."""
    return source is not None and any(
        (rule.ip_protocol, rule.from_port, rule.to_port)
        == (wanted["ip_protocol"], wanted["from_port"], wanted["to_port"])
        and rule.source_group.get("GroupId") == source
        for rule in rules
    )


def _authorize(authorize, vpc_id: str, rule: dict, target: str, source: str | None) -> None:
    with contextlib.suppress(InvalidPermissionDuplicateError):
        authorize(
            vpc_id=vpc_id,
            group_name_or_id=target,
            ip_protocol=rule["ip_protocol"],
            from_port=rule["from_port"],
            to_port=rule["to_port"],
            ip_ranges=[] if source else rule["ip_ranges"],
            source_groups=[{"GroupId": source}] if source else [],
        )


def launch(cluster, group, count: int) -> None:
    """Start nodes of one group, as the service does: in the cluster's subnet, groups and tags."""
    backend = cluster.emr_backend
    master = group.role == "MASTER"
    groups = [cluster.master_security_group if master else cluster.slave_security_group]
    groups += (cluster.additional_master_security_groups if master else cluster.additional_slave_security_groups) or []
    profile = (cluster.role or "").rsplit("/", 1)[-1]
    ec2 = backend.ec2_backend
    reservation = ec2.run_instances(
        EXAMPLE_AMI_ID,
        count,
        None,
        [],
        instance_type=group.instance_type,
        is_instance_type_default=False,
        region_name=backend.region_name,
        subnet_id=cluster.ec2_subnet_id,
        key_name=cluster.ec2_key_name if cluster.ec2_key_name in ec2.key_pairs else None,
        security_group_ids=[g for g in groups if g],
        associate_public_ip=None if cluster.ec2_subnet_id else True,
        block_device_mappings=_disks(cluster, group),
        client_token="",
    )
    for made in reservation.instances:
        made.reservation_id = reservation.id
        has_body = master or _other_bodies(cluster) < _OTHER_BODIES
        made.emr_node = {"cluster": cluster.id, "role": group.role, "has_body": has_body}
        for nic in made.nics.values():
            nic.delete_on_termination = True
        node = Instance(ec2_instance=made, instance_group=group)
        node.address = made.public_dns_name or made.private_dns_name
        cluster.add_instance(node)
        if any(p.name == profile for p in _profiles(backend)):
            ec2.associate_iam_instance_profile(instance_id=made.id, iam_instance_profile_name=profile)
    tag_nodes(cluster, [i.id for i in reservation.instances], group)


def _other_bodies(cluster) -> int:
    """How many of a cluster's core and task nodes are hosts, where there are hosts."""
    nodes = [getattr(n.ec2_instance, "emr_node", {}) for n in cluster.ec2_instances]
    return sum(n.get("has_body", False) and n.get("role") != "MASTER" for n in nodes)


def _profiles(backend) -> list:
    return list(iam_backends[backend.account_id][backend.partition].instance_profiles.values())


def _disks(cluster, group) -> list[dict]:
    disks = [{"DeviceName": "/dev/xvda", "NoDevice": None, "Ebs": {"VolumeSize": cluster.ebs_root_volume_size or 10}}]
    for index, device in enumerate(group.ebs_block_devices):
        wanted = device["VolumeSpecification"]
        disks.append(
            {
                "DeviceName": f"/dev/sd{chr(ord('b') + index)}",
                "NoDevice": None,
                "Ebs": {
                    "VolumeSize": wanted.get("SizeInGB"),
                    "VolumeType": wanted.get("VolumeType"),
                    "Iops": wanted.get("Iops"),
                },
            }
        )
    return disks


def tag_nodes(cluster, instance_ids: list[str], group=None) -> None:
    """EMR hands the cluster's tags on to its instances, beside two of its own."""
    own = dict(cluster._tags)
    own["aws:elasticmapreduce:job-flow-id"] = cluster.id
    if group:
        own["aws:elasticmapreduce:instance-group-role"] = group.role
    cluster.emr_backend.ec2_backend.create_tags(instance_ids, own)


def end(cluster, nodes: list | None = None) -> None:
    """Terminate nodes; EMR does so whatever their own termination protection says."""
    for node in cluster.ec2_instances if nodes is None else nodes:
        node.ec2_instance.terminate()


def resize(cluster, group, count: int) -> None:
    nodes = [n for n in cluster.ec2_instances if n.instance_group is group]
    if count > len(nodes):
        launch(cluster, group, count - len(nodes))
    for node in nodes[count:]:
        node.ec2_instance.terminate()
        cluster.ec2_instances.remove(node)
    group.set_instance_count(count)
