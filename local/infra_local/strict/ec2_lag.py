"""Eventual consistency: a describe that does not show yet what a create has just made.

With a lag of s seconds an object made by an EC2 create is left out of describes, and asking for it by
id is NotFound, until s seconds have passed. Calls that act on the object are not affected.
"""

from __future__ import annotations

import time

from moto.iam.responses import IamResponse

from infra_local.hooks import around, refuse
from infra_local.settings import settings

_CREATES = ("Create", "Run", "Allocate", "Import", "Request", "Copy")
_NOT_FOUND = {
    "vpc": "InvalidVpcID.NotFound",
    "subnet": "InvalidSubnetID.NotFound",
    "igw": "InvalidInternetGatewayID.NotFound",
    "rtb": "InvalidRouteTableID.NotFound",
    "sg": "InvalidGroup.NotFound",
    "nat": "NatGatewayNotFound",
    "eipalloc": "InvalidAllocationID.NotFound",
    "vpce": "InvalidVpcEndpointId.NotFound",
    "i": "InvalidInstanceID.NotFound",
    "vol": "InvalidVolume.NotFound",
    "eni": "InvalidNetworkInterfaceID.NotFound",
    "key": "InvalidKeyPair.NotFound",
}
# (account, region, id) -> when a create made it
_born: dict[tuple[str, str, str], float] = {}


def born(response, operation: str, result) -> None:
    if not settings.lag or not operation.startswith(_CREATES) or operation == "CreateTags":
        return
    now = time.time()
    for object_id in _made(getattr(result, "result", None)):
        _born[response.current_account, response.region, object_id] = now


def _made(contents) -> list[str]:
    if hasattr(contents, "instances"):
        return [i.id for i in contents.instances]
    if isinstance(contents, dict):
        ids = [v.id for v in contents.values() if hasattr(v, "id")]
        return ids + [
            v for k, v in contents.items() if k in ("AllocationId", "GroupId", "KeyPairId") and isinstance(v, str)
        ]
    return [contents.id] if hasattr(contents, "id") else []


def hidden(account: str, region: str) -> set[str]:
    """The ids that must not be seen yet."""
    if not _born:
        return set()
    limit = time.time() - settings.lag
    for key in [k for k, when in _born.items() if when <= limit]:
        del _born[key]
    return {object_id for a, r, object_id in _born if a == account and r == region}


def hide(response, result) -> None:
    invisible = hidden(response.current_account, response.region)
    contents = getattr(result, "result", None)
    if not invisible or not isinstance(contents, dict):
        return
    for field, rows in contents.items():
        if not isinstance(rows, (list, tuple)):
            continue
        kept = []
        for row in rows:
            if hasattr(row, "instances"):
                import copy

                row = copy.copy(row)
                row.instances = [i for i in row.instances if i.id not in invisible]
                if row.instances:
                    kept.append(row)
            elif _id(row) not in invisible:
                kept.append(row)
        contents[field] = kept
    for value in list(response.params.values()):
        if isinstance(value, list):
            for wanted in value:
                if isinstance(wanted, str) and wanted in invisible:
                    code = _NOT_FOUND.get(wanted.split("-")[0], "InvalidID.NotFound")
                    refuse(code, f"The ID '{wanted}' does not exist")


def _id(row) -> str | None:
    if isinstance(row, dict):
        return row.get("ResourceId") or row.get("resource_id")
    return getattr(row, "id", None) or getattr(row, "allocation_id", None)


def profile_unknown(account: str, name: str) -> bool:
    """IAM's changes take a while to reach EC2 and EMR: a new profile is invalid there until then."""
    when = _born.get((account, "iam", name))
    return when is not None and time.time() < when + settings.lag


def _profiles() -> None:
    @around(IamResponse, "create_instance_profile")
    def create_instance_profile(original, self):
        result = original(self)
        if settings.lag:
            _born[self.current_account, "iam", self._get_param("InstanceProfileName")] = time.time()
        return result


def install() -> None:
    _profiles()


def dump() -> dict:
    return dict(_born)


def load(saved: dict) -> None:
    _born.clear()
    _born.update(saved)


def reset() -> None:
    _born.clear()
