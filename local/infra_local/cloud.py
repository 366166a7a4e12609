"""The running cloud: moto behind one lock, its state on disk, and the ticker that ages it."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

from infra_local import __version__, state
from infra_local.bodies.registry import registry
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
        self.endpoint = ""  # known once it listens
        self.spark = None  # what carries out steps, where they are really run
        if not settings.stock:
            from infra_local import strict

            strict.install()
        self.application = Application()
        clock.listeners.append(registry.changed)
        if home:
            state.load(home)

    def touched(self, method: str, operation: str) -> None:
        """Note a call that may have changed something, so that it reaches the disk."""
        if operation.startswith(_READS) or method in ("GET", "HEAD"):
            return
        self.last_write = time.time()
        self.dirty_since = self.dirty_since or self.last_write
        registry.changed()

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

    def run_steps(self, installation=None) -> dict:
        """From now on steps are really carried out."""
        if settings.stock:
            raise ValueError("stock moto runs no steps")
        from infra_local.spark.installation import find
        from infra_local.spark.runner import SparkRunner
        from infra_local.strict import emr_steps

        if not self.spark:
            home = self.home or Path(tempfile.mkdtemp(prefix="infra-local-"))
            self.spark = SparkRunner(installation or find(), home, self.endpoint)
            with self.application.lock:
                emr_steps.set_runner(self.spark)
            registry.changed()
        return {"spark": True}

    def end_steps(self) -> None:
        """What runs of them ends with the daemon; the next one finds that it did not come to its end."""
        if self.spark:
            self.spark.close()
            if not self.home:
                shutil.rmtree(self.spark.home.parent, ignore_errors=True)

    def reset(self) -> None:
        """An empty account again; speed and lag stay as they are."""
        if self.spark:
            self.spark.forget()
        with self.application.lock:
            clock.queue.clear()
            calls.reset()
            calls.clear_failures()
            state.reset()
            if not settings.stock:
                from infra_local import strict

                strict.reset()
        self.dirty_since = time.time()
        registry.changed()
        self.save()

    def wanted_bodies(self, after: int, seconds: float) -> dict:
        """The hosts that there should be, once something is newer than version `after` or the time is over."""
        from infra_local.strict import ec2_bodies

        version = registry.wait(after, seconds)
        with self.application.lock:
            return {"version": version, "bodies": ec2_bodies.wanted()}

    def take_bodies(self, told: dict) -> dict:
        """What the hosts' supervisor reports."""
        if settings.stock:
            raise ValueError("stock moto has no hosts")
        from infra_local.strict import ec2_bodies

        with self.application.lock:
            ec2_bodies.take(told)
            clock.settle()
        return {}

    def hosts(self) -> dict | None:
        """How the hosts are; nothing where there are none."""
        if settings.stock or not registry.is_up():
            return None
        from infra_local.strict import ec2_bodies

        with self.application.lock:
            return registry.status([w["instance"] for w in ec2_bodies.wanted() if w["running"]])

    def yarn(self, cluster: str, what: str, states: str) -> dict | None:
        """What YARN would say of a cluster's steps; its stand-in on the master asks."""
        if settings.stock:
            raise ValueError("stock moto runs no steps")
        from infra_local.strict import emr_yarn

        with self.application.lock:
            clock.settle()
            return emr_yarn.answer(cluster, what, states)

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
            "hosts": self.hosts(),
            "spark": self.spark is not None,
        }
