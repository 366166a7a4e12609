//! Packages of the distribution that a host needs.

use std::collections::BTreeSet;

use engine::{Address, Diff, Identity, Inventory, Resource, Result, StepContext};
use serde::Serialize;

use super::{LAYER, OnHost, each, rank, remove, send, split};
use crate::{
    cloud::Cloud,
    hosts::{Change, shell},
};

/// Packages, installed together. They are never removed: what else came to rely on them, nobody knows.
#[derive(Clone, Debug, Serialize)]
pub struct Package {
    /// The host.
    #[serde(skip)]
    pub on: OnHost,
    /// Their names in the distribution.
    pub names: BTreeSet<String>,
}

/// What a host tells of the packages.
#[derive(Clone, Debug, Serialize)]
pub struct PackageObserved {
    /// The host.
    pub host: String,
    /// The name of the set.
    pub name: String,
    /// Those that are installed.
    pub names: BTreeSet<String>,
}

impl Resource<Cloud> for Package {
    const KIND: &'static str = "package";
    const LAYER: &'static str = LAYER;
    const AFTER: &'static [&'static str] = super::AFTER;
    const OBSERVES_AFTER: &'static [&'static str] = &["instance", "elastic_ip"];
    const IDENTITY: Identity = Identity::Name;
    const GATHERED: bool = true;
    const TYPICAL_SECONDS: u32 = 30;
    type Observed = PackageObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { on, names: _ } = self;
        on.refs()
    }

    fn within(&self) -> Option<&Address> {
        self.on.within()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, PackageObserved)>> {
        let mut found = Vec::new();
        for (host, facts) in each(cloud, known).await? {
            for (name, note) in facts.owned(Self::KIND) {
                let installed = note.split(' ').filter(|package| facts.packages.contains_key(*package));
                let names = installed.map(str::to_owned).collect();
                let observed = PackageObserved { host: host.clone(), name: name.to_owned(), names };
                found.push((format!("{host}/{name}"), observed));
            }
        }
        Ok(found)
    }

    fn id(observed: &PackageObserved) -> String {
        format!("{}@{}", observed.name, observed.host)
    }

    fn diff(&self, observed: &PackageObserved, _: &Inventory) -> Diff {
        let Self { on: _, names } = self;
        let mut diff = Diff::default();
        diff.set("names", &observed.names, names);
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<PackageObserved> {
        let address = cx.address().clone();
        let (host, name) = split(&address.name);
        let observed = PackageObserved { host: host.to_owned(), name: name.to_owned(), names: self.names.clone() };
        let names = self.names.iter().map(String::as_str);
        let script = format!("package_put {} {}", shell::quote(name), shell::words(names));
        let change =
            Change { address, rank: rank::PACKAGE, needs: Vec::new(), libraries: &[LIBRARY], script, guarded: false };
        send(cx, &self.on, change).await?;
        Ok(observed)
    }

    async fn update(&self, _: &PackageObserved, _: &Diff, cx: &StepContext<'_, Cloud>) -> Result<PackageObserved> {
        self.create(cx).await
    }

    async fn delete(observed: &PackageObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        remove(cx, &[LIBRARY], format!("forget package {}", shell::quote(&observed.name)), false).await
    }
}

/// Also used by other kinds that install something.
pub(super) const LIBRARY: &str = r#"
# A host that has just started may be installing its updates: its lock is waited for.
package_install() {
    if command -v apt-get >/dev/null; then
        if dpkg-query -W -f '${db:Status-Status}\n' "$@" 2>/dev/null | grep -cx installed | grep -qx $#; then return 0; fi
        if command -v cloud-init >/dev/null; then cloud-init status --wait >/dev/null 2>&1 || true; fi
        apt-get -qq -o DPkg::Lock::Timeout=120 update
        apt-get -qq -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold --no-install-recommends install "$@"
    elif command -v dnf >/dev/null; then
        dnf -q -y install "$@"
    else
        fail "this host has neither apt-get nor dnf"
    fi
}
package_put() {
    name=$1
    shift
    own package "$name" "$*"
    package_install "$@"
}
"#;
