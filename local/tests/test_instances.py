"""Instances: launch, states, attributes, volumes, key pairs."""

from __future__ import annotations

import base64

import pytest
from botocore.exceptions import ClientError
from conftest import (
    REGION,
    as_dict,
    instance_of,
    launch_arguments,
    passes_on_stock,
    refused,
    state_of,
    tagged,
    trust,
    until,
)  # fmt: skip


@pytest.fixture
def profile(aws, name):
    aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust("ec2.amazonaws.com"))
    made = aws.iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]
    aws.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return made


def launch(aws, network, image, name, **more) -> dict:
    return aws.ec2.run_instances(**launch_arguments(network, image, name, **more))["Instances"]


def test_states_pass_through_pending(aws, network, image, name):
    made = launch(aws, network, image, name)[0]
    assert made["State"]["Name"] == "pending"
    assert until(state_of(aws.ec2, made["InstanceId"]), ["running"]) == ["pending", "running"]


@passes_on_stock
def test_launch_reads_back(aws, network, image, name, profile):
    script = "#!/bin/sh\necho hi\n"
    made = launch(aws, network, image, name, UserData=script, IamInstanceProfile={"Name": name})[0]["InstanceId"]
    until(state_of(aws.ec2, made), ["running"])
    found = instance_of(aws.ec2, made)
    assert (found["SubnetId"], found["VpcId"]) == (network.public, network.vpc)
    assert [g["GroupId"] for g in found["SecurityGroups"]] == [network.group]
    assert found["MetadataOptions"]["HttpTokens"] == "required" and as_dict(found["Tags"]) == {"stack": name}
    assert found["IamInstanceProfile"]["Arn"] == profile["Arn"]
    assert found["PrivateIpAddress"].startswith("10.20.1.") and found["Placement"]["AvailabilityZone"] == f"{REGION}a"
    volume = aws.ec2.describe_volumes(VolumeIds=[found["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"][0]
    assert (volume["Encrypted"], volume["Size"], volume["VolumeType"], volume["State"]) == (True, 20, "gp3", "in-use")
    assert as_dict(volume["Tags"]) == {"stack": name} and volume["KmsKeyId"]
    data = aws.ec2.describe_instance_attribute(InstanceId=made, Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(data).decode() == script


def test_root_volume_comes_from_the_image(aws, network, image, name):
    disks = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 5, "VolumeType": "gp3", "Throughput": 250}}]
    made = launch(aws, network, image, name, BlockDeviceMappings=disks)[0]["InstanceId"]
    found = instance_of(aws.ec2, made)
    assert found["RootDeviceName"] in {m["DeviceName"] for m in found["BlockDeviceMappings"]}
    extra = next(m for m in found["BlockDeviceMappings"] if m["DeviceName"] == "/dev/sdf")
    assert extra["Ebs"]["DeleteOnTermination"] is True
    assert aws.ec2.describe_volumes(VolumeIds=[extra["Ebs"]["VolumeId"]])["Volumes"][0]["Throughput"] == 250


def test_ebs_optimized_and_protection_read_back(aws, network, image, name):
    made = launch(aws, network, image, name, EbsOptimized=True, DisableApiTermination=True)[0]["InstanceId"]
    assert instance_of(aws.ec2, made)["EbsOptimized"] is True
    kept = aws.ec2.describe_instance_attribute(InstanceId=made, Attribute="disableApiTermination")
    assert kept["DisableApiTermination"]["Value"] is True


@pytest.mark.parametrize(("wrong", "codes"), [
    ({"ImageId": "ami-0000dead0000dead0"}, ["InvalidAMIID.NotFound"]),
    ({"KeyName": "no-such-key"}, ["InvalidKeyPair.NotFound"]),
    ({"IamInstanceProfile": {"Name": "no-such-profile"}}, ["InvalidParameterValue"]),
    ({"InstanceType": "t9.nano"}, ["InvalidParameterValue", "InvalidInstanceType"]),
])  # fmt: skip
def test_launch_is_checked(aws, network, image, name, wrong, codes):
    with refused(*codes):
        launch(aws, network, image, name, **wrong)


