"""What YARN's ResourceManager would say of a cluster: the steps that run are its applications.

https://hadoop.apache.org/docs/r2.8.5/hadoop-yarn/hadoop-yarn-site/ResourceManagerRest.html
"""

from __future__ import annotations

import time

from moto.emr.models import emr_backends


def answer(cluster_id: str, what: str, states: str = "") -> dict | None:
    """The document at /ws/v1/cluster/WHAT; nothing where there is none. The caller holds the lock."""
    cluster = _find(cluster_id)
    if not cluster:
        return None
    began = int(cluster.creation_datetime.timestamp() * 1000)
    running = [s for s in cluster.steps if s.state == "RUNNING"]
    wanted = [s.strip().upper() for s in states.split(",") if s.strip()]
    if what == "info":
        info = {"id": began, "startedOn": began, "state": "STARTED", "haState": "ACTIVE",
                "resourceManagerVersion": "the local cloud's stand-in"}  # fmt: skip
        return {"clusterInfo": info}
    if what == "metrics":
        submitted = sum(s.start_date_time is not None for s in cluster.steps)
        return {"clusterMetrics": {"appsSubmitted": submitted, "appsRunning": len(running), "appsPending": 0}}
    if what == "apps":
        shown = running if not wanted or "RUNNING" in wanted else []
        rows = [_application(cluster, step, began) for step in shown]
        return {"apps": {"app": rows} if rows else None}
    return None


def _application(cluster, step, began: int) -> dict:
    started = int(step.start_date_time.timestamp() * 1000)
    return {
        "id": f"application_{began}_{cluster.steps.index(step) + 1:04d}",
        "user": "hadoop",
        "name": step.name,
        "queue": "default",
        "state": "RUNNING",
        "finalStatus": "UNDEFINED",
        "applicationType": "SPARK",
        "clusterId": began,
        "startedTime": started,
        "finishedTime": 0,
        "elapsedTime": int(time.time() * 1000) - started,
    }


def _find(cluster_id: str):
    for regions in list(dict.values(emr_backends)):
        for backend in list(dict.values(regions)):
            if cluster_id in backend.clusters:
                return backend.clusters[cluster_id]
    return None
