//! A person's account on a host: login, keys, groups, shell, password.
//!
//! Keys and supplementary groups are exclusive: what the spec does not name goes. A person who left is locked, without
//! keys and sessions, and keeps the files, unless the host's policy says that the account goes with them.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
};

use engine::{Address, Diff, Effect, Identity, Inventory, Resource, Result, StepContext};
use serde::{Serialize, Serializer};
use serde_json::json;

use super::{HostGroup, LAYER, OnHost, each, rank, remove, send, split};
use crate::{
    cloud::Cloud,
    credentials::{
        Known,
        password::{self, HashKind, PasswordHash},
    },
    hosts::{Change, Facts, shell},
};

/// What infra notes of an account that it closed; of others it notes `here`.
const GONE: &str = "gone";

/// The day after 1970 began: an account that expires then is closed, also for keys.
const CLOSED: i64 = 1;

/// A person's account.
#[derive(Clone, Debug, Serialize)]
pub struct HostUser {
    /// The host.
    #[serde(skip)]
    pub on: OnHost,
    /// The keys that open it.
    #[serde(serialize_with = "fingerprints")]
    pub keys: BTreeSet<String>,
    /// Groups beside its own.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// The login shell.
    pub shell: String,
    /// The password.
    pub password: PasswordWish,
    /// Whether the password must be changed at the first login; from then on it is the person's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub change_password: bool,
    /// The first day on which the account is closed.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "day")]
    pub expires: Option<jiff::civil::Date>,
    /// The groups that infra makes.
    #[serde(skip)]
    pub made_groups: Vec<engine::Ref<HostGroup>>,
    /// What else must be there first: the group `docker`.
    #[serde(skip)]
    pub needs: Vec<Address>,
}

/// The password that an account is to have.
#[derive(Clone, Debug)]
pub enum PasswordWish {
    /// None: no password opens it.
    None,
    /// The one with this hash.
    Hash(PasswordHash),
    /// A known one: any hash that it matches will do, and this one is set where none does.
    Known(Known),
}

impl PasswordWish {
    fn hash(&self) -> Option<&PasswordHash> {
        match self {
            Self::None => None,
            Self::Hash(hash) => Some(hash),
            Self::Known(known) => Some(known.hash()),
        }
    }

    fn matches(&self, observed: &str) -> bool {
        match self {
            Self::None => !password::kind(observed).opens(),
            Self::Hash(hash) => hash.expose() == observed,
            Self::Known(known) => known.matches(observed),
        }
    }
}

impl fmt::Display for PasswordWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hash() {
            None => f.write_str("none"),
            Some(hash) => write!(f, "{hash}"),
        }
    }
}

