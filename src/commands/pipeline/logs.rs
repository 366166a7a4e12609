//! `infra pipeline logs`.

use clap::Args;
use jiff::civil::Date;

use super::{
    super::{
        Globals,
        reach::Reach,
        session::{Scope, Session},
    },
    by_airflow::OnHost,
    by_luigi, choose,
};
use crate::{
    cluster::logs::{self, Folder, STREAMS},
    error::{Failure, Result},
    pipeline::{
        on_host,
        record::{Day, Ran, Records},
    },
    spec::{Orchestrator, nearest},
    stacks::pipeline::code_folder,
    ui,
};

/// Prints what a job wrote: stdout, stderr, controller; or what luigi or a task of Airflow's did.
///
/// A task that EMR does has the logs of its step. By `luigi`, the journal of the day's run is printed where no job is
/// named, or one that is no step's. By `airflow`, a task has the log of its last attempt.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra pipeline logs clean
  infra pipeline logs clean --date 2026-11-23 --stream stderr
  infra pipeline logs --date 2026-11-23        luigi's own, of that day's run
  infra pipeline logs wait_for_step            of a task of Airflow's")]
pub(super) struct Logs {
    /// The job or task; by luigi it may be left out.
    job: Option<String>,
    /// The pipeline; the spec's only one unless said.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// The day that it ran for; the last one unless said.
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = choose::day)]
    date: Option<Date>,
    /// One stream of a step alone.
    #[arg(long, value_parser = STREAMS)]
    stream: Option<String>,
}

/// More days than a host has noted of a pipeline.
const ALL: usize = 100_000;
/// So many days are looked through for the last one that has the job.
const LOOKS: usize = 30;

impl Logs {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { job, pipeline, date, stream } = self;
        let session = Session::open(globals, Scope::Cluster).await?;
        let name = choose::one(&session, pipeline.as_deref())?;
        let orchestrator = *session.spec.pipelines[&name].orchestrator;
        let at = code_folder(&session.spec, &session.spec.pipelines[&name], &session.cloud.names.account);
        let records = Records { bucket: at.bucket, pipeline: name.clone() };
        let days = match date {
            Some(date) => vec![(date, records.day(&session.cloud, date).await?)],
            None => records.last(&session.cloud, LOOKS).await?,
        };
        let found = job.as_ref().and_then(|job| find(&days, job));
        match (&job, found) {
            (Some(job), Some((date, ran))) if !ran.step.is_empty() => {
                step(&session, job, date, ran, stream.as_deref()).await
            }
            (Some(job), None) if orchestrator == Orchestrator::Airflow => {
                let there = OnHost::find(globals, &session, &name).await?.log(date, job).await?;
                if there { Ok(()) } else { Err(none(&session, &name, job, date, &days)) }
            }
            (_, Some((date, _))) => Box::pin(journal(globals, &session, &name, Some(date))).await,
            (None, None) if orchestrator == Orchestrator::Luigi => {
                Box::pin(journal(globals, &session, &name, date)).await
            }
            (Some(job), None) => {
                let failure = none(&session, &name, job, date, &days);
                Err(if orchestrator == Orchestrator::Luigi {
                    let flags = session.flags();
                    failure.hint(format!(
                        "what is no step yet, or never one, writes to luigi's journal: `infra{flags} pipeline logs`"
                    ))
                } else {
                    failure
                })
            }
            (None, None) => {
                let mut jobs: Vec<&str> =
                    days.iter().flat_map(|(_, day)| day.jobs.keys().map(String::as_str)).collect();
                jobs.sort_unstable();
                jobs.dedup();
                let flags = session.flags();
                let failure = Failure::new("which job's, or task's?");
                Err(match &jobs[..] {
                    jobs if orchestrator == Orchestrator::Airflow => failure.hint(format!(
                        "a task of the DAG, as `infra{flags} pipeline status` shows them{}",
                        if jobs.is_empty() { String::new() } else { format!("; or a job: {}", jobs.join(", ")) }
                    )),
                    [] => failure.hint(format!("`infra{flags} pipeline status` shows what ran")),
                    jobs => failure.hint(format!("there have run: {}", jobs.join(", "))),
                })
            }
        }
    }
}

/// The last day that has the job.
fn find<'a>(days: &'a [(Date, Day)], job: &str) -> Option<(Date, &'a Ran)> {
    days.iter().find_map(|(date, day)| Some((*date, day.jobs.get(job)?)))
}

fn none(session: &Session, name: &str, job: &str, date: Option<Date>, days: &[(Date, Day)]) -> Failure {
    let jobs = days.iter().flat_map(|(_, day)| day.jobs.keys().map(String::as_str));
    let failure = Failure::new(match date {
        Some(date) => format!("{name} has no run of a job `{job}` for {date}"),
        None => format!("{name} has no run of a job `{job}`"),
    });
    match nearest(job, jobs) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(format!("`infra{} pipeline status` shows what ran", session.flags())),
    }
}

/// What a step wrote.
async fn step(session: &Session, job: &str, date: Date, ran: &Ran, stream: Option<&str>) -> Result {
    ui::say(&format!("{date} {job}: {} (step {} of cluster {})", ran.state, ran.step, ran.cluster));
    let folder = ran.log_uri.as_deref().and_then(|uri| Folder::of_step(uri, &ran.cluster, &ran.step));
    let Some(folder) = folder else {
        return Err(Failure::new("the cluster kept no logs").hint("`logs:` under `cluster` in the spec keeps them"));
    };
    let mut found = false;
    for one in STREAMS.iter().filter(|one| stream.is_none_or(|wanted| wanted == **one)) {
        let Some(text) = logs::whole(&session.cloud, &folder, one).await? else { continue };
        found = true;
        if stream.is_none() {
            ui::say(&format!("--- {one}"));
        }
        ui::print(&text)?;
    }
    if found {
        return Ok(());
    }
    Err(Failure::new(format!("nothing is there yet: {}", folder.uri()))
        .hint("EMR brings logs some minutes late: try again then"))
}

/// What the unit of a day wrote in its last run, or that of the last day that ran.
async fn journal(globals: &Globals, session: &Session, name: &str, date: Option<Date>) -> Result {
    let host = session.spec.pipelines[name].on.as_ref().map(|on| on.value.clone()).unwrap_or_default();
    let reach = Reach::open(globals).await?;
    reach.locate(&host).await?;
    let look = by_luigi::look(&reach, &host, name, ALL).await?;
    let last = || look.days.iter().max_by_key(|(_, note)| note.began);
    let found = match date {
        Some(date) => look.days.get_key_value(&date),
        None => last(),
    };
    let Some((date, note)) = found else {
        let when = date.map(|date| format!(" for {date}")).unwrap_or_default();
        let failure = Failure::new(format!("{name} has no run{when} on {host}"));
        return Err(failure.hint(format!("`infra{} pipeline status` shows what ran", session.flags())));
    };
    ui::say(&format!("{date}: {name} on {host}, version {}, begun {}", note.version, ui::time::clock(note.began)));
    let mut lines = Vec::new();
    let script = on_host::journal(&note.invocation);
    let hear = |line: &str| lines.extend(on_host::entry(line).map(|(line, _)| line));
    reach.hosts().script(&host, &script, hear).await.map_err(|error| reach.explain(error))?;
    if lines.is_empty() {
        return Err(Failure::new(format!("the journal of {host} has nothing of it any more")));
    }
    Ok(lines.iter().try_for_each(|line| ui::print(&format!("{line}\n")))?)
}
