//! Any stack, then any other: what holds for all of them.

use proptest::prelude::*;

use super::toy::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

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
}
