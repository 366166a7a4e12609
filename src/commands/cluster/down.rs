//! `infra cluster down`.

use std::collections::BTreeSet;

use clap::Args;
use engine::{Inventory, ObserveError, Plan};
use serde_json::json;

use super::{
    super::{Changing, Globals, apply::ask, run, session::Session},
    which,
};
use crate::{
    cluster::steps::{self, Step},
    error::{Failure, Result},
    resources::EmrClusterObserved,
    spec::Start,
    stacks::ClusterWish,
    ui::{self, plan::counted},
};

/// Ends the cluster, waits until it has ended, and shows that the rest of the stack stands.
///
/// It asks only where a step runs or waits to. A protected cluster is refused unless `--force` lifts the protection.
/// Where the spec has mistakes, it tells them, and ends the cluster that has the stack's tags all the same.
/// With `start: with-apply` in the spec, the next `infra apply` starts a new one.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra cluster down
  infra --local cluster down --yes
  infra cluster down --force             also where `termination_protection: true`")]
pub struct Down {
    /// Lifts termination protection first.
    #[arg(long)]
    force: bool,
    /// Ends all of them, where several clusters claim to be the stack's.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    changing: Changing,
}

impl Down {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { force, all, changing } = self;
        let (mut session, mistakes) = Session::open_to_end(globals, "cluster down").await?;
        if let Some(mistakes) = &mistakes {
            ui::say(&mistakes.message);
            ui::say(&format!(
                "\nnote: the spec has mistakes. What costs money is ended all the same: the cluster of stack {} in {}, found by \
                 its tags. Nothing else is looked at.",
                *session.spec.stack, *session.spec.region
            ));
        }
        session.cloud = session.cloud.clone().with_unprotected_clusters(force);
        session.wish(ClusterWish::Down);
        let known = session.observe_all().await?;
        let ids = claimants(&known, all)?;
        if !changing.json {
            for (_, note) in which::others(&session).await? {
                ui::say(&format!("note: {note}"));
            }
        }
        let Some(cluster) = which::seen(&known) else {
            if mistakes.is_none() {
                which::specified(&session)?;
            }
            if !changing.json {
                ui::say(&format!("Stack {} has no cluster: there is nothing to end.", *session.spec.stack));
            }
            return prove(&session, &known, known.clone(), &ids, &changing).await;
        };
        let mut busy = Vec::new();
        for id in ids.iter().filter(|_| cluster.is_live()) {
            busy.extend(steps::active(&session.cloud, id).await?);
        }
        if !changing.json {
            show(cluster, &ids, &busy);
        }
        let desired = session.desired(&known).await?;
        let plan = which::part(&session.plan(&desired, &known));
        ensure_permitted(&session, &plan, cluster, force)?;
        if !busy.is_empty() && !changing.yes {
            let what = counted(busy.len(), "step", "steps");
            ask(&format!("End the cluster, and {what} with it? Only `yes` is taken for yes:")).await?;
        }
        run::carry_out(&session, &plan, &desired, known.clone(), &changing).await?;
        let after = session.observe().await?;
        prove(&session, &known, after, &ids, &changing).await
    }
}

/// The clusters that claim to be the stack's. Several are named, and end only together and on demand.
fn claimants(known: &Inventory, all: bool) -> Result<Vec<String>> {
    let address = which::address();
    let rivals = known.rivals().filter(|(rival, _)| **rival == address).map(|(_, item)| item.id.clone());
    let ids: Vec<String> = known.item(&address).map(|item| item.id.clone()).into_iter().chain(rivals).collect();
    if ids.len() < 2 || all {
        return Ok(ids);
    }
    Err(ObserveError::Claimed(vec![(address, ids)]).into())
}

