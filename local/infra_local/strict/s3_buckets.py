"""S3: what every bucket has had since April 2023, names and regions, policies and checksums.

New buckets are encrypted with SSE-S3, block all public access, and have ACLs switched off; deleting the
encryption brings that default back. A bucket is born with the tags of its create call.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import json
import re
import zlib

import xmltodict
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.s3.exceptions import BucketAlreadyExists, DuplicateTagKeys, NoSystemTags, S3ClientError
from moto.s3.models import PublicAccessBlock, S3Backend, s3_backends
from moto.s3.responses import S3Response

from infra_local.hooks import around

# What the S3A of steps that really run begins its user agent with (`infra_local/spark/runner.py`).
STEP_AGENT = "infra-local-step"
_KEY_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def default_encryption() -> dict:
    return {
        "Rule": {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": "false",
        }
    }


def valid_name(name: str) -> bool:
    """The rules for general purpose buckets."""
    if not _NAME.fullmatch(name) or ".." in name or name.startswith(_RESERVED) or name.endswith(_RESERVED_ENDS):
        return False
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return True
    return False


def install() -> None:
    _buckets()
    _policies()
    _conditions()
    _lifecycles()
    _objects()


def _buckets() -> None:
    @around(S3Backend, "create_bucket")
    def create_bucket(original, self, bucket_name, region_name, *args, **kwargs):
        if not valid_name(bucket_name):
            raise S3ClientError("InvalidBucketName", "The specified bucket is not valid.")
        owner = s3_backends.bucket_accounts.get(bucket_name)
        if owner and owner[1] != self.account_id:
            raise BucketAlreadyExists(bucket=bucket_name)
        bucket = original(self, bucket_name, region_name, *args, **kwargs)
        bucket.encryption = default_encryption()
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        bucket.ownership_rule = "BucketOwnerEnforced"
        return bucket

    @around(S3Response, "_bucket_response_put")
    def put_bucket(original, self, request, bucket_name, querystring):
        tags = _tags_at_birth(self.body)
        if any(key.startswith("aws:") for key in tags):
            raise NoSystemTags()
        known = bucket_name in self.backend.buckets
        answer = original(self, request, bucket_name, querystring)
        if tags and not known:
            self.backend.put_bucket_tagging(bucket_name, tags)
        return answer

    @around(S3Backend, "delete_bucket")
    def delete_bucket(original, self, bucket_name):
        # moto keeps tags by ARN: without this, a new bucket of the name would be born with its predecessor's.
        bucket = self.buckets.get(bucket_name)
        deleted = original(self, bucket_name)
        if bucket is not None and bucket_name not in self.buckets:
            self.tagger.delete_all_tags_for_resource(bucket.arn)
        return deleted

    @around(S3Backend, "delete_bucket_encryption")
    def delete_bucket_encryption(_original, self, bucket_name):
        self.get_bucket(bucket_name).encryption = default_encryption()


def _tags_at_birth(body: bytes) -> dict[str, str]:
    """Source: CreateBucketConfiguration in the Amazon S3 API reference. Other requests to a bucket have none."""
    if b"<CreateBucketConfiguration" not in (body or b""):
        return {}
    given = xmltodict.parse(body, force_list=("Tag",)).get("CreateBucketConfiguration") or {}
    pairs = [(tag["Key"], tag["Value"] or "") for tag in (given.get("Tags") or {}).get("Tag", [])]
    if len(dict(pairs)) != len(pairs):
        raise DuplicateTagKeys()
    return dict(pairs)


def _policies() -> None:
    @around(S3Backend, "put_bucket_policy")
    def put_bucket_policy(original, self, bucket_name, policy):
        bucket = self.get_bucket(bucket_name)
        document = check_policy(bucket, policy)
        if bucket.public_access_block and bucket.public_access_block.block_public_policy and _is_public(document):
            raise S3ClientError(
                "AccessDenied",
                f'User is not authorized to perform: s3:PutBucketPolicy on resource: "arn:aws:s3:::{bucket_name}" '
                "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.",
            )
        return original(self, bucket_name, policy)


def check_policy(bucket, policy) -> dict:
    def malformed(why: str) -> None:
        raise S3ClientError("MalformedPolicy", why)

    try:
        document = json.loads(policy)
    except ValueError:
        malformed("Policies must be valid JSON and the first byte must be '{'")
    if not isinstance(document, dict):
        malformed("Policies must be valid JSON and the first byte must be '{'")
    if not document.get("Statement"):
        malformed("Missing required field Statement")
    for statement in _statements(document):
        if "Principal" not in statement and "NotPrincipal" not in statement:
            malformed("Missing required field Principal")
        if "Effect" not in statement:
            malformed("Missing required field Effect")
        if "Action" not in statement and "NotAction" not in statement:
            malformed("Missing required field Action")
        resources = statement.get("Resource", statement.get("NotResource"))
        if resources is None:
            malformed("Missing required field Resource")
        own = f"arn:{bucket.partition}:s3:::{bucket.name}"
        for resource in [resources] if isinstance(resources, str) else resources:
            if resource != own and not resource.startswith(own + "/") and "*" not in resource[: len(own)]:
                malformed("Policy has invalid resource")
    return document


def _statements(document: dict) -> list[dict]:
    statements = document.get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


def _is_public(document: dict) -> bool:
    """An Allow to everybody that no condition narrows."""
    for statement in _statements(document):
        principal = statement.get("Principal")
        everybody = principal == "*" or (
            isinstance(principal, dict)
            and "*" in ([principal.get("AWS")] if isinstance(principal.get("AWS"), str) else principal.get("AWS") or [])
        )
        if statement.get("Effect") == "Allow" and everybody and not statement.get("Condition"):
            return True
    return False


def _conditions() -> None:
    @around(IAMPolicyStatement, "is_action_permitted")
    def is_action_permitted(original, self, action, resource="*", principal=None, incoming_condition_values=None):
        # moto takes a condition that it cannot evaluate for a refusal, so that a TLS-only policy shuts
        # everybody out. On AWS a statement whose condition is not met does not count; loopback counts as TLS.
        condition = self._statement.get("Condition")
        if not condition or incoming_condition_values:
            return original(self, action, resource, principal, incoming_condition_values)
        if not _holds(condition):
            return PermissionResult.NEUTRAL
        unconditional = IAMPolicyStatement({k: v for k, v in self._statement.items() if k != "Condition"})
        return original(unconditional, action, resource, principal, None)


def _holds(condition: dict) -> bool:
    """Whether a condition is met by a request over TLS of which nothing else is known."""
    for operator, pairs in condition.items():
        for key, wanted in pairs.items():
            wanted = [wanted] if isinstance(wanted, (str, bool)) else wanted
            secure = operator == "Bool" and key.lower() == "aws:securetransport"
            if not secure or "true" not in [str(w).lower() for w in wanted]:
                return False
    return True


def _lifecycles() -> None:
    @around(S3Backend, "put_bucket_lifecycle")
    def put_bucket_lifecycle(original, self, bucket_name, rules):
        actions = (
            "Expiration", "Transition", "NoncurrentVersionExpiration", "NoncurrentVersionTransition",
            "AbortIncompleteMultipartUpload", "Transitions", "NoncurrentVersionTransitions",
        )  # fmt: skip
        for rule in rules:
            if not any(rule.get(a) for a in actions):
                raise S3ClientError("InvalidRequest", "At least one action needs to be specified in a rule.")
            if rule.get("ID") and len(rule["ID"]) > 255:
                raise S3ClientError("InvalidArgument", "ID length should not exceed allowed limit of 255")
        ids = [r.get("ID") for r in rules if r.get("ID")]
        if len(ids) != len(set(ids)):
            raise S3ClientError("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
        return original(self, bucket_name, rules)


def _crc32(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


_CHECKSUMS = {
    "crc32": _crc32,
    "sha1": lambda data: hashlib.sha1(data).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}


def _objects() -> None:
    @around(S3Response, "put_object")
    def put_object(original, self):
        _check_digests(self)
        return original(self)

    @around(S3Response, "upload_part")
    def upload_part(original, self):
        _check_digests(self)
        return original(self)

    @around(S3Response, "head_object")
    def head_object(original, self, bucket_name, query, key_name, headers):
        status, given, body = original(self, bucket_name, query, key_name, headers)
        # S3A renames by copying, with the key that it was told of, and Amazon's SDK for Java names a key by HTTPS only.
        # Not told, it leaves the encryption to the bucket, which comes to the same.
        if headers.get("User-Agent", "").startswith(STEP_AGENT):
            given.pop(_KEY_HEADER, None)
        return status, given, body


def _check_digests(response) -> None:
    """AWS computes what the client declares; a body that differs is refused."""
    headers, body = response.headers, response.body or b""
    body = body.encode() if isinstance(body, str) else body
    for name, compute in _CHECKSUMS.items():
        given = headers.get(f"x-amz-checksum-{name}")
        if not given:
            continue
        try:
            wanted = base64.b64decode(given, validate=True)
        except binascii.Error:
            raise S3ClientError("InvalidRequest", f"Value for x-amz-checksum-{name} header is invalid.") from None
        if wanted != compute(body):
            raise S3ClientError("BadDigest", f"The {name.upper()} you specified did not match the calculated checksum.")
    md5 = headers.get("Content-MD5")
    if md5 and base64.b64decode(md5) != hashlib.md5(body).digest():
        raise S3ClientError("BadDigest", "The Content-MD5 you specified did not match what we received.")
