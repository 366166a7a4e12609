//! `infra cluster submit`.

use clap::Args;
use serde_json::{Value, json};

use super::{
    super::{
        Globals,
        run::Stops,
        session::{Scope, Session},
    },
    job, which,
};
use crate::{
    cluster::{
        logs::{self, Folder, Tail},
        steps::{self, Step},
        submit::{self, Job},
    },
    error::{Failure, Result},
    ui,
};

/// Runs a Spark job on the cluster, follows it, and ends as the job does: 0 when it completed, 1 when it failed.
///
/// JOB is a `.py` or `.jar` file of this machine, which is uploaded to the code folder (`cod/`) of the pipeline's
/// bucket; a name in that folder; or an s3:// URI. All that follows JOB is the job's own.
///
/// Ctrl-C leaves the job running. The same command again follows a job that runs still instead of starting a second one.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra cluster submit count.py s3://nyc311-lake-123456789012/raw/ --top 10
  infra cluster submit --conf spark.executor.memory=4g --name nightly clean.py
  infra cluster submit --class org.example.Main ./target/job.jar
  infra cluster submit --detach s3://somewhere/cod/job.py
  infra cluster logs latest              what the last job wrote

EMR brings a job's log to the log bucket some minutes late: what it writes is shown as it arrives there.")]
pub struct Submit {
    /// A local `.py` or `.jar` file, a name in the code folder, or an s3:// URI.
    job: String,
    /// The job's own arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<String>,
    /// Where the driver runs.
    #[arg(long, value_name = "MODE", default_value = "cluster", value_parser = ["cluster", "client"])]
    deploy_mode: String,
    /// A setting of Spark's; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    conf: Vec<String>,
    /// Python modules that go with it: files like JOB, separated by commas; may be repeated.
    #[arg(long, value_name = "FILES", value_delimiter = ',')]
    py_files: Vec<String>,
    /// The class to begin with, for a jar.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// What it is called, as a step and in Spark; the file's name unless said.
    #[arg(long)]
    name: Option<String>,
    /// The pipeline whose code folder is meant, where there are several.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Starts it also where the very same job runs or waits already.
    #[arg(long)]
    again: bool,
    /// Does not follow it; prints the step's id.
    #[arg(long)]
    detach: bool,
    /// Prints one JSON event a line on stdout.
    #[arg(long)]
    json: bool,
}

/// Logs are looked for on one of so many looks at the step: EMR writes them every few minutes.
const LOG_LOOKS: usize = 5;
/// So many of the last lines of stderr are shown when a job fails.
const LAST_LINES: usize = 20;

impl Submit {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let session = Session::open(globals, Scope::Cluster).await?;
        for setting in &self.conf {
            if setting.split_once('=').is_none_or(|(key, _)| key.is_empty()) {
                return Err(Failure::new(format!("--conf {setting}: expected KEY=VALUE")));
            }
        }
        let known = session.observe().await?;
        let cluster = which::must_live(&session, &known)?;
        let job = self.job(&session).await?;
        // From here on a Ctrl-C leaves a step behind that can be named.
        let mut stops = Stops::listen()?;
        let active = steps::active(&session.cloud, &cluster.id).await?;
        let (step, already) = match submit::already(&active, &job).filter(|_| !self.again) {
            Some(step) => (step.clone(), true),
            None => (submit::send(&session.cloud, &cluster.id, &job).await?, false),
        };
        let said = Saying { session: &session, cluster: &cluster.id, json: self.json };
        said.submitted(&step, &job, already)?;
        if self.detach {
            if !self.json {
                ui::print(&format!("{}\n", step.id))?;
            }
            return Ok(());
        }
        let folder = cluster.log_uri.as_deref().and_then(|uri| Folder::of_step(uri, &cluster.id, &step.id));
        tokio::select! {
            result = follow(&said, &step, folder) => result,
            () = stops.next() => Err(said.left(&step)),
        }
    }

    /// What spark-submit is to run; uploads what is on this machine only.
    async fn job(&self, session: &Session) -> Result<Job> {
        let pipeline = self.pipeline.as_deref();
        let locate = async |named: &str| -> Result<String> {
            let program = job::locate(session, named, pipeline).await?;
            if program.uploaded && !self.json {
                ui::say(&format!("{named} is in S3 now: {}", program.uri));
            }
            Ok(program.uri)
        };
        let program = locate(&self.job).await?;
        let mut py_files = Vec::new();
        for file in &self.py_files {
            py_files.push(locate(file).await?);
        }
        Ok(Job {
            program,
            arguments: self.arguments.clone(),
            deploy_mode: self.deploy_mode.clone(),
            name: self.name.clone(),
            class: self.class.clone(),
            conf: self.conf.clone(),
            options: Vec::new(),
            py_files,
        })
    }
}

/// What the user is told of a step, in words or as JSON.
struct Saying<'a> {
    session: &'a Session,
    cluster: &'a str,
    json: bool,
}

fn event(event: &Value) -> Result {
    Ok(ui::print(&format!("{event}\n"))?)
}

