//! The stack's hosts, reached by SSH: what they are like, and how they are changed.
//!
//! Each host is asked once a pass, by one script that tells everything ([`Facts`]); and it is changed by one script
//! that holds all steps that are due ([`Hosts::change`]), however many they are. Both run as root, over one
//! connection. Nothing is kept on the machine that `infra` runs on but the pinned host keys; what `infra` put on a host
//! is listed on the host itself, in [`OWNED`].

mod advice;
pub mod audit;
mod batch;
mod config;
mod facts;
mod forward;
mod guard;
mod interactive;
mod line;
mod pins;
mod place;
mod probe;
mod session;
pub mod shell;
mod sshd;
mod sudo;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use openssh::Session;
use tokio::sync::OnceCell;

pub use batch::Change;
pub use config::Files;
pub use facts::{Account, Facts, FileFacts, Folder, GroupFacts, KeysFile, Shadow, UnitFacts, VenvFacts};
pub use interactive::{Ended, Visitor, Way, has_display, run, show_page};
pub use line::{Call, Line, end_left_behind};
pub use pins::console_keys;
pub use place::{At, Endpoint, Gateway, Place};
pub use session::{ConnectError, ConnectFailure};
pub use sshd::{DROP_IN, is_read_first};

/// The kinds of what stands on hosts, `HOST/NAME` each.
pub const KINDS: [&str; 9] =
    ["package", "host_group", "docker", "host_user", "sudoers", "file", "python_venv", "service", "sshd"];

/// Where a host lists what `infra` put there: `STACK/KIND/NAME`, each a file of one line.
pub const OWNED: &str = "/var/lib/infra";

/// How long a host that should be up may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a host may take that has only just been started.
pub const BOOT_PATIENCE: Duration = Duration::from_mins(5);

/// The stack's hosts.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    shared: Arc<Shared>,
    /// What was read in this pass.
    read: Arc<Mutex<BTreeMap<String, Reading>>>,
}

/// What a host told, once it was asked.
type Reading = Arc<OnceCell<Arc<Facts>>>;

#[derive(Debug, Default)]
struct Shared {
    stack: String,
    places: BTreeMap<String, Place>,
    files: Files,
    gateway: Option<Gateway>,
    trust_first: bool,
    endpoints: Mutex<BTreeMap<String, Endpoint>>,
    sessions: Mutex<BTreeMap<String, Arc<OnceCell<Session>>>>,
    queues: Mutex<BTreeMap<String, batch::Queue>>,
    round_trips: RoundTrips,
    sockets: Mutex<Option<tempfile::TempDir>>,
}

/// How often something was sent to a host and answered. Told when all is done: `-v` shows it.
#[derive(Debug, Default)]
struct RoundTrips(AtomicUsize);

impl RoundTrips {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for RoundTrips {
    fn drop(&mut self) {
        let round_trips = *self.0.get_mut();
        if round_trips > 0 {
            tracing::debug!(round_trips, "done with the hosts");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Maps that are only ever changed by one insert stay whole, whatever panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// A short folder of our own: the path of a control socket may have 61 bytes at most.
    fn sockets(&self) -> anyhow::Result<PathBuf> {
        let mut folder = lock(&self.sockets);
        if let Some(folder) = &*folder {
            return Ok(folder.path().to_owned());
        }
        let made =
            tempfile::Builder::new().prefix("infra-").tempdir_in("/tmp").context("cannot make a folder in /tmp")?;
        let path = made.path().to_owned();
        *folder = Some(made);
        Ok(path)
    }
}

/// How the hosts of a stack are reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The folder for the ssh configuration and the pinned keys of instances.
    pub folder: PathBuf,
    /// The folder for the pinned keys of servers.
    pub servers: PathBuf,
    /// The way into the local cloud's network, where it has hosts.
    pub gateway: Option<Gateway>,
    /// Whether a host whose key is pinned nowhere is believed at the first meeting.
    pub trust_first: bool,
    /// Whether the configuration is one that no other command of this stack writes.
    pub own_config: bool,
}

impl Hosts {
    /// The hosts of `stack`.
    pub fn new(stack: &str, places: impl IntoIterator<Item = Place>, access: Access) -> Self {
        let Access { folder, servers, gateway, trust_first, own_config } = access;
        let places = places.into_iter().map(|place| (place.name.clone(), place)).collect();
        let files = Files::new(folder, servers);
        let files = if own_config { files.with_own_config() } else { files };
        let shared = Shared { stack: stack.to_owned(), places, files, gateway, trust_first, ..Shared::default() };
        Self { shared: Arc::new(shared), read: Arc::default() }
    }

