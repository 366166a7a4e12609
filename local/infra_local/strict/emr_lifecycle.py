"""A cluster's life: STARTING, BOOTSTRAPPING, RUNNING or WAITING, TERMINATING, TERMINATED (or WITH_ERRORS)."""

from __future__ import annotations

from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.core.utils import utcnow
from moto.emr.exceptions import InvalidRequestException, ValidationException
from moto.emr.models import Cluster, ElasticMapReduceBackend, InstanceGroup, Step, emr_backends
from moto.emr.responses import ElasticMapReduceResponse

from infra_local.clock import clock
from infra_local.hooks import around
from infra_local.settings import settings
from infra_local.strict import (
    ec2_bodies,
    emr_bootstrap,
    emr_injection,
    emr_nodes,
    emr_releases,
    emr_steps,
    emr_validation,
)

_LOOK = 0.1
OVER = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")


def _after(what: str, kind: str, cluster, *arguments) -> None:
    backend = cluster.emr_backend
    clock.after(settings.duration(what), kind, backend.account_id, backend.region_name, cluster.id, *arguments)


def _look_again(kind: str, cluster) -> None:
    backend = cluster.emr_backend
    clock.after(_LOOK, kind, backend.account_id, backend.region_name, cluster.id)


def _find(account: str, region: str, cluster_id: str):
    return emr_backends[account][region].clusters.get(cluster_id)


def _groups(cluster, state: str) -> None:
    for group in cluster.instance_groups:
        group.state = state
        if state == "RUNNING":
            group.ready_date_time = utcnow()
        if state == "TERMINATED":
            group.end_date_time = utcnow()


@clock.on("emr-bootstrapping")
def _bootstrapping(account: str, region: str, cluster_id: str) -> None:
    cluster = _find(account, region, cluster_id)
    if not cluster or cluster.state != "STARTING":
        return None
    if cluster.fate == "no-capacity":
        message = f"There is insufficient capacity for the requested instance type {cluster.master_instance_type}."
        return begin_end(cluster, "INTERNAL_ERROR", message, errors=True, detail="EC2_INSUFFICIENT_CAPACITY_AZ")
    error = emr_validation.later_error(cluster, cluster.service_role)
    if cluster.fate == "validation-error":
        error = error or "The requested configuration is invalid (injected by the local cloud)"
    if error:
        return begin_end(cluster, "VALIDATION_ERROR", error, errors=True)
    if any(ec2_bodies.boots(node.ec2_instance) for node in cluster.ec2_instances):
        return _look_again("emr-bootstrapping", cluster)
    cluster.state = "BOOTSTRAPPING"
    emr_nodes.add_rules(cluster)
    _groups(cluster, "BOOTSTRAPPING")
    _after("emr-bootstrap", "emr-ready", cluster)
    return None


@clock.on("emr-ready")
def _ready(account: str, region: str, cluster_id: str) -> None:
    cluster = _find(account, region, cluster_id)
    if not cluster or cluster.state != "BOOTSTRAPPING":
        return None
    failure = emr_bootstrap.failure(cluster)
    if failure:
        code, message, detail = failure
        return begin_end(cluster, code, message, errors=True, detail=detail)
    cluster.state = "RUNNING"
    cluster.ready_datetime = utcnow()
    cluster.change_reason = (None, "Running step" if cluster.steps else "Cluster ready to run steps.")
    _groups(cluster, "RUNNING")
    emr_steps.advance(cluster)
    return None


def begin_end(cluster, code: str, message: str, errors: bool = False, detail: str | None = None) -> None:
    """TERMINATING now, and the final state after a while."""
    if cluster.state in OVER:
        return
    cluster.state = "TERMINATING"
    cluster.change_reason = (code, message)
    if detail:
        cluster.error_details = [{"ErrorCode": f"{code}_{detail}", "ErrorData": [], "ErrorMessage": message}]
    emr_steps.cancel_pending(cluster)
    emr_nodes.end(cluster)
    _groups(cluster, "TERMINATING")
    _after("emr-terminate", "emr-ended", cluster, errors)


@clock.on("emr-ended")
def _ended(account: str, region: str, cluster_id: str, errors: bool) -> None:
    cluster = _find(account, region, cluster_id)
    if cluster and cluster.state == "TERMINATING":
        cluster.state = "TERMINATED_WITH_ERRORS" if errors else "TERMINATED"
        cluster.end_datetime = utcnow()
        _groups(cluster, "TERMINATED")


@clock.on("emr-steps")
def _steps(account: str, region: str, cluster_id: str) -> None:
    cluster = _find(account, region, cluster_id)
    if cluster:
        cluster.steps_scheduled = False
        emr_steps.advance(cluster)


def _step_status(step) -> dict:
    status = _moto_step_status(step)
    failure = getattr(step, "failure", None)
    return {**status, "FailureDetails": failure} if failure else status


_moto_step_status = Step.status.fget


