"""The hosts' image: a small Debian, built once from this recipe and kept in the user's cache folder.

Its tools are used too (systemd-nspawn, nft), by its own loader and libraries: a machine's own ones may be missing or
of another version, and installing them would upgrade the machine's systemd.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from infra_local.bodies import sources

SUITE = "bookworm"
_PACKAGES = (
    "systemd-sysv",
    "libpam-systemd",
    "dbus",
    "openssh-server",
    "sudo",
    "curl",
    "ca-certificates",
    "python3",
    "python3-venv",
    "iproute2",
    "procps",
    # For the outside: what runs the hosts, and what their networks' rules are written with.
    "systemd-container",
    "nftables",
)
# Not needed in a container, or slow there.
_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dev-hugepages.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "modprobe@.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-journal-flush.service",
    "systemd-update-utmp.service",
)
_HOOKS = (
    # Each host gets its own of these.
    'rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/hostname; : >"$1"/etc/machine-id',
    "for unit in " + " ".join(_MASKED) + '; do ln -sf /dev/null "$1"/etc/systemd/system/$unit; done',
    'ln -sf /usr/lib/systemd/system/multi-user.target "$1"/etc/systemd/system/default.target',
    'echo "PasswordAuthentication no" >"$1"/etc/ssh/sshd_config.d/60-cloudimg-settings.conf',
    'rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap',
)
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


class ImageError(Exception):
    """The image cannot be built here."""


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "infra" / "local-hosts"


def _digest() -> str:
    recipe = repr((SUITE, platform.machine(), _PACKAGES, _HOOKS, _LEFT_OUT))
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def folder() -> Path:
    return cache() / f"image-{_digest()}"


def root() -> Path:
    """The image's files; hosts see them below what they write themselves."""
    return folder() / "root"


def is_built() -> bool:
    return (folder() / "complete").exists()


def tool(name: str) -> list[str]:
    """The command that runs a program of the image here, outside of it."""
    loader = next(root().glob("lib*/ld-linux*.so.*"))
    libraries = [d for d in root().glob("usr/lib/*-linux-gnu*") if d.is_dir()]
    path = ":".join(str(d) for library in libraries for d in (library, library / "systemd"))
    program = next(p for d in ("usr/bin", "usr/sbin") if (p := root() / d / name).exists())
    return [str(loader), "--library-path", path, str(program)]


def build(say: Callable[[str], None]) -> Path:
    """Build the image if it isn't there; its root folder."""
    cache().mkdir(parents=True, exist_ok=True)
    cache().chmod(0o700)  # what it was built from may name this machine's own mirrors
    with open(cache() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_built():
            say("Building the hosts' image (once; about a minute) ...")
            shutil.rmtree(folder(), ignore_errors=True)
            root().mkdir(parents=True)
            _bootstrap(root())
            (folder() / "complete").touch()
    return root()


def _bootstrap(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=_roomy(), prefix="infra-image-") as work:
        command = [_mmdebstrap(), "--quiet", "--mode=root", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
        command += [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
        command += [f"--customize-hook={hook}" for hook in _HOOKS]
        archive = Path(work, "root.tar")
        given = sources.text(SUITE)
        command += [SUITE, str(archive)] + (["-"] if given else [])
        # mmdebstrap works in TMPDIR: a file system in memory takes half the time.
        environment = {**os.environ, "TMPDIR": work, "LC_ALL": "C.UTF-8"}
        # Its own helpers lie beside it.
        environment["PATH"] = f"{Path(command[0]).parent}:{environment['PATH']}:/usr/sbin:/sbin"
        done = subprocess.run(command, input=given, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ImageError(f"the hosts' image cannot be built:\n{done.stderr.strip()[-3000:]}")
        subprocess.run(
            ["tar", "--extract", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--file", archive],
            cwd=target, check=True,
        )  # fmt: skip


def _roomy() -> str:
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30:
        return str(memory)
    return str(cache())


def _mmdebstrap() -> str:
    """Debian's tool that makes images; fetched and unpacked privately where it isn't installed."""
    installed = shutil.which("mmdebstrap")
    if installed:
        return installed
    tools = cache() / "tools"
    program = tools / "usr" / "bin" / "mmdebstrap"
    if not program.exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise ImageError("the hosts' image is built by mmdebstrap, which is not installed here")
        tools.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tools) as work:
            fetch = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "mmdebstrap"]
            done = subprocess.run(fetch, cwd=work, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise ImageError(f"mmdebstrap cannot be fetched (apt-get update may help): {done.stderr.strip()}")
            for package in Path(work).glob("*.deb"):
                subprocess.run(["dpkg-deb", "--extract", package, tools], check=True)
    return str(program)
