"""IAM: conflicts on delete, documents, quotas, and the one call that shows everything."""

from __future__ import annotations

import json

import pytest
from conftest import READ, as_dict, passes_on_stock, refused, tags, trust

AWS_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonElasticMapReduceforEC2Role"


@pytest.fixture
def role(aws, name):
    return aws.iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"), Tags=tags(stack=name)
    )["Role"]


@pytest.fixture
def policy(aws, name):
    return aws.iam.create_policy(PolicyName=name, PolicyDocument=READ, Tags=tags(stack=name))["Policy"]["Arn"]


@passes_on_stock
def test_role_reads_back(aws, role, name):
    found = aws.iam.get_role(RoleName=name)["Role"]
    assert isinstance(found["AssumeRolePolicyDocument"], dict) and as_dict(found["Tags"]) == {"stack": name}
    with refused("EntityAlreadyExists"):
        aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    with refused("NoSuchEntity"):
        aws.iam.get_role(RoleName=name + "x")


def test_trust_policy_must_be_json(aws, name):
    with refused("MalformedPolicyDocument"):
        aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument="{not json")


def test_trust_policy_names_principals_that_exist(aws, role, name):
    account = role["Arn"].split(":")[4]
    document = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:user/nobody-{name}"}, "Action": "sts:AssumeRole",
    }]}  # fmt: skip
    with refused("MalformedPolicyDocument"):
        aws.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))


@passes_on_stock
def test_aws_managed_policies_exist(aws, role, name):
    aws.iam.attach_role_policy(RoleName=name, PolicyArn=AWS_POLICY)
    assert [p["PolicyArn"] for p in aws.iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]] == [
        AWS_POLICY
    ]
    with refused("NoSuchEntity"):
        aws.iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/NoSuch")


@passes_on_stock
def test_inline_policy_and_versions(aws, role, policy, name):
    aws.iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=READ)
    assert aws.iam.get_role_policy(RoleName=name, PolicyName="inline")["PolicyDocument"] == json.loads(READ)
    for _ in range(4):
        aws.iam.create_policy_version(PolicyArn=policy, PolicyDocument=READ)
    with refused("LimitExceeded"):
        aws.iam.create_policy_version(PolicyArn=policy, PolicyDocument=READ)
    with refused("MalformedPolicyDocument"):
        aws.iam.create_policy(PolicyName=name + "x", PolicyDocument='{"Statement": "x"}')


def test_attached_policy_stays(aws, role, policy, name):
    aws.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    with refused("DeleteConflict"):
        aws.iam.delete_policy(PolicyArn=policy)
    aws.iam.detach_role_policy(RoleName=name, PolicyArn=policy)
    aws.iam.delete_policy(PolicyArn=policy)


def test_policy_with_versions_stays(aws, policy):
    made = aws.iam.create_policy_version(PolicyArn=policy, PolicyDocument=READ)["PolicyVersion"]["VersionId"]
    with refused("DeleteConflict"):
        aws.iam.delete_policy(PolicyArn=policy)
    aws.iam.delete_policy_version(PolicyArn=policy, VersionId=made)
    aws.iam.delete_policy(PolicyArn=policy)


@passes_on_stock
def test_role_in_use_stays(aws, role, name):
    aws.iam.create_instance_profile(InstanceProfileName=name)
    aws.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    with refused("DeleteConflict"):
        aws.iam.delete_role(RoleName=name)
    with refused("DeleteConflict"):
        aws.iam.delete_instance_profile(InstanceProfileName=name)
    with refused("LimitExceeded"):
        aws.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)


def test_user_with_keys_or_groups_stays(aws, name):
    aws.iam.create_user(UserName=name)
    key = aws.iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    with refused("DeleteConflict") as refusal:
        aws.iam.delete_user(UserName=name)
    assert "must delete access keys first" in refusal.message
    aws.iam.delete_access_key(UserName=name, AccessKeyId=key)
    aws.iam.create_group(GroupName=name)
    aws.iam.add_user_to_group(GroupName=name, UserName=name)
    for delete in (lambda: aws.iam.delete_user(UserName=name), lambda: aws.iam.delete_group(GroupName=name)):
        with refused("DeleteConflict"):
            delete()
    aws.iam.remove_user_from_group(GroupName=name, UserName=name)
    aws.iam.delete_group(GroupName=name)
    aws.iam.delete_user(UserName=name)


