//! `infra pipeline status`.

use std::fmt::Write;

use clap::Args;
use serde_json::json;

use super::{
    super::{
        Globals,
        session::{Scope, Session},
    },
    choose,
    summary::{Row, table},
};
use crate::{
    cloud::Cloud,
    error::Result,
    pipeline::record::Records,
    resources,
    stacks::pipeline::{code_folder, release},
    ui,
};

/// Shows which version is deployed, and what became of the last days.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra pipeline status\n  infra pipeline status nyc311 --days 30 --json")]
pub(super) struct Status {
    /// The pipeline; the spec's only one unless said.
    name: Option<String>,
    /// So many days that have run, the newest first.
    #[arg(long, default_value_t = 10, value_name = "N")]
    days: usize,
    /// Prints it as JSON.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { name, days, json } = self;
        let session = Session::open(globals, Scope::Cloud).await?;
        let name = choose::one(&session, name.as_deref())?;
        let pipeline = &session.spec.pipelines[&name];
        let account = &session.cloud.names.account;
        let known = session.observe().await?;
        let found = known.find::<Cloud, resources::Pipeline>(&name);
        let deployed = found.and_then(|found| found.version.clone());
        let history = found.map(|found| found.history.clone()).unwrap_or_default();
        let in_folder = release(&session.spec, &name, pipeline, account)?.version;
        let records = Records { bucket: code_folder(&session.spec, pipeline, account).bucket, pipeline: name.clone() };
        let ran = records.last(&session.cloud, days).await?;
        if json {
            let days: Vec<_> =
                ran.iter().map(|(date, day)| json!({ "date": date.to_string(), "jobs": day.jobs })).collect();
            let told = json!({ "pipeline": name, "deployed": deployed, "in_folder": in_folder, "history": history, "days": days });
            return Ok(ui::print(&format!("{told:#}\n"))?);
        }
        let flags = session.flags();
        let version = match &deployed {
            None => format!("not deployed: `infra{flags} pipeline deploy {name}`"),
            Some(version) if *version == in_folder => format!("{version}, as in the folder"),
            Some(version) => format!("{version}; the folder holds {in_folder}: `infra{flags} pipeline deploy {name}`"),
        };
        let before: Vec<&str> =
            history.iter().filter(|before| Some(*before) != deployed.as_ref()).map(String::as_str).collect();
        let mut told = format!("pipeline  {name}, by {}\nversion   {version}\n", pipeline.orchestrator.word());
        if !before.is_empty() {
            let _ = writeln!(told, "earlier   {}", before.join(", "));
        }
        if let Some(schedule) = &pipeline.schedule {
            let _ = writeln!(told, "schedule  {}", schedule.value);
        }
        ui::print(&told)?;
        if ran.is_empty() {
            ui::say("It has not run yet, as far as its bucket tells.");
            return Ok(());
        }
        let mut rows = Vec::new();
        for (date, day) in ran {
            rows.extend(day.jobs.iter().map(|(job, ran)| Row::new(date, job, Some(ran.clone()))));
        }
        Ok(ui::print(&format!("\n{}", table(&rows)))?)
    }
}
