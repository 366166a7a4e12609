//! Where the stack's hosts are and who may log in there as their administrator.

use std::path::PathBuf;

/// A host of the stack, as its spec says.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its name in the spec, and in the generated ssh configuration.
    pub name: String,
    /// The administrator's login.
    pub login: String,
    /// The host that connections jump through.
    pub via: Option<String>,
    /// The file of the administrator's key: its private half, or its public one where an agent has the other.
    /// `None`: ssh's own choice.
    pub key: Option<PathBuf>,
    /// Whether accounts of people who left are deleted with their files, not only locked.
    pub deletes_departed: bool,
    /// Where it is.
    pub at: At,
}

/// Where a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// An instance of the stack, of the same name.
    Instance,
    /// The master of the stack's cluster: an instance that EMR made, and that comes and goes with the cluster.
    Master,
    /// A server that exists already.
    Server {
        /// Host name or address.
        address: String,
        /// Its SSH port.
        port: u16,
        /// Its host key, where the spec pins it: `ssh-ed25519 AAAA…`.
        host_key: Option<String>,
    },
}

impl At {
    /// Whether it is a machine in the stack's network, which EC2 knows.
    pub fn is_instance(&self) -> bool {
        matches!(self, Self::Instance | Self::Master)
    }
}

/// Where connections to a host go, found out from the cloud or the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address.
    pub address: String,
    /// The SSH port.
    pub port: u16,
    /// What its keys are pinned under: an instance's id, so that an address that moves on takes no trust with it.
    pub alias: String,
}

/// The way into the local cloud's network, which nothing but this relay joins to the machine's own.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The program that relays: this one.
    pub program: PathBuf,
    /// The socket at which the network is entered.
    pub socket: PathBuf,
}
