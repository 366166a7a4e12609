"""What makes moto as strict as AWS, one module a subject; install() puts it all in place."""

from __future__ import annotations

_MODULES = (
    "speedups",
    "accounts",
    "ec2_images",
    "ec2_tags",
    "ec2_transitions",
    "ec2_network",
    "ec2_deletes",
    "ec2_instances",
    "ec2_bodies",
    "client_tokens",
    "ec2_keys",
    "iam",
    "iam_details",
    "sts_kms",
    "s3_buckets",
    "emr_injection",
    "emr_nodes",
    "emr_lifecycle",
    "emr_missing",
    "tagging",
    "ec2_lag",
    "ec2_operations",
)
_installed: list = []


def install() -> None:
    """Patch moto, once; the order matters where one operation has several layers."""
    if _installed:
        return
    import importlib

    for name in _MODULES:
        module = importlib.import_module(f"infra_local.strict.{name}")
        if hasattr(module, "install"):
            module.install()
        _installed.append(module)


def dump() -> dict:
    """State that the patches keep outside of moto's backends."""
    return {m.__name__: m.dump() for m in _installed if hasattr(m, "dump")}


def load(saved: dict) -> None:
    for module in _installed:
        if hasattr(module, "load") and module.__name__ in saved:
            module.load(saved[module.__name__])


def reset() -> None:
    for module in _installed:
        if hasattr(module, "reset"):
            module.reset()
