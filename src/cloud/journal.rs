//! What this machine did a moment ago: bridges the time until AWS's reads show it. Losing it loses nothing.
//!
//! One JSON line an event, appended before a create is sent and after it was answered. A create that has no answer
//! was interrupted: the next run waits out the time in which reads may lag before it creates again, and sends the
//! same token, so that AWS itself recognises the repetition.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use engine::Attempt;
use serde::{Deserialize, Serialize};

/// After this long an interrupted attempt's token is not used again: the spec may ask for something else by then.
const TOKEN_LIFE: Duration = Duration::from_mins(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Creating,
    Created,
    Deleted,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    /// Seconds since 1970.
    at: f64,
    address: String,
    stage: Stage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// For a create: when the object that stood at the address before was deleted. Reads may still show that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted: Option<f64>,
}

impl Entry {
    fn now(address: &str, stage: Stage) -> Self {
        Self { at: now().as_secs_f64(), address: address.to_owned(), stage, token: None, id: None, deleted: None }
    }
}

/// The recent creates and deletes of one stack.
#[derive(Debug)]
pub struct Journal {
    path: Option<PathBuf>,
    last: Mutex<BTreeMap<String, Entry>>,
}

impl Journal {
    /// The journal at `path` for runs that change nothing: what it holds is known, and nothing is written.
    pub fn read(path: &Path) -> Self {
        Self { path: None, last: Mutex::new(recent(path)) }
    }

