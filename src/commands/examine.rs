//! What a plan cannot know, and the world must be asked: what is in the buckets that go, and whose the names are that
//! are asked for. What stands in the way is refused before anything is begun.

use std::collections::{BTreeMap, BTreeSet};

use engine::{Action, Address, Inventory, Plan, Refusal, Resource, Step};
use futures::future::try_join_all;

use super::session::Session;
use crate::{
    cloud::Cloud,
    error::Result,
    resources::{self, HostUser, HostUserObserved},
};

/// Adds to the plan what must be refused; returns what becomes of what is in or of that which is deleted, in words.
pub async fn plan(session: &Session, known: &Inventory, plan: &mut Plan) -> Result<BTreeMap<Address, String>> {
    let names = taken_names(session, plan);
    plan.refused.extend(names);
    let mut fates = contents(session, known, plan).await?;
    fates.extend(locked(known, plan));
    Ok(fates)
}

/// What becomes of people who left and whose files stay, in words.
pub fn locked(known: &Inventory, plan: &Plan) -> BTreeMap<Address, String> {
    let deletes = plan.steps.iter().filter(|step| step.action == Action::Delete && step.address.kind == HostUser::KIND);
    let stays = |step: &&Step| known.find::<Cloud, HostUser>(&step.address.name).is_some_and(HostUserObserved::stays);
    let fate = || "locked, without keys and sessions; the files stay".to_owned();
    deletes.filter(stays).map(|step| (step.address.clone(), fate())).collect()
}

/// Creates of what has a name that somebody else's object has.
fn taken_names(session: &Session, plan: &Plan) -> Vec<Refusal> {
    let creates = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Create { fields } => Some((step, fields["name"].as_str()?)),
        Action::Update { .. } | Action::Delete => None,
    });
    let taken = creates.filter_map(|(step, name)| {
        let reason = session.cloud.taken_name(&step.address, name)?;
        Some(refusal(step, name, reason))
    });
    taken.collect()
}

/// Looks into every bucket that the plan deletes: one call each, and none for a plan that deletes none.
async fn contents(session: &Session, known: &Inventory, plan: &mut Plan) -> Result<BTreeMap<Address, String>> {
    let deleted = |kind: &'static str| {
        let steps = plan.steps.iter().filter(move |step| step.action == Action::Delete && step.address.kind == kind);
        steps.filter_map(|step| Some((step, step.id.as_deref()?)))
    };
    // What the stack itself put there has steps of its own; what somebody else put in its place is left alone by them.
    let ours = |step: &Step| known.item(&step.address).is_some_and(|item| item.view()["ours"] == true);
    let objects = deleted("bucket_object").chain(deleted("pipeline"));
    let own: BTreeSet<&str> = objects.filter(|(step, _)| ours(step)).map(|(_, id)| id).collect();
    let looks = deleted("bucket").map(|(step, bucket)| {
        let prefix = format!("s3://{bucket}/");
        let keys: BTreeSet<&str> = own.iter().filter_map(|id| id.strip_prefix(&prefix)).collect();
        async move { anyhow::Ok((step, bucket, resources::holding(&session.cloud, bucket, &keys).await?)) }
    });
    let (mut losses, mut refused) = (BTreeMap::new(), Vec::new());
    for (step, bucket, holding) in try_join_all(looks).await? {
        let Some(holding) = holding.filter(|holding| !holding.is_empty()) else { continue };
        if session.cloud.empty_buckets {
            losses.insert(step.address.clone(), format!("all that is in it goes too: {holding}"));
        } else {
            let reason = format!("it is not empty ({holding}). To delete that with it: `--empty-buckets`");
            refused.push(refusal(step, bucket, reason));
        }
    }
    plan.refused.extend(refused);
    Ok(losses)
}

fn refusal(step: &Step, id: &str, reason: String) -> Refusal {
    let Step { address, replaces, origin, .. } = step;
    Refusal { address: address.clone(), id: id.to_owned(), reason, replaces: replaces.clone(), origin: origin.clone() }
}
