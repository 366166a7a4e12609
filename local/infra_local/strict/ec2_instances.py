"""RunInstances and ModifyInstanceAttribute: what AWS checks, and what it really changes."""

from __future__ import annotations

import re
from functools import lru_cache

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2 import utils as ec2_utils
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from moto.ec2.models.instances import Instance, InstanceBackend
from moto.ec2.responses import EC2Response

from infra_local.hooks import around, refuse
from infra_local.strict import ec2_lag
from infra_local.strict.ec2_tags import tags_of

_INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")


def install() -> None:
    ec2_utils.filter_dict_attribute_mapping.update(
        {
            "client-token": "client_token",
            "iam-instance-profile.arn": "iam_instance_profile.Arn",
            "instance-state-code": "state_code",
            "reservation-id": "reservation_id",
            "root-device-name": "root_device_name",
            "tenancy": "placement.tenancy",
            "network-interface.subnet-id": "subnet_id",
            "network-interface.vpc-id": "vpc_id",
            "metadata-options.http-tokens": "metadata_options.http_tokens",
        }
    )
    _launch()
    _describe()
    _modify()
    _volumes()


def _launch() -> None:
    @around(EC2Response, "run_instances")
    def run_instances(original, self):
        self._forced_count = None
        backend = self.ec2_backend
        minimum, maximum = int(self._get_param("MinCount") or 1), int(self._get_param("MaxCount") or 1)
        if minimum > maximum or minimum < 1:
            refuse("InvalidParameterValue", "The MinCount parameter must be between 1 and MaxCount.")
        _check_launch(self, backend)
        self.params["MinCount"] = maximum  # AWS launches as many as it can, up to MaxCount
        result = original(self)
        profile = self._get_param("IamInstanceProfile.Name"), self._get_param("IamInstanceProfile.Arn")
        for instance in result.result.instances[1:]:  # moto gives the profile to the first one only
            if any(profile):
                backend.associate_iam_instance_profile(
                    instance_id=instance.id, iam_instance_profile_name=profile[0], iam_instance_profile_arn=profile[1]
                )
        for instance in result.result.instances:
            instance.reservation_id = result.result.id
            if not self._get_param("ClientToken"):
                instance.client_token = ""
            termination = self._get_param("DisableApiTermination")
            if termination is not None:
                instance.disable_api_termination = termination in (True, "true")
            _tag_interfaces(self, instance)
        return result

    @around(InstanceBackend, "run_instances")
    def with_root_volume(original, self, image_id, count, user_data, security_group_names, **kwargs):
        # AWS lays the given mappings over the image's own, so that there is always a root volume.
        image = self.amis.get(image_id)
        root = image.root_device_name if image else "/dev/sda1"
        mappings = list(kwargs.get("block_device_mappings") or [])
        if not any(m["DeviceName"] == root for m in mappings):
            mappings.insert(0, {"DeviceName": root, "NoDevice": None, "Ebs": {}})
        for mapping in mappings:
            ebs = mapping["Ebs"]
            if not ebs.get("VolumeSize") and not ebs.get("SnapshotId"):
                ebs["VolumeSize"] = 8
            ebs["VolumeType"] = ebs.get("VolumeType") or "gp2"
            if ebs.get("DeleteOnTermination") is None:
                ebs["DeleteOnTermination"] = True
            if self.ebs_encryption_by_default:
                ebs["Encrypted"] = True
        kwargs["block_device_mappings"] = mappings
        if not kwargs.get("launch_template"):
            kwargs["is_instance_type_default"] = True  # checked already; moto's own check compares 1,000 types
        kwargs["security_group_ids"] = list(kwargs.get("security_group_ids") or [])
        reservation = original(self, image_id, count, user_data, security_group_names, **kwargs)
        for instance in reservation.instances:
            for mapping in mappings:
                block = instance.block_device_mapping.get(mapping["DeviceName"])
                volume = self.volumes.get(block.volume_id) if block else None
                if volume:
                    volume.iops = mapping["Ebs"].get("Iops") or volume.iops
                    throughput = mapping["Ebs"].get("Throughput") or (125 if volume.volume_type == "gp3" else None)
                    volume.throughput = throughput
        return reservation

    @around(EC2Response, "_parse_block_device_mapping")
    def parse_block_device_mapping(original, self):
        mappings = original(self)
        given = self._get_param("BlockDeviceMappings", [])
        for mapping, asked in zip(mappings, given, strict=False):
            ebs = asked.get("Ebs", {})
            mapping["Ebs"]["Throughput"] = ebs.get("Throughput")
            mapping["Ebs"]["DeleteOnTermination"] = ebs.get("DeleteOnTermination")
        return mappings


@lru_cache
def offered(region: str) -> frozenset[str]:
    """The instance types of a region."""
    return frozenset(row["InstanceType"] for row in INSTANCE_TYPE_OFFERINGS["region"].get(region, []))


