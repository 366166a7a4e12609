//! `infra plan`.

use std::path::PathBuf;

use clap::Args;

use super::{
    Emptying, Globals, examine,
    planfile::PlanFile,
    run,
    select::Only,
    session::{Scope, Session},
};
use crate::{
    error::{Failure, Result},
    ui::{self, plan::Heading},
};

/// Shows what `apply` would do, step by step, and changes nothing.
///
/// A plan that is refused, because it would delete what is protected or holds data, exits with 1 and is not written.
/// A plan file is the consent: `infra apply FILE` does not ask, and does exactly that or nothing.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra plan
  infra --local plan -f infra/nyc311.yaml
  infra plan --out today.plan && infra apply today.plan
  infra plan --exit-code || echo 'something drifted'")]
pub struct Plan {
    #[command(flatten)]
    only: Only,
    #[command(flatten)]
    emptying: Emptying,
    /// Prints the plan as JSON.
    #[arg(long)]
    json: bool,
    /// Exits with 2 when there is something to do.
    #[arg(long)]
    exit_code: bool,
    /// Writes the plan to a file, for `infra apply FILE` to carry out exactly, without asking.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Plan {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { only, emptying, json, exit_code, out } = self;
        let mut session = Session::open(globals, Scope::Platform).await?;
        session.cloud = session.cloud.clone().with_empty_buckets(emptying.empty_buckets);
        let known = session.observe().await?;
        let desired = session.desired(&known).await?;
        let mut plan = only.cut(session.plan(&desired, &known), &desired, &known)?;
        let losses = examine::plan(&session, &known, &mut plan).await?;
        if json {
            let text = serde_json::to_string_pretty(&plan).map_err(anyhow::Error::from)?;
            ui::print(&format!("{text}\n"))?;
        } else {
            let mut heading = Heading { partial: !only.addresses.is_empty(), losses, ..session.heading(false) };
            heading.notes.extend(session.lost_keys(&known));
            heading.notes.extend(session.stopped_hosts(&known));
            heading.notes.extend(session.cost(&plan));
            heading.width = ui::data_width();
            ui::print(&ui::plan::render(&plan, &heading))?;
        }
        run::ensure_permitted(&plan)?;
        if let Some(out) = out {
            PlanFile::new(globals, &session, &only, &plan).write(&out)?;
        }
        if exit_code && !plan.is_empty() { Err(Failure::changes()) } else { Ok(()) }
    }
}
