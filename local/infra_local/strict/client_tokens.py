"""ClientToken: one token makes one object, however often the call is sent.

AWS remembers the token with the parameters: the same call again answers with the object of the first
one, other parameters are an IdempotentParameterMismatch. moto makes a second object.
"""

from __future__ import annotations

import json

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.ec2.responses import EC2Response

from infra_local.hooks import around, refuse

# operation -> (field of the answer, where the backend keeps the objects)
_KEPT = {
    "run_instances": (None, "reservations"),
    "create_nat_gateway": ("NatGateway", "nat_gateways"),
    "create_route_table": ("RouteTable", "route_tables"),
    "create_vpc_endpoint": ("VpcEndpoint", "vpc_end_points"),
    "create_volume": (None, "volumes"),
    "create_network_interface": ("NetworkInterface", "enis"),
    "create_network_acl": ("NetworkAcl", "network_acls"),
}
# (account, region, operation, token) -> (fingerprint of the parameters, the object's id)
_tokens: dict[tuple[str, str, str, str], tuple[str, str]] = {}


def _fingerprint(params) -> str:
    given = params.original_dict() if hasattr(params, "original_dict") else dict(params)
    return json.dumps(
        {k: v for k, v in given.items() if k not in ("ClientToken", "DryRun")}, sort_keys=True, default=str
    )


def install() -> None:
    for operation, (field, store) in _KEPT.items():
        _remember(operation, field, store)


def _remember(operation: str, field: str | None, store: str) -> None:
    @around(EC2Response, operation)
    def idempotent(original, self):
        token = self._get_param("ClientToken")
        if not token or self._get_param("DryRun"):
            return original(self)
        if len(token) > 64:
            refuse("InvalidParameterValue", "Invalid client token: up to 64 ASCII characters.")
        key = (self.current_account, self.region, operation, token)
        fingerprint = _fingerprint(self.params)
        if key in _tokens:
            known, object_id = _tokens[key]
            kept = getattr(ec2_backends[self.current_account][self.region], store).get(object_id)
            if kept is not None:
                if known != fingerprint:
                    refuse(
                        "IdempotentParameterMismatch",
                        f"Arguments on this idempotent request are inconsistent with arguments used in previous request(s). [{token}]",
                    )
                return ActionResult({field: kept} if field else kept)
        result = original(self)
        made = result.result[field] if field else result.result
        made_id = made["id"] if isinstance(made, dict) else made.id
        _tokens[key] = (fingerprint, made_id)
        if hasattr(made, "__dict__") and not hasattr(made, "client_token"):
            made.client_token = token
        return result


def dump() -> dict:
    return dict(_tokens)


def load(saved: dict) -> None:
    _tokens.clear()
    _tokens.update(saved)


def reset() -> None:
    _tokens.clear()
