//! Keys and hosts: machines that the stack makes, and servers that it only configures.

use std::{net::Ipv4Addr, time::Duration};

use ipnet::IpNet;

use super::{super::users::Person, FilePath, Spanned, Table, Text};

/// An SSH key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key pair's name in EC2, at most 255 characters; `STACK-KEY` unless `name` says otherwise.
    pub name: Spanned<Text>,
    /// Where the public half comes from.
    pub source: Spanned<KeySource>,
}

/// Where a key's public half comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file in OpenSSH's format, read when the stack is built (not on loading).
    File(FilePath),
    /// The key itself, as one line: `ssh-ed25519 AAAA… comment`.
    Inline(String),
    /// Made by `infra` as ed25519, the private half in a 0600 file.
    Generate,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Made by the stack, or somewhere already.
    pub place: Place,
    /// Login of the administrator: the image's (`ubuntu`) unless said.
    pub login: Spanned<String>,
    /// The host that SSH jumps through: a name in [`super::Spec::hosts`]; no cycles.
    pub via: Option<Spanned<String>>,
    /// Name in [`super::Spec::keys`]: as said, or the only key. `Some` for every instance.
    pub key: Option<Spanned<String>>,
    /// People with logins on it.
    pub users: Option<Spanned<HostUsers>>,
    /// What runs on it, by the service's name (`docker`, `luigi`, `airflow`).
    pub services: Table<Service>,
}

impl Host {
    /// The instance, where the stack makes one.
    pub fn instance(&self) -> Option<&Instance> {
        match &self.place {
            Place::Instance(instance) => Some(instance),
            Place::Server(_) => None,
        }
    }
}

/// Whose machine it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An EC2 instance of the stack.
    Instance(Box<Instance>),
    /// A server that exists already and needs no AWS.
    Server(Server),
}

/// A server that exists already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Host name or address.
    pub address: Spanned<Text>,
    /// Its SSH port; 22 by default.
    pub port: Spanned<u16>,
    /// The key that it must show: `ssh-ed25519 AAAA…`. Absent: one that `~/.ssh/known_hosts` has.
    pub host_key: Option<Spanned<String>>,
}

/// An EC2 instance. Always: encrypted disk, `IMDSv2` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Name in [`super::Network::subnets`].
    pub subnet: Spanned<String>,
    /// Instance type, e.g. `t2.micro`.
    pub instance_type: Spanned<String>,
    /// What it boots from.
    pub image: Spanned<Image>,
    /// Its root disk.
    pub disk: Spanned<Disk>,
    /// Ports opened to somebody, besides SSH.
    pub ports: Vec<Spanned<Port>>,
    /// Who may come in by SSH from outside. Empty: only the host in [`Host::via`].
    pub ssh_from: Vec<Spanned<IpNet>>,
    /// Set where `0.0.0.0/0` or `::/0` in `ssh_from` was explicitly allowed: show it in every plan.
    pub allow_world: Option<Spanned<bool>>,
    /// Name in [`super::Access::roles`], a role with a profile.
    pub role: Option<Spanned<String>>,
    /// Whether it keeps its public address when stopped.
    pub elastic_ip: Spanned<bool>,
    /// Whether termination protection is on and `destroy` keeps it.
    pub protect: Spanned<bool>,
    /// Fixed private address inside the subnet.
    pub private_address: Option<Spanned<Ipv4Addr>>,
}

impl Instance {
    /// The processor family that its type has; it chooses the image.
    pub fn architecture(&self) -> Architecture {
        Architecture::of(&self.instance_type)
    }
}

/// Processor family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Intel and AMD.
    X86,
    /// AWS's Graviton.
    Arm,
}

impl Architecture {
    /// By the type's name: Graviton families have a `g` after the generation (`m6g`, `c7gn`, `t4g`), or are `a1`.
    pub fn of(instance_type: &str) -> Self {
        let family = instance_type.split('.').next().unwrap_or_default();
        let after = family.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let options = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let graviton = options.starts_with('g') && !family.starts_with('g') || family.starts_with("g5g");
        if graviton || family == "a1" { Self::Arm } else { Self::X86 }
    }
}

