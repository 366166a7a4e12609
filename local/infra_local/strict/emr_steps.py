"""Steps that run: PENDING, RUNNING, and an end; and the hook for running them for real.

`runner` is what carries a step out. The one here takes the time that `--speed` says and succeeds; another,
which starts spark-submit, implements the same three methods and is set with `set_runner`.
"""

from __future__ import annotations

import time
from typing import Protocol

from moto.core.utils import utcnow

from infra_local.clock import clock
from infra_local.settings import settings
from infra_local.strict import emr_injection, emr_logs

# EMR's reason for a failure whose log it cannot read more from.
UNKNOWN = "Unknown Error."
INTERRUPTED = "The local cloud ended while this step ran."
ACTIVE = ("PENDING", "CANCEL_PENDING", "RUNNING")
_POLL = 0.2


class StepRunner(Protocol):
    """Carries out one step at a time; called with the cloud's lock held, so start must not wait."""

    def start(self, cluster, step) -> None: ...

    def poll(self, cluster, step) -> tuple[str, str | None] | None:
        """Nothing while it runs, then (COMPLETED or FAILED, the reason of a failure)."""

    def cancel(self, cluster, step) -> None: ...

    def history(self, cluster) -> dict | None:
        """What a history server of the cluster's Spark needs; nothing where there is no Spark."""


class TimedRunner:
    """Every step succeeds after a while, unless a failure or a hang was injected."""

    def start(self, cluster, step) -> None:
        step.fate = emr_injection.take("step-hang", "step-failure")
        step.ends = time.time() + settings.duration("step-run")

    def has(self, step) -> bool:
        """Whether it is this runner's, and not one that a process carried out before the daemon was started again."""
        return getattr(step, "ends", None) is not None

    def poll(self, cluster, step) -> tuple[str, str | None] | None:
        if not self.has(step):
            emr_logs.step_failure(cluster, step, UNKNOWN, INTERRUPTED, "controller")
            return "FAILED", INTERRUPTED
        if step.fate == "step-hang" or time.time() < step.ends:
            return None
        if step.fate == "step-failure":
            emr_injection.write_step_failure(cluster, step)
            return "FAILED", UNKNOWN
        return "COMPLETED", None

    def cancel(self, cluster, step) -> None:
        step.fate = None

    def history(self, _cluster) -> dict | None:
        return None


runner: StepRunner = TimedRunner()


def set_runner(other: StepRunner) -> None:
    global runner
    runner = other


def schedule(cluster) -> None:
    """Look at the cluster's steps again soon; one look is pending at most."""
    if getattr(cluster, "steps_scheduled", False):
        return
    cluster.steps_scheduled = True
    backend = cluster.emr_backend
    wait = 0.0 if settings.speed == "instant" else _POLL
    clock.after(wait, "emr-steps", backend.account_id, backend.region_name, cluster.id)


def advance(cluster) -> None:
    """One look: end what has ended, start what may start, and say what the cluster does next."""
    if cluster.state not in ("RUNNING", "WAITING"):
        return
    running = 0
    for step in cluster.steps:
        if step.state == "RUNNING":
            outcome = runner.poll(cluster, step)
            if outcome is None:
                running += 1
            else:
                finish(step, *outcome)
                if outcome[0] == "FAILED" and not _after_failure(cluster, step):
                    return
    for step in cluster.steps:
        if running >= int(cluster.step_concurrency_level or 1):
            break
        if step.state == "PENDING" and time.time() >= getattr(step, "starts", 0):
            step.state, step.start_date_time = "RUNNING", utcnow()
            runner.start(cluster, step)
            running += 1
    if any(s.state in ACTIVE for s in cluster.steps):
        cluster.state = "RUNNING"
        if settings.speed == "instant" or not _hangs(cluster):
            schedule(cluster)
        return
    _idle(cluster)


def _hangs(cluster) -> bool:
    return all(getattr(s, "fate", None) == "step-hang" for s in cluster.steps if s.state == "RUNNING") and any(
        s.state == "RUNNING" for s in cluster.steps
    )


def _idle(cluster) -> None:
    from infra_local.strict import emr_lifecycle

    if cluster.keep_job_flow_alive_when_no_steps:
        cluster.state = "WAITING"
        cluster.change_reason = (None, "Cluster ready to run steps.")
    else:
        failed = any(s.state == "FAILED" for s in cluster.steps)
        reason = ("STEP_FAILURE", "Shut down as step failed") if failed else ("ALL_STEPS_COMPLETED", "Steps completed")
        emr_lifecycle.begin_end(cluster, *reason, errors=failed)


def finish(step, state: str, reason: str | None = None) -> None:
    step.state, step.end_date_time = state, utcnow()
    step.last_state_change_reason = reason


def cancel_pending(cluster, but=None) -> None:
    for step in cluster.steps:
        if step is not but and step.state in ACTIVE:
            if step.state == "RUNNING":
                runner.cancel(cluster, step)
            finish(step, "CANCELLED", "Job terminated" if but is None else "Job cancelled by an earlier failure")


def _after_failure(cluster, step) -> bool:
    """What the step's ActionOnFailure asks for; False when the cluster ends."""
    from infra_local.strict import emr_lifecycle

    if step.action_on_failure == "CANCEL_AND_WAIT":
        cancel_pending(cluster, but=step)
    elif step.action_on_failure in ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"):
        cancel_pending(cluster, but=step)
        emr_lifecycle.begin_end(cluster, "STEP_FAILURE", "Shut down as step failed", errors=True)
        return False
    return True


def cancel(cluster, step_ids: list[str], option: str) -> list[dict]:
    """CancelSteps: pending ones go, running ones only when asked to be interrupted or terminated."""
    known = {s.id: s for s in cluster.steps}
    answers = []
    for step_id in step_ids:
        step = known.get(step_id)
        if step is None:
            answers.append({"StepId": step_id, "Status": "FAILED", "Reason": "Step id is not valid."})
        elif step.state == "PENDING" or (step.state == "RUNNING" and option):
            if step.state == "RUNNING":
                runner.cancel(cluster, step)
            finish(step, "CANCELLED", "Job cancelled by user")
            answers.append({"StepId": step_id, "Status": "SUBMITTED", "Reason": ""})
        else:
            reason = f"Step is in {step.state} state and cannot be cancelled."
            answers.append({"StepId": step_id, "Status": "FAILED", "Reason": reason})
    schedule(cluster)
    return answers
