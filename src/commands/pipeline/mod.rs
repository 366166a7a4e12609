//! `infra pipeline`.

mod choose;
mod deploy;
mod destroy;

use clap::{Args, Subcommand};

use super::Globals;
use crate::error::Result;

/// Pipelines: code that runs on the stack.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra pipeline deploy
  infra pipeline deploy nyc311 --version 1a2b3c4d5e6f
  infra pipeline destroy nyc311")]
pub struct Pipeline {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Puts a pipeline's code where it runs.
    Deploy(deploy::Deploy),
    /// Takes a pipeline's code away; its data stay.
    Destroy(destroy::Destroy),
}

impl Pipeline {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { verb } = self;
        match verb {
            Verb::Deploy(verb) => Box::pin(verb.run(globals)).await,
            Verb::Destroy(verb) => Box::pin(verb.run(globals)).await,
        }
    }
}
