//! `infra users`.

mod hash;

use clap::{Args, Subcommand};

use crate::error::Result;

/// People with logins on the hosts.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  infra users hash > password.hash")]
pub struct Users {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Makes the hash of a password, for `users.txt` or the file that `password:` names.
    Hash(hash::Hash),
}

impl Users {
    pub(super) fn run(self) -> Result {
        let Self { verb } = self;
        match verb {
            Verb::Hash(verb) => verb.run(),
        }
    }
}
