//! `infra cluster logs`.

use std::io;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::{
    super::{
        Globals, run,
        session::{Scope, Session},
    },
    steps::named,
    which,
};
use crate::{
    cluster::{
        logs::{self, Folder, STREAMS, Tail},
        steps::{self, Step},
    },
    error::{Failure, Result},
    ui,
};

/// Prints what a step wrote, from the log bucket; also after the cluster has ended.
///
/// EMR brings logs to the bucket every few minutes and when a step has ended. What is not there yet is said; `--follow`
/// waits for it.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra cluster logs                       of the latest step
  infra cluster logs count.py --stream stdout > result.txt
  infra cluster logs s-2AB3CD4EF5GH --follow
  infra --local cluster logs latest --json")]
pub struct Logs {
    /// The step's id, its name, or `latest`.
    #[arg(default_value = "latest")]
    step: String,
    /// Only this one; may be repeated.
    #[arg(long = "stream", value_enum, value_name = "STREAM")]
    streams: Vec<Stream>,
    /// Waits for what is not there yet, and prints it as it comes, until the step has ended.
    #[arg(long, conflicts_with = "json")]
    follow: bool,
    /// Another cluster of the stack: one that ended before.
    #[arg(long, value_name = "ID")]
    cluster: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What a step writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stream {
    /// What the job printed.
    Stdout,
    /// What Spark, and the job, told.
    Stderr,
    /// What EMR did to run it.
    Controller,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Controller => "controller",
        }
    }
}

/// For so many seconds after a step's end its logs may yet come: EMR writes them every five minutes.
const LATE: i64 = 15 * 60;
/// Logs are looked for on one of so many looks at the step.
const LOG_LOOKS: u32 = 5;

impl Logs {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { step, streams, follow, cluster, json } = self;
        let session = Session::open(globals, Scope::Cluster).await?;
        let subject = which::subject(&session, cluster.as_deref()).await?;
        let all = steps::list(&session.cloud, &subject.id).await?;
        let step = named(&all, &step, &subject.id, session.flags())?;
        let folder = subject.log_uri.as_deref().and_then(|uri| Folder::of_step(uri, &subject.id, &step.id));
        let folder = folder.ok_or_else(|| keeps_none(&session, &subject.id))?;
        let wanted: Vec<&str> = streams.iter().map(|stream| stream.name()).collect();
        let chosen = |stream: &&'static str| wanted.is_empty() || wanted.contains(stream);
        let streams: Vec<&'static str> = STREAMS.iter().copied().filter(chosen).collect();
        if json {
            return as_json(&session, &subject.id, step, &folder, &streams).await;
        }
        let mut tails: Vec<Tail> = streams.iter().map(|stream| Tail::new(folder.clone(), stream)).collect();
        let mut headings = Headings { last: None, wanted: tails.len() > 1 };
        if follow {
            let id = step.id.clone();
            let work = wait(&session, &subject.id, &id, &mut tails, &mut headings);
            Box::pin(run::unless_stopped_reading(work)).await?;
        } else {
            read(&session, &mut tails, &mut headings).await?;
        }
        missing(&session, step, &tails, &folder)
    }
}

/// Which stream is being printed, where there are several.
struct Headings {
    last: Option<&'static str>,
    wanted: bool,
}

impl Headings {
    fn print(&mut self, stream: &'static str, bytes: &[u8]) -> io::Result<()> {
        if self.wanted && self.last != Some(stream) {
            let gap = if self.last.is_some() { "\n" } else { "" };
            ui::print(&format!("{gap}==> {stream} <==\n")).map_err(io::Error::other)?;
        }
        self.last = Some(stream);
        ui::pass(bytes).map_err(io::Error::other)
    }
}

async fn read(session: &Session, tails: &mut [Tail], headings: &mut Headings) -> Result {
    for tail in tails {
        let stream = tail.stream();
        tail.more(&session.cloud, &mut |bytes| headings.print(stream, bytes)).await?;
    }
    Ok(())
}

/// Prints what comes until the step has ended and all is there, or nothing more is to be expected.
async fn wait(session: &Session, cluster: &str, step: &str, tails: &mut [Tail], headings: &mut Headings) -> Result {
    let cloud = &session.cloud;
    let mut told = String::new();
    loop {
        let now = steps::describe(cloud, cluster, step).await.map_err(anyhow::Error::from)?;
        read(session, tails, headings).await?;
        if now.state != told {
            ui::say(&format!("{step} is {}", now.state));
            told.clone_from(&now.state);
        }
        let is_late = now.ended.is_some_and(|ended| ui::time::now() - ended > LATE);
        if !now.is_active() && (is_late || tails.iter().all(Tail::is_there)) {
            // What was written between the two looks.
            return read(session, tails, headings).await;
        }
        tokio::time::sleep(cloud.pace.poll * LOG_LOOKS).await;
    }
}

/// Says which streams are not in the bucket; an error where none is.
fn missing(session: &Session, step: &Step, tails: &[Tail], folder: &Folder) -> Result {
    let absent: Vec<&str> = tails.iter().filter(|tail| !tail.is_there()).map(Tail::stream).collect();
    if absent.is_empty() {
        return Ok(());
    }
    let (flags, id, names) = (session.flags(), &step.id, absent.join(", "));
    let what = format!("of {id}, which is {}, {names} cannot be read yet: not in {}", step.state, folder.uri());
    let hint = format!("EMR brings logs within minutes: `infra{flags} cluster logs {id} --follow` waits for them");
    if absent.len() == tails.len() {
        return Err(Failure::new(what).hint(hint));
    }
    ui::say(&format!("note: {what}"));
    Ok(())
}

fn keeps_none(session: &Session, cluster: &str) -> Failure {
    let failure = Failure::new(format!("cluster {cluster} keeps no logs"));
    match &session.spec.cluster {
        Some(spec) if spec.logs.is_none() => {
            failure.hint(format!("add `logs: {{ bucket: … }}` to the cluster at {}", spec.span.place()))
        }
        _ => failure,
    }
}

async fn as_json(session: &Session, cluster: &str, step: &Step, folder: &Folder, streams: &[&'static str]) -> Result {
    let mut texts = Map::new();
    for stream in streams {
        let text = logs::whole(&session.cloud, folder, stream).await?;
        texts.insert((*stream).to_owned(), text.map_or(Value::Null, Value::String));
    }
    let all = json!({ "cluster": cluster, "step": step, "folder": folder.uri(), "logs": texts });
    let text = serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?;
    Ok(ui::print(&format!("{text}\n"))?)
}
