//! The toy cloud: as forgetful, slow and strict as a real one, and it dies when told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use anyhow::{bail, ensure};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::{Address, Attempt, Result, World};

/// What the toy cloud reports of an object, whatever its kind.
#[derive(Clone, Debug, Serialize)]
pub struct Object {
    pub id: String,
    pub kind: &'static str,
    pub name: String,
    pub fields: BTreeMap<&'static str, String>,
    pub links: BTreeMap<&'static str, BTreeSet<String>>,
    #[serde(skip)]
    token: String,
    #[serde(skip)]
    shown_from: Instant,
    /// Set once it is deleted: until then it is still listed, but not live.
    #[serde(skip)]
    shown_until: Option<Instant>,
}

impl Object {
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn is_live(&self) -> bool {
        self.shown_until.is_none()
    }
}

/// How the cloud and the run behave.
#[derive(Clone, Copy)]
pub struct Ways {
    /// For how long a describe does not show a create, and still shows a delete.
    pub lag: Duration,
    /// Creates with a token seen before answer with the object that it made.
    pub tokens: bool,
    /// The run keeps a journal.
    pub journal: bool,
    /// How long a write takes; it takes effect half way.
    pub pace: fn(&'static str) -> Duration,
}

impl Default for Ways {
    fn default() -> Self {
        Self { lag: Duration::ZERO, tokens: false, journal: true, pace: |_| Duration::from_secs(1) }
    }
}

/// At which write, and on which side of its effect, the process dies.
#[derive(Clone, Copy, Debug)]
pub struct Fuse {
    pub write: usize,
    pub after: bool,
}

#[derive(Clone, Debug)]
enum Entry {
    /// `deleted`: when its predecessor was.
    Creating {
        token: String,
        at: Instant,
        deleted: Option<Instant>,
    },
    Created {
        id: String,
        at: Instant,
    },
    Deleted {
        at: Instant,
    },
}

#[derive(Default)]
pub struct State {
    objects: Vec<Object>,
    next: usize,
    pub writes: usize,
    pub fuse: Option<Fuse>,
    pub dead: bool,
    /// Writes in flight, and the most there ever were.
    running: usize,
    pub most: usize,
    /// How often each kind was listed.
    pub reads: BTreeMap<&'static str, usize>,
    /// Every effect in order: `create vpc/main`.
    pub log: Vec<String>,
    /// Writes to these fail: `create vpc/main`.
    pub broken: BTreeSet<String>,
    journal: BTreeMap<String, Entry>,
}

/// A handle on the cloud; clones share it.
#[derive(Clone, Default)]
pub struct Toy {
    pub ways: Ways,
    state: Arc<Mutex<State>>,
}

impl Toy {
    pub fn new(ways: Ways) -> Self {
        Self { ways, state: Arc::default() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A new process: the fuse is gone, the journal and the cloud are what they were.
    pub fn restart(&self) {
        let mut state = self.state();
        (state.dead, state.fuse, state.writes) = (false, None, 0);
        state.log.clear();
    }

    /// Live objects by address; panics when two share one.
    pub fn live(&self) -> BTreeMap<String, Object> {
        let mut live = BTreeMap::new();
        for object in self.state().objects.iter().filter(|object| object.is_live()) {
            let address = format!("{}/{}", object.kind, object.name);
            let twin = live.insert(address, object.clone());
            assert!(twin.is_none(), "a duplicate: {twin:?} and {object:?}");
        }
        live
    }

    /// Puts an object into the cloud behind the engine's back.
    pub fn plant(&self, kind: &'static str, name: &str) -> String {
        let mut state = self.state();
        let id = format!("{kind}-{}", state.next);
        state.next += 1;
        let (fields, links) = (BTreeMap::new(), BTreeMap::new());
        let (id_, name, token) = (id.clone(), name.to_owned(), String::new());
        let shown_from = Instant::now();
        state.objects.push(Object { id: id_, kind, name, fields, links, token, shown_from, shown_until: None });
        id
    }

    pub async fn list(&self, kind: &'static str) -> Result<Vec<(String, Object)>> {
        sleep(Duration::from_millis(50)).await;
        let now = Instant::now();
        let mut state = self.state();
        ensure!(!state.dead, "the process is dead");
        *state.reads.entry(kind).or_default() += 1;
        let shown = state.objects.iter().filter(|object| {
            object.kind == kind && object.shown_from <= now && object.shown_until.is_none_or(|until| now < until)
        });
        Ok(shown.map(|object| (object.name.clone(), object.clone())).collect())
    }

    async fn write<T>(&self, verb: &str, address: &Address, effect: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let half = (self.ways.pace)(address.kind) / 2;
        {
            let mut state = self.state();
            ensure!(!state.dead, "the process is dead");
            state.running += 1;
            state.most = state.most.max(state.running);
        }
        sleep(half).await;
        let result = {
            let mut state = self.state();
            ensure!(!state.dead, "the process is dead");
            state.writes += 1;
            let fuse = state.fuse.filter(|fuse| fuse.write == state.writes);
            if fuse.is_some_and(|fuse| !fuse.after) {
                state.dead = true;
                bail!("dies before {verb} {address}");
            }
            let what = format!("{verb} {address}");
            ensure!(!state.broken.contains(&what), "{what} is broken");
            let result = effect(&mut state);
            if result.is_ok() {
                state.log.push(what);
            }
            if fuse.is_some() {
                state.dead = true;
                bail!("dies after {verb} {address}");
            }
            result
        };
        sleep(half).await;
        let mut state = self.state();
        state.running -= 1;
        ensure!(!state.dead, "the process is dead");
        result
    }

    pub async fn create(
        &self,
        address: &Address,
        token: &str,
        fields: BTreeMap<&'static str, String>,
        links: BTreeMap<&'static str, BTreeSet<String>>,
    ) -> Result<Object> {
        let Ways { lag, tokens, .. } = self.ways;
        self.write("create", address, |state| {
            if let Some(earlier) = state.objects.iter().find(|object| tokens && object.token == token) {
                ensure!(earlier.is_live(), "IdempotentInstanceTerminated: {token}");
                return Ok(earlier.clone());
            }
            for id in links.values().flatten() {
                ensure!(state.objects.iter().any(|object| object.is_live() && object.id == *id), "NotFound: {id}");
            }
            for other in state.objects.iter().filter(|other| other.is_live() && other.kind == address.kind) {
                match address.kind {
                    "subnet" => ensure!(
                        other.links["vpc"] != links["vpc"] || other.field("range") != fields["range"],
                        "InvalidSubnet.Conflict: {} has the range of {address}",
                        other.id
                    ),
                    "bucket" => ensure!(other.name != address.name, "BucketAlreadyOwnedByYou: {address}"),
                    _ => {}
                }
            }
            let (id, kind, name) = (format!("{}-{}", address.kind, state.next), address.kind, address.name.clone());
            state.next += 1;
            let (token, shown_from) = (token.to_owned(), Instant::now() + lag);
            let object = Object { id, kind, name, fields, links, token, shown_from, shown_until: None };
            state.objects.push(object.clone());
            Ok(object)
        })
        .await
    }

    pub async fn change(
        &self,
        address: &Address,
        id: &str,
        fields: BTreeMap<&'static str, String>,
        links: BTreeMap<&'static str, BTreeSet<String>>,
    ) -> Result<Object> {
        self.write("update", address, |state| {
            for link in links.values().flatten() {
                ensure!(state.objects.iter().any(|object| object.is_live() && object.id == *link), "NotFound: {link}");
            }
            let object = state.objects.iter_mut().find(|object| object.is_live() && object.id == id);
            let Some(object) = object else { bail!("NotFound: {id}") };
            (object.fields, object.links) = (fields, links);
            Ok(object.clone())
        })
        .await
    }

    pub async fn delete(&self, address: &Address, id: &str) -> Result<()> {
        let until = self.ways.lag;
        self.write("delete", address, |state| {
            // As in AWS: a table's route to what is gone becomes a black hole, its association goes with the subnet.
            let holds = |other: &&Object| other.kind != "table" || address.kind == "vpc";
            let mut holders = state.objects.iter().filter(|other| other.is_live()).filter(holds);
            if let Some(holder) = holders.find(|other| other.links.values().flatten().any(|link| link == id)) {
                bail!("DependencyViolation: {} is in use by {}", id, holder.id);
            }
            let Some(object) = state.objects.iter_mut().find(|object| object.is_live() && object.id == id) else {
                return Ok(());
            };
            ensure!(object.field("protect") != "true", "OperationNotPermitted: {id} is protected");
            object.shown_until = Some(Instant::now() + until);
            for table in state.objects.iter_mut().filter(|other| other.kind == "table") {
                for links in table.links.values_mut() {
                    links.remove(id);
                }
            }
            Ok(())
        })
        .await
    }

    fn record(&self, address: &Address, entry: Entry) -> Result<()> {
        let mut state = self.state();
        ensure!(!state.dead, "the process is dead");
        if self.ways.journal {
            state.journal.insert(address.to_string(), entry);
        }
        Ok(())
    }

    /// A little longer than what is waited for.
    fn consistency(&self) -> Duration {
        self.ways.lag + Duration::from_secs(1)
    }
}

impl World for Toy {
    fn unread(&self) -> Self {
        self.clone()
    }

    fn begin_create(&self, address: &Address) -> Result<Attempt> {
        let (earlier, fresh) = {
            let mut state = self.state();
            state.next += 1;
            (state.journal.get(&address.to_string()).cloned(), format!("token-{}", state.next))
        };
        let deleted = match earlier {
            Some(Entry::Deleted { at }) => Some(at),
            Some(Entry::Creating { deleted, .. }) => deleted,
            _ => None,
        };
        let attempt = match earlier {
            Some(Entry::Creating { token, at, .. }) => {
                let patience = self.consistency().saturating_sub(at.elapsed());
                Attempt { token, patience, repeated: true }
            }
            _ => Attempt { token: fresh, ..Attempt::default() },
        };
        self.record(address, Entry::Creating { token: attempt.token.clone(), at: Instant::now(), deleted })?;
        Ok(attempt)
    }

    fn end_create(&self, address: &Address, id: &str) -> Result<()> {
        self.record(address, Entry::Created { id: id.to_owned(), at: Instant::now() })
    }

    fn end_delete(&self, address: &Address) -> Result<()> {
        self.record(address, Entry::Deleted { at: Instant::now() })
    }

    fn unsettled(&self, seen: &dyn Fn(&str) -> bool) -> Option<Duration> {
        let state = self.state();
        let contradicted = state.journal.iter().filter_map(|(address, entry)| match entry {
            Entry::Created { at, id } if !seen(&format!("{address}={id}")) => Some(at),
            Entry::Deleted { at } | Entry::Creating { deleted: Some(at), .. } if seen(address) => Some(at),
            _ => None,
        });
        let left = contradicted.map(|at| self.consistency().saturating_sub(at.elapsed())).max()?;
        (!left.is_zero()).then_some(left)
    }
}
