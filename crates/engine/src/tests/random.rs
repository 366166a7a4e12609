//! Any stack, then any other: what holds for all of them.

use std::time::Duration;

use proptest::prelude::*;

use super::toy::*;

fn config(cases: u32) -> ProptestConfig {
    // `PROPTEST_CASES` is for long runs; these numbers keep the suite quick.
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn any_stack_becomes_any_other_in_one_pass((first, second) in any_edit()) {
        block_on(async {
            let toy = standing(Ways::default(), &first).await;
            assert_converged(&toy, &first).await;
            converge(&toy, &second).await;
            assert_converged(&toy, &second).await;
            converge(&toy, &Spec::default()).await;
            assert!(toy.live().is_empty());
        });
    }

    /// One pass here too: what the dead run left behind is no obstacle to the next.
    #[test]
    fn a_death_on_the_way_from_any_stack_to_any_other_is_made_good(
        (first, second) in any_edit(),
        write in 1..30_usize,
        after: bool,
        lags: bool,
        tokens: bool,
    ) {
        block_on(async {
            let lag = if lags { Duration::from_secs(20) } else { Duration::ZERO };
            let toy = standing(Ways { lag, tokens, ..Ways::default() }, &first).await;
            toy.state().fuse = Some(Fuse { write, after });
            let _ = run(&toy, &second.graph()).await;
            toy.restart();
            converge(&toy, &second).await;
            assert_converged(&toy, &second).await;
            toy.state().fuse = Some(Fuse { write, after });
            let _ = run(&toy, &Spec::default().graph()).await;
            toy.restart();
            converge(&toy, &Spec::default()).await;
            assert!(toy.live().is_empty());
        });
    }

    /// The user changes his mind after the death: what was half made is not what is wanted now.
    #[test]
    fn a_death_on_the_way_to_one_stack_does_not_spoil_another(
        (first, second) in any_edit(),
        write in 1..30_usize,
        after: bool,
        tokens: bool,
    ) {
        block_on(async {
            let toy = Toy::new(Ways { tokens, ..Ways::default() });
            toy.state().fuse = Some(Fuse { write, after });
            let _ = run(&toy, &first.graph()).await;
            toy.restart();
            converge(&toy, &second).await;
            assert_converged(&toy, &second).await;
        });
    }

    #[test]
    fn a_plan_is_the_same_each_time_and_serialises((first, second) in any_edit()) {
        block_on(async {
            let toy = standing(Ways::default(), &first).await;
            let one = look(&toy, &second.graph()).await;
            let two = look(&toy, &second.graph()).await;
            assert_eq!(one, two);
            let json = serde_json::to_value(&one).expect("a plan serialises");
            assert_eq!(json["steps"].as_array().map(Vec::len), Some(one.steps.len()));
            let total = one.summary();
            assert_eq!(total.create + total.update + 2 * total.replace + total.delete, one.steps.len());
        });
    }
}