@passes_on_stock
def test_launch_into_nothing(aws, network, image, name):
    with refused("InvalidSubnetID.NotFound"):
        launch(aws, network, image, name, SubnetId="subnet-0123456789abcdef0")
    with refused("InvalidGroup.NotFound"):
        launch(aws, network, image, name, SecurityGroupIds=["sg-0123456789abcdef0"])


def test_filters_and_malformed_ids(aws, network, running, image, name, profile):
    made = launch(aws, network, image, name, ClientToken=name, IamInstanceProfile={"Name": name})[0]["InstanceId"]

    def ids(key, *values):
        found = aws.ec2.describe_instances(Filters=[{"Name": key, "Values": list(values)}])["Reservations"]
        return [i["InstanceId"] for r in found for i in r["Instances"]]

    assert ids("client-token", name) == [made] and ids("iam-instance-profile.arn", profile["Arn"]) == [made]
    assert set(ids("vpc-id", network.vpc)) == {made, running} == set(ids("instance.group-id", network.group))
    with refused("InvalidInstanceID.Malformed"):
        aws.ec2.describe_instances(InstanceIds=["i-zz"])


def test_pages_count_instances(aws, network, image, name):
    launch(aws, network, image, name, MinCount=7, MaxCount=7)
    first = aws.ec2.describe_instances(Filters=network.filter, MaxResults=5)
    assert sum(len(r["Instances"]) for r in first["Reservations"]) == 5
    rest = aws.ec2.describe_instances(Filters=network.filter, MaxResults=5, NextToken=first["NextToken"])
    assert sum(len(r["Instances"]) for r in rest["Reservations"]) == 2 and "NextToken" not in rest


def test_type_changes_only_when_stopped(aws, running):
    with refused("IncorrectInstanceState"):
        aws.ec2.modify_instance_attribute(InstanceId=running, InstanceType={"Value": "t3.small"})
    answer = aws.ec2.stop_instances(InstanceIds=[running])["StoppingInstances"][0]
    assert answer["CurrentState"]["Name"] == "stopping"
    assert until(state_of(aws.ec2, running), ["stopped"]) == ["stopping", "stopped"]
    aws.ec2.modify_instance_attribute(InstanceId=running, InstanceType={"Value": "t3.small"})
    assert instance_of(aws.ec2, running)["InstanceType"] == "t3.small"
    assert aws.ec2.start_instances(InstanceIds=[running])["StartingInstances"][0]["CurrentState"]["Name"] == "pending"
    until(state_of(aws.ec2, running), ["running"])


def test_termination_protection_keeps_all_of_a_call(aws, network, image, running, name):
    other = launch(aws, network, image, name)[0]["InstanceId"]
    aws.ec2.modify_instance_attribute(InstanceId=running, DisableApiTermination={"Value": True})
    with refused("OperationNotPermitted"):
        aws.ec2.terminate_instances(InstanceIds=[other, running])
    assert state_of(aws.ec2, running)() == "running" and state_of(aws.ec2, other)() in ("pending", "running")
    aws.ec2.modify_instance_attribute(InstanceId=running, DisableApiTermination={"Value": False})
    aws.ec2.terminate_instances(InstanceIds=[other, running])


@passes_on_stock
def test_groups_are_really_changed(aws, network, running, name):
    other = aws.ec2.create_security_group(GroupName=f"{name}-b", Description="d", VpcId=network.vpc)["GroupId"]
    aws.ec2.modify_instance_attribute(InstanceId=running, Groups=[other])
    assert [g["GroupId"] for g in instance_of(aws.ec2, running)["SecurityGroups"]] == [other]
    aws.ec2.delete_security_group(GroupId=network.group)


