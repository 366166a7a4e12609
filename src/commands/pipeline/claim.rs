//! Whose the cluster of a run is. Which one a run started is noted in `.infra/runs/`: where that run was killed, the next
//! one ends it; where another run works on it still, that one does.
//!
//! The note is a help, not a state: without it the cluster counts as one that was up already, which idleness ends.

use std::{
    fs::{self, File},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::ui;

/// A cluster that has no id noted was asked for at most so many seconds after the note: starting it waits for what is
/// made first.
const ASKED_WITHIN: i64 = 15 * 60;

/// What a run notes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Note {
    /// When the run set out to start a cluster, in seconds since 1970.
    since: i64,
    /// The cluster's id, once it is known.
    cluster: Option<String>,
}

/// The note, for as long as this run is at work; other runs of this folder see that it is.
#[derive(Clone, Debug)]
pub struct Claim(Arc<Mutex<fd_lock::RwLockWriteGuard<'static, File>>>);

impl Claim {
    /// Opens the note at `path`. Nothing where another run is at work, or nothing can be written: such a run ends no
    /// cluster but one that it started itself.
    pub fn take(path: &Path) -> Option<Self> {
        Some(Self(Arc::new(Mutex::new(open(path)?.try_write().ok()?))))
    }

    /// When a run that was killed set out to start this cluster; nothing where it is somebody else's.
    pub fn left(&self, cluster: &str, created: Option<i64>) -> Option<i64> {
        let note = self.read()?;
        let is_it = match &note.cluster {
            Some(noted) => noted == cluster,
            None => created.is_some_and(|created| (note.since..note.since + ASKED_WITHIN).contains(&created)),
        };
        is_it.then_some(note.since)
    }

    /// A cluster is about to be asked for.
    pub fn begin(&self) {
        self.write(Some(&Note { since: ui::time::now(), cluster: None }));
    }

    /// This is the run's cluster.
    pub fn note(&self, cluster: &str, since: i64) {
        self.write(Some(&Note { since, cluster: Some(cluster.to_owned()) }));
    }

    /// It has ended, or is somebody's from now on.
    pub fn clear(&self) {
        self.write(None);
    }

    fn read(&self) -> Option<Note> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        file.rewind().ok()?;
        file.read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn write(&self, note: Option<&Note>) {
        let text = note.and_then(|note| serde_json::to_string(note).ok()).unwrap_or_default();
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Without it a run is as good; only what it leaves when it is killed is then for idleness to end.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
    }
}

/// That a run of this folder is at work on the stack's cluster, whoever started that.
#[derive(Clone, Debug)]
pub struct User {
    path: PathBuf,
    held: Arc<Mutex<Option<fd_lock::RwLockReadGuard<'static, File>>>>,
}

impl User {
    /// Says so until the process ends; `path` is that of the note.
    pub fn join(path: &Path) -> Self {
        let path = path.with_extension("users");
        let held = open(&path).and_then(|lock| lock.try_read().ok());
        Self { path, held: Arc::new(Mutex::new(held)) }
    }

    /// Leaves; whether no other run is at work.
    pub fn was_the_last(&self) -> bool {
        drop(self.held.lock().unwrap_or_else(PoisonError::into_inner).take());
        open(&self.path).is_none_or(|lock| lock.try_write().is_ok())
    }
}

/// A lock that is there as long as the process.
fn open(path: &Path) -> Option<&'static mut fd_lock::RwLock<File>> {
    fs::create_dir_all(path.parent()?).ok()?;
    let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).ok()?;
    Some(Box::leak(Box::new(fd_lock::RwLock::new(file))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_run_knows_that_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/local-a");
        let (one, other) = (User::join(&path), User::join(&path));
        assert!(!one.was_the_last());
        assert!(other.was_the_last());
        let third = User::join(&path);
        assert!(third.was_the_last(), "what has left is nobody's");
    }

    #[test]
    fn a_cluster_is_a_killed_runs_own_by_its_id_or_by_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/local-a");
        let claim = Claim::take(&path).unwrap();
        assert!(claim.left("j-1", Some(5)).is_none());
        assert!(Claim::take(&path).is_none(), "two runs at once");
        claim.begin();
        let now = ui::time::now();
        assert!(claim.left("j-1", Some(now + 60)).is_some());
        assert!(claim.left("j-1", Some(now - 60)).is_none(), "it was there before");
        claim.note("j-1", 7);
        assert_eq!((claim.left("j-1", Some(9)), claim.left("j-2", Some(9))), (Some(7), None));
        claim.clear();
        assert!(claim.left("j-1", Some(9)).is_none());
    }
}
