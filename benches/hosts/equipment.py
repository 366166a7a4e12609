"""Ansible itself, from the Python package index, in an environment of its own that is kept from run to run."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from project import HERE, Failed

_COLLECTION = "ansible_collections/ansible/posix/"


@dataclass(frozen=True)
class Equipment:
    """Where `ansible-playbook` and its collection are."""

    folder: Path

    @property
    def program(self) -> Path:
        return self.folder / "bin" / "ansible-playbook"

    @property
    def collections(self) -> Path:
        return self.folder / "collections"

    @property
    def version(self) -> str:
        """`core 2.19.14`."""
        done = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True)
        return done.stdout.split("\n", 1)[0].split("[", 1)[1].rstrip("]")


def ensure() -> Equipment:
    """Install it, if it isn't."""
    lists = [HERE / "requirements.txt", HERE / "collection.txt"]
    key = hashlib.sha256(b"".join(each.read_bytes() for each in lists) + sys.version.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("INFRA_TEST_CACHE") or HERE.parent.parent / ".cache")
    equipment = Equipment(cache / f"ansible-{key}")
    complete = equipment.folder / "complete"
    if not complete.exists():
        shutil.rmtree(equipment.folder, ignore_errors=True)
        _install(equipment, *lists)
        complete.touch()
    return equipment


def _install(equipment: Equipment, requirements: Path, collection: Path) -> None:
    if shutil.which("uv"):
        _run(["uv", "venv", "--quiet", "--seed", "--python", sys.executable, equipment.folder])
    else:
        _run([sys.executable, "-m", "venv", equipment.folder])
    pip = [equipment.folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "install", "--requirement", requirements])
    with tempfile.TemporaryDirectory() as folder:
        # A hundred collections are in the bundle; unpacked they are half a gigabyte.
        _run([*pip, "download", "--no-deps", "--only-binary", ":all:", "--dest", folder, "--requirement", collection])
        with zipfile.ZipFile(next(Path(folder).glob("ansible-*.whl"))) as bundle:
            wanted = [name for name in bundle.namelist() if name.startswith(_COLLECTION)]
            bundle.extractall(equipment.collections, wanted)


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"Ansible cannot be installed:\n{done.stderr[-2000:]}")
