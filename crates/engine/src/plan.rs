//! Deciding what to change. Pure: no clock, no network, no randomness.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{
    Address, Diff, Graph, Inventory, Kind, Origin, World,
    graph::Node,
    inventory::Item,
    order::{Order, wire},
};

/// A step's place in [`Plan::steps`].
pub type StepId = usize;

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Makes the object.
    Create {
        /// The desired fields.
        fields: Value,
    },
    /// Changes the object in place.
    Update {
        /// What differs.
        diff: Diff,
    },
    /// Deletes the object.
    Delete,
}

impl Action {
    /// `create`, `update` or `delete`.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Delete => "delete",
        }
    }
}

/// What a step waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Waits {
    /// These steps.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub steps: BTreeSet<StepId>,
    /// Every delete step of these kinds.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub deletes_of: BTreeSet<&'static str>,
    /// Every update step of these kinds.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub updates_of: BTreeSet<&'static str>,
}

/// One thing to do. A replacement is two steps: a delete and a create of one address, both with its cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The resource.
    pub address: Address,
    /// The part of the stack that it belongs to.
    pub layer: &'static str,
    /// What to do.
    #[serde(flatten, serialize_with = "action")]
    pub action: Action,
    /// The id of the object that is changed or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// For both halves of a replacement: the fields that force it, and those that change with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Diff>,
    /// Where the resource was asked for; nothing for an orphan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What carries the object, where that is new: the host that a user is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Address>,
    /// What goes with an object that is deleted or replaced and does not come back, a phrase each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<String>,
    /// What the step waits for.
    pub waits: Waits,
}

// `flatten` on a Serialize-only type; nothing is ever read back through it.
fn action<S: Serializer>(action: &Action, serializer: S) -> Result<S::Ok, S::Error> {
    action.serialize(serializer)
}

/// An object that the plan would have to delete but that is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The protected resource.
    pub address: Address,
    /// Its object.
    pub id: String,
    /// Why it may not be deleted.
    pub reason: String,
    /// What it would have been replaced for; nothing where it is no longer desired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Diff>,
    /// Where the resource is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// What to do, in which order, and what is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The steps; a step may wait for any other.
    pub steps: Vec<Step>,
    /// Protected objects that stand in the way. A plan that has some is not carried out.
    pub refused: Vec<Refusal>,
}

/// How many steps of each sort; a replacement counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Objects to make.
    pub create: usize,
    /// Objects to change.
    pub update: usize,
    /// Objects to delete and make again.
    pub replace: usize,
    /// Objects to delete.
    pub delete: usize,
}

impl Plan {
    /// True when the world is as desired.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.refused.is_empty()
    }

    /// The totals.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for step in &self.steps {
            match (&step.action, step.replaces.is_some()) {
                (Action::Create { .. }, true) => summary.replace += 1,
                (Action::Create { .. }, false) => summary.create += 1,
                (Action::Update { .. }, _) => summary.update += 1,
                (Action::Delete, false) => summary.delete += 1,
                (Action::Delete, true) => {}
            }
        }
        summary
    }

    /// The part of the plan that `chosen` addresses need: their steps and all that those wait for. A replacement is
    /// never cut in half: where something is deleted to be made again, making it belongs to the part.
    #[must_use]
    pub fn only(&self, chosen: &dyn Fn(&Address) -> bool) -> Plan {
        let mut halves: BTreeMap<&Address, Vec<StepId>> = BTreeMap::new();
        for (id, step) in self.steps.iter().enumerate().filter(|(_, step)| step.replaces.is_some()) {
            halves.entry(&step.address).or_default().push(id);
        }
        let mut members = Members::of(&self.steps);
        let mut keep: BTreeSet<StepId> = (0..self.steps.len()).filter(|&id| chosen(&self.steps[id].address)).collect();
        let mut open: Vec<StepId> = keep.iter().copied().collect();
        while let Some(id) = open.pop() {
            let step = &self.steps[id];
            let mut needed: Vec<StepId> = step.waits.steps.iter().copied().collect();
            // A group is needed as a whole, and once is enough.
            needed
                .extend(step.waits.deletes_of.iter().flat_map(|kind| members.deletes.remove(kind).unwrap_or_default()));
            needed
                .extend(step.waits.updates_of.iter().flat_map(|kind| members.updates.remove(kind).unwrap_or_default()));
            needed.extend(halves.get(&step.address).into_iter().flatten().filter(|_| step.replaces.is_some()));
            open.extend(needed.into_iter().filter(|&other| keep.insert(other)));
        }
        let new_id: BTreeMap<StepId, StepId> = keep.iter().enumerate().map(|(new, &old)| (old, new)).collect();
        let steps = keep.iter().map(|&old| {
            let mut step = self.steps[old].clone();
            step.waits.steps = step.waits.steps.iter().filter_map(|id| new_id.get(id).copied()).collect();
            step
        });
        let refused = self.refused.iter().filter(|refusal| chosen(&refusal.address)).cloned().collect();
        Plan { steps: steps.collect(), refused }
    }

    /// The steps that step `id` waits for.
    pub fn waited_for(&self, id: StepId) -> Vec<StepId> {
        let waits = &self.steps[id].waits;
        let of_kinds = self.steps.iter().enumerate().filter(|(other, step)| {
            *other != id
                && match step.action {
                    Action::Delete => waits.deletes_of.contains(step.address.kind),
                    Action::Update { .. } => waits.updates_of.contains(step.address.kind),
                    Action::Create { .. } => false,
                }
        });
        let mut all: BTreeSet<StepId> = of_kinds.map(|(other, _)| other).collect();
        all.extend(&waits.steps);
        all.into_iter().collect()
    }
}

