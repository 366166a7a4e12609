"""DependencyViolation: the deletes that AWS refuses and moto lets pass.

A wrong order of destruction works on moto and fails on AWS; with these it fails here too.
"""

from __future__ import annotations

from moto.ec2.responses import EC2Response

from infra_local.hooks import around, refuse

_GONE = ("terminated",)
_NAT_GONE = ("deleted", "failed")


def _has_dependencies(kind: str, object_id: str) -> None:
    refuse("DependencyViolation", f"The {kind} '{object_id}' has dependencies and cannot be deleted.")


def live_instances(backend) -> list:
    return [i for r in backend.reservations.values() for i in r.instances if i.state not in _GONE]


def live_nats(backend) -> list:
    return [n for n in backend.nat_gateways.values() if n.state not in _NAT_GONE]


def groups_of(eni) -> set[str]:
    """The groups that hold on an interface: its own and, for its first one, the instance's."""
    groups = {g.id for g in eni._group_set}
    if eni.instance:
        groups |= {g.id for g in eni.instance.security_groups}
    return groups


def _rules(group) -> list:
    return [*group.ingress_rules, *group.egress_rules]


def _mentions(rule, group_id: str) -> bool:
    return bool(rule.source_group) and rule.source_group.get("GroupId") == group_id


def _vpc_in_use(backend, vpc_id: str) -> bool:
    return (
        any(s.vpc_id == vpc_id for zone in backend.subnets.values() for s in zone.values())
        or any(g.vpc and g.vpc.id == vpc_id for g in backend.internet_gateways.values())
        or any(not g.is_default and g.name != "default" for g in backend.groups.get(vpc_id, {}).values())
        or any(e.vpc_id == vpc_id and e.state != "deleted" for e in backend.vpc_end_points.values())
        or any(t.vpc_id == vpc_id and not t.main_association_id for t in backend.route_tables.values())
        or any(a.vpc_id == vpc_id and a.default not in ("true", True) for a in backend.network_acls.values())
        or any(n.vpc_id == vpc_id for n in live_nats(backend))
        or any(e.subnet.vpc_id == vpc_id for e in backend.enis.values())
        or any(g.vpc_id == vpc_id for g in backend.egress_only_internet_gateways.values())
        or _default_group_referenced(backend, vpc_id)
    )


def _default_group_referenced(backend, vpc_id: str) -> bool:
    own = set(backend.groups.get(vpc_id, {}))
    return any(
        rule.source_group and rule.source_group.get("GroupId") in own
        for other_vpc, groups in backend.groups.items()
        if other_vpc != vpc_id
        for group in groups.values()
        for rule in _rules(group)
    )


def _public_addresses(backend, vpc_id: str) -> bool:
    """Whether anything in the VPC still has a public address mapped through the gateway."""
    if any(a.eni and a.eni.subnet.vpc_id == vpc_id for a in backend.addresses):
        return True
    return any(
        i.vpc_id == vpc_id and i.public_ip and i.state in ("pending", "running") for i in live_instances(backend)
    )


def install() -> None:
    _vpcs_and_subnets()
    _groups()
    _gateways_and_addresses()


