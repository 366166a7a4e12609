//! `infra apply`.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use engine::{Address, Graph, Inventory, Plan};

use super::{
    Changing, Emptying, Globals, examine, output,
    planfile::PlanFile,
    preflight, run,
    select::Only,
    session::{Scope, Session},
};
use crate::{
    cloud::Cloud,
    error::{Failure, Result},
    ui::{self, plan::Heading},
};

/// Makes the world match the spec: shows the plan, asks, carries it out.
///
/// It may be stopped or killed at any point: the next run completes what was begun.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra apply
  infra --local apply -f infra/nyc311.yaml --yes
  infra apply today.plan                 exactly that plan, or nothing; the file is the consent, nobody is asked
  infra apply --only bucket/lake
  infra apply --rotate iam_user/airflow  a new access key for the user

Ctrl-C once: no new step starts, the running ones finish. Twice: stops at once.")]
pub struct Apply {
    /// A plan from `infra plan --out`; carried out exactly and without asking, or refused because the world moved.
    #[arg(value_name = "PLANFILE")]
    planfile: Option<PathBuf>,
    #[command(flatten)]
    only: Only,
    #[command(flatten)]
    emptying: Emptying,
    #[command(flatten)]
    changing: Changing,
    /// Replaces a user's access key, whose secret was lost: `iam_user/airflow`; may be repeated.
    #[arg(long, value_name = "ADDRESS")]
    rotate: Vec<String>,
}

struct Prepared {
    known: Inventory,
    desired: Graph<Cloud>,
    plan: Plan,
    /// What goes with the buckets that the plan deletes.
    losses: BTreeMap<Address, String>,
}

impl Apply {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { planfile, only, emptying, changing, rotate } = self;
        let planfile = planfile.map(|path| PlanFile::read(&path)).transpose()?;
        let (globals, only, emptying) = match &planfile {
            Some(file) => {
                file.ensure_uncontradicted(globals, &only, emptying, &rotate)?;
                (file.globals(globals), file.only(), file.emptying())
            }
            None => (globals.clone(), only, emptying),
        };
        let mut session = Session::open_to_change(&globals, Scope::Platform, "apply").await?;
        session.cloud = session.cloud.clone().with_empty_buckets(emptying.empty_buckets);
        session.rotate(&rotate)?;
        let mut ready = prepare(&session, &only).await?;
        if let Some(file) = &planfile {
            file.ensure_same(&session, &ready.plan)?;
        }
        if !changing.json || ready.plan.is_empty() {
            let losses = ready.losses.clone();
            let mut heading = Heading { partial: !only.addresses.is_empty(), losses, ..session.heading(false) };
            heading.notes.extend(session.lost_keys(&ready.known));
            heading.notes.extend(session.stopped_hosts(&ready.known));
            heading.notes.extend(session.cost(&ready.plan));
            ui::say(&ui::plan::render(&ready.plan, &heading));
        }
        run::ensure_permitted(&ready.plan)?;
        Box::pin(preflight::ensure(&session, &ready.known, &ready.plan)).await?;
        if ready.plan.is_empty() {
            return finish(&session, &ready.known, &changing);
        }
        if !changing.yes && planfile.is_none() {
            ask("Apply this plan? Only `yes` is taken for yes:").await?;
            // Time passed while the question stood; what was agreed to is what was shown.
            let again = run::unless_stopped(prepare(&session, &only)).await?;
            if again.plan != ready.plan {
                return Err(Failure::new("the world moved while you were reading; nothing was changed")
                    .hint("run the command again and look at the new plan"));
            }
            ready = again;
        }
        run::carry_out(&session, &ready.plan, &ready.desired, ready.known, &changing).await?;
        // Read again: an address that was attached late is not in what its instance's step saw.
        finish(&session, &session.observe_cloud().await?, &changing)
    }
}

async fn prepare(session: &Session, only: &Only) -> Result<Prepared> {
    let known = session.observe().await?;
    let desired = session.desired(&known).await?;
    let mut plan = only.cut(session.plan(&desired, &known), &desired, &known)?;
    let losses = examine::plan(session, &known, &mut plan).await?;
    Ok(Prepared { known, desired, plan, losses })
}

/// Asks; off a terminal that is an error, for nobody can answer.
pub(super) async fn ask(question: &str) -> Result {
    let (told, answer) = tokio::sync::oneshot::channel();
    let question = question.to_owned();
    // Reading a line cannot be called off; a thread of its own is left behind when the program ends.
    std::thread::spawn(move || told.send(ui::confirm(&question)));
    let answer = run::unless_stopped(async { Ok(answer.await.ok().flatten()) }).await?;
    match answer {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new("not confirmed; nothing was changed")),
        None => Err(Failure::new("there is no terminal to ask on; nothing was changed")
            .hint("`--yes` carries the plan out without asking")),
    }
}

fn finish(session: &Session, known: &Inventory, changing: &Changing) -> Result {
    let outputs = output::all(known);
    if changing.json {
        let line = serde_json::json!({ "event": "outputs", "outputs": outputs });
        return Ok(ui::print(&format!("{line}\n"))?);
    }
    if !outputs.is_empty() {
        ui::print(&output::table(&outputs))?;
    }
    let flags = session.flags();
    ui::say(&format!(
        "\nNext: `infra{flags} status` shows what exists, `infra{flags} verify` checks it, `infra{flags} destroy` removes it."
    ));
    Ok(())
}