impl Serialize for PasswordWish {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a host tells of an account.
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct HostUserObserved {
    /// The host.
    pub host: String,
    /// The login.
    pub login: String,
    /// The user's number.
    pub uid: u32,
    /// The home folder.
    pub home: String,
    /// The login shell.
    pub shell: String,
    /// Groups beside its own.
    pub groups: BTreeSet<String>,
    /// The lines of its `authorized_keys`, without comments.
    #[serde(serialize_with = "fingerprints")]
    pub keys: BTreeSet<String>,
    /// Whether `authorized_keys` is its own, and nobody else may write it, or in what it lies in: sshd insists.
    pub key_file_protected: bool,
    /// What opens it.
    pub password: HashKind,
    #[serde(skip)]
    hash: String,
    /// Whether the password must be changed at the next login.
    pub must_change: bool,
    /// When it is closed, in days since 1970; shown as the date.
    #[serde(serialize_with = "day_of")]
    pub expires: Option<i64>,
    /// Whether infra closed it.
    pub closed: bool,
    #[serde(skip)]
    delete: bool,
}

impl HostUserObserved {
    /// Whether a delete leaves the account and its files where they are.
    pub fn stays(&self) -> bool {
        !self.delete
    }
}

/// Keys as fingerprints: short, and the same as `ssh-keygen -l` and sshd's log show.
fn fingerprints<S: Serializer>(keys: &BTreeSet<String>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(keys.iter().map(|key| fingerprint(key)))
}

/// A key's fingerprint: `SHA256:… (ED25519)`. What is no key is told to be none.
pub(crate) fn fingerprint(line: &str) -> String {
    if let Ok(key) = ssh_key::PublicKey::from_openssh(line) {
        return format!("{} ({})", key.fingerprint(ssh_key::HashAlg::Sha256), key.algorithm().as_str());
    }
    let start: String = line.chars().take(24).collect();
    format!("(no plain key: {start}…)")
}

/// A line of `authorized_keys` without its comment; one with options stays as it is.
fn bare(line: &str) -> String {
    let mut words = line.split_whitespace();
    match (words.next(), words.next()) {
        (Some(kind), Some(data)) if crate::credentials::public_key::is_type(kind) => format!("{kind} {data}"),
        _ => line.to_owned(),
    }
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn day<S: Serializer>(date: &Option<jiff::civil::Date>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    match date {
        Some(date) => serializer.collect_str(date),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::ref_option, reason = "serde passes fields so")]
fn day_of<S: Serializer>(days: &Option<i64>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    shown(*days).serialize(serializer)
}

/// The date of a number of days since 1970; one that no calendar has stays a number.
fn shown(days: Option<i64>) -> Option<String> {
    let date = |days: i64| {
        let span = jiff::Span::new().try_days(days).ok()?;
        jiff::civil::date(1970, 1, 1).checked_add(span).ok()
    };
    days.map(|days| date(days).map_or_else(|| format!("day {days}"), |date| date.to_string()))
}

/// Days since 1970.
fn days(date: jiff::civil::Date) -> i64 {
    let begin = jiff::civil::date(1970, 1, 1);
    begin.until(date).map_or(0, |span| i64::from(span.get_days()))
}

fn read(host: &str, login: &str, note: &str, facts: &Facts, delete: bool) -> Option<HostUserObserved> {
    let account = facts.accounts.get(login)?;
    let shadow = facts.shadow.get(login).cloned().unwrap_or_default();
    let file = facts.keys.get(&format!("{}/.ssh/authorized_keys", account.home));
    let groups = facts.groups.iter().filter(|(_, group)| group.members.contains(login) && group.gid != account.gid);
    let observed = HostUserObserved {
        host: host.to_owned(),
        login: login.to_owned(),
        uid: account.uid,
        home: account.home.clone(),
        shell: account.shell.clone(),
        groups: groups.map(|(name, _)| name.clone()).collect(),
        keys: file.iter().flat_map(|file| &file.lines).map(|line| bare(line)).collect(),
        key_file_protected: file.is_none_or(|file| file.owner == login)
            && facts.exposed(login, &account.home).is_none(),
        password: password::kind(&shadow.hash),
        must_change: shadow.changed == Some(0),
        expires: shadow.expires,
        closed: note == GONE,
        hash: shadow.hash,
        delete,
    };
    // One that is closed as it should be is nobody's business any more.
    let settled = observed.closed && !delete && observed.expires == Some(CLOSED) && observed.keys.is_empty();
    (!settled).then_some(observed)
}

impl Resource<Cloud> for HostUser {
    const KIND: &'static str = "host_user";
    const LAYER: &'static str = LAYER;
    const AFTER: &'static [&'static str] = super::AFTER;
    const OBSERVES_AFTER: &'static [&'static str] = &["instance", "elastic_ip"];
    const IDENTITY: Identity = Identity::Name;
    const GATHERED: bool = true;
    type Observed = HostUserObserved;

    fn refs(&self) -> Vec<&Address> {
        self.on.refs()
    }

    fn within(&self) -> Option<&Address> {
        self.on.within()
    }

    fn needs(&self) -> Vec<&Address> {
        self.made_groups.iter().map(engine::Ref::address).chain(&self.needs).collect()
    }

    async fn observe(cloud: &Cloud, known: &Inventory) -> Result<Vec<(String, HostUserObserved)>> {
        let mut found = Vec::new();
        for (host, facts) in each(cloud, known).await? {
            let delete = cloud.hosts.places().get(&host).is_some_and(|place| place.deletes_departed);
            let ours = facts.owned(Self::KIND);
            found.extend(ours.filter_map(|(login, note)| {
                Some((format!("{host}/{login}"), read(&host, login, note, &facts, delete)?))
            }));
        }
        Ok(found)
    }

    fn id(observed: &HostUserObserved) -> String {
        format!("{}@{}", observed.login, observed.host)
    }

    fn losses(observed: &HostUserObserved) -> Vec<String> {
        if observed.delete { vec![observed.home.clone()] } else { Vec::new() }
    }

