//! Who can log in on a host, from what the host told: a pure function.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use ssh_key::{HashAlg, PublicKey as SshKey};

mod door;

pub use self::door::Door;
use self::door::door;
pub use super::sudo::Sudo;
use super::{Account, Facts, KeysFile, sudo::Sudoers};
use crate::credentials::{
    password::{self, HashKind, SAMPLE_HASH},
    public_key::PublicKey,
};

/// What the spec says of a host.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The administrator's login.
    pub administrator: String,
    /// The people, by login. `None`: the spec says nothing about people.
    pub people: Option<BTreeMap<String, ExpectedPerson>>,
}

/// What the spec says of a person.
#[derive(Clone, Debug, Default)]
pub struct ExpectedPerson {
    /// The keys, without comments: `ssh-ed25519 AAAA…`.
    pub keys: BTreeSet<String>,
    /// Whether they may become root.
    pub sudo: Sudo,
}

/// What a host's doors are like.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The distribution: `ubuntu 22.04`.
    pub system: String,
    /// How sshd lets people in.
    pub sshd: Door,
    /// Everybody who could come in: by a key, by a password, or because the account is an important one.
    pub accounts: Vec<Entrant>,
    /// What is unusual about the host itself; that of an account stands there.
    pub unusual: Vec<String>,
}

impl Audit {
    /// How many things there are to look at.
    pub fn findings(&self) -> usize {
        self.unusual.len() + self.accounts.iter().map(|account| account.unusual.len()).sum::<usize>()
    }
}

/// Somebody who could come in.
#[derive(Clone, Debug, Serialize)]
pub struct Entrant {
    /// The login.
    pub login: String,
    /// Whose account it is.
    pub whose: Whose,
    /// The keys that open it.
    pub keys: Vec<Key>,
    /// When and from where they last had a terminal, as the host words it.
    pub last_login: Option<String>,
    /// Whether they may become root.
    pub sudo: Sudo,
    /// Groups that are as good as root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rootlike_groups: Vec<String>,
    /// The password.
    pub password: PasswordState,
    /// Whether the account is past its last day.
    pub expired: bool,
    /// What is unusual about it.
    pub unusual: Vec<String>,
}

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// A person's, made by `infra`.
    Infra,
    /// A person's who left; closed by `infra`.
    Departed,
    /// The administrator's, by whom `infra` comes in.
    Administrator,
    /// `root` itself.
    Root,
    /// Somebody else's.
    Other,
}

/// A key that opens an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// `SHA256:…`, as `ssh-keygen -l` and sshd's log show it; absent where the line cannot be read.
    pub fingerprint: Option<String>,
    /// `ssh-ed25519`, …
    pub algorithm: Option<String>,
    /// Whether options before it say what it may do.
    pub restricted: bool,
}

/// The password of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PasswordState {
    /// What the hash is.
    pub kind: HashKind,
    /// Whether it must be changed at the next login.
    pub must_change: bool,
    /// Whether a hash is there, and locked.
    pub locked: bool,
}

/// Groups whose members can make themselves root.
/// Sources: "Docker daemon attack surface" in Docker's manual; the security page of LXD; Debian's wiki on system groups.
const ROOTLIKE: [&str; 4] = ["docker", "lxd", "disk", "shadow"];

/// Judges what a host told. `today` is in days since 1970, as the host counts the days of accounts.
pub fn audit(facts: &Facts, expected: &Expected, today: i64) -> Audit {
    let (sshd, unusual) = door(facts);
    let sudoers = Sudoers::read(facts);
    let judge = Judge { facts, expected, today, sshd: &sshd, sudoers: &sudoers };
    let mut accounts: Vec<Entrant> =
        facts.accounts.iter().filter_map(|(login, account)| judge.entrant(login, account)).collect();
    // The administrator, root, others, then the many.
    let turn = |whose| match whose {
        Whose::Administrator => 0,
        Whose::Root => 1,
        Whose::Other => 2,
        Whose::Infra => 3,
        Whose::Departed => 4,
    };
    accounts.sort_by(|one, other| (turn(one.whose), &one.login).cmp(&(turn(other.whose), &other.login)));
    Audit { system: format!("{} {}", facts.system.0, facts.system.1).trim().to_owned(), sshd, accounts, unusual }
}

struct Judge<'a> {
    facts: &'a Facts,
    expected: &'a Expected,
    today: i64,
    sshd: &'a Door,
    sudoers: &'a Sudoers,
}

