//! Reading the world: all kinds at once, as far as their needs allow.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use thiserror::Error;

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
    /// Two objects claim one address, so that neither can be told to be the one.
    #[error("two objects claim the address {address}: {} and {}", .ids[0], .ids[1])]
    Claimed {
        /// The address.
        address: Address,
        /// The ids of both.
        ids: [String; 2],
    },
}

const PAUSE: Duration = Duration::from_millis(500);

/// Reads everything that the stack owns. Kinds are read concurrently; one whose `OBSERVES_AFTER` names others waits
/// for those. Reads that contradict the world's own recent writes are repeated until they agree or the time in
/// which they may disagree has passed.
pub async fn observe<W: World>(kinds: &[Kind<W>], world: &W) -> Result<Inventory, ObserveError> {
    let mut view = world.unread();
    loop {
        let result = pass(kinds, &view).await;
        let mut names = BTreeSet::new();
        match &result {
            Ok(inventory) => {
                for (address, item) in inventory.items() {
                    names.insert(format!("{address}={}", item.id));
                    names.insert(address.to_string());
                }
            }
            // One of the two may be a predecessor that is gone: as long as reads may be late, nothing was seen.
            Err(ObserveError::Claimed { .. }) => {}
            Err(ObserveError::Kind { .. }) => return result,
        }
        let left = world.unsettled(&|object| names.contains(object)).unwrap_or_default();
        if left.is_zero() {
            return result;
        }
        tokio::time::sleep(left.min(PAUSE)).await;
        view = world.unread();
    }
}

async fn pass<W: World>(kinds: &[Kind<W>], view: &W) -> Result<Inventory, ObserveError> {
    let mut inventory = Inventory::default();
    let mut left: Vec<&Kind<W>> = kinds.iter().collect();
    while !left.is_empty() {
        let unread: Vec<&str> = left.iter().map(|kind| kind.name).collect();
        let (ready, later): (Vec<&Kind<W>>, Vec<&Kind<W>>) =
            left.iter().partition(|kind| !kind.observes_after.iter().any(|name| unread.contains(name)));
        assert!(!ready.is_empty(), "the registry's OBSERVES_AFTER form a cycle among {unread:?}");
        let known = &inventory;
        let mut reads: FuturesUnordered<_> =
            ready.iter().map(|kind| async move { (kind.name, (kind.observe)(view, known).await) }).collect();
        let mut found = BTreeMap::new();
        while let Some((kind, result)) = reads.next().await {
            found.insert(kind, result.map_err(|source| ObserveError::Kind { kind, source })?);
        }
        drop(reads);
        for (kind, items) in found {
            for (name, item) in items {
                claim(&mut inventory, Address::new(kind, name), item)?;
            }
        }
        left = later;
    }
    Ok(inventory)
}

fn claim(inventory: &mut Inventory, address: Address, item: Item) -> Result<(), ObserveError> {
    if let Some(other) = inventory.items.get(&address) {
        return Err(ObserveError::Claimed { ids: [other.id.clone(), item.id], address });
    }
    inventory.items.insert(address, item);
    Ok(())
}

/// Reads one kind again and returns the object at `address`, if there is one by now. Its predecessor, which this plan
/// deleted, may still be shown and is not meant.
pub(crate) async fn look_again<W: World>(
    kind: &Kind<W>,
    world: &W,
    known: &Inventory,
    address: &Address,
    predecessor: Option<&str>,
    patience: Duration,
    mut waiting: impl FnMut(),
) -> Result<Option<Item>, ObserveError> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let view = world.unread();
        let found = (kind.observe)(&view, known).await;
        let found = found.map_err(|source| ObserveError::Kind { kind: kind.name, source })?;
        let mut seen = Inventory::default();
        let found = found.into_iter().filter(|(_, item)| Some(item.id.as_str()) != predecessor);
        for (name, item) in found.filter(|(name, _)| *name == address.name) {
            claim(&mut seen, Address::new(kind.name, name), item)?;
        }
        if let Some(item) = seen.items.remove(address) {
            return Ok(Some(item));
        }
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        waiting();
        tokio::time::sleep(left.min(PAUSE)).await;
    }
}
