//! What stands on hosts: people, sshd, packages, files, environments, services.
//!
//! Each kind reads what the host told in one probe (`Hosts::facts`) and gives its part of one script
//! (`Hosts::change`); the scripts converge: run on a host where the object is there already, they make it as desired.
//! What infra made is noted on the host itself before it is made (`own KIND NAME NOTE`), and nothing else is touched.

mod docker;
mod file;
mod group;
mod locate;
mod package;
mod service;
mod sshd;
mod sudoers;
mod user;
mod venv;

use std::sync::Arc;

use engine::{Address, Inventory, Kind, Ref, Result, StepContext};

use super::Instance;
use crate::{
    cloud::Cloud,
    hosts::{Change, Facts},
};
pub use docker::{Docker, DockerObserved};
pub use file::{HostFile, HostFileObserved, IdOf};
pub use group::{HostGroup, HostGroupObserved};
pub use locate::{locate, locate_master};
pub use package::{Package, PackageObserved};
pub use service::{Service, ServiceObserved};
pub use sshd::{SshServer, SshServerObserved, WANTED};
pub use sudoers::{Sudoers, SudoersObserved};
pub use user::{HostUser, HostUserObserved, PasswordWish};
pub use venv::{PythonVenv, PythonVenvObserved};

/// The kinds that stand on hosts.
pub fn kinds() -> Vec<Kind<Cloud>> {
    vec![
        Kind::of::<Package>(),
        Kind::of::<HostGroup>(),
        Kind::of::<Docker>(),
        Kind::of::<HostUser>(),
        Kind::of::<Sudoers>(),
        Kind::of::<HostFile>(),
        Kind::of::<PythonVenv>(),
        Kind::of::<Service>(),
        Kind::of::<SshServer>(),
    ]
}

/// The part of a plan that shows them.
const LAYER: &str = "on the hosts";

/// What all of them come after: the host, and its way out. They have no order among each other but their turns in
/// the host's script: all that is due goes at once.
const AFTER: &[&str] = &["instance", "route_table", "nat_gateway"];

/// The turns of the kinds in a host's script. Leaving comes first, and what could lock us out last.
mod rank {
    pub(super) const REMOVE: i16 = 0;
    pub(super) const PACKAGE: i16 = 10;
    pub(super) const GROUP: i16 = 20;
    pub(super) const DOCKER: i16 = 30;
    pub(super) const USER: i16 = 40;
    pub(super) const FILE: i16 = 50;
    pub(super) const VENV: i16 = 60;
    pub(super) const SERVICE: i16 = 70;
    pub(super) const SUDOERS: i16 = 80;
    pub(super) const SSHD: i16 = 90;
}

/// The host that a resource is on.
#[derive(Clone, Debug)]
pub struct OnHost {
    /// Its name in the spec.
    pub host: String,
    /// The instance, where the stack makes one.
    pub instance: Option<Ref<Instance>>,
    /// What must stand before the host can be reached and reach the world: the bastion, routes.
    pub after: Vec<Address>,
}

impl OnHost {
    fn refs(&self) -> Vec<&Address> {
        self.instance.iter().map(Ref::address).chain(&self.after).collect()
    }

    fn within(&self) -> Option<&Address> {
        self.instance.as_ref().map(Ref::address)
    }
}

/// A name on a host: `bastion/alice`.
fn split(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or((name, ""))
}

/// Every host that can be asked, with what it told.
async fn each(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, Arc<Facts>)>> {
    let hosts = locate::all(cloud, known).await?;
    let ask = hosts.iter().map(|host| async { Ok((host.clone(), cloud.hosts.facts(host).await?)) });
    futures::future::try_join_all(ask).await
}

/// Sends a step's part of its host's script.
async fn send(cx: &StepContext<'_, Cloud>, on: &OnHost, change: Change) -> Result<()> {
    locate::one(cx, on).await?;
    cx.world.hosts.change(&on.host, change).await
}

/// Sends a removal; its host is known, because the object was observed.
async fn remove(
    cx: &StepContext<'_, Cloud>,
    libraries: &'static [&'static str],
    script: String,
    guarded: bool,
) -> Result<()> {
    let address = cx.address().clone();
    let host = split(&address.name).0.to_owned();
    let rank = if guarded { rank::SSHD } else { rank::REMOVE };
    let change = Change { address, rank, needs: Vec::new(), libraries, script, guarded };
    cx.world.hosts.change(&host, change).await
}