def test_metadata_options_keep_what_is_not_given(aws, running):
    aws.ec2.modify_instance_metadata_options(InstanceId=running, HttpPutResponseHopLimit=3)
    options = instance_of(aws.ec2, running)["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 3)


def test_terminated_instances_linger_with_their_tags(aws, running, name):
    aws.ec2.terminate_instances(InstanceIds=[running])
    assert until(state_of(aws.ec2, running), ["terminated"]) == ["shutting-down", "terminated"]
    found = instance_of(aws.ec2, running)
    assert as_dict(found["Tags"]) == {"stack": name} and not found.get("SubnetId") and not found.get("PrivateIpAddress")


@passes_on_stock
def test_volumes(aws, running):
    made = aws.ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=10, VolumeType="gp3", Encrypted=True)["VolumeId"]
    aws.ec2.attach_volume(VolumeId=made, InstanceId=running, Device="/dev/sdg")
    with refused("VolumeInUse"):
        aws.ec2.delete_volume(VolumeId=made)
    aws.ec2.detach_volume(VolumeId=made, InstanceId=running)
    aws.ec2.delete_volume(VolumeId=made)


def test_detach_volume_needs_the_volume_only(aws, running):
    made = aws.ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=10)["VolumeId"]
    aws.ec2.attach_volume(VolumeId=made, InstanceId=running, Device="/dev/sdg")
    aws.ec2.detach_volume(VolumeId=made)
    with refused("IncorrectState"):
        aws.ec2.detach_volume(VolumeId=made)


@passes_on_stock
def test_profile_association(aws, running, profile, name):
    made = aws.ec2.associate_iam_instance_profile(InstanceId=running, IamInstanceProfile={"Name": name})
    found = aws.ec2.describe_iam_instance_profile_associations(Filters=[{"Name": "instance-id", "Values": [running]}])
    assert [a["AssociationId"] for a in found["IamInstanceProfileAssociations"]] == [
        made["IamInstanceProfileAssociation"]["AssociationId"]
    ]


@passes_on_stock
def test_tags_on_anything(aws, network, running):
    aws.ec2.create_tags(Resources=[network.vpc, running], Tags=[{"Key": "extra", "Value": "1"}])
    mine = [{"Name": "key", "Values": ["extra"]}, {"Name": "resource-id", "Values": [network.vpc, running]}]
    found = aws.ec2.describe_tags(Filters=mine)["Tags"]
    assert {t["ResourceType"] for t in found} == {"vpc", "instance"}
    with refused("InvalidVpcID.NotFound"):
        aws.ec2.create_tags(Resources=["vpc-0123456789abcdef0"], Tags=[{"Key": "a", "Value": "b"}])


@passes_on_stock
def test_key_pairs(aws, name):
    made = aws.ec2.create_key_pair(KeyName=name, KeyType="ed25519", TagSpecifications=tagged("key-pair", stack=name))
    assert "PRIVATE KEY" in made["KeyMaterial"]
    found = aws.ec2.describe_key_pairs(KeyNames=[name], IncludePublicKey=True)["KeyPairs"][0]
    assert found["KeyType"] == "ed25519" and as_dict(found["Tags"]) == {"stack": name}
    with refused("InvalidKeyPair.Duplicate"):
        aws.ec2.create_key_pair(KeyName=name)
    with refused("InvalidKeyPair.NotFound"):
        aws.ec2.describe_key_pairs(KeyNames=[name + "x"])


def test_garbage_is_no_key(aws, name):
    with refused("InvalidKey.Format"):
        aws.ec2.import_key_pair(KeyName=name, PublicKeyMaterial=b"garbage")


def test_dry_run_launches_nothing(aws, network, image, name):
    with pytest.raises(ClientError, match="DryRunOperation"):
        launch(aws, network, image, name, DryRun=True, ClientToken=name)
    found = aws.ec2.describe_instances(Filters=[{"Name": "client-token", "Values": [name]}])
    assert found["Reservations"] == []
