//! Which step waits for which, seen in what the cloud was made to do.

use super::toy::*;
use crate::{Kind, Selection, observe, plan};

fn in_order(toy: &Toy, wanted: &[&str]) {
    let places: Vec<usize> = wanted.iter().map(|what| place(toy, what)).collect();
    assert!(places.is_sorted(), "{wanted:?} at {places:?} of {:#?}", toy.state().log);
}

#[tokio::test(start_paused = true)]
async fn destroying_goes_from_the_leaves_to_the_root() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    converge(&toy, &Spec::default()).await;
    in_order(&toy, &["delete instance/one", "delete subnet/a", "delete vpc/main"]);
    in_order(&toy, &["delete table/b", "delete nat/a", "delete subnet/a"]);
    in_order(&toy, &["delete rules/out", "delete group/in", "delete vpc/main"]);
    in_order(&toy, &["delete rules/in", "delete group/out", "delete vpc/main"]);
}

/// The VPC waits for the instance although no kind between them is deleted.
#[tokio::test(start_paused = true)]
async fn orphans_wait_for_kinds_that_come_after_them_by_way_of_others() {
    let toy = Toy::new(Ways::default());
    toy.plant("vpc", "old");
    toy.plant("instance", "old");
    let known = observe(KINDS, &toy).await.unwrap();
    let plan = plan(KINDS, &Spec::default().graph(), &known, Selection::All);
    assert_eq!(plan.waited_for(find(&plan, "delete vpc/old")), [find(&plan, "delete instance/old")]);
    assert_eq!(texts(&plan), ["delete instance/old", "delete vpc/old"], "shown in the order in which they go");
}

#[tokio::test(start_paused = true)]
async fn a_new_name_for_the_same_range_takes_one_pass() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.subnets.remove("b");
    spec.subnets.insert("renamed", ("main", 2, false));
    spec.tables.insert("b", ("main", vec!["a"], vec!["renamed"]));
    spec.instances.insert("two", ("renamed", vec!["in", "out"], 0, 0));
    converge(&toy, &spec).await;
    in_order(&toy, &["delete instance/two", "delete subnet/b", "create subnet/renamed", "update table/b"]);
    assert_converged(&toy, &spec).await;
}

/// Both are replaced and each needs the other's range.
#[tokio::test(start_paused = true)]
async fn swapped_ranges_take_one_pass() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.subnets = [("a", ("main", 2, true)), ("b", ("main", 1, false))].into();
    converge(&toy, &spec).await;
    for make in ["create subnet/a", "create subnet/b"] {
        in_order(&toy, &["delete subnet/a", make]);
        in_order(&toy, &["delete subnet/b", make]);
    }
    assert_converged(&toy, &spec).await;
}

#[tokio::test(start_paused = true)]
async fn what_lets_go_of_an_orphan_does_so_before_it_is_deleted() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.groups.remove("out");
    spec.rules = [("in", vec!["in"])].into();
    spec.instances.insert("two", ("b", vec!["in"], 0, 0));
    converge(&toy, &spec).await;
    in_order(&toy, &["update rules/in", "delete group/out"]);
    in_order(&toy, &["update instance/two", "delete group/out"]);
    assert_converged(&toy, &spec).await;
}

/// Also where the orphan is of an exclusive kind, which once did not wait for any update.
#[tokio::test(start_paused = true)]
async fn what_lets_go_of_an_exclusive_orphan_does_so_first() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.subnets.remove("b");
    spec.instances.remove("two");
    converge(&toy, &spec).await;
    in_order(&toy, &["update table/b", "delete subnet/b"]);
    assert_converged(&toy, &spec).await;
}

/// The table lets go of the NAT and takes the new subnet, whose range is the old one's, in which the NAT still is.
/// Once this was a circle.
#[tokio::test(start_paused = true)]
async fn a_wish_that_would_close_a_circle_is_dropped() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.nats.clear();
    spec.subnets.remove("a");
    spec.subnets.insert("c", ("main", 1, true));
    spec.tables.insert("b", ("main", vec![], vec!["c"]));
    spec.instances.insert("one", ("c", vec!["in"], 0, 0));
    converge(&toy, &spec).await;
    in_order(&toy, &["delete nat/a", "delete subnet/a", "create subnet/c", "update table/b"]);
    assert_converged(&toy, &spec).await;
}

/// One table closes a circle; the other does not, and its wish is kept.
#[tokio::test(start_paused = true)]
async fn wishes_are_dropped_one_by_one() {
    let mut first = Spec::sample();
    first.tables.insert("d", ("main", vec!["a"], vec!["b"]));
    let toy = standing(Ways::default(), &first).await;
    let mut spec = Spec::sample();
    spec.nats.clear();
    spec.subnets.remove("a");
    spec.subnets.insert("c", ("main", 1, true));
    spec.tables.insert("b", ("main", vec![], vec!["c"]));
    spec.tables.insert("d", ("main", vec![], vec!["b"]));
    spec.instances.insert("one", ("c", vec!["in"], 0, 0));
    converge(&toy, &spec).await;
    in_order(&toy, &["update table/d", "delete nat/a", "update table/b"]);
    assert_converged(&toy, &spec).await;
}

#[tokio::test(start_paused = true)]
async fn groups_that_name_each_other_are_replaced_in_one_pass() {
    let toy = standing(Ways::default(), &Spec::sample()).await;
    let mut spec = Spec::sample();
    spec.groups.insert("in", ("main", 1));
    converge(&toy, &spec).await;
    // Its peer's rules hold on to it, so these go and come too.
    in_order(&toy, &["delete rules/out", "delete group/in", "create group/in", "create rules/out"]);
    assert_converged(&toy, &spec).await;
}

#[test]
#[should_panic(expected = "the registry names a kind twice")]
fn a_kind_that_is_registered_twice_is_told() {
    let kinds = [Kind::of::<Vpc>(), Kind::of::<Vpc>()];
    let _ = plan(&kinds, &Spec::default().graph(), &crate::Inventory::default(), Selection::All);
}
