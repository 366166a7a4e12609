//! `infra plan`.

use std::path::PathBuf;

use clap::Args;

use super::{
    Globals,
    planfile::PlanFile,
    select::Only,
    session::{Scope, Session},
};
use crate::{
    error::{Failure, Result},
    ui::{self, plan::Heading},
};

/// Shows what `apply` would do, step by step, and changes nothing.
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
    /// Prints the plan as JSON.
    #[arg(long)]
    json: bool,
    /// Exits with 2 when there is something to do.
    #[arg(long)]
    exit_code: bool,
    /// Writes the plan to a file, for `infra apply FILE` to carry out exactly.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Plan {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { only, json, exit_code, out } = self;
        let session = Session::open(globals, Scope::Platform).await?;
        let known = session.observe().await?;
        let desired = session.desired(&known).await?;
        let plan = only.cut(session.plan(&desired, &known), &desired, &known)?;
        if let Some(out) = out {
            PlanFile::new(globals, &session, &only, &plan).write(&out)?;
        }
        if json {
            let text = serde_json::to_string_pretty(&plan).map_err(anyhow::Error::from)?;
            ui::print(&format!("{text}\n"));
        } else {
            let heading = Heading { partial: !only.addresses.is_empty(), ..session.heading(false) };
            ui::print(&ui::plan::render(&plan, &heading));
        }
        if exit_code && !plan.is_empty() { Err(Failure::changes()) } else { Ok(()) }
    }
}