def _status(cluster) -> dict:
    code, message = cluster.change_reason
    reason = {k: v for k, v in (("Code", code), ("Message", message)) if v}
    status = {
        "State": cluster.state,
        "StateChangeReason": reason,
        "Timeline": {
            "CreationDateTime": cluster.creation_datetime,
            "ReadyDateTime": cluster.ready_datetime,
            "EndDateTime": cluster.end_datetime,
        },
    }
    if cluster.error_details:
        status["ErrorDetails"] = cluster.error_details
    return status


def install() -> None:
    # Behind an endpoint_url moto finds no region in the host and takes us-east-1 for every cluster.
    ElasticMapReduceResponse.get_region_from_url = BaseResponse.get_region_from_url
    _cluster()
    _run()
    _change()


def _cluster() -> None:
    Cluster.change_reason = (None, "")
    Cluster.error_details = None
    Cluster.fate = None
    Cluster.instance_collection_type = "INSTANCE_GROUP"
    Cluster.scale_down_behavior = "TERMINATE_AT_TASK_COMPLETION"
    Cluster.status = property(_status)
    Step.status = property(_step_status)
    InstanceGroup.running_instance_count = property(lambda self: self.num_instances if self.state == "RUNNING" else 0)

    @around(Cluster, "run_bootstrap_actions")
    def run_bootstrap_actions(_original, self):
        self.state = "STARTING"
        _after("emr-start", "emr-bootstrapping", self)

    @around(Cluster, "add_instance_group")
    def add_instance_group(original, self, group):
        role, master, core = group.role, self.master_instance_group_id, self.core_instance_group_id
        if (role == "MASTER" and master) or (role == "CORE" and core):
            raise ValidationException(f"Cluster already has a {role} instance group; only TASK groups can be added.")
        group.state = "RUNNING" if getattr(self, "state", None) in ("RUNNING", "WAITING") else "PROVISIONING"
        if group.state == "PROVISIONING":
            group.ready_date_time = None
        return original(self, group)

    @around(Cluster, "add_steps")
    def add_steps(_original, self, steps):
        before = getattr(self, "state", None)
        added = [Step(state="PENDING", **step) for step in steps]
        for step in added:
            step.starts = step.creation_date_time.timestamp() + settings.duration("step-pending")
        self.steps.extend(added)
        if before in ("RUNNING", "WAITING"):
            emr_steps.schedule(self)
        return added

    @around(Step, "start")
    def start(_original, self):
        """moto marks the first step as started with the cluster; the runner does that here."""


def _run() -> None:
    @around(ElasticMapReduceResponse, "run_job_flow")
    def run_job_flow(original, self):
        emr_validation.check_run_job_flow(self)
        label = self._get_param("ReleaseLabel")
        result = original(self)
        cluster = self.backend.clusters[result.result["JobFlowId"]]
        cluster.instance_collection_type = (
            "INSTANCE_FLEET" if self._get_param("Instances.InstanceFleets") else "INSTANCE_GROUP"
        )
        cluster.scale_down_behavior = self._get_param("ScaleDownBehavior") or "TERMINATE_AT_TASK_COMPLETION"
        cluster.log_uri = _s3n(cluster.log_uri)
        subnet_id = cluster.ec2_subnet_id
        if subnet_id:
            cluster.availability_zone = self.backend.ec2_backend.get_subnet(subnet_id).availability_zone
        cluster.managed_scaling_policy = _plain(self._get_param("ManagedScalingPolicy"))
        cluster.auto_termination_policy = _plain(self._get_param("AutoTerminationPolicy"))
        cluster.fate = emr_injection.take("no-capacity", "validation-error", "bootstrap-failure")
        if label:
            _name_applications(cluster, label, self._get_param("Applications", []))
        if not cluster.ec2_instances:
            _launch_plain(self, cluster)
        emr_nodes.tag_nodes(cluster, [n.ec2_instance_id for n in cluster.ec2_instances])
        return result

    @around(ElasticMapReduceBackend, "list_clusters")
    def list_clusters(original, self, *args, **kwargs):
        return sorted(original(self, *args, **kwargs), key=lambda c: c.creation_datetime, reverse=True)

    for name in ("list_steps", "list_instance_groups", "list_instances", "list_bootstrap_actions", "add_job_flow_steps",
                 "describe_step", "modify_cluster", "add_instance_groups"):  # fmt: skip
        _known_cluster(name)


def _known_cluster(name: str) -> None:
    @around(ElasticMapReduceBackend, name)
    def checked(original, self, cluster_id, *args, **kwargs):
        # moto ends in a KeyError, which clients see as HTTP 500 and try again.
        self.describe_cluster(cluster_id)
        return original(self, cluster_id, *args, **kwargs)


def _plain(value):
    return value.original_dict() if hasattr(value, "original_dict") else value


