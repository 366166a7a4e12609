//! A stack lives in one region. What it has outside of any (roles, users, buckets' names) tells which.

use engine::Inventory;

use super::session::Session;
use crate::{
    cloud::REGION_TAG,
    error::{Failure, Result},
};

/// Refuses to work on a stack whose objects say that it lives in another region than the spec's: there it would be built
/// a second time, and what it has in the first region would be left behind unseen.
pub fn ensure_here(session: &Session, known: &Inventory) -> Result {
    let (stack, here) = (&session.spec.stack, &session.spec.region);
    let elsewhere = known.items().find_map(|(address, item)| {
        let there = item.view()["tags"][REGION_TAG].as_str()?.to_owned();
        (there != **here).then_some((address, there))
    });
    let Some((address, there)) = elsewhere else { return Ok(()) };
    let error = format!(
        "stack {} lives in {there}, as {address} says, but {} asks for {}; nothing was changed",
        **stack,
        here.span.place(),
        **here
    );
    Err(Failure::new(error)
        .hint(format!("destroy it there first (with `region: {there}`), or give this one another `stack:` name")))
}