def _vpcs_and_subnets() -> None:
    @around(EC2Response, "delete_vpc")
    def delete_vpc(original, self):
        backend, vpc_id = self.ec2_backend, self._get_param("VpcId")
        backend.get_vpc(vpc_id)
        if _vpc_in_use(backend, vpc_id):
            _has_dependencies("vpc", vpc_id)
        # What AWS deletes along with a VPC: its main route table, default group and default ACL.
        result = original(self)
        for acl_id in [a.id for a in backend.network_acls.values() if a.vpc_id == vpc_id]:
            backend.network_acls.pop(acl_id)
        backend.groups.pop(vpc_id, None)
        backend.tags.pop(vpc_id, None)
        return result

    @around(EC2Response, "delete_subnet")
    def delete_subnet(original, self):
        backend, subnet_id = self.ec2_backend, self._get_param("SubnetId")
        backend.get_subnet(subnet_id)
        if (
            any(i._subnet_id == subnet_id for i in live_instances(backend))
            or any(e.subnet.id == subnet_id for e in backend.enis.values())
            or any(n.subnet_id == subnet_id for n in live_nats(backend))
        ):
            _has_dependencies("subnet", subnet_id)
        result = original(self)
        # A deleted subnet is no longer associated with its route table.
        for table in backend.route_tables.values():
            for association in [a for a, target in table._associations.items() if target == subnet_id]:
                table._associations.pop(association)
        backend.tags.pop(subnet_id, None)
        return result

    @around(EC2Response, "delete_route_table")
    def delete_route_table(original, self):
        table = self.ec2_backend.get_route_table(self._get_param("RouteTableId"))
        if table.main_association_id or table._associations:
            _has_dependencies("routeTable", table.id)
        result = original(self)
        for endpoint in self.ec2_backend.vpc_end_points.values():
            if table.id in (endpoint.route_table_ids or []):
                endpoint.route_table_ids = [t for t in endpoint.route_table_ids if t != table.id]
        self.ec2_backend.tags.pop(table.id, None)
        return result

    @around(EC2Response, "delete_network_interface")
    def delete_network_interface(original, self):
        eni = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        if eni.instance or eni.status == "in-use":
            refuse("InvalidParameterValue", f"Network interface '{eni.id}' is currently in use.")
        return original(self)


def _groups() -> None:
    @around(EC2Response, "delete_security_group")
    def delete_security_group(original, self):
        backend = self.ec2_backend
        group_id, name = self._get_param("GroupId"), self._get_param("GroupName")
        group = backend.get_security_group_from_id(group_id) if group_id else backend.get_security_group_from_name(name)
        if not group:
            return original(self)
        if group.is_default or group.name == "default":
            refuse(
                "CannotDelete", f'the specified group: "{group.id}" name: "{group.name}" cannot be deleted by a user'
            )
        used = any(group.id in groups_of(e) for e in backend.enis.values())
        used = used or any(group.id in (e.security_group_ids or []) for e in backend.vpc_end_points.values())
        referenced = any(
            _mentions(rule, group.id)
            for groups in backend.groups.values()
            for other in groups.values()
            if other.id != group.id
            for rule in _rules(other)
        )
        if used or referenced:
            refuse("DependencyViolation", f"resource {group.id} has a dependent object")
        result = original(self)
        backend.tags.pop(group.id, None)
        return result


def _gateways_and_addresses() -> None:
    @around(EC2Response, "delete_internet_gateway")
    def delete_internet_gateway(original, self):
        gateway = self.ec2_backend.get_internet_gateway(self._get_param("InternetGatewayId"))
        if gateway.vpc:
            _has_dependencies("internetGateway", gateway.id)
        result = original(self)
        self.ec2_backend.tags.pop(gateway.id, None)
        return result

    @around(EC2Response, "detach_internet_gateway")
    def detach_internet_gateway(original, self):
        gateway = self.ec2_backend.get_internet_gateway(self._get_param("InternetGatewayId"))
        vpc_id = self._get_param("VpcId")
        attached = gateway.vpc and gateway.vpc.id == vpc_id
        if attached and _public_addresses(self.ec2_backend, vpc_id):
            refuse(
                "DependencyViolation",
                f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) "
                "before detaching the gateway.",
            )
        return original(self)

    @around(EC2Response, "release_address")
    def release_address(original, self):
        backend = self.ec2_backend
        allocation_id = self._get_param("AllocationId")
        if allocation_id:
            address = next((a for a in backend.addresses if a.allocation_id == allocation_id), None)
            if not address:
                refuse("InvalidAllocationID.NotFound", f"The allocation ID '{allocation_id}' does not exist")
        else:
            address = backend.address_by_ip([self._get_param("PublicIp")])[0]
        if address.association_id:
            if address.eni and address.eni.interface_type == "nat_gateway":
                # AWS words it as if the caller lacked rights: the association is the gateway's.
                refuse("AuthFailure", "You do not have permission to access the specified resource.")
            refuse("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")
        result = original(self)
        backend.tags.pop(allocation_id, None)
        return result
