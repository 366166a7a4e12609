//! A toy cloud, toy kinds, and runs of the engine on them.

mod cloud;
mod kinds;
mod spec;

use std::{future::Future, time::Duration};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

pub use self::{cloud::*, kinds::*, spec::*};
use crate::{Address, Event, Graph, Options, Outcome, Plan, Selection, Step, apply, observe, plan};

pub fn options(parallelism: usize) -> (Options, UnboundedReceiver<Event>) {
    let (events, told) = unbounded_channel();
    (Options { parallelism, cancel: CancellationToken::new(), events }, told)
}

/// Observes, plans and applies.
pub async fn run(toy: &Toy, graph: &Graph<Toy>) -> (Plan, Outcome) {
    let known = observe(KINDS, toy).await.expect("the world can be read");
    let plan = plan(KINDS, graph, &known, Selection::All);
    let (options, _told) = options(4);
    let outcome = apply(&plan, KINDS, graph, known, toy, &options).await;
    (plan, outcome)
}

/// Observes and plans.
pub async fn look(toy: &Toy, graph: &Graph<Toy>) -> Plan {
    let known = observe(KINDS, toy).await.expect("the world can be read");
    plan(KINDS, graph, &known, Selection::All)
}

/// Runs, and insists on success.
pub async fn converge(toy: &Toy, spec: &Spec) -> Plan {
    let (plan, outcome) = run(toy, &spec.graph()).await;
    assert!(outcome.is_complete(), "{:#?}", outcome.failed);
    plan
}

/// Nothing left to do, nothing twice, nothing too many.
pub async fn assert_converged(toy: &Toy, spec: &Spec) {
    let plan = look(toy, &spec.graph()).await;
    assert!(plan.is_empty(), "{:#?}", texts(&plan));
    assert_eq!(toy.live().into_keys().collect::<std::collections::BTreeSet<_>>(), spec.addresses());
}

/// A toy where `spec` stands already, for longer than anything lags.
pub async fn standing(ways: Ways, spec: &Spec) -> Toy {
    let toy = Toy::new(ways);
    converge(&toy, spec).await;
    tokio::time::sleep(Duration::from_hours(1)).await;
    toy.restart();
    toy
}

/// `create vpc/main`, or `replace` for both halves of a replacement.
pub fn text(step: &Step) -> String {
    let half = if step.replaces.is_some() { " (replace)" } else { "" };
    format!("{} {}{half}", step.action.verb(), step.address)
}

pub fn texts(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(text).collect()
}

pub fn find(plan: &Plan, wanted: &str) -> usize {
    let found = plan.steps.iter().position(|step| format!("{} {}", step.action.verb(), step.address) == wanted);
    found.unwrap_or_else(|| panic!("no step {wanted} in {:#?}", texts(plan)))
}

/// Where an effect stands in the toy's log.
pub fn place(toy: &Toy, wanted: &str) -> usize {
    let state = toy.state();
    let found = state.log.iter().position(|what| what == wanted);
    found.unwrap_or_else(|| panic!("no {wanted} in {:#?}", state.log))
}

pub fn address(kind: &'static str, name: &str) -> Address {
    Address::new(kind, name)
}

/// Runs on a paused clock, for tests that are not async by themselves.
pub fn block_on<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(what)
}
