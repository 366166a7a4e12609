//! The local cloud: AWS on this machine, on loopback, for a project of its own.
//!
//! It is the Python package in `local/`, carried inside this binary. The first use installs it with its pinned
//! dependencies into an environment of its own in the user's cache folder; each project's state lies in its `.infra/`.

mod daemon;
mod hosts;
mod install;
mod spark;

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
};

pub use self::{
    hosts::{Bodies, connect, execute},
    spark::{Spark, spark},
};
use crate::{cloud::Target, ui, workspace::Workspace};

/// How long things take on the local cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Speed {
    /// No time.
    Instant,
    /// About a second each.
    Fast,
    /// As long as on AWS, or nearly.
    Real,
}

/// What the user said about how it should run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// How long things take; `fast` where nothing is said.
    pub speed: Option<Speed>,
    /// By how many seconds describes lag behind creates.
    pub lag: Option<f64>,
    /// Whether its instances get real hosts; those that are there stay where nothing is said.
    pub hosts: bool,
    /// Whether the steps of clusters are really run; they go on being so where nothing is said.
    pub spark: bool,
}

/// A failure of a cluster or a step that is made to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Injection {
    /// The next cluster's first bootstrap action fails, and writes logs.
    BootstrapFailure,
    /// EC2 has no room for the next cluster's instances.
    NoCapacity,
    /// The next cluster's settings turn out to be wrong once it starts.
    ValidationError,
    /// The next step runs until it is cancelled.
    StepHang,
    /// The next step fails, and writes logs.
    StepFailure,
    /// None of them happens any more.
    None,
}

/// A local cloud that runs.
#[derive(Clone, Debug)]
pub struct State {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// By how much its describes lag behind its creates.
    pub lag: Duration,
    /// How long things take.
    pub speed: String,
    /// The hosts of its instances, where they have any.
    pub hosts: Option<Bodies>,
    /// Whether the steps of clusters are really run.
    pub spark: bool,
    /// What it said of itself.
    pub json: Value,
}

impl State {
    /// How it runs, in a few words.
    pub fn summary(&self) -> String {
        let mut words = vec![format!("speed {}", self.speed)];
        if !self.lag.is_zero() {
            words.push(format!("describes lag {} s", self.lag.as_secs_f64()));
        }
        words.extend(self.hosts.as_ref().map(Bodies::summary));
        words.extend(self.spark.then(|| "steps run on Spark".to_owned()));
        words.join(", ")
    }
}

#[derive(Deserialize)]
struct Told {
    endpoint: String,
    #[serde(default)]
    speed: String,
    #[serde(default)]
    lag: f64,
    #[serde(default)]
    hosts: Option<Bodies>,
    #[serde(default)]
    spark: bool,
}

impl TryFrom<Value> for State {
    type Error = anyhow::Error;

    fn try_from(json: Value) -> anyhow::Result<Self> {
        let told: Told = serde_json::from_value(json.clone()).context("the local cloud's status cannot be read")?;
        let lag = Duration::try_from_secs_f64(told.lag).unwrap_or_default();
        let Told { endpoint, speed, hosts, spark, lag: _ } = told;
        Ok(Self { endpoint, lag, speed, hosts, spark, json })
    }
}

/// Says which package the daemon runs.
const PACKAGE_FILE: &str = "package";

/// Names another emulator to use instead, on loopback: for tests, and for whoever has one running already.
const ENDPOINT_VARIABLE: &str = "INFRA_LOCAL_ENDPOINT";

/// The local cloud's address; starts it, and installs it first, where needed.
pub async fn ensure_up(workspace: &Workspace) -> anyhow::Result<Target> {
    if let Ok(endpoint) = std::env::var(ENDPOINT_VARIABLE) {
        return Ok(daemon::told(&endpoint).await);
    }
    let home = absolute(workspace)?;
    let state = match daemon::find(&home).await {
        Some(state) if is_current(&home) => state,
        _ => up(workspace, &Settings::default()).await?,
    };
    let (gateway, python) = state.hosts.map(|hosts| (hosts.gateway, hosts.python)).unzip();
    Ok(Target::Local { endpoint: state.endpoint, lag: state.lag, gateway, python: python.flatten() })
}

/// Where the hosts of the local cloud at `endpoint` find it; nothing where it has none.
pub async fn from_hosts(endpoint: &str) -> Option<String> {
    daemon::from_hosts(endpoint).await
}

/// Whether it really runs the steps of clusters, or only leads them through their states; nothing where that cannot be
/// told.
pub async fn runs_steps(workspace: &Workspace) -> Option<bool> {
    match std::env::var(ENDPOINT_VARIABLE) {
        Ok(endpoint) => daemon::runs_steps(&endpoint).await,
        Err(_) => Some(daemon::find(&absolute(workspace).ok()?).await?.spark),
    }
}

