//! Reading the world.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::toy::*;
use crate::{
    Address, Diff, Graph, Inventory, Kind, ObserveError, Resource, Result, Selection, StepContext, World, apply,
    observe, observe_all, plan,
};

#[tokio::test(start_paused = true)]
async fn two_objects_at_one_address_are_an_error_that_names_both() {
    let toy = Toy::new(Ways::default());
    let ids = [toy.plant("vpc", "main"), toy.plant("vpc", "main")];
    let error = observe(KINDS, &toy).await.unwrap_err();
    assert!(matches!(error, ObserveError::Claimed(_)));
    let text = error.to_string();
    assert!(ids.iter().all(|id| text.contains(id)) && text.contains("vpc/main"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn all_objects_that_claim_others_addresses_are_told_at_once_and_destroyed_together() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let first = toy.live()["vpc/main"].id.clone();
    let (second, third) = (toy.plant("vpc", "main"), toy.plant("vpc", "main"));
    let bucket = toy.plant("bucket", "data");
    let text = observe(KINDS, &toy).await.unwrap_err().to_string();
    for id in [&first, &second, &third, &bucket] {
        assert!(text.contains(id.as_str()), "no {id} in {text}");
    }
    assert!(text.contains("3 objects claim the address vpc/main") && text.contains("bucket/data"), "{text}");

    // What is still wanted is not chosen from; what is not wanted goes as a whole.
    let known = observe_all(KINDS, &toy).await.unwrap();
    let refused = plan(KINDS, &Spec::sample().graph(), &known, Selection::All).refused;
    assert_eq!(refused.len(), 3, "{refused:?}");
    let nothing = Graph::default();
    let plan = plan(KINDS, &nothing, &known, Selection::All);
    assert_eq!(plan.steps.iter().filter(|step| step.address == address("vpc", "main")).count(), 3);
    let (options, _told) = options(4);
    let outcome = apply(&plan, KINDS, &nothing, known, &toy, &options).await;
    assert!(outcome.is_complete() && outcome.inventory.is_empty(), "{:?}", outcome.failed);
    assert_eq!(outcome.inventory.rivals().count(), 0);
    assert!(observe(KINDS, &toy).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_objects_that_appear_since_the_plan_was_made_are_told_too() {
    let toy = Toy::new(Ways::default());
    let graph = Spec::sample().graph();
    let known = observe(KINDS, &toy).await.unwrap();
    let plan = plan(KINDS, &graph, &known, Selection::All);
    let ids = [toy.plant("vpc", "main"), toy.plant("vpc", "main")];
    let (options, _told) = options(4);
    let outcome = apply(&plan, KINDS, &graph, known, &toy, &options).await;
    let text = format!("{:#}", outcome.failed[0].error);
    assert!(ids.iter().all(|id| text.contains(id)), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_kind_is_read_once_however_many_objects_there_are() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    toy.state().reads.clear();
    assert!(look(&toy, &Spec::sample().graph()).await.is_empty());
    assert!(toy.state().reads.values().all(|&count| count == 1) && toy.state().reads.len() == KINDS.len());
}

#[tokio::test(start_paused = true)]
async fn reads_are_repeated_until_they_show_our_own_writes() {
    let toy = Toy::new(Ways { lag: Duration::from_secs(20), ..Ways::default() });
    converge(&toy, &Spec::sample()).await;
    let start = Instant::now();
    let known = observe(KINDS, &toy).await.unwrap();
    assert_eq!(known.len(), Spec::sample().addresses().len());
    // Not longer than needed, and with pauses that grow.
    assert!(start.elapsed() < Duration::from_secs(26), "{:?}", start.elapsed());
    assert!(toy.state().reads["bucket"] < 15, "{:?}", toy.state().reads);
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_elsewhere_is_not_waited_for_for_ever() {
    let toy = Toy::new(Ways { lag: Duration::from_secs(20), ..Ways::default() });
    converge(&toy, &Spec { buckets: [("data", (0, true))].into(), ..Spec::default() }).await;
    let id = toy.live()["bucket/data"].id.clone();
    toy.delete(&address("bucket", "data"), &id).await.unwrap();
    let start = Instant::now();
    // While the lag lasts a read may still show it; after that it is gone.
    sleep(Duration::from_secs(20)).await;
    assert!(observe(KINDS, &toy).await.unwrap().is_empty());
    assert!(start.elapsed() < Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn many_creates_share_their_looks() {
    let mut spec = Spec { vpcs: [("main", (0, true))].into(), ..Spec::default() };
    let names: Vec<&'static str> = (0..64).map(|number| &*format!("s{number}").leak()).collect();
    spec.subnets = names.iter().zip(0..).map(|(&name, range)| (name, ("main", range, true))).collect();
    let toy = Toy::new(Ways::default());
    let graph = spec.graph();
    let known = observe(KINDS, &toy).await.unwrap();
    let plan = plan(KINDS, &graph, &known, Selection::All);
    let (options, _told) = options(32);
    assert!(apply(&plan, KINDS, &graph, known, &toy, &options).await.is_complete());
    assert!(toy.state().reads["subnet"] <= 8, "{:?}", toy.state().reads);
}

/// When a kind's read began and ended, and how much it was shown.
type Read = (Duration, Duration, usize);

/// A world that remembers its reads, and for a view when it began.
#[derive(Default, Clone)]
struct Slow(Arc<Mutex<BTreeMap<&'static str, Read>>>, Option<Instant>);

impl World for Slow {
    fn unread(&self) -> Self {
        Self(Arc::clone(&self.0), Some(Instant::now()))
    }
}

macro_rules! slow {
    ($kind:ident, $name:literal, $seconds:literal, $observes_after:expr) => {
        #[derive(Serialize)]
        struct $kind;

        impl Resource<Slow> for $kind {
            const KIND: &'static str = $name;
            const LAYER: &'static str = "all";
            const OBSERVES_AFTER: &'static [&'static str] = &$observes_after;
            type Observed = &'static str;

            fn refs(&self) -> Vec<&Address> {
                Vec::new()
            }

            async fn observe(world: &Slow, known: &Inventory) -> Result<Vec<(String, &'static str)>> {
                let start = world.1.expect("a view");
                let begun = start.elapsed();
                sleep(Duration::from_secs($seconds)).await;
                world.0.lock().unwrap().insert($name, (begun, start.elapsed(), known.len()));
                anyhow::ensure!($name != "broken", "the API says no");
                Ok(vec![("one".into(), $name)])
            }

            fn id(observed: &&'static str) -> String {
                (*observed).into()
            }

            fn diff(&self, _observed: &&'static str, _known: &Inventory) -> Diff {
                Diff::default()
            }

            async fn create(&self, _cx: &StepContext<'_, Slow>) -> Result<&'static str> {
                Ok($name)
            }

            async fn update(&self, _: &&'static str, _: &Diff, _cx: &StepContext<'_, Slow>) -> Result<&'static str> {
                Ok($name)
            }

            async fn delete(_observed: &&'static str, _cx: &StepContext<'_, Slow>) -> Result<()> {
                Ok(())
            }
        }
    };
}

slow!(Long, "long", 10, []);
slow!(Short, "short", 1, []);
slow!(Needy, "needy", 3, ["short"]);
slow!(Neediest, "neediest", 1, ["short", "needy", "unregistered"]);
slow!(Broken, "broken", 2, []);
slow!(Chicken, "chicken", 1, ["egg"]);
slow!(Egg, "egg", 1, ["chicken"]);

#[tokio::test(start_paused = true)]
async fn kinds_are_read_at_once_and_those_with_needs_as_soon_as_these_are_met() {
    let world = Slow::default();
    let kinds = [Kind::of::<Neediest>(), Kind::of::<Long>(), Kind::of::<Needy>(), Kind::of::<Short>()];
    let start = Instant::now();
    let known = observe(&kinds, &world).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 10, "the longest read is all it takes");
    assert_eq!(known.len(), 4);
    let reads = world.0.lock().unwrap().clone();
    let seconds = |kind| (reads[kind].0.as_secs(), reads[kind].1.as_secs(), reads[kind].2);
    assert_eq!(seconds("long"), (0, 10, 0));
    assert_eq!(seconds("short"), (0, 1, 0));
    assert_eq!(seconds("needy"), (1, 4, 1));
    assert_eq!(seconds("neediest"), (4, 5, 2));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_names_its_kind() {
    let error = observe(&[Kind::of::<Long>(), Kind::of::<Broken>()], &Slow::default()).await.unwrap_err();
    assert_eq!(format!("{:#}", anyhow::Error::from(error)), "cannot read the stack's broken objects: the API says no");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "OBSERVES_AFTER form a cycle")]
async fn needs_in_a_circle_are_told() {
    let _ = observe(&[Kind::of::<Chicken>(), Kind::of::<Egg>()], &Slow::default()).await;
}
