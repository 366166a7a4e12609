"""S3: defaults of new buckets, names and regions, policies, objects, conditional writes."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from botocore.handlers import validate_bucket_name
from conftest import REGION, as_dict, passes_on_stock, refused, tags


def create(s3, name: str, region: str = REGION) -> None:
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})


@pytest.fixture
def bucket(aws, name):
    create(aws.s3, name)
    return name


def test_new_bucket_has_the_defaults(aws, bucket):
    rules = aws.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert set(aws.s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    owner = aws.s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    aws.s3.delete_bucket_encryption(Bucket=bucket)
    assert aws.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"] == rules
    assert aws.s3.put_object(Bucket=bucket, Key="k", Body=b"")["ServerSideEncryption"] == "AES256"


def test_a_new_bucket_has_no_tags_of_its_predecessor(aws, bucket):
    aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "owner", "Value": "ada"}]})
    aws.s3.delete_bucket(Bucket=bucket)
    create(aws.s3, bucket)
    with refused("NoSuchTagSet"):
        aws.s3.get_bucket_tagging(Bucket=bucket)


def test_a_bucket_is_born_with_the_tags_of_its_create_call(aws, name):
    wanted = tags(owner="ada", empty="")
    place = {"LocationConstraint": REGION}
    aws.s3.create_bucket(Bucket=name, CreateBucketConfiguration=place | {"Tags": wanted})
    found = aws.s3.get_bucket_tagging(Bucket=name)["TagSet"]
    assert sorted(found, key=lambda tag: tag["Key"]) == tags(empty="", owner="ada")
    # One that is there already keeps its own.
    with refused("BucketAlreadyOwnedByYou"):
        aws.s3.create_bucket(Bucket=name, CreateBucketConfiguration=place | {"Tags": wanted[:1]})
    assert len(aws.s3.get_bucket_tagging(Bucket=name)["TagSet"]) == 2


def test_wrong_tags_make_no_bucket(aws, name):
    place = {"LocationConstraint": REGION}
    for wrong, code in (
        ([{"Key": "aws:mine", "Value": "x"}], "InvalidTag"),
        ([{"Key": "twice", "Value": "x"}, {"Key": "twice", "Value": "y"}], "InvalidTag"),
    ):
        with refused(code):
            aws.s3.create_bucket(Bucket=name, CreateBucketConfiguration=place | {"Tags": wrong})
        with refused("NoSuchBucket"):
            aws.s3.get_bucket_tagging(Bucket=name)


@passes_on_stock
def test_what_a_new_bucket_has_not(aws, bucket):
    for read, code in (
        (aws.s3.get_bucket_tagging, "NoSuchTagSet"),
        (aws.s3.get_bucket_policy, "NoSuchBucketPolicy"),
        (aws.s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
    ):
        with refused(code):
            read(Bucket=bucket)


@pytest.mark.parametrize("wrong", ["Bad_Bucket", "UPPER", "a..b", "192.168.1.1", "xn--abc", "-abc"])
def test_bad_names(cloud, wrong):
    s3 = cloud.client("s3")
    s3.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    with refused("InvalidBucketName"):
        create(s3, wrong)


@passes_on_stock
def test_regions_and_repeats(aws, cloud, bucket, name):
    with refused("BucketAlreadyOwnedByYou"):
        create(aws.s3, bucket)
    assert aws.s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == REGION
    with refused("IllegalLocationConstraintException"):
        aws.s3.create_bucket(Bucket=name + "-x")
    east = cloud.client("s3", "us-east-1")
    east.create_bucket(Bucket=name + "-east")
    east.create_bucket(Bucket=name + "-east")  # in us-east-1 alone this is no error
    with refused("404"):
        aws.s3.head_bucket(Bucket=name + "-absent")


@passes_on_stock
def test_encryption_with_a_key(aws, bucket):
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    wanted = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": True,
    }
    aws.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [wanted]})
    found = aws.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert {k: found[k] for k in wanted} == wanted
    assert aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "aws:kms"


@passes_on_stock
def test_settings_read_back(aws, bucket, name):
    aws.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert aws.s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags(stack=name)})
    assert as_dict(aws.s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) == {"stack": name}
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}}  # fmt: skip
    aws.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    found = aws.s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]
    assert {k: found[k] for k in rule} == rule


def tls_only(bucket: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Sid": "tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }]})  # fmt: skip


def test_policies_are_checked(aws, bucket):
    for wrong in ("{nope", "{}", tls_only("some-other-bucket")):
        with refused("MalformedPolicy"):
            aws.s3.put_bucket_policy(Bucket=bucket, Policy=wrong)
    world = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    ]})  # fmt: skip
    with refused("AccessDenied"):
        aws.s3.put_bucket_policy(Bucket=bucket, Policy=world)


def test_denying_plain_http_does_not_lock_out_the_cloud_itself(aws, bucket):
    # The local cloud speaks HTTP: as on a TLS connection, a TLS-only policy denies nothing here.
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=tls_only(bucket))
    assert json.loads(aws.s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]["Sid"] == "tls"
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    aws.s3.delete_bucket_policy(Bucket=bucket)


def test_lifecycle_rule_needs_an_action(aws, bucket):
    with refused("InvalidRequest", "MalformedXML"):
        aws.s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={"Rules": [{"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""}}]},
        )


def test_wrong_checksum(aws, bucket):
    wrong = base64.b64encode(b"0" * 32).decode()
    with refused("BadDigest", "InvalidRequest"):
        aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumSHA256=wrong)
    with refused("404"):
        aws.s3.head_object(Bucket=bucket, Key="k")


@passes_on_stock
def test_objects(aws, bucket):
    body = bytes(range(256)) * 40
    aws.s3.put_object(Bucket=bucket, Key="a/b c+é", Body=body, Metadata={"k": "v"})
    found = aws.s3.get_object(Bucket=bucket, Key="a/b c+é")
    assert found["Body"].read() == body and found["Metadata"] == {"k": "v"}
    for number in range(7):
        aws.s3.put_object(Bucket=bucket, Key=f"p/{number}", Body=b"")
    pages = list(
        aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="p/", PaginationConfig={"PageSize": 3})
    )
    assert [len(p["Contents"]) for p in pages] == [3, 3, 1]
    part = b"x" * (5 << 20)
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    etags = [
        {
            "PartNumber": n,
            "ETag": aws.s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=n, Body=d)["ETag"],
        }
        for n, d in ((1, part), (2, b"end"))
    ]
    aws.s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": etags})
    assert aws.s3.get_object(Bucket=bucket, Key="m")["Body"].read() == part + b"end"


@passes_on_stock
def test_conditional_writes(aws, bucket):
    made = aws.s3.put_object(Bucket=bucket, Key="lock", Body=b"1", IfNoneMatch="*")["ETag"]
    with refused("PreconditionFailed"):
        aws.s3.put_object(Bucket=bucket, Key="lock", Body=b"2", IfNoneMatch="*")
    aws.s3.put_object(Bucket=bucket, Key="lock", Body=b"3", IfMatch=made)
    with refused("PreconditionFailed"):
        aws.s3.put_object(Bucket=bucket, Key="lock", Body=b"4", IfMatch=made)


def one_wins(cloud, bucket: str, key: str) -> int:
    clients = [cloud.client("s3") for _ in range(16)]

    def write(client) -> int:
        try:
            client.put_object(Bucket=bucket, Key=key, Body=b"mine", IfNoneMatch="*")
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("PreconditionFailed", "ConditionalRequestConflict")
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(write, clients))


@passes_on_stock
def test_race_for_a_lock_has_one_winner(cloud, bucket):
    assert [one_wins(cloud, bucket, f"race{n}") for n in range(3)] == [1, 1, 1]


@passes_on_stock
def test_bucket_with_anything_in_it_stays(aws, bucket):
    aws.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    aws.s3.delete_object(Bucket=bucket, Key="k")
    with refused("BucketNotEmpty"):
        aws.s3.delete_bucket(Bucket=bucket)
    found = aws.s3.list_object_versions(Bucket=bucket)
    rows = found.get("Versions", []) + found.get("DeleteMarkers", [])
    aws.s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": r["Key"], "VersionId": r["VersionId"]} for r in rows]}
    )
    aws.s3.delete_bucket(Bucket=bucket)
