"""The daemon's side: who gives its instances bodies, which of them answer, and who waits for news.

Kept in memory only: hosts live no longer than the daemon.
"""

from __future__ import annotations

import threading

# An instance is shown as running when its host answers, or after this long in any case.
PATIENCE = 60.0

# What others may want to know of the supervisor.
_SHOWN = ("gateway", "client_network", "client_address", "aws_endpoint", "python")


class Registry:
    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.version = 0
        self.supervisor: dict | None = None
        self.ready: dict[str, dict] = {}
        self.failed: dict[str, str] = {}
        self.boots: dict[str, int] = {}
        self.held: dict[str, tuple[str, str]] = {}

    def changed(self) -> None:
        """Something was written to the cloud: whoever waits looks again."""
        with self.condition:
            self.version += 1
            self.condition.notify_all()

    def wait(self, after: int, seconds: float) -> int:
        """The present version, as soon as it is another one than `after` or the time is over."""
        with self.condition:
            self.condition.wait_for(lambda: self.version != after, timeout=max(0.0, min(seconds, 60.0)))
            return self.version

    def report(self, told: dict) -> None:
        """Take over what the supervisor says; it always says everything."""
        self.supervisor = told["supervisor"]
        self.ready = told["ready"]
        self.failed = told["failed"]

    def gone(self) -> None:
        self.supervisor = None
        self.ready, self.failed, self.boots = {}, {}, {}

    def is_up(self) -> bool:
        from infra_local.daemon import process_began

        known = self.supervisor
        return bool(known) and process_began(known["pid"]) == known["began"]

    def answers(self, instance_id: str) -> bool:
        """Whether the host answers, and not the one that was there before it was started again."""
        known = self.ready.get(instance_id)
        return known is not None and known["boot"] == self.boots.get(instance_id, 0)

    def console(self, instance_id: str) -> str | None:
        """What the host wrote while it started; nothing until it answers."""
        return self.ready[instance_id]["console"] if self.answers(instance_id) else None

    def restarted(self, instance_id: str) -> None:
        self.boots[instance_id] = self.boots.get(instance_id, 0) + 1

    def status(self, running: list[str]) -> dict | None:
        """How the hosts of these instances are; nothing where there are no hosts."""
        if not self.is_up():
            return None
        known = {name: self.supervisor[name] for name in _SHOWN}
        ready = [i for i in running if self.answers(i)]
        starting = [i for i in running if i not in ready and i not in self.failed]
        return {"up": True, **known, "ready": ready, "starting": starting, "failed": self.failed}


registry = Registry()
