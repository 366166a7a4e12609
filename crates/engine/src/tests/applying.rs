//! Carrying a plan out: failures, cancellation, bounds, events.

use std::{collections::BTreeMap, time::Duration};

use super::toy::*;
use crate::{Event, Outcome, Plan, Selection, apply, observe, plan};

async fn begin(toy: &Toy, spec: &Spec) -> (Plan, crate::Inventory) {
    let known = observe(KINDS, toy).await.unwrap();
    (plan(KINDS, &spec.graph(), &known, Selection::All), known)
}

async fn carry_out(toy: &Toy, spec: &Spec, parallelism: usize) -> (Plan, Outcome, Vec<Event>) {
    let (plan, known) = begin(toy, spec).await;
    let (options, mut told) = options(parallelism);
    let outcome = apply(&plan, KINDS, &spec.graph(), known, toy, &options).await;
    drop(options);
    let mut events = Vec::new();
    while let Some(event) = told.recv().await {
        events.push(event);
    }
    (plan, outcome, events)
}

#[tokio::test(start_paused = true)]
async fn a_failure_skips_what_is_behind_it_and_nothing_else() {
    let toy = Toy::new(Ways::default());
    toy.state().broken.insert("create subnet/a".into());
    let (plan, outcome, events) = carry_out(&toy, &Spec::sample(), 4).await;
    assert_eq!(outcome.failed.len(), 1);
    assert_eq!(outcome.failed[0].address, address("subnet", "a"));
    assert_eq!(format!("{:#}", outcome.failed[0].error), "create subnet/a is broken");
    let mut skipped: Vec<String> =
        outcome.skipped.iter().map(|skipped| format!("{} < {}", skipped.address, skipped.because)).collect();
    skipped.sort();
    assert_eq!(skipped, ["instance/one < subnet/a", "nat/a < subnet/a", "table/b < nat/a"]);
    assert_eq!(outcome.done.len() + outcome.failed.len() + outcome.skipped.len(), plan.steps.len());
    assert!(outcome.cancelled.is_empty() && !outcome.is_complete());
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Skipped { .. })).count(), 3);
    assert!(toy.live().contains_key("instance/two") && toy.live().contains_key("bucket/data"));
    // Mended, the next run does the rest.
    toy.restart();
    toy.state().broken.clear();
    let rest = converge(&toy, &Spec::sample()).await;
    assert_eq!(rest.steps.len(), 4);
    assert_converged(&toy, &Spec::sample()).await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_fails_keeps_what_it_stands_on_and_its_successor_out() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    toy.state().broken.insert("delete instance/two".into());
    let mut spec = Spec::sample();
    spec.subnets.insert("b", ("main", 7, false));
    let (_, outcome, _) = carry_out(&toy, &spec, 4).await;
    let skipped: Vec<String> = outcome.skipped.iter().map(|skipped| skipped.address.to_string()).collect();
    assert_eq!(outcome.failed.len(), 1);
    assert!(skipped.contains(&"subnet/b".into()) && skipped.contains(&"instance/two".into()), "{skipped:?}");
    assert!(outcome.inventory.contains(&address("instance", "two")));
    assert!(toy.live().contains_key("subnet/b"));
}

#[tokio::test(start_paused = true)]
async fn once_cancelled_running_steps_finish_and_none_starts() {
    let toy = Toy::new(Ways { pace: |_| Duration::from_secs(10), ..Ways::default() });
    let spec = Spec::sample();
    let (plan, known) = begin(&toy, &spec).await;
    let (options, mut told) = options(4);
    let cancel = options.cancel.clone();
    let graph = spec.graph();
    let (outcome, ()) = tokio::join!(apply(&plan, KINDS, &graph, known, &toy, &options), async {
        // Amid the first steps, of two writes each.
        tokio::time::sleep(Duration::from_secs(4)).await;
        cancel.cancel();
    });
    let mut done: Vec<String> = outcome.done.iter().map(|&id| text(&plan.steps[id])).collect();
    done.sort();
    assert_eq!(done, ["create bucket/data", "create vpc/main"]);
    assert!(outcome.failed.is_empty() && outcome.skipped.is_empty());
    assert_eq!(outcome.cancelled.len(), plan.steps.len() - 2);
    assert_eq!(toy.live().len(), 2);
    drop(options);
    let mut started = 0;
    while let Some(event) = told.recv().await {
        started += usize::from(matches!(event, Event::Started { .. }));
    }
    assert_eq!(started, 2);
    // The next run does the rest.
    toy.restart();
    converge(&toy, &spec).await;
    assert_converged(&toy, &spec).await;
}

