//! What was observed.

use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

use serde_json::Value;

use crate::{Address, Ref, Resource, World};

pub(crate) type Facts = Arc<dyn Any + Send + Sync>;

/// One observed object.
#[derive(Clone)]
pub struct Item {
    pub(crate) facts: Facts,
    /// The object's id in the world: `vpc-0a1b`.
    pub id: String,
    pub(crate) guard: Option<String>,
    pub(crate) losses: Vec<String>,
    pub(crate) view: fn(&Facts) -> Value,
    pub(crate) outputs: fn(&Facts) -> Vec<(&'static str, String)>,
}

impl Item {
    /// What was observed, for a reader.
    pub fn view(&self) -> Value {
        (self.view)(&self.facts)
    }

    /// What others want to know of the object: addresses, names, ports.
    pub fn outputs(&self) -> Vec<(&'static str, String)> {
        (self.outputs)(&self.facts)
    }

    /// Why the object may not be deleted, if so.
    pub fn guard(&self) -> Option<&str> {
        self.guard.as_deref()
    }
}

/// The observed objects by their address.
#[derive(Default, Clone)]
pub struct Inventory {
    pub(crate) items: BTreeMap<Address, Item>,
    /// Objects that claim an address which another one has.
    pub(crate) rivals: Vec<(Address, Item)>,
}

impl Inventory {
    /// What was observed of the linked resource; `None` while it does not exist or is being replaced.
    pub fn get<W: World, R: Resource<W>>(&self, link: &Ref<R>) -> Option<&R::Observed> {
        self.items.get(link.address())?.facts.downcast_ref()
    }

    /// What was observed at a kind's address.
    pub fn find<W: World, R: Resource<W>>(&self, name: &str) -> Option<&R::Observed> {
        self.items.get(&Address::new(R::KIND, name))?.facts.downcast_ref()
    }

    /// Everything observed of one kind, by name.
    pub fn all<W: World, R: Resource<W>>(&self) -> impl Iterator<Item = (&str, &R::Observed)> {
        self.items
            .iter()
            .filter(|(address, _)| address.kind == R::KIND)
            .filter_map(|(address, item)| Some((address.name.as_str(), item.facts.downcast_ref()?)))
    }

    /// The object at `address`.
    pub fn item(&self, address: &Address) -> Option<&Item> {
        self.items.get(address)
    }

    /// Everything observed, in the order of addresses.
    pub fn items(&self) -> impl Iterator<Item = (&Address, &Item)> {
        self.items.iter()
    }

    /// Objects that claim an address at which another one was observed, too. Which of them is the one cannot be told:
    /// [`crate::observe`] refuses such a world, [`crate::observe_all`] does not.
    pub fn rivals(&self) -> impl Iterator<Item = (&Address, &Item)> {
        self.rivals.iter().map(|(address, item)| (address, item))
    }

    /// The object of this id at `address`, of all that claim it.
    pub(crate) fn claimant(&self, address: &Address, id: Option<&str>) -> Option<&Item> {
        let claims = self.rivals.iter().filter(|(rival, _)| rival == address).map(|(_, item)| item);
        let mut claims = self.items.get(address).into_iter().chain(claims);
        match id {
            Some(id) => claims.find(|item| item.id == id),
            None => claims.next(),
        }
    }

    /// Forgets the object of this id at `address`.
    pub(crate) fn forget(&mut self, address: &Address, id: &str) {
        if self.items.get(address).is_some_and(|item| item.id == id) {
            self.items.remove(address);
        } else {
            self.rivals.retain(|(rival, item)| rival != address || item.id != id);
        }
    }

    /// True when an object stands at `address`.
    pub fn contains(&self, address: &Address) -> bool {
        self.items.contains_key(address)
    }

    /// How many objects were observed.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True when nothing was observed.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.items.iter().map(|(address, item)| (address.to_string(), &item.id))).finish()
    }
}
