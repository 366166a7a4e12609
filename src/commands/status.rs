//! `infra status`.

use clap::Args;

use super::{
    Globals,
    session::{Scope, Session},
};
use crate::{error::Result, ui};

/// Shows what exists: one line a resource, with its id and addresses.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra status\n  infra --local status --json")]
pub struct Status {
    /// Prints everything that was observed, as JSON.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let session = Session::open(globals, Scope::Cloud).await?;
        let known = session.observe().await?;
        let desired = session.desired(&known).await?;
        if self.json {
            let all = known.items().map(|(address, item)| (address.to_string(), item.view()));
            let all: serde_json::Map<_, _> = all.collect();
            let text = serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?;
            ui::print(&format!("{text}\n"));
            return Ok(());
        }
        let mut rows: Vec<Vec<String>> = Vec::new();
        // In the order of the spec; then what is missing from it.
        let orphans = known.items().map(|(address, _)| address).filter(|address| !desired.contains(address));
        for address in desired.addresses().chain(orphans) {
            let (id, told) = match known.item(address) {
                Some(item) => (item.id.clone(), outputs(item)),
                None => ("(does not exist)".into(), String::new()),
            };
            let orphan = if desired.contains(address) { "" } else { "  (not in the spec)" };
            rows.push(vec![address.to_string(), id, told + orphan]);
        }
        ui::print(&ui::table::render(&["ADDRESS", "ID", ""], &rows));
        ui::say(&format!(
            "{} of {} resources exist.",
            known.items().filter(|(a, _)| desired.contains(a)).count(),
            desired.len()
        ));
        Ok(())
    }
}

fn outputs(item: &engine::Item) -> String {
    let id = &item.id;
    let told = item.outputs().into_iter().filter(|(_, value)| value != id);
    told.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join("  ")
}
