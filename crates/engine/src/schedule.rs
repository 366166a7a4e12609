//! Which step may start: counts what each step still waits for, and prefers those with the longest way to go.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Action, Kind, Plan, StepId};

/// A thing that steps wait for: another step, or a group of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gate {
    Step(StepId),
    Deletes(&'static str),
    Updates(&'static str),
}

struct Group {
    /// Members that have not ended.
    open: usize,
    waiting: Vec<StepId>,
    /// The member whose loss keeps the gate shut.
    lost: Option<StepId>,
}

pub(crate) struct Schedule {
    gates: BTreeMap<Gate, Group>,
    /// The gates that each step belongs to.
    member_of: Vec<Vec<Gate>>,
    /// How many gates each step still waits for.
    shut: Vec<usize>,
    /// By falling urgency.
    ready: BTreeSet<(std::cmp::Reverse<u64>, StepId)>,
    /// Those of `ready`'s sort that the world gathers: they need no room of their own.
    ready_gathered: Vec<StepId>,
    gathered: Vec<bool>,
    urgency: Vec<u64>,
    /// Steps that were neither started nor skipped.
    left: BTreeSet<StepId>,
}

impl Schedule {
    pub(crate) fn of<W>(plan: &Plan, kinds: &[Kind<W>]) -> Self {
        let mut gates: BTreeMap<Gate, Group> = BTreeMap::new();
        let mut shut = vec![0; plan.steps.len()];
        for (id, step) in plan.steps.iter().enumerate() {
            let waits = &step.waits;
            let wanted = waits.steps.iter().map(|&other| Gate::Step(other));
            let wanted = wanted.chain(waits.deletes_of.iter().map(|&kind| Gate::Deletes(kind)));
            for gate in wanted.chain(waits.updates_of.iter().map(|&kind| Gate::Updates(kind))) {
                let group = gates.entry(gate).or_insert(Group { open: 0, waiting: Vec::new(), lost: None });
                group.waiting.push(id);
                shut[id] += 1;
            }
        }
        let mut member_of: Vec<Vec<Gate>> = vec![Vec::new(); plan.steps.len()];
        for (id, step) in plan.steps.iter().enumerate() {
            let group = match step.action {
                Action::Delete => Some(Gate::Deletes(step.address.kind)),
                Action::Update { .. } => Some(Gate::Updates(step.address.kind)),
                Action::Create { .. } => None,
            };
            for gate in [Some(Gate::Step(id)), group].into_iter().flatten() {
                if let Some(group) = gates.get_mut(&gate) {
                    group.open += 1;
                    member_of[id].push(gate);
                }
            }
        }
        // A group without members (a plan that was cut down) holds nobody back.
        for group in gates.values().filter(|group| group.open == 0) {
            for &id in &group.waiting {
                shut[id] -= 1;
            }
        }
        let mut schedule = Self {
            urgency: vec![0; plan.steps.len()],
            left: (0..plan.steps.len()).collect(),
            ready: BTreeSet::new(),
            ready_gathered: Vec::new(),
            gathered: gathered(plan, kinds),
            gates,
            member_of,
            shut,
        };
        schedule.urgency = schedule.urgencies(plan, kinds);
        for id in 0..plan.steps.len() {
            if schedule.shut[id] == 0 {
                schedule.make_ready(id);
            }
        }
        schedule
    }

    /// For each step, the typical seconds of the longest chain that begins with it.
    fn urgencies<W>(&self, plan: &Plan, kinds: &[Kind<W>]) -> Vec<u64> {
        let typical: BTreeMap<&str, u64> =
            kinds.iter().map(|kind| (kind.name, u64::from(kind.typical_seconds))).collect();
        // Topological order by the same counts that the execution uses.
        let mut shut = self.shut.clone();
        let mut open: BTreeMap<Gate, usize> = self.gates.iter().map(|(gate, group)| (*gate, group.open)).collect();
        let mut order: Vec<StepId> = (0..shut.len()).filter(|&id| shut[id] == 0).collect();
        let mut next = 0;
        while next < order.len() {
            for gate in &self.member_of[order[next]] {
                let count = open.get_mut(gate).expect("a step belongs to known gates only");
                *count -= 1;
                if *count == 0 {
                    for &id in &self.gates[gate].waiting {
                        shut[id] -= 1;
                        if shut[id] == 0 {
                            order.push(id);
                        }
                    }
                }
            }
            next += 1;
        }
        assert!(order.len() == shut.len(), "the plan's steps wait for each other in a circle");
        let mut urgency = vec![0_u64; shut.len()];
        let mut behind: BTreeMap<Gate, u64> = BTreeMap::new();
        for &id in order.iter().rev() {
            let longest = self.member_of[id].iter().map(|gate| {
                *behind
                    .entry(*gate)
                    .or_insert_with(|| self.gates[gate].waiting.iter().map(|&later| urgency[later]).max().unwrap_or(0))
            });
            let longest = longest.max().unwrap_or(0);
            urgency[id] = longest + typical.get(plan.steps[id].address.kind).copied().unwrap_or(1);
        }
        urgency
    }

    /// Takes a step that waits for nothing: one that is gathered, or the most urgent other one if there is room.
    pub(crate) fn next(&mut self, room: bool) -> Option<StepId> {
        let id = match self.ready_gathered.pop() {
            Some(id) => id,
            None if room => self.ready.pop_first()?.1,
            None => return None,
        };
        self.left.remove(&id);
        Some(id)
    }

    /// Whether the step needs no room of its own.
    pub(crate) fn is_gathered(&self, id: StepId) -> bool {
        self.gathered[id]
    }

    fn make_ready(&mut self, id: StepId) {
        if self.gathered[id] {
            self.ready_gathered.push(id);
        } else {
            self.ready.insert((std::cmp::Reverse(self.urgency[id]), id));
        }
    }

    pub(crate) fn done(&mut self, id: StepId) {
        for gate in self.member_of[id].clone() {
            let group = self.gates.get_mut(&gate).expect("a step belongs to known gates only");
            group.open -= 1;
            if group.open == 0 && group.lost.is_none() {
                for waiting in group.waiting.clone() {
                    self.shut[waiting] -= 1;
                    if self.shut[waiting] == 0 && self.left.contains(&waiting) {
                        self.make_ready(waiting);
                    }
                }
            }
        }
    }

    /// Ends a step without success; returns all that can no longer start, each with the step in its way.
    pub(crate) fn lost(&mut self, id: StepId) -> Vec<(StepId, StepId)> {
        let mut skipped = Vec::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            for gate in self.member_of[id].clone() {
                let group = self.gates.get_mut(&gate).expect("a step belongs to known gates only");
                group.open -= 1;
                group.lost.get_or_insert(id);
                for &waiting in &group.waiting {
                    if self.left.remove(&waiting) {
                        skipped.push((waiting, id));
                        open.push(waiting);
                    }
                }
            }
        }
        skipped
    }

    /// Steps that were neither started nor skipped.
    pub(crate) fn left(&self) -> impl Iterator<Item = StepId> {
        self.left.iter().copied()
    }
}

fn gathered<W>(plan: &Plan, kinds: &[Kind<W>]) -> Vec<bool> {
    let names: BTreeSet<&str> = kinds.iter().filter(|kind| kind.gathered).map(|kind| kind.name).collect();
    plan.steps.iter().map(|step| names.contains(step.address.kind)).collect()
}
