//! `infra tunnel down`.

use clap::Args;

use super::{super::Globals, Subject};
use crate::{error::Result, ui};

/// Ends the tunnel and all that belongs to it, also what a killed one left behind. Asks nobody on AWS.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra tunnel down\n  infra --local -f nyc311 tunnel down")]
pub struct Down {}

impl Down {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self {} = self;
        let subject = Subject::of(globals)?;
        let ended = subject.folder.down().await?;
        ui::say(if ended { "The tunnel is down." } else { "There was no tunnel." });
        Ok(())
    }
}
