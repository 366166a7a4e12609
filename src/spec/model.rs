//! The typed spec: what one YAML file says, checked, with defaults filled in and positions kept.
//!
//! `stacks/` reads nothing else. Every named thing lives in a [`Table`], whose entries carry the
//! position of their key, so that a plan can say `infra/nyc311.yaml:31` for each step. Names that
//! refer to other names (`subnet: public`) are kept as written, as `Spanned<String>`; [`super::load`]
//! has checked that each of them exists.

mod access;
mod bucket;
mod cluster;
mod host;
mod network;
mod pipeline;
mod template;
mod text;

use std::{
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use indexmap::IndexMap;

pub use access::{Access, BucketAccess, ClusterAccess, Grants, ManagedPolicy, Policy, Role, Trust, User};
pub use bucket::{Bucket, Encryption, Expiry};
pub use cluster::{
    Bootstrap, Cluster, ClusterSecurity, Configuration, Fallback, Fleet, FleetType, Group, LogTarget, ManagedScaling,
    Market, NodeDisk, Nodes, Release, ScalingUnit, Script, Start, TransitCertificates,
};
pub use host::{
    Airflow, Architecture, Departed, Disk, Docker, Host, HostUsers, Image, Instance, Key, KeySource, KnownImage, Luigi,
    Place, Port, PortSource, Protocol, Server, Service,
};
pub use network::{Endpoint, Network, Route, Subnet};
pub use pipeline::{Alert, AlertWhen, Job, Orchestrator, Pipeline, Schedule, SecretSource};
pub use template::{OnTheHost, Task, Template, TemplateFile, Unfilled};
pub use text::{ACCOUNT_PLACEHOLDER, Document, Text};

/// A place in an input file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file as the user named it, e.g. `infra/nyc311.yaml`.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Length in characters; at least 1, and never beyond the end of the line.
    pub len: u32,
}

impl Span {
    /// `file:line`, the short form that a plan shows beside each step.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Span {
    /// `file:line:column`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A value and where it was written. A default carries the span of what it belongs to.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands; in a [`Table`], where its key stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Puts a value at a place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    /// Changes the value and keeps the place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: change(self.value), span: self.span }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    /// By value alone: moving a line changes nothing.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// Named things in the order of the file; each entry's span is that of its key.
pub type Table<T> = IndexMap<String, Spanned<T>>;

/// A path as written, and as found from the folder of the file that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath {
    /// As the file says, `~` and all: for messages.
    pub written: String,
    /// Ready to open: `~` expanded, relative paths joined to the folder of the naming file.
    pub path: PathBuf,
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// One stack: the whole file, checked.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The overlay merged over it, if one was.
    pub overlay: Option<Arc<str>>,
    /// Name of the stack: lower-case letters, digits and hyphens, at most 32 (it begins other names).
    pub stack: Spanned<String>,
    /// AWS region, e.g. `us-west-2`.
    pub region: Spanned<String>,
    /// Tags for everything that takes tags, beside `infra:stack` and `infra:address`.
    pub tags: IndexMap<String, Spanned<Text>>,
    /// The stack's own network; absent where no host or cluster needs one.
    pub network: Option<Spanned<Network>>,
    /// SSH keys by name.
    pub keys: Table<Key>,
    /// Roles, policies, users.
    pub access: Access,
    /// Buckets by name; the name in S3 is [`Bucket::name`].
    pub buckets: Table<Bucket>,
    /// Hosts by name.
    pub hosts: Table<Host>,
    /// The EMR cluster, if the stack has one. Its span is that of the key `cluster`.
    pub cluster: Option<Spanned<Cluster>>,
    /// Pipelines by name.
    pub pipelines: Table<Pipeline>,
    /// What the user should know although it is no error; every plan shows these.
    pub notes: Vec<Note>,
}

impl Spec {
    /// A spec that says whose stack it is, and nothing else.
    pub(super) fn bare(
        file: Arc<str>,
        overlay: Option<Arc<str>>,
        stack: Spanned<String>,
        region: Spanned<String>,
    ) -> Self {
        Self {
            file,
            overlay,
            stack,
            region,
            tags: IndexMap::new(),
            network: None,
            keys: IndexMap::new(),
            access: Access::default(),
            buckets: IndexMap::new(),
            hosts: IndexMap::new(),
            cluster: None,
            pipelines: IndexMap::new(),
            notes: Vec::new(),
        }
    }

    /// The partition of the region: `aws`, `aws-cn` or `aws-us-gov`, as it stands in every ARN.
    pub fn partition(&self) -> &'static str {
        partition(&self.region)
    }

    /// The host whose timer ends the cluster when it idles.
    pub fn reaper(&self) -> Option<&str> {
        Some(self.cluster.as_ref()?.reaper.as_ref()?.value.as_str())
    }

    /// Whether anything is to be on a host: people, services (which pipelines need), the timer of the cluster.
    pub fn configures(&self, name: &str, host: &Host) -> bool {
        host.users.is_some() || !host.services.is_empty() || self.reaper() == Some(name)
    }

    /// Whether anything of it is on AWS; a spec of servers alone needs no account.
    pub fn needs_aws(&self) -> bool {
        let access = &self.access;
        self.network.is_some()
            || !self.buckets.is_empty()
            || !(access.roles.is_empty() && access.users.is_empty() && access.policies.is_empty())
            || self.cluster.is_some()
            || self.hosts.values().any(|host| host.instance().is_some())
            || self.hosts.is_empty()
    }

    /// Whether anything is encrypted with the stack's own KMS key, so that the key must exist.
    pub fn needs_kms(&self) -> bool {
        self.buckets.values().any(|bucket| *bucket.encryption == Encryption::Kms)
            || self.cluster.as_ref().is_some_and(|cluster| cluster.security.needs_kms())
    }
}

/// The partition of a region: `aws`, `aws-cn` or `aws-us-gov`.
pub fn partition(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// Something allowed but worth saying, at its place: open to the world, a deprecated policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Note {
    /// One sentence.
    pub message: String,
    /// Where it was asked for.
    pub span: Span,
}
