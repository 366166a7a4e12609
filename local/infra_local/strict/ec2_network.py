"""Network calls that moto accepts or answers differently: endpoints, associations, addresses, groups."""

from __future__ import annotations

from moto.core.responses import ActionResult
from moto.ec2.models.elastic_ip_addresses import ElasticAddressBackend
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.vpcs import VPCBackend, VPCEndPoint
from moto.ec2.responses import EC2Response

from infra_local.hooks import around, refuse

_SERVICES = (
    "s3", "dynamodb", "ec2", "ec2messages", "ssm", "ssmmessages", "sts", "kms", "logs", "monitoring", "sns", "sqs",
    "elasticmapreduce", "glue", "athena", "secretsmanager", "ecr.api", "ecr.dkr", "ecs", "lambda", "execute-api",
    "elasticloadbalancing", "autoscaling", "cloudformation", "kinesis-streams", "events", "rds", "sagemaker.api",
)  # fmt: skip
_GATEWAYS = ("s3", "dynamodb")


def install() -> None:
    _endpoints()
    _route_tables()
    _addresses()
    _groups()


def _endpoints() -> None:
    @around(VPCBackend, "create_vpc_endpoint")
    def create_vpc_endpoint(
        original, self, vpc_id, service_name, endpoint_type, policy_document, route_table_ids, **kwargs
    ):
        prefix = f"com.amazonaws.{self.region_name}."
        service = service_name[len(prefix) :] if str(service_name).startswith(prefix) else None
        endpoint_type = endpoint_type or "Gateway"
        if service not in _SERVICES or (endpoint_type == "Gateway" and service not in _GATEWAYS):
            refuse("InvalidServiceName", f"The Vpc Endpoint Service '{service_name}' does not exist")
        for table_id in route_table_ids or []:
            table = self.route_tables.get(table_id)
            if not table:
                refuse("InvalidRouteTableId.NotFound", f"The routeTable ID '{table_id}' does not exist")
            if table.vpc_id != vpc_id:
                refuse("InvalidParameter", f"Route table {table_id} belongs to a different network")
            if endpoint_type == "Gateway" and self._endpoint_of(table_id, service_name):
                refuse(
                    "RouteAlreadyExists", f"route table {table_id} already has a route with destination-prefix-list-id"
                )
        return original(self, vpc_id, service_name, endpoint_type, policy_document, route_table_ids, **kwargs)

    def endpoint_of(self, table_id: str, service_name: str):
        return next(
            (
                e
                for e in self.vpc_end_points.values()
                if e.service_name == service_name and e.state != "deleted" and table_id in (e.route_table_ids or [])
            ),
            None,
        )

    VPCBackend._endpoint_of = endpoint_of

    @around(VPCEndPoint, "modify")
    def modify(original, self, policy_doc, add_subnets, remove_subnets, add_route_tables, remove_route_tables, *groups):
        original(self, policy_doc, add_subnets, remove_subnets, add_route_tables, remove_route_tables, *groups)
        # A gateway endpoint is routes: moto changes the list and leaves the tables as they were.
        for table_id in remove_route_tables or []:
            _drop_routes(self.ec2_backend, table_id, self.id)
        for table_id in add_route_tables or []:
            table = self.ec2_backend.get_route_table(table_id)
            if not any(r.gateway and getattr(r.gateway, "id", None) == self.id for r in table._routes.values()):
                self.ec2_backend.create_route(
                    table_id, None, gateway_id=self.id, destination_prefix_list_id=self.destination_prefix_list_id
                )

    @around(VPCBackend, "delete_vpc_endpoints")
    def delete_vpc_endpoints(_original, self, vpce_ids=None):
        for endpoint_id in vpce_ids or []:
            endpoint = self.vpc_end_points.get(endpoint_id)
            if not endpoint:
                continue
            for eni_id in endpoint.network_interface_ids or []:
                self.enis.pop(eni_id, None)
            for table_id in endpoint.route_table_ids or []:
                _drop_routes(self, table_id, endpoint.id)
            self.vpc_end_points.pop(endpoint_id)
            self.tags.pop(endpoint_id, None)

    @around(EC2Response, "delete_vpc_endpoints")
    def answer(_original, self):
        # AWS answers 200 and names those it could not delete.
        ids = self._get_param("VpcEndpointIds", [])
        unknown = [i for i in ids if i not in self.ec2_backend.vpc_end_points]
        self.ec2_backend.delete_vpc_endpoints(vpce_ids=ids)
        return ActionResult(
            {
                "Unsuccessful": [
                    {
                        "ResourceId": i,
                        "Error": {
                            "Code": "InvalidVpcEndpoint.NotFound",
                            "Message": f"The Vpc Endpoint Id '{i}' does not exist",
                        },
                    }
                    for i in unknown
                ]
            }
        )


