"""EMR operations that moto lacks, and security configurations that are checked."""

from __future__ import annotations

import json

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.emr.exceptions import InvalidRequestException, ValidationException
from moto.emr.models import ElasticMapReduceBackend
from moto.emr.responses import ElasticMapReduceResponse

from infra_local.hooks import around
from infra_local.strict import emr_releases as releases
from infra_local.strict import emr_steps
from infra_local.strict.emr_validation import check_supported

_BLOCKS = ("EncryptionConfiguration", "AuthenticationConfiguration", "AuthorizationConfiguration",
           "LakeFormationConfiguration", "InstanceMetadataServiceConfiguration")  # fmt: skip


def block_public_access(backend) -> dict:
    """Every account and region has it on, with port 22 exempt, until somebody changes it."""
    kept = getattr(backend, "block_public_access_strict", None)
    return kept or {
        "BlockPublicSecurityGroupRules": True,
        "PermittedPublicSecurityGroupRuleRanges": [{"MinRange": 22, "MaxRange": 22}],
    }


def _cluster(response):
    return response.backend.describe_cluster(response._get_param("ClusterId"))


def _plain(value):
    return value.original_dict() if hasattr(value, "original_dict") else value


def install() -> None:
    _security_configurations()
    _policies()
    _labels()
    _public_access()

    @around(ElasticMapReduceResponse, "cancel_steps")
    def cancel_steps(_original, self):
        cluster, ids = _cluster(self), self._get_param("StepIds", [])
        if not ids:
            raise ValidationException("StepIds must not be empty.")
        option = self._get_param("StepCancellationOption") or ""
        if option:
            check_supported(cluster.release_label, (5, 28, 0), "Cancelling running steps is")
        return ActionResult({"CancelStepsInfoList": emr_steps.cancel(cluster, ids, option)})

    @around(ElasticMapReduceResponse, "list_instance_fleets")
    def list_instance_fleets(_original, self):
        cluster = _cluster(self)
        if cluster.instance_collection_type != "INSTANCE_FLEET":
            raise InvalidRequestException("Instance fleets and instance groups are mutually exclusive.")
        return ActionResult(
            {
                "InstanceFleets": [
                    {
                        "Id": group.id,
                        "Name": group.name,
                        "InstanceFleetType": group.role,
                        "TargetOnDemandCapacity": group.num_instances,
                        "ProvisionedOnDemandCapacity": group.running_instance_count,
                        "Status": {"State": group.state},
                    }
                    for group in cluster.instance_groups
                ]
            }
        )


def _security_configurations() -> None:
    @around(ElasticMapReduceBackend, "create_security_configuration")
    def create(original, self, name, security_configuration):
        try:
            document = json.loads(security_configuration)
        except ValueError:
            raise InvalidRequestException("Security configuration is not valid JSON.") from None
        if not isinstance(document, dict) or not document or not set(document) <= set(_BLOCKS):
            raise InvalidRequestException(f"Security configuration may hold only {', '.join(_BLOCKS)}.")
        if not name or len(name) > 10280:
            raise InvalidRequestException("Security configuration name is not valid.")
        return original(self, name, security_configuration)

    @around(ElasticMapReduceResponse, "list_security_configurations")
    def list_all(_original, self):
        rows = sorted(self.backend.security_configurations.values(), key=lambda c: c.creation_date_time, reverse=True)
        start = int(self._get_param("Marker") or 0)
        page = [{"Name": c.name, "CreationDateTime": c.creation_date_time} for c in rows[start : start + 50]]
        result = {"SecurityConfigurations": page}
        if len(rows) > start + 50:
            result["Marker"] = str(start + 50)
        return ActionResult(result)


def _policies() -> None:
    def kept(operation: str, attribute: str, field: str, what: str | None):
        @around(ElasticMapReduceResponse, f"put_{operation}")
        def put(_original, self):
            cluster = _cluster(self)
            if what:
                check_supported(cluster.release_label, (5, 30, 0), what)
            setattr(cluster, attribute, _plain(self._get_param(field)))
            return EmptyResult()

        @around(ElasticMapReduceResponse, f"get_{operation}")
        def get(_original, self):
            value = getattr(_cluster(self), attribute, None)
            return ActionResult({field: value} if value else {})

        @around(ElasticMapReduceResponse, f"remove_{operation}")
        def remove(_original, self):
            setattr(_cluster(self), attribute, None)
            return EmptyResult()

    kept("managed_scaling_policy", "managed_scaling_policy", "ManagedScalingPolicy", "Managed scaling policies are")
    kept("auto_termination_policy", "auto_termination_policy", "AutoTerminationPolicy", "Auto-termination policies are")


def _labels() -> None:
    def known(self) -> str:
        label = self._get_param("ReleaseLabel") or releases.labels(self.region)[0]
        if label not in releases.labels(self.region):
            raise InvalidRequestException(f"The supplied release label is invalid: {label}.")
        return label

    @around(ElasticMapReduceResponse, "describe_release_label")
    def describe_release_label(_original, self):
        label = known(self)
        applications = [{"Name": n, **({"Version": v} if v else {})} for n, v in releases.applications(label).items()]
        return ActionResult({"ReleaseLabel": label, "Applications": applications})

    @around(ElasticMapReduceResponse, "list_release_labels")
    def list_release_labels(_original, self):
        rows = list(releases.labels(self.region))
        wanted = self._get_param("Filters")
        if wanted and wanted.get("prefix"):
            rows = [r for r in rows if r.startswith(wanted.get("prefix"))]
        if wanted and wanted.get("application"):
            name, _, number = wanted.get("application").partition("-")
            found = {r: releases.application(r, name) for r in rows}
            rows = [r for r, a in found.items() if a and (not number or a[1] == number)]
        start, limit = int(self._get_param("NextToken") or 0), int(self._get_param("MaxResults") or 100)
        result = {"ReleaseLabels": rows[start : start + limit]}
        if len(rows) > start + limit:
            result["NextToken"] = str(start + limit)
        return ActionResult(result)

    @around(ElasticMapReduceResponse, "list_supported_instance_types")
    def list_supported_instance_types(original, self):
        known(self)
        return original(self)


def _public_access() -> None:
    @around(ElasticMapReduceResponse, "get_block_public_access_configuration")
    def get(_original, self):
        created = getattr(self.backend, "block_public_access_created", None) or utcnow()
        return ActionResult(
            {
                "BlockPublicAccessConfiguration": block_public_access(self.backend),
                "BlockPublicAccessConfigurationMetadata": {
                    "CreationDateTime": created,
                    "CreatedByArn": f"arn:aws:iam::{self.current_account}:root",
                },
            }
        )

    @around(ElasticMapReduceResponse, "put_block_public_access_configuration")
    def put(_original, self):
        given = _plain(self._get_param("BlockPublicAccessConfiguration"))
        self.backend.block_public_access_strict = {
            "BlockPublicSecurityGroupRules": given.get("BlockPublicSecurityGroupRules") in (True, "true"),
            "PermittedPublicSecurityGroupRuleRanges": given.get("PermittedPublicSecurityGroupRuleRanges", []),
        }
        self.backend.block_public_access_created = utcnow()
        return EmptyResult()
