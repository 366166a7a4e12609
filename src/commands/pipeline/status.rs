//! `infra pipeline status`.

use std::fmt::Write;

use clap::Args;
use serde_json::json;

use super::{
    super::{
        Globals,
        session::{Scope, Session},
    },
    by_airflow::OnHost,
    choose,
    days::{self, Day, Deployed},
    summary::table,
};
use crate::{
    cloud::Cloud,
    error::Result,
    pipeline::{on_host::Look, record::Records, stored},
    resources,
    spec::Orchestrator,
    stacks::pipeline::{code_folder, release},
    ui,
};

/// Shows which version is deployed, and what became of the last days, by task.
///
/// By `luigi` and `airflow` the host is asked, too: what is at work there, also where nobody follows it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra pipeline status\n  infra pipeline status nyc311 --days 30 --json")]
pub(super) struct Status {
    /// The pipeline; the spec's only one unless said.
    name: Option<String>,
    /// So many days that have run, the newest first.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    days: u16,
    /// Prints it as JSON.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { name, days, json } = self;
        let days = usize::from(days);
        let session = Session::open(globals, Scope::Cloud).await?;
        let name = choose::one(&session, name.as_deref())?;
        let pipeline = &session.spec.pipelines[&name];
        let account = &session.cloud.names.account;
        let known = session.observe().await?;
        let found = known.find::<Cloud, resources::Pipeline>(&name);
        let deployed = found.and_then(|found| found.version.clone());
        let history = found.map(|found| found.history.clone()).unwrap_or_default();
        let in_folder = release(&session.spec, &name, pipeline, account).ok().map(|held| held.version);
        let at = code_folder(&session.spec, pipeline, account);
        let records = Records { bucket: at.bucket.clone(), pipeline: name.clone() };
        let noted = days::noted(&session.cloud, &records, days).await?;
        let (ran, look, silent) = match *pipeline.orchestrator {
            Orchestrator::Steps => (noted, Look::default(), None),
            Orchestrator::Luigi => {
                let described = match &deployed {
                    Some(version) => Some(stored::description(&session.cloud, &at, &name, version).await?),
                    None => None,
                };
                let deployed = described.map(|described| Deployed { described, at });
                let asked = days::by_luigi(globals, &session, &name, deployed.as_ref(), noted, days);
                Box::pin(asked).await?
            }
            Orchestrator::Airflow => match of_airflow(globals, &session, &name, days).await {
                Ok(runs) => (with_jobs(runs, noted), Look::default(), None),
                Err(failure) => (noted, Look::default(), Some(failure.message)),
            },
        };
        if json {
            let days: Vec<_> = ran.iter().map(Day::json).collect();
            let told = json!({
                "pipeline": name, "orchestrator": pipeline.orchestrator.word(), "deployed": deployed,
                "in_folder": in_folder, "history": history, "next": look.next, "days": days, "host_silent": silent,
            });
            return Ok(ui::print(&format!("{told:#}\n"))?);
        }
        let flags = session.flags();
        let nothing = format!("the folder holds nothing that can be deployed: `infra{flags} validate` says why");
        let version = match (&deployed, &in_folder) {
            (None, Some(_)) => format!("not deployed: `infra{flags} pipeline deploy {name}`"),
            (None, None) => format!("not deployed, and {nothing}"),
            (Some(version), Some(held)) if version == held => format!("{version}, as in the folder"),
            (Some(version), Some(held)) => {
                format!("{version}; the folder holds {held}: `infra{flags} pipeline deploy {name}`")
            }
            (Some(version), None) => format!("{version}; {nothing}"),
        };
        let before: Vec<&str> =
            history.iter().filter(|before| Some(*before) != deployed.as_ref()).map(String::as_str).collect();
        let mut told = format!("pipeline  {name}, by {}\nversion   {version}\n", pipeline.orchestrator.word());
        if !before.is_empty() {
            let _ = writeln!(told, "earlier   {}", before.join(", "));
        }
        if let Some(schedule) = &pipeline.schedule {
            let next = look.next.as_ref().map(|next| format!("; next at {next}")).unwrap_or_default();
            let _ = writeln!(told, "schedule  {}{next}", schedule.value);
        }
        ui::print(&told)?;
        if let Some(silent) = silent {
            ui::say(&format!("note: its host could not be asked: {silent}"));
        }
        if ran.is_empty() {
            ui::say("It has not run yet, as far as can be told.");
            return Ok(());
        }
        let rows: Vec<_> = ran.iter().flat_map(Day::rows).collect();
        Ok(ui::print(&format!("\n{}", table(&rows)))?)
    }
}

async fn of_airflow(globals: &Globals, session: &Session, name: &str, most: usize) -> Result<Vec<Day>> {
    OnHost::find(globals, session, name).await?.days(most).await
}

/// Airflow's runs, with what was noted of the jobs that they had EMR do.
fn with_jobs(mut runs: Vec<Day>, noted: Vec<Day>) -> Vec<Day> {
    for day in noted {
        match runs.iter_mut().find(|run| run.date == day.date) {
            Some(run) => run.jobs.extend(day.jobs),
            None => runs.push(day),
        }
    }
    runs.sort_by_key(|day| std::cmp::Reverse(day.date));
    runs
}
