//! Ownership is two tags, sent in the create call itself.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// Says which stack an object belongs to.
pub const STACK_TAG: &str = "infra:stack";
/// Says which resource of the stack the object is: `subnet/private-a`.
pub const ADDRESS_TAG: &str = "infra:address";
/// Says that the object must not be deleted, even when the spec no longer mentions it.
pub const PROTECT_TAG: &str = "infra:protect";

/// Why what carries that tag may not go, and what to do.
pub const PROTECTED: &str = "it is protected. To let it go: set `protect: false`, apply, then try again";
/// Says which image a host was asked to boot from, where that was more than one image's id.
pub const IMAGE_TAG: &str = "infra:image";
/// Says which region the stack lives in, on what is seen from every region.
pub const REGION_TAG: &str = "infra:region";

/// The name that an object's tags claim within `kind`.
pub fn claimed_name(tags: &Tags, kind: &str) -> Option<String> {
    tags.get(ADDRESS_TAG)?.strip_prefix(kind)?.strip_prefix('/').map(str::to_owned)
}

/// The filter that finds the stack's objects in a describe call.
pub fn ec2_filter(stack: &str) -> Filter {
    Filter::builder().name(format!("tag:{STACK_TAG}")).values(stack).build()
}

/// Reads EC2's tags; those that AWS itself sets (`aws:…`) are nobody's drift.
pub fn from_ec2(tags: &[Tag]) -> Tags {
    let pairs = tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned())));
    pairs.filter(|(key, _)| !key.starts_with("aws:")).collect()
}

/// EC2's form of `tags`.
pub fn into_ec2(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Tags for the create call of an EC2 object.
pub fn tag_specification(of: ResourceType, tags: &Tags) -> TagSpecification {
    TagSpecification::builder().resource_type(of).set_tags(Some(into_ec2(tags))).build()
}
