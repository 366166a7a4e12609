"""`python benches/hosts --program FILE [--quick]`: what people on hosts cost, with infra and with Ansible.

Seconds, and round trips as the host's own sshd counts them, for 1, 50 and 500 people: all of them made, nothing to do,
one key changed, all removed. Each step is checked on the host. Ends with 1 where a bound of infra's is broken. Linux,
as root: the hosts are real ones, on this machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import equipment
from bastion import Bastion
from measure import cycle, middle, sudo_for_all, warm_start
from project import Failed, NoHosts, Project
from report import Report
from tools import Ansible, Infra

# How many people, and how often all is done for them: the smaller the figure, the more it wavers.
_ROUNDS = {1: 3, 50: 1, 500: 1}
_QUICK_WITHOUT_ANSIBLE = 500
_SUDO = 50


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--program", type=Path, required=True, help="infra, built")
    arguments.add_argument("--quick", action="store_true", help="500 people with infra only: Ansible takes minutes")
    given = arguments.parse_args()
    # What is begun is ended, also when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    try:
        return _measure(given.program.resolve(), given.quick)
    except NoHosts as reason:
        print(f"People on hosts are left out: {reason}")
        required = os.environ.get("CI") == "true" or os.environ.get("INFRA_TEST_HOSTS") == "required"
        return 1 if required else 0
    except Failed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _measure(program: Path, quick: bool) -> int:
    _say("A host ...")
    with Project(program) as project:
        _say("Ansible ...")
        ready = equipment.ensure()
        bastion = Bastion(project)
        bastion.listen()
        infra, ansible = Infra(project), Ansible(project, ready)
        report = Report(f"Ansible ({ready.version}; pipelining, ControlPersist)")
        for turn, (count, rounds) in enumerate(_ROUNDS.items()):
            tools = [infra] if quick and count == _QUICK_WITHOUT_ANSIBLE else [infra, ansible]
            cycles = {tool.name: [] for tool in tools}
            for again in range(rounds):
                # By turns, so that neither always has the host that the other has warmed.
                for tool in tools if (turn + again) % 2 == 0 else reversed(tools):
                    cycles[tool.name].append(cycle(tool, bastion, count))
            figures = {name: middle(found) for name, found in cycles.items()}
            report.people(count, figures[infra.name], figures.get(ansible.name))
        report.sudo(_SUDO, sudo_for_all(project, infra, bastion, _SUDO))
        _say("Three hosts ...")
        report.start(warm_start(project))
    return 1 if report.is_broken else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
