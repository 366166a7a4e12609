//! The EMR cluster.

use std::{fmt, time::Duration};

use indexmap::IndexMap;

use super::{Encryption, FilePath, Spanned, Text};

/// The EMR cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name in EMR, at most 256 characters; the stack's unless `name` says otherwise.
    pub name: Spanned<Text>,
    /// EMR's release.
    pub release: Spanned<Release>,
    /// Applications as EMR spells them: `Spark`.
    pub applications: Vec<Spanned<String>>,
    /// Name in [`super::Network::subnets`].
    pub subnet: Spanned<String>,
    /// Name in [`super::Access::roles`]: what EMR itself may do.
    pub service_role: Spanned<String>,
    /// Name in [`super::Access::roles`]: what the nodes may do; it has a profile.
    pub node_role: Spanned<String>,
    /// The machines.
    pub nodes: Nodes,
    /// Size of each node's root disk in GiB; `None` for the release's own.
    pub root_disk_gib: Option<Spanned<u32>>,
    /// Application settings.
    pub configurations: Vec<Spanned<Configuration>>,
    /// Scripts that run on each node before the applications start, after the log4j patch.
    pub bootstrap: Vec<Spanned<Bootstrap>>,
    /// Whether AWS's log4j patch runs first; true by default for the releases that need it.
    pub log4j_patch: Spanned<bool>,
    /// How many steps run at once, 1 to 256; 1 by default.
    pub step_concurrency: Spanned<u32>,
    /// Encryption and metadata service.
    pub security: Spanned<ClusterSecurity>,
    /// EMR's own scaling, from release 5.30.0.
    pub managed_scaling: Option<Spanned<ManagedScaling>>,
    /// Whether it must be unprotected before it can be terminated.
    pub termination_protection: Spanned<bool>,
    /// Ended after so long without work: by EMR itself from 5.30.0, by `infra cluster reap` before.
    pub idle_timeout: Option<Spanned<Duration>>,
    /// Ended after so long, whatever it does.
    pub max_lifetime: Option<Spanned<Duration>>,
    /// EMR's own auto-termination policy was asked for (`auto_termination`); release 5.30.0 or later.
    pub auto_termination: Option<Spanned<Duration>>,
    /// Where logs go.
    pub logs: Option<Spanned<LogTarget>>,
    /// Name in [`super::Spec::keys`] for login `hadoop`: as said, or the only key.
    pub key: Option<Spanned<String>>,
    /// Who starts it.
    pub start: Spanned<Start>,
    /// How long starting may take before it is a failure; 30 minutes by default.
    pub start_deadline: Spanned<Duration>,
    /// The host with the timer that ends idle clusters: a name in [`super::Spec::hosts`].
    pub reaper: Option<Spanned<String>>,
    /// Whether all of the account's users see it, as their policies allow; true by default.
    pub visible: Spanned<bool>,
}

/// A release: `emr-5.29.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// First number.
    pub major: u16,
    /// Second number.
    pub minor: u16,
    /// Third number.
    pub patch: u16,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "emr-{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The machines of a cluster: groups or fleets, never both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// One type a group.
    Groups {
        /// The master: one, or three for high availability.
        master: Spanned<Group>,
        /// Nodes with HDFS.
        core: Option<Spanned<Group>>,
        /// Nodes without HDFS.
        task: Option<Spanned<Group>>,
    },
    /// A choice of types for each role; EMR takes what is there.
    Fleets {
        /// The master: capacity 1.
        master: Spanned<Fleet>,
        /// Nodes with HDFS.
        core: Option<Spanned<Fleet>>,
        /// Nodes without HDFS.
        task: Option<Spanned<Fleet>>,
    },
}

/// Machines of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Instance type, e.g. `m5.xlarge`.
    pub instance_type: Spanned<String>,
    /// How many; 1 by default, 0 allowed for task nodes.
    pub count: Spanned<u32>,
    /// How they are paid.
    pub market: Spanned<Market>,
    /// Data disks of each; `None` for EMR's default of the type.
    pub disk: Option<Spanned<NodeDisk>>,
}

