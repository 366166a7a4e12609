"""Which operation a request asks for; counters; and errors injected into the n-th call.

Works on the HTTP request alone, so that it serves strict and stock moto alike.
"""

from __future__ import annotations

import contextlib
import json
import threading
import uuid
from collections import Counter
from urllib.parse import parse_qs, unquote_to_bytes
from xml.sax.saxutils import escape

QUERY_SERVICES = {"iam", "sts", "cloudformation", "sns", "elasticloadbalancing", "autoscaling"}

_S3_BUCKET_SUBRESOURCES = {
    "encryption": "BucketEncryption",
    "publicAccessBlock": "PublicAccessBlock",
    "ownershipControls": "BucketOwnershipControls",
    "versioning": "BucketVersioning",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "tagging": "BucketTagging",
    "lifecycle": "BucketLifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "acl": "BucketAcl",
    "cors": "BucketCors",
    "website": "BucketWebsite",
    "notification": "BucketNotificationConfiguration",
    "replication": "BucketReplication",
    "object-lock": "ObjectLockConfiguration",
    "accelerate": "BucketAccelerateConfiguration",
    "requestPayment": "BucketRequestPayment",
}


def _s3_operation(method: str, path: str, query: str) -> str:
    """The operation's name by method, path and sub-resource, as S3's REST model gives it."""
    parts = path.lstrip("/").split("/", 1)
    bucket, key = parts[0], parts[1] if len(parts) > 1 else ""
    asked = parse_qs(query, keep_blank_values=True)
    if not bucket:
        return "ListBuckets"
    if not key:
        if method == "POST" and "delete" in asked:
            return "DeleteObjects"
        if method == "GET" and "uploads" in asked:
            return "ListMultipartUploads"
        if method == "GET" and "versions" in asked:
            return "ListObjectVersions"
        for name, thing in _S3_BUCKET_SUBRESOURCES.items():
            if name in asked:
                verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}.get(method, method)
                if thing == "BucketLifecycleConfiguration" and verb == "Delete":
                    thing = "BucketLifecycle"
                return verb + thing
        if method == "GET" and asked.get("list-type") == ["2"]:
            return "ListObjectsV2"
        return {
            "GET": "ListObjects",
            "PUT": "CreateBucket",
            "DELETE": "DeleteBucket",
            "HEAD": "HeadBucket",
        }.get(method, method)
    if "uploads" in asked:
        return "CreateMultipartUpload"
    if "uploadId" in asked:
        return {
            "PUT": "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
            "GET": "ListParts",
        }.get(method, method)
    if "tagging" in asked:
        verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}.get(method, method)
        return verb + "ObjectTagging"
    return {
        "GET": "GetObject",
        "PUT": "PutObject",
        "DELETE": "DeleteObject",
        "HEAD": "HeadObject",
        "POST": "PostObject",
    }.get(method, method)


def identify(method: str, path: str, query: str, headers, body: bytes) -> tuple[str, str]:
    """(service, Operation) of one request; service is the name it was signed for."""
    service = ""
    authorization = headers.get("Authorization") or ""
    if "Credential=" in authorization:
        with contextlib.suppress(IndexError):
            service = authorization.split("Credential=", 1)[1].split(",", 1)[0].split("/")[3].lower()
    target = headers.get("X-Amz-Target")
    if target:
        return service or target.split(".")[0].lower(), target.rsplit(".", 1)[-1]
    if service != "s3" and body[:7] == b"Action=" or b"&Action=" in body[:4096]:
        start = 7 if body[:7] == b"Action=" else body.index(b"&Action=") + 8
        end = body.find(b"&", start)
        name = unquote_to_bytes(body[start : end if end >= 0 else None])
        return service or "query", name.decode("ascii", "replace")
    if service in ("", "s3"):
        return "s3", _s3_operation(method, path, query)
    return service, f"{method} {path}"


class Calls:
    """Counts of what was called, and the failures that are still to be delivered."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.failures: list[dict] = []

    def record(self, service: str, operation: str) -> dict | None:
        """Count one call; the failure to answer with, if one is due."""
        with self.lock:
            self.counts[service, operation] += 1
            for failure in self.failures:
                if failure["operation"] != operation:
                    continue
                if failure.get("service") and failure["service"] != service:
                    continue
                failure["nth"] -= 1
                if failure["nth"] > 0:
                    continue
                failure["times"] -= 1
                if failure["times"] <= 0:
                    self.failures.remove(failure)
                return failure
        return None

    def fail(self, wanted: dict) -> dict:
        """Arrange for the n-th following call of an operation to fail with an AWS error code."""
        if not wanted.get("operation") or not wanted.get("code"):
            raise ValueError("fail needs operation and code")
        failure = {
            "service": wanted.get("service"),
            "operation": wanted["operation"],
            "code": wanted["code"],
            "message": wanted.get("message") or f"{wanted['code']} (injected by the local cloud)",
            "status": int(wanted.get("status") or _status_of(wanted["code"])),
            "nth": int(wanted.get("nth", 1)),
            "times": int(wanted.get("times", 1)),
        }
        with self.lock:
            self.failures.append(failure)
        return failure

    def report(self) -> dict:
        with self.lock:
            by_service: dict[str, dict[str, int]] = {}
            for (service, operation), count in sorted(self.counts.items()):
                by_service.setdefault(service, {})[operation] = count
            return {"total": sum(self.counts.values()), "calls": by_service}

    def reset(self) -> None:
        with self.lock:
            self.counts.clear()

    def clear_failures(self) -> None:
        with self.lock:
            self.failures.clear()


def _status_of(code: str) -> int:
    if code in ("AccessDenied", "UnauthorizedOperation", "AccessDeniedException"):
        return 403
    if code in ("RequestLimitExceeded", "ServiceUnavailable", "SlowDown", "Unavailable"):
        return 503
    if code in ("InternalError", "InternalFailure", "InternalServerException"):
        return 500
    return 400


def error_response(service: str, headers, failure: dict) -> tuple[int, dict[str, str], bytes]:
    """An error in the wire format that the service's protocol uses."""
    request_id = str(uuid.uuid4())
    code, message = escape(failure["code"]), escape(failure["message"])
    out = {"x-amzn-RequestId": request_id, "x-amz-request-id": request_id}
    if headers.get("X-Amz-Target"):
        out["Content-Type"] = "application/x-amz-json-1.1"
        body = json.dumps({"__type": failure["code"], "message": failure["message"]})
    elif service == "ec2":
        out["Content-Type"] = "text/xml"
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>{code}</Code>'
            f"<Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
    elif service == "s3":
        out["Content-Type"] = "application/xml"
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code>'
            f"<Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
        )
    else:
        out["Content-Type"] = "text/xml"
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>"
            f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return failure["status"], out, body.encode()


calls = Calls()
