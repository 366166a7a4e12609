//! `infra verify`.

use clap::Args;

use super::{
    Globals,
    session::{Scope, Session},
};
use crate::{
    error::{Failure, Result},
    ui::{self, plan::Heading},
};

/// Checks that the world matches the spec, field by field; exits with 2 and shows the differences if not.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra verify\n  infra --local verify -f infra/vendas.yaml")]
pub struct Verify {
    /// Prints the differences as JSON, as `plan --json` does.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let session = Session::open(globals, Scope::Platform).await?;
        let known = session.observe().await?;
        let desired = session.desired(&known).await?;
        let plan = session.plan(&desired, &known);
        if self.json {
            let text = serde_json::to_string_pretty(&plan).map_err(anyhow::Error::from)?;
            ui::print(&format!("{text}\n"))?;
        } else if plan.is_empty() {
            ui::print(&format!(
                "Verified: all {} resources of {} are as the spec says.\n",
                desired.len(),
                *session.spec.stack
            ))?;
            // Of what was not looked at, nothing is known.
            for note in session.notes() {
                ui::say(&format!("note: {note}"));
            }
        } else {
            let heading = Heading { width: ui::data_width(), ..session.heading(false) };
            ui::print(&ui::plan::render(&plan, &heading))?;
        }
        if plan.is_empty() { Ok(()) } else { Err(Failure::changes()) }
    }
}
