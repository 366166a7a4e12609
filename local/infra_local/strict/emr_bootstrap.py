"""Bootstrap actions: each script must be in S3, as a node fetches it; here none is run, whatever it says.

They are written for Amazon Linux and EMR's folders, which no node here has. So an action that is there succeeds.
"""

from __future__ import annotations

import re
import uuid

from moto.core.utils import utcnow

from infra_local.strict import emr_logs

# Amazon's own scripts lie in buckets of theirs, and on the nodes.
_AMAZONS = re.compile(r"s3[na]?://([a-z0-9-]+\.)?elasticmapreduce/|file:")


def failure(cluster) -> tuple[str, str, str | None] | None:
    """What ends the cluster while it bootstraps, if something does: code, message and detail.

    Codes are AWS's:
    https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-troubleshoot-error-errordetail-bootstrap.html
    """
    node = _master(cluster)
    if cluster.fate == "bootstrap-failure":
        if not cluster.bootstrap_actions:
            _write_provisioning(cluster, node)
            message = f"On the master instance ({node}), application provisioning failed"
            return "BOOTSTRAP_FAILURE", message, None
        _write_action(cluster, node)
        message = f"On the master instance ({node}), bootstrap action 1 returned a non-zero return code"
        return "BOOTSTRAP_FAILURE", message, "PRIMARY_WITH_NON_ZERO_CODE"
    for number, action in enumerate(cluster.bootstrap_actions, 1):
        path = action.script_path
        if not _AMAZONS.match(path) and not emr_logs.holds(cluster.emr_backend, path):
            message = f"Master instance ({node}) failed attempting to download bootstrap action {number} file from S3"
            return "BOOTSTRAP_FAILURE", message, "BA_DOWNLOAD_FAILED_PRIMARY"
    return None


def _master(cluster) -> str:
    nodes = [n for n in cluster.ec2_instances if n.instance_group.id == cluster.master_instance_group_id]
    return nodes[0].ec2_instance_id if nodes else "i-unknown"


def _write_action(cluster, node: str) -> None:
    """The logs of an action that fails because it was asked to."""
    action, folder = cluster.bootstrap_actions[0], f"node/{node}/bootstrap-actions/1/"
    now = utcnow().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    name = action.script_path.rsplit("/", 1)[-1]
    controller = (
        f"{now} INFO Fetching file '{action.script_path}'\n"
        f"{now} INFO startExec '/emr/instance-controller/lib/bootstrap-actions/1/{name}"
        f"{''.join(' ' + word for word in action.args or [])}'\n"
        f"{now} INFO Synchronously wait child process to complete : {name}\n"
        f"{now} INFO waitProcessCompletion ended with exit code 1 : {name}\n"
        f"{now} ERROR Execution failed with code '1'\n"
    )
    stderr = f"{name}: line 1: failed on purpose: `bootstrap-failure` was injected into the local cloud\n"
    for log, text in (("controller", controller), ("stdout", ""), ("stderr", stderr)):
        emr_logs.write(cluster, f"{folder}{log}.gz", text)


def _write_provisioning(cluster, node: str) -> None:
    folder = f"node/{node}/provision-node/apps-phase/0/{uuid.uuid4()}/"
    text = "Error: failed on purpose: `bootstrap-failure` was injected into the local cloud\n"
    for log, said in (("stdout", ""), ("stderr", text)):
        emr_logs.write(cluster, f"{folder}{log}.gz", said)
