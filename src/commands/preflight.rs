//! Checks before a run that starts the cluster, as a user sees them.

use engine::{Inventory, Plan};

use super::session::Session;
use crate::{
    cluster::preflight,
    error::{Failure, Result},
    spec, ui,
};

/// Runs the checks where `plan` starts a cluster, and refuses to go on where one fails: nothing was changed yet.
pub async fn ensure(session: &Session, known: &Inventory, plan: &Plan) -> Result {
    if !preflight::starts_cluster(plan) {
        return Ok(());
    }
    let report = Box::pin(preflight::check(&session.cloud, &session.spec, known, plan)).await?;
    for note in &report.notes {
        ui::say(&format!("note: {note}"));
    }
    if report.findings.is_empty() {
        return Ok(());
    }
    let told = spec::point_out(report.diagnostics()).render(ui::colored_stderr());
    Err(Failure::new(format!("{told}\n\nthe cluster was not started, and nothing was changed")))
}
