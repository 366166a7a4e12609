//! What is on disk of a tunnel: which process keeps it, where it can be talked to, what it told, how it ended.
//!
//! The folder is one that only its owner can enter. The keeper holds a lock in it for as long as it lives, however it
//! ends: who cannot get the lock knows that there is a keeper, and who can, that the rest is of one that is gone.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Told, control, process::Identity};
use crate::{hosts, workspace::private_folder};

/// How long a keeper may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The folder of a stack's tunnel.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Which process keeps the tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The process.
    pub keeper: Identity,
    /// The folder of its sockets: its own, at which it listens to us, and those of its ssh.
    pub sockets: PathBuf,
}

/// How the last tunnel ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: String,
    /// Why, as a sentence.
    pub reason: String,
}

/// What there is.
#[derive(Debug)]
pub enum Found {
    /// A tunnel, and what its keeper tells.
    Up(Box<Told>),
    /// A keeper that does not answer: it is only starting, or it hangs.
    Silent(Option<Record>),
    /// Nothing; how the last one ended, if that is known.
    Down(Option<Ended>),
}

/// The lock that a keeper holds.
#[derive(Debug)]
pub struct Held {
    _file: fs::File,
}

impl Record {
    /// Of this process, with the sockets in `sockets`.
    pub fn own(sockets: PathBuf) -> Self {
        Self { keeper: Identity::own(), sockets }
    }

    /// Where the keeper listens to us.
    pub fn control(&self) -> PathBuf {
        self.sockets.join("keeper")
    }
}

impl Folder {
    /// The folder at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where a keeper in the background writes what happens.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where a browser of its own keeps its profile.
    pub fn browser(&self) -> PathBuf {
        self.path.join("browser")
    }

    /// Makes the folder.
    pub fn make(&self) -> anyhow::Result<()> {
        private_folder(&self.path).with_context(|| format!("cannot make the folder {}", self.path.display()))
    }

    /// Takes the lock; nothing where a keeper has it.
    pub fn lock(&self) -> anyhow::Result<Option<Held>> {
        self.make()?;
        let path = self.path.join("lock");
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Held { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Takes note of who keeps the tunnel.
    pub fn record(&self, record: &Record) -> anyhow::Result<()> {
        self.write("keeper.json", record)
    }

    /// Takes note of how it ended. Whoever keeps it must still hold the lock.
    pub fn end(&self, reason: &str) -> anyhow::Result<()> {
        self.write("ended.json", &Ended { at: now(), reason: reason.to_owned() })?;
        self.forget();
        Ok(())
    }

    fn forget(&self) {
        let _ = fs::remove_file(self.path.join("keeper.json"));
    }

    fn read<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.path.join(name)).ok()?).ok()
    }

    fn write(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let write = || -> io::Result<()> {
            // A temporary file is 0600, and the name never leads to half of one.
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.write_all(serde_json::to_string(value)?.as_bytes())?;
            file.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// What there is now.
    pub async fn find(&self) -> anyhow::Result<Found> {
        let record: Option<Record> = self.read("keeper.json");
        if let Some(record) = &record
            && let Some(told) = control::ask(&record.control(), "status", PATIENCE).await
        {
            return Ok(Found::Up(Box::new(told)));
        }
        if !self.path.exists() {
            return Ok(Found::Down(None));
        }
        match self.lock()? {
            None => Ok(Found::Silent(record)),
            Some(_held) => {
                let ended = self.read("ended.json");
                // Its keeper wrote no end.
                let killed = || Ended { at: String::new(), reason: "its process was killed".into() };
                Ok(Found::Down(if record.is_some() { Some(killed()) } else { ended }))
            }
        }
    }

    /// Ends what there is, also what a killed keeper left behind; says whether there was anything.
    pub async fn down(&self) -> anyhow::Result<bool> {
        let record: Option<Record> = self.read("keeper.json");
        if let Some(record) = &record
            && control::ask::<bool>(&record.control(), "down", PATIENCE).await.is_some()
        {
            self.until_free().await?;
            return Ok(true);
        }
        if !self.path.exists() {
            return Ok(false);
        }
        if self.lock()?.is_none() {
            // It holds the lock, so that the process of the record is the one that wrote it.
            let record = self.read("keeper.json").or(record).context("the tunnel is only just starting: try again")?;
            let Record { keeper, .. } = &record;
            if !keeper.end().await {
                anyhow::bail!("the tunnel is kept by process {}, which cannot be ended", keeper.id);
            }
            self.until_free().await?;
            self.clear(&record).await;
            return Ok(true);
        }
        match record {
            Some(record) => {
                self.clear(&record).await;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Ends what a keeper that is gone could not: its ssh.
    async fn clear(&self, record: &Record) {
        if is_ours(&record.sockets) {
            hosts::end_left_behind(&record.sockets).await;
        }
        self.forget();
    }

    /// What a killed keeper left behind is ended before another one begins. The lock must be held.
    pub async fn tidy(&self) {
        if let Some(record) = self.read::<Record>("keeper.json") {
            self.clear(&record).await;
        }
        let _ = fs::remove_file(self.path.join("ended.json"));
    }

    async fn until_free(&self) -> anyhow::Result<()> {
        for _ in 0..200 {
            if self.lock()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("the tunnel does not end; its log is {}", self.log().display())
    }
}

/// Whether a folder is one that only we can have written into.
fn is_ours(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let named = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("infra-"));
    let owner = |path: &Path| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir).map(|it| it.uid());
    named && owner(folder).is_some_and(|uid| uid == rustix::process::geteuid().as_raw())
}

/// The time, as files and people have it.
pub(super) fn now() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_keeper_that_is_gone_is_recognised_and_what_it_left_is_ended() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path().join("tunnel"));
        assert!(matches!(folder.find().await.unwrap(), Found::Down(None)));
        assert!(!folder.down().await.unwrap());
        let sockets = tempfile::Builder::new().prefix("infra-").tempdir_in("/tmp").unwrap().keep();
        // Its number belongs to somebody else by now.
        let keeper = Identity { id: std::process::id(), began: "1".into() };
        folder.make().unwrap();
        folder.record(&Record { keeper, sockets: sockets.clone() }).unwrap();
        match folder.find().await.unwrap() {
            Found::Down(Some(ended)) => assert!(ended.reason.contains("killed"), "{ended:?}"),
            other => panic!("{other:?}"),
        }
        assert!(folder.down().await.unwrap());
        assert!(!sockets.exists(), "what it left behind is gone");
        assert!(!folder.down().await.unwrap(), "there is nothing any more");
    }

    #[tokio::test]
    async fn a_keeper_that_is_silent_is_told_from_none() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path().join("tunnel"));
        let held = folder.lock().unwrap().unwrap();
        assert!(folder.lock().unwrap().is_none());
        assert!(matches!(folder.find().await.unwrap(), Found::Silent(None)));
        drop(held);
        folder.end("the cluster ended").unwrap();
        match folder.find().await.unwrap() {
            Found::Down(Some(ended)) => assert_eq!(ended.reason, "the cluster ended"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nobody_else_s_folder_is_taken_away() {
        assert!(!is_ours(Path::new("/tmp")));
        assert!(!is_ours(Path::new("/nowhere/infra-x")));
    }
}
