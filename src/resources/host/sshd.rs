//! How a host lets people in: by key only, never as root.
//!
//! sshd takes the first value that it reads, and values in a `Match` block before those outside of one. So our file is
//! read first of all, and says everything twice: for everybody, and in a block that matches everybody. Whether that
//! worked is asked of sshd itself.

use std::{collections::BTreeMap, fmt::Write};

use engine::{Address, Diff, Effect, Identity, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::json;

use super::{HostUser, LAYER, OnHost, each, rank, remove, send};
use crate::{
    cloud::Cloud,
    hosts::{Change, DROP_IN, Facts, is_read_first},
};

/// What sshd must do, and whether a `Match` block may say otherwise.
///
/// `UsePAM` stays as it is: accounts and sessions go through it, and passwords do not once both of the methods that
/// ask for one are off.
pub const WANTED: [(&str, &str); 7] = [
    ("PubkeyAuthentication", "yes"),
    ("PasswordAuthentication", "no"),
    ("KbdInteractiveAuthentication", "no"),
    ("PermitRootLogin", "no"),
    ("PermitEmptyPasswords", "no"),
    ("HostbasedAuthentication", "no"),
    // Not `authorized_keys2`: nobody would look there for a key that should not be.
    ("AuthorizedKeysFile", ".ssh/authorized_keys"),
];

/// sshd, hardened.
#[derive(Clone, Debug, Serialize)]
pub struct SshServer {
    /// The host.
    #[serde(skip)]
    pub on: OnHost,
    /// The options that it has.
    pub options: BTreeMap<String, String>,
    /// The accounts: whoever is locked out of one comes in by another.
    #[serde(skip)]
    pub users: Vec<Ref<HostUser>>,
}

/// What a host tells of its sshd.
#[derive(Clone, Debug, Serialize)]
pub struct SshServerObserved {
    /// The host.
    pub host: String,
    /// What it does: option to value. Where a user gets another value than others, that one.
    pub options: BTreeMap<String, String>,
    /// Whether our file is as it was made.
    pub drop_in: bool,
    /// Whether no `Match` block is read before our file: one may say otherwise for somebody whom nobody asked about.
    pub sshd_reads_it_first: bool,
    /// Whether a change was made and not confirmed.
    pub unconfirmed: bool,
}

impl SshServer {
    /// sshd on a host, with the options in [`WANTED`].
    pub fn new(on: OnHost, users: Vec<Ref<HostUser>>) -> Self {
        let options = WANTED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { on, options, users }
    }
}

/// The text of our file.
fn text() -> String {
    let mut text =
        String::from("# Made by infra: changes by hand are undone. The first value that sshd reads counts.\n");
    for (name, value) in WANTED {
        let _ = writeln!(text, "{name} {value}");
    }
    text.push_str("Match all\n");
    for (name, value) in WANTED {
        let _ = writeln!(text, "    {name} {value}");
    }
    text
}

fn read(host: &str, facts: &Facts) -> SshServerObserved {
    let option = |name: &str, wanted: &str| {
        let name = name.to_ascii_lowercase();
        // OpenSSH before 8.7 calls it by its old name.
        let old = name.replace("kbdinteractive", "challengeresponse");
        let both = [&facts.sshd_user, &facts.sshd].map(|told| told.get(&name).or_else(|| told.get(&old)));
        let other = both.into_iter().flatten().find(|value| value.as_str() != wanted);
        other.or(both[0]).map_or_else(|| "(unknown)".to_owned(), Clone::clone)
    };
    let options = WANTED.iter().map(|(name, wanted)| ((*name).to_owned(), option(name, wanted))).collect();
    let file = facts.sshd_files.get(DROP_IN);
    SshServerObserved {
        host: host.to_owned(),
        options,
        drop_in: file.is_some_and(|file| file.content == text() && file.owner == "root:root"),
        sshd_reads_it_first: is_read_first(&facts.sshd_files),
        unconfirmed: facts.unconfirmed,
    }
}

impl Resource<Cloud> for SshServer {
    const KIND: &'static str = "sshd";
    const LAYER: &'static str = LAYER;
    const AFTER: &'static [&'static str] = super::AFTER;
    const OBSERVES_AFTER: &'static [&'static str] = &["instance", "elastic_ip"];
    const IDENTITY: Identity = Identity::Name;
    const GATHERED: bool = true;
    type Observed = SshServerObserved;

    fn refs(&self) -> Vec<&Address> {
        self.on.refs()
    }

    fn within(&self) -> Option<&Address> {
        self.on.within()
    }

    fn needs(&self) -> Vec<&Address> {
        self.users.iter().map(Ref::address).collect()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, SshServerObserved)>> {
        let hosts = each(cloud, known).await?;
        let ours = hosts.into_iter().filter(|(_, facts)| facts.note(Self::KIND, "infra").is_some());
        Ok(ours.map(|(host, facts)| (host.clone(), read(&host, &facts))).collect())
    }

    fn id(observed: &SshServerObserved) -> String {
        format!("{}:{DROP_IN}", observed.host)
    }

    fn diff(&self, observed: &SshServerObserved, _: &Inventory) -> Diff {
        let Self { on: _, options, users: _ } = self;
        let mut diff = Diff::default();
        for (name, wanted) in options {
            let is = observed.options.get(name).map_or("(unknown)", String::as_str);
            if is != wanted {
                diff.push(name, json!(is), json!(wanted), Effect::InPlace);
            }
        }
        if !observed.drop_in {
            diff.push("file", json!("missing or changed"), json!(DROP_IN), Effect::InPlace);
        }
        diff.field("sshd_reads_it_first", &observed.sshd_reads_it_first, &true).field(
            "unconfirmed",
            &observed.unconfirmed,
            &false,
        );
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<SshServerObserved> {
        let mut script = format!("sshd_put {DROP_IN} <<'OPTIONS'\n{}OPTIONS\n", text());
        for (name, value) in WANTED {
            let _ = writeln!(script, "sshd_expect {} '{value}'", name.to_ascii_lowercase());
        }
        script.push_str("sshd_first\nreload_sshd\n");
        let change = Change {
            address: cx.address().clone(),
            rank: rank::SSHD,
            // It comes after the accounts, and goes on where one of them fails: a door that is open is worse than one
            // person who waits, and that the administrator comes in is proven.
            needs: Vec::new(),
            libraries: &[LIBRARY],
            script,
            guarded: true,
        };
        send(cx, &self.on, change).await?;
        let options = self.options.clone();
        Ok(SshServerObserved {
            host: self.on.host.clone(),
            options,
            drop_in: true,
            sshd_reads_it_first: true,
            unconfirmed: false,
        })
    }

    async fn update(&self, _: &SshServerObserved, _: &Diff, cx: &StepContext<'_, Cloud>) -> Result<SshServerObserved> {
        self.create(cx).await
    }

    async fn delete(_: &SshServerObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        remove(cx, &[LIBRARY], format!("sshd_remove {DROP_IN}"), true).await
    }
}

