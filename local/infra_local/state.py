"""Keeping the cloud's state over `down` and `up`: one pickle of moto's backends, objects beside it.

A snapshot is moto's own objects, so it is only read back by the very same moto; another version's is
put aside, not guessed at. Bodies of S3 objects are files named by their content, so that a save costs
what has changed and not what is stored. It is this program's own file, in a directory of mode 0700:
unpickling it trusts nobody else.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pickle
import weakref
from pathlib import Path

import moto
from moto.core.base_backend import BackendDict

from infra_local import __version__
from infra_local.clock import clock
from infra_local.settings import settings

log = logging.getLogger("infra_local")

# In this order: later ones refer to earlier ones.
SERVICES = ("iam", "sts", "kms", "s3", "ec2", "emr", "logs")
# moto makes global backends for every partition; nothing of ours lives outside of "aws".
_OTHER_PARTITIONS = {"aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}
_FILE = "state.pickle"


def _backend_dicts() -> dict[str, BackendDict]:
    from moto.backends import get_backend

    return {service: get_backend(service) for service in SERVICES}


def _header() -> dict:
    return {"moto": moto.__version__, "infra_local": __version__, "stock": settings.stock}


class _Pickler(pickle.Pickler):
    """Leaves out what every cloud has from the start, and puts S3 bodies into files."""

    def __init__(self, out: io.BytesIO, bodies: Path) -> None:
        super().__init__(out, protocol=pickle.HIGHEST_PROTOCOL)
        self.bodies = bodies

    def persistent_id(self, thing):
        if type(thing).__name__ == "AWSManagedPolicy":
            return "managed-policy", thing.account_id, thing.arn, thing.attachment_count
        return None

    def reducer_override(self, thing):
        if type(thing).__name__ == "FakeKey":
            return _restore_key, (_key_state(thing, self.bodies), str(self.bodies))
        if type(thing).__module__.startswith("cryptography.") and hasattr(thing, "private_bytes"):
            return _restore_private_key, (_private_bytes(thing),)
        return NotImplemented


def _private_bytes(key) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    return key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())


def _restore_private_key(der: bytes):
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    return load_der_private_key(der, password=None)


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid):
        kind, account, arn, attachments = pid
        if kind != "managed-policy":
            raise pickle.UnpicklingError(f"unknown reference {kind}")
        policy = _managed_policies(account)[arn]
        policy.attachment_count = attachments
        return policy


_policies: dict[str, dict] = {}


def _managed_policies(account: str) -> dict:
    """The AWS-managed policies of a fresh IAM backend, which every account starts with."""
    from moto.iam.models import iam_backends

    if account not in _policies:
        _policies[account] = {p.arn: p for p in iam_backends[account]["aws"].aws_managed_policies}
    return _policies[account]


def _key_state(key, bodies: Path) -> dict:
    contents = dict(key.__dict__)
    blob = contents.pop("_infra_local_blob", None)
    contents.pop("_value_buffer", None)
    contents.pop("lock", None)
    if blob is None or blob[0] != key.etag:
        try:
            value = key.value
        except ValueError:  # its buffer is closed: the object was deleted
            value = b""
        name = hashlib.sha256(value).hexdigest()
        path = bodies / name
        if not path.exists():
            bodies.mkdir(exist_ok=True)
            part = path.with_suffix(f".part{os.getpid()}")
            part.write_bytes(value)
            part.replace(path)
        blob = (key.etag, name)
        key.__dict__["_infra_local_blob"] = blob
    contents["_infra_local_blob"] = blob
    return contents


def _restore_key(contents: dict, bodies: str):
    import tempfile
    import threading

    from moto.s3.models import FakeKey
    from moto.settings import get_s3_default_key_buffer_size

    key = FakeKey.__new__(FakeKey)
    key.__dict__.update(contents)
    key.__dict__["lock"] = threading.Lock()
    key._value_buffer = tempfile.SpooledTemporaryFile(  # noqa: SIM115
        max_size=contents.get("_max_buffer_size") or get_s3_default_key_buffer_size()
    )
    key._value_buffer.write((Path(bodies) / contents["_infra_local_blob"][1]).read_bytes())
    return key


def dump(home: Path) -> bytes:
    """The whole state as bytes; the caller holds the lock."""
    contents: dict = {"clock": clock.dump(), "backends": {}, "extra": {}}
    for service, backends in _backend_dicts().items():
        contents["backends"][service] = {
            account: {region: backend for region, backend in dict.items(regions) if region not in _OTHER_PARTITIONS}
            for account, regions in dict.items(backends)
        }
    s3 = _backend_dicts()["s3"]
    contents["extra"]["bucket_accounts"] = dict(getattr(s3, "bucket_accounts", {}))
    if not settings.stock:
        from infra_local import strict

        contents["extra"]["strict"] = strict.dump()
    out = io.BytesIO()
    pickle.dump(_header(), out)
    _Pickler(out, home / "objects").dump(contents)
    return out.getvalue()


def write(home: Path, snapshot: bytes) -> None:
    path = home / _FILE
    part = path.with_suffix(".part")
    with open(part, "wb") as out:
        out.write(snapshot)
    part.replace(path)


def load(home: Path) -> bool:
    path = home / _FILE
    if not path.exists():
        return False
    try:
        with open(path, "rb") as source:
            header = pickle.load(source)
            if header != _header():
                raise ValueError(f"saved by {header}, this is {_header()}")
            contents = _Unpickler(source).load()
    except Exception as error:
        aside = path.with_suffix(".unreadable")
        path.replace(aside)
        log.error("the saved state is put aside as %s: %s", aside.name, error)
        return False
    for service, accounts in contents["backends"].items():
        backends = _backend_dicts()[service]
        for account, regions in accounts.items():
            for region, backend in regions.items():
                dict.__setitem__(backends[account], region, backend)
                _revive(service, backend)
    _backend_dicts()["s3"].bucket_accounts.update(contents["extra"]["bucket_accounts"])
    clock.load(contents["clock"])
    if not settings.stock:
        from infra_local import strict

        strict.load(contents["extra"].get("strict") or {})
    return True


def _revive(service: str, backend) -> None:
    """What moto keeps outside of a backend's own attributes."""
    if service == "ec2":
        backend.vpc_refs[type(backend)].add(weakref.ref(backend))


def reset() -> None:
    from moto.core.model_instances import reset_model_data

    BackendDict.reset()
    _policies.clear()
    for service, backends in _backend_dicts().items():
        if service == "s3":
            getattr(backends, "bucket_accounts", {}).clear()
    reset_model_data()