fn show(cluster: &EmrClusterObserved, ids: &[String], busy: &[Step]) {
    let since = cluster.created.map(|created| format!(", up for {}", ui::time::since(created))).unwrap_or_default();
    let machines = counted(cluster.nodes.running() as usize, "machine", "machines");
    ui::say(&format!("Cluster {} is {}{since}, with {machines}.", cluster.id, cluster.state));
    for other in ids.iter().filter(|id| **id != cluster.id) {
        ui::say(&format!("Cluster {other} ends with it."));
    }
    for step in busy {
        let elapsed = step.elapsed(ui::time::now()).map(|elapsed| format!(" for {}", ui::time::elapsed(elapsed)));
        ui::say(&format!("  {}  {}  {}{}", step.id, step.state, step.name, elapsed.unwrap_or_default()));
    }
    if cluster.is_live() && busy.is_empty() {
        ui::say("No step runs or waits to.");
    }
}

fn ensure_permitted(session: &Session, plan: &Plan, cluster: &EmrClusterObserved, force: bool) -> Result {
    run::ensure_permitted(plan).map_err(|failure| {
        if cluster.termination_protection && !force {
            failure.hint(format!("`infra{} cluster down --force` lifts the protection and ends it", session.flags()))
        } else {
            failure
        }
    })
}

/// Says what has ended, and no more.
fn tell(ended: &[String], changing: &Changing) -> Result {
    if changing.json {
        return Ok(ui::print(&format!("{}\n", json!({ "event": "down", "clusters": ended })))?);
    }
    for id in ended {
        ui::say(&format!("Cluster {id} has ended."));
    }
    Ok(())
}

/// Shows that all but the cluster stands as it did, and says where it is not as the spec says.
async fn prove(
    session: &Session,
    before: &Inventory,
    after: Inventory,
    ended: &[String],
    changing: &Changing,
) -> Result {
    if session.looks_at_cluster_alone() {
        return tell(ended, changing);
    }
    let is_cluster = |address: &engine::Address| *address == which::address();
    let stood = before.items().filter(|(address, _)| !is_cluster(address));
    let lost = stood.filter(|(address, item)| after.item(address).is_none_or(|now| now.id != item.id));
    let gone: Vec<String> = lost.map(|(address, item)| format!("{address} ({})", item.id)).collect();
    let desired = session.desired(&after).await?;
    let plan = session.plan(&desired, &after);
    let differs: BTreeSet<String> = plan.steps.iter().map(|step| step.address.to_string()).collect();
    let stands = after.items().filter(|(address, _)| !is_cluster(address)).count();
    if changing.json {
        let line = json!({
            "event": "down", "clusters": ended, "stands": stands, "verified": gone.is_empty() && differs.is_empty(),
            "gone": gone, "differs": differs,
        });
        ui::print(&format!("{line}\n"))?;
    }
    if !gone.is_empty() {
        return Err(Failure::new(format!("something went that should have stayed: {}", gone.join(", ")))
            .hint("somebody deleted it meanwhile: `infra plan` shows what is missing"));
    }
    if changing.json {
        return Ok(());
    }
    let flags = session.flags();
    tell(ended, changing)?;
    if differs.is_empty() {
        ui::say(&format!("Verified: the rest of the stack stands as the spec says, {stands} resources."));
    } else {
        ui::say(&format!("The rest of the stack stands as it did: {stands} resources."));
        let some: Vec<&str> = differs.iter().take(3).map(String::as_str).collect();
        let dots = if differs.len() > some.len() { ", …" } else { "" };
        let many = counted(differs.len(), "resource is", "resources are");
        ui::say(&format!(
            "note: {many} not as the spec says ({}{dots}): `infra{flags} plan` shows how",
            some.join(", ")
        ));
    }
    let with_apply = session.spec.cluster.as_ref().map(|cluster| &cluster.start);
    if let Some(start) = with_apply.filter(|start| ***start == Start::WithApply) {
        ui::say(&format!("note: the next `infra{flags} apply` starts a new cluster: {} says so", start.span.place()));
    }
    Ok(())
}
