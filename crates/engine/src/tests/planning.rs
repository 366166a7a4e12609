//! What a plan holds.

use serde_json::json;

use super::toy::*;
use crate::{Change, Diff, Effect, Selection, Summary, observe, plan};

#[tokio::test(start_paused = true)]
async fn replacing_cascades_to_what_depends_and_no_further() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.subnets.insert("b", ("main", 7, false));
    let plan = look(&toy, &spec.graph()).await;
    let mut steps = texts(&plan);
    steps.sort();
    let expected = [
        "create instance/two (replace)",
        "create subnet/b (replace)",
        "delete instance/two (replace)",
        "delete subnet/b (replace)",
        "update table/b",
    ];
    assert_eq!(steps, expected);
    assert_eq!(plan.summary(), Summary { create: 0, update: 1, replace: 2, delete: 0 });
    let cause = plan.steps[find(&plan, "delete instance/two")].replaces.clone().unwrap();
    assert_eq!(cause.changes[0].field, "subnet");
    assert!(cause.changes[0].to.to_string().contains("subnet/b"), "{cause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_change_in_place_stays_where_it_is() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.vpcs.insert("main", (0, false));
    spec.instances.insert("one", ("a", vec!["in"], 0, 5));
    let plan = look(&toy, &spec.graph()).await;
    assert_eq!(texts(&plan), ["update vpc/main", "update instance/one"]);
    let json = serde_json::to_value(&plan.steps[1]).unwrap();
    let id = &toy.live()["instance/one"].id;
    let change = json!([{"field": "size", "from": "0", "to": "5", "effect": "interrupts"}]);
    let origin = json!({"file": "toy.yaml", "line": 8, "column": 1});
    // Equality of maps, whatever the order of their keys.
    let expected = json!({
        "address": "instance/one", "layer": "hosts", "action": "update", "diff": change, "id": id, "origin": origin,
        "waits": {},
    });
    assert_eq!(json, expected);
}

#[tokio::test(start_paused = true)]
async fn a_step_says_where_it_was_asked_for_and_an_orphan_that_nobody_asked() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.buckets = [("other", (0, true))].into();
    let plan = look(&toy, &spec.graph()).await;
    let origin = plan.steps[find(&plan, "create bucket/other")].origin.clone();
    assert_eq!(origin.unwrap().to_string(), "toy.yaml:7");
    let orphan = &plan.steps[find(&plan, "delete bucket/data")];
    assert_eq!((orphan.origin.as_ref(), &orphan.id), (None, &Some(toy.live()["bucket/data"].id.clone())));
    let create = serde_json::to_value(&plan.steps[find(&plan, "create bucket/other")]).unwrap();
    assert_eq!(create["fields"], json!({"region": 0, "versions": true}));
}

fn protected() -> Spec {
    Spec { protected: ["two"].into(), ..Spec::sample() }
}

#[tokio::test(start_paused = true)]
async fn what_is_guarded_is_refused_and_what_it_would_take_along_stays() {
    let toy = standing(Ways::default(), &protected()).await;
    let mut spec = protected();
    spec.subnets.insert("b", ("main", 7, false));
    let plan = look(&toy, &spec.graph()).await;
    assert_eq!(plan.refused.len(), 1);
    let refusal = &plan.refused[0];
    assert_eq!(refusal.address, address("instance", "two"));
    assert_eq!(refusal.reason, "`protect` is set");
    assert!(refusal.replaces.as_ref().is_some_and(Diff::replaces) && refusal.origin.is_some());
    assert!(!plan.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refused_replacement_does_not_cascade() {
    // A guarded thing that others depend on: plant the guard on the subnet itself.
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let subnet = toy.live()["subnet/b"].clone();
    let mut fields = subnet.fields.clone();
    fields.insert("protect", "true".into());
    toy.change(&address("subnet", "b"), &subnet.id, fields, subnet.links).await.unwrap();
    let mut spec = Spec::sample();
    spec.subnets.insert("b", ("main", 7, false));
    let plan = look(&toy, &spec.graph()).await;
    assert_eq!(plan.refused[0].address, address("subnet", "b"));
    assert!(plan.steps.is_empty(), "{:?}", texts(&plan));
}

#[tokio::test(start_paused = true)]
async fn a_guarded_orphan_is_refused_too_and_destroy_says_so() {
    let toy = standing(Ways::default(), &protected()).await;
    let plan = look(&toy, &Spec::default().graph()).await;
    assert_eq!(plan.refused[0].address, address("instance", "two"));
    assert_eq!((plan.refused[0].replaces.as_ref(), plan.refused[0].origin.as_ref()), (None, None));
    assert!(serde_json::to_value(&plan).unwrap()["refused"][0]["reason"].is_string());
}

#[tokio::test(start_paused = true)]
async fn orphans_are_kept_when_asked_for() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.nats.clear();
    spec.buckets = [("other", (0, true))].into();
    let known = observe(KINDS, &toy).await.unwrap();
    let plan = plan(KINDS, &spec.graph(), &known, Selection::KeepOrphans);
    assert_eq!(texts(&plan), ["update table/b", "create bucket/other"]);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_plan_keeps_what_it_needs() {
    let toy = Toy::new(Ways::default());
    let plan = look(&toy, &Spec::sample().graph()).await;
    let part = plan.only(&|wanted| *wanted == address("nat", "a"));
    assert_eq!(texts(&part), ["create vpc/main", "create subnet/a", "create nat/a"]);
    assert_eq!(part.steps[2].waits.steps, [1].into());
    assert!(plan.only(&|_| false).is_empty());
    assert_eq!(plan.only(&|_| true), plan);
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_plan_has_whole_replacements() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.vpcs.insert("main", (9, true));
    spec.buckets.clear();
    let plan = look(&toy, &spec.graph()).await;
    // The VPC can go only after all that is in it; none of that is left without its successor.
    let part = plan.only(&|wanted| *wanted == address("vpc", "main"));
    assert_eq!(part.steps.len(), plan.steps.len() - 1);
    assert_eq!(part.summary(), Summary { delete: 0, ..plan.summary() });
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_plan_keeps_its_own_refusals_only() {
    let toy = standing(Ways::default(), &protected()).await;
    let plan = look(&toy, &Spec::default().graph()).await;
    assert_eq!(plan.only(&|wanted| wanted.kind == "instance").refused.len(), 1);
    assert_eq!(plan.only(&|wanted| wanted.kind == "bucket").refused.len(), 0);
}

#[test]
fn a_diff_tells_field_by_field() {
    let mut diff = Diff::default();
    let tags = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    diff.map::<String>("tags", &tags(&[("a", "1"), ("b", "1")]), &tags(&[("b", "2"), ("c", "1")]))
        .set("rules", &["x", "y"].into(), &["y", "z"].into())
        .field("same", &1, &1)
        .interrupting("type", "m5", "m6");
    let fields: Vec<&str> = diff.changes.iter().map(|change| change.field.as_str()).collect();
    assert_eq!(fields, ["tags.a", "tags.b", "tags.c", "rules", "type"]);
    let change = |field: &str, from, to| Change { field: field.into(), from, to, effect: Effect::InPlace };
    assert_eq!(diff.changes[0], change("tags.a", json!("1"), json!(null)));
    assert_eq!(diff.changes[3], change("rules", json!(["x"]), json!(["z"])));
    assert!(diff.touches("tags") && diff.touches("tags.a") && !diff.touches("tag") && !diff.replaces());
    assert!(diff.fixed("cidr", "a", "b").replaces());
}
