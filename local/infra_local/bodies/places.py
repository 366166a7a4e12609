"""Where a project's hosts keep what they keep."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from infra_local.bodies import gateway, groups


@dataclass(frozen=True)
class Places:
    home: Path  # the local cloud's folder

    @property
    def live(self) -> Path:
        """Disks and networks: a file system in memory that only the hosts' own processes see."""
        return self.home / "hosts"

    @property
    def networks(self) -> Path:
        return self.live / "networks"

    @property
    def disks(self) -> Path:
        return self.live / "disks"

    @property
    def keys(self) -> Path:
        """The hosts' private keys, which outlive them."""
        return self.home / "host-keys"

    @property
    def group(self) -> Path:
        """The control group that all of them are in."""
        return groups.MOUNT / f"infra-local-{hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]}"

    @property
    def gateway(self) -> Path:
        return gateway.place(self.home)

    @property
    def record(self) -> Path:
        """Says which processes run the hosts."""
        return self.home / "hosts.json"

    @property
    def log(self) -> Path:
        return self.home / "hosts.log"

    @property
    def lock(self) -> Path:
        return self.home / "hosts.lock"
