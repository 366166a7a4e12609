//! `infra cluster steps`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    super::{
        Globals,
        session::{Scope, Session},
    },
    which,
};
use crate::{
    cluster::steps::{self, Step},
    error::{Failure, Result},
    spec::nearest,
    ui::{self, time},
};

/// Lists the cluster's steps, the newest first; or cancels some.
///
/// Without a cluster that runs, it lists those of the one that ended last.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  infra cluster steps
  infra --local cluster steps --json | jq -r '.[0].state'
  infra cluster steps cancel s-2AB3CD4EF5GH
  infra cluster steps cancel latest"
)]
pub struct Steps {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Another cluster of the stack: one that ended before.
    #[arg(long, value_name = "ID")]
    cluster: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Cancels steps that run or wait to; one that has ended is left as it is.
    Cancel {
        /// Their ids, names, or `latest`.
        #[arg(required = true, value_name = "ID")]
        steps: Vec<String>,
        /// Kills a running one at once, instead of asking it to end.
        #[arg(long)]
        kill: bool,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Steps {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { verb, cluster, json } = self;
        let session = Session::open(globals, Scope::Cluster).await?;
        if let Some(Verb::Cancel { steps, kill, json }) = verb {
            return cancel(&session, &steps, kill, json).await;
        }
        let subject = which::subject(&session, cluster.as_deref()).await?;
        let all = steps::list(&session.cloud, &subject.id).await?;
        if json {
            let text = serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?;
            return Ok(ui::print(&format!("{text}\n"))?);
        }
        if all.is_empty() {
            ui::say(&format!("Cluster {} has had no steps.", subject.id));
            return Ok(());
        }
        let rows: Vec<Vec<String>> = all.iter().map(row).collect();
        ui::print(&ui::table::render(&["STEP", "STATE", "STARTED", "TOOK", "NAME", "REASON"], &rows))?;
        ui::say(&format!("Cluster {}.", subject.id));
        Ok(())
    }
}

fn row(step: &Step) -> Vec<String> {
    let started = step.started.map(time::clock).unwrap_or_default();
    let took = step.elapsed(time::now()).map(time::elapsed).unwrap_or_default();
    let reason = step.reason.clone().unwrap_or_default();
    vec![step.id.clone(), step.state.clone(), started, took, step.name.clone(), reason]
}

/// The step that was named; an error with the nearest one where there is none.
pub(super) fn named<'a>(all: &'a [Step], name: &str, cluster: &str, flags: &str) -> Result<&'a Step> {
    steps::find(all, name).ok_or_else(|| {
        let failure = Failure::new(if all.is_empty() {
            format!("cluster {cluster} has had no steps")
        } else {
            format!("cluster {cluster} has no step `{name}`")
        });
        let names = all.iter().flat_map(|step| [step.id.as_str(), step.plain_name()]);
        match nearest(name, names) {
            Some(near) => failure.hint(format!("did you mean `{near}`? `infra{flags} cluster steps` lists all")),
            None => failure.hint(format!("`infra{flags} cluster steps` lists all")),
        }
    })
}

async fn cancel(session: &Session, names: &[String], kill: bool, json: bool) -> Result {
    let known = session.observe().await?;
    let cluster = which::must_live(session, &known)?;
    let all = steps::list(&session.cloud, &cluster.id).await?;
    let chosen = names.iter().map(|name| named(&all, name, &cluster.id, session.flags()));
    let mut chosen = chosen.collect::<Result<Vec<&Step>>>()?;
    chosen.sort_by_key(|step| &step.id);
    chosen.dedup_by_key(|step| &step.id);
    let (active, over): (Vec<&Step>, Vec<&Step>) = chosen.into_iter().partition(|step| step.is_active());
    let ids: Vec<String> = active.iter().map(|step| step.id.clone()).collect();
    let answers =
        if ids.is_empty() { Vec::new() } else { steps::cancel(&session.cloud, &cluster.id, &ids, kill).await? };
    let refused: Vec<String> =
        answers.iter().filter_map(|(id, refused)| Some(format!("{id}: {}", refused.as_ref()?))).collect();
    if json {
        let answers = answers
            .iter()
            .map(|(id, refused)| json!({ "step": id, "cancelled": refused.is_none(), "reason": refused }));
        let over = over.iter().map(|step| json!({ "step": step.id, "cancelled": false, "reason": step.state }));
        let all: Vec<_> = answers.chain(over).collect();
        let text = serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?;
        ui::print(&format!("{text}\n"))?;
    } else {
        for step in over {
            ui::say(&format!("{} has ended already: {}", step.id, step.state));
        }
        for (id, _) in answers.iter().filter(|(_, refused)| refused.is_none()) {
            ui::say(&format!("{id} is being cancelled"));
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("EMR does not cancel {}", refused.join("; ")))
        .hint("a running step can be cancelled from emr-5.28.0; before, `infra cluster down` is what ends it"))
}
