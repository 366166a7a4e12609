//! `infra tunnel status`.

use std::{fmt::Write, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use super::{super::Globals, Subject, far_end};
use crate::{
    error::Result,
    tunnel::{Found, State, Told, probe},
    ui,
};

/// Says whether the tunnel is open, since when, how often it connected again, and which of the cluster's pages answer
/// through it. Asks nobody on AWS.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra tunnel status\n  infra tunnel status --json | jq -r '.pages[].url'")]
pub struct Status {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { json } = self;
        let Subject { folder, flags, .. } = Subject::of(globals)?;
        match folder.find().await? {
            Found::Up(told) => {
                let answers = match told.state {
                    State::Connected => probe::ask(told.port, &told.master.host, &told.pages).await,
                    // They would all be held until it is connected again.
                    State::Reconnecting => vec![Err("the connection is lost".to_owned()); told.pages.len()],
                };
                ui::print(&if json { json_of(&told, &answers) } else { text_of(&told, &answers) })?;
            }
            Found::Silent(_) if json => ui::print("{\"up\": false, \"reason\": \"its process does not answer\"}\n")?,
            Found::Silent(_) => {
                ui::print("starting, or stuck\n")?;
                ui::say(&format!("hint: `infra{flags} tunnel down` ends it; its log is {}", folder.log().display()));
            }
            Found::Down(ended) if json => {
                let ended = ended.map(|ended| json!({ "at": ended.at, "reason": ended.reason }));
                ui::print(&format!("{:#}\n", json!({ "up": false, "ended": ended })))?;
            }
            Found::Down(ended) => {
                ui::print("down\n")?;
                if let Some(ended) = ended {
                    let at = if ended.at.is_empty() { String::new() } else { format!(" at {}", ended.at) };
                    ui::say(&format!("The last one ended{at}: {}.", ended.reason));
                }
            }
        }
        Ok(())
    }
}

fn text_of(told: &Told, answers: &[probe::Answer]) -> String {
    let times = match told.reconnects {
        0 => String::new(),
        1 => ", connected again once".to_owned(),
        times => format!(", connected again {times} times"),
    };
    let mut text = match (&told.state, &told.reason) {
        (State::Connected, _) => format!("up since {}{times}\n", told.since),
        (State::Reconnecting, Some(reason)) => format!("connecting again ({reason}), up since {}{times}\n", told.since),
        (State::Reconnecting, None) => format!("connecting again, up since {}{times}\n", told.since),
    };
    let _ = writeln!(text, "to {}", far_end(told));
    let _ = writeln!(text, "SOCKS5 at 127.0.0.1:{}, PAC file at {}", told.port, told.pac);
    let rows: Vec<Vec<String>> = told
        .pages
        .iter()
        .zip(answers)
        .map(|(page, answer)| {
            let answer = match answer {
                Ok((0, _)) => "answers".to_owned(),
                Ok((status, took)) => format!("answers ({status}, {} ms)", took.as_millis()),
                Err(reason) => format!("does not answer: {reason}"),
            };
            vec![page.name.clone(), page.url.clone(), answer]
        })
        .collect();
    text.push_str(&ui::table::render(&["PAGE", "ADDRESS", ""], &rows));
    text
}

fn json_of(told: &Told, answers: &[probe::Answer]) -> String {
    let pages = told.pages.iter().zip(answers).map(|(page, answer)| {
        let milliseconds = |took: &Duration| u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (status, took, reason) = match answer {
            Ok((0, took)) => (Value::Null, json!(milliseconds(took)), Value::Null),
            Ok((status, took)) => (json!(status), json!(milliseconds(took)), Value::Null),
            Err(reason) => (Value::Null, Value::Null, json!(reason)),
        };
        json!({
            "name": page.name,
            "url": page.url,
            "answers": answer.is_ok(),
            "status": status,
            "milliseconds": took,
            "reason": reason,
        })
    });
    let value = json!({
        "up": true,
        "state": told.state,
        "reason": told.reason,
        "since": told.since,
        "reconnects": told.reconnects,
        "process": told.process,
        "port": told.port,
        "socks": format!("socks5h://127.0.0.1:{}", told.port),
        "pac": told.pac,
        "cluster": told.master.cluster,
        "master": told.master.host,
        "address": told.master.address,
        "via": told.master.via,
        "pages": pages.collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}
