//! The kinds of `resources/storage`.

mod bucket;
mod bucket_contents;
mod copies;
mod key_pair;
mod kms_key;

use std::sync::Arc;

use engine::{Address, Graph};
use infra::cloud::{Cloud, Names, Tags};

use crate::support::world::{Stack, lines};

/// What an object at this address is tagged with, and one tag more where `owner` is given.
fn tags(stack: &Stack, kind: &'static str, name: &str, owner: Option<&str>) -> Tags {
    let mut tags = stack.cloud.tags(&Address::new(kind, name));
    tags.extend(owner.map(|owner| ("owner".to_owned(), owner.to_owned())));
    tags
}

/// The names that the stack's spec gives, to add to.
fn names(stack: &mut Stack) -> &mut Names {
    Arc::make_mut(&mut stack.cloud.names)
}

/// Plans, insists on these lines, applies and insists that all is well again.
async fn heals(stack: &Stack, graph: &Graph<Cloud>, drift: &[&str]) {
    assert_eq!(lines(&stack.plan(graph).await), drift);
    stack.converge(graph).await;
}

/// Applies, insists that one step fails and returns why.
async fn fails(stack: &Stack, graph: &Graph<Cloud>) -> String {
    let (_, outcome) = stack.apply(graph).await;
    assert_eq!(outcome.failed.len(), 1, "{:#?}", outcome.failed);
    format!("{:#}", outcome.failed[0].error)
}