/// Starts it; one that runs already takes on what `settings` say.
pub async fn up(workspace: &Workspace, settings: &Settings) -> anyhow::Result<State> {
    let home = absolute(workspace)?;
    let running = daemon::find(&home).await;
    let mut settings = *settings;
    let mut down_now = running.is_none();
    if let Some(state) = running.filter(|_| !is_current(&home)) {
        settings.speed = settings.speed.or_else(|| Speed::from_str(&state.speed, true).ok());
        settings.lag = settings.lag.or(Some(state.lag.as_secs_f64()));
        settings.hosts |= state.hosts.is_some();
        settings.spark |= state.spark;
        ui::say("Restarting the local cloud: it is another version's. What it holds is kept.");
        down(workspace).await?;
        down_now = true;
    }
    if down_now || settings.hosts || settings.spark {
        let speed = settings.speed.unwrap_or(Speed::Fast).to_possible_value().expect("no speed is hidden");
        let lag = settings.lag.unwrap_or(0.0).to_string();
        let python = install::ensure().await?;
        let mut arguments = vec!["up", "--port", "0", "--speed", speed.get_name(), "--lag", &lag];
        arguments.extend(settings.hosts.then_some("--hosts"));
        arguments.extend(settings.spark.then_some("--spark"));
        run(python, &home, &arguments).await?;
        std::fs::write(home.join(PACKAGE_FILE), install::package())?;
    }
    if !down_now {
        if let Some(speed) = settings.speed {
            let speed = speed.to_possible_value().expect("no speed is hidden");
            daemon::tell(&home, "speed", &serde_json::json!({ "speed": speed.get_name() })).await?;
        }
        if let Some(lag) = settings.lag {
            daemon::tell(&home, "lag", &serde_json::json!({ "lag": lag })).await?;
        }
    }
    daemon::find(&home).await.context("the local cloud started but does not answer; see `infra local logs`")
}

/// What `down` ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    /// The local cloud ran.
    pub cloud: bool,
    /// Its instances had hosts.
    pub hosts: bool,
}

/// Ends it and its hosts; says what there was.
pub async fn down(workspace: &Workspace) -> anyhow::Result<Ended> {
    let home = absolute(workspace)?;
    if !home.join(daemon::FILE).exists() && !home.join(hosts::FILE).exists() {
        return Ok(Ended::default());
    }
    let told = run(install::ensure().await?, &home, &["down"]).await?;
    let is = |name: &str| told[name].as_bool().unwrap_or(false);
    Ok(Ended { cloud: is("stopped"), hosts: is("hosts") })
}

/// How it runs; nothing where it does not.
pub async fn status(workspace: &Workspace) -> anyhow::Result<Option<State>> {
    Ok(daemon::find(&absolute(workspace)?).await)
}

/// Makes the next `times` clusters or steps fail; false where no local cloud runs.
pub async fn inject(workspace: &Workspace, injection: Injection, times: u32) -> anyhow::Result<bool> {
    let endpoint = match std::env::var(ENDPOINT_VARIABLE) {
        Ok(endpoint) => Some(endpoint),
        Err(_) => daemon::find(&absolute(workspace)?).await.map(|state| state.endpoint),
    };
    let Some(endpoint) = endpoint else { return Ok(false) };
    let kind = injection.to_possible_value().expect("no injection is hidden");
    let body = serde_json::json!({ "emr": kind.get_name(), "times": times });
    daemon::post(&endpoint, "inject", &body).await?;
    Ok(true)
}

/// Empties it.
pub async fn reset(workspace: &Workspace) -> anyhow::Result<()> {
    let home = absolute(workspace)?;
    run(install::ensure().await?, &home, &["reset"]).await.map(drop)
}

/// The end of its log.
pub fn logs(workspace: &Workspace) -> anyhow::Result<String> {
    let path = absolute(workspace)?.join("daemon.log");
    std::fs::read_to_string(&path).with_context(|| format!("there is no log at {}", path.display()))
}

/// Whether the daemon of this folder runs the package that this binary carries.
fn is_current(home: &std::path::Path) -> bool {
    std::fs::read_to_string(home.join(PACKAGE_FILE)).is_ok_and(|running| running == install::package())
}

fn absolute(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    std::path::absolute(workspace.local_cloud()).context("the current folder cannot be told")
}

/// Runs one of the package's own commands, which answers with one line of JSON; what it says before is passed on.
async fn run(python: install::Python, home: &std::path::Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let mut command = Command::new(&python.program);
    command.args(["-m", "infra_local"]).args(arguments).arg("--home").arg(home);
    command.env("PYTHONPATH", &python.packages).env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {}", python.program.display()))?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let mut errors = child.stderr.take().context("no output of errors")?;
    let mut answer = Value::Null;
    let listen = async {
        while let Some(line) = lines.next_line().await? {
            let told: Value =
                serde_json::from_str(&line).with_context(|| format!("the local cloud answered {line:?}"))?;
            match told["say"].as_str() {
                Some(text) => ui::say(text),
                None => answer = told,
            }
        }
        anyhow::Ok(())
    };
    let mut failure = String::new();
    let (listened, _) = tokio::join!(listen, errors.read_to_string(&mut failure));
    if !child.wait().await?.success() {
        match answer["error"].as_str() {
            Some(code) if answer["of"] == "spark" => {
                bail!("the local cloud cannot run steps here ({code}): {}", failure.trim())
            }
            Some(code) => bail!("the local cloud's instances cannot have hosts here ({code}): {}", failure.trim()),
            None => bail!("the local cloud: {}", failure.trim()),
        }
    }
    listened?;
    Ok(answer)
}
