"""The two that are measured. Each is told who is to be there, and makes it so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Protocol

from equipment import Equipment
from project import HERE, Failed, Project, Run, run


class Tool(Protocol):
    name: str
    prefix: str

    def reach(self, people: dict[str, str]) -> Run:
        """Make these people, login to key, and no others of its own, be there."""

    def changed_nothing(self, said: str) -> bool:
        """Whether that is what it said."""


class Infra:
    name = "infra"
    prefix = "infra"

    def __init__(self, project: Project) -> None:
        self._project = project

    def reach(self, people: dict[str, str]) -> Run:
        self._project.write(people)
        done = self._project.infra("--local", "users", "apply", "--yes")
        if done.own_count is None:
            raise Failed(f"infra's log does not tell its round trips:\n{done.said[-2000:]}")
        return done

    def changed_nothing(self, said: str) -> bool:
        return "Nothing to do" in said


class Ansible:
    """With what its documents advise for speed: pipelining, a connection that stays, no facts, a known Python."""

    name = "Ansible"
    prefix = "ansible"

    def __init__(self, project: Project, equipment: Equipment) -> None:
        self._project, self._equipment = project, equipment
        self._present: dict[str, str] = {}
        self._folder = project.folder / "ansible"
        self._folder.mkdir()
        self._sockets = self._folder / "sockets"
        shutil.copy(HERE / "playbook.yaml", self._folder)
        (self._folder / "inventory").write_text("bastion ansible_python_interpreter=/usr/bin/python3\n")
        (self._folder / "ansible.cfg").write_text(
            f"[defaults]\ninventory = {self._folder}/inventory\ncollections_path = {equipment.collections}\n"
            f"home = {self._folder}/home\n"
            f"[ssh_connection]\npipelining = True\ncontrol_path_dir = {self._sockets}\n"
            f"ssh_args = -F {project.ssh_config} -o ControlMaster=auto -o ControlPersist=60s\n"
        )

    def reach(self, people: dict[str, str]) -> Run:
        wanted = {
            "people": [{"login": login, "key": key} for login, key in people.items()],
            "departed": [login for login in self._present if login not in people],
        }
        (self._folder / "people.json").write_text(json.dumps(wanted))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment |= {"ANSIBLE_CONFIG": f"{self._folder}/ansible.cfg", "LC_ALL": "C.UTF-8"}
        command = [self._equipment.program, f"{self._folder}/playbook.yaml", "-e", f"@{self._folder}/people.json"]
        try:
            # From the project's folder: the configuration of ssh names its key from there.
            done = run(command, self._project.folder, environment)
        finally:
            self._hang_up()
        self._present = dict(people)
        return done

    def changed_nothing(self, said: str) -> bool:
        return " changed=0 " in said and " failed=0 " in said

    def _hang_up(self) -> None:
        """End the connection: the next run comes later than the minute that it would stay."""
        for socket in self._sockets.glob("*") if self._sockets.exists() else ():
            subprocess.run(
                ["ssh", "-F", self._project.ssh_config, "-S", socket, "-O", "exit", "bastion"],
                cwd=self._project.folder, capture_output=True, check=False,
            )  # fmt: skip
