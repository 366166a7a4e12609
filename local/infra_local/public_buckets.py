"""What AWS keeps in buckets that everybody may read, as far as `infra` uses it; on stock moto too, which has none.

EMR's patches of log4j are stand-ins: they have AWS's names, and patch nothing, as nodes have no log4j.
"""

from __future__ import annotations

from moto.s3.models import s3_backends

from infra_local.strict import emr_releases as releases

BUCKET = "elasticmapreduce"
OWNER = "000000000001"
FOLDER = "bootstrap-actions/log4j/"

# AWS has a patch for the releases from 5.7.0 to 5.34.0 and from 6.0.0 to 6.5.0.
# Source: "Approach to mitigate CVE-2021-44228" in the EMR release guide.
_PATCHED = (((5, 7, 0), (5, 34, 9)), ((6, 0, 0), (6, 5, 9)))

SCRIPT = b"""#!/bin/bash
# Stands in for AWS's patch of log4j on the local cloud, whose nodes have none.
exit 0
"""


def patched() -> list[str]:
    known = releases.labels("us-east-1")
    return [r for r in known if any(low <= releases.version(r) <= high for low, high in _PATCHED)]


def seed() -> None:
    """Put them there; what is there already stays."""
    backend = s3_backends[OWNER]["aws"]
    if BUCKET in backend.buckets:
        return
    backend.create_bucket(BUCKET, "us-east-1")
    for release in patched():
        backend.put_object(BUCKET, f"{FOLDER}patch-log4j-{release}-v1.sh", SCRIPT)
