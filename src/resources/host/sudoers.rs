//! Who may become root on a host: one file of ours in `/etc/sudoers.d`.

use std::collections::BTreeMap;

use engine::{Address, Diff, Effect, Identity, Inventory, Ref, Resource, Result, StepContext};
use serde::{Serialize, Serializer};
use serde_json::json;

use super::{HostUser, LAYER, OnHost, each, rank, remove, send};
use crate::{
    cloud::Cloud,
    hosts::{Change, shell},
};

/// A stack's file. Its name has no dot, or sudo would pass it over.
fn path(stack: &str) -> String {
    format!("/etc/sudoers.d/60-infra-{}", stack.replace('.', "-"))
}

/// Who may become root.
#[derive(Clone, Debug, Serialize)]
pub struct Sudoers {
    /// The host.
    #[serde(skip)]
    pub on: OnHost,
    /// Logins, each with whether sudo asks for the password.
    #[serde(rename = "allowed", serialize_with = "lines")]
    pub asks: BTreeMap<String, bool>,
    /// The accounts.
    #[serde(skip)]
    pub users: Vec<Ref<HostUser>>,
}

fn lines<S: Serializer>(asks: &BTreeMap<String, bool>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    let line = |(login, asks): (&String, &bool)| {
        format!("{login} ({})", if *asks { "asked for the password" } else { "no password" })
    };
    serializer.collect_seq(asks.iter().map(line))
}

/// What a host tells of our file.
#[derive(Clone, Debug, Serialize)]
pub struct SudoersObserved {
    /// The host.
    pub host: String,
    /// Where the file is.
    pub path: String,
    /// The file's lines, without comments; nothing where it is gone.
    pub lines: Vec<String>,
    /// Its permissions: `440`.
    pub mode: String,
    /// Whose it is.
    pub owner: String,
    /// Whether a change to the host was made and not confirmed.
    pub unconfirmed: bool,
}

impl Sudoers {
    fn lines(&self) -> Vec<String> {
        let line = |(login, asks): (&String, &bool)| {
            format!("{login} ALL=(ALL:ALL) {}ALL", if *asks { "" } else { "NOPASSWD: " })
        };
        self.asks.iter().map(line).collect()
    }
}

impl Resource<Cloud> for Sudoers {
    const KIND: &'static str = "sudoers";
    const LAYER: &'static str = LAYER;
    const AFTER: &'static [&'static str] = super::AFTER;
    const OBSERVES_AFTER: &'static [&'static str] = &["instance", "elastic_ip"];
    const IDENTITY: Identity = Identity::Name;
    const GATHERED: bool = true;
    type Observed = SudoersObserved;

    fn refs(&self) -> Vec<&Address> {
        self.on.refs()
    }

    fn within(&self) -> Option<&Address> {
        self.on.within()
    }

    fn needs(&self) -> Vec<&Address> {
        self.users.iter().map(Ref::address).collect()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, SudoersObserved)>> {
        let mut found = Vec::new();
        for (host, facts) in each(cloud, known).await? {
            let Some(path) = facts.note(Self::KIND, "infra") else { continue };
            let file = facts.sudoers.get(path).cloned().unwrap_or_default();
            let lines = file.content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let observed = SudoersObserved {
                host: host.clone(),
                path: path.to_owned(),
                lines: lines.map(str::to_owned).collect(),
                mode: file.mode,
                owner: file.owner,
                unconfirmed: facts.unconfirmed,
            };
            found.push((host, observed));
        }
        Ok(found)
    }

    fn id(observed: &SudoersObserved) -> String {
        format!("{}:{}", observed.host, observed.path)
    }

    fn diff(&self, observed: &SudoersObserved, _: &Inventory) -> Diff {
        let Self { on: _, asks: _, users: _ } = self;
        let mut diff = Diff::default();
        let lines = self.lines();
        if observed.lines != lines {
            let going: Vec<&String> = observed.lines.iter().filter(|line| !lines.contains(line)).collect();
            let coming: Vec<&String> = lines.iter().filter(|line| !observed.lines.contains(line)).collect();
            diff.push("allowed", json!(going), json!(coming), Effect::InPlace);
        }
        diff.field("mode", observed.mode.as_str(), "440").field("owner", observed.owner.as_str(), "root:root").field(
            "unconfirmed",
            &observed.unconfirmed,
            &false,
        );
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<SudoersObserved> {
        let address = cx.address().clone();
        let path = path(&cx.world.names.stack);
        let mut script = format!("sudoers_put {path} <<'LINES'\n# Made by infra: changes by hand are undone.\n");
        for line in self.lines() {
            script.push_str(&line);
            script.push('\n');
        }
        script.push_str("LINES\n");
        // It comes after the accounts, and goes on where one of them fails: others may lose what they had.
        let needs = Vec::new();
        let change = Change { address, rank: rank::SUDOERS, needs, libraries: &[LIBRARY], script, guarded: true };
        send(cx, &self.on, change).await?;
        Ok(SudoersObserved {
            host: self.on.host.clone(),
            path,
            lines: self.lines(),
            mode: "440".into(),
            owner: "root:root".into(),
            unconfirmed: false,
        })
    }

    async fn update(&self, _: &SudoersObserved, _: &Diff, cx: &StepContext<'_, Cloud>) -> Result<SudoersObserved> {
        self.create(cx).await
    }

    async fn delete(observed: &SudoersObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        remove(cx, &[LIBRARY], format!("sudoers_remove {}", shell::quote(&observed.path)), true).await
    }
}

const LIBRARY: &str = r#"
# The administrator must be able to become root still, or the next run could mend nothing.
sudoers_test() {
    if [ -n "${SUDO_USER:-}" ] && ! setpriv --reuid="$SUDO_USER" --regid="$(id -g "$SUDO_USER")" --init-groups \
        sudo -n true; then
        guard_undo
        fail "with this file $SUDO_USER could not become root any more; it was undone"
    fi
}
sudoers_knows() {
    [ "$(cat "$owned/$stack/host_user/$1" 2>/dev/null)" = here ] && getent passwd "$1" >/dev/null
}
sudoers_put() {
    command -v visudo >/dev/null || fail "sudo is not installed"
    # The line of somebody whom infra could not make waits: the account of that name may be a stranger's.
    while read -r login rest; do
        case $login in '#'*) ;; *) sudoers_knows "$login" || continue ;; esac
        printf '%s %s\n' "$login" "$rest"
    done >"$work/sudoers"
    visudo -cqf "$work/sudoers"
    own sudoers infra "$1"
    guard_file "$1"
    put_file "$1" 440 root:root <"$work/sudoers"
    if ! visudo -cq; then
        why=$(visudo -c 2>&1 | grep -m 1 error || true)
        guard_undo
        fail "sudo does not take the host's files with this one: $why; it was undone"
    fi
    sudoers_test
}
sudoers_remove() {
    guard_file "$1"
    rm -f "$1"
    sudoers_test
    forget sudoers infra
}
"#;
