//! `infra users`.

mod audit;
mod hash;
mod list;
mod plan;

use clap::{Args, Subcommand};

use super::Globals;
use crate::error::Result;

/// People with logins on the hosts.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra users plan
  infra users apply
  infra users audit
  infra users hash > password.hash")]
pub struct Users {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Shows what would change for people on the hosts.
    Plan(plan::Plan),
    /// Gives people their accounts, and takes them from those who left.
    Apply(plan::Apply),
    /// Shows who is to have a login where, as the spec says.
    List(list::List),
    /// Shows who can log in on the hosts, as it really is.
    Audit(audit::Audit),
    /// Makes the hash of a password, for `users.txt` or the file that `password:` names.
    Hash(hash::Hash),
}

impl Users {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { verb } = self;
        match verb {
            Verb::Plan(verb) => Box::pin(verb.run(globals)).await,
            Verb::Apply(verb) => Box::pin(verb.run(globals)).await,
            Verb::List(verb) => verb.run(globals),
            Verb::Audit(verb) => Box::pin(verb.run(globals)).await,
            Verb::Hash(verb) => verb.run(),
        }
    }
}
