"""States that take time: instances, NAT gateways, volumes; and what lingers when they are gone.

AWS answers `pending`, `stopping`, `shutting-down` or `deleting` and gets there later; terminated
instances and deleted NAT gateways stay visible with their tags for about an hour.
"""

from __future__ import annotations

import contextlib

from moto.core.utils import utcnow
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState, StateReason
from moto.ec2.models.nat_gateways import NatGatewayBackend
from moto.ec2.responses import EC2Response
from moto.ec2.responses._base_response import EC2BaseResponse

from infra_local.clock import clock
from infra_local.hooks import around, refuse
from infra_local.settings import settings
from infra_local.strict import ec2_bodies

_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
_LINGER = 3600.0


def _set(instance: Instance, name: str) -> None:
    instance._state = InstanceState(name, _CODES[name])


def _later(what: str, kind: str, backend, object_id: str) -> None:
    clock.after(settings.duration(what), kind, backend.account_id, backend.region_name, object_id)


def _instance(account: str, region: str, object_id: str) -> Instance | None:
    return ec2_backends[account][region].get_instance_by_id(object_id)


def release_network(instance: Instance) -> None:
    """What a terminated instance gives back: its interfaces, addresses and place in its groups."""
    backend = instance.ec2_backend
    for nic in list(instance.nics.values()):
        for address in backend.addresses:
            if address.eni is nic or address.instance is instance:
                address.eni = address.instance = address.association_id = None
        backend.enis.pop(nic.id, None)
        backend.tags.pop(nic.id, None)
    for ip in list(instance._private_ips):
        with contextlib.suppress(EC2ClientError):  # the subnet may be gone
            backend.get_subnet(instance._subnet_id).del_subnet_ip(ip)
    instance._private_ips.clear()
    instance.nics = {}
    instance.security_groups = []
    instance._subnet_id = None


@clock.on("instance-running")
def _running(account: str, region: str, object_id: str) -> None:
    instance = _instance(account, region, object_id)
    if instance and instance.state == "pending" and not ec2_bodies.holds(instance):
        _set(instance, "running")


@clock.on("instance-stopped")
def _stopped(account: str, region: str, object_id: str) -> None:
    instance = _instance(account, region, object_id)
    if instance and instance.state == "stopping":
        _set(instance, "stopped")


@clock.on("instance-terminated")
def _terminated(account: str, region: str, object_id: str) -> None:
    instance = _instance(account, region, object_id)
    if not instance or instance.state != "shutting-down":
        return
    instance.teardown_defaults()
    release_network(instance)
    _set(instance, "terminated")
    backend = instance.ec2_backend
    association = backend.iam_instance_profile_associations.get(instance.id)
    if association:
        backend.disassociate_iam_instance_profile(association_id=association.association_id)
    clock.after(_LINGER, "instance-forgotten", account, region, object_id)


@clock.on("instance-forgotten")
def _forgotten(account: str, region: str, object_id: str) -> None:
    backend = ec2_backends[account][region]
    for reservation in list(backend.reservations.values()):
        reservation.instances = [i for i in reservation.instances if i.id != object_id]
        if not reservation.instances:
            backend.reservations.pop(reservation.id)
    backend.tags.pop(object_id, None)


@clock.on("nat-available")
def _nat_available(account: str, region: str, object_id: str) -> None:
    backend = ec2_backends[account][region]
    nat = backend.nat_gateways.get(object_id)
    if not nat or nat.state != "pending":
        return
    attached = any(g.vpc and g.vpc.id == nat.vpc_id for g in backend.internet_gateways.values())
    if nat.connectivity_type != "private" and not attached:
        nat.state = "failed"
        nat.failure_code = "Gateway.NotAttached"
        nat.failure_message = f"Network {nat.vpc_id} has no Internet gateway attached"
        _drop_nat_network(backend, nat)
        clock.after(_LINGER, "nat-forgotten", account, region, object_id)
    else:
        nat.state = "available"


