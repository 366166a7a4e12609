//! A group that people on a host are in.

use engine::{Address, Diff, Identity, Inventory, Resource, Result, StepContext};
use serde::Serialize;

use super::{LAYER, OnHost, each, rank, remove, send, split};
use crate::{
    cloud::Cloud,
    hosts::{Change, shell},
};

/// A group. One that the host had before is used as it is, and left when it is no longer asked for.
#[derive(Clone, Debug, Serialize)]
pub struct HostGroup {
    /// The host.
    #[serde(skip)]
    pub on: OnHost,
}

/// What a host tells of a group.
#[derive(Clone, Debug, Serialize)]
pub struct HostGroupObserved {
    /// The host.
    pub host: String,
    /// The name.
    pub name: String,
    /// The group's number.
    pub gid: u32,
}

impl Resource<Cloud> for HostGroup {
    const KIND: &'static str = "host_group";
    const LAYER: &'static str = LAYER;
    const AFTER: &'static [&'static str] = super::AFTER;
    const OBSERVES_AFTER: &'static [&'static str] = &["instance", "elastic_ip"];
    const IDENTITY: Identity = Identity::Name;
    const GATHERED: bool = true;
    type Observed = HostGroupObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { on } = self;
        on.refs()
    }

    fn within(&self) -> Option<&Address> {
        self.on.within()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, HostGroupObserved)>> {
        let mut found = Vec::new();
        for (host, facts) in each(cloud, known).await? {
            for (name, _) in facts.owned(Self::KIND) {
                let Some(group) = facts.groups.get(name) else { continue };
                let observed = HostGroupObserved { host: host.clone(), name: name.to_owned(), gid: group.gid };
                found.push((format!("{host}/{name}"), observed));
            }
        }
        Ok(found)
    }

    fn id(observed: &HostGroupObserved) -> String {
        format!("{}@{}", observed.name, observed.host)
    }

    fn diff(&self, _: &HostGroupObserved, _: &Inventory) -> Diff {
        let Self { on: _ } = self;
        Diff::default()
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<HostGroupObserved> {
        let (host, name) = split(&cx.address().name);
        let script = format!("group_put {}", shell::quote(name));
        let address = cx.address().clone();
        let change =
            Change { address, rank: rank::GROUP, needs: Vec::new(), libraries: &[LIBRARY], script, guarded: false };
        send(cx, &self.on, change).await?;
        Ok(HostGroupObserved { host: host.to_owned(), name: name.to_owned(), gid: 0 })
    }

    async fn update(
        &self,
        observed: &HostGroupObserved,
        _: &Diff,
        _: &StepContext<'_, Cloud>,
    ) -> Result<HostGroupObserved> {
        Ok(observed.clone())
    }

    async fn delete(observed: &HostGroupObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        remove(cx, &[LIBRARY], format!("group_remove {}", shell::quote(&observed.name)), false).await
    }
}

const LIBRARY: &str = r#"
group_put() {
    if getent group "$1" >/dev/null; then
        if ! owns host_group "$1"; then own host_group "$1" found; fi
    else
        own host_group "$1" made
        groupadd "$1"
    fi
}
group_remove() {
    if [ "$(cat "$owned/$stack/host_group/$1" 2>/dev/null)" = made ] && getent group "$1" >/dev/null; then
        groupdel "$1"
    fi
    forget host_group "$1"
}
"#;
