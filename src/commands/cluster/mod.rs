//! `infra cluster`.

mod reap;

use clap::{Args, Subcommand};

use super::Globals;
use crate::error::Result;

/// The EMR cluster.
#[derive(Args, Debug)]
pub struct Cluster {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Ends the cluster if it idles, or is too old.
    Reap(reap::Reap),
}

impl Cluster {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        match self.verb {
            Verb::Reap(verb) => Box::pin(verb.run(globals)).await,
        }
    }
}