def _check_launch(response, backend) -> None:
    """The checks in AWS's order; each error names what is missing."""
    image_id, key = response._get_param("ImageId"), response._get_param("KeyName")
    if not image_id and not response._get_param("LaunchTemplate"):
        refuse("MissingParameter", "The request must contain the parameter ImageId")
    if image_id and image_id not in backend.amis:
        refuse("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    if key and key not in backend.key_pairs:
        refuse("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")
    kind = response._get_param("InstanceType")
    if kind and kind not in offered(response.region):
        refuse("InvalidParameterValue", f"Invalid value '{kind}' for InstanceType.")
    _check_profile(response)
    subnet_id = response._get_param("SubnetId")
    nics = response._get_param("NetworkInterfaces", [])
    subnet_id = subnet_id or next((n.get("SubnetId") for n in nics if n.get("SubnetId")), None)
    vpc_id = backend.get_subnet(subnet_id).vpc_id if subnet_id else None
    groups = list(response._get_param("SecurityGroupIds", [])) + [g for n in nics for g in n.get("Groups", [])]
    for group_id in groups:
        group = backend.get_security_group_from_id(group_id)
        if not group:
            refuse("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        if vpc_id and group.vpc_id != vpc_id:
            refuse(
                "InvalidParameter", f"Security group {group_id} and subnet {subnet_id} belong to different networks."
            )


def _check_profile(response) -> None:
    from moto.iam.models import iam_backends

    iam = iam_backends[response.current_account][response.partition]
    name, arn = response._get_param("IamInstanceProfile.Name"), response._get_param("IamInstanceProfile.Arn")
    account = response.current_account
    profiles = [p for p in iam.instance_profiles.values() if not ec2_lag.profile_unknown(account, p.name)]
    if name and not any(p.name == name for p in profiles):
        refuse(
            "InvalidParameterValue",
            f"Value ({name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
        )
    if arn and not any(p.arn == arn for p in profiles):
        refuse(
            "InvalidParameterValue",
            f"Value ({arn}) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN",
        )


def _tag_interfaces(response, instance: Instance) -> None:
    tags = response._parse_tag_specification().get("network-interface", {})
    for nic in instance.nics.values():
        nic.delete_on_termination = True
        if tags:
            nic.add_tags(tags)


def _describe() -> None:
    @around(EC2Response, "describe_instances")
    def describe_instances(_original, self):
        self.error_on_dryrun()
        backend, filters = self.ec2_backend, self._filters_from_querystring()
        wanted, limit = self._get_param("InstanceIds", []), self._get_param("MaxResults")
        for instance_id in wanted:
            if not _INSTANCE_ID.fullmatch(instance_id):
                refuse("InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
        if wanted and limit:
            refuse(
                "InvalidParameterCombination",
                "The parameter instancesSet cannot be used with the parameter maxResults",
            )
        if wanted:
            reservations = backend.get_reservations_by_instance_ids(wanted, filters=filters)
        else:
            reservations = backend.describe_instances(filters=filters)
        pages, token = _page(reservations, int(limit or 1000), self._get_param("NextToken"))
        return ActionResult({"Reservations": pages, "NextToken": token})

    @around(Instance, "get_tags")
    def get_tags(_original, self):
        return tags_of(self.ec2_backend, self.id)


def _page(reservations: list, limit: int, token: str | None) -> tuple[list, str | None]:
    """MaxResults counts instances on AWS, not reservations; a reservation may be cut in two."""
    if limit < 5:
        refuse(
            "InvalidParameterValue",
            f"Value ( {limit} ) for parameter maxResults is invalid. Expecting a value greater than 5.",
        )
    import copy

    start = int(token) if token and token.isdigit() else 0
    position, shown = 0, []
    for reservation in reservations:
        count = len(reservation.instances)
        first, last = max(start - position, 0), min(start + limit - position, count)
        if first < last:
            piece = copy.copy(reservation)
            piece.instances = reservation.instances[first:last]
            shown.append(piece)
        position += count
    return shown, str(start + limit) if position > start + limit else None


def _modify() -> None:
    @around(EC2Response, "modify_instance_attribute")
    def modify_instance_attribute(original, self):
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        attribute = self._get_param("Attribute")
        stopped_only = [
            name
            for name in ("InstanceType", "Kernel", "Ramdisk", "UserData", "EbsOptimized")
            if self._get_param(f"{name}.Value") is not None or attribute == name[0].lower() + name[1:]
        ]
        if stopped_only and instance.state != "stopped":
            refuse("IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'stopped' state.")
        kind = self._get_param("InstanceType.Value")
        if kind and kind not in offered(self.region):
            refuse("InvalidParameterValue", f"Invalid value '{kind}' for InstanceType.")
        groups = self._get_param("Groups", [])
        if groups:
            found = [self.ec2_backend.get_security_group_from_id(g) for g in groups]
            if None in found:
                refuse("InvalidGroup.NotFound", f"The security group '{groups[found.index(None)]}' does not exist")
            self.error_on_dryrun()
            instance.security_groups = found
            if 0 in instance.nics:
                instance.nics[0]._group_set = list(found)
            return EmptyResult()
        shutdown = self._get_param("InstanceInitiatedShutdownBehavior.Value")
        if shutdown:
            instance.instance_initiated_shutdown_behavior = shutdown
            return EmptyResult()
        return original(self)

    @around(EC2Response, "modify_instance_metadata_options")
    def modify_instance_metadata_options(original, self):
        # What is not given keeps its value; moto sets it to its default or to nothing.
        instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
        before = instance.metadata_options
        result = original(self)
        after = instance.metadata_options
        for given, name in (
            ("HttpTokens", "http_tokens"),
            ("HttpPutResponseHopLimit", "http_put_response_hop_limit"),
            ("HttpEndpoint", "http_endpoint"),
            ("HttpProtocolIpv6", "http_protocol_ipv6"),
            ("InstanceMetadataTags", "instance_metadata_tags"),
        ):
            if self._get_param(given) is None:
                setattr(after, name, getattr(before, name))
        return result


def _volumes() -> None:
    @around(EC2Response, "detach_volume")
    def detach_volume(original, self):
        volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
        if not volume.attachment:
            refuse("IncorrectState", f"Volume '{volume.id}' is in the 'available' state.")
        # AWS needs the volume only.
        self.params["InstanceId"] = self._get_param("InstanceId") or volume.attachment.instance.id
        return original(self)

    @around(EBSBackend, "delete_volume")
    def delete_volume(original, self, volume_id):
        deleted = original(self, volume_id)
        self.tags.pop(volume_id, None)
        return deleted