impl Judge<'_> {
    /// Somebody who could come in, with all that is unusual about that.
    fn entrant(&self, login: &str, account: &Account) -> Option<Entrant> {
        let facts = self.facts;
        let note = facts.note("host_user", login);
        let whose = match note {
            _ if login == self.expected.administrator => Whose::Administrator,
            Some("gone") => Whose::Departed,
            Some(_) => Whose::Infra,
            None if login == "root" => Whose::Root,
            None => Whose::Other,
        };
        let shadow = facts.shadow.get(login).cloned().unwrap_or_default();
        // An account without a line in the file has no password: nothing is not an empty one.
        let field = if facts.shadow.contains_key(login) { shadow.hash.as_str() } else { "*" };
        let kind = password::kind(field);
        let file = facts.keys.get(&format!("{}/.ssh/authorized_keys", account.home));
        let lines: &[String] = file.map_or(&[], |file| &file.lines);
        if whose == Whose::Other && account.uid != 0 && lines.is_empty() && !kind.opens() {
            return None;
        }
        let behind = field.trim_start_matches('!');
        let locked = kind == HashKind::Locked && !behind.is_empty() && password::kind(behind).opens();
        let password = PasswordState { kind, must_change: kind.opens() && shadow.changed == Some(0), locked };
        let expired = shadow.expires.is_some_and(|day| day <= self.today);
        let groups = facts.groups.iter().filter(|(name, group)| {
            ROOTLIKE.contains(&name.as_str()) && (group.gid == account.gid || group.members.contains(login))
        });
        let mut entrant = Entrant {
            login: login.to_owned(),
            whose,
            keys: lines.iter().map(|line| key(line)).collect(),
            last_login: facts.last_logins.get(login).map(|told| told.split_whitespace().collect::<Vec<_>>().join(" ")),
            sudo: self.sudoers.of(login, account, facts),
            rootlike_groups: groups.map(|(name, _)| name.clone()).collect(),
            password,
            expired,
            unusual: Vec::new(),
        };
        entrant.unusual = self.unusual(&entrant, account, field, file);
        Some(entrant)
    }

    fn unusual(&self, entrant: &Entrant, account: &Account, field: &str, file: Option<&KeysFile>) -> Vec<String> {
        let Entrant { login, whose, keys, password, expired, .. } = entrant;
        let mut unusual = Vec::new();
        let mut say = |text: String| unusual.push(text);
        let kind = password.kind;
        let comes_in = !keys.is_empty() && !expired;
        if *whose == Whose::Other && account.uid == 0 {
            say("another root: its number is 0".to_owned());
        } else if *whose == Whose::Other && !expired {
            let by = match (keys.is_empty(), kind.opens()) {
                (false, true) => "a key and a password",
                (false, false) => "a key",
                (true, _) => "a password",
            };
            say(format!("infra did not make this account, and it has {by}"));
        }
        if *whose == Whose::Root && comes_in && self.sshd.root_login.as_deref() != Some("no") {
            say(format!("{} root", counted(keys.len(), "key opens", "keys open")));
        }
        if kind == HashKind::Empty {
            say("no password is asked for".to_owned());
        } else if field == SAMPLE_HASH {
            say("its password is the sample of the original instructions, which everybody knows".to_owned());
        } else if kind.opens() && kind.is_legacy() {
            say(format!("its password's hash is a legacy one ({kind}), guessed fast"));
        }
        if *whose == Whose::Departed && !keys.is_empty() {
            say(format!("left, and {} still there", counted(keys.len(), "key is", "keys are")));
        }
        if *whose == Whose::Departed && !expired {
            say("left, and the account is open again".to_owned());
        }
        if let (Whose::Infra, Some(people)) = (whose, &self.expected.people) {
            match people.get(login) {
                None => say("is not in the spec any more; `infra users apply` closes it".to_owned()),
                Some(person) => {
                    if entrant.sudo > person.sudo {
                        say(format!("may do more with sudo than the spec says: {}, not {}", entrant.sudo, person.sudo));
                    }
                    let lines = file.map_or(&[][..], |file| &file.lines);
                    let known = |line: &&String| material(line).is_some_and(|key| person.keys.contains(&key));
                    let strange = lines.iter().filter(|line| !known(line));
                    for line in strange {
                        let shown = key(line).fingerprint.unwrap_or_else(|| "a line that is no key".to_owned());
                        say(format!("{shown} is not in the spec"));
                    }
                }
            }
        }
        for line in file.map_or(&[][..], |file| &file.lines) {
            let Some((options, key)) = parts(line) else { continue };
            if options.contains("cert-authority") {
                say("whoever holds a certificate of one signer comes in (cert-authority)".to_owned());
            }
            if let Err(refusal) = PublicKey::parse(&key.to_openssh().unwrap_or_default()) {
                say(format!("{}: {}", key.fingerprint(HashAlg::Sha256), refusal.message));
            }
        }
        if let Some((path, owner, mode)) = self.facts.exposed(login, &account.home) {
            say(format!("others can write its keys ({path}: owner {owner}, mode {mode})"));
        }
        unusual
    }
}

/// The options before a key, and the key.
fn parts(line: &str) -> Option<(&str, SshKey)> {
    let line = line.trim();
    // As sshd does it: what is no key from its first word on may be one after its options, which hold quoted blanks.
    let read = |text: &str| {
        let mut words = text.split_whitespace();
        SshKey::from_openssh(&format!("{} {}", words.next()?, words.next()?)).ok()
    };
    if let Some(key) = read(line) {
        return Some(("", key));
    }
    let (mut quoted, mut escaped) = (false, false);
    let end = line.find(|letter: char| {
        let plain = !std::mem::take(&mut escaped);
        match letter {
            '"' if plain => quoted = !quoted,
            '\\' if plain => escaped = true,
            _ => {}
        }
        !quoted && letter.is_whitespace()
    })?;
    Some((&line[..end], read(&line[end..])?))
}

/// A key without options and comment, as the spec's are kept; nothing where it has options.
fn material(line: &str) -> Option<String> {
    let (options, _) = parts(line)?;
    let mut words = line.split_whitespace();
    options.is_empty().then(|| Some(format!("{} {}", words.next()?, words.next()?)))?
}

fn key(line: &str) -> Key {
    match parts(line) {
        Some((options, key)) => Key {
            fingerprint: Some(key.fingerprint(HashAlg::Sha256).to_string()),
            algorithm: Some(key.algorithm().as_str().to_owned()),
            restricted: !options.is_empty(),
        },
        None => Key { fingerprint: None, algorithm: None, restricted: false },
    }
}

/// `1 key`, `2 keys`.
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
