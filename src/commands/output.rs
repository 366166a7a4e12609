//! `infra output`.

use std::collections::BTreeMap;

use clap::Args;
use engine::Inventory;

use super::{
    Globals,
    session::{Scope, Session},
};
use crate::{
    error::{Failure, Result},
    spec::nearest,
    ui,
};

/// Prints one output, bare, or all of them: addresses, names, ids for other tools.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra output\n  infra output instance/bastion.public_ip\n  infra output --json")]
pub struct Output {
    /// Which one, as `infra output` lists them.
    name: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Output {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let session = Session::open(globals, Scope::Cloud).await?;
        let known = session.observe().await?;
        let outputs = all(&known);
        let Some(name) = self.name else {
            let text = if self.json { json(&outputs)? } else { table(&outputs) };
            ui::print(&text)?;
            session.lost_keys(&known).iter().for_each(|note| ui::say(&format!("note: {note}")));
            return Ok(());
        };
        let Some(value) = outputs.get(&name) else {
            let near = nearest(&name, outputs.keys().map(String::as_str));
            let failure = Failure::new(format!("there is no output {name}"));
            return Err(match near {
                Some(near) => failure.hint(format!("did you mean `{near}`? `infra output` lists all")),
                None if outputs.is_empty() => failure.hint("nothing of the stack exists yet; `infra apply` makes it"),
                None => failure.hint("`infra output` lists all"),
            });
        };
        Ok(ui::print(&if self.json { json(value)? } else { format!("{value}\n") })?)
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string_pretty(value).map_err(anyhow::Error::from)? + "\n")
}

/// Every output: `ADDRESS.NAME` to its value.
pub(super) fn all(known: &Inventory) -> BTreeMap<String, String> {
    let outputs = known.items().flat_map(|(address, item)| {
        item.outputs().into_iter().map(move |(name, value)| (format!("{address}.{name}"), value))
    });
    outputs.collect()
}

/// The outputs for a reader.
pub(super) fn table(outputs: &BTreeMap<String, String>) -> String {
    let rows: Vec<Vec<String>> = outputs.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect();
    ui::table::render(&["OUTPUT", "VALUE"], &rows)
}
