"""Time on the local cloud: what becomes of an object a while after the call that changed it.

A transition is data (when, kind, arguments), not a thread: it is applied by the first API call that
comes after its time, or by the daemon's ticker, and it survives a restart with the rest of the state.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable

log = logging.getLogger("infra_local")


class Clock:
    def __init__(self) -> None:
        self.queue: list[tuple[float, int, str, tuple]] = []
        self.sequence = itertools.count()
        self.handlers: dict[str, Callable] = {}
        self.listeners: list[Callable[[], None]] = []

    def on(self, kind: str) -> Callable:
        def register(handler: Callable) -> Callable:
            self.handlers[kind] = handler
            return handler

        return register

    def after(self, seconds: float, kind: str, *arguments) -> None:
        heapq.heappush(self.queue, (time.time() + seconds, next(self.sequence), kind, arguments))

    def settle(self) -> bool:
        """Apply every transition that is due, oldest first; those they cause are left for the next call."""
        if not self.queue:
            return False
        now = time.time()
        due = []
        while self.queue and self.queue[0][0] <= now:
            due.append(heapq.heappop(self.queue))
        for _, _, kind, arguments in due:
            try:
                self.handlers[kind](*arguments)
            except Exception:
                log.exception("transition %s%r", kind, arguments)
        if due:
            for tell in self.listeners:
                tell()
        return bool(due)

    def dump(self) -> list:
        return [(due, kind, arguments) for due, _, kind, arguments in sorted(self.queue)]

    def load(self, entries: list) -> None:
        self.queue = [(due, next(self.sequence), kind, tuple(a)) for due, kind, a in entries]
        heapq.heapify(self.queue)


clock = Clock()
