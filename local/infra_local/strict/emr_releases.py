"""What an EMR release holds: its applications with versions, and the instance types it runs on."""

from __future__ import annotations

from functools import lru_cache

from moto.emr.utils import ReleaseLabel
from moto.utilities.utils import load_resource

_5_29 = {
    "Flink": "1.9.1", "Ganglia": "3.7.2", "Hadoop": "2.8.5", "HBase": "1.4.10", "HCatalog": "2.3.6", "Hive": "2.3.6",
    "Hue": "4.4.0", "JupyterHub": "1.0.0", "Livy": "0.6.0", "Mahout": "0.13.0", "MXNet": "1.5.1", "Oozie": "5.1.0",
    "Phoenix": "4.14.3", "Pig": "0.17.0", "Presto": "0.227", "Spark": "2.4.4", "Sqoop": "1.4.7", "TensorFlow": "1.14.0",
    "Tez": "0.9.2", "Zeppelin": "0.8.2", "ZooKeeper": "3.4.14",
}  # fmt: skip
_5_36 = {
    **_5_29, "Flink": "1.14.2", "Hadoop": "2.10.1", "HBase": "1.4.13", "HCatalog": "2.3.9", "Hive": "2.3.9", "Hudi": "0.10.1",
    "Hue": "4.10.0", "JupyterEnterpriseGateway": "2.1.0", "JupyterHub": "1.4.1", "Livy": "0.7.1", "MXNet": "1.8.0",
    "Oozie": "5.2.1", "Presto": "0.267", "Spark": "2.4.8", "TensorFlow": "2.4.1", "Zeppelin": "0.10.0",
}  # fmt: skip
_7_0 = {
    "AmazonCloudWatchAgent": "1.300031.1", "Delta": "3.0.0", "Flink": "1.18.0", "Hadoop": "3.3.6", "HBase": "2.4.17",
    "HCatalog": "3.1.3", "Hive": "3.1.3", "Hudi": "0.14.0", "Hue": "4.11.0", "Iceberg": "1.4.2",
    "JupyterEnterpriseGateway": "2.6.0", "JupyterHub": "1.5.0", "Livy": "0.7.1", "MXNet": "1.9.1", "Oozie": "5.2.1",
    "Phoenix": "5.1.3", "Pig": "0.17.0", "Presto": "0.283", "Spark": "3.5.0", "Sqoop": "1.4.7", "TensorFlow": "2.11.0",
    "Tez": "0.10.2", "Trino": "426", "Zeppelin": "0.10.1", "ZooKeeper": "3.5.10",
}  # fmt: skip
_APPLICATIONS = {
    "emr-5.29.0": _5_29,
    "emr-5.36.0": _5_36,
    "emr-5.36.1": _5_36,
    "emr-5.36.2": _5_36,
    "emr-7.0.0": _7_0,
}


@lru_cache
def labels(region: str) -> tuple[str, ...]:
    try:
        return tuple(load_resource(f"emr/resources/release-labels-{region}.json"))
    except FileNotFoundError:
        return ()


@lru_cache
def instance_types(label: str) -> frozenset[str]:
    try:
        return frozenset(load_resource(f"emr/resources/instance-types-{label}.json"))
    except FileNotFoundError:
        return frozenset()


def version(label: str) -> tuple[int, int, int]:
    """(5, 29, 0) of emr-5.29.0; (0, 0, 0) of anything else."""
    try:
        return ReleaseLabel.parse(label)
    except ValueError:
        return (0, 0, 0)


def applications(label: str) -> dict[str, str | None]:
    """Names with versions; of releases that are not listed above the names only."""
    known = _APPLICATIONS.get(label)
    if known:
        return dict(known)
    major = version(label)[0]
    return dict.fromkeys(_7_0 if major >= 7 else {**_5_36, **_7_0} if major == 6 else _5_36)


def application(label: str, name: str) -> tuple[str, str | None] | None:
    """EMR takes `spark` for `Spark`; the canonical name with its version, or nothing."""
    for known, number in applications(label).items():
        if known.lower() == name.lower():
            return known, number
    return None