def _drop_nat_network(backend, nat) -> None:
    for address in backend.addresses:
        if address.eni is nat._eni:
            address.eni = address.instance = address.association_id = None
    backend.enis.pop(nat._eni.id, None)


@clock.on("nat-deleted")
def _nat_deleted(account: str, region: str, object_id: str) -> None:
    backend = ec2_backends[account][region]
    nat = backend.nat_gateways.get(object_id)
    if nat and nat.state == "deleting":
        nat.state = "deleted"
        nat.delete_time = utcnow()
        _drop_nat_network(backend, nat)
        clock.after(_LINGER, "nat-forgotten", account, region, object_id)


@clock.on("nat-forgotten")
def _nat_forgotten(account: str, region: str, object_id: str) -> None:
    ec2_backends[account][region].nat_gateways.pop(object_id, None)
    ec2_backends[account][region].tags.pop(object_id, None)


def install() -> None:
    _instances()
    _elastic_addresses()
    _nat_gateways()


def _instances() -> None:
    # moto shows every RunInstances as pending whatever the state; now the state says so itself,
    # and a replay by client token shows what has become of the instance.
    EC2BaseResponse.RESPONSE_KEY_PATH_TO_TRANSFORMER.pop("RunInstances.Reservation.Instances.Instance.State", None)

    @around(InstanceBackend, "run_instances")
    def run_instances(original, self, *args, **kwargs):
        reservation = original(self, *args, **kwargs)
        for instance in reservation.instances:
            _set(instance, "pending")
            _later("instance-start", "instance-running", self, instance.id)
        return reservation

    @around(Instance, "start")
    def start(original, self):
        previous = self._state
        if previous.name not in ("stopped", "running", "pending"):
            refuse(
                "IncorrectInstanceState", f"The instance '{self.id}' is not in a state from which it can be started."
            )
        if previous.name == "stopped":
            for nic in self.nics.values():
                nic.start()
            self._reason, self.state_reason = "", StateReason()
            _set(self, "pending")
            _later("instance-start", "instance-running", self.ec2_backend, self.id)
        return previous

    @around(Instance, "stop")
    def stop(original, self):
        previous = self._state
        if previous.name in ("shutting-down", "terminated", "pending"):
            refuse(
                "IncorrectInstanceState", f"This instance '{self.id}' is not in a state from which it can be stopped."
            )
        if previous.name == "running":
            original(self)
            _set(self, "stopping")
            _later("instance-stop", "instance-stopped", self.ec2_backend, self.id)
        return previous

    @around(Instance, "terminate")
    def terminate(_original, self):
        previous = self._state
        if previous.name not in ("shutting-down", "terminated"):
            self._reason = f"User initiated ({utcnow().strftime('%Y-%m-%d %H:%M:%S GMT')})"
            self.state_reason = StateReason(
                "Client.UserInitiatedShutdown: User initiated shutdown", "Client.UserInitiatedShutdown"
            )
            _set(self, "shutting-down")
            _later("instance-terminate", "instance-terminated", self.ec2_backend, self.id)
        return previous

    def change(field: str, operation: str):
        def answer(_original, self):
            ids = self._get_param("InstanceIds", [])
            self.error_on_dryrun()
            changed = getattr(self.ec2_backend, operation)(ids)
            return _ActionResult(
                {
                    field: [
                        {"InstanceId": i.id, "CurrentState": i._state, "PreviousState": previous}
                        for i, previous in changed
                    ]
                }
            )

        return answer

    from moto.core.responses import ActionResult as _ActionResult

    around(EC2Response, "terminate_instances")(change("TerminatingInstances", "terminate_instances"))
    around(EC2Response, "stop_instances")(change("StoppingInstances", "stop_instances"))
    around(EC2Response, "start_instances")(change("StartingInstances", "start_instances"))

    @around(InstanceBackend, "terminate_instances")
    def terminate_instances(original, self, instance_ids):
        # All or nothing, as on AWS: a protected one among them keeps the others too.
        for instance in self.get_multi_instances_by_id(instance_ids):
            if instance.disable_api_termination in (True, "true"):
                refuse(
                    "OperationNotPermitted",
                    f"The instance '{instance.id}' may not be terminated. Modify its 'disableApiTermination' "
                    "instance attribute and try again.",
                )
        return original(self, instance_ids)

    # A terminated instance has neither addresses nor interfaces any more.
    def first_nic(name: str):
        return property(lambda self: getattr(self.nics[0], name) if self.nics else None)

    for owner_name, nic_name in (
        ("private_ip", "private_ip_address"),
        ("private_ip_address", "private_ip_address"),
        ("public_ip", "public_ip"),
        ("public_ip_address", "public_ip"),
    ):
        setattr(Instance, owner_name, first_nic(nic_name))
    dns = Instance.private_dns_name.fget
    Instance.private_dns_name = property(lambda self: dns(self) if self.nics else "")


