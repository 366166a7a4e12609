//! What the stack calls things: its tags, and the names that are unique beyond the stack.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use engine::Address;

use super::{
    CodeFolder,
    tags::{ADDRESS_TAG, REGION_TAG, STACK_TAG, Tags},
};

/// Kinds whose objects are seen from every region, or whose names are taken in all of them.
const GLOBAL: &[&str] = &["iam_policy", "iam_role", "instance_profile", "iam_user", "bucket"];

/// The names that a stack's objects go by.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The stack's name.
    pub stack: String,
    /// The region that the stack lives in: `us-west-2`.
    pub region: String,
    /// The account's 12-digit number.
    pub account: String,
    /// The spec's own tags.
    pub tags: Tags,
    /// The spec's buckets: name in S3 to name in the spec. S3 has no tag filter, so these are looked for by name.
    pub buckets: BTreeMap<String, String>,
    /// Those of them that are to be protected, by their names in S3.
    pub protected_buckets: BTreeSet<String>,
    /// What the spec's policies and instance profiles are called in IAM, whose lists hold no tags: these are looked at
    /// by name even where nothing else says that they are the stack's.
    pub identities: BTreeSet<String>,
    /// The spec's folders: the keys, each with its slash at the end, by the bucket's name in S3.
    pub folders: BTreeMap<String, Vec<String>>,
    /// The spec's objects: the bucket's name in S3 and the key, to the name in the spec.
    pub objects: BTreeMap<(String, String), String>,
    /// The names in the stack that its KMS keys can have; they are looked for by their aliases. Where it is empty, all of
    /// the account's aliases are listed.
    pub kms_keys: Vec<String>,
    /// The folders in which pipelines have their code, with the spec's pipelines.
    pub code: BTreeMap<CodeFolder, BTreeSet<String>>,
    /// The spec's EMR security configurations, by their names in the stack: looked for one by one where a cloud cannot
    /// list them.
    pub security_configurations: Vec<String>,
    /// Where the stack's hosts find AWS, where that is the local cloud.
    pub aws_for_hosts: Option<String>,
    /// Where files that hold secrets go, each 0600: made private keys, access keys.
    pub secrets: PathBuf,
}

impl Names {
    /// The name of an object that is unique in the account or region: `nyc311-admin`.
    pub fn unique(&self, name: &str) -> String {
        format!("{}-{name}", self.stack)
    }

    /// Where the private part of a made key is kept.
    pub fn private_key(&self, key: &str) -> PathBuf {
        self.secrets.join(format!("{key}.key"))
    }

    /// The tags of the object at `address`: the spec's, a `Name` for the console, whose it is, and where the stack lives
    /// if the object does not say that itself.
    pub fn tags(&self, address: &Address) -> Tags {
        let mut tags = self.tags.clone();
        tags.entry("Name".into()).or_insert_with(|| self.unique(&address.name));
        tags.insert(STACK_TAG.into(), self.stack.clone());
        tags.insert(ADDRESS_TAG.into(), address.to_string());
        if GLOBAL.contains(&address.kind) {
            tags.insert(REGION_TAG.into(), self.region.clone());
        }
        tags
    }
}
