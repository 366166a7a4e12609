//! The desired resources and how they refer to each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    Address, Origin, Ref, Resource, World,
    resource::{Desired, Erased},
};

pub(crate) struct Node<W> {
    pub(crate) desired: Box<dyn Erased<W>>,
    pub(crate) origin: Option<Origin>,
}

/// The desired resources. Insertion order is a topological order: a [`Ref`] exists only after its target.
pub struct Graph<W> {
    nodes: BTreeMap<Address, Node<W>>,
    order: Vec<Address>,
}

impl<W> Default for Graph<W> {
    fn default() -> Self {
        Self { nodes: BTreeMap::new(), order: Vec::new() }
    }
}

impl<W: World> Graph<W> {
    /// Adds a resource that no line of a file asks for by itself.
    ///
    /// # Panics
    /// If the address is taken: whoever builds the graph has checked its input for two things of one name.
    pub fn add<R: Resource<W>>(&mut self, name: impl Into<String>, resource: R) -> Ref<R> {
        self.insert(name.into(), resource, None)
    }

    /// Adds a resource that `origin` asks for.
    ///
    /// # Panics
    /// As [`Graph::add`].
    pub fn add_at<R: Resource<W>>(&mut self, origin: Origin, name: impl Into<String>, resource: R) -> Ref<R> {
        self.insert(name.into(), resource, Some(origin))
    }

    fn insert<R: Resource<W>>(&mut self, name: String, resource: R, origin: Option<Origin>) -> Ref<R> {
        let address = Address::new(R::KIND, name);
        let node = Node { desired: Box::new(Desired(resource)), origin };
        let previous = self.nodes.insert(address.clone(), node);
        assert!(previous.is_none(), "{address} was added twice");
        self.order.push(address.clone());
        Ref::to(address)
    }

    /// Forgets the resources that `keep` is false for. Links to them remain, and lead to what stands there already.
    pub fn retain(&mut self, keep: impl Fn(&Address) -> bool) {
        self.order.retain(|address| keep(address));
        self.nodes.retain(|address, _| keep(address));
    }

    /// True when the graph asks for `address`.
    pub fn contains(&self, address: &Address) -> bool {
        self.nodes.contains_key(address)
    }

    /// How many resources are desired.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True when nothing is desired.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The addresses, targets before those that refer to them.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.order.iter()
    }

    /// Where the resource was asked for.
    pub fn origin(&self, address: &Address) -> Option<&Origin> {
        self.nodes.get(address)?.origin.as_ref()
    }

    /// The resources that are `chosen`, and all that these need without a wait (see [`Resource::needs`]).
    pub fn with_needs(&self, chosen: impl Fn(&Address) -> bool) -> BTreeSet<Address> {
        let mut part: BTreeSet<Address> = self.order.iter().filter(|address| chosen(address)).cloned().collect();
        let mut open: Vec<Address> = part.iter().cloned().collect();
        while let Some(address) = open.pop() {
            let needs = self.nodes.get(&address).map(|node| node.desired.needs()).unwrap_or_default();
            open.extend(needs.into_iter().filter(|needed| part.insert((*needed).clone())).cloned());
        }
        part
    }

    /// The desired fields, for a reader.
    pub fn fields(&self, address: &Address) -> Option<Value> {
        Some(self.nodes.get(address)?.desired.fields())
    }

    pub(crate) fn node(&self, address: &Address) -> Option<&Node<W>> {
        self.nodes.get(address)
    }

    pub(crate) fn in_order(&self) -> impl Iterator<Item = (&Address, &Node<W>)> {
        self.order.iter().map(|address| (address, &self.nodes[address]))
    }
}
