"""What RunJobFlow refuses at once, and what makes a cluster end with VALIDATION_ERROR a minute later.

EMR checks names and combinations in the call, but roles, routes and rules only when it starts the nodes.
"""

from __future__ import annotations

from moto.emr.exceptions import InvalidRequestException, ValidationException
from moto.iam.models import iam_backends

from infra_local.settings import settings
from infra_local.strict import ec2_lag
from infra_local.strict import emr_releases as releases
from infra_local.strict.iam import decide, documents_of

DEFAULT_ROLES = ("EMR_DefaultRole", "EMR_EC2_DefaultRole")
_V2_TAG = ("for-use-with-amazon-emr-managed-policies", "true")
MAX_STEPS = 256


def invalid(message: str) -> None:
    raise ValidationException(message)


def _param(response, name: str, default=None):
    value = response._get_param(name)
    return default if value is None else value


def check_run_job_flow(response) -> None:
    """Everything that the call itself refuses."""
    name, label = _param(response, "Name", ""), _param(response, "ReleaseLabel")
    if not name or len(name) > 256:
        invalid("1 validation error detected: Value at 'name' failed to satisfy constraint: length must be 1 to 256")
    if label and label not in releases.labels(response.region):
        invalid(f"The supplied release label is invalid: {label}.")
    if not label and not _param(response, "AmiVersion"):
        invalid("Must specify exactly one of the following: release label, AMI version.")
    _check_instances(response, label)
    _check_applications(response, label)
    _check_roles(response)
    _check_security_configuration(response)
    _check_steps(response, label)
    _check_network(response)
    if _param(response, "AutoTerminationPolicy"):
        check_supported(label, (5, 30, 0), "Auto-termination policies are")
    if _param(response, "ManagedScalingPolicy"):
        check_supported(label, (5, 30, 0), "Managed scaling policies are")


def check_supported(label: str | None, since: tuple[int, int, int], what: str) -> None:
    if releases.version(label or "") < since or label == "emr-6.0.0":
        invalid(f"{what} not supported on this release: {label}. Use release emr-{'.'.join(map(str, since))} or later.")


def _check_instances(response, label: str | None) -> None:
    groups, fleets = _param(response, "Instances.InstanceGroups", []), _param(response, "Instances.InstanceFleets", [])
    master, count = _param(response, "Instances.MasterInstanceType"), _param(response, "Instances.InstanceCount")
    if sum(map(bool, (groups, fleets, master or count))) != 1:
        invalid(
            "Please configure instances using one and only one of the following: instance groups; instance fleets; "
            "instance count, master instance type and slave instance type."
        )
    roles = [g.get("instance_role") for g in groups] or [f.get("instance_fleet_type") for f in fleets]
    if roles and roles.count("MASTER") != 1:
        invalid(
            "Please specify exactly one master instance group."
            if groups
            else "Please specify exactly one master instance fleet."
        )
    if roles.count("CORE") > 1:
        invalid("At most one core instance group may be specified.")
    types = [g.get("instance_type") for g in groups]
    types += [c.get("instance_type") for f in fleets for c in f.get("instance_type_configs", [])]
    types += [t for t in (master, _param(response, "Instances.SlaveInstanceType")) if t]
    for kind in types:
        check_type(label, kind)
    for group in groups:
        if int(group.get("instance_count") or 0) < 1:
            invalid(f"Instance group must have instance count greater than 0: {group.get('instance_role')}")
        if group.get("bid_price") and (group.get("market") or "SPOT") != "SPOT":
            invalid("A bid price may only be given for market type SPOT.")


def check_type(label: str | None, kind: str) -> None:
    supported = releases.instance_types(label or "")
    if supported and kind not in supported:
        invalid(f"Instance type '{kind}' is not supported on this release: {label}.")


def _check_applications(response, label: str | None) -> None:
    for wanted in _param(response, "Applications", []):
        if label and not releases.application(label, wanted.get("name", "")):
            invalid(f"Specified application: {wanted.get('name')} is invalid for release: {label}.")


def _iam(response):
    return iam_backends[response.current_account][response.partition]


