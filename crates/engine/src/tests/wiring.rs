//! No registry and no pair of graphs makes steps that wait for each other in a circle, and the musts are kept.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};
use serde::Serialize;

use crate::{
    Action, Address, Attempt, Diff, Effect, Graph, Inventory, Kind, Plan, Resource, Result, Selection, StepContext,
    World, observe, plan, schedule::Schedule, tests::toy::block_on,
};

const KINDS: usize = 6;
const NAMES: [&str; KINDS] = ["k0", "k1", "k2", "k3", "k4", "k5"];

/// A world that only says what is in it.
struct Still(Vec<Vec<String>>);

impl World for Still {
    fn unread(&self) -> Self {
        Self(self.0.clone())
    }

    fn begin_create(&self, _address: &Address) -> Result<Attempt> {
        unreachable!("nothing is applied")
    }
}

/// What the diff of a node against its object shall be, cascades apart.
#[derive(Clone, Copy, Debug, Serialize, PartialEq)]
enum Fate {
    Same,
    Changed,
    Replaced,
}

#[derive(Debug, Serialize)]
struct Node<const K: usize> {
    /// Targets, and whether the link is fixed.
    links: Vec<(Address, bool)>,
    fate: Fate,
}

impl<const K: usize> Resource<Still> for Node<K> {
    const KIND: &'static str = NAMES[K];
    const LAYER: &'static str = "all";
    type Observed = String;

    fn refs(&self) -> Vec<&Address> {
        self.links.iter().map(|(target, _)| target).collect()
    }

    async fn observe(world: &Still, _known: &Inventory) -> Result<Vec<(String, String)>> {
        Ok(world.0[K].iter().map(|name| (name.clone(), name.clone())).collect())
    }

    fn id(observed: &String) -> String {
        observed.clone()
    }

    fn diff(&self, _observed: &String, known: &Inventory) -> Diff {
        let mut diff = Diff::default();
        for (target, _) in self.links.iter().filter(|(target, _)| !known.contains(target)) {
            let effect = if self.links.iter().any(|link| link.0 == *target && link.1) {
                Effect::Replaces
            } else {
                Effect::InPlace
            };
            diff.push("link", "?".into(), target.to_string().into(), effect);
        }
        match self.fate {
            Fate::Same => {}
            Fate::Changed => _ = diff.push("field", 0.into(), 1.into(), Effect::InPlace),
            Fate::Replaced => _ = diff.push("field", 0.into(), 1.into(), Effect::Replaces),
        }
        diff
    }

    async fn create(&self, _cx: &StepContext<'_, Still>) -> Result<String> {
        unreachable!("nothing is applied")
    }

    async fn update(&self, _observed: &String, _diff: &Diff, _cx: &StepContext<'_, Still>) -> Result<String> {
        unreachable!("nothing is applied")
    }

    async fn delete(_observed: &String, _cx: &StepContext<'_, Still>) -> Result<()> {
        unreachable!("nothing is applied")
    }
}

/// A registry: for each kind which of the earlier ones it comes after, and whether it is exclusive.
type Rows = Vec<(Vec<bool>, bool)>;

fn registry(rows: &Rows) -> Vec<Kind<Still>> {
    let mut kinds = vec![
        Kind::of::<Node<0>>(),
        Kind::of::<Node<1>>(),
        Kind::of::<Node<2>>(),
        Kind::of::<Node<3>>(),
        Kind::of::<Node<4>>(),
        Kind::of::<Node<5>>(),
    ];
    for (row, (after, exclusive)) in rows.iter().enumerate() {
        let names: Vec<&'static str> = (0..row).filter(|&other| after[other]).map(|other| NAMES[other]).collect();
        kinds[row].after = names.leak();
        kinds[row].exclusive = *exclusive;
    }
    kinds
}

/// Nodes: kind, name, raw links, fate, and whether there is an object already; orphans: kind and name.
type Draft = (Vec<(usize, u8, Vec<(u8, bool)>, Fate, bool)>, Vec<(usize, u8)>);

fn any_draft() -> impl Strategy<Value = Draft> {
    let fate = prop_oneof![2 => Just(Fate::Same), 2 => Just(Fate::Changed), 1 => Just(Fate::Replaced)];
    let node = (0..KINDS, 0..4_u8, vec((any::<u8>(), any::<bool>()), 0..4), fate, any::<bool>());
    (vec(node, 0..14), vec((0..KINDS, 4..7_u8), 0..8))
}

fn before(kinds: &[Kind<Still>], kind: &str) -> BTreeSet<&'static str> {
    let mut open: Vec<&'static str> =
        kinds.iter().filter(|row| row.name == kind).flat_map(|row| row.after).copied().collect();
    let mut all = BTreeSet::new();
    while let Some(name) = open.pop() {
        if all.insert(name) {
            open.extend(kinds.iter().filter(|row| row.name == name).flat_map(|row| row.after));
        }
    }
    all
}

