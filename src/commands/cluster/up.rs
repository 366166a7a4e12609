//! `infra cluster up`.

use std::collections::BTreeMap;

use clap::Args;
use engine::{Action, Address, Graph, Inventory, Plan};
use serde_json::json;

use super::{
    super::{
        Changing, Globals,
        apply::ask,
        examine,
        pipeline::Claim,
        preflight, run,
        session::{Scope, Session},
    },
    which,
};
use crate::{
    cloud::Cloud,
    error::{Failure, Result},
    resources::EmrClusterObserved,
    stacks::ClusterWish,
    ui::{self, plan::Heading},
};

/// Starts the cluster of the spec, and waits until it can work.
///
/// What the cluster waits for (network, roles, buckets) is made too where it is missing, and brought to what the spec
/// says where it differs; hosts and the rest are left to `infra apply`. The plan is shown first, and asked about.
///
/// A cluster that runs already is left as it is. It may be stopped or killed at any point: the next run waits for the
/// cluster that was begun, and starts no second one.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra cluster up
  infra --local cluster up -f infra/nyc311.yaml --yes
  infra cluster up --yes && infra cluster submit count.py; infra cluster down --yes

A cluster costs money from its start to `infra cluster down`.")]
pub struct Up {
    #[command(flatten)]
    changing: Changing,
}

struct Prepared {
    known: Inventory,
    desired: Graph<Cloud>,
    plan: Plan,
    losses: BTreeMap<Address, String>,
}

/// Whoever asks for a cluster wants it to stay, also where a run had started it that was killed.
fn keep(session: &Session) {
    if let Some(claim) = Claim::take(&session.run_note) {
        claim.clear();
    }
}

impl Up {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { changing } = self;
        let mut session = Session::open_to_change(globals, Scope::Cloud, "cluster up").await?;
        which::specified(&session)?;
        session.wish(ClusterWish::Up);
        let mut ready = prepare(&session).await?;
        if let Some(cluster) = which::living(&ready.known).filter(|cluster| cluster.is_ready()) {
            keep(&session);
            return runs_already(&session, cluster, &ready.plan, &changing);
        }
        if !changing.json {
            let mut heading = Heading { partial: true, losses: ready.losses.clone(), ..session.heading(false) };
            heading.notes.extend(session.cost(&ready.plan));
            ui::say(&ui::plan::render(&ready.plan, &heading));
        }
        run::ensure_permitted(&ready.plan)?;
        Box::pin(preflight::ensure(&session, &ready.known, &ready.plan)).await?;
        if !changing.yes && !only_waits(&ready.plan) {
            ask("Start the cluster? It costs money until `infra cluster down`. Only `yes` is taken for yes:").await?;
            // Time passed while the question stood; what was agreed to is what was shown.
            let again = run::unless_stopped(prepare(&session)).await?;
            if again.plan != ready.plan {
                return Err(Failure::new("the world moved while you were reading; nothing was changed")
                    .hint("run the command again and look at the new plan"));
            }
            ready = again;
        }
        keep(&session);
        let known = run::carry_out(&session, &ready.plan, &ready.desired, ready.known, &changing).await?;
        let cluster = which::must_live(&session, &known)?;
        if changing.json {
            return Ok(ui::print(&line(cluster, false))?);
        }
        let flags = session.flags();
        ui::say(&format!("\nCluster {} can work: it is {}.", cluster.id, cluster.state));
        ui::print(&lines(cluster))?;
        ui::say(&format!(
            "\nNext: `infra{flags} cluster submit JOB` runs a Spark job, `infra{flags} cluster down` stops paying."
        ));
        Ok(())
    }
}

async fn prepare(session: &Session) -> Result<Prepared> {
    let known = session.observe().await?;
    let desired = session.desired(&known).await?;
    let mut plan = which::part(&session.plan(&desired, &known));
    let losses = examine::plan(session, &known, &mut plan).await?;
    Ok(Prepared { known, desired, plan, losses })
}

/// True when the cluster was asked for already, and all that is left to do is to wait for it.
fn only_waits(plan: &Plan) -> bool {
    let waits = |action: &Action| match action {
        Action::Update { diff } => diff.changes.iter().all(|change| change.field == "state"),
        Action::Create { .. } | Action::Delete => false,
    };
    plan.steps.iter().all(|step| step.address == which::address() && waits(&step.action))
}

fn runs_already(session: &Session, cluster: &EmrClusterObserved, plan: &Plan, changing: &Changing) -> Result {
    if changing.json {
        return Ok(ui::print(&line(cluster, true))?);
    }
    let since = cluster.created.map(|created| format!(", up for {}", ui::time::since(created))).unwrap_or_default();
    ui::say(&format!(
        "Cluster {} of stack {} runs already: {}{since}.",
        cluster.id, *session.spec.stack, cluster.state
    ));
    ui::print(&lines(cluster))?;
    let of_cluster = plan.steps.iter().filter(|step| step.address == which::address()).collect::<Vec<_>>();
    let differs = plan.refused.iter().any(|refusal| refusal.address == which::address()) || !of_cluster.is_empty();
    if differs {
        let flags = session.flags();
        let how = if of_cluster.iter().any(|step| step.replaces.is_some()) || !plan.refused.is_empty() {
            "in what cannot change in place"
        } else {
            "in what can change in place"
        };
        ui::say(&format!(
            "note: it differs from the spec, {how}, and was left as it is: `infra{flags} plan` shows that, \
             `infra{flags} apply` changes it"
        ));
    }
    Ok(())
}

/// What is worth knowing of a cluster, for programs.
fn line(cluster: &EmrClusterObserved, already: bool) -> String {
    let EmrClusterObserved { id, state, master_dns, log_uri, .. } = cluster;
    let line = json!({ "event": "cluster", "id": id, "state": state, "already": already, "master": master_dns, "logs": log_uri });
    format!("{line}\n")
}

/// The same for a reader.
fn lines(cluster: &EmrClusterObserved) -> String {
    let mut rows = vec![("id", cluster.id.as_str()), ("state", &cluster.state)];
    rows.extend(cluster.master_dns.as_deref().map(|name| ("master", name)));
    rows.extend(cluster.log_uri.as_deref().map(|uri| ("logs", uri)));
    rows.into_iter().fold(String::new(), |text, (name, value)| text + &format!("{name:<8}{value}\n"))
}