/// How machines are paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Market {
    /// At the list price, never taken away.
    OnDemand,
    /// Cheaper, may be taken away.
    Spot {
        /// Highest price in US dollars an hour and machine, as a decimal; `None`: the on-demand price.
        max_price: Option<String>,
    },
}

/// Data disks of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeDisk {
    /// Size of each in GiB.
    pub gib: u32,
    /// EBS type: `gp2`, `gp3`, `io1`, `st1`, `sc1`.
    pub volume_type: &'static str,
    /// How many; 1 by default.
    pub count: u32,
}

/// A choice of types for one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Units on demand.
    pub on_demand: Spanned<u32>,
    /// Units of spot.
    pub spot: Spanned<u32>,
    /// Types to choose from, at most 30.
    pub types: Vec<Spanned<FleetType>>,
    /// Minutes to wait for spot, 5 to 1,440, then [`Fleet::fallback`]; 20 by default.
    pub spot_wait_minutes: Spanned<u32>,
    /// What happens when there is no spot in time.
    pub fallback: Spanned<Fallback>,
}

/// One type of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetType {
    /// Instance type.
    pub instance_type: String,
    /// Units that one machine counts for; 1 by default.
    pub weight: u32,
    /// Highest spot price in US dollars an hour, as a decimal; `None`: the on-demand price.
    pub max_price: Option<String>,
    /// Data disks of each.
    pub disk: Option<NodeDisk>,
}

/// What happens when there is no spot capacity in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// Take on-demand machines instead.
    OnDemand,
    /// Give up and terminate the cluster.
    Terminate,
}

/// Settings of one file of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// EMR's classification, e.g. `spark-env`.
    pub classification: String,
    /// Its settings.
    pub properties: IndexMap<String, Text>,
    /// Nested ones, e.g. `export` in `spark-env`.
    pub configurations: Vec<Configuration>,
}

/// A script that runs on each node before the applications start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// Its name in EMR, at most 256 characters.
    pub name: String,
    /// The script.
    pub script: Script,
    /// Its arguments.
    pub arguments: Vec<Text>,
}

/// Where a bootstrap script comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// Already in S3: `s3://…`.
    S3(Text),
    /// A file beside the spec, which the stack uploads.
    File(FilePath),
}

/// Encryption and metadata service of the nodes (an EMR security configuration).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSecurity {
    /// How EMR encrypts what it writes to S3; `None` leaves it to the buckets, which all encrypt.
    pub s3: Option<Encryption>,
    /// Whether local disks are encrypted with the stack's own key.
    pub disks: bool,
    /// Certificates for encryption between nodes.
    pub in_transit: Option<TransitCertificates>,
    /// Whether nodes refuse the old metadata service (`IMDSv1`). True by default for the releases that work so.
    pub imds_v2_only: bool,
}

impl ClusterSecurity {
    /// Whether an EMR security configuration is needed at all.
    pub fn needs_configuration(&self) -> bool {
        let Self { s3, disks, in_transit, imds_v2_only } = self;
        s3.is_some() || *disks || in_transit.is_some() || *imds_v2_only
    }

    /// Whether it uses the stack's own key.
    pub fn needs_kms(&self) -> bool {
        self.s3 == Some(Encryption::Kms) || self.disks
    }
}

/// Certificates for encryption between nodes: a zip of PEM files in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitCertificates {
    /// `s3://bucket/certificates.zip`.
    pub object: Text,
}

/// EMR's own scaling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagedScaling {
    /// What the numbers count.
    pub unit: ScalingUnit,
    /// Never less.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// At most so many on demand, the rest is spot; `None`: all.
    pub max_on_demand: Option<u32>,
    /// At most so many core nodes, the rest are task nodes; `None`: all.
    pub max_core: Option<u32>,
}

/// What scaling counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingUnit {
    /// Machines.
    Instances,
    /// Virtual processors.
    Vcpu,
    /// A fleet's units.
    FleetUnits,
}

/// Where a cluster's logs go: `s3://BUCKET/FOLDER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTarget {
    /// Name in [`super::Spec::buckets`].
    pub bucket: Spanned<String>,
    /// Folder with its `/`; empty for the bucket's root.
    pub folder: String,
}

/// Who starts the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// `infra cluster up`, and pipelines that need it.
    OnDemand,
    /// `infra apply`.
    WithApply,
}
