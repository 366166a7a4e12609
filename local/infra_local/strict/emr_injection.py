"""Clusters and steps that fail on purpose: armed over the control endpoint, used up by the next one."""

from __future__ import annotations

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


def reset() -> None:
    _armed.clear()
