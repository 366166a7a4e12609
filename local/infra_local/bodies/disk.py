"""A host's disk: the image below, what the host writes above, and what cloud-init would have written first."""

from __future__ import annotations

import base64
import binascii
import os
import shutil
import uuid
from pathlib import Path

from infra_local.bodies import egress, image, metadata
from infra_local.bodies.identity import Identity
from infra_local.bodies.kernel import mount, unmount
from infra_local.bodies.machine import PYTHON_PLACE, Machine
from infra_local.bodies.names import RESOLVER
from infra_local.bodies.network import SERVICES
from infra_local.bodies.wanted import Wanted

_UID = 1000
_PROXY = f"http://{SERVICES}:{egress.PORT}"


class Disk:
    """In memory: it is lost with the hosts, and kept while its instance is stopped."""

    def __init__(self, base: Path) -> None:
        self.base, self.root = base, base / "root"
        self.is_new = True

    def attach(self) -> None:
        for name in ("written", "work", "root"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        layers = (("lowerdir", image.root()), ("upperdir", self.base / "written"), ("workdir", self.base / "work"))
        mount("overlay", self.root, "overlay", options=",".join(f"{k}={_escaped(v)}" for k, v in layers))

    def detach(self) -> None:
        if os.path.ismount(self.root):
            unmount(self.root)

    def remove(self) -> None:
        self.detach()
        shutil.rmtree(self.base, ignore_errors=True)

    def write(self, path: str, contents: str | bytes, mode: int = 0o644, owner: int = 0) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        data = contents.encode() if isinstance(contents, str) else contents
        # With its final mode from the start, so that nothing of it is ever open to others.
        place.unlink(missing_ok=True)
        with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(data)
            os.fchmod(out.fileno(), mode)
            os.fchown(out.fileno(), owner, owner)

    def append(self, path: str, line: str) -> None:
        with open(self.root / path, "a") as out:
            out.write(line + "\n")

    def furnish(self, host: Wanted, identity: Identity, machine: Machine) -> None:
        """What the image of a cloud does at first boot."""
        name, full = host.hostname, host.full_name
        # EMR's image calls a node by its full name.
        self.write("etc/hostname", f"{full if host.node else name}\n")
        self.write("etc/hosts", f"127.0.0.1 localhost\n::1 localhost\n{host.private_ip} {full} {name}\n")
        self.write("etc/resolv.conf", f"nameserver {RESOLVER}\nsearch {full.split('.', 1)[1]}\n")
        self.write("etc/machine-id", f"{uuid.uuid4().hex}\n", 0o444)
        for kind, (private, public) in identity.keys.items():
            self.write(f"etc/ssh/ssh_host_{kind}_key", private, 0o600)
            self.write(f"etc/ssh/ssh_host_{kind}_key.pub", f"{public} root@{name}\n")
        self._login(host)
        self._ways_out(host, machine)
        self._packages(machine)
        self._python(machine)
        self._user_data(host)
        self.is_new = False

    def _login(self, host: Wanted) -> None:
        login, home = host.login, f"home/{host.login}"
        self.append("etc/passwd", f"{login}:x:{_UID}:{_UID}:{login.capitalize()}:/{home}:/bin/bash")
        self.append("etc/shadow", f"{login}:!:19700:0:99999:7:::")
        self.append("etc/group", f"{login}:x:{_UID}:")
        self.append("etc/gshadow", f"{login}:!::")
        for path in ("etc/group", "etc/gshadow"):
            lines = (self.root / path).read_text().splitlines()
            lines = [_with_member(line, login) if line.split(":")[0] in ("adm", "sudo") else line for line in lines]
            (self.root / path).write_text("\n".join(lines) + "\n")
        shutil.copytree(self.root / "etc/skel", self.root / home, symlinks=True)
        (self.root / home / ".ssh").mkdir(mode=0o700)
        for path in (self.root / home, *(self.root / home).rglob("*")):
            os.chown(path, _UID, _UID, follow_symlinks=False)
        rule = f"# User rules for {login}\n{login} ALL=(ALL) NOPASSWD:ALL\n"
        self.write("etc/sudoers.d/90-cloud-init-users", rule, 0o440)
        if host.authorized_key:
            self.write(f"{home}/.ssh/authorized_keys", f"{host.authorized_key}\n", 0o600, _UID)
            hint = f'echo \'Please login as the user \\"{login}\\" rather than the user \\"root\\".\';echo;sleep 10;exit 142'
            limits = f'no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command="{hint}"'
            self.write("root/.ssh/authorized_keys", f"{limits} {host.authorized_key}\n", 0o600)
            (self.root / "root/.ssh").chmod(0o700)

    def _ways_out(self, host: Wanted, machine: Machine) -> None:
        direct = ["localhost", "127.0.0.1", "::1", SERVICES, metadata.ADDRESS, ".internal", *host.vpc_ranges]
        pairs = [("http_proxy", _PROXY), ("https_proxy", _PROXY), ("no_proxy", ",".join(direct))]
        pairs += [(name.upper(), value) for name, value in pairs]
        # AWS is the local cloud, for every program that asks AWS. A busy machine answers later than Amazon's.
        pairs += [
            ("AWS_ENDPOINT_URL", f"http://{SERVICES}:{machine.cloud}"),
            ("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "5"),
        ]
        if machine.bundle:
            self.write("etc/ssl/certs/ca-certificates.crt", machine.bundle)
            for number, certificate in enumerate(machine.authorities):
                # Where update-ca-certificates looks when it writes that bundle again.
                self.write(f"usr/local/share/ca-certificates/machine-{number}.crt", certificate + "\n")
            # Python's own tools bring a bundle along instead of reading the system's.
            bundle = "/etc/ssl/certs/ca-certificates.crt"
            pairs += [(name, bundle) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")]
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.write("etc/environment", "".join(f'{name}="{value}"\n' for name, value in [("PATH", path), *pairs]))
        # Services do not read that file.
        given = " ".join(f'"{name}={value}"' for name, value in pairs)
        self.write("etc/systemd/system.conf.d/95-proxy.conf", f"[Manager]\nDefaultEnvironment={given}\n")
        # Pipelined requests to several servers would wait for each other's connections.
        apt = (
            f'Acquire::http::Proxy "{_PROXY}";\nAcquire::https::Proxy "{_PROXY}";\nAcquire::http::Pipeline-Depth "0";\n'
        )
        self.write("etc/apt/apt.conf.d/95proxy", apt)
        self.write("etc/pip.conf", machine.pip, 0o600 if machine.pip_is_secret else 0o644)

    def _packages(self, machine: Machine) -> None:
        if not machine.apt:
            return  # the image's own sources stay
        for old in (self.root / "etc/apt/sources.list", *(self.root / "etc/apt/sources.list.d").glob("*")):
            old.unlink(missing_ok=True)
        secret = "@" in machine.apt
        self.write("etc/apt/sources.list.d/machine.sources", machine.apt, 0o600 if secret else 0o644)
        for path, key in machine.apt_keys.items():
            self.write(path.lstrip("/"), key)
        for path, login in machine.apt_logins.items():
            self.write(path.lstrip("/"), login, 0o600)

    def _python(self, machine: Machine) -> None:
        if not machine.python:
            return
        (self.root / PYTHON_PLACE.lstrip("/")).mkdir(exist_ok=True)
        (self.root / "usr/local/bin/python3.10").symlink_to(f"{PYTHON_PLACE}/bin/python3.10")
        # Found by its new place and not by the one that it was built for, which only this machine has.
        folder = next(p for p in (self.root / "usr/lib").glob("*-linux-gnu*") if p.is_dir())
        for library in (machine.python / "lib").glob("libpython3.10.so.*"):
            (folder / library.name).symlink_to(f"{PYTHON_PLACE}/lib/{library.name}")

    def _user_data(self, host: Wanted) -> None:
        if not host.user_data:
            return
        try:
            data = base64.b64decode(host.user_data)
        except binascii.Error:
            return
        self.write("var/lib/cloud/instance/user-data.txt", data, 0o600)
        if not data.startswith(b"#!"):
            return  # cloud-init's own language is not spoken here
        self.write("var/lib/cloud/instance/scripts/part-001", data, 0o700)
        self.write("etc/systemd/system/cloud-final.service", _USER_DATA)
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        (wants / "cloud-final.service").symlink_to("/etc/systemd/system/cloud-final.service")


def _with_member(line: str, login: str) -> str:
    return f"{line}{'' if line.endswith(':') else ','}{login}"


def _escaped(path: Path) -> str:
    """A path among overlayfs's options."""
    text = str(path)
    for character in "\\,:":
        text = text.replace(character, "\\" + character)
    return text


_USER_DATA = """[Unit]
Description=What the instance was told at birth
After=network-online.target ssh.service
ConditionPathExists=!/var/lib/cloud/instance/sem/part-001

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStartPre=/usr/bin/install -D /dev/null /var/lib/cloud/instance/sem/part-001
ExecStart=/var/lib/cloud/instance/scripts/part-001
StandardOutput=journal+console
TimeoutSec=0

[Install]
WantedBy=multi-user.target
"""
