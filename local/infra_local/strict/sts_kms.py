"""STS and KMS: trust policies that count, and keys that may be named by ARN."""

from __future__ import annotations

import json

from moto.core.exceptions import JsonRESTError
from moto.iam.models import iam_backends
from moto.kms.models import KmsBackend
from moto.kms.responses import KmsResponse
from moto.sts.exceptions import STSClientError
from moto.sts.responses import TokenResponse

from infra_local.hooks import around


def install() -> None:
    _sts()
    _kms()


def _sts() -> None:
    @around(TokenResponse, "assume_role")
    def assume_role(original, self):
        arn = self._get_param("RoleArn")
        account = arn.split(":")[4]
        caller = self.backend.get_caller_identity(self.access_key, region=self.region)[1]
        roles = iam_backends[account][self.partition].roles.values()
        role = next((r for r in roles if r.arn == arn), None)
        if not role or not _trusts(role, caller, self.current_account):
            raise STSClientError(
                "AccessDenied", f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}"
            )
        return original(self)


def _trusts(role, caller: str, account: str) -> bool:
    """Whether a trust policy lets this caller in; without credentials of a user the caller is the account."""
    accepted = {"*", account, f"arn:aws:iam::{account}:root", caller}
    statements = json.loads(role.assume_role_policy_document).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        actions = statement.get("Action", [])
        actions = [actions] if isinstance(actions, str) else actions
        if statement.get("Effect") != "Allow" or not {"sts:AssumeRole", "sts:*", "*"} & set(actions):
            continue
        principal = statement.get("Principal", {})
        named = principal if isinstance(principal, str) else principal.get("AWS", [])
        if accepted & set([named] if isinstance(named, str) else named):
            return True
    return False


def _kms() -> None:
    @around(KmsResponse, "schedule_key_deletion")
    def schedule_key_deletion(original, self):
        key = _key(self, self._get_param("KeyId"))
        if key is not None and key.key_state == "PendingDeletion":
            raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
        answer = json.loads(original(self))
        if key is not None:
            answer["KeyId"] = key.arn  # AWS answers with the ARN, whatever it was asked with
            answer["KeyState"] = "PendingDeletion"
            answer["PendingWindowInDays"] = int(self._get_param("PendingWindowInDays") or 30)
        return json.dumps(answer)

    for name in ("schedule_key_deletion", "cancel_key_deletion", "enable_key", "disable_key"):
        _by_arn(name)

    for name in ("create_alias", "update_alias", "enable_key_rotation", "disable_key_rotation", "put_key_policy"):
        _not_pending(name)


def _key(response, key_id: str):
    backend = response.kms_backend
    try:
        return backend.keys.get(backend.any_id_to_key_id(key_id))
    except Exception:  # an alias of nothing: the operation itself says so
        return None


def _by_arn(name: str) -> None:
    @around(KmsBackend, name)
    def resolved(original, self, key_id, *args, **kwargs):
        return original(self, self.any_id_to_key_id(key_id), *args, **kwargs)


def _not_pending(name: str) -> None:
    @around(KmsResponse, name)
    def refused(original, self):
        key = _key(self, self._get_param("TargetKeyId") or self._get_param("KeyId"))
        if key is not None and key.key_state == "PendingDeletion":
            raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
        return original(self)