fn build(kinds: &[Kind<Still>], (nodes, orphans): Draft) -> (Graph<Still>, Still) {
    let mut graph = Graph::default();
    let mut world = Still(vec![Vec::new(); KINDS]);
    for (kind, name, links, fate, stands) in nodes {
        let earlier = before(kinds, NAMES[kind]);
        let targets: Vec<Address> = graph.addresses().filter(|target| earlier.contains(target.kind)).cloned().collect();
        let links = links.into_iter().filter(|_| !targets.is_empty());
        let links = links.map(|(pick, fixed)| (targets[usize::from(pick) % targets.len()].clone(), fixed)).collect();
        let name = name.to_string();
        if graph.contains(&Address::new(NAMES[kind], name.clone())) {
            continue;
        }
        if stands {
            world.0[kind].push(name.clone());
        }
        match kind {
            0 => _ = graph.add(name, Node::<0> { links, fate }),
            1 => _ = graph.add(name, Node::<1> { links, fate }),
            2 => _ = graph.add(name, Node::<2> { links, fate }),
            3 => _ = graph.add(name, Node::<3> { links, fate }),
            4 => _ = graph.add(name, Node::<4> { links, fate }),
            _ => _ = graph.add(name, Node::<5> { links, fate }),
        }
    }
    for (kind, name) in orphans.into_iter().collect::<BTreeSet<_>>() {
        world.0[kind].push(name.to_string());
    }
    (graph, world)
}

/// All that each step waits for, directly or through others.
fn closures(plan: &Plan, kinds: &[Kind<Still>]) -> Vec<BTreeSet<usize>> {
    let mut schedule = Schedule::of(plan, kinds);
    let mut all = vec![BTreeSet::new(); plan.steps.len()];
    while let Some(id) = schedule.next(true) {
        for needed in plan.waited_for(id) {
            let further: BTreeSet<usize> = all[needed].clone();
            all[id].extend(further);
            all[id].insert(needed);
        }
        schedule.done(id);
    }
    assert_eq!(schedule.left().count(), 0, "some step never starts");
    all
}

fn check(plan: &Plan, kinds: &[Kind<Still>], graph: &Graph<Still>) {
    let waits = closures(plan, kinds);
    let mut makes: BTreeMap<&Address, usize> = BTreeMap::new();
    let mut deletes: BTreeMap<&Address, usize> = BTreeMap::new();
    for (id, step) in plan.steps.iter().enumerate() {
        let twin = if step.action == Action::Delete { &mut deletes } else { &mut makes }.insert(&step.address, id);
        assert_eq!(twin, None, "two steps of one sort for {}", step.address);
    }
    for (address, &make) in &makes {
        for target in graph.node(address).expect("it is desired").desired.refs() {
            assert!(makes.get(target).is_none_or(|made| waits[make].contains(made)), "{address} before {target}");
        }
        assert!(
            deletes.get(address).is_none_or(|gone| waits[make].contains(gone)),
            "{address} before its predecessor went"
        );
    }
    for (address, gone) in &deletes {
        for (other, later) in &deletes {
            let follows = before(kinds, address.kind).contains(other.kind);
            assert!(!follows || waits[*later].contains(gone), "{other} is deleted while {address} may refer to it");
            let create = makes.get(other).filter(|&&id| matches!(plan.steps[id].action, Action::Create { .. }));
            let exclusive = kinds.iter().any(|kind| kind.name == address.kind && kind.exclusive);
            if let Some(create) = create.filter(|_| exclusive && other.kind == address.kind) {
                assert!(waits[*create].contains(gone), "{other} is made while {address} has its place");
            }
        }
        // An update lets go before the delete, unless it itself has to wait for a delete of the same sort.
        for (other, &update) in &makes {
            let lets_go = matches!(plan.steps[update].action, Action::Update { .. });
            if !lets_go || !before(kinds, other.kind).contains(address.kind) || waits[*gone].contains(&update) {
                continue;
            }
            let circle = waits[update].iter().any(|&id| plan.steps[id].action == Action::Delete);
            assert!(circle, "{other} lets go of {address} too late, for no reason");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn steps_never_wait_in_a_circle(
        rows in vec((vec(any::<bool>(), KINDS), any::<bool>()), KINDS),
        draft in any_draft(),
        part in any::<u8>(),
    ) {
        let kinds = registry(&rows);
        let (graph, world) = build(&kinds, draft);
        let known = block_on(observe(&kinds, &world)).expect("the world can be read");
        for selection in [Selection::All, Selection::KeepOrphans] {
            let plan = plan(&kinds, &graph, &known, selection);
            check(&plan, &kinds, &graph);
            // A part of a plan is one too, with whole replacements.
            let part = plan.only(&|address| address.name == (part % 4).to_string());
            check(&part, &kinds, &graph);
            for step in part.steps.iter().filter(|step| step.replaces.is_some()) {
                let halves = part.steps.iter().filter(|other| other.address == step.address).count();
                prop_assert_eq!(halves, 2, "half a replacement of {}", step.address);
            }
        }
    }
}

#[test]
#[should_panic(expected = "the registry has k0 come after itself")]
fn a_registry_in_a_circle_is_told() {
    let mut kinds = vec![Kind::of::<Node<0>>(), Kind::of::<Node<1>>()];
    kinds[0].after = &["k1"];
    kinds[1].after = &["k0"];
    let _ = plan(&kinds, &Graph::default(), &Inventory::default(), Selection::All);
}

#[test]
#[should_panic(expected = "k1/b refers to k0/a, but the kind k1 is not AFTER k0")]
fn a_link_to_a_kind_that_one_does_not_come_after_is_told() {
    let kinds = [Kind::of::<Node<0>>(), Kind::of::<Node<1>>()];
    let mut graph = Graph::default();
    let a = graph.add("a", Node::<0> { links: vec![], fate: Fate::Same });
    graph.add("b", Node::<1> { links: vec![(a.address().clone(), true)], fate: Fate::Same });
    let _ = plan(&kinds, &graph, &Inventory::default(), Selection::All);
}
