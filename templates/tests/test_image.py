"""NYC 311's image, built from its Dockerfile and run as its user; beneath it a stand-in for Python's official image."""

from __future__ import annotations

import ast
import filecmp
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import environments
import made_requests
import pytest
from conftest import TEMPLATES, absent, run

pytestmark = pytest.mark.slow
NYC311 = TEMPLATES / "nyc311"
PROGRAMS = ["buildah", "mmdebstrap"]
FROM, PYTHON, SUITE = re.search(
    r"^FROM (python:([\d.]+)-slim-(\w+))$", (NYC311 / "Dockerfile").read_text(), re.M
).groups()
IMAGE = "localhost/nyc311:test"
FILES = ["extract.py", "luigi.cfg", "requirements.txt", "storage.py", "tasks.py"]
# What of pip's settings says where packages are, and how they are reached.
REACH = {
    "index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "cert", "client-cert", "proxy",
    "default-timeout", "timeout", "retries",
}  # fmt: skip
# Where the build finds them: a folder that pip looks in, which the base has for it and leaves empty.
PIP = "/etc/xdg/pip"
WHEELS = ["pip==24.0", "setuptools==65.5.1"]
# The official image's pip is no Debian package, installs below /usr/local, and is asked for by `pip` and `python`.
FINISH = f"""
test "$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" = {PYTHON}
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
ln -s /usr/bin/python3 /usr/local/bin/python
python $(echo /tmp/wheels/pip-*.whl)/pip --quiet install --root-user-action=ignore --no-index --no-deps /tmp/wheels/*.whl
rm -r /tmp/wheels
mkdir -p {PIP}
"""
DEBIAN = [
    # What it mounts goes with it, also where it is killed: whoever deletes the half of it must not find /sys there.
    "unshare", "--mount",
    "mmdebstrap", "--quiet", "--mode=root", "--format=directory", "--variant=minbase", "--include=python3",
    # Else usrmerge comes, and Perl with it.
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
]  # fmt: skip