@passes_on_stock
def test_user_keys(aws, cloud, name):
    aws.iam.create_user(UserName=name, Path="/infra/", Tags=tags(stack=name))
    made = aws.iam.create_access_key(UserName=name)["AccessKey"]
    aws.iam.create_access_key(UserName=name)
    with refused("LimitExceeded"):
        aws.iam.create_access_key(UserName=name)
    who = cloud.client("sts", account=made["AccessKeyId"], secret=made["SecretAccessKey"]).get_caller_identity()
    assert who["Arn"].endswith(f"/{name}") and as_dict(aws.iam.list_user_tags(UserName=name)["Tags"]) == {"stack": name}


@passes_on_stock
def test_list_roles_in_pages(aws, name):
    for number in range(5):
        aws.iam.create_role(
            RoleName=f"{name}-{number}", AssumeRolePolicyDocument=trust("ec2.amazonaws.com"), Path=f"/{name}/"
        )
    pages = list(aws.iam.get_paginator("list_roles").paginate(PathPrefix=f"/{name}/", PaginationConfig={"PageSize": 2}))
    assert len({r["RoleName"] for p in pages for r in p["Roles"]}) == 5 and len(pages) == 3


def test_eleventh_attachment_is_over_the_quota(aws, role, name):
    made = [aws.iam.create_policy(PolicyName=f"{name}-{n}", PolicyDocument=READ)["Policy"]["Arn"] for n in range(11)]
    for arn in made[:10]:
        aws.iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    with refused("LimitExceeded"):
        aws.iam.attach_role_policy(RoleName=name, PolicyArn=made[10])


def test_service_linked_role_and_simulation(aws, role, name):
    with_role = aws.iam.create_service_linked_role(AWSServiceName="elasticmapreduce.amazonaws.com")["Role"]
    assert with_role["RoleName"] == "AWSServiceRoleForEMRCleanup"
    aws.iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=READ)
    found = aws.iam.simulate_principal_policy(
        PolicySourceArn=role["Arn"], ActionNames=["s3:GetObject", "ec2:RunInstances"]
    )
    assert [r["EvalDecision"] for r in found["EvaluationResults"]] == ["allowed", "implicitDeny"]


def details(aws, **kwargs) -> dict:
    pages = list(aws.iam.get_paginator("get_account_authorization_details").paginate(**kwargs))
    fields = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    return {"pages": len(pages), **{f: [row for page in pages for row in page.get(f, [])] for f in fields}}


def test_account_authorization_details_hold_everything(aws, role, policy, name):
    aws.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    aws.iam.attach_role_policy(RoleName=name, PolicyArn=AWS_POLICY)
    aws.iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=READ)
    aws.iam.create_instance_profile(InstanceProfileName=name, Tags=tags(stack=name))
    aws.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    aws.iam.create_user(UserName=name, Tags=tags(stack=name))
    aws.iam.attach_user_policy(UserName=name, PolicyArn=policy)
    found = details(aws, PaginationConfig={"PageSize": 3})
    assert found["pages"] > 1
    shown = next(r for r in found["RoleDetailList"] if r["RoleName"] == name)
    assert as_dict(shown["Tags"]) == {"stack": name}
    assert shown["AssumeRolePolicyDocument"] == json.loads(trust("ec2.amazonaws.com"))
    assert shown["RolePolicyList"] == [{"PolicyName": "inline", "PolicyDocument": json.loads(READ)}]
    assert {p["PolicyArn"] for p in shown["AttachedManagedPolicies"]} == {policy, AWS_POLICY}
    assert [(p["InstanceProfileName"], as_dict(p["Tags"])) for p in shown["InstanceProfileList"]] == [
        (name, {"stack": name})
    ]
    user = next(u for u in found["UserDetailList"] if u["UserName"] == name)
    assert as_dict(user["Tags"]) == {"stack": name} and [p["PolicyArn"] for p in user["AttachedManagedPolicies"]] == [
        policy
    ]
    shown_policy = next(p for p in found["Policies"] if p["Arn"] == policy)
    assert shown_policy["PolicyVersionList"][0]["Document"] == json.loads(READ) and shown_policy["AttachmentCount"] == 2
    assert len(found["Policies"]) < 100  # the attached ones of AWS, not all 1,500


@passes_on_stock
def test_account_authorization_details_filter(aws, role, policy):
    found = details(aws, Filter=["Role"])
    assert found["RoleDetailList"] and not found["UserDetailList"] and not found["Policies"]
    found = details(aws, Filter=["LocalManagedPolicy"])
    assert not found["RoleDetailList"] and all(":aws:policy" not in p["Arn"] for p in found["Policies"])
