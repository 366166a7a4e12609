"""The host that people are on, as it tells of itself: who is there, and how often somebody came and asked something."""

from __future__ import annotations

import time
from dataclasses import dataclass

from project import Failed, Project, run

_CONFIGURATION = "/etc/ssh/sshd_config.d/50-benchmark.conf"


@dataclass(frozen=True)
class Trips:
    """What sshd counted: connections that were let in, and commands that were run in them."""

    connections: int
    commands: int

    @property
    def all(self) -> int:
        return self.connections + self.commands


class Bastion:
    def __init__(self, project: Project) -> None:
        self._project = project

    def listen(self) -> None:
        """Let sshd tell of each command, and wait until it does."""
        self._ask(f"echo 'LogLevel VERBOSE' | sudo tee {_CONFIGURATION} >&2 && sudo systemctl reload ssh")
        for _ in range(50):
            if "Starting session" in self._ask("sudo journalctl --sync; sudo journalctl -t sshd -o cat -n 20"):
                return
            time.sleep(0.1)
        raise Failed("sshd on the bastion does not tell of commands")

    def moment(self) -> str:
        """Now, as a place in the journal."""
        told = self._ask("sudo journalctl --sync; sudo journalctl -n 0 --show-cursor")
        return told.rsplit("cursor: ", 1)[1].strip()

    def trips_since(self, moment: str) -> Trips:
        """Who came since then; not to tell of itself is all that this asks of its own connection."""
        told = self._ask(
            'echo "own ${SSH_CONNECTION#* }"; sudo journalctl --sync;'
            f" sudo journalctl -t sshd -o cat --after-cursor='{moment}'"
        )
        first, *lines = told.splitlines()
        own = f" port {first.split()[1]} "
        others = [f"{line} " for line in lines if own not in f"{line} "]
        return Trips(
            sum(line.startswith("Accepted publickey for ") for line in others),
            sum(line.startswith("Starting session: ") for line in others),
        )

    def people(self, prefix: str) -> dict[str, str]:
        """The accounts whose logins begin so, with the keys that open them."""
        told = self._ask("cut -d: -f1 /etc/passwd; sudo sh -c 'grep -H . /home/*/.ssh/authorized_keys' || true")
        keys: dict[str, list[str]] = {}
        for line in told.splitlines():
            if line.startswith("/home/"):
                path, key = line.split(":", 1)
                keys.setdefault(path.split("/")[2], []).append(" ".join(key.split()[:2]))
            else:
                keys.setdefault(line, [])
        return {login: ", ".join(found) for login, found in keys.items() if login.startswith(prefix)}

    def _ask(self, command: str) -> str:
        ssh = ["ssh", "-F", self._project.ssh_config, "-o", "ControlPath=none", "bastion", command]
        return run(ssh, self._project.folder).said
