//! Who may do what: IAM roles, policies and users.

use super::{Document, Spanned, Table, Text};

/// The `access` section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    /// The stack's own managed policies by name.
    pub policies: Table<Policy>,
    /// Roles by name.
    pub roles: Table<Role>,
    /// IAM users by name (not logins on hosts; those are in `users.txt`).
    pub users: Table<User>,
}

/// A managed policy that the stack owns.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Its name in IAM, at most 128 characters; the key unless `name` says otherwise.
    pub name: Spanned<Text>,
    /// Free text, at most 1,000 characters.
    pub description: Option<Spanned<Text>>,
    /// The policy document, with `Version` (2012-10-17 where left out) and `Statement`.
    pub document: Spanned<Document>,
}

/// A role.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    /// Its name in IAM, at most 64 characters; the key unless `name` says otherwise.
    pub name: Spanned<Text>,
    /// Free text, at most 1,000 characters.
    pub description: Option<Spanned<Text>>,
    /// Who may assume it.
    pub trust: Trust,
    /// Whether it has an instance profile of the same name (hosts and EMR nodes need one).
    pub profile: Spanned<bool>,
    /// What it may do.
    pub grants: Grants,
}

/// Who may assume a role.
#[derive(Clone, Debug, PartialEq)]
pub enum Trust {
    /// AWS services by short name: `ec2`, `elasticmapreduce`; each is `NAME.amazonaws.com`.
    Services(Vec<Spanned<String>>),
    /// A whole trust policy.
    Document(Spanned<Document>),
}

/// An IAM user.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Its name in IAM, at most 64 characters; the key unless `name` says otherwise.
    pub name: Spanned<Text>,
    /// What it may do.
    pub grants: Grants,
    /// Whether it has an access key, written once to a 0600 file.
    pub access_key: Spanned<bool>,
}

/// What a role or a user may do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grants {
    /// AWS's managed policies.
    pub managed: Vec<Spanned<ManagedPolicy>>,
    /// Names in [`Access::policies`].
    pub policies: Vec<Spanned<String>>,
    /// Inline policies by name.
    pub inline: Table<Document>,
    /// Access to the stack's buckets: key names a bucket of the spec.
    pub buckets: Table<BucketAccess>,
    /// Access to the stack's clusters.
    pub clusters: Option<Spanned<ClusterAccess>>,
}

/// What may be done with a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketAccess {
    /// List it and get its objects (and decrypt, if it has the stack's key).
    Read,
    /// Put and delete objects, without reading them.
    Write,
    /// Both.
    ReadWrite,
}

impl BucketAccess {
    /// Whether objects may be read.
    pub fn reads(self) -> bool {
        self != Self::Write
    }

    /// Whether objects may be written.
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// What may be done with the stack's clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterAccess {
    /// Describe them only.
    Read,
    /// Start, describe, add steps, resize and terminate, and pass exactly the two cluster roles.
    Run,
}

/// A managed policy by its path and name (`service-role/AmazonElasticMapReduceRole`) or full ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedPolicy(pub Text);

impl ManagedPolicy {
    /// Its ARN in this account and [partition](super::Spec::partition).
    pub fn arn(&self, partition: &str, account: &str) -> String {
        let written = self.0.resolve(account);
        if written.starts_with("arn:") { written } else { format!("arn:{partition}:iam::aws:policy/{written}") }
    }

    /// Its name without path: `AmazonElasticMapReduceRole`.
    pub fn name(&self) -> String {
        let written = self.0.shown();
        written.rsplit('/').next().unwrap_or(&written).to_owned()
    }
}
