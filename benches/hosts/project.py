"""A project of its own in a temporary folder: a local cloud whose instances are real hosts, and people on one of them."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SPEC = "infra/people.yaml"


class Failed(Exception):
    """What was measured did not do what it should: there is no figure to tell."""


class NoHosts(Exception):
    """This machine cannot have hosts; the text says why not."""


@dataclass(frozen=True)
class Run:
    """What a tool did: how long it took, what it said, and how often it says that it asked the host."""

    seconds: float
    said: str
    own_count: int | None = None


def run(command: list[str | Path], folder: Path, environment: dict[str, str] | None = None) -> Run:
    """Run a command to its end, with nobody to ask."""
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        shown = " ".join(map(str, command))
        raise Failed(f"`{shown}` ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return Run(seconds, done.stdout)


class Project:
    """Up while it is entered; on leaving, however that comes, nothing of it is left."""

    def __init__(self, program: Path) -> None:
        self.program = program
        self._temporary = tempfile.TemporaryDirectory(prefix="infra-bench-")
        self.folder = Path(self._temporary.name)
        (self.folder / "keys").mkdir()
        (self.folder / "infra").mkdir()
        self.write({})
        self.set_sudo(False)

    def __enter__(self) -> Project:
        try:
            self._up()
            self.infra("--local", "apply", "--yes")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.infra("local", "down")
        finally:
            self._temporary.cleanup()

    def _up(self) -> None:
        try:
            self.infra("local", "up", "--hosts", "--speed", "instant")
        except Failed as failed:
            reason = re.search(
                r"cannot have hosts here \((?:not-linux|not-root|no-program|kernel)\): (.*)", str(failed)
            )
            if reason:
                raise NoHosts(reason[1]) from failed
            raise

    @property
    def ssh_config(self) -> Path:
        """What `infra` writes for any ssh: the way to each host, and its pinned key."""
        return self.folder / ".infra/hosts/local-people/ssh_config"

    def infra(self, *arguments: str) -> Run:
        # A test's own cloud, or a user's own spec, is not what is measured.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("INFRA_")}
        done = run([self.program, "-v", *arguments], self.folder, {**environment, "INFRA_SPEC": SPEC})
        counted = re.findall(r"\bround_trips=(\d+)", done.said)
        return Run(done.seconds, done.said, int(counted[-1]) if counted else None)

    def set_sudo(self, wanted: bool) -> None:
        """Whether people have sudo, which is what the spec says unless told otherwise."""
        text = (HERE / "spec.yaml").read_text()
        if "sudo: false" not in text:
            raise Failed("spec.yaml has no `sudo: false`")
        (self.folder / SPEC).write_text(text.replace("sudo: false", f"sudo: {str(wanted).lower()}"))

    def write(self, people: dict[str, str]) -> None:
        """Put people, login to key, into users.txt and keys/."""
        for old in (self.folder / "keys").iterdir():
            old.unlink()
        for login, key in people.items():
            (self.folder / "keys" / f"{login}.pub").write_text(f"{key}\n")
        (self.folder / "users.txt").write_text("".join(f"{login}\n" for login in people) or "# nobody\n")