/// The steps that belong to the groups which [`Waits`] names.
#[derive(Default)]
struct Members {
    deletes: BTreeMap<&'static str, Vec<StepId>>,
    updates: BTreeMap<&'static str, Vec<StepId>>,
}

impl Members {
    fn of(steps: &[Step]) -> Self {
        let mut members = Self::default();
        for (id, step) in steps.iter().enumerate() {
            match step.action {
                Action::Delete => members.deletes.entry(step.address.kind).or_default().push(id),
                Action::Update { .. } => members.updates.entry(step.address.kind).or_default().push(id),
                Action::Create { .. } => {}
            }
        }
        members
    }
}

/// Whether a plan's deletes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Create, change and delete.
    All,
    /// Delete nothing that is merely no longer desired.
    KeepOrphans,
}

/// Compares what is desired with what is known and decides what to do.
pub fn plan<W: World>(kinds: &[Kind<W>], desired: &Graph<W>, known: &Inventory, selection: Selection) -> Plan {
    let order = Order::of(kinds);
    let mut planner = Planner { order: &order, settled: known.clone(), plan: Plan::default() };
    for (address, node) in desired.in_order() {
        if known.rivals().any(|(rival, _)| rival == address) {
            planner.refuse_rivals(address, node, known);
        } else {
            planner.decide(address, node, known.item(address));
        }
    }
    if selection == Selection::All {
        // Later kinds first, which is the order in which they will go.
        let mut orphans: Vec<(&Address, &Item)> =
            known.items().chain(known.rivals()).filter(|(address, _)| !desired.contains(address)).collect();
        orphans.sort_by_key(|(address, _)| std::cmp::Reverse(order.rank(address.kind)));
        for (address, item) in orphans {
            planner.retire(address, item, None, None);
        }
    }
    let Planner { mut plan, .. } = planner;
    wire(&mut plan.steps, &order, desired);
    plan
}

struct Planner<'a, W: 'static> {
    order: &'a Order<'a, W>,
    /// What is known and stays. A resource that is being replaced is hidden from those that refer to it, so that
    /// replacement cascades; not so where it is refused.
    settled: Inventory,
    plan: Plan,
}

impl<W: World> Planner<'_, W> {
    fn decide(&mut self, address: &Address, node: &Node<W>, item: Option<&Item>) {
        self.order.check_refs(address, &node.desired.refs());
        // What is on something that goes is gone with it.
        let carried = node.desired.within().is_none_or(|carrier| self.settled.contains(carrier));
        let Some(item) = item.filter(|_| carried) else {
            let create = Action::Create { fields: node.desired.fields() };
            let step = self.push(address, create, None, None, node.origin.clone());
            step.within = node.desired.within().filter(|_| !carried).cloned();
            return;
        };
        let diff = node.desired.diff(item, &self.settled);
        if diff.is_empty() {
            return;
        }
        if diff.replaces() {
            if self.retire(address, item, Some(diff.clone()), node.origin.clone()) {
                self.settled.items.remove(address);
                let create = Action::Create { fields: node.desired.fields() };
                self.push(address, create, None, Some(diff), node.origin.clone()).losses.clone_from(&item.losses);
            }
        } else {
            self.push(address, Action::Update { diff }, Some(item.id.clone()), None, node.origin.clone());
        }
    }

    /// Plans a delete, unless the object is protected; says whether it did.
    fn retire(&mut self, address: &Address, item: &Item, replaces: Option<Diff>, origin: Option<Origin>) -> bool {
        if let Some(reason) = item.guard() {
            let (address, id, reason) = (address.clone(), item.id.clone(), reason.to_owned());
            self.plan.refused.push(Refusal { address, id, reason, replaces, origin });
            return false;
        }
        let step = self.push(address, Action::Delete, Some(item.id.clone()), replaces, origin);
        step.losses.clone_from(&item.losses);
        true
    }

    /// Refuses to choose between objects that claim one address.
    fn refuse_rivals(&mut self, address: &Address, node: &Node<W>, known: &Inventory) {
        for (_, rival) in known.rivals().filter(|(rival, _)| *rival == address) {
            let first = known.item(address).map_or("another object", |item| item.id.as_str());
            let (address, id, origin) = (address.clone(), rival.id.clone(), node.origin.clone());
            let reason = format!("{first} claims this address too, and only one of them can be it");
            self.plan.refused.push(Refusal { address, id, reason, replaces: None, origin });
        }
    }

    fn push(
        &mut self,
        address: &Address,
        action: Action,
        id: Option<String>,
        replaces: Option<Diff>,
        origin: Option<Origin>,
    ) -> &mut Step {
        let layer = self.order.kind(address.kind).layer;
        let waits = Waits::default();
        let (address, losses) = (address.clone(), Vec::new());
        let within = None;
        self.plan.steps.push(Step { address, layer, action, id, replaces, origin, within, losses, waits });
        self.plan.steps.last_mut().expect("a step was just added")
    }
}
