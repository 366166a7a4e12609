//! A user's access key: made once, its secret written to a file that only its owner reads, and never shown.
//!
//! AWS tells the secret only in the answer to `CreateAccessKey`. A run that dies between that answer and the file leaves
//! a key that nobody can use; a marker beside the file, written before the request, lets the next run recognise and
//! delete it. A key whose secret is on no file here is otherwise left alone: another machine may have it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use aws_sdk_iam::types::StatusType;
use engine::{Diff, Effect, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cloud::{Answered, Cloud, CloudError, Explain, gone_is_ok, missing_is_none};

/// A user may have two. Source: "IAM and AWS STS quotas" in the IAM User Guide.
const KEYS: usize = 2;
/// How far a key's time of creation may lie before or after the marker's: clocks differ by at most five minutes, or AWS
/// refuses the signature.
const SKEW: Duration = Duration::from_mins(5);
/// Files that hold keys are small; nothing larger is read.
const LARGEST: u64 = 64 * 1024;

/// An access key for a user, kept in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessKey {
    /// The credentials file, in the stack's folder of secrets (`names.secrets`): that folder is what is searched.
    pub file: PathBuf,
    /// Make a new key now and delete the one that there is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rotate: bool,
}

/// Whether the secret of a user's key is on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFile {
    /// The file names a key that the user has.
    Matches,
    /// There is no such file.
    Missing,
    /// The file names a key that the user does not have (any more).
    Other,
}

/// A key that a user has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyObserved {
    /// `AKIA…`.
    pub id: String,
    /// Whether AWS accepts it.
    pub active: bool,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

/// The keys that a user has, and what this machine knows of them. Holds no secret.
#[derive(Clone, Debug, Default, Serialize)]
pub struct KeysObserved {
    /// The keys, oldest first.
    pub keys: Vec<KeyObserved>,
    /// The files here that are this user's, with the key that each one names.
    pub files: BTreeMap<PathBuf, String>,
    /// Keys that a run on this machine made but could not write down, and that were never used.
    pub orphans: BTreeSet<String>,
}

/// Written before a key is asked for.
#[derive(Serialize, Deserialize)]
struct Marker {
    profile: String,
    /// Seconds since 1970.
    at: u64,
    /// The keys that the user had.
    before: Vec<String>,
}

/// What to do about a user's keys.
#[derive(Debug, Default, PartialEq, Eq)]
struct Todo {
    delete: Vec<String>,
    make: bool,
    activate: Option<String>,
    /// The file that holds the key but is not where the spec has it.
    moved: Option<PathBuf>,
}

impl AccessKey {
    fn todo(&self, seen: &KeysObserved) -> Todo {
        let Self { file, rotate } = self;
        let ids = || seen.keys.iter().map(|key| key.id.clone());
        let is_live = |id: &String| seen.keys.iter().any(|key| key.id == *id);
        if *rotate || seen.keys.is_empty() {
            return Todo { delete: ids().collect(), make: true, ..Todo::default() };
        }
        let here = seen.files.get(file).filter(|id| is_live(id));
        let elsewhere = || seen.files.iter().find(|(_, id)| is_live(id));
        let kept = here.or_else(|| elsewhere().map(|(_, id)| id));
        if let Some(kept) = kept {
            let inactive = seen.keys.iter().any(|key| key.id == *kept && !key.active);
            return Todo {
                delete: ids().filter(|id| id != kept).collect(),
                make: false,
                activate: inactive.then(|| kept.clone()),
                moved: if here.is_none() { elsewhere().map(|(path, _)| path.clone()) } else { None },
            };
        }
        // Whoever has the secret is not this machine. Only what it lost itself is replaced.
        let delete: Vec<String> = ids().filter(|id| seen.orphans.contains(id)).collect();
        let make = delete.len() == seen.keys.len();
        let left = || seen.keys.iter().filter(|key| !delete.contains(&key.id));
        let activate = if left().any(|key| key.active) { None } else { left().next_back().map(|key| key.id.clone()) };
        Todo { delete, make, activate, moved: None }
    }
}

/// Compares the keys that a user has with the one that is wanted.
pub(super) fn compare(diff: &mut Diff, seen: &KeysObserved, wanted: Option<&AccessKey>) {
    let todo = todo(wanted, seen);
    let all: Vec<&str> = seen.keys.iter().map(|key| key.id.as_str()).collect();
    let as_value = |ids: &[&str]| match ids {
        [] => Value::Null,
        ids => json!(ids),
    };
    if todo.make || !todo.delete.is_empty() {
        let new = wanted.filter(|_| todo.make).map(|key| format!("a new key in {}", key.file.display()));
        let kept = all.iter().copied().filter(|id| !todo.delete.iter().any(|gone| gone == id));
        let after: Vec<&str> = kept.chain(new.as_deref()).collect();
        diff.push("access_key", as_value(&all), as_value(&after), Effect::InPlace);
    }
    if todo.activate.is_some() {
        diff.field("access_key.status", "Inactive", "Active");
    }
    if let (Some(from), Some(wanted)) = (&todo.moved, wanted) {
        diff.field("access_key.file", from, &wanted.file);
    }
}