    /// The same hosts with nothing remembered of earlier reads; connections stay.
    #[must_use]
    pub fn unread(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), read: Arc::default() }
    }

    /// The hosts that the spec has, by name.
    pub fn places(&self) -> &BTreeMap<String, Place> {
        &self.shared.places
    }

    /// The files that hold the way to the hosts.
    pub fn files(&self) -> &Files {
        &self.shared.files
    }

    /// The way into the local cloud's network.
    pub fn gateway(&self) -> Option<&Gateway> {
        self.shared.gateway.as_ref()
    }

    /// Whether a host's key is believed at the first meeting.
    pub fn trusts_first(&self) -> bool {
        self.shared.trust_first
    }

    /// Takes note of where a host is. All that it jumps through must be noted too before it is connected to.
    pub fn locate(&self, host: &str, endpoint: Endpoint) -> anyhow::Result<()> {
        let mut endpoints = lock(&self.shared.endpoints);
        if endpoints.get(host) != Some(&endpoint) {
            // Another machine of the same name: what was connected is not it.
            lock(&self.shared.sessions).remove(host);
            endpoints.insert(host.to_owned(), endpoint);
        }
        self.shared.files.write_config(&self.shared.places, &endpoints, self.shared.gateway.as_ref())
    }

    /// Where a host is, once that was noted.
    pub fn endpoint(&self, host: &str) -> Option<Endpoint> {
        lock(&self.shared.endpoints).get(host).cloned()
    }

    /// The connection to a host; made once.
    async fn session(&self, host: &str, patience: Duration) -> anyhow::Result<Arc<OnceCell<Session>>> {
        let cell = Arc::clone(lock(&self.shared.sessions).entry(host.to_owned()).or_default());
        cell.get_or_try_init(|| self.connect(host, patience)).await?;
        Ok(cell)
    }

    /// Connects to a host that may be starting still.
    pub async fn wait_for(&self, host: &str) -> anyhow::Result<()> {
        self.session(host, BOOT_PATIENCE).await.map(drop)
    }

    /// Everything there is to know about a host; asked once a pass.
    pub async fn facts(&self, host: &str) -> anyhow::Result<Arc<Facts>> {
        let cell = Arc::clone(lock(&self.read).entry(host.to_owned()).or_default());
        cell.get_or_try_init(|| async { Ok(Arc::new(self.probe(host).await?)) }).await.cloned()
    }

    async fn probe(&self, host: &str) -> anyhow::Result<Facts> {
        let session = self.session(host, PATIENCE).await?;
        let session = session.get().context("the connection is gone")?;
        let mut lines = Vec::new();
        self.run(session, host, &probe::script(&self.shared.stack), |line| lines.push(line.to_owned())).await?;
        facts::read(&lines).with_context(|| format!("{host}: its answer cannot be understood"))
    }

    /// Runs a script on a host that is located, as root, for as long as it takes; each line that it prints is handed to
    /// `told` as it comes. The script goes on to its end, or to its next line, where nobody waits for it any more.
    pub async fn script(&self, host: &str, script: &str, told: impl FnMut(&str) + Send) -> anyhow::Result<()> {
        let cell = self.session(host, PATIENCE).await?;
        let session = cell.get().context("the connection is gone")?;
        let ran = self.run(session, host, script, told).await;
        if ran.is_err() {
            // It may be the connection that failed: the next one is a new one.
            lock(&self.shared.sessions).remove(host);
        }
        ran
    }

    /// How often something was sent to a host and answered, so far: connections and scripts.
    pub fn round_trips(&self) -> usize {
        self.shared.round_trips.0.load(Ordering::Relaxed)
    }

    /// Ends all connections.
    pub async fn close(&self) {
        let sessions = std::mem::take(&mut *lock(&self.shared.sessions));
        for (_, cell) in sessions {
            if let Some(session) = Arc::into_inner(cell).and_then(OnceCell::into_inner) {
                // One that is lost already is closed.
                let _ = session.close().await;
            }
        }
    }
}