    /// Opens, or begins, the journal at `path`. Lines that a crash cut short are passed over.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let last = recent(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        // Begins anew with what still matters, so that it never grows.
        let mut text = String::new();
        for entry in last.values() {
            text.push_str(&serde_json::to_string(entry)?);
            text.push('\n');
        }
        std::fs::write(path, text).with_context(|| format!("cannot write the journal {}", path.display()))?;
        Ok(Self { path: Some(path.to_owned()), last: Mutex::new(last) })
    }

    /// A journal that is kept in memory only, for runs that change nothing.
    pub fn in_memory() -> Self {
        Self { path: None, last: Mutex::default() }
    }

    /// Whether a create at `address` was begun and has no answer.
    pub fn is_interrupted(&self, address: &str) -> bool {
        self.entries().get(address).is_some_and(|entry| entry.stage == Stage::Creating && age(entry) < TOKEN_LIFE)
    }

    /// Before a create: the token to send, and how long an interrupted earlier attempt may still be invisible.
    pub fn begin(&self, address: &str, consistency: Duration) -> anyhow::Result<Attempt> {
        let earlier = self.entries().get(address).cloned();
        let deleted = earlier.as_ref().and_then(|entry| match entry.stage {
            Stage::Deleted => Some(entry.at),
            Stage::Creating => entry.deleted,
            Stage::Created => None,
        });
        let interrupted = earlier.filter(|entry| entry.stage == Stage::Creating && age(entry) < TOKEN_LIFE);
        let attempt = match interrupted {
            Some(Entry { token: Some(token), at, .. }) => {
                Attempt { token, patience: consistency.saturating_sub(since(at)), repeated: true }
            }
            _ => Attempt { token: new_token()?, ..Attempt::default() },
        };
        let token = Some(attempt.token.clone());
        self.write(Entry { token, deleted, ..Entry::now(address, Stage::Creating) })?;
        Ok(attempt)
    }

    /// After a create.
    pub fn created(&self, address: &str, id: &str) -> anyhow::Result<()> {
        self.write(Entry { id: Some(id.to_owned()), ..Entry::now(address, Stage::Created) })
    }

    /// After a delete.
    pub fn deleted(&self, address: &str) -> anyhow::Result<()> {
        self.write(Entry::now(address, Stage::Deleted))
    }

    /// How much longer a read that showed what `seen` says may lag behind what is written here; see
    /// [`engine::World::unsettled`].
    pub fn unsettled(&self, consistency: Duration, seen: &dyn Fn(&str) -> bool) -> Option<Duration> {
        self.take_answers(consistency, seen);
        let entries = self.entries();
        let contradicted = entries.values().filter_map(|entry| {
            let Entry { at, address, stage, id, deleted, .. } = entry;
            match (stage, id, deleted) {
                (Stage::Created, Some(id), _) => (!seen(&format!("{address}={id}"))).then_some(*at),
                (Stage::Created, None, _) => (!seen(address)).then_some(*at),
                (Stage::Deleted, ..) => seen(address).then_some(*at),
                (Stage::Creating, _, Some(deleted)) => seen(address).then_some(*deleted),
                (Stage::Creating, _, None) => None,
            }
        });
        let left = contradicted.map(|at| consistency.saturating_sub(since(at))).max()?;
        (!left.is_zero()).then_some(left)
    }

    /// An interrupted create whose object is seen has its answer. Its token must not be sent again: once the object is
    /// gone, AWS refuses to make another one with it (`IdempotentParameterMismatch`).
    fn take_answers(&self, consistency: Duration, seen: &dyn Fn(&str) -> bool) {
        let answered = |entry: &&Entry| {
            let may_be_predecessor = entry.deleted.is_some_and(|at| since(at) < consistency);
            entry.stage == Stage::Creating && !may_be_predecessor && seen(&entry.address)
        };
        let answered: Vec<String> =
            self.entries().values().filter(answered).map(|entry| entry.address.clone()).collect();
        for address in answered {
            // A journal that cannot be written says so at the next create.
            let _ = self.write(Entry::now(&address, Stage::Created));
        }
    }

    fn write(&self, entry: Entry) -> anyhow::Result<()> {
        let mut entries = self.entries();
        if let Some(path) = &self.path {
            let line = serde_json::to_string(&entry)? + "\n";
            let file = OpenOptions::new().append(true).create(true).open(path);
            file.and_then(|mut file| file.write_all(line.as_bytes()))
                .with_context(|| format!("cannot write the journal {}", path.display()))?;
        }
        entries.insert(entry.address.clone(), entry);
        Ok(())
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What still matters of the journal at `path`, by address.
fn recent(path: &Path) -> BTreeMap<String, Entry> {
    let mut last = BTreeMap::new();
    if let Ok(file) = File::open(path) {
        for line in BufReader::new(file).lines().map_while(Result::ok) {
            if let Ok(entry) = serde_json::from_str::<Entry>(&line) {
                last.insert(entry.address.clone(), entry);
            }
        }
    }
    last.retain(|_, entry: &mut Entry| age(entry) < TOKEN_LIFE);
    last
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn since(at: f64) -> Duration {
    // A clock that was set back makes an entry look new, which only costs patience.
    Duration::try_from_secs_f64(now().as_secs_f64() - at).unwrap_or_default()
}

fn age(entry: &Entry) -> Duration {
    since(entry.at)
}

/// 128 random bits in hexadecimal: within the 64 ASCII characters that AWS allows a client token.
fn new_token() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
    Ok(bytes.iter().fold(String::from("infra-"), |text, byte| text + &format!("{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_secs(30);

    #[test]
    fn an_interrupted_create_is_tried_again_with_its_token_and_patience() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let first = Journal::open(&path).unwrap().begin("vpc/main", LAG).unwrap();
        assert_eq!(first.patience, Duration::ZERO);
        let second = Journal::open(&path).unwrap().begin("vpc/main", LAG).unwrap();
        assert_eq!(second.token, first.token);
        assert!(second.patience > Duration::from_secs(25), "{:?}", second.patience);
    }

    #[test]
    fn an_answered_create_gets_a_new_token_and_is_expected_to_be_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        let first = journal.begin("vpc/main", LAG).unwrap();
        journal.created("vpc/main", "vpc-1").unwrap();
        let journal = Journal::open(&path).unwrap();
        assert!(journal.unsettled(LAG, &|_| false).is_some());
        assert!(journal.unsettled(LAG, &|_| true).is_none());
        assert_ne!(journal.begin("vpc/main", LAG).unwrap().token, first.token);
    }

    #[test]
    fn an_interrupted_create_whose_object_is_seen_does_not_use_its_token_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let first = Journal::open(&path).unwrap().begin("nat_gateway/main", LAG).unwrap();
        assert!(Journal::open(&path).unwrap().unsettled(LAG, &|_| true).is_none());
        let second = Journal::open(&path).unwrap().begin("nat_gateway/main", LAG).unwrap();
        assert_ne!(second.token, first.token);
        assert_eq!(second.patience, Duration::ZERO);
    }

    #[test]
    fn a_replaced_object_that_is_still_shown_is_not_taken_for_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        journal.deleted("subnet/a").unwrap();
        let token = journal.begin("subnet/a", LAG).unwrap().token;
        assert!(journal.unsettled(LAG, &|what| what == "subnet/a" || what == "subnet/a=old").is_some());
        assert_eq!(journal.begin("subnet/a", LAG).unwrap().token, token);
        journal.created("subnet/a", "new").unwrap();
        assert!(journal.unsettled(LAG, &|what| what == "subnet/a" || what == "subnet/a=old").is_some());
        assert!(journal.unsettled(LAG, &|what| what == "subnet/a" || what == "subnet/a=new").is_none());
    }

    #[test]
    fn a_line_that_a_crash_cut_short_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        Journal::open(&path).unwrap().deleted("vpc/main").unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"at\": 17000");
        std::fs::write(&path, text).unwrap();
        assert!(Journal::open(&path).unwrap().unsettled(LAG, &|_| true).is_some());
    }
}