fn todo(wanted: Option<&AccessKey>, seen: &KeysObserved) -> Todo {
    match wanted {
        Some(wanted) => wanted.todo(seen),
        None => Todo { delete: seen.keys.iter().map(|key| key.id.clone()).collect(), ..Todo::default() },
    }
}

impl KeysObserved {
    /// Whether the secret of one of the keys is in `file`.
    pub fn key_file(&self, file: &Path) -> KeyFile {
        match self.files.get(file) {
            None => KeyFile::Missing,
            Some(id) if self.keys.iter().any(|key| key.id == *id) => KeyFile::Matches,
            Some(_) => KeyFile::Other,
        }
    }

    /// The keys for a reader, each with the file that holds its secret; `address` says how to replace a lost one.
    pub(super) fn outputs(&self, address: &str) -> Vec<(&'static str, String)> {
        let line = |key: &KeyObserved| match self.files.iter().find(|(_, id)| **id == key.id) {
            Some((file, _)) => format!("{} (secret in {})", key.id, file.display()),
            None => {
                format!(
                    "{} (secret not on this machine; infra apply --rotate iam_user/{address} makes a new one)",
                    key.id
                )
            }
        };
        self.keys.iter().map(|key| ("access_key", line(key))).collect()
    }
}

/// The name under which AWS's tools find a user's key in a credentials file.
pub(super) fn profile_of(cloud: &Cloud, user: &str) -> String {
    cloud.names.unique(user)
}

/// Reads a user's keys, and this machine's files about them.
pub(super) async fn read(cloud: &Cloud, user: &str, profile: &str) -> Result<KeysObserved> {
    let pages = cloud.clients.iam.list_access_keys().user_name(user).into_paginator().items().send();
    let listed: Result<Vec<_>, CloudError> = pages.try_collect().await.explain("iam:ListAccessKeys");
    let listed = missing_is_none(listed, &["NoSuchEntity"])?.unwrap_or_default();
    let mut keys: Vec<KeyObserved> = listed
        .iter()
        .map(|key| KeyObserved {
            id: key.access_key_id().unwrap_or_default().to_owned(),
            active: key.status() != Some(&StatusType::Inactive),
            created: key.create_date().map_or(0, aws_sdk_iam::primitives::DateTime::secs),
        })
        .collect();
    keys.sort_by(|one, other| (one.created, &one.id).cmp(&(other.created, &other.id)));
    let (files, markers) = search(&cloud.names.secrets, profile)?;
    let mut orphans = BTreeSet::new();
    for key in &keys {
        let is_written = files.values().any(|id| *id == key.id);
        if !is_written && markers.iter().any(|marker| marker.explains(key)) && !was_used(cloud, &key.id).await? {
            orphans.insert(key.id.clone());
        }
    }
    Ok(KeysObserved { keys, files, orphans })
}

impl Marker {
    /// True when the key may be the one that was asked for after the marker was written.
    fn explains(&self, key: &KeyObserved) -> bool {
        let apart = Duration::from_secs(self.at.abs_diff(u64::try_from(key.created).unwrap_or_default()));
        apart <= SKEW && !self.before.contains(&key.id)
    }
}

async fn was_used(cloud: &Cloud, id: &str) -> Result<bool> {
    let answer = cloud.clients.iam.get_access_key_last_used().access_key_id(id).send().await;
    let answer = missing_is_none(answer.explain("iam:GetAccessKeyLastUsed"), &["NoSuchEntity"])?;
    Ok(answer.and_then(|answer| answer.access_key_last_used).is_some_and(|used| used.last_used_date.is_some()))
}

/// Brings a user's keys to what is wanted and returns what is there then. An old key goes once the new one's secret is
/// written, unless AWS has no room for both.
pub(super) async fn change(
    cloud: &Cloud,
    user: &str,
    profile: &str,
    wanted: Option<&AccessKey>,
    seen: &KeysObserved,
) -> Result<KeysObserved> {
    let todo = todo(wanted, seen);
    let mut now = seen.clone();
    // Lost keys make room first, the one that is in use last.
    let mut doomed = todo.delete;
    doomed.sort_by_key(|id| (!seen.orphans.contains(id), seen.files.values().any(|held| held == id)));
    doomed.reverse();
    if let Some(wanted) = wanted {
        if todo.make {
            while now.keys.len() >= KEYS
                && let Some(id) = doomed.pop()
            {
                delete(cloud, user, &id, &mut now).await?;
            }
            make(cloud, user, profile, &wanted.file, &mut now).await?;
        }
        if let Some(from) = todo.moved {
            make_folder(&wanted.file)?;
            fs::rename(&from, &wanted.file).with_context(|| format!("cannot move {}", from.display()))?;
            let id = now.files.remove(&from);
            now.files.extend(id.map(|id| (wanted.file.clone(), id)));
        }
    }
    while let Some(id) = doomed.pop() {
        delete(cloud, user, &id, &mut now).await?;
    }
    if let Some(id) = todo.activate {
        let request = cloud.clients.iam.update_access_key().user_name(user).access_key_id(&id);
        request.status(StatusType::Active).send().await.explain("iam:UpdateAccessKey")?;
        now.keys.iter_mut().filter(|key| key.id == id).for_each(|key| key.active = true);
    }
    if wanted.is_none() {
        forget(&cloud.names.secrets, profile)?;
        now.files.clear();
    }
    Ok(now)
}

