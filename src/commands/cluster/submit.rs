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
        explain,
        logs::{Folder, Tail},
        steps::{self, Step},
        submit::{self, Job},
    },
    error::{Failure, Result},
    local, ui,
    workspace::Workspace,
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
        if session.local && local::runs_steps(&Workspace::of(&session.file)).await == Some(false) {
            ui::say("note: the local cloud does not really run steps: `infra local up --spark` makes it do so");
        }
        if self.detach {
            if !self.json {
                ui::print(&format!("{}\n", step.id))?;
            }
            return Ok(());
        }
        let folder = cluster.log_uri.as_deref().and_then(|uri| Folder::of_step(uri, &cluster.id, &step.id));
        let mut stdout = folder.clone().map(|folder| Tail::new(folder, "stdout"));
        let step = tokio::select! {
            step = follow(&said, &step, stdout.as_mut()) => step?,
            () = stops.next() => return Err(said.left(&step)),
        };
        // It has ended: a Ctrl-C leaves out what its logs would tell yet.
        let told = tokio::select! {
            told = ended(&said, &step, stdout.as_mut(), folder.as_ref()) => Some(told?),
            () = stops.next() => None,
        };
        if step.succeeded() { Ok(()) } else { Err(said.failed(&step, told)) }
    }

    /// What spark-submit is to run; uploads what is on this machine only.
    async fn job(&self, session: &Session) -> Result<Job> {
        let pipeline = self.pipeline.as_deref();
        let options: Vec<&str> = self.conf.iter().map(String::as_str).collect();
        let locate = async |named: &str| -> Result<String> {
            let program = job::locate(session, named, pipeline, &options).await?;
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

    fn failed(&self, step: &Step, told: Option<String>) -> Failure {
        let (flags, id) = (self.session.flags(), &step.id);
        Failure::new(told.unwrap_or_else(|| explain::reason_of(step)))
            .hint(format!("`infra{flags} cluster logs {id} --follow` prints all of its logs, once they are there"))
    }
}

/// Tells what becomes of a step until it ends; returns it as it ended.
async fn follow(said: &Saying<'_>, step: &Step, mut stdout: Option<&mut Tail>) -> Result<Step> {
    let cloud = &said.session.cloud;
    let mut told = String::new();
    let mut look = 0_usize;
    loop {
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
        if let Some(tail) = stdout.as_mut().filter(|_| look.is_multiple_of(LOG_LOOKS) || !now.is_active()) {
            tail.more(cloud, &mut |bytes| said.written("stdout", bytes)).await?;
        }
        if !now.is_active() {
            return Ok(now);
        }
        look += 1;
        tokio::time::sleep(cloud.pace.poll).await;
    }
}

/// Brings what a step that has ended wrote last, and says what became of it. Returns why it failed, if it did.
async fn ended(said: &Saying<'_>, step: &Step, stdout: Option<&mut Tail>, folder: Option<&Folder>) -> Result<String> {
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
        return Ok(explain::step(cloud, step, folder, ui::say).await.to_string());
    }
    if !said.json && !is_there {
        let (flags, id) = (said.session.flags(), &step.id);
        ui::say(&format!(
            "Its log is not in the bucket yet, EMR brings it within minutes: `infra{flags} cluster logs {id} --follow`"
        ));
    }
    Ok(String::new())
}
