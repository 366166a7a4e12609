//! How long an apply takes, on a paused clock.

use std::{sync::Mutex, time::Duration};

use proptest::prelude::*;
use tokio::time::Instant;

use super::toy::*;
use crate::{Plan, Selection, apply, observe, plan};

/// As AWS takes them, roughly.
fn pace(kind: &'static str) -> Duration {
    Duration::from_secs(match kind {
        "nat" => 100,
        "instance" => 20,
        "vpc" | "subnet" | "bucket" => 2,
        _ => 1,
    })
}

/// How often a create writes: one call more where a field is set after the birth.
fn seconds(step: &crate::Step) -> f64 {
    let twice = step.action.verb() == "create" && ["vpc", "subnet", "bucket", "instance"].contains(&step.address.kind);
    let look = if step.action.verb() == "create" && step.address.kind != "bucket" { 0.1 } else { 0.0 };
    pace(step.address.kind).as_secs_f64() * if twice { 2.0 } else { 1.0 } + look
}

/// When the step ends if nothing but its waits holds it back.
fn end(plan: &Plan, ends: &mut Vec<Option<f64>>, id: usize) -> f64 {
    if let Some(end) = ends[id] {
        return end;
    }
    let start = plan.waited_for(id).into_iter().map(|needed| end(plan, ends, needed)).fold(0.0, f64::max);
    *ends[id].insert(start + seconds(&plan.steps[id]))
}

fn longest_chain(plan: &Plan) -> f64 {
    let mut ends = vec![None; plan.steps.len()];
    (0..plan.steps.len()).map(|id| end(plan, &mut ends, id)).fold(0.0, f64::max)
}

async fn wall(toy: &Toy, spec: &Spec, parallelism: usize) -> (Plan, f64) {
    let graph = spec.graph();
    let known = observe(KINDS, toy).await.unwrap();
    let plan = plan(KINDS, &graph, &known, Selection::All);
    let (options, _told) = options(parallelism);
    let start = Instant::now();
    assert!(apply(&plan, KINDS, &graph, known, toy, &options).await.is_complete());
    (plan, start.elapsed().as_secs_f64())
}

/// Up to 120 resources in one VPC: a NAT a zone, hosts here and there. No more hosts at once than hands, which is what
/// the bound is about: with more work than hands, not the longest chain but the hands are the limit.
fn any_platform() -> impl Strategy<Value = Spec> {
    (1..20_usize, 0..33_usize, 0..20_usize, 0..20_usize, any::<u64>()).prop_map(
        |(subnets, hosts, groups, buckets, seed)| {
            let name = |number: usize| -> Name { (0..33).map(|i| &*format!("n{i}").leak()).nth(number).unwrap_or("n") };
            let pick = |from: usize, salt: usize| {
                (seed.rotate_left(u32::try_from(salt % 64).unwrap_or(0)) % 1009) as usize % from
            };
            let mut spec = Spec { vpcs: [("main", (0, true))].into(), ..Spec::default() };
            for subnet in 0..subnets {
                spec.subnets.insert(name(subnet), ("main", u8::try_from(subnet).unwrap_or(0), true));
                if subnet < 3 {
                    spec.nats.insert(name(subnet), name(subnet));
                }
                spec.tables.insert(name(subnet), ("main", vec![name(pick(subnets, subnet))], vec![name(subnet)]));
            }
            for group in 0..groups {
                spec.groups.insert(name(group), ("main", 0));
                spec.rules.insert(name(group), vec![name(pick(groups, group))]);
            }
            for host in 0..hosts {
                let member = if groups > 0 { vec![name(pick(groups, host))] } else { vec![] };
                spec.instances.insert(name(host), (name(pick(subnets, host)), member, 0, 0));
            }
            for bucket in 0..buckets {
                spec.buckets.insert(name(bucket), (0, true));
            }
            spec
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_apply_takes_little_more_than_its_longest_chain(spec in any_platform()) {
        block_on(async {
            let toy = Toy::new(Ways { pace, ..Ways::default() });
            for spec in [&spec, &Spec::default()] {
                let (plan, wall) = wall(&toy, spec, 32).await;
                let longest = longest_chain(&plan);
                assert!(wall <= 1.2 * longest, "{wall} s where the longest chain takes {longest} s");
                tell(wall / longest);
            }
        });
    }
}

/// Prints the worst so far, for `make bench`.
fn tell(ratio: f64) {
    static WORST: Mutex<f64> = Mutex::new(0.0);
    let mut worst = WORST.lock().expect("no panic");
    if ratio > *worst {
        *worst = ratio;
        println!("wall time: the longest chain × {ratio:.3}");
    }
}

/// With one hand free, the long way begins first: the NAT, not the many buckets before it in the plan.
#[tokio::test(start_paused = true)]
async fn the_longest_way_is_begun_first() {
    let mut spec = Spec::sample();
    spec.buckets = ["b1", "b2", "b3", "b4", "b5", "b6"].map(|name| (name, (0, true))).into();
    let toy = Toy::new(Ways { pace, ..Ways::default() });
    let (_, _) = wall(&toy, &spec, 1).await;
    assert_eq!(place(&toy, "create vpc/main"), 0);
    assert!(place(&toy, "create nat/a") < place(&toy, "create instance/one"));
    assert!(place(&toy, "create instance/one") < place(&toy, "create bucket/b1"));
    // With two hands, the buckets are made while the NAT is.
    let toy = Toy::new(Ways { pace, ..Ways::default() });
    let (plan, wall) = wall(&toy, &spec, 2).await;
    let longest = longest_chain(&plan);
    assert!(wall <= 1.2 * longest, "{wall} s where the longest chain takes {longest} s");
}