def _elastic_addresses() -> None:
    # An elastic address stays with a stopped instance; moto forgets it, and makes up another one at the start.
    def elastic(nic: NetworkInterface) -> str | None:
        return next((a.public_ip for a in nic.ec2_backend.addresses if a.eni is nic), None)

    for name in ("start", "stop"):

        @around(NetworkInterface, name)
        def keep(original, self):
            original(self)
            self.public_ip = elastic(self) or self.public_ip


def _nat_gateways() -> None:
    @around(NatGatewayBackend, "create_nat_gateway")
    def create_nat_gateway(original, self, subnet_id, allocation_id, tags=None, connectivity_type="public"):
        subnet = self.get_subnet(subnet_id)
        connectivity_type = connectivity_type or "public"
        if connectivity_type == "public" and not allocation_id:
            refuse(
                "MissingParameter",
                "The request must include the AllocationId parameter. Add the required parameter and retry the request.",
            )
        if allocation_id and self.address_by_allocation([allocation_id])[0].association_id:
            refuse("Resource.AlreadyAssociated", f"resource {allocation_id} is already associated.")
        nat = original(self, subnet_id, allocation_id, tags, connectivity_type)
        # moto takes any private address; AWS one of the subnet's.
        self.nat_gateways[nat.id].state = "pending"
        address = subnet.get_available_subnet_ip(nat._eni)
        nat.private_ip = nat._eni.private_ip_address = address
        nat._eni.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": address}]
        nat._eni.status = "in-use"
        nat._eni.interface_type = "nat_gateway"
        nat._eni.requester_managed = True
        nat._eni.description = f"Interface for NAT Gateway {nat.id}"
        nat.address_set[0]["privateIp"] = address
        _later("nat-create", "nat-available", self, nat.id)
        return nat

    @around(NatGatewayBackend, "delete_nat_gateway")
    def delete_nat_gateway(_original, self, nat_gateway_id):
        nat = self.nat_gateways.get(nat_gateway_id)
        if not nat:
            refuse("NatGatewayNotFound", f"The Nat Gateway {nat_gateway_id} was not found")
        if nat.state in ("pending", "available"):
            nat.state = "deleting"
            _later("nat-delete", "nat-deleted", self, nat.id)
        elif nat.state == "failed":
            nat.state = "deleted"
        return nat

    @around(NatGatewayBackend, "describe_nat_gateways")
    def describe_nat_gateways(_original, self, filters, nat_gateway_ids):
        from moto.ec2.utils import generic_filter

        for wanted in nat_gateway_ids or []:
            if wanted not in self.nat_gateways:
                refuse("NatGatewayNotFound", f"The Nat Gateway {wanted} was not found")
        found = [n for n in self.nat_gateways.values() if not nat_gateway_ids or n.id in nat_gateway_ids]
        renamed = {("id" if name == "nat-gateway-id" else name): values for name, values in (filters or {}).items()}
        return generic_filter(renamed, found)
