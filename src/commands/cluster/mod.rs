//! `infra cluster`.

mod reap;

use clap::{Args, Subcommand};

use super::Globals;
use crate::error::Result;

/// The cluster: up, down, and what runs on it.
///
/// One stack has one cluster, the one of its spec. Only that is ever touched, whatever else runs in the region.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra cluster reap\n  infra cluster reap --plan")]
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