impl Saying<'_> {
    fn submitted(&self, step: &Step, job: &Job, already: bool) -> Result {
        let (id, name) = (&step.id, &step.name);
        if self.json {
            return event(&json!({
                "event": "submitted", "cluster": self.cluster, "step": id, "name": name, "program": job.program,
                "already": already,
            }));
        }
        if already {
            ui::say(&format!(
                "The same job is on cluster {} already: step {id}, `{name}`. It is followed.",
                self.cluster
            ));
            ui::say("`--again` starts another one.");
        } else {
            ui::say(&format!("Step {id}, `{name}`, is on cluster {}.", self.cluster));
        }
        Ok(())
    }

    fn state(&self, step: &Step) -> Result {
        let elapsed = step.elapsed(ui::time::now()).unwrap_or_default();
        if self.json {
            return event(&json!({ "event": "state", "step": step.id, "state": step.state, "seconds": elapsed }));
        }
        let after =
            if step.started.is_some() { format!(" after {}", ui::time::elapsed(elapsed)) } else { String::new() };
        ui::say(&format!("{} is {}{after}", step.id, step.state));
        Ok(())
    }

    fn written(&self, stream: &str, bytes: &[u8]) -> std::io::Result<()> {
        if self.json {
            let text = String::from_utf8_lossy(bytes);
            let event = json!({ "event": "log", "stream": stream, "text": text });
            return ui::print(&format!("{event}\n")).map_err(std::io::Error::other);
        }
        ui::pass(bytes).map_err(std::io::Error::other)
    }

    /// The step goes on by itself.
    fn left(&self, step: &Step) -> Failure {
        let (flags, id) = (self.session.flags(), &step.id);
        Failure::cancelled(format!("{id} goes on without being followed"))
            .hint(format!("`infra{flags} cluster logs {id} --follow` follows it"))
            .hint(format!("`infra{flags} cluster steps cancel {id}` ends it"))
    }

    async fn failed(&self, step: &Step, folder: Option<&Folder>) -> Failure {
        let flags = self.session.flags();
        let elapsed = step.elapsed(ui::time::now()).map(|elapsed| format!(" after {}", ui::time::elapsed(elapsed)));
        let reason = step.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let what = format!("step {} is {}{}{reason}", step.id, step.state, elapsed.unwrap_or_default());
        let logs = format!("`infra{flags} cluster logs {} --follow` prints its logs once they are there", step.id);
        let Some(folder) = folder else {
            return Failure::new(what).hint("the cluster keeps no logs: `logs:` in the spec");
        };
        // The failure is what is told; a log that cannot be read adds nothing to it.
        let stderr = logs::whole(&self.session.cloud, folder, "stderr").await.ok().flatten();
        let Some(stderr) = stderr.filter(|text| !text.trim().is_empty()) else { return Failure::new(what).hint(logs) };
        let lines: Vec<&str> = stderr.trim_end().lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        Failure::new(format!("{what}\nthe end of its stderr:\n  {}", last.join("\n  ")))
            .hint(format!("`infra{flags} cluster logs {}` prints all of its logs", step.id))
    }
}

/// Tells what becomes of a step until it ends; an error where it did not complete.
async fn follow(said: &Saying<'_>, step: &Step, folder: Option<Folder>) -> Result {
    let cloud = &said.session.cloud;
    let mut stdout = folder.clone().map(|folder| Tail::new(folder, "stdout"));
    let mut told = String::new();
    for look in 0_usize.. {
        let now = steps::describe(cloud, said.cluster, &step.id).await.map_err(|error| {
            let left = said.left(step);
            let mut failure = Failure::from(anyhow::Error::from(error));
            failure.hints.extend(left.hints);
            failure
        })?;
        if now.state != told {
            said.state(&now)?;
            told.clone_from(&now.state);
        }
        if let Some(tail) = stdout.as_mut().filter(|_| look % LOG_LOOKS == 0 || !now.is_active()) {
            tail.more(cloud, &mut |bytes| said.written("stdout", bytes)).await?;
        }
        if !now.is_active() {
            return ended(said, &now, stdout.as_mut(), folder.as_ref()).await;
        }
        tokio::time::sleep(cloud.pace.poll).await;
    }
    Ok(())
}

async fn ended(said: &Saying<'_>, step: &Step, stdout: Option<&mut Tail>, folder: Option<&Folder>) -> Result {
    let cloud = &said.session.cloud;
    let is_there = match stdout {
        Some(tail) => {
            // What was written last may be on its way; EMR's own delay of minutes is not waited for.
            let begin = tokio::time::Instant::now();
            while !tail.is_there() && begin.elapsed() < cloud.pace.consistency {
                tokio::time::sleep(cloud.pace.poll).await;
                tail.more(cloud, &mut |bytes| said.written("stdout", bytes)).await?;
            }
            tail.is_there()
        }
        None => true,
    };
    if said.json {
        event(&json!({
            "event": "ended", "step": step.id, "state": step.state, "reason": step.reason, "log": is_there,
        }))?;
    }
    if !step.succeeded() {
        return Err(said.failed(step, folder).await);
    }
    if !said.json && !is_there {
        let (flags, id) = (said.session.flags(), &step.id);
        ui::say(&format!(
            "Its log is not in the bucket yet, EMR brings it within minutes: `infra{flags} cluster logs {id} --follow`"
        ));
    }
    Ok(())
}
