//! Reading the world: all kinds at once, as far as their needs allow.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use thiserror::Error;
use tokio::{sync::Mutex, time::Instant};

use crate::{Address, Inventory, Kind, World, inventory::Item};

/// Why the world could not be read.
#[derive(Debug, Error)]
pub enum ObserveError {
    /// A kind's objects could not be listed.
    #[error("cannot read the stack's {kind} objects")]
    Kind {
        /// The kind.
        kind: &'static str,
        /// What went wrong.
        #[source]
        source: anyhow::Error,
    },
    /// Objects claim one address, so that none can be told to be the one.
    #[error("{}", claimed(.0))]
    Claimed(
        /// The addresses, each with the ids of all that claim it.
        Vec<(Address, Vec<String>)>,
    ),
}

fn claimed(claims: &[(Address, Vec<String>)]) -> String {
    let lines = claims.iter().map(|(address, ids)| {
        let number = if ids.len() == 2 { "two".to_owned() } else { ids.len().to_string() };
        format!("{number} objects claim the address {address}: {}", ids.join(" and "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The first pause before reading again, and the longest that pauses grow to.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));

/// Reads everything that the stack owns; an error where two objects claim one address. See [`observe_all`].
pub async fn observe<W: World>(kinds: &[Kind<W>], world: &W) -> Result<Inventory, ObserveError> {
    let inventory = observe_all(kinds, world).await?;
    if inventory.rivals.is_empty() {
        return Ok(inventory);
    }
    let mut claims: BTreeMap<&Address, Vec<String>> = BTreeMap::new();
    for (address, rival) in &inventory.rivals {
        let first = || vec![inventory.items[address].id.clone()];
        claims.entry(address).or_insert_with(first).push(rival.id.clone());
    }
    Err(ObserveError::Claimed(claims.into_iter().map(|(address, ids)| (address.clone(), ids)).collect()))
}

/// Reads everything that the stack owns, with all the objects that claim one address. Kinds are read concurrently; one
/// whose `OBSERVES_AFTER` names others waits for those and sees what they found. Reads that contradict the world's own
/// recent writes are repeated until they agree or the time in which they may disagree has passed.
pub async fn observe_all<W: World>(kinds: &[Kind<W>], world: &W) -> Result<Inventory, ObserveError> {
    let mut view = world.unread();
    let mut pause = PAUSES.0;
    loop {
        let result = pass(kinds, &view).await;
        let mut names = BTreeSet::new();
        match &result {
            // One of two rivals may be a predecessor that is gone: as long as reads may be late, nothing was seen.
            Ok(inventory) if !inventory.rivals.is_empty() => {}
            Ok(inventory) => {
                for (address, item) in inventory.items() {
                    names.insert(format!("{address}={}", item.id));
                    names.insert(address.to_string());
                }
            }
            Err(_) => return result,
        }
        let left = world.unsettled(&|object| names.contains(object)).unwrap_or_default();
        if left.is_zero() {
            return result;
        }
        tokio::time::sleep(left.min(pause)).await;
        pause = (pause * 2).min(PAUSES.1);
        view = world.unread();
    }
}

async fn pass<W: World>(kinds: &[Kind<W>], view: &W) -> Result<Inventory, ObserveError> {
    let mut found: BTreeMap<&'static str, Vec<(String, Item)>> = BTreeMap::new();
    let mut left: Vec<&Kind<W>> = kinds.iter().collect();
    let mut reads = FuturesUnordered::new();
    loop {
        let registered = |name: &&&str| kinds.iter().any(|kind| kind.name == **name);
        let (ready, later): (Vec<&Kind<W>>, Vec<&Kind<W>>) = left
            .iter()
            .partition(|kind| kind.observes_after.iter().filter(registered).all(|name| found.contains_key(name)));
        left = later;
        for kind in ready {
            let needed = kind.observes_after.iter().filter_map(|&name| Some((name, found.get(name)?)));
            let known = gather(needed.map(|(kind, items)| (kind, items.clone())));
            reads.push(async move { (kind.name, (kind.observe)(view, &known).await) });
        }
        let Some((kind, result)) = reads.next().await else { break };
        found.insert(kind, result.map_err(|source| ObserveError::Kind { kind, source })?);
    }
    assert!(
        left.is_empty(),
        "the registry's OBSERVES_AFTER form a cycle among {:?}",
        left.iter().map(|kind| kind.name).collect::<Vec<_>>()
    );
    Ok(gather(found))
}

fn gather(found: impl IntoIterator<Item = (&'static str, Vec<(String, Item)>)>) -> Inventory {
    let mut inventory = Inventory::default();
    for (kind, items) in found {
        for (name, item) in items {
            let address = Address::new(kind, name);
            match inventory.items.entry(address) {
                Entry::Vacant(free) => drop(free.insert(item)),
                Entry::Occupied(taken) => inventory.rivals.push((taken.key().clone(), item)),
            }
        }
    }
    inventory
}

type Reading = BTreeMap<String, Vec<Item>>;

/// Reads one kind again while a plan is carried out. Those who ask while a read is under way share the next one, so
/// that many creates at once don't cost a read each.
pub(crate) struct Reader<'a, W: 'static> {
    kind: &'a Kind<W>,
    begun: AtomicU64,
    latest: Mutex<Option<(u64, Arc<Reading>)>>,
}

/// What is looked for: the object at an address, but not the one that the plan deleted there, which may still be shown.
pub(crate) struct Wanted<'a> {
    pub(crate) address: &'a Address,
    pub(crate) predecessor: Option<&'a str>,
    /// For how long the object may yet appear.
    pub(crate) patience: Duration,
}

impl<'a, W: World> Reader<'a, W> {
    pub(crate) fn of(kind: &'a Kind<W>) -> Self {
        Self { kind, begun: AtomicU64::new(0), latest: Mutex::new(None) }
    }

    /// Returns the object, if there is one by now.
    pub(crate) async fn look(
        &self,
        world: &W,
        known: &(dyn Fn() -> Inventory + Sync),
        wanted: Wanted<'_>,
        mut waiting: impl FnMut(),
    ) -> Result<Option<Item>, ObserveError> {
        let Wanted { address, predecessor, patience } = wanted;
        let deadline = Instant::now() + patience;
        let mut pause = PAUSES.0;
        loop {
            let reading = self.read(world, known).await?;
            let claims = reading.get(&address.name).into_iter().flatten();
            let claims: Vec<&Item> = claims.filter(|item| Some(item.id.as_str()) != predecessor).collect();
            match *claims {
                [] => {}
                [item] => return Ok(Some(item.clone())),
                _ => {
                    let ids = claims.iter().map(|item| item.id.clone()).collect();
                    return Err(ObserveError::Claimed(vec![(address.clone(), ids)]));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            waiting();
            tokio::time::sleep(left.min(pause)).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn read(&self, world: &W, known: &(dyn Fn() -> Inventory + Sync)) -> Result<Arc<Reading>, ObserveError> {
        let asked = self.begun.load(Ordering::Relaxed);
        let mut latest = self.latest.lock().await;
        if let Some((_, reading)) = latest.as_ref().filter(|(begun, _)| *begun > asked) {
            return Ok(Arc::clone(reading));
        }
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let known = if self.kind.observes_after.is_empty() { Inventory::default() } else { known() };
        let found = (self.kind.observe)(&world.unread(), &known).await;
        let found = found.map_err(|source| ObserveError::Kind { kind: self.kind.name, source })?;
        let mut reading = Reading::new();
        for (name, item) in found {
            reading.entry(name).or_default().push(item);
        }
        let reading = Arc::new(reading);
        *latest = Some((begun, Arc::clone(&reading)));
        Ok(reading)
    }
}
