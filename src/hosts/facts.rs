//! What a host told about itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// What there is on a host.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The distribution and its version: `ubuntu`, `22.04`.
    pub system: (String, String),
    /// A change that could lock us out was made and not confirmed: it will be undone.
    pub unconfirmed: bool,
    /// What `infra` put there: kind and name, to what it noted about it.
    pub owned: BTreeMap<(String, String), String>,
    /// All accounts, by login.
    pub accounts: BTreeMap<String, Account>,
    /// All groups, by name.
    pub groups: BTreeMap<String, GroupFacts>,
    /// The password fields, by login.
    pub shadow: BTreeMap<String, Shadow>,
    /// `authorized_keys` of those who could log in, by path.
    pub keys: BTreeMap<String, KeysFile>,
    /// Homes of those who could log in, and the folders `.ssh` in them, by path.
    pub folders: BTreeMap<String, Folder>,
    /// `/etc/sudoers` and what it includes, by path.
    pub sudoers: BTreeMap<String, FileFacts>,
    /// `sshd_config` and its drop-ins, by path.
    pub sshd_files: BTreeMap<String, FileFacts>,
    /// What sshd does by default: option, in lower case, to value.
    pub sshd: BTreeMap<String, String>,
    /// What sshd does for a user, `Match` blocks included.
    pub sshd_user: BTreeMap<String, String>,
    /// What it does for each who could log in, by login; asked where a `Match` block is read before our file.
    pub sshd_logins: BTreeMap<String, BTreeMap<String, String>>,
    /// Files of ours that exist, by path.
    pub files: BTreeMap<String, FileFacts>,
    /// Units of ours that systemd knows, by name.
    pub units: BTreeMap<String, UnitFacts>,
    /// Packages of ours that are installed, with their versions.
    pub packages: BTreeMap<String, String>,
    /// Python environments of ours, by path.
    pub venvs: BTreeMap<String, VenvFacts>,
    /// When and from where people logged in last.
    pub last_logins: BTreeMap<String, String>,
}

/// A line of `/etc/passwd`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The user's number.
    pub uid: u32,
    /// The number of its own group.
    pub gid: u32,
    /// Its home folder.
    pub home: String,
    /// Its login shell.
    pub shell: String,
}

/// A line of `/etc/group`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFacts {
    /// The group's number.
    pub gid: u32,
    /// Who is in it beside those whose own group it is.
    pub members: BTreeSet<String>,
}

/// A line of `/etc/shadow`. Never shown: it holds a hash.
#[derive(Clone, Default)]
pub struct Shadow {
    /// The hash, or what stands in its place.
    pub hash: String,
    /// When the password was changed last, in days since 1970; 0 where it must be changed at the next login.
    pub changed: Option<i64>,
    /// When the account is closed, in days since 1970.
    pub expires: Option<i64>,
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadow").field("changed", &self.changed).field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// An `authorized_keys` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysFile {
    /// Its permissions: `600`.
    pub mode: String,
    /// Whose it is.
    pub owner: String,
    /// Its lines, without empty ones and comments.
    pub lines: Vec<String>,
}

/// A folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    /// Its permissions: `700`.
    pub mode: String,
    /// Whose it is.
    pub owner: String,
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Its permissions: `644`.
    pub mode: String,
    /// Whose it is: `root:root`.
    pub owner: String,
    /// The SHA-256 of what is in it; for files that are read whole, the text itself.
    pub content: String,
}

/// A systemd unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitFacts {
    /// `loaded`, `not-found`, …
    pub load: String,
    /// `active`, `failed`, …
    pub active: String,
    /// `running`, `exited`, …
    pub sub: String,
    /// `enabled`, `disabled`, …
    pub enabled: String,
    /// Whether its file changed since systemd read it.
    pub stale: bool,
}

/// A Python environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VenvFacts {
    /// `3.10`.
    pub python: String,
    /// What is installed in it: `luigi-3.6.0`.
    pub installed: BTreeSet<String>,
}

impl Facts {
    /// The names of the objects of `kind` that `infra` put there, with what it noted about each.
    pub fn owned(&self, kind: &str) -> impl Iterator<Item = (&str, &str)> {
        let ours = self.owned.iter().filter(move |((owned, _), _)| owned == kind);
        ours.map(|((_, name), note)| (name.as_str(), note.as_str()))
    }

