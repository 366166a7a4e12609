//! `infra completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use crate::{error::Result, ui};

/// Prints a completion script for a shell.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  infra completions bash > ~/.local/share/bash-completion/completions/infra")]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "infra", &mut script);
        Ok(ui::print(&String::from_utf8_lossy(&script))?)
    }
}
