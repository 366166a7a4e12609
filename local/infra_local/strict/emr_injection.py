"""Clusters and steps that fail on purpose: armed over the control endpoint, used up by the next one."""

from __future__ import annotations

from moto.core.utils import utcnow

from infra_local.strict import emr_logs

KINDS = ("bootstrap-failure", "no-capacity", "validation-error", "step-hang", "step-failure")
_armed: dict[str, int] = {}


def inject(given: dict) -> dict:
    kind = given.get("emr")
    if kind == "none":
        _armed.clear()
    elif kind in KINDS:
        _armed[kind] = _armed.get(kind, 0) + int(given.get("times", 1))
    else:
        raise ValueError(f"emr is one of none, {', '.join(KINDS)}")
    return {"armed": dict(_armed)}


def take(*kinds: str) -> str | None:
    """The first of these that is armed, which is one fewer then."""
    for kind in kinds:
        if _armed.get(kind):
            _armed[kind] -= 1
            if not _armed[kind]:
                del _armed[kind]
            return kind
    return None


def is_armed(*kinds: str) -> bool:
    return any(_armed.get(kind) for kind in kinds)


def write_step_failure(cluster, step) -> None:
    """The logs of a step that fails because it was asked to."""
    now = utcnow().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    words = " ".join(step.args or [])
    message = "RuntimeError: failed on purpose: `step-failure` was injected into the local cloud"
    controller = (
        f"{now} INFO startExec 'hadoop jar {step.jar} {words}'\n"
        f"{now} INFO waitProcessCompletion ended with exit code 1 : hadoop jar {step.jar} {words}\n"
        f"{now} WARN Step failed with exitCode 1 and took 1 seconds\n"
    )
    for log, text in (("controller", controller), ("stdout", ""), ("stderr", message + "\n")):
        emr_logs.write(cluster, f"steps/{step.id}/{log}.gz", text)
    emr_logs.step_failure(cluster, step, "Unknown Error.", message)


def reset() -> None:
    _armed.clear()
