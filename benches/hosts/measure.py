"""A list of people comes, stays, has one key changed, and goes: seconds and round trips of each, checked on the host."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bastion import Bastion
from project import HERE, Failed, Project
from tools import Infra, Tool

CREATED, CONVERGED, CHANGED, REMOVED = STEPS = ("all created", "nothing to do", "one key changed", "all removed")


@dataclass(frozen=True)
class Figure:
    """What a step took; `trips` are connections and commands, as the host's sshd counted them."""

    seconds: float
    trips: int


def _new_key() -> str:
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _people(tool: Tool, count: int) -> dict[str, str]:
    return {f"{tool.prefix}{number:03}": _new_key() for number in range(count)}


def _measure(tool: Tool, bastion: Bastion, people: dict[str, str], changes: bool = True) -> Figure:
    """Have a tool make exactly these people be there; insists that they then are, and on whether it changed anything."""
    moment = bastion.moment()
    done = tool.reach(people)
    trips = bastion.trips_since(moment)
    if bastion.people(tool.prefix) != people:
        raise Failed(f"{tool.name} made others be there than the {len(people)} it was told:\n{done.said[-2000:]}")
    if tool.changed_nothing(done.said) == changes:
        raise Failed(f"{tool.name} should have changed {'something' if changes else 'nothing'}:\n{done.said[-2000:]}")
    if done.own_count not in (None, trips.all):
        raise Failed(f"{tool.name} counts {done.own_count} round trips, and the host {trips}:\n{done.said[-2000:]}")
    return Figure(done.seconds, trips.all)


def cycle(tool: Tool, bastion: Bastion, count: int) -> dict[str, Figure]:
    """All steps for so many people."""
    people = _people(tool, count)
    found = {CREATED: _measure(tool, bastion, people), CONVERGED: _measure(tool, bastion, people, changes=False)}
    people[f"{tool.prefix}{count // 2:03}"] = _new_key()
    found[CHANGED] = _measure(tool, bastion, people)
    found[REMOVED] = _measure(tool, bastion, {})
    return found


def middle(cycles: list[dict[str, Figure]]) -> dict[str, Figure]:
    """The median of each step's seconds; the most round trips."""
    return {
        step: Figure(median(each[step].seconds for each in cycles), max(each[step].trips for each in cycles))
        for step in STEPS
    }


def sudo_for_all(project: Project, infra: Infra, bastion: Bastion, count: int) -> Figure:
    """So many people get sudo: a file that could lock us out is checked, set, and tried by a second connection."""
    people = _people(infra, count)
    _measure(infra, bastion, people)
    project.set_sudo(True)
    figure = _measure(infra, bastion, people)
    project.set_sudo(False)
    _measure(infra, bastion, {})
    return figure


def warm_start(project: Project) -> tuple[float, float]:
    """Seconds of `local down` with three hosts, and from `local up --hosts` until all three answer."""
    project.infra("--local", "--overlay", str(HERE / "three.yaml"), "apply", "--yes")
    down = project.infra("local", "down").seconds
    began = time.perf_counter()
    project.infra("local", "up", "--hosts")
    while len(_hosts(project)["ready"]) < 3:
        if time.perf_counter() - began > 60:
            raise Failed(f"of three hosts only these answer: {_hosts(project)}")
        time.sleep(0.05)
    return down, time.perf_counter() - began


def _hosts(project: Project) -> dict[str, list[str]]:
    said = project.infra("local", "status", "--json").said
    return json.loads(said.splitlines()[-1])["hosts"]
