"""What AWS keeps in buckets that everybody may read: EMR's patches of log4j. Stock moto's server has them too."""

from __future__ import annotations

from conftest import passes_on_stock, refused

KEY = "bootstrap-actions/log4j/patch-log4j-emr-5.29.0-v1.sh"
pytestmark = passes_on_stock


def test_a_patch_of_log4j_is_copied_into_an_own_bucket(aws, name):
    aws.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    aws.s3.copy_object(Bucket=name, Key="mine.sh", CopySource={"Bucket": "elasticmapreduce", "Key": KEY})
    text = aws.s3.get_object(Bucket=name, Key="mine.sh")["Body"].read()
    assert text.startswith(b"#!/bin/bash\n")
    assert text == aws.s3.get_object(Bucket="elasticmapreduce", Key=KEY)["Body"].read()


def test_the_bucket_is_not_the_account_s(aws):
    assert "elasticmapreduce" not in [bucket["Name"] for bucket in aws.s3.list_buckets()["Buckets"]]


def test_releases_that_need_none_have_none(aws):
    for release in ("emr-5.35.0", "emr-5.36.2", "emr-7.0.0"):
        with refused("NoSuchKey"):
            aws.s3.get_object(Bucket="elasticmapreduce", Key=KEY.replace("emr-5.29.0", release))
