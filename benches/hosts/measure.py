"""A list of people comes, stays, has one key changed, and goes: seconds and round trips of each, checked on the host."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bastion import Bastion
from project import HERE, Failed, Project
from tools import Infra, Tool

CREATED, CONVERGED, CHANGED, REMOVED = ("all created", "nothing to do", "one key changed", "all removed")

# After a step that took more seconds, the ones that follow for as many people are not waited for.
PATIENCE = 360.0


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


def _measure(tool: Tool, bastion: Bastion, people: dict[str, str], step: str) -> Figure:
    """Have a tool make exactly these people be there; insists that they then are, and on whether it changed anything."""
    changes = step != CONVERGED
    moment = bastion.moment()
    done = tool.reach(people)
    trips = bastion.trips_since(moment)
    if bastion.people(tool.prefix) != people:
        raise Failed(f"{tool.name} made others be there than the {len(people)} it was told:\n{done.said[-2000:]}")
    if tool.changed_nothing(done.said) == changes:
        raise Failed(f"{tool.name} should have changed {'something' if changes else 'nothing'}:\n{done.said[-2000:]}")
    if done.own_count not in (None, trips.all):
        raise Failed(f"{tool.name} counts {done.own_count} round trips, and the host {trips}:\n{done.said[-2000:]}")
    said = f"{len(people)} users, {tool.name}, {step}: {done.seconds:.2f} s, {trips.all} round trips"
    print(said, file=sys.stderr, flush=True)
    return Figure(done.seconds, trips.all)


def cycle(tool: Tool, bastion: Bastion, count: int) -> dict[str, Figure]:
    """All steps for so many people; none after one that took longer than anybody waits."""
    people = _people(tool, count)
    changed = {**people, f"{tool.prefix}{count // 2:03}": _new_key()}
    found: dict[str, Figure] = {}
    for step, wanted in ((CREATED, people), (CONVERGED, people), (CHANGED, changed), (REMOVED, {})):
        found[step] = _measure(tool, bastion, wanted, step)
        if found[step].seconds > PATIENCE:
            print(f"That took over {PATIENCE:.0f} s: nothing more of {count} users with {tool.name}", file=sys.stderr)
            break
    return found


def middle(cycles: list[dict[str, Figure]]) -> dict[str, Figure]:
    """The median of each step's seconds; the most round trips."""
    return {
        step: Figure(median(each[step].seconds for each in cycles), max(each[step].trips for each in cycles))
        for step in cycles[0]
        if all(step in each for each in cycles)
    }


def sudo_for_all(project: Project, infra: Infra, bastion: Bastion, count: int) -> Figure:
    """So many people get sudo: a file that could lock us out is checked, set, and tried by a second connection."""
    people = _people(infra, count)
    _measure(infra, bastion, people, CREATED)
    project.set_sudo(True)
    figure = _measure(infra, bastion, people, "all get sudo")
    project.set_sudo(False)
    _measure(infra, bastion, {}, REMOVED)
    return figure


@dataclass(frozen=True)
class WarmStart:
    """Seconds of `local down` with three hosts, of `local up`, and of `local up --hosts` until all three answer."""

    down: float
    cloud: float
    hosts: float


def warm_start(project: Project) -> WarmStart:
    """Three hosts go and come back; what they are made of is there already, as after any first time."""
    project.infra("--local", "--overlay", str(HERE / "three.yaml"), "apply", "--yes")
    down = project.infra("local", "down").seconds
    cloud = project.infra("local", "up").seconds
    began = time.perf_counter()
    project.infra("local", "up", "--hosts")
    while len(_hosts(project)["ready"]) < 3:
        if time.perf_counter() - began > 60:
            raise Failed(f"of three hosts only these answer: {_hosts(project)}")
        time.sleep(0.05)
    return WarmStart(down, cloud, time.perf_counter() - began)


def _hosts(project: Project) -> dict[str, list[str]]:
    said = project.infra("local", "status", "--json").said
    return json.loads(said.splitlines()[-1])["hosts"]
