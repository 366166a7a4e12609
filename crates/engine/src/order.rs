//! In which order a plan's steps go: what the registry says about kinds, and what each step waits for.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Action, Address, Graph, Kind, Step, StepId, World};

/// What the registry says about the order of kinds.
pub(crate) struct Order<'a, W: 'static> {
    kinds: &'a [Kind<W>],
    rows: BTreeMap<&'static str, usize>,
    /// For each kind, every kind that comes after it, directly or through others.
    followers: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

impl<'a, W: World> Order<'a, W> {
    /// # Panics
    /// If the registry names a kind twice or has kinds that come after themselves.
    pub(crate) fn of(kinds: &'a [Kind<W>]) -> Self {
        let rows: BTreeMap<&'static str, usize> =
            kinds.iter().enumerate().map(|(row, kind)| (kind.name, row)).collect();
        assert!(rows.len() == kinds.len(), "the registry names a kind twice");
        let mut followers: BTreeMap<&'static str, BTreeSet<&'static str>> = BTreeMap::new();
        for kind in kinds {
            // All that this kind comes after, to the roots.
            let mut open: Vec<&'static str> = kind.after.to_vec();
            let mut seen = BTreeSet::new();
            while let Some(name) = open.pop() {
                assert!(name != kind.name, "the registry has {name} come after itself");
                if seen.insert(name) {
                    followers.entry(name).or_default().insert(kind.name);
                    open.extend(rows.get(name).into_iter().flat_map(|&row| kinds[row].after));
                }
            }
        }
        Self { kinds, rows, followers }
    }

    pub(crate) fn rank(&self, kind: &str) -> usize {
        self.rows.get(kind).copied().unwrap_or(usize::MAX)
    }

    pub(crate) fn kind(&self, name: &str) -> &'a Kind<W> {
        &self.kinds[*self.rows.get(name).expect("every address has a registered kind")]
    }

    pub(crate) fn followers(&self, kind: &str) -> impl Iterator<Item = &'static str> {
        self.followers.get(kind).into_iter().flatten().copied()
    }

    /// # Panics
    /// If `address` refers to a kind that it does not come after: nothing would order their deletes.
    pub(crate) fn check_refs(&self, address: &Address, refs: &[&Address]) {
        for target in refs {
            let follows = self.followers.get(target.kind).is_some_and(|kinds| kinds.contains(address.kind));
            assert!(
                follows,
                "{address} refers to {target}, but the kind {} is not AFTER {}",
                address.kind, target.kind
            );
        }
    }
}

/// The deletes of a kind that have the same waits: those that make room for a successor, and the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deletes {
    kind: &'static str,
    replaces: bool,
}

impl Deletes {
    fn both(kind: &'static str) -> [Self; 2] {
        [false, true].map(|replaces| Self { kind, replaces })
    }
}