def _drop_routes(backend, table_id: str, endpoint_id: str) -> None:
    table = backend.route_tables.get(table_id)
    if not table:
        return
    for route_id, route in list(table._routes.items()):
        if route.gateway is not None and getattr(route.gateway, "id", None) == endpoint_id:
            table._routes.pop(route_id)


def _route_tables() -> None:
    @around(EC2Response, "associate_route_table")
    def associate_route_table(original, self):
        backend, table_id, subnet_id = self.ec2_backend, self._get_param("RouteTableId"), self._get_param("SubnetId")
        table = backend.get_route_table(table_id)
        if subnet_id:
            subnet = backend.get_subnet(subnet_id)
            if subnet.vpc_id != table.vpc_id:
                refuse(
                    "InvalidParameterValue",
                    f"Route table {table_id} and subnet {subnet_id} belong to different networks",
                )
            for other in backend.route_tables.values():
                if other.id != table_id and subnet_id in other._associations.values():
                    refuse(
                        "Resource.AlreadyAssociated",
                        f"the specified association for route table {table_id} conflicts with an existing association",
                    )
        return original(self)

    @around(EC2Response, "create_route")
    def create_route(original, self):
        backend, gateway_id, nat_id = self.ec2_backend, self._get_param("GatewayId"), self._get_param("NatGatewayId")
        table = backend.get_route_table(self._get_param("RouteTableId"))
        if gateway_id and gateway_id.startswith("igw-"):
            gateway = backend.internet_gateways.get(gateway_id)
            if not gateway:
                refuse("InvalidGatewayID.NotFound", f"The gateway ID '{gateway_id}' does not exist")
            if not gateway.vpc or gateway.vpc.id != table.vpc_id:
                refuse(
                    "InvalidParameterValue",
                    f"route table {table.id} and network gateway {gateway_id} belong to different networks",
                )
        if nat_id:
            nat = backend.nat_gateways.get(nat_id)
            if not nat or nat.state in ("deleting", "deleted", "failed"):
                refuse("InvalidNatGatewayID.NotFound", f"The natGateway ID '{nat_id}' does not exist")
        return original(self)


def _addresses() -> None:
    @around(EC2Response, "disassociate_address")
    def disassociate_address(original, self):
        association_id = self._get_param("AssociationId")
        address = next((a for a in self.ec2_backend.addresses if a.association_id == association_id), None)
        if association_id and address and address.eni and address.eni.interface_type == "nat_gateway":
            refuse("AuthFailure", "You do not have permission to access the specified resource.")
        return original(self)

    @around(ElasticAddressBackend, "address_by_allocation")
    def address_by_allocation(original, self, allocation_ids):
        known = {a.allocation_id for a in self.addresses}
        for wanted in allocation_ids:
            if wanted not in known:
                refuse("InvalidAllocationID.NotFound", f"The allocation ID '{wanted}' does not exist")
        return original(self, allocation_ids)


def _groups() -> None:
    @around(EC2Response, "create_security_group")
    def create_security_group(original, self):
        name = self._get_param("GroupName") or ""
        if len(name) > 255:
            refuse("InvalidParameterValue", "Invalid security group name. Constraints: up to 255 characters in length.")
        vpc_id = self._get_param("VpcId")
        if vpc_id:
            self.ec2_backend.get_vpc(vpc_id)
        tags = self._parse_tag_specification().get("security-group", {})
        result = original(self)
        result.result["Tags"] = [{"Key": k, "Value": v} for k, v in tags.items()]
        return result

    @around(SecurityGroupBackend, "create_security_group")
    def named_in_its_vpc(original, self, name, description, vpc_id=None, tags=None, force=False, is_default=None):
        # Names are unique within a VPC; moto also takes another group's id for a name.
        vpc = vpc_id or self.default_vpc.id
        if not force and any(g.name == name for g in self.groups.get(vpc, {}).values()):
            refuse("InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc}'")
        return original(self, name, description, vpc_id=vpc, tags=tags, force=True, is_default=is_default)