#[tokio::test(start_paused = true)]
async fn never_more_at_once_than_allowed() {
    for parallelism in [0, 1, 3, 32] {
        let most = parallelism.clamp(1, 5);
        let toy = Toy::new(Ways::default());
        let (_, outcome, events) = carry_out(&toy, &Spec::sample(), parallelism).await;
        assert!(outcome.is_complete());
        assert!(toy.state().most <= most, "at parallelism {parallelism}");
        let (mut running, mut peak) = (0_usize, 0);
        for event in events {
            match event {
                Event::Started { .. } => running += 1,
                Event::Finished { .. } => running -= 1,
                _ => {}
            }
            peak = peak.max(running);
        }
        assert_eq!((running, peak), (0, most));
    }
}

#[tokio::test(start_paused = true)]
async fn events_tell_the_story_in_order() {
    let toy = Toy::new(Ways::default());
    toy.state().broken.insert("create nat/a".into());
    let (plan, outcome, events) = carry_out(&toy, &Spec::sample(), 2).await;
    let mut stories: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for event in &events {
        let (step, what) = match event {
            Event::Started { step, .. } => (*step, "started"),
            Event::Progress { step, .. } => (*step, "progress"),
            Event::Finished { step, error: None, id, .. } => {
                assert!(id.is_some());
                (*step, "done")
            }
            Event::Finished { step, error: Some(error), id, .. } => {
                assert!(error.contains("broken") && id.is_none());
                (*step, "failed")
            }
            Event::Skipped { step, .. } => (*step, "skipped"),
            Event::Cancelling => continue,
        };
        stories.entry(step).or_default().push(what);
    }
    assert_eq!(stories.len(), plan.steps.len());
    for (id, story) in stories {
        let expected: &[&str] = match text(&plan.steps[id]).as_str() {
            "create nat/a" => &["started", "progress", "failed"],
            "create table/b" => &["skipped"],
            _ => &["started", "progress", "done"],
        };
        assert_eq!(story, expected, "{}", text(&plan.steps[id]));
    }
    // What a step waits for has ended before it starts.
    for id in outcome.done {
        let start = |event: &Event| matches!(event, Event::Started { step, .. } if *step == id);
        let start = events.iter().position(start).unwrap();
        for needed in plan.waited_for(id) {
            let end = |event: &Event| matches!(event, Event::Finished { step, .. } if *step == needed);
            assert!(events.iter().position(end).unwrap() < start);
        }
    }
    let finished = events.iter().find(|event| matches!(event, Event::Finished { error: None, .. })).unwrap();
    let json = serde_json::to_value(finished).unwrap();
    assert_eq!(json["event"], "finished");
    assert!(json["seconds"].is_f64() && json["address"].is_string(), "{json}");
}

#[tokio::test(start_paused = true)]
async fn nobody_need_listen() {
    let toy = Toy::new(Ways::default());
    let spec = Spec::sample();
    let (plan, known) = begin(&toy, &spec).await;
    let (options, told) = options(4);
    drop(told);
    assert!(apply(&plan, KINDS, &spec.graph(), known, &toy, &options).await.is_complete());
}

/// The plan saw an empty world; meanwhile somebody made the VPC.
#[tokio::test(start_paused = true)]
async fn what_appeared_since_the_plan_was_made_is_taken_over() {
    let toy = Toy::new(Ways::default());
    let spec = Spec { vpcs: [("main", (0, true))].into(), ..Spec::default() };
    let (plan, known) = begin(&toy, &spec).await;
    converge(&toy, &Spec { vpcs: [("main", (0, false))].into(), ..Spec::default() }).await;
    let (options, _told) = options(4);
    assert!(apply(&plan, KINDS, &spec.graph(), known, &toy, &options).await.is_complete());
    assert_converged(&toy, &spec).await;
    // Not so where it cannot be changed into what is wanted.
    let other = Spec { vpcs: [("main", (5, true))].into(), ..Spec::default() };
    let outcome = apply(&plan, KINDS, &other.graph(), crate::Inventory::default(), &toy, &options).await;
    let text = format!("{:#}", outcome.failed[0].error);
    assert!(text.contains("appeared as vpc/main") && text.contains("plan again"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_plan_from_another_world_is_told() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let (plan, _) = begin(&toy, &Spec::default()).await;
    let (options, _told) = options(4);
    let outcome = apply(&plan, KINDS, &Spec::default().graph(), crate::Inventory::default(), &toy, &options).await;
    assert!(outcome.done.is_empty());
    assert!(format!("{:#}", outcome.failed[0].error).contains("the plan was made from another world"));
}
