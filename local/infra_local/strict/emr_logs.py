"""Logs in a cluster's log bucket, where EMR puts them: LOGURI/CLUSTER/…, each a gzip file.

https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html#emr-plan-debugging-logs-archive
"""

from __future__ import annotations

import gzip
import re

from moto.s3.models import s3_backends


def place(cluster) -> tuple[str, str] | None:
    """The bucket and prefix of a cluster's own folder; nothing where it keeps no logs."""
    found = re.match(r"s3[na]?://([^/]+)/?(.*)$", cluster.log_uri or "")
    if not found:
        return None
    prefix = found[2].strip("/")
    return found[1], f"{prefix}/{cluster.id}/" if prefix else f"{cluster.id}/"


def uri(cluster, path: str) -> str | None:
    where = place(cluster)
    return f"s3://{where[0]}/{where[1]}{path}" if where else None


def write(cluster, path: str, text: str) -> None:
    """Write one, by the service itself; a bucket that is not there gets none. The caller holds the lock."""
    where, backend = place(cluster), cluster.emr_backend
    if not where:
        return
    store = s3_backends[backend.account_id][backend.partition]
    if where[0] in store.buckets:
        store.put_object(where[0], f"{where[1]}{path}", gzip.compress(text.encode()))


def holds(backend, address: str) -> bool:
    """Whether an object is there: `address` as s3://bucket/key."""
    found = re.match(r"s3[na]?://([^/]+)/(.+)$", address)
    store = s3_backends[backend.account_id][backend.partition]
    return bool(found) and found[1] in store.buckets and store.head_object(found[1], found[2]) is not None


def step_failure(cluster, step, reason: str, message: str = "", log: str = "stderr") -> None:
    """What DescribeStep says of a failed step."""
    found = {"Reason": reason, "Message": message, "LogFile": uri(cluster, f"steps/{step.id}/{log}.gz")}
    step.failure = {name: value for name, value in found.items() if value}
