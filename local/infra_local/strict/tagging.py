"""The tagging API's GetResources sees the kinds that moto leaves out of it.

As on AWS, IAM's customer-managed policies and instance profiles are listed in us-east-1 only, and roles
and users not at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from moto.core.resource_tagging import TaggedResource, make_tag_matcher, match_resource_type
from moto.ec2.models import ec2_backends
from moto.emr.models import emr_backends
from moto.iam.models import AWSManagedPolicy, iam_backends
from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend

from infra_local.hooks import around


def _pairs(tags) -> dict[str, str]:
    rows = tags.values() if isinstance(tags, dict) else tags or []
    return {t["Key"]: t["Value"] for t in rows}


def _ec2(account: str, region: str) -> Iterator[TaggedResource]:
    backend = ec2_backends[account][region]
    kinds = {
        "elastic-ip": [a.allocation_id for a in backend.addresses],
        "vpc-endpoint": list(backend.vpc_end_points),
        "key-pair": [k.id for k in backend.key_pairs.values()],
        "network-acl": list(backend.network_acls),
    }
    for kind, ids in kinds.items():
        for object_id in ids:
            arn = f"arn:{backend.partition}:ec2:{region}:{account}:{kind}/{object_id}"
            yield TaggedResource(arn, dict(backend.tags.get(object_id) or {}), f"ec2:{kind}")


def _emr(account: str, region: str) -> Iterator[TaggedResource]:
    for cluster in emr_backends[account][region].clusters.values():
        yield TaggedResource(cluster.arn, dict(cluster._tags), "elasticmapreduce:cluster")


def _iam(account: str, region: str) -> Iterator[TaggedResource]:
    if region != "us-east-1":
        return
    backend = iam_backends[account]["aws"]
    for policy in backend.managed_policies.values():
        if not isinstance(policy, AWSManagedPolicy):
            yield TaggedResource(policy.arn, _pairs(policy.tags), "iam:policy")
    for profile in backend.instance_profiles.values():
        yield TaggedResource(profile.arn, _pairs(profile.tags), "iam:instance-profile")


def install() -> None:
    @around(ResourceGroupsTaggingAPIBackend, "_get_resources_generator")
    def resources(original, self, tag_filters=None, resource_type_filters=None, resource_arn_list=None):
        yield from original(self, tag_filters, resource_type_filters, resource_arn_list)
        matches = make_tag_matcher(tag_filters)
        for found in (_ec2, _emr, _iam):
            for resource in found(self.account_id, self.region_name):
                if not resource.tags or not matches(resource.tags):
                    continue
                if not match_resource_type(resource.resource_type, resource_type_filters):
                    continue
                if not resource_arn_list or resource.arn in resource_arn_list:
                    yield resource
