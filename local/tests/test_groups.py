"""Security groups and their rules."""

from __future__ import annotations

import pytest
from conftest import as_dict, passes_on_stock, refused, tagged


def rule(port: int, cidr: str, text: str = "x") -> list[dict]:
    return [
        {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr, "Description": text}]}
    ]


@pytest.fixture
def pair(aws, network, name):
    other = aws.ec2.create_security_group(GroupName=f"{name}-b", Description="d", VpcId=network.vpc)["GroupId"]
    return network.group, other


def permissions(aws, group: str, field: str = "IpPermissions") -> list[dict]:
    return aws.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0][field]


def test_create_answers_with_the_tags(aws, network, name):
    made = aws.ec2.create_security_group(
        GroupName=f"{name}-c", Description="d", VpcId=network.vpc, TagSpecifications=tagged("security-group", who=name)
    )
    assert as_dict(made["Tags"]) == {"who": name}


@passes_on_stock
def test_group_defaults_and_errors(aws, network, name):
    egress = permissions(aws, network.group, "IpPermissionsEgress")
    assert len(egress) == 1 and egress[0]["IpProtocol"] == "-1" and egress[0]["IpRanges"][0]["CidrIp"] == "0.0.0.0/0"
    with refused("InvalidGroup.Duplicate"):
        aws.ec2.create_security_group(GroupName=f"{name}-a", Description="d", VpcId=network.vpc)
    with refused("InvalidGroup.NotFound"):
        aws.ec2.describe_security_groups(GroupIds=["sg-0123456789abcdef0"])
    found = aws.ec2.describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [f"{name}-a"]}, {"Name": "vpc-id", "Values": [network.vpc]}]
    )["SecurityGroups"]
    assert [g["GroupId"] for g in found] == [network.group]


@passes_on_stock
def test_rules_have_ids_tags_and_descriptions(aws, pair):
    group, other = pair
    made = aws.ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=rule(22, "10.0.0.0/8"), TagSpecifications=tagged("security-group-rule", k="v")
    )["SecurityGroupRules"]
    assert made
    aws.ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": other}]}]
    )
    with refused("InvalidPermission.Duplicate"):
        aws.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rule(22, "10.0.0.0/8"))
    rules = aws.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])[
        "SecurityGroupRules"
    ]
    assert len(rules) == 3 and all(r["SecurityGroupRuleId"].startswith("sgr-") for r in rules)
    ssh = next(r for r in rules if r.get("CidrIpv4") == "10.0.0.0/8")
    assert ssh["Description"] == "x" and as_dict(ssh["Tags"]) == {"k": "v"}
    aws.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[ssh["SecurityGroupRuleId"]])
    assert not any(p.get("FromPort") == 22 for p in permissions(aws, group))
    assert any(u["GroupId"] == other for p in permissions(aws, group) for u in p["UserIdGroupPairs"])


@passes_on_stock
def test_revoking(aws, network):
    with refused("InvalidPermission.NotFound"):
        aws.ec2.revoke_security_group_ingress(GroupId=network.group, IpPermissions=rule(9999, "9.9.9.9/32"))
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    aws.ec2.revoke_security_group_egress(GroupId=network.group, IpPermissions=everything)
    assert permissions(aws, network.group, "IpPermissionsEgress") == []


@passes_on_stock
def test_modify_a_rule(aws, network):
    aws.ec2.authorize_security_group_ingress(GroupId=network.group, IpPermissions=rule(22, "10.0.0.0/8"))
    rules = aws.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [network.group]}])[
        "SecurityGroupRules"
    ]
    known = next(r for r in rules if not r["IsEgress"])
    aws.ec2.modify_security_group_rules(
        GroupId=network.group,
        SecurityGroupRules=[{
            "SecurityGroupRuleId": known["SecurityGroupRuleId"],
            "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "10.0.0.0/16", "Description": "y"},
        }],
    )  # fmt: skip
    assert permissions(aws, network.group)[0]["IpRanges"] == [{"CidrIp": "10.0.0.0/16", "Description": "y"}]