/// Deletes all of a user's keys, and this machine's files about them.
pub(super) async fn delete_all(cloud: &Cloud, user: &str, profile: &str) -> Result<()> {
    let seen = read(cloud, user, profile).await?;
    change(cloud, user, profile, None, &seen).await.map(drop)
}

async fn delete(cloud: &Cloud, user: &str, id: &str, now: &mut KeysObserved) -> Result<()> {
    let request = cloud.clients.iam.delete_access_key().user_name(user).access_key_id(id);
    gone_is_ok(request.send().await.explain("iam:DeleteAccessKey"))?;
    now.keys.retain(|key| key.id != id);
    Ok(())
}

async fn make(cloud: &Cloud, user: &str, profile: &str, file: &Path, now: &mut KeysObserved) -> Result<()> {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let before = now.keys.iter().map(|key| key.id.clone()).collect();
    let marker = Marker { profile: profile.to_owned(), at, before };
    make_folder(file)?;
    write_secret(&beside(file, "pending"), serde_json::to_string(&marker)?.as_bytes())?;
    let request = cloud.clients.iam.create_access_key().user_name(user);
    let send = || async { request.clone().send().await.explain("iam:CreateAccessKey") };
    let key = cloud.settle(&[], send).await?.access_key.answered("iam:CreateAccessKey")?;
    let mut text = String::new();
    writeln!(text, "[{profile}]")?;
    writeln!(text, "aws_access_key_id={}", key.access_key_id)?;
    writeln!(text, "aws_secret_access_key={}", key.secret_access_key)?;
    write_secret(file, text.as_bytes())?;
    remove_file(&beside(file, "pending"))?;
    now.files.insert(file.to_owned(), key.access_key_id.clone());
    let created = key.create_date.map_or(0, |date| date.secs());
    now.keys.push(KeyObserved { id: key.access_key_id, active: true, created });
    Ok(())
}

/// `FILE.SUFFIX`.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn make_folder(file: &Path) -> Result<()> {
    let Some(folder) = file.parent() else { return Ok(()) };
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// Writes a file that only its owner reads, whole or not at all.
fn write_secret(file: &Path, text: &[u8]) -> Result<()> {
    let new = beside(file, "new");
    let write = || {
        // A crash may have left one, perhaps cut short.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        open.write_all(text)?;
        open.sync_all()?;
        fs::rename(&new, file)?;
        // The name, too, must outlive a loss of power: the secret is told once.
        file.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

fn remove_file(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// The credentials files of `profile` in `folder` with the key that each names, and the markers.
fn search(folder: &Path, profile: &str) -> Result<(BTreeMap<PathBuf, String>, Vec<Marker>)> {
    let (mut files, mut markers) = (BTreeMap::new(), Vec::new());
    for path in small_files(folder)? {
        // Others' files, keys in binary form and such are passed over.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("pending") => {
                markers.extend(serde_json::from_str(&text).ok().filter(|marker: &Marker| marker.profile == profile));
            }
            Some("new") => {}
            _ => files.extend(key_named(&text, profile).map(|id| (path, id))),
        }
    }
    Ok((files, markers))
}

fn small_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read the folder {}", folder.display()))?,
    };
    let small = |path: &PathBuf| fs::metadata(path).is_ok_and(|data| data.is_file() && data.len() <= LARGEST);
    Ok(entries.map_while(Result::ok).map(|entry| entry.path()).filter(small).collect())
}

/// The key that a credentials file names for `profile`.
fn key_named(text: &str, profile: &str) -> Option<String> {
    let header = format!("[{profile}]");
    let section = text.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    let pairs = section.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    let mut ids = pairs.filter(|(key, _)| key.trim() == "aws_access_key_id").map(|(_, id)| id.trim().to_owned());
    ids.next()
}

/// Removes the files of `profile`, and what an interrupted run left beside them; not one that others share.
fn forget(folder: &Path, profile: &str) -> Result<()> {
    for path in small_files(folder)? {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let is_marker = serde_json::from_str(&text).is_ok_and(|marker: Marker| marker.profile == profile);
        let is_shared = text.lines().filter(|line| line.trim_start().starts_with('[')).count() > 1;
        if is_marker || (key_named(&text, profile).is_some() && !is_shared) {
            remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "access_key_tests.rs"]
mod tests;
