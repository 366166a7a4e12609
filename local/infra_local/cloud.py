"""The running cloud: moto behind one lock, its state on disk, and the ticker that ages it."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

from infra_local import __version__, state
from infra_local.calls import calls
from infra_local.clock import clock
from infra_local.server import Application
from infra_local.settings import settings

log = logging.getLogger("infra_local")

_READS = ("Describe", "List", "Get", "Head", "Simulate")
_TICK = 0.25
_QUIET = 0.3  # a save waits for this long without a write,
_PATIENCE = 1.5  # but for no longer than this,
_SHARE = 10  # and saving takes no more than a tenth of the time


class Cloud:
    def __init__(self, home: Path | None) -> None:
        self.home = home
        self.started = time.time()
        self.dirty_since = 0.0
        self.last_write = 0.0
        self.not_before = 0.0
        self.stopping = threading.Event()
        if not settings.stock:
            from infra_local import strict

            strict.install()
        self.application = Application()
        if home:
            state.load(home)

    def touched(self, method: str, operation: str) -> None:
        """Note a call that may have changed something, so that it reaches the disk."""
        if operation.startswith(_READS) or method in ("GET", "HEAD"):
            return
        self.last_write = time.time()
        self.dirty_since = self.dirty_since or self.last_write

    def _save_is_due(self) -> bool:
        now = time.time()
        if not self.dirty_since or now < self.not_before:
            return False
        return now - self.last_write > _QUIET or now - self.dirty_since > _PATIENCE

    def tick(self) -> None:
        if not settings.stock:
            from infra_local.strict import speedups

            speedups.warm_up(self.application)
        while not self.stopping.wait(_TICK):
            if not settings.stock:
                with self.application.lock:
                    if clock.settle():
                        self.dirty_since = self.dirty_since or time.time()
            if self._save_is_due():
                self.save()

    def save(self) -> None:
        if not self.home:
            return
        self.dirty_since, began = 0.0, time.time()
        try:
            with self.application.lock:
                snapshot = state.dump(self.home)
            state.write(self.home, snapshot)
        except Exception:
            log.exception("the state could not be saved")
        now = time.time()
        self.not_before = now + _SHARE * (now - began)

    def reset(self) -> None:
        """An empty account again; speed and lag stay as they are."""
        with self.application.lock:
            clock.queue.clear()
            calls.reset()
            calls.clear_failures()
            state.reset()
            if not settings.stock:
                from infra_local import strict

                strict.reset()
        self.dirty_since = time.time()
        self.save()

    def inject(self, given: dict) -> dict:
        if settings.stock:
            raise ValueError("stock moto has nothing to inject into; use /infra-local/fail")
        from infra_local.strict import emr_injection

        return emr_injection.inject(given)

    def status(self) -> dict:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "speed": settings.speed,
            "lag": settings.lag,
            "stock": settings.stock,
            "default_roles": settings.default_roles,
            "uptime": round(time.time() - self.started, 3),
            "calls": calls.report()["total"],
            "failures_pending": len(calls.failures),
        }
