"""GetAccountAuthorizationDetails as AWS gives it: one call that holds the whole of IAM.

moto answers with all 1,500 AWS-managed policies and their documents (megabytes, and seconds to write),
ignores MaxItems and leaves tags and profiles out of some entries. AWS lists the managed policies that
are attached, in pages over the entities in one order.
"""

from __future__ import annotations

from urllib.parse import quote

from moto.core.responses import ActionResult
from moto.iam.exceptions import ValidationError
from moto.iam.models import AWSManagedPolicy
from moto.iam.responses import IamResponse

from infra_local.hooks import around

_KINDS = {"User": "UserDetailList", "Group": "GroupDetailList", "Role": "RoleDetailList", "Policy": "Policies"}


def install() -> None:
    @around(IamResponse, "get_account_authorization_details")
    def details(_original, self):
        wanted = set(self._get_param("Filter", []))
        limit, marker = int(self._get_param("MaxItems") or 100), self._get_param("Marker")
        if not 1 <= limit <= 1000:
            raise ValidationError("1 validation error detected: Value at 'maxItems' failed to satisfy constraint")
        rows = list(_rows(self.backend, wanted))
        start = int(marker) if marker and marker.isdigit() else 0
        result: dict = {field: [] for field in _KINDS.values()}
        for kind, thing in rows[start : start + limit]:
            result[_KINDS[kind]].append(_SHOWN[kind](self.backend, thing))
        result["IsTruncated"] = len(rows) > start + limit
        if result["IsTruncated"]:
            result["Marker"] = str(start + limit)
        return ActionResult(result)


def _rows(backend, wanted: set[str]):
    if not wanted or "User" in wanted:
        yield from (("User", u) for u in backend.users.values())
    if not wanted or "Group" in wanted:
        yield from (("Group", g) for g in backend.groups.values())
    if not wanted or "Role" in wanted:
        yield from (("Role", r) for r in backend.roles.values())
    for policy in backend.managed_policies.values():
        of_aws = isinstance(policy, AWSManagedPolicy)
        if of_aws and policy.attachment_count < 1:
            continue
        if not wanted or ("AWSManagedPolicy" if of_aws else "LocalManagedPolicy") in wanted:
            yield "Policy", policy


def _inline(owner) -> list[dict]:
    return [{"PolicyName": n, "PolicyDocument": quote(d)} for n, d in owner.policies.items()]


def _attached(owner) -> list[dict]:
    return [{"PolicyName": p.name, "PolicyArn": p.arn} for p in owner.managed_policies.values()]


def _boundary(owner) -> dict:
    boundary = getattr(owner, "permissions_boundary_arn", None) or getattr(owner, "permissions_boundary", None)
    if not isinstance(boundary, str) or not boundary:
        return {}
    return {"PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}}


def _user(_backend, user) -> dict:
    return {
        "Path": user.path, "UserName": user.name, "UserId": user.id, "Arn": user.arn, "CreateDate": user.create_date,
        "UserPolicyList": _inline(user), "GroupList": user.group_list, "AttachedManagedPolicies": _attached(user),
        "Tags": user.tags or [], **_boundary(user),
    }  # fmt: skip


def _group(_backend, group) -> dict:
    return {
        "Path": group.path, "GroupName": group.name, "GroupId": group.id, "Arn": group.arn,
        "CreateDate": group.create_date, "GroupPolicyList": _inline(group), "AttachedManagedPolicies": _attached(group),
    }  # fmt: skip


def _role(backend, role) -> dict:
    profiles = [p for p in backend.instance_profiles.values() if any(r.name == role.name for r in p.roles)]
    return {
        "Path": role.path, "RoleName": role.name, "RoleId": role.id, "Arn": role.arn, "CreateDate": role.create_date,
        "AssumeRolePolicyDocument": quote(role.assume_role_policy_document or ""),
        "InstanceProfileList": [_profile(p) for p in profiles], "RolePolicyList": _inline(role),
        "AttachedManagedPolicies": _attached(role), "Tags": list(role.tags or []), "RoleLastUsed": {}, **_boundary(role),
    }  # fmt: skip


def _profile(profile) -> dict:
    return {
        "Path": profile.path, "InstanceProfileName": profile.name, "InstanceProfileId": profile.id, "Arn": profile.arn,
        "CreateDate": profile.create_date, "Tags": list(profile.tags or []),
        "Roles": [
            {
                "Path": r.path, "RoleName": r.name, "RoleId": r.id, "Arn": r.arn, "CreateDate": r.create_date,
                "AssumeRolePolicyDocument": quote(r.assume_role_policy_document or ""),
            }
            for r in profile.roles
        ],
    }  # fmt: skip


def _policy(_backend, policy) -> dict:
    # AWS gives no tags here: ListPolicyTags does.
    return {
        "PolicyName": policy.name, "PolicyId": policy.id, "Arn": policy.arn, "Path": policy.path,
        "DefaultVersionId": policy.default_version_id, "AttachmentCount": policy.attachment_count,
        "PermissionsBoundaryUsageCount": 0, "IsAttachable": True, "Description": policy.description or None,
        "CreateDate": policy.create_date, "UpdateDate": policy.update_date, "PolicyVersionList": policy.policy_version_list,
    }  # fmt: skip


_SHOWN = {"User": _user, "Group": _group, "Role": _role, "Policy": _policy}