    fn diff(&self, observed: &HostUserObserved, _: &Inventory) -> Diff {
        let Self { on: _, keys, groups, shell, password, change_password, expires, made_groups: _, needs: _ } = self;
        let mut diff = Diff::default();
        diff.field("closed", &observed.closed, &false);
        if observed.keys != *keys {
            let shown = |keys: Vec<&String>| json!(keys.into_iter().map(|key| fingerprint(key)).collect::<Vec<_>>());
            let going = shown(observed.keys.difference(keys).collect());
            let coming = shown(keys.difference(&observed.keys).collect());
            diff.push("keys", going, coming, Effect::InPlace);
        }
        diff.field("key_file_protected", &observed.key_file_protected, &true)
            .set("groups", &observed.groups, groups)
            .field("shell", observed.shell.as_str(), shell.as_str());
        // A password that had to be changed, and was, is the person's own.
        let own = *change_password && !observed.must_change && observed.password.opens();
        if !own && !password.matches(&observed.hash) {
            let from = if observed.password.opens() { observed.password.to_string() } else { "none".to_owned() };
            diff.push("password", json!(from), json!(password), Effect::InPlace);
        }
        diff.field("expires", &shown(observed.expires), &shown(expires.map(days)));
        diff
    }

    fn outputs(_: &HostUserObserved) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<HostUserObserved> {
        send(cx, &self.on, self.change(cx, true)).await?;
        Ok(self.made(cx.address(), None))
    }

    async fn update(
        &self,
        observed: &HostUserObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<HostUserObserved> {
        let sets_password = diff.touches("password") || diff.touches("closed");
        send(cx, &self.on, self.change(cx, sets_password)).await?;
        Ok(self.made(cx.address(), Some(observed)))
    }

    async fn delete(observed: &HostUserObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let function = if observed.delete { "user_delete" } else { "user_close" };
        remove(cx, &[LIBRARY], format!("{function} {}", shell::quote(&observed.login)), false).await
    }
}

impl HostUser {
    fn change(&self, cx: &StepContext<'_, Cloud>, sets_password: bool) -> Change {
        let Self { on: _, keys, groups, shell, password, change_password, expires, made_groups: _, needs: _ } = self;
        let address = cx.address().clone();
        let login = shell::quote(split(&address.name).1);
        let groups = groups.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let expires = expires.map(|date| date.to_string()).unwrap_or_default();
        let mut script =
            format!("user_put {login} {} {} {}\n", shell::quote(shell), shell::quote(&groups), shell::quote(&expires));
        let _ = writeln!(script, "user_keys {login} <<'KEYS'");
        for key in keys {
            let _ = writeln!(script, "{key}");
        }
        script.push_str("KEYS\n");
        if sets_password {
            match password.hash() {
                // `printf` is the shell's own: no list of processes ever shows the hash.
                Some(hash) => {
                    let line = shell::quote(hash.expose());
                    let _ = writeln!(script, "printf '%s:%s\\n' {login} {line} | chpasswd -e");
                }
                None => {
                    let _ = writeln!(script, "usermod -p '*' {login}");
                }
            }
            if *change_password {
                let _ = writeln!(script, "chage -d 0 {login}");
            }
        }
        let needs = self.needs().into_iter().cloned().collect();
        Change { address, rank: rank::USER, needs, libraries: &[LIBRARY], script, guarded: false }
    }

    /// What the account is like now; numbers are known after the next look.
    fn made(&self, address: &Address, before: Option<&HostUserObserved>) -> HostUserObserved {
        let (host, login) = split(&address.name);
        HostUserObserved {
            host: host.to_owned(),
            login: login.to_owned(),
            uid: before.map_or(0, |before| before.uid),
            home: before.map_or_else(|| format!("/home/{login}"), |before| before.home.clone()),
            shell: self.shell.clone(),
            groups: self.groups.clone(),
            keys: self.keys.clone(),
            key_file_protected: true,
            password: self.password.hash().map_or(HashKind::Locked, |hash| password::kind(hash.expose())),
            hash: self.password.hash().map(|hash| hash.expose().to_owned()).unwrap_or_default(),
            must_change: self.change_password,
            expires: self.expires.map(days),
            closed: false,
            delete: false,
        }
    }
}

const LIBRARY: &str = include_str!("user.sh");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_shown_as_dates() {
        assert_eq!(shown(None), None);
        let date = jiff::civil::date(2027, 1, 31);
        assert_eq!(shown(Some(days(date))).as_deref(), Some("2027-01-31"));
        assert_eq!(shown(Some(CLOSED)).as_deref(), Some("1970-01-02"));
        assert_eq!(shown(Some(i64::MAX)), Some(format!("day {}", i64::MAX)));
    }
}
