//! `infra tunnel`, and what its verbs share.

mod config;
mod down;
mod keep;
mod status;
mod up;

use std::path::Path;

use clap::{Args, Subcommand};

use super::{Globals, load};
use crate::{
    error::Result,
    spec::{Route, Spec},
    tunnel::{Folder, Network, Told},
    workspace::Workspace,
};
pub(super) use up::ensure_up;

/// The cluster's web pages on this machine: a SOCKS5 proxy on loopback, through the bastion to the cluster's master.
///
/// Names are resolved at its far end, and nothing is opened on the cluster or in its security groups: what goes through
/// it goes by SSH, with keys of hosts that were pinned before.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra tunnel up
  infra tunnel status
  infra open spark
  infra tunnel config foxyproxy > foxyproxy.json
  infra tunnel down")]
pub struct Tunnel {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Opens it, and leaves it open in the background.
    Up(up::Up),
    /// Ends it, and all that belongs to it.
    Down(down::Down),
    /// Says whether it is open, and which pages answer.
    Status(status::Status),
    /// Prints settings for browsers: a PAC file, or what the extension `FoxyProxy` imports.
    Config(config::Config),
    /// Keeps it open: what `up` starts.
    #[command(hide = true)]
    Keep(keep::Keep),
}

impl Tunnel {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { verb } = self;
        match verb {
            Verb::Up(verb) => Box::pin(verb.run(globals)).await,
            Verb::Down(verb) => verb.run(globals).await,
            Verb::Status(verb) => verb.run(globals).await,
            Verb::Config(verb) => verb.run(globals).await,
            Verb::Keep(verb) => Box::pin(verb.run(globals)).await,
        }
    }
}

/// The stack that a tunnel is for, as far as its spec says: nobody is asked.
pub(super) struct Subject {
    /// The spec.
    pub spec: Spec,
    /// The tunnel's folder.
    pub folder: Folder,
    /// The flags to repeat in a command that the user is advised to run next.
    pub flags: String,
}

impl Subject {
    pub(super) fn of(globals: &Globals) -> Result<Self> {
        let (file, spec) = load::as_deployed(globals)?;
        let folder = folder(globals, &file, &spec)?;
        let flags = load::flags(globals, &file);
        Ok(Self { spec, folder, flags })
    }
}

/// The tunnel's folder: one for each stack, on AWS and on the local cloud. Whose account it is, the tunnel itself knows:
/// ending it must be possible without credentials.
fn folder(globals: &Globals, file: &Path, spec: &Spec) -> Result<Folder> {
    let realm = if globals.local { "local".to_owned() } else { format!("aws-{}", *spec.region) };
    Ok(Folder::new(Workspace::of(file).tunnel(&realm, &spec.stack)?))
}

/// What is the cluster's, by the spec.
pub(super) fn network(spec: &Spec) -> Network {
    let subnet = spec.cluster.as_ref().map(|cluster| cluster.subnet.value.as_str());
    let network = spec.network.as_ref();
    let subnet = network.zip(subnet).and_then(|(network, subnet)| network.subnets.get(subnet));
    Network {
        stack: spec.stack.value.clone(),
        range: network.map(|network| network.cidr.value),
        region: spec.region.value.clone(),
        public: subnet.is_some_and(|subnet| *subnet.route == Route::Internet),
    }
}

/// Where it leads, in words: `ip-10-0-1-23.us-west-2.compute.internal, through bastion`.
fn far_end(told: &Told) -> String {
    let master = &told.master;
    match &master.via {
        Some(via) => format!("{}, the master of {}, through {via}", master.host, master.cluster),
        None => format!("{}, the master of {}", master.host, master.cluster),
    }
}
