//! `infra pipeline logs`.

use clap::Args;
use jiff::civil::Date;

use super::{
    super::{
        Globals,
        session::{Scope, Session},
    },
    choose,
};
use crate::{
    cluster::logs::{self, Folder, STREAMS},
    error::{Failure, Result},
    pipeline::record::Records,
    spec::nearest,
    stacks::pipeline::code_folder,
    ui,
};

/// Prints what a job wrote: stdout, stderr, controller.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra pipeline logs clean
  infra pipeline logs clean --date 2026-11-23 --stream stderr")]
pub(super) struct Logs {
    /// The job.
    job: String,
    /// The pipeline; the spec's only one unless said.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// The day that it ran for; the last one unless said.
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<Date>,
    /// One of them alone.
    #[arg(long, value_parser = STREAMS)]
    stream: Option<String>,
}

/// So many days are looked through for the last one that has the job.
const LOOKS: usize = 30;

impl Logs {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { job, pipeline, date, stream } = self;
        let session = Session::open(globals, Scope::Cluster).await?;
        let name = choose::one(&session, pipeline.as_deref())?;
        let at = code_folder(&session.spec, &session.spec.pipelines[&name], &session.cloud.names.account);
        let records = Records { bucket: at.bucket, pipeline: name.clone() };
        let days = match date {
            Some(date) => vec![(date, records.day(&session.cloud, date).await?)],
            None => records.last(&session.cloud, LOOKS).await?,
        };
        let Some((date, ran)) = days.iter().find_map(|(date, day)| Some((date, day.jobs.get(&job)?))) else {
            let jobs = days.iter().flat_map(|(_, day)| day.jobs.keys().map(String::as_str));
            let failure = Failure::new(match date {
                Some(date) => format!("{name} has no run of a job `{job}` for {date}"),
                None => format!("{name} has no run of a job `{job}`"),
            });
            return Err(match nearest(&job, jobs) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint(format!("`infra{} pipeline status` shows what ran", session.flags())),
            });
        };
        ui::say(&format!("{date} {job}: {} (step {} of cluster {})", ran.state, ran.step, ran.cluster));
        let folder = ran.log_uri.as_deref().and_then(|uri| Folder::of_step(uri, &ran.cluster, &ran.step));
        let Some(folder) = folder else {
            return Err(Failure::new("the cluster kept no logs").hint("`logs:` under `cluster` in the spec keeps them"));
        };
        let mut found = false;
        for one in STREAMS.iter().filter(|one| stream.as_deref().is_none_or(|wanted| wanted == **one)) {
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
}
