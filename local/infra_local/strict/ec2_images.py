"""The images of every region: those that a stack looks up by owner and name, old and new.

moto ships 1,300 images a region, mostly of 2017, and looks through all of them at each RunInstances.
Here are Amazon's newest ones as moto has them (the SSM parameters name those), and Canonical's and
Debian's in two or three builds each, so that "the newest" can be told from "any".
"""

from __future__ import annotations

import contextlib
import hashlib

from moto.core.parse import default_timestamp_parser
from moto.ec2.models.amis import Ami, AmiBackend
from moto.utilities.utils import load_resource

from infra_local.hooks import around

CANONICAL = "099720109477"
DEBIAN = "136693071363"
AMAZON = "137112412989"

_UBUNTU = "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-{}"
_NOBLE = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-{}"

# owner, owner's alias, name, architecture, root device, created
_BUILDS = [
    (CANONICAL, None, _UBUNTU.format("20240126"), "x86_64", "/dev/sda1", "2024-01-26T03:55:07.000Z"),
    (CANONICAL, None, _UBUNTU.format("20250305"), "x86_64", "/dev/sda1", "2025-03-05T08:12:44.000Z"),
    (CANONICAL, None, _UBUNTU.format("20250712"), "x86_64", "/dev/sda1", "2025-07-12T05:01:31.000Z"),
    (
        CANONICAL,
        None,
        _UBUNTU.replace("amd64", "arm64").format("20250712"),
        "arm64",
        "/dev/sda1",
        "2025-07-12T05:06:02.000Z",
    ),
    (CANONICAL, None, _NOBLE.format("20250305"), "x86_64", "/dev/sda1", "2025-03-05T08:20:10.000Z"),
    (CANONICAL, None, _NOBLE.format("20250712"), "x86_64", "/dev/sda1", "2025-07-12T05:21:48.000Z"),
    (DEBIAN, None, "debian-12-amd64-20240211-1654", "x86_64", "/dev/xvda", "2024-02-11T17:02:19.000Z"),
    (DEBIAN, None, "debian-12-amd64-20250703-2162", "x86_64", "/dev/xvda", "2025-07-03T14:12:59.000Z"),
    (DEBIAN, None, "debian-12-arm64-20250703-2162", "arm64", "/dev/xvda", "2025-07-03T14:13:40.000Z"),
    (
        AMAZON,
        "amazon",
        "al2023-ami-2023.3.20240205.2-kernel-6.1-x86_64",
        "x86_64",
        "/dev/xvda",
        "2024-02-06T00:31:10.000Z",
    ),
    (
        AMAZON,
        "amazon",
        "al2023-ami-2023.8.20250707.0-kernel-6.1-x86_64",
        "x86_64",
        "/dev/xvda",
        "2025-07-08T23:09:32.000Z",
    ),
]
# The image that moto's EMR gives its nodes.
_EMR_NODE = "ami-12c6146b"


def image_id(region: str, name: str) -> str:
    """An id that is the same at each start, and differs by region as AWS's do."""
    return "ami-" + hashlib.sha256(f"{region} {name}".encode()).hexdigest()[:17]


def _images(region: str) -> list[dict]:
    common = {"state": "available", "public": True, "image_type": "machine", "hypervisor": "xen",
              "virtualization_type": "hvm", "root_device_type": "ebs", "sriov": "simple", "platform": None}  # fmt: skip
    images = []
    with contextlib.suppress(FileNotFoundError):
        images += [dict(i, owner_alias="amazon") for i in load_resource(f"ec2/resources/latest_amis/{region}.json")]
    for image in images:
        if isinstance(image.get("creation_date"), str):
            image["creation_date"] = default_timestamp_parser(image["creation_date"])
    for owner, alias, name, architecture, device, created in _BUILDS:
        images.append({
            **common, "ami_id": image_id(region, name), "name": name, "description": name, "owner_id": owner,
            "owner_alias": alias, "architecture": architecture, "root_device_name": device,
            "creation_date": default_timestamp_parser(created),
        })  # fmt: skip
    images.append({
        **common, "ami_id": _EMR_NODE, "name": "emr-node-amzn-linux-1", "description": "EMR node", "owner_id": "752014255238",
        "owner_alias": None, "architecture": "x86_64", "root_device_name": "/dev/xvda",
        "creation_date": default_timestamp_parser("2020-01-10T00:00:00.000Z"),
    })  # fmt: skip
    return images


def install() -> None:
    @around(AmiBackend, "_load_amis")
    def load_amis(_original, self):
        for image in _images(self.region_name):
            self.amis[image["ami_id"]] = Ami(self, **image)

    @around(AmiBackend, "describe_images")
    def describe_images(original, self, ami_ids=None, filters=None, **kwargs):
        # Each new instance asks for its image by this filter; answer from the dictionary.
        if filters and set(filters) == {"image-id"} and isinstance(filters["image-id"], str):
            return [self.amis[filters["image-id"]]] if filters["image-id"] in self.amis else []
        return original(self, ami_ids=ami_ids, filters=filters, **kwargs)
