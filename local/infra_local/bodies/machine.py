"""What a host takes over from this machine: where packages come from, whom to trust, and a Python 3.10 if there is one.

Read when the hosts come up, never kept.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from infra_local.bodies import image, sources

_PYTHON = "python3.10"
PYTHON_PLACE = "/opt/python3.10"


@dataclass(frozen=True)
class Machine:
    apt: str
    apt_keys: dict[str, bytes]
    apt_logins: dict[str, bytes]
    pip: str
    pip_is_secret: bool
    authorities: tuple[str, ...]  # certificates that the image does not have
    bundle: str
    python: Path | None  # the folder that a Python 3.10 is installed in
    cloud: int  # the local cloud's port

    @property
    def python_version(self) -> str:
        """The Python of a host for services that need a certain one: this machine's 3.10, or else the image's own."""
        if self.python:
            return _PYTHON.removeprefix("python")
        own = [p.name.removeprefix("python") for p in (image.root() / "usr/bin").glob("python3.*")]
        return max((v for v in own if v.removeprefix("3.").isdecimal()), key=lambda v: int(v.removeprefix("3.")))


def read(cloud: int) -> Machine:
    apt = sources.text(image.SUITE)
    pip, secret = sources.pip()
    bundle = sources.authorities()
    own = (image.root() / "etc/ssl/certs/ca-certificates.crt").read_text(errors="replace")
    more = tuple(sources.more_authorities(bundle, own))
    return Machine(
        apt=apt,
        apt_keys={str(p): p.read_bytes() for p in sources.keyrings(apt)},
        apt_logins={str(p): p.read_bytes() for p in sources.logins()},
        pip=pip,
        pip_is_secret=secret,
        authorities=more,
        bundle=own.rstrip("\n") + "\n" + "".join(f"{c}\n" for c in more) if more else "",
        python=_python(),
        cloud=cloud,
    )


def _python() -> Path | None:
    """A Python 3.10 that is a folder of its own; one of the machine's distribution needs that distribution."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    found = [Path(p).resolve() for p in [shutil.which(_PYTHON)] if p]
    found += [*pyenv.glob(f"versions/3.10.*/bin/{_PYTHON}"), *data.glob(f"uv/python/cpython-3.10.*/bin/{_PYTHON}")]
    for program in found:
        folder = program.resolve().parent.parent
        if folder not in (Path("/"), Path("/usr")) and (folder / "lib" / _PYTHON / "os.py").exists():
            return folder
    return None