const LIBRARY: &str = r#"
# What sshd would do, for everybody and for somebody.
sshd_effect() {
    sshd -T 2>&1 && sshd -T -C user=somebody,host=somewhere,addr=198.51.100.1 2>&1
}
sshd_give_up() {
    guard_undo
    fail "$1; it was undone"
}
# sshd_put FILE: the text on standard input is read before all others.
sshd_put() {
    command -v sshd >/dev/null || fail "sshd is not installed"
    # A host whose configuration is broken already must not be reloaded; ours would not be what broke it.
    sshd -t || fail "its configuration is broken, and was so before: sshd -t says why"
    own sshd infra "$1"
    guard_file "$1"
    guard_file /etc/ssh/sshd_config
    mkdir -p "${1%/*}"
    put_file "$1" 644 root:root
    sshd -t || sshd_give_up "sshd does not take $1"
    drop_in=$1
}
# sshd_expect OPTION VALUE
sshd_expect() {
    if sshd_differs "$1" "$2"; then
        # The main file does not include ours, or says something of its own before that.
        sshd_include
        if sshd_differs "$1" "$2"; then sshd_give_up "sshd insists on another $1 than $2"; fi
    fi
}
# Ours becomes the first that the main file includes.
sshd_include() {
    if head -n 1 /etc/ssh/sshd_config | grep -qxF "Include $drop_in"; then return 0; fi
    { printf 'Include %s\n' "$drop_in"; cat /etc/ssh/sshd_config; } >"$work/sshd_config"
    put_file /etc/ssh/sshd_config 644 root:root <"$work/sshd_config"
    sshd -t || sshd_give_up "sshd does not take Include (it came with OpenSSH 8.2)"
}
# No Match block is read before ours: it may be about somebody else than those whom sshd -T was asked about.
sshd_first() {
    includes=$(awk 'tolower($1) == "match" { exit } tolower($1) == "include" { $1 = ""; print; exit }' /etc/ssh/sshd_config)
    case $includes in
        " $drop_in") return 0 ;;
        ' /etc/ssh/sshd_config.d/*.conf'|' sshd_config.d/*.conf') ;;
        *) sshd_include; return 0 ;;
    esac
    for file in /etc/ssh/sshd_config.d/*.conf; do
        if [ "$file" = "$drop_in" ]; then return 0; fi
        if grep -qi '^[[:space:]]*match' "$file"; then sshd_include; return 0; fi
    done
}
sshd_differs() {
    sshd_effect >"$work/effect" || sshd_give_up "sshd -T fails"
    option=$1
    # OpenSSH before 8.7 calls it by its old name.
    if ! grep -q "^$option " "$work/effect" && [ "$option" = kbdinteractiveauthentication ]; then
        option=challengeresponseauthentication
    fi
    grep "^$option " "$work/effect" | grep -qvxF "$option $2"
}
sshd_remove() {
    guard_file "$1"
    guard_file /etc/ssh/sshd_config
    rm -f "$1"
    if head -n 1 /etc/ssh/sshd_config | grep -qxF "Include $1"; then sed -i 1d /etc/ssh/sshd_config; fi
    sshd -t || sshd_give_up "sshd does not take its configuration without $1"
    forget sshd infra
    reload_sshd
}
"#;