def _bare(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def assumed(name: str) -> bool:
    """Whether a default role that is not there is taken as there (see --default-roles)."""
    return settings.default_roles == "assumed" and _bare(name) in DEFAULT_ROLES


def _check_roles(response) -> None:
    profile, role = _param(response, "JobFlowRole"), _param(response, "ServiceRole")
    if not profile:
        invalid("InstanceProfile is required for creating cluster.")
    if not role:
        invalid("ServiceRole is required for creating cluster.")
    profiles = _iam(response).instance_profiles
    found = next((p for p in profiles.values() if p.name == _bare(profile)), None)
    if found and ec2_lag.profile_unknown(response.current_account, found.name):
        invalid(f"Invalid InstanceProfile: {found.name}.")
    if not found and not assumed(profile):
        invalid(f"Invalid InstanceProfile: {_bare(profile)}.")
    if found and not found.roles:
        invalid(f"Invalid InstanceProfile: {_bare(profile)}.")


def _check_security_configuration(response) -> None:
    name = _param(response, "SecurityConfiguration")
    if name and name not in response.backend.security_configurations:
        raise InvalidRequestException(f"Security configuration with name '{name}' does not exist.")


def check_step_list(steps: list, active: int = 0) -> None:
    if active + len(steps) > MAX_STEPS:
        invalid(
            "Maximum number of active steps(State = 'Running', 'Pending' or 'Cancel_Pending') for cluster exceeded."
        )
    for step in steps:
        jar = step.get("hadoop_jar_step") or {}
        if sum(len(a) for a in jar.get("Args", []) or []) > 10240:
            invalid("The total length of the arguments of a step may not exceed 10240 characters.")


def _check_steps(response, label: str | None) -> None:
    check_step_list(_param(response, "Steps", []))
    check_concurrency(label, _param(response, "StepConcurrencyLevel"))


def check_concurrency(label: str | None, level) -> None:
    if level is None:
        return
    if not 1 <= int(level) <= 256:
        invalid("Step concurrency level must be between 1 and 256.")
    if int(level) > 1:
        check_supported(label, (5, 28, 0), "Step concurrency levels above 1 are")


def routes_of(ec2, subnet) -> list:
    """The routes that hold for a subnet: its own table's, or the VPC's main one's."""
    tables = [t for t in ec2.route_tables.values() if t.vpc_id == subnet.vpc_id]
    own = [t for t in tables if subnet.id in t._associations.values()]
    main = [t for t in tables if t.main_association_id]
    return [route for table in (own or main) for route in table._routes.values()]


def is_public(ec2, subnet) -> bool:
    return any(getattr(r.gateway, "id", "").startswith("igw-") for r in routes_of(ec2, subnet) if r.gateway)


def _check_network(response) -> None:
    ec2, subnet_id = response.backend.ec2_backend, _param(response, "Instances.Ec2SubnetId")
    known = {s.id: s for zone in ec2.subnets.values() for s in zone.values()}
    if subnet_id and subnet_id not in known:
        invalid(f"The subnet ID '{subnet_id}' does not exist.")
    master = _param(response, "Instances.EmrManagedMasterSecurityGroup")
    slave = _param(response, "Instances.EmrManagedSlaveSecurityGroup")
    service = _param(response, "Instances.ServiceAccessSecurityGroup")
    if bool(master) != bool(slave):
        invalid("You must specify both EmrManagedMasterSecurityGroup and EmrManagedSlaveSecurityGroup, or neither.")
    if service and not master:
        invalid("You must also specify EmrManagedMasterSecurityGroup and EmrManagedSlaveSecurityGroup.")
    extra = [
        *_param(response, "Instances.AdditionalMasterSecurityGroups", []),
        *_param(response, "Instances.AdditionalSlaveSecurityGroups", []),
    ]
    for group_id in filter(None, [master, slave, service, *extra]):
        group = ec2.get_security_group_from_id(group_id)
        if not group:
            invalid(f"The security group '{group_id}' does not exist.")
        if subnet_id and group.vpc_id != known[subnet_id].vpc_id:
            invalid(f"Security group {group_id} and subnet {subnet_id} belong to different networks.")
    if subnet_id and master and not service and not is_public(ec2, known[subnet_id]):
        invalid(
            "You must also specify a ServiceAccessSecurityGroup if you use custom security groups when creating a "
            "cluster in a private subnet."
        )


def later_error(cluster, service_role: str) -> str | None:
    """What makes the cluster end in VALIDATION_ERROR once EMR starts to make its nodes."""
    backend = cluster.emr_backend
    ec2, iam = backend.ec2_backend, iam_backends[backend.account_id][backend.partition]
    role = next((r for r in iam.roles.values() if r.name == _bare(service_role)), None)
    if not role and not assumed(service_role):
        return f"EMR service role arn:aws:iam::{backend.account_id}:role/{_bare(service_role)} is invalid"
    if role and "elasticmapreduce" not in (role.assume_role_policy_document or ""):
        return f"EMR service role {role.arn} is invalid"
    if role and decide(documents_of(iam, role.arn), "ec2:RunInstances", "*") != "allowed":
        return f"Service role {role.arn} has insufficient EC2 permissions"
    if cluster.ec2_key_name and cluster.ec2_key_name not in ec2.key_pairs:
        return "The given SSH key name was invalid"
    if not cluster.ec2_subnet_id:
        return None
    subnet = ec2.get_subnet(cluster.ec2_subnet_id)
    if role and any(p.name == "AmazonEMRServicePolicy_v2" for p in role.managed_policies.values()):
        tagged = [cluster._tags, ec2.tags.get(subnet.id) or {}]
        if any(t.get(_V2_TAG[0]) != _V2_TAG[1] for t in tagged):
            return f"Service role {role.arn} has insufficient EC2 permissions"
    return _route_error(ec2, subnet) or _rule_error(ec2, cluster) or _public_error(backend, ec2, cluster, subnet)


def _route_error(ec2, subnet) -> str | None:
    ways = [r for r in routes_of(ec2, subnet) if not r.local]
    if not ways:
        return (
            "The VPC/subnet configuration was invalid: No route to any external sources detected in Route Table for "
            f"Subnet: {subnet.id} for VPC: {subnet.vpc_id}"
        )
    return None


def _rule_error(ec2, cluster) -> str | None:
    service, master = cluster.service_access_security_group, cluster.master_security_group
    if not service or releases.version(cluster.release_label or "") < (5, 30, 0):
        return None
    for rule in ec2.get_security_group_from_id(service).ingress_rules:
        low, high = int(rule.from_port or -1), int(rule.to_port or -1)
        if (rule.ip_protocol == "-1" or low <= 9443 <= high) and (rule.source_group or {}).get("GroupId") == master:
            return None
    return "ServiceAccessSecurityGroup is missing ingress rule from EmrManagedMasterSecurityGroup on port 9443"


def _public_error(backend, ec2, cluster, subnet) -> str | None:
    """Block public access: per account and region, port 22 exempt, not for private subnets."""
    from infra_local.strict.emr_missing import block_public_access

    block = block_public_access(backend)
    if not block["BlockPublicSecurityGroupRules"] or not is_public(ec2, subnet):
        return None
    permitted = [
        (r["MinRange"], r.get("MaxRange", r["MinRange"])) for r in block["PermittedPublicSecurityGroupRuleRanges"]
    ]
    groups = [cluster.master_security_group, cluster.slave_security_group]
    groups += [*(cluster.additional_master_security_groups or []), *(cluster.additional_slave_security_groups or [])]
    for group_id in dict.fromkeys(filter(None, groups)):
        for rule in ec2.get_security_group_from_id(group_id).ingress_rules:
            world = rule.ip_range and (
                rule.ip_range.get("CidrIp") == "0.0.0.0/0" or rule.ip_range.get("CidrIpv6") == "::/0"
            )
            low, high = int(rule.from_port or 0), int(rule.to_port or 65535)
            if world and not any(a <= low and high <= b for a, b in permitted):
                return (
                    f"The EMR cluster cannot be launched because security group {group_id} has public access and block "
                    "public access is enabled in this account and region"
                )
    return None
