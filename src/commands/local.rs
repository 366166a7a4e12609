//! `infra local`.

use clap::{Args, Subcommand};

use super::Globals;
use crate::{error::Result, local, ui, workspace::Workspace};

/// Runs AWS on this machine: a strict emulator on loopback that keeps its state. No account, no costs.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra local up
  infra --local apply -f infra/nyc311.yaml
  infra local logs
  infra local down")]
pub struct Local {
    #[command(subcommand)]
    verb: LocalVerb,
}

#[derive(Debug, Subcommand)]
enum LocalVerb {
    /// Starts it, and installs it first where needed.
    Up {
        /// How long things take: as on AWS, a moment, or no time.
        #[arg(long, value_enum)]
        speed: Option<local::Speed>,
        /// For how many seconds describes do not show what was just created.
        #[arg(long, value_name = "SECONDS")]
        lag: Option<f64>,
    },
    /// Ends it; what it holds is kept for the next `up`.
    Down,
    /// Says whether it runs, and where.
    Status {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Forgets everything it holds.
    Reset,
    /// Prints its log.
    Logs,
}

impl Local {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let workspace = match &globals.file {
            Some(file) => Workspace::of(file),
            None => Workspace::here(),
        };
        workspace.prepare()?;
        match self.verb {
            LocalVerb::Up { speed, lag } => {
                let state = local::up(&workspace, &local::Settings { speed, lag }).await?;
                ui::say(&format!("The local cloud is up at {} ({}).", state.endpoint, state.summary()));
            }
            LocalVerb::Down => {
                let was_up = local::down(&workspace).await?;
                ui::say(if was_up {
                    "The local cloud is down; what it holds is kept."
                } else {
                    "The local cloud was not up."
                });
            }
            LocalVerb::Status { json } => match local::status(&workspace).await? {
                Some(state) if json => ui::print(&format!("{}\n", state.json))?,
                Some(state) => ui::print(&format!("up at {} ({})\n", state.endpoint, state.summary()))?,
                None if json => ui::print("{\"up\": false}\n")?,
                None => ui::print("down\n")?,
            },
            LocalVerb::Reset => {
                local::reset(&workspace).await?;
                ui::say("The local cloud is empty now.");
            }
            LocalVerb::Logs => ui::print(&local::logs(&workspace)?)?,
        }
        Ok(())
    }
}
