//! `infra validate`.

use clap::Args;

use super::{Globals, load};
use crate::{error::Result, ui};

/// Checks the spec and says what is wrong with it, every mistake with its line. Needs no network.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  infra validate\n  infra validate -f infra/nyc311.yaml --overlay infra/overlays/prod.yaml"
)]
pub struct Validate {}

impl Validate {
    pub(super) fn run(self, globals: &Globals) -> Result {
        let Self {} = self;
        let (file, spec) = load::whole(globals)?;
        for note in &spec.notes {
            ui::say(&format!("note: {} ({})", note.message, note.span.place()));
        }
        Ok(ui::print(&format!("{}: stack {} is valid\n", file.display(), spec.stack.value))?)
    }
}