class Buildah:
    """buildah with a storage of its own; nothing of the machine's is read or written."""

    def __init__(self, folder: Path, base: Path | None = None) -> None:
        self.command = ["buildah", "--root", folder / "storage", "--runroot", folder / "run", "--storage-driver", "vfs"]
        if base:
            self.command += ["--storage-opt", f"vfs.imagestore={base / 'storage'}"]

    def start(self, *arguments: object) -> subprocess.CompletedProcess:
        return run(*self.command, *arguments, timeout=600)

    def __call__(self, *arguments: object) -> str:
        done = self.start(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout.strip()


def mirror() -> list[str]:
    """Where this machine has Debian from, if it is this Debian; else mmdebstrap knows one."""
    if not shutil.which("apt-get"):
        return []
    wanted = ["Created-By: Packages", "Origin: Debian", f"Codename: {SUITE}"]
    return run("apt-get", "indextargets", "--format", "$(REPO_URI)", *wanted).stdout.split()[:1]


def make_base(folder: Path) -> None:
    """Debian with its Python, under the name of the image that the Dockerfile is from, which is not here to pull."""
    wheels = folder / "wheels"
    environments.run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", wheels, *WHEELS)
    buildah = Buildah(folder)
    container = buildah("from", "scratch")
    hooks = [
        f'--customize-hook=cp -r {shlex.quote(str(wheels))} "$1/tmp/wheels"',
        f'--customize-hook=chroot "$1" sh -euc {shlex.quote(FINISH)}',
    ]
    environments.run(*DEBIAN, *hooks, SUITE, buildah("mount", container), *mirror())
    path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    buildah("config", "--env", path, "--env", "LANG=C.UTF-8", "--cmd", "python3", container)
    buildah("commit", "--quiet", "--rm", container, f"docker.io/library/{FROM}")


@pytest.fixture(scope="module")
def programs():
    """buildah, and what makes Debians: installed where they are missing and may be."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        absent("An image is built in a chroot, for which one must be root on Linux")
    if not all(map(shutil.which, PROGRAMS)) and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run("apt-get", "update", "-qq", env=quiet)
        install = ["apt-get", "install", "-y", "-qq", "--no-upgrade", "--no-install-recommends"]
        run(*install, *PROGRAMS, "debian-archive-keyring", env=quiet)
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        absent(f"An image is built with {' and '.join(PROGRAMS)}; hint: apt-get install {' '.join(missing)}")


@pytest.fixture(scope="module")
def base(programs):
    key = repr([FROM, WHEELS, FINISH, DEBIAN, os.uname().machine])
    return environments.made("image-base", key, make_base)


def reach(folder: Path) -> list[str]:
    """How pip reaches its packages on this machine, as volumes: what is mounted is not in the image."""
    found = {}
    # The environment's (`:env:.cert`) come last so: they go before the files', as with pip itself.
    for line in reversed(run(sys.executable, "-m", "pip", "config", "list").stdout.splitlines()):
        name, _, value = line.partition("=")
        found[name.rpartition(".")[2]] = ast.literal_eval(value)
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    if bundle:
        found.setdefault("cert", bundle)
    lines = ["[global]"]
    for name in sorted(REACH & set(found)):
        parts = []
        for part in found[name].split():
            if part.startswith("/") and Path(part).exists():
                copy = folder / f"{name}-{len(parts)}"
                (shutil.copytree if Path(part).is_dir() else shutil.copy)(part, copy)
                part = f"{PIP}/{copy.name}"
            parts.append(part)
        lines.append(f"{name} = {' '.join(parts)}")
    (folder / "pip.conf").write_text("\n".join([*lines, ""]))
    return ["--volume", f"{folder}:{PIP}:ro"]


class Built:
    """The image, and a container of it."""

    def __init__(self, buildah: Buildah) -> None:
        self.buildah = buildah
        self.config = json.loads(buildah("inspect", "--type", "image", IMAGE))["OCIv1"]["config"]
        self.container = buildah("from", "--pull=never", IMAGE)
        self.root = Path(buildah("mount", self.container))

    def run(self, *command: str, options: tuple = ()) -> subprocess.CompletedProcess:
        return self.buildah.start("run", "--isolation", "chroot", *options, self.container, "--", *command)


@pytest.fixture(scope="module")
def built(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    (folder / "pip").mkdir()
    buildah = Buildah(folder, base)
    options = ["--isolation", "chroot", "--pull=never", "--quiet", "--tag", IMAGE, *reach(folder / "pip")]
    try:
        buildah("build", *options, NYC311)
        yield Built(buildah)
    finally:
        # Hundreds of megabytes, which pytest would keep for three runs.
        shutil.rmtree(folder)


def test_it_says_what_is_run_and_as_whom(built):
    wanted = {
        "User": "10001",
        "WorkingDir": "/opt/nyc311",
        "Entrypoint": ["luigi", "--module", "tasks"],
        "Cmd": ["Daily"],
    }
    assert {name: built.config.get(name) for name in wanted} == wanted
    assert {one.partition("=")[0] for one in built.config["Env"]} == {
        "PATH", "LANG", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONUNBUFFERED",
    }  # fmt: skip


def files(root: Path) -> dict[str, Path]:
    """Every file and link of a tree, by its path in it."""
    found = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]
    return {str(path.relative_to(root)): path for path in found}


def test_it_has_the_files_and_nothing_else(built, base):
    folder = built.root / "opt/nyc311"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    for name in FILES:
        assert (folder / name).read_bytes() == (NYC311 / name).read_bytes()

    # The base's one layer. What the build leaves above it: packages and an account; no cache of pip's, and no settings.
    (layer,) = (base / "storage/vfs/dir").iterdir()
    before, after = files(layer), files(built.root)
    assert before.keys() <= after.keys()
    places = ("opt/nyc311/", "usr/local/bin/", f"usr/local/lib/python{PYTHON}/")
    more = {name for name in after.keys() - before.keys() if not name.startswith(places)}
    changed = {
        name
        for name, path in before.items()
        if not path.is_symlink() and path.is_file() and not filecmp.cmp(path, after[name])
    }
    accounts = {f"etc/{name}{copy}" for name in ("passwd", "group", "shadow", "gshadow") for copy in ("", "-")}
    # buildah's own, as docker's.
    assert (more | changed) - accounts <= {"etc/hosts", "etc/resolv.conf"}


def test_its_user_can_run_everything_and_change_nothing(built):
    done = built.run("sh", "-c", "id -u; find /etc /opt /usr -writable ! -type l; touch x")
    assert done.stdout.splitlines() == ["10001"], done.stdout
    assert done.returncode != 0 and "Permission denied" in done.stderr
    done = built.run("python", "-c", "import boto3, extract, luigi, sodapy, storage, tasks; print(tasks.__file__)")
    assert (done.returncode, done.stdout.strip()) == (0, "/opt/nyc311/tasks.py"), done.stderr


def test_what_it_runs_by_itself_needs_settings(built):
    done = built.run(*built.config["Entrypoint"], *built.config["Cmd"], "--local-scheduler")
    # luigi ends with 0 unless it has read the image's luigi.cfg.
    assert done.returncode == 35, done.stderr[-3000:]
    assert "lake" in done.stderr


def test_it_loads_a_day(built, socrata, tmp_path):
    socrata.load("erm2-nwe9", made_requests.seen_on("2020-01-02", made_requests.requests("2020-01-01", 3, 60)))
    # Only what is mounted is seen in there, and not the folders above it.
    tmp_path.chmod(0o777)
    settings = [
        "[nyc311]",
        "lake = /lake",
        f"url = {socrata.url}",
        "history_from = 2020-01-01",
        "history_to = 2020-01-01",
    ]
    (tmp_path / "nyc311.cfg").write_text("\n".join([*settings, ""]))
    options = ("--volume", f"{tmp_path}:/lake", "--env", "LUIGI_CONFIG_PATH=/lake/nyc311.cfg")
    task = ["Extract", "--day", "2020-01-02", "--kind", "new", "--local-scheduler"]
    done = built.run(*built.config["Entrypoint"], *task, options=options)
    assert done.returncode == 0, done.stderr[-3000:]
    manifest = tmp_path / "raw/2020/01/02/_manifest.json"
    assert json.loads(manifest.read_text())["rows"] == 60
    assert manifest.stat().st_uid == 10001