def _s3n(uri: str | None) -> str | None:
    """DescribeCluster gives the log location back as s3n://, with a slash at the end."""
    if uri and uri.startswith("s3://"):
        uri = "s3n://" + uri[5:]
    return uri if not uri or uri.endswith("/") else uri + "/"


def _name_applications(cluster, label: str, wanted: list) -> None:
    names = [w.get("name") for w in wanted] or ["Hadoop"]
    cluster.applications = []
    found = [emr_releases.application(label, n) or (n, None) for n in names]
    cluster.add_applications([{"name": n, "version": v} for n, v in found])


def _launch_plain(response, cluster) -> None:
    """MasterInstanceType and InstanceCount, and fleets, make nodes as well."""
    from moto.emr.utils import random_instance_group_id

    for fleet in response._get_param("Instances.InstanceFleets", []) or []:
        configs = fleet.get("instance_type_configs") or []
        count = int(fleet.get("target_on_demand_capacity") or 0) + int(fleet.get("target_spot_capacity") or 0)
        if configs and count:
            group = InstanceGroup(
                cluster_id=cluster.id, instance_count=count, instance_role=fleet.get("instance_fleet_type"),
                instance_type=configs[0].get("instance_type"), instance_group_id=random_instance_group_id(),
                name=fleet.get("name"),
            )  # fmt: skip
            response.backend.instance_groups[group.id] = group
            cluster.add_instance_group(group)
    for group in cluster.instance_groups:
        if group.num_instances > 0:
            emr_nodes.launch(cluster, group, group.num_instances)


def _change() -> None:
    @around(ElasticMapReduceBackend, "terminate_job_flows")
    def terminate_job_flows(_original, self, job_flow_ids):
        for cluster_id in job_flow_ids:
            if cluster_id not in self.clusters:
                raise InvalidRequestException("Specified job flow ID does not exist.")
        clusters = [self.clusters[i] for i in job_flow_ids]
        for cluster in clusters:
            if not cluster.termination_protected:
                begin_end(cluster, "USER_REQUEST", "Terminated by user request")
        if any(c.termination_protected and c.state not in OVER for c in clusters):
            raise ValidationException("Could not shut down one or more job flows since they are termination protected.")
        return clusters

    @around(ElasticMapReduceBackend, "set_termination_protection")
    def set_termination_protection(original, self, job_flow_ids, value):
        for cluster_id in job_flow_ids:
            if cluster_id not in self.clusters:
                raise InvalidRequestException("Specified job flow ID does not exist.")
        return original(self, job_flow_ids, value)

    @around(ElasticMapReduceResponse, "add_job_flow_steps")
    def add_job_flow_steps(original, self):
        cluster = self.backend.describe_cluster(self._get_param("JobFlowId"))
        if cluster.state in OVER:
            raise ValidationException("A job flow that is shutting down, terminated, or finished may not be modified.")
        active = sum(s.state in emr_steps.ACTIVE for s in cluster.steps)
        emr_validation.check_step_list(self._get_param("Steps", []), active)
        return original(self)

    @around(ElasticMapReduceResponse, "describe_step")
    def describe_step(original, self):
        result = original(self)
        if result.result["Step"] is None:
            raise InvalidRequestException("Step id '{}' is not valid.".format(self._get_param("StepId")))
        return result

    @around(ElasticMapReduceResponse, "modify_cluster")
    def modify_cluster(original, self):
        cluster = self.backend.describe_cluster(self._get_param("ClusterId"))
        emr_validation.check_concurrency(cluster.release_label, self._get_param("StepConcurrencyLevel"))
        return original(self)

    @around(ElasticMapReduceResponse, "add_instance_groups")
    def add_instance_groups(_original, self):
        cluster = self.backend.describe_cluster(self._get_param("JobFlowId"))
        wanted = self._get_param("InstanceGroups", [])
        for group in wanted:
            emr_validation.check_type(cluster.release_label, group.get("instance_type"))
        made = self.backend.add_instance_groups(cluster.id, wanted)
        for group in made:
            emr_nodes.launch(cluster, group, int(group.num_instances))
        return ActionResult(
            {
                "JobFlowId": cluster.id,
                "InstanceGroupIds": [g.id for g in made],
                "ClusterArn": cluster.arn,
            }
        )

    @around(ElasticMapReduceResponse, "modify_instance_groups")
    def modify_instance_groups(_original, self):
        for change in self._get_param("InstanceGroups", []):
            group = self.backend.instance_groups.get(change.get("instance_group_id"))
            if group is None:
                raise InvalidRequestException("Instance group id is not valid.")
            if change.get("instance_count") is not None:
                emr_nodes.resize(self.backend.clusters[group.cluster_id], group, int(change.get("instance_count")))
        return EmptyResult()

    @around(ElasticMapReduceBackend, "add_tags")
    def add_tags(original, self, cluster_id, tags):
        original(self, cluster_id, tags)
        cluster = self.clusters[cluster_id]
        emr_nodes.tag_nodes(cluster, [n.ec2_instance_id for n in cluster.ec2_instances])
