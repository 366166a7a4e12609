//! The docker engine of a host: the distribution's, with settings of ours.

use std::{collections::BTreeSet, fmt::Write};

use engine::{Address, Diff, Effect, Identity, Inventory, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::json;

use super::{
    LAYER, OnHost, each,
    file::{mark, sha256},
    rank, remove, send,
};
use crate::{
    cloud::Cloud,
    hosts::{Change, shell},
};

/// The engine's settings.
const SETTINGS: &str = "/etc/docker/daemon.json";
const UNIT: &str = "docker.service";
const PACKAGE: &str = "docker.io";

/// The docker engine.
#[derive(Clone, Debug, Serialize)]
pub struct Docker {
    /// The host.
    #[serde(skip)]
    pub on: OnHost,
    /// Its settings, as JSON; shown by their checksum.
    #[serde(skip)]
    pub settings: String,
    /// Logins of others than the spec's people that may use it; that is as good as root.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub members: BTreeSet<String>,
}

/// What a host tells of its docker engine.
#[derive(Clone, Debug, Serialize)]
pub struct DockerObserved {
    /// The host.
    pub host: String,
    /// The package's version; nothing where it is gone.
    pub version: Option<String>,
    /// `active`, `failed`, `inactive`, …
    pub state: String,
    /// Whether it is started when the host is.
    pub enabled: bool,
    /// The SHA-256 of its settings.
    pub settings: String,
    /// Who may use it.
    pub members: BTreeSet<String>,
}

impl Resource<Cloud> for Docker {
    const KIND: &'static str = "docker";
    const LAYER: &'static str = LAYER;
    const AFTER: &'static [&'static str] = super::AFTER;
    const OBSERVES_AFTER: &'static [&'static str] = &["instance", "elastic_ip"];
    const IDENTITY: Identity = Identity::Name;
    const GATHERED: bool = true;
    const TYPICAL_SECONDS: u32 = 30;
    type Observed = DockerObserved;

    fn refs(&self) -> Vec<&Address> {
        self.on.refs()
    }

    fn within(&self) -> Option<&Address> {
        self.on.within()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, DockerObserved)>> {
        let mut found = Vec::new();
        for (host, facts) in each(cloud, known).await? {
            if facts.note(Self::KIND, "engine").is_none() {
                continue;
            }
            let unit = facts.units.get(UNIT).cloned().unwrap_or_default();
            // The spec's people are in the group by their own accounts.
            let people: BTreeSet<&str> = facts.owned("host_user").map(|(login, _)| login).collect();
            let members = facts.groups.get("docker").map(|group| group.members.clone()).unwrap_or_default();
            let observed = DockerObserved {
                host: host.clone(),
                version: facts.packages.get(PACKAGE).cloned(),
                state: if unit.active.is_empty() { "missing".into() } else { unit.active },
                enabled: unit.enabled == "enabled",
                settings: facts.files.get(SETTINGS).map(|file| file.content.clone()).unwrap_or_default(),
                members: members.into_iter().filter(|member| !people.contains(member.as_str())).collect(),
            };
            found.push((host, observed));
        }
        Ok(found)
    }

    fn id(observed: &DockerObserved) -> String {
        format!("{UNIT}@{}", observed.host)
    }

    fn diff(&self, observed: &DockerObserved, _: &Inventory) -> Diff {
        let Self { on: _, settings, members } = self;
        let mut diff = Diff::default();
        if observed.version.is_none() {
            diff.push("package", json!("missing"), json!(PACKAGE), Effect::InPlace);
        }
        if observed.settings != sha256(settings) {
            let from = if observed.settings.is_empty() { "missing" } else { "others" };
            diff.push("settings", json!(from), json!(SETTINGS), Effect::Interrupts);
        }
        diff.field("state", observed.state.as_str(), "active").field("enabled", &observed.enabled, &true).set(
            "members",
            &observed.members,
            members,
        );
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<DockerObserved> {
        self.put(cx, &BTreeSet::new()).await
    }

    async fn update(&self, observed: &DockerObserved, _: &Diff, cx: &StepContext<'_, Cloud>) -> Result<DockerObserved> {
        self.put(cx, &observed.members).await
    }

    async fn delete(_: &DockerObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let script =
            format!("systemctl disable -q --now {UNIT} docker.socket || true\nrm -f {SETTINGS}\nforget docker engine");
        remove(cx, &[], script, false).await
    }
}

impl Docker {
    async fn put(&self, cx: &StepContext<'_, Cloud>, before: &BTreeSet<String>) -> Result<DockerObserved> {
        let Self { on, settings, members } = self;
        let mark = mark(settings);
        let mut script = format!("docker_put {SETTINGS} <<'{mark}'\n{settings}{mark}\n");
        for member in members {
            let _ = writeln!(script, "usermod -aG docker {}", shell::quote(member));
        }
        for member in before.difference(members) {
            let _ = writeln!(script, "gpasswd -qd {} docker", shell::quote(member));
        }
        let change = Change {
            address: cx.address().clone(),
            rank: rank::DOCKER,
            needs: Vec::new(),
            libraries: &[super::package::LIBRARY, LIBRARY],
            script,
            guarded: false,
        };
        send(cx, on, change).await?;
        Ok(DockerObserved {
            host: on.host.clone(),
            version: Some("installed".into()),
            state: "active".into(),
            enabled: true,
            settings: sha256(settings),
            members: members.clone(),
        })
    }
}

const LIBRARY: &str = r#"
# docker_put SETTINGS: the settings come first, so that the engine never runs with others.
docker_put() {
    own docker engine "$1"
    mkdir -p "${1%/*}"
    before=$(sha256sum <"$1" 2>/dev/null || true)
    put_file "$1" 644 root:root
    package_install docker.io
    systemctl enable -q docker.service
    systemctl reset-failed docker.service 2>/dev/null || true
    if [ "$before" = "$(sha256sum <"$1")" ]; then systemctl start docker.service; else systemctl restart docker.service; fi ||
        fail "docker does not start: $(journalctl -q --no-pager -o cat -n 12 -u docker.service)"
}
"#;
