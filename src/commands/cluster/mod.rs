//! `infra cluster`.

mod down;
mod job;
mod logs;
mod reap;
mod resize;
mod ssh;
mod status;
mod steps;
mod submit;
mod up;
pub(super) mod which;

pub(super) use which::{living, must_live, others, part, specified};

use clap::{Args, Subcommand};

use super::Globals;
use crate::error::Result;

/// The cluster: up, down, and what runs on it.
///
/// One stack has one cluster, the one of its spec. Only that is ever touched, whatever else runs in the region.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra cluster up
  infra cluster submit count.py s3://nyc311-lake-123456789012/raw/
  infra cluster status
  infra cluster resize task=4
  infra cluster logs latest
  infra cluster ssh
  infra cluster reap --plan
  infra cluster down")]
pub struct Cluster {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Starts the cluster, and waits until it can work.
    Up(up::Up),
    /// Ends the cluster, and shows that the rest stands.
    Down(down::Down),
    /// Shows what the cluster is and does.
    Status(status::Status),
    /// Changes how many machines its groups have, in place.
    Resize(resize::Resize),
    /// Runs a Spark job on it, follows it and ends as the job does.
    Submit(submit::Submit),
    /// Lists its steps, or cancels some.
    Steps(steps::Steps),
    /// Prints what a step wrote: stdout, stderr, controller.
    Logs(logs::Logs),
    /// Logs in on its master, or runs a command there.
    Ssh(ssh::Ssh),
    /// Ends the cluster if it idles, or is too old.
    Reap(reap::Reap),
}

impl Cluster {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { verb } = self;
        match verb {
            Verb::Up(verb) => Box::pin(verb.run(globals)).await,
            Verb::Down(verb) => Box::pin(verb.run(globals)).await,
            Verb::Status(verb) => Box::pin(verb.run(globals)).await,
            Verb::Resize(verb) => Box::pin(verb.run(globals)).await,
            Verb::Submit(verb) => Box::pin(verb.run(globals)).await,
            Verb::Steps(verb) => Box::pin(verb.run(globals)).await,
            Verb::Logs(verb) => Box::pin(verb.run(globals)).await,
            Verb::Ssh(verb) => Box::pin(verb.run(globals)).await,
            Verb::Reap(verb) => Box::pin(verb.run(globals)).await,
        }
    }
}
