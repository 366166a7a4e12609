//! `infra pipeline`.

mod by_airflow;
mod by_luigi;
mod by_steps;
mod choose;
mod claim;
mod days;
mod deploy;
mod destroy;
mod heard;
mod logs;
mod new;
mod on_cluster;
mod report;
mod run;
mod status;
mod summary;
mod test;

use clap::{Args, Subcommand};

pub(super) use claim::Claim;
pub(super) use report::{newest, write_newest};

use super::Globals;
use crate::error::Result;

/// Pipelines: code that runs on the stack.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra pipeline deploy
  infra pipeline run --date 2026-11-23
  infra pipeline status
  infra pipeline logs clean
  infra pipeline report
  infra pipeline deploy --version 1a2b3c4d5e6f   back to an earlier version
  infra pipeline destroy nyc311")]
pub struct Pipeline {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Puts a pipeline's code where it runs.
    Deploy(deploy::Deploy),
    /// Runs it for a day, or for each day of a range.
    Run(run::Run),
    /// Runs it for every day of a range that is not done.
    Backfill(run::Backfill),
    /// Shows which version is deployed, and what became of the last days.
    Status(status::Status),
    /// Prints what a job or task wrote.
    Logs(logs::Logs),
    /// Writes a page about a pipeline's days: rows, null rates, what was rejected, changes of the schema.
    Report(report::Report),
    /// Makes a template to begin with.
    New(new::New),
    /// Runs a template's own tests on this machine.
    Test(test::Test),
    /// Takes a pipeline's code away; its data stay.
    Destroy(destroy::Destroy),
}

impl Pipeline {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { verb } = self;
        match verb {
            Verb::Deploy(verb) => Box::pin(verb.run(globals)).await,
            Verb::Run(verb) => Box::pin(verb.run(globals)).await,
            Verb::Backfill(verb) => Box::pin(verb.run(globals)).await,
            Verb::Status(verb) => Box::pin(verb.run(globals)).await,
            Verb::Logs(verb) => Box::pin(verb.run(globals)).await,
            Verb::Report(verb) => Box::pin(verb.run(globals)).await,
            Verb::New(verb) => verb.run(globals),
            Verb::Test(verb) => Box::pin(verb.run(globals)).await,
            Verb::Destroy(verb) => Box::pin(verb.run(globals)).await,
        }
    }
}