/// Updates of one kind that wait, directly or through others, for the same deletes.
type Updates = (&'static str, BTreeSet<Deletes>);

/// Says what each step waits for.
///
/// Some waits are musts: a new object needs what it refers to and its predecessor's place, and nothing is deleted
/// while something that could refer to it is still to be deleted. These never form a circle: deletes wait for deletes
/// of later kinds only, and the rest follows the graph. Others are wishes: what still refers to an object lets go
/// of it before it is deleted. A wish that would close a circle is dropped.
pub(crate) fn wire<W: World>(steps: &mut [Step], order: &Order<'_, W>, desired: &Graph<W>) {
    let mut makes: BTreeMap<Address, StepId> = BTreeMap::new();
    let mut deletes: BTreeMap<Address, StepId> = BTreeMap::new();
    let mut groups: BTreeSet<Deletes> = BTreeSet::new();
    for (id, step) in steps.iter().enumerate() {
        if step.action == Action::Delete {
            deletes.insert(step.address.clone(), id);
            groups.insert(Deletes { kind: step.address.kind, replaces: step.replaces.is_some() });
        } else {
            makes.insert(step.address.clone(), id);
        }
    }
    let deleted: BTreeSet<&'static str> = groups.iter().map(|group| group.kind).collect();
    for step in steps.iter_mut() {
        let kind = order.kind(step.address.kind);
        if step.action == Action::Delete {
            step.waits.deletes_of.extend(order.followers(kind.name).filter(|name| deleted.contains(name)));
            continue;
        }
        let refs = desired.node(&step.address).map(|node| node.desired.refs()).unwrap_or_default();
        step.waits.steps.extend(refs.into_iter().filter_map(|target| makes.get(target)));
        if matches!(step.action, Action::Create { .. }) {
            step.waits.steps.extend(deletes.get(&step.address));
            if kind.exclusive && deleted.contains(kind.name) {
                step.waits.deletes_of.insert(kind.name);
            }
        }
    }
    let updates = classes(steps, &groups, &makes, desired);
    if updates.is_empty() {
        return;
    }
    let wishes = wishes(&groups, &updates, order);
    for step in steps.iter_mut().filter(|step| step.action == Action::Delete) {
        let group = Deletes { kind: step.address.kind, replaces: step.replaces.is_some() };
        let granted = &wishes[&group];
        let kinds: BTreeSet<&'static str> = granted.iter().map(|(kind, _)| *kind).collect();
        for kind in kinds {
            if updates.keys().filter(|class| class.0 == kind).all(|class| granted.contains(class)) {
                step.waits.updates_of.insert(kind);
            } else {
                let these = granted.iter().filter(|class| class.0 == kind);
                step.waits.steps.extend(these.flat_map(|class| &updates[*class]));
            }
        }
    }
}

/// The updates by kind and by the deletes that they wait for.
fn classes<W: World>(
    steps: &[Step],
    groups: &BTreeSet<Deletes>,
    makes: &BTreeMap<Address, StepId>,
    desired: &Graph<W>,
) -> BTreeMap<Updates, Vec<StepId>> {
    let mut classes: BTreeMap<Updates, Vec<StepId>> = BTreeMap::new();
    if groups.is_empty() || !steps.iter().any(|step| matches!(step.action, Action::Update { .. })) {
        return classes;
    }
    let mut behind: Vec<BTreeSet<Deletes>> = vec![BTreeSet::new(); steps.len()];
    for (id, step) in desired.addresses().filter_map(|address| makes.get(address)).map(|&id| (id, &steps[id])) {
        let mut found = BTreeSet::new();
        for &needed in &step.waits.steps {
            if steps[needed].action == Action::Delete {
                found.insert(Deletes { kind: step.address.kind, replaces: true });
            } else {
                found.extend(&behind[needed]);
            }
        }
        found.extend(
            step.waits.deletes_of.iter().flat_map(|&kind| Deletes::both(kind)).filter(|it| groups.contains(it)),
        );
        if matches!(step.action, Action::Update { .. }) {
            classes.entry((step.address.kind, found.clone())).or_default().push(id);
        }
        behind[id] = found;
    }
    classes
}

/// For each group of deletes, the updates that can come before it.
fn wishes<'u, W: World>(
    groups: &BTreeSet<Deletes>,
    updates: &'u BTreeMap<Updates, Vec<StepId>>,
    order: &Order<'_, W>,
) -> BTreeMap<Deletes, BTreeSet<&'u Updates>> {
    let mut wishes: BTreeMap<Deletes, BTreeSet<&Updates>> =
        groups.iter().map(|&group| (group, BTreeSet::new())).collect();
    // Orphans first: what is replaced has had to do with its dependents' diffs already.
    for replaces in [false, true] {
        for &group in groups.iter().filter(|group| group.replaces == replaces) {
            let followers: BTreeSet<&'static str> = order.followers(group.kind).collect();
            for class in updates.keys().filter(|(kind, _)| followers.contains(kind)) {
                if !comes_after(class, group, &wishes, order) {
                    wishes.entry(group).or_default().insert(class);
                }
            }
        }
    }
    wishes
}

/// True when the updates wait for the deletes, by way of whatever else.
fn comes_after<W: World>(
    updates: &Updates,
    deletes: Deletes,
    wishes: &BTreeMap<Deletes, BTreeSet<&Updates>>,
    order: &Order<'_, W>,
) -> bool {
    let mut open: Vec<Deletes> = updates.1.iter().copied().collect();
    let mut seen = BTreeSet::new();
    while let Some(group) = open.pop() {
        if group == deletes {
            return true;
        }
        if seen.insert(group) {
            open.extend(order.followers(group.kind).flat_map(Deletes::both).filter(|it| wishes.contains_key(it)));
            open.extend(wishes.get(&group).into_iter().flatten().flat_map(|class| &class.1));
        }
    }
    false
}
