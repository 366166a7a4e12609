//! `infra schema`.

use clap::Args;

use crate::{error::Result, spec, ui};

/// Prints the JSON Schema of the spec, so that editors complete and check it.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  infra schema > schema/infra.json")]
pub struct Schema {}

impl Schema {
    pub(super) fn run(self) -> Result {
        let Self {} = self;
        let text = serde_json::to_string_pretty(&spec::schema()).map_err(anyhow::Error::from)?;
        Ok(ui::print(&format!("{text}\n"))?)
    }
}
