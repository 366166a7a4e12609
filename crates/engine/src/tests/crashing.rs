//! The process dies at every write, on either side of its effect; the next run completes the world.

use std::time::Duration;

use super::toy::*;
use crate::{Options, Selection, apply, observe, plan};

/// Dies at every write of the way from `from` to `to`; returns how many deaths there were.
async fn sweep(ways: Ways, from: Option<&Spec>, to: &Spec) -> usize {
    let begin = async || match from {
        Some(spec) => standing(ways, spec).await,
        None => Toy::new(ways),
    };
    let toy = begin().await;
    converge(&toy, to).await;
    let writes = toy.state().writes;
    assert!(writes > 10, "hardly anything to do");
    for write in 1..=writes {
        for after in [false, true] {
            let toy = begin().await;
            toy.state().fuse = Some(Fuse { write, after });
            let (_, outcome) = run(&toy, &to.graph()).await;
            assert!(!outcome.is_complete(), "write {write} did not kill");
            toy.restart();
            let (_, outcome) = run(&toy, &to.graph()).await;
            assert!(outcome.is_complete(), "after a death at write {write} (after: {after}): {:#?}", outcome.failed);
            assert_converged(&toy, to).await;
        }
    }
    2 * writes
}

/// The same with another range, text and region for everything: all but the tables' subjects is replaced.
fn replaced() -> Spec {
    let mut spec = Spec::sample();
    spec.vpcs.insert("main", (9, false));
    spec.buckets.insert("data", (1, false));
    spec
}

/// Names change, ranges stay; one group goes and its peers let go of it; sizes change in place.
fn edited() -> Spec {
    let mut spec = Spec::sample();
    spec.subnets.remove("b");
    spec.subnets.insert("c", ("main", 2, true));
    spec.groups.remove("out");
    spec.rules = [("in", vec!["in"])].into();
    spec.tables.insert("b", ("main", vec!["a"], vec!["c"]));
    spec.instances = [("one", ("a", vec!["in"], 0, 1)), ("two", ("c", vec!["in"], 1, 0))].into();
    spec
}

fn slow(tokens: bool) -> Ways {
    Ways { lag: Duration::from_secs(20), tokens, ..Ways::default() }
}

fn without_journal() -> Ways {
    Ways { journal: false, ..Ways::default() }
}

#[tokio::test(start_paused = true)]
async fn an_apply_that_dies_at_any_write_is_completed_by_the_next() {
    for ways in [Ways::default(), without_journal(), slow(false), slow(true)] {
        assert!(sweep(ways, None, &Spec::sample()).await > 30);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_dies_at_any_write_is_completed_by_the_next() {
    for ways in [Ways::default(), without_journal(), slow(false), slow(true)] {
        assert!(sweep(ways, Some(&Spec::sample()), &replaced()).await > 40);
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_dies_at_any_write_is_completed_by_the_next() {
    for ways in [Ways::default(), without_journal(), slow(false), slow(true)] {
        assert!(sweep(ways, Some(&Spec::sample()), &edited()).await > 20);
    }
}

#[tokio::test(start_paused = true)]
async fn a_destroy_that_dies_at_any_write_is_completed_by_the_next() {
    for ways in [Ways::default(), without_journal(), slow(false), slow(true)] {
        assert!(sweep(ways, Some(&Spec::sample()), &Spec::default()).await > 20);
    }
}

/// Unlike a death at a write, this one cuts every running step short, wherever it is.
#[tokio::test(start_paused = true)]
async fn an_apply_killed_at_any_moment_is_completed_by_the_next() {
    for ways in [without_journal(), slow(false), slow(true)] {
        for moment in 0..40 {
            let toy = standing(ways, &Spec::sample()).await;
            let to = replaced();
            let graph = to.graph();
            let known = observe(KINDS, &toy).await.unwrap();
            let plan = plan(KINDS, &graph, &known, Selection::All);
            let (options, _told): (Options, _) = options(4);
            let running = apply(&plan, KINDS, &graph, known, &toy, &options);
            let _ = tokio::time::timeout(Duration::from_millis(400 * moment + 100), running).await;
            toy.restart();
            converge(&toy, &to).await;
            assert_converged(&toy, &to).await;
        }
    }
}