    /// What was noted about an object of ours.
    pub fn note(&self, kind: &str, name: &str) -> Option<&str> {
        self.owned.get(&(kind.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// Where others could write somebody's keys, so that sshd takes none of them (`StrictModes`): path, owner, mode.
    pub fn exposed(&self, login: &str, home: &str) -> Option<(String, &str, &str)> {
        let (folder, file) = (format!("{home}/.ssh"), format!("{home}/.ssh/authorized_keys"));
        let keys = self.keys.get(&file)?;
        let of_folder =
            |path: String| self.folders.get(&path).map(|folder| (path, folder.owner.as_str(), folder.mode.as_str()));
        let all =
            [Some((file, keys.owner.as_str(), keys.mode.as_str())), of_folder(folder), of_folder(home.to_owned())];
        let others_write = |mode: &str| u32::from_str_radix(mode, 8).is_ok_and(|mode| mode & 0o022 != 0);
        let is_exposed = |owner: &str, mode: &str| owner != login && owner != "root" || others_write(mode);
        all.into_iter().flatten().find(|(_, owner, mode)| is_exposed(owner, mode))
    }
}

/// Reads what the probe printed.
pub(super) fn read(lines: &[String]) -> anyhow::Result<Facts> {
    let mut facts = Facts::default();
    let mut keys = None;
    let mut unit = (String::new(), UnitFacts::default());
    let mut venv = String::new();
    let mut ended = false;
    for line in lines {
        let (tag, rest) = line.split_once('\t').unwrap_or((line, ""));
        let fields: Vec<&str> = rest.split('\t').collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
        match tag {
            "os" => facts.system = (field(0), field(1)),
            "guard" => facts.unconfirmed = true,
            "owned" => {
                if let Some((kind, name)) = fields[0].split_once('/') {
                    facts.owned.insert((kind.to_owned(), name.to_owned()), field(1));
                }
            }
            "passwd" => drop(account(rest).map(|(login, account)| facts.accounts.insert(login, account))),
            "group" => drop(group(rest).map(|(name, group)| facts.groups.insert(name, group))),
            "shadow" => {
                let days = |at: usize| field(at).parse().ok();
                facts.shadow.insert(field(0), Shadow { hash: field(1), changed: days(2), expires: days(3) });
            }
            "keys" => {
                facts.keys.insert(field(0), KeysFile { mode: field(1), owner: field(2), lines: Vec::new() });
                keys = Some(field(0));
            }
            "folder" => drop(facts.folders.insert(field(0), Folder { mode: field(1), owner: field(2) })),
            // A key's line may hold tabs.
            "key" => {
                if let Some(file) = keys.as_ref().and_then(|path| facts.keys.get_mut(path)) {
                    file.lines.push(rest.trim().to_owned());
                }
            }
            "sudoers" => drop(facts.sudoers.insert(field(0), text(&field(1), &field(2))?)),
            "sshd_file" => drop(facts.sshd_files.insert(field(0), text(&field(1), &field(2))?)),
            "sshd" => option(&mut facts.sshd, rest),
            "sshd_user" => option(&mut facts.sshd_user, rest),
            "sshd_login" => option(facts.sshd_logins.entry(field(0)).or_default(), &field(1)),
            "file" => {
                let (mode, owner) = (field(1), format!("{}:{}", field(2), field(3)));
                facts.files.entry(field(0)).or_default().clone_from(&FileFacts { mode, owner, content: String::new() });
            }
            "sha256" => {
                if let Some(file) = facts.files.get_mut(&field(0)) {
                    file.content = field(1);
                }
            }
            "unit" => {
                let value = field(1);
                match fields[0] {
                    "" => {
                        let (id, told) = std::mem::take(&mut unit);
                        if !id.is_empty() && told.load != "not-found" {
                            facts.units.insert(id, told);
                        }
                    }
                    "Id" => unit.0 = value,
                    "LoadState" => unit.1.load = value,
                    "ActiveState" => unit.1.active = value,
                    "SubState" => unit.1.sub = value,
                    "UnitFileState" => unit.1.enabled = value,
                    "NeedDaemonReload" => unit.1.stale = value == "yes",
                    _ => {}
                }
            }
            "package" if field(1) == "installed" => drop(facts.packages.insert(field(0), field(2))),
            "venv" => {
                venv = field(0);
                facts.venvs.insert(field(0), VenvFacts { python: field(1), installed: BTreeSet::new() });
            }
            "dist" => {
                if let Some(venv) = facts.venvs.get_mut(&venv) {
                    venv.installed.insert(field(0).trim_end_matches(".dist-info").to_owned());
                }
            }
            "lastlog" => drop(facts.last_logins.insert(field(0), field(1))),
            "end" => ended = true,
            _ => {}
        }
    }
    ensure!(ended, "it was cut short");
    Ok(facts)
}

fn account(line: &str) -> Option<(String, Account)> {
    let fields: Vec<&str> = line.split(':').collect();
    let [login, _, uid, gid, _, home, shell] = fields[..] else { return None };
    let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
    Some((login.to_owned(), Account { uid, gid, home: home.to_owned(), shell: shell.to_owned() }))
}

fn group(line: &str) -> Option<(String, GroupFacts)> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members] = fields[..] else { return None };
    let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
    Some((name.to_owned(), GroupFacts { gid: gid.parse().ok()?, members }))
}

fn option(options: &mut BTreeMap<String, String>, line: &str) {
    let (name, value) = line.split_once(' ').unwrap_or((line, ""));
    // The first of those that may stand several times is enough for us.
    options.entry(name.to_ascii_lowercase()).or_insert_with(|| value.to_owned());
}

fn text(permissions: &str, content: &str) -> anyhow::Result<FileFacts> {
    let (mode, owner) = permissions.split_once(':').unwrap_or((permissions, ""));
    let content = BASE64_STANDARD.decode(content).context("a file's text is not base64")?;
    let content = String::from_utf8_lossy(&content).into_owned();
    Ok(FileFacts { mode: mode.to_owned(), owner: owner.to_owned(), content })
}
