"""IAM: deletes that conflict, documents that are malformed, quotas, and service-linked names."""

from __future__ import annotations

import fnmatch
import json
from urllib.parse import unquote

from moto.core.responses import ActionResult
from moto.iam import models
from moto.iam.exceptions import DeleteConflictException, IAMException, LimitExceededException, MalformedPolicyDocument
from moto.iam.models import IAMBackend
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator
from moto.iam.responses import IamResponse

from infra_local.hooks import around

_ATTACHMENTS = 10
_INLINE = {"role": 10240, "user": 2048, "group": 5120}
# Services whose linked role is not AWSServiceRoleFor<service>.
_LINKED = {"elasticmapreduce": "EMRCleanup", "spot": "EC2Spot"}


def conflict(what: str) -> None:
    raise DeleteConflictException(f"Cannot delete entity, must {what} first.")


def install() -> None:
    models.SERVICE_NAME_CONVERSION.update(_LINKED)
    _deletes()
    _documents()
    _quotas()

    around(IamResponse, "simulate_principal_policy")(_simulate)


def _deletes() -> None:
    @around(IAMBackend, "delete_user")
    def delete_user(original, self, user_name):
        user = self.get_user(user_name)
        if user.access_keys:
            conflict("delete access keys")
        if user.password:
            conflict("delete login profile")
        if any(user in group.users for group in self.groups.values()):
            conflict("remove users from group")
        if user.mfa_devices:
            conflict("delete MFA device")
        if user.signing_certificates:
            conflict("delete signing certificates")
        return original(self, user_name)

    @around(IAMBackend, "delete_group")
    def delete_group(original, self, group_name):
        group = self.get_group(group_name)
        if group.users:
            conflict("remove users from group")
        if group.managed_policies:
            conflict("detach all policies")
        if group.policies:
            conflict("delete policies")
        return original(self, group_name)

    @around(IAMBackend, "delete_policy")
    def delete_policy(original, self, policy_arn):
        policy = self.get_policy(policy_arn)
        if policy_arn.startswith("arn:aws:iam::aws:"):
            raise IAMException("AccessDenied", "Policy is outside your own account.")
        if policy.attachment_count > 0:
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise DeleteConflictException(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        return original(self, policy_arn)


def _documents() -> None:
    @around(IAMBackend, "create_role")
    def create_role(original, self, role_name, assume_role_policy_document, *args, **kwargs):
        _check_trust(self, assume_role_policy_document)
        return original(self, role_name, assume_role_policy_document, *args, **kwargs)

    @around(IAMBackend, "update_assume_role_policy")
    def update_assume_role_policy(original, self, role_name, policy_document):
        self.get_role(role_name)
        _check_trust(self, policy_document)
        return original(self, role_name, policy_document)


def _check_trust(backend: IAMBackend, document: str) -> None:
    try:
        parsed = json.loads(document)
    except ValueError:
        raise MalformedPolicyDocument("This policy contains invalid Json") from None
    IAMTrustPolicyDocumentValidator(document).validate()
    # AWS resolves the principals of its own account when the document is stored.
    statements = parsed.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        named = principal.get("AWS", []) if isinstance(principal, dict) else []
        for arn in [named] if isinstance(named, str) else named:
            if arn.startswith(f"arn:aws:iam::{backend.account_id}:") and not _exists(backend, arn):
                raise MalformedPolicyDocument(f'Invalid principal in policy: "AWS":"{arn}"')


def _exists(backend: IAMBackend, arn: str) -> bool:
    kind = arn.split(":")[5].split("/")[0]
    if kind == "user":
        return any(u.arn == arn for u in backend.users.values())
    if kind == "role":
        return any(r.arn == arn for r in backend.roles.values())
    return kind == "root"


def _quotas() -> None:
    for kind in ("role", "user", "group"):
        _quota_of(kind)


def _quota_of(kind: str) -> None:
    @around(IAMBackend, f"attach_{kind}_policy")
    def attach(original, self, policy_arn, name):
        owner = getattr(self, f"get_{kind}")(name)
        if policy_arn not in owner.managed_policies and len(owner.managed_policies) >= _ATTACHMENTS:
            raise LimitExceededException(f"Cannot exceed quota for PoliciesPer{kind.capitalize()}: {_ATTACHMENTS}")
        return original(self, policy_arn, name)

    @around(IAMBackend, f"put_{kind}_policy")
    def put(original, self, name, policy_name, policy_json):
        owner = getattr(self, f"get_{kind}")(name)
        others = sum(len("".join(d.split())) for n, d in owner.policies.items() if n != policy_name)
        if others + len("".join(policy_json.split())) > _INLINE[kind]:
            raise LimitExceededException(f"Maximum policy size of {_INLINE[kind]} bytes exceeded for {kind} {name}")
        return original(self, name, policy_name, policy_json)


def documents_of(backend: IAMBackend, arn: str) -> list[dict]:
    """Every identity policy of a user or role, parsed."""
    for owner in [*backend.users.values(), *backend.roles.values()]:
        if owner.arn == arn:
            attached = [v.document for p in owner.managed_policies.values() for v in p.versions if v.is_default]
            return [_parse(d) for d in [*owner.policies.values(), *attached]]
    raise IAMException("NoSuchEntity", f"The principal {arn} does not exist.")


def _parse(document: str) -> dict:
    return json.loads(document if document.lstrip().startswith("{") else unquote(document))


def decide(documents: list[dict], action: str, resource: str) -> str:
    """allowed, explicitDeny or implicitDeny; conditions are taken as met."""
    decision = "implicitDeny"
    for document in documents:
        statements = document.get("Statement", [])
        for statement in statements if isinstance(statements, list) else [statements]:
            if not _covers(statement, "Action", action.lower()) or not _covers(statement, "Resource", resource):
                continue
            if statement["Effect"] == "Deny":
                return "explicitDeny"
            decision = "allowed"
    return decision


def _covers(statement: dict, field: str, value: str) -> bool:
    def matches(patterns) -> bool:
        patterns = [patterns] if isinstance(patterns, str) else patterns
        if field == "Action":
            patterns = [p.lower() for p in patterns]
        return any(p == "*" or fnmatch.fnmatchcase(value, p) for p in patterns)

    if f"Not{field}" in statement:
        return not matches(statement[f"Not{field}"])
    return matches(statement.get(field, []))


def _simulate(_original, response) -> ActionResult:
    documents = documents_of(response.backend, response._get_param("PolicySourceArn"))
    documents += [_parse(d) for d in response._get_param("PolicyInputList", [])]
    resources = response._get_param("ResourceArns", []) or ["*"]
    results = [
        {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": decide(documents, action, resource),
            "MatchedStatements": [],
            "MissingContextValues": [],
        }
        for action in response._get_param("ActionNames", [])
        for resource in resources
    ]
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})
