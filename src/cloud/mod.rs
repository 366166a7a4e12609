//! The AWS account as a world: clients, who owns what, waits for consistency, errors explained.
//!
//! A [`Cloud`] belongs to one stack in one region. Kinds in `resources/` use it for every request. It never retries
//! throttling (the SDK does) and owns every wait, each with a deadline and a progress message.

mod advice;
mod code;
mod connect;
mod error;
mod journal;
mod names;
mod obstacles;
mod reads;
mod strangers;
mod tagged;
mod tags;
mod unimplemented;
mod wait;

use std::{sync::Arc, time::Duration};

use engine::{Address, Attempt, World};

use crate::hosts::Hosts;
pub use advice::advice;
pub use code::{Code, CodeFile, CodeFolder, IndexedFile, Pointer, PointerText, is_of_a_version};
pub use connect::{Connection, Target, connect, offline};
pub use error::{Answered, CloudError, Explain, gone_is_ok, missing_is_none};
pub use journal::Journal;
pub use names::Names;
pub use reads::{Identities, Reads};
pub use strangers::{Strangers, taken};
pub use tags::{
    ADDRESS_TAG, IMAGE_TAG, PROTECT_TAG, PROTECTED, REGION_TAG, STACK_TAG, Tags, claimed_name, ec2_filter, from_ec2,
    into_ec2, tag_specification,
};
pub use unimplemented::emr_once;
pub use wait::Pace;

/// One client a service; clones share the connection pool.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Networks, hosts and key pairs.
    pub ec2: aws_sdk_ec2::Client,
    /// Clusters.
    pub emr: aws_sdk_emr::Client,
    /// Roles, users and policies.
    pub iam: aws_sdk_iam::Client,
    /// Encryption keys.
    pub kms: aws_sdk_kms::Client,
    /// Buckets and objects.
    pub s3: aws_sdk_s3::Client,
    /// Who we are.
    pub sts: aws_sdk_sts::Client,
    /// Finds what has no tag filter of its own.
    pub tagging: aws_sdk_resourcegroupstagging::Client,
}

/// One stack's view of an account and region.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// The services.
    pub clients: Clients,
    /// The names that the spec gives, and the tags that everything carries.
    pub names: Arc<Names>,
    /// How often to poll and how long reads may lag behind writes.
    pub pace: Pace,
    /// What was read in this pass; kinds that need the same answer share it.
    pub reads: Arc<Reads>,
    /// The stack's hosts, reached by SSH.
    pub hosts: Hosts,
    /// Whether a bucket that is deleted may take what is in it along.
    pub empty_buckets: bool,
    /// Whether a cluster may be ended although it is protected from that.
    pub unprotect_clusters: bool,
    strangers: Arc<Strangers>,
    journal: Arc<Journal>,
}

impl Cloud {
    /// The stack's view through `connection`.
    pub fn new(connection: &Connection, names: Names, journal: Journal) -> Self {
        Self {
            clients: connection.clients.clone(),
            names: Arc::new(names),
            pace: connection.pace,
            reads: Arc::default(),
            hosts: Hosts::default(),
            empty_buckets: false,
            unprotect_clusters: false,
            strangers: Arc::default(),
            journal: Arc::new(journal),
        }
    }

    /// The same view, with leave or not to delete what is in a bucket that is deleted.
    #[must_use]
    pub fn with_empty_buckets(self, empty_buckets: bool) -> Self {
        Self { empty_buckets, ..self }
    }

    /// The same view, with leave or not to end a cluster that is protected from that.
    #[must_use]
    pub fn with_unprotected_clusters(self, unprotect_clusters: bool) -> Self {
        Self { unprotect_clusters, ..self }
    }

    /// The same view, with the stack's hosts.
    #[must_use]
    pub fn with_hosts(self, hosts: Hosts) -> Self {
        Self { hosts, ..self }
    }

    /// The tags that the object at `address` carries: the spec's, and the two that say whose it is.
    pub fn tags(&self, address: &Address) -> Tags {
        self.names.tags(address)
    }
}

/// What is on a host has the host in its name; the host's reads are always current and need no journal.
fn is_on_host(address: &Address) -> bool {
    crate::hosts::KINDS.contains(&address.kind)
}

impl World for Cloud {
    fn unread(&self) -> Self {
        Self { reads: Arc::default(), hosts: self.hosts.unread(), ..self.clone() }
    }

    fn begin_create(&self, address: &Address) -> engine::Result<Attempt> {
        if is_on_host(address) {
            return Ok(Attempt::default());
        }
        self.journal.begin(&address.to_string(), self.pace.consistency)
    }

    fn end_create(&self, address: &Address, id: &str) -> engine::Result<()> {
        if is_on_host(address) {
            return Ok(());
        }
        self.journal.created(&address.to_string(), id)
    }

    fn end_delete(&self, address: &Address) -> engine::Result<()> {
        if is_on_host(address) {
            return Ok(());
        }
        self.journal.deleted(&address.to_string())
    }

    fn due(&self, addresses: &[&Address]) {
        self.hosts.expect(addresses);
    }

    fn over(&self, address: &Address) {
        self.hosts.expect_no_more(address);
    }

    fn unsettled(&self, seen: &dyn Fn(&str) -> bool) -> Option<Duration> {
        self.journal.unsettled(self.pace.consistency, seen)
    }
}