/// What an instance boots from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// An image that `infra` knows by name, e.g. `ubuntu-22.04`: the newest at creation.
    Known(&'static KnownImage),
    /// Exactly this one, e.g. `ami-0abc…`.
    Id(String),
    /// The newest of this owner's whose name matches.
    Filter {
        /// Account number or alias (`amazon`).
        owner: String,
        /// Name with `*` and `?`.
        name: String,
    },
}

/// An image that `infra` knows by name.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownImage {
    /// As in the spec: `ubuntu-22.04`.
    pub name: &'static str,
    /// The publisher's account.
    pub owner: &'static str,
    /// Name filter for [`Architecture::X86`].
    pub x86: &'static str,
    /// Name filter for [`Architecture::Arm`].
    pub arm: &'static str,
    /// The administrator's login.
    pub login: &'static str,
}

impl KnownImage {
    /// The name filter for an architecture.
    pub fn filter(&self, architecture: Architecture) -> &'static str {
        match architecture {
            Architecture::X86 => self.x86,
            Architecture::Arm => self.arm,
        }
    }
}

/// An encrypted gp3 disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Size in GiB, 1 to 16,384.
    pub gib: u32,
    /// I/O operations a second, 3,000 (gp3's own) to 16,000.
    pub iops: u32,
    /// Throughput in MiB/s, 125 (gp3's own) to 1,000.
    pub throughput: u32,
}

/// A port opened to somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// First port.
    pub first: u16,
    /// Last port; the same for a single one.
    pub last: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// From whom; never empty.
    pub from: Vec<Spanned<PortSource>>,
    /// Set where the whole world was explicitly allowed: show it in every plan.
    pub allow_world: Option<Spanned<bool>>,
}

/// Transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Who may reach a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortSource {
    /// Addresses.
    Range(IpNet),
    /// A host of the stack, by name.
    Host(String),
    /// A subnet of the stack, by name.
    Subnet(String),
    /// The stack's whole VPC (`from: network`).
    Network,
    /// The cluster's nodes (`from: cluster`).
    Cluster,
}

/// People with logins on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostUsers {
    /// The file that lists them (`users.txt`).
    pub file: Spanned<FilePath>,
    /// Folder of their public keys, `LOGIN.pub` each; `keys` beside the file by default.
    pub keys: FilePath,
    /// Whether they may become root unless their line says otherwise; true unless said.
    pub sudo: Spanned<bool>,
    /// A file that holds one password for all whose line names none: a sha512-crypt hash or, where only its owner can
    /// read it, the password itself. Absent: no passwords.
    pub password: Option<Spanned<FilePath>>,
    /// Whether the password is only the first one: it must be changed at the first login, and what they chose then is
    /// left alone. False unless said.
    pub change_password: Spanned<bool>,
    /// What happens to those who left the file.
    pub departed: Spanned<Departed>,
    /// Who they are, in the order of the file, read with the spec; empty for a spec read by [`super::super::load_str`].
    pub people: Vec<Person>,
}

/// What happens to a user who left the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departed {
    /// Locked, keys removed, files kept.
    Lock,
    /// Removed with everything.
    Delete,
}

/// What runs on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// The docker engine.
    Docker(Docker),
    /// luigi's scheduler.
    Luigi(Luigi),
    /// Airflow.
    Airflow(Airflow),
}

/// The docker engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Docker {
    /// Logins that may use it without sudo (that is as good as root).
    pub users: Vec<Spanned<String>>,
}

/// luigi's scheduler as a service, on the private address only: it has no authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Luigi {
    /// Port of its page; 8082 by default.
    pub port: Spanned<u16>,
    /// Pinned version; `None` for the newest that `infra` has tested.
    pub version: Option<Spanned<String>>,
    /// How long finished tasks stay in its history; 14 days by default.
    pub history: Spanned<Duration>,
}

/// Airflow in a Python environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Airflow {
    /// Port of its page; 8080 by default.
    pub port: Spanned<u16>,
    /// Version; 2.8.0 by default.
    pub version: Spanned<String>,
    /// Python's version; 3.10 by default.
    pub python: Spanned<String>,
    /// One process (`airflow standalone`, the seed's way) instead of scheduler and webserver apart.
    pub standalone: Spanned<bool>,
    /// Login of its administrator; `admin` by default.
    pub admin: Spanned<String>,
}
