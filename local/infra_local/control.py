"""The control endpoints under /infra-local/: how tests and `infra local` steer the cloud."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from infra_local.calls import calls
from infra_local.daemon import DaemonError
from infra_local.settings import settings


def handle(cloud, method: str, path: str, query: str, body: bytes):
    name = path[len("/infra-local") :].strip("/")
    asked = {k: v[-1] for k, v in parse_qs(query, keep_blank_values=True).items()}
    try:
        given = json.loads(body) if body else {}
        if not isinstance(given, dict):
            raise ValueError("the body is a JSON object")
        given = {**asked, **given}
        result = _route(cloud, method, name, given)
    except (ValueError, KeyError, TypeError, DaemonError) as error:
        return _json(400, {"error": str(error)})
    if result is None:
        return _json(404, {"error": f"no such endpoint: {method} /infra-local/{name}"})
    return _json(200, result)


def _route(cloud, method: str, name: str, given: dict):
    if (method, name) == ("GET", "status"):
        return cloud.status()
    if (method, name) == ("GET", "calls"):
        report = calls.report()
        if _truthy(given.get("reset")):
            calls.reset()
        return report
    if (method, name) == ("GET", "yarn"):
        return cloud.yarn(given["cluster"], given.get("what", "apps"), given.get("states", ""))
    if (method, name) == ("GET", "bodies"):
        return cloud.wanted_bodies(int(given.get("after", -1)), float(given.get("wait", 0)))
    if method != "POST":
        return None
    if name == "speed":
        settings.set_speed(str(given["speed"]))
    elif name == "lag":
        settings.set_lag(given.get("lag", given.get("seconds")))
    elif name == "default-roles":
        settings.set_default_roles(str(given["default_roles"]))
    elif name == "reset":
        cloud.reset()
    elif name == "save":
        cloud.save()
    elif name == "calls":
        calls.reset()
    elif name == "fail":
        return calls.fail(given)
    elif name == "bodies":
        return cloud.take_bodies(given)
    elif name == "spark":
        return cloud.run_steps()
    elif name == "inject":
        return cloud.inject(given)
    else:
        return None
    return cloud.status()


def _truthy(value) -> bool:
    return str(value).lower() in ("1", "true", "yes")


def _json(status: int, value: dict):
    return status, [("Content-Type", "application/json")], json.dumps(value).encode() + b"\n"
