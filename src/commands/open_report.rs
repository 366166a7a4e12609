//! `infra open report`: the newest report of a pipeline, written now where there is none.

use super::{
    Globals, load,
    pipeline::{newest, write_newest},
};
use crate::{
    error::{Failure, Result},
    hosts, ui,
    workspace::Workspace,
};

/// What `infra open` calls it.
pub(super) const NAME: &str = "report";

/// Prints where the report is, and shows it in a browser unless that is not wanted.
pub(super) async fn open(globals: &Globals, browser: bool) -> Result {
    let (file, spec) = load::as_deployed(globals)?;
    if spec.pipelines.is_empty() {
        return Err(Failure::new(format!("{} has no pipeline, and so no report", file.display()))
            .hint("declare one under `pipeline:`"));
    }
    let page = match newest(&spec, &Workspace::of(&file), globals.local) {
        Some(page) => page,
        None => Box::pin(write_newest(globals)).await?,
    };
    // A browser is started in a folder of its own.
    let page = std::path::absolute(&page).map_err(anyhow::Error::from)?;
    ui::print(&format!("{}\n", page.display()))?;
    if browser && hosts::has_display() {
        hosts::show_page(&page.display().to_string());
    }
    Ok(())
}
