"""KMS keys and aliases; STS and who may assume what; accounts; the tagging API."""

from __future__ import annotations

import json

import pytest
from conftest import READ, passes_on_stock, refused, tagged, tags, trust


@pytest.fixture
def key(aws, name):
    return aws.kms.create_key(Tags=[{"TagKey": "stack", "TagValue": name}])["KeyMetadata"]["Arn"]


@passes_on_stock
def test_key_alias_rotation(aws, key, name):
    aws.kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
    assert aws.kms.describe_key(KeyId=f"alias/{name}")["KeyMetadata"]["Arn"] == key
    aws.kms.enable_key_rotation(KeyId=key)
    assert aws.kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    with refused("AlreadyExistsException"):
        aws.kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)


def test_key_scheduled_for_deletion_by_arn(aws, key, name):
    aws.kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=key)
    answer = aws.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert answer["KeyId"] == key and answer["KeyState"] == "PendingDeletion"
    assert aws.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert any(a["AliasName"] == f"alias/{name}" for a in aws.kms.list_aliases(KeyId=key)["Aliases"])
    for call in (
        lambda: aws.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7),
        lambda: aws.kms.create_alias(AliasName=f"alias/{name}-2", TargetKeyId=key),
        lambda: aws.kms.enable_key_rotation(KeyId=key),
    ):
        with refused("KMSInvalidStateException"):
            call()
    aws.kms.cancel_key_deletion(KeyId=key)
    assert aws.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"


def test_trust_policy_decides_who_assumes(aws, cloud, name):
    role = aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))["Role"]["Arn"]
    with refused("AccessDenied"):
        aws.sts.assume_role(RoleArn=role, RoleSessionName="test")
    with refused("AccessDenied"):
        aws.sts.assume_role(RoleArn=role + "-absent", RoleSessionName="test")
    account = aws.sts.get_caller_identity()["Account"]
    document = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
    ]}  # fmt: skip
    aws.iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))
    given = aws.sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    as_role = cloud.client(
        "sts", account=given["AccessKeyId"], secret=given["SecretAccessKey"], token=given["SessionToken"]
    )
    assert f"assumed-role/{name}" in as_role.get_caller_identity()["Arn"]


def test_twelve_digits_are_an_account(aws, cloud, name):
    aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    assert cloud.client("sts", account="111122223333").get_caller_identity()["Account"] == "111122223333"
    assert name not in [r["RoleName"] for r in cloud.client("iam", account="111122223333").list_roles()["Roles"]]


def test_tagging_api_sees_every_kind(aws, cloud, network, name):
    aws.ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip", stack=name))
    aws.ec2.create_key_pair(KeyName=name, TagSpecifications=tagged("key-pair", stack=name))
    aws.iam.create_policy(PolicyName=name, PolicyDocument=READ, Tags=tags(stack=name))
    mine = [{"Key": "stack", "Values": [name]}]

    def arns(client) -> str:
        pages = client.get_paginator("get_resources").paginate(TagFilters=mine)
        return " ".join(m["ResourceARN"] for p in pages for m in p["ResourceTagMappingList"])

    found = arns(aws.resourcegroupstaggingapi)
    for kind in ("vpc", "subnet", "internet-gateway", "route-table", "security-group", "elastic-ip", "key-pair"):
        assert f":{kind}/" in found, kind
    assert ":policy/" in arns(cloud.client("resourcegroupstaggingapi", "us-east-1"))
