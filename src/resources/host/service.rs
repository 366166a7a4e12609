//! A unit of systemd on a host: its file, whether it runs, and what it was started with.

use engine::{Address, Diff, Effect, Identity, Inventory, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::json;

use super::{
    LAYER, OnHost, each,
    file::{mark, sha256},
    rank, remove, send, split,
};
use crate::{
    cloud::Cloud,
    hosts::{Change, shell},
};

/// A unit.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// The host.
    #[serde(skip)]
    pub on: OnHost,
    /// The text of its file; shown by its checksum.
    #[serde(skip)]
    pub content: String,
    /// Whether it runs, and is started when the host is; else another unit starts it.
    pub running: bool,
    /// What it is started with: when this changes it is restarted.
    #[serde(skip)]
    pub inputs: String,
    /// Its turn among the units of its host.
    #[serde(skip)]
    pub turn: i16,
    /// What must be there first.
    #[serde(skip)]
    pub needs: Vec<Address>,
}

/// What a host tells of a unit.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceObserved {
    /// The host.
    pub host: String,
    /// Its name: `luigid.service`.
    pub unit: String,
    /// The SHA-256 of its file; nothing where it is gone.
    pub sha256: String,
    /// `active`, `failed`, `inactive`, …; `template` for one that others are made of.
    pub state: String,
    /// Whether it is started when the host is.
    pub enabled: bool,
    /// What it was last started with.
    #[serde(skip)]
    inputs: String,
}

impl Service {
    /// What it is started with, its own text included.
    fn digest(&self) -> String {
        sha256(&format!("{}\0{}", self.content, self.inputs))
    }
}

fn path(unit: &str) -> String {
    format!("/etc/systemd/system/{unit}")
}

impl Resource<Cloud> for Service {
    const KIND: &'static str = "service";
    const LAYER: &'static str = LAYER;
    const AFTER: &'static [&'static str] = super::AFTER;
    const OBSERVES_AFTER: &'static [&'static str] = &["instance", "elastic_ip"];
    const IDENTITY: Identity = Identity::Name;
    const GATHERED: bool = true;
    const TYPICAL_SECONDS: u32 = 5;
    type Observed = ServiceObserved;

    fn refs(&self) -> Vec<&Address> {
        self.on.refs()
    }

    fn within(&self) -> Option<&Address> {
        self.on.within()
    }

    fn needs(&self) -> Vec<&Address> {
        self.needs.iter().collect()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, ServiceObserved)>> {
        let mut found = Vec::new();
        for (host, facts) in each(cloud, known).await? {
            for (unit, note) in facts.owned(Self::KIND) {
                let (path, inputs) = note.split_once(' ').unwrap_or((note, ""));
                let told = facts.units.get(unit).cloned().unwrap_or_default();
                let state = match told.active {
                    _ if unit.contains("@.") => "template".to_owned(),
                    state if state.is_empty() => "missing".to_owned(),
                    state => state,
                };
                let observed = ServiceObserved {
                    host: host.clone(),
                    unit: unit.to_owned(),
                    sha256: facts.files.get(path).map(|file| file.content.clone()).unwrap_or_default(),
                    state,
                    enabled: told.enabled == "enabled",
                    inputs: inputs.to_owned(),
                };
                found.push((format!("{host}/{unit}"), observed));
            }
        }
        Ok(found)
    }

    fn id(observed: &ServiceObserved) -> String {
        format!("{}@{}", observed.unit, observed.host)
    }

    fn diff(&self, observed: &ServiceObserved, _: &Inventory) -> Diff {
        let Self { on: _, content, running, inputs: _, turn: _, needs: _ } = self;
        let mut diff = Diff::default();
        if observed.sha256 != sha256(content) {
            let from = if observed.sha256.is_empty() { "missing" } else { "another" };
            diff.push("unit", json!(from), json!(path(&observed.unit)), Effect::InPlace);
        }
        if observed.inputs != self.digest() {
            diff.push("started with", json!("older files"), json!("the present ones"), Effect::Interrupts);
        }
        if *running {
            diff.field("state", observed.state.as_str(), "active").field("enabled", &observed.enabled, &true);
        }
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<ServiceObserved> {
        let address = cx.address().clone();
        let (host, unit) = split(&address.name);
        let (path, digest, mark) = (path(unit), self.digest(), mark(&self.content));
        let observed = ServiceObserved {
            host: host.to_owned(),
            unit: unit.to_owned(),
            sha256: sha256(&self.content),
            state: if self.running { "active" } else { "inactive" }.to_owned(),
            enabled: self.running,
            inputs: digest.clone(),
        };
        let how = if self.running { "running" } else { "idle" };
        let script =
            format!("service_put {} {path} {digest} {how} <<'{mark}'\n{}{mark}", shell::quote(unit), self.content);
        let change = Change {
            address: address.clone(),
            rank: rank::SERVICE + self.turn,
            needs: self.needs.clone(),
            libraries: &[LIBRARY],
            script,
            guarded: false,
        };
        send(cx, &self.on, change).await?;
        Ok(observed)
    }

    async fn update(&self, _: &ServiceObserved, _: &Diff, cx: &StepContext<'_, Cloud>) -> Result<ServiceObserved> {
        self.create(cx).await
    }

    async fn delete(observed: &ServiceObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let script = format!("service_remove {} {}", shell::quote(&observed.unit), path(&observed.unit));
        remove(cx, &[LIBRARY], script, false).await
    }
}

const LIBRARY: &str = r#"
# service_put UNIT PATH INPUTS running|idle
service_put() {
    before=$(cat "$owned/$stack/service/$1" 2>/dev/null || true)
    # What it is started with is noted once it was: a crash in between must not look like success.
    own service "$1" "$2 ${before#* }"
    put_file "$2" 644 root:root
    systemctl daemon-reload
    if [ "$4" = running ]; then
        systemctl enable -q "$1"
        systemctl reset-failed "$1" 2>/dev/null || true
        if [ "$before" = "$2 $3" ]; then systemctl start "$1"; else systemctl restart "$1"; fi ||
            fail "$1 does not start: $(journalctl -q --no-pager -o cat -n 12 -u "$1")"
        # One that dies of its settings does so at once.
        sleep 1
        systemctl is-active -q "$1" || fail "$1 ended at once: $(journalctl -q --no-pager -o cat -n 12 -u "$1")"
    fi
    own service "$1" "$2 $3"
}
service_remove() {
    # Of a template, those that were made of it.
    case $1 in
    *@.*) systemctl stop "${1%%@*}@*" 2>/dev/null || true ;;
    *) systemctl disable -q --now "$1" 2>/dev/null || true ;;
    esac
    rm -f "$2"
    systemctl daemon-reload
    case $1 in
    *@.*) systemctl reset-failed "${1%%@*}@*" 2>/dev/null || true ;;
    *) systemctl reset-failed "$1" 2>/dev/null || true ;;
    esac
    forget service "$1"
}
"#;
