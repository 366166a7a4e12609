"""A host's keys. An instance keeps them for life, also over the loss of its disk: whoever pinned them is not alarmed."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

_KINDS = ("ecdsa", "ed25519")


@dataclass(frozen=True)
class Identity:
    keys: dict[str, tuple[bytes, str]]  # by kind: the private half, and the public one without its comment


def of(instance: str, folder: Path) -> Identity:
    """The instance's keys, made now if it has none."""
    keys = {}
    own = folder / instance
    for kind in _KINDS:
        place = own / f"{kind}.key"
        if not place.exists():
            own.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = place.with_suffix(f".part{os.getpid()}")
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(_make(kind))
            part.replace(place)
        private = place.read_bytes()
        keys[kind] = (private, _public(private))
    return Identity(keys)


def forget(instance: str, folder: Path) -> None:
    shutil.rmtree(folder / instance, ignore_errors=True)


def _make(kind: str) -> bytes:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    key = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())


def _public(private: bytes) -> str:
    from cryptography.hazmat.primitives import serialization as form

    key = form.load_ssh_private_key(private, None).public_key()
    return key.public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH).decode()


def console(identity: Identity, hostname: str) -> str:
    """What cloud-init writes to the console of a new host."""
    publics = [public for _, public in identity.keys.values()]
    lines = ["-----BEGIN SSH HOST KEY FINGERPRINTS-----"]
    for public in publics:
        kind, blob = public.split()[:2]
        digest = base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")
        bits, short = ("256", "ED25519") if kind == "ssh-ed25519" else ("256", "ECDSA")
        lines.append(f"{bits} SHA256:{digest} root@{hostname} ({short})")
    lines += ["-----END SSH HOST KEY FINGERPRINTS-----", "-----BEGIN SSH HOST KEY KEYS-----"]
    lines += [f"{public} root@{hostname}" for public in publics]
    return "\n".join([*lines, "-----END SSH HOST KEY KEYS-----", ""])
