//! A file on a host: root's, whole or not at all.

use std::collections::BTreeMap;

use anyhow::Context;
use engine::{Address, Diff, Effect, Identity, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{LAYER, OnHost, each, rank, remove, send, split};
use crate::{
    cloud::Cloud,
    hosts::{Change, shell},
    resources::{SecurityGroup, Subnet},
};

/// Something whose id stands in a file.
#[derive(Clone, Debug)]
pub enum IdOf {
    /// A subnet.
    Subnet(Ref<Subnet>),
    /// A security group.
    SecurityGroup(Ref<SecurityGroup>),
}

impl IdOf {
    fn address(&self) -> &Address {
        match self {
            Self::Subnet(link) => link.address(),
            Self::SecurityGroup(link) => link.address(),
        }
    }

    fn id(&self, known: &Inventory) -> Option<String> {
        match self {
            Self::Subnet(link) => known.get(link).map(|subnet| subnet.id.clone()),
            Self::SecurityGroup(link) => known.get(link).map(|group| group.id.clone()),
        }
    }
}

/// A file.
#[derive(Clone, Debug, Serialize)]
pub struct HostFile {
    /// The host.
    #[serde(skip)]
    pub on: OnHost,
    /// Where it is.
    pub path: String,
    /// What is in it; shown by its checksum.
    #[serde(skip)]
    pub content: String,
    /// What stands in the content for ids, which are known once what has them is there.
    #[serde(skip)]
    pub ids: BTreeMap<String, IdOf>,
    /// Whether it is a secret, of which not even a checksum is shown.
    #[serde(skip)]
    pub secret: bool,
    /// Its permissions: `644`.
    pub mode: String,
    /// Whose it is: `root:root`.
    pub owner: String,
    /// Packages and accounts that must be there first.
    #[serde(skip)]
    pub needs: Vec<Address>,
}

/// What a host tells of a file.
#[derive(Clone, Debug, Serialize)]
pub struct HostFileObserved {
    /// The host.
    pub host: String,
    /// Its name among our files.
    pub name: String,
    /// Where it is.
    pub path: String,
    /// The SHA-256 of what is in it; nothing where it is gone. Not shown: it may be a secret's.
    #[serde(skip)]
    pub sha256: String,
    /// Its permissions.
    pub mode: String,
    /// Whose it is.
    pub owner: String,
}

/// The SHA-256 of a text, in hexadecimal.
pub(crate) fn sha256(text: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

impl Resource<Cloud> for HostFile {
    const KIND: &'static str = "file";
    const LAYER: &'static str = LAYER;
    const AFTER: &'static [&'static str] = super::AFTER;
    const OBSERVES_AFTER: &'static [&'static str] = &["instance", "elastic_ip"];
    const IDENTITY: Identity = Identity::Name;
    const GATHERED: bool = true;
    type Observed = HostFileObserved;

    fn refs(&self) -> Vec<&Address> {
        self.on.refs().into_iter().chain(self.ids.values().map(IdOf::address)).collect()
    }

    fn within(&self) -> Option<&Address> {
        self.on.within()
    }

    fn needs(&self) -> Vec<&Address> {
        self.needs.iter().collect()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, HostFileObserved)>> {
        let mut found = Vec::new();
        for (host, facts) in each(cloud, known).await? {
            for (name, path) in facts.owned(Self::KIND) {
                let file = facts.files.get(path).cloned().unwrap_or_default();
                let observed = HostFileObserved {
                    host: host.clone(),
                    name: name.to_owned(),
                    path: path.to_owned(),
                    sha256: file.content,
                    mode: file.mode,
                    owner: file.owner,
                };
                found.push((format!("{host}/{name}"), observed));
            }
        }
        Ok(found)
    }

    fn id(observed: &HostFileObserved) -> String {
        format!("{}:{}", observed.host, observed.path)
    }

    fn diff(&self, observed: &HostFileObserved, known: &Inventory) -> Diff {
        let Self { on: _, path, content: _, ids: _, secret, mode, owner, needs: _ } = self;
        let mut diff = Diff::default();
        if observed.sha256.is_empty() {
            diff.push("file", json!("missing"), json!(path), Effect::InPlace);
            return diff;
        }
        let short = |sum: &str| format!("sha256 {}…", sum.get(..12).unwrap_or(sum));
        let content = self.filled(known);
        // Without an id that it holds, all that is known is that it is another.
        let wanted = content.map_or_else(|| "unknown yet".to_owned(), |content| sha256(&content));
        if observed.sha256 != wanted && *secret {
            diff.push("content", json!("another secret"), json!("the present one"), Effect::InPlace);
        } else if observed.sha256 != wanted {
            diff.push("content", json!(short(&observed.sha256)), json!(short(&wanted)), Effect::InPlace);
        }
        diff.fixed("path", &observed.path, path).field("mode", &observed.mode, mode).field(
            "owner",
            &observed.owner,
            owner,
        );
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<HostFileObserved> {
        let Self { on, path, content: _, ids: _, secret: _, mode, owner, needs } = self;
        let known = cx.known();
        let content = self.filled(&known);
        let content = content.with_context(|| format!("{path} holds the id of something that is not there"))?;
        let address = cx.address().clone();
        let name = split(&address.name).1.to_owned();
        // A text without a line's end at its end could not be told from one with.
        let end = if content.ends_with('\n') || content.is_empty() { "" } else { "\n" };
        let mark = mark(&content);
        let script = format!(
            "file_put {} {} {mode} {owner} <<'{mark}'\n{content}{end}{mark}",
            shell::quote(&name),
            shell::quote(path)
        );
        let change =
            Change { address, rank: rank::FILE, needs: needs.clone(), libraries: &[LIBRARY], script, guarded: false };
        send(cx, on, change).await?;
        Ok(HostFileObserved {
            host: on.host.clone(),
            name,
            path: path.clone(),
            sha256: sha256(&content),
            mode: mode.clone(),
            owner: owner.clone(),
        })
    }

    async fn update(&self, _: &HostFileObserved, _: &Diff, cx: &StepContext<'_, Cloud>) -> Result<HostFileObserved> {
        self.create(cx).await
    }

    async fn delete(observed: &HostFileObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let script = format!("file_remove {} {}", shell::quote(&observed.name), shell::quote(&observed.path));
        remove(cx, &[LIBRARY], script, false).await
    }
}

impl HostFile {
    /// The content with all ids in it.
    fn filled(&self, known: &Inventory) -> Option<String> {
        let mut content = self.content.clone();
        for (stands, of) in &self.ids {
            content = content.replace(stands, &of.id(known)?);
        }
        Some(content)
    }
}

/// A line that does not occur in a text, to end it in a script.
pub(super) fn mark(content: &str) -> String {
    let mut mark = "END".to_owned();
    while content.lines().any(|line| line == mark) {
        mark.push('_');
    }
    mark
}

const LIBRARY: &str = r#"
# file_put NAME PATH MODE OWNER; accounts and folders that systemd is told of here are made at once.
file_put() {
    if [ -e "$2" ] && ! owns file "$1"; then
        # The distribution's own, replaced: kept beside it for whoever misses it.
        cp -p "$2" "$2.before-infra"
    fi
    own file "$1" "$2"
    mkdir -p "${2%/*}"
    put_file "$2" "$3" "$4"
    case $2 in
        /etc/sysusers.d/*) systemd-sysusers "$2" ;;
        /etc/tmpfiles.d/*) systemd-tmpfiles --create "$2" ;;
    esac
}
file_remove() {
    rm -f "$2"
    if [ -e "$2.before-infra" ]; then mv -f "$2.before-infra" "$2"; fi
    forget file "$1"
}
"#;
