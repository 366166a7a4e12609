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
        // Also where several objects claim one address: this is where to see them.
        let known = session.observe_all().await?;
        let desired = session.desired(&known).await?;
        if self.json {
            let all = known.items().map(|(address, item)| (address.to_string(), item.view()));
            let rivals = known.rivals().map(|(address, item)| (format!("{address} ({})", item.id), item.view()));
            let all: serde_json::Map<_, _> = all.chain(rivals).collect();
            let text = serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?;
            return Ok(ui::print(&format!("{text}\n"))?);
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
            for (_, rival) in known.rivals().filter(|(rival, _)| *rival == address) {
                rows.push(vec![address.to_string(), rival.id.clone(), outputs(rival) + "  (claims the same address)"]);
            }
        }
        ui::print(&ui::table::render(&["ADDRESS", "ID", ""], &rows))?;
        ui::say(&format!(
            "{} of {} resources exist.",
            known.items().filter(|(a, _)| desired.contains(a)).count(),
            desired.len()
        ));
        session.lost_keys(&known).iter().for_each(|note| ui::say(&format!("note: {note}")));
        Ok(())
    }
}

fn outputs(item: &engine::Item) -> String {
    let id = &item.id;
    let told = item.outputs().into_iter().filter(|(_, value)| value != id);
    told.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join("  ")
}
