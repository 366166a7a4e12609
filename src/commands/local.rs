//! `infra local`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Subcommand};

use super::Globals;
use crate::{
    error::{Failure, Result},
    local, ui,
    workspace::Workspace,
};

/// Runs AWS on this machine: a strict emulator on loopback that keeps its state. No account, no costs.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra local up
  infra local up --hosts --spark
  infra local exec -- ssh admin@198.18.7.9
  infra --local apply -f infra/nyc311.yaml
  infra local inject step-failure --times 2
  infra local logs
  infra local down")]
pub struct Local {
    #[command(subcommand)]
    verb: LocalVerb,
}

#[derive(Debug, Subcommand)]
enum LocalVerb {
    /// Starts it, and installs it first where needed.
    Up {
        /// How long things take: as on AWS, a moment, or no time.
        #[arg(long, value_enum)]
        speed: Option<local::Speed>,
        /// For how many seconds describes do not show what was just created.
        #[arg(long, value_name = "SECONDS")]
        lag: Option<f64>,
        /// Gives its instances real hosts: Linux with systemd and sshd, in networks of their own (Linux, as root).
        #[arg(long)]
        hosts: bool,
        /// Really runs the steps of clusters, on a Spark that it installs for itself (needs Java 17, 11 or 8).
        #[arg(long)]
        spark: bool,
    },
    /// Makes the next cluster or step fail, to see what becomes of it.
    #[command(after_help = "\
Examples:
  infra local inject no-capacity
  infra local inject step-failure --times 2
  infra local inject none")]
    Inject {
        /// What happens.
        #[arg(value_enum, value_name = "FAILURE")]
        failure: local::Injection,
        /// To how many clusters or steps.
        #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        times: u32,
    },
    /// Runs a command in the network from which the hosts' public addresses are reached.
    Exec {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Connects its input and output with a host: ssh's `ProxyCommand`.
    #[command(hide = true)]
    Connect {
        /// The hosts' gateway; this project's where nothing is said.
        #[arg(long, value_name = "SOCKET")]
        gateway: Option<PathBuf>,
        /// The host's address.
        host: String,
        /// Its port.
        port: u16,
    },
    /// Ends it; what it holds is kept for the next `up`.
    Down,
    /// Says whether it runs, and where.
    Status {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Forgets everything it holds.
    Reset,
    /// Prints its log.
    Logs,
}

impl Local {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        if let LocalVerb::Connect { gateway: Some(gateway), host, port } = &self.verb {
            return Ok(local::connect(gateway, host, *port)?);
        }
        let workspace = match &globals.file {
            Some(file) => Workspace::of(file),
            None => Workspace::here(),
        };
        workspace.prepare()?;
        match self.verb {
            LocalVerb::Up { speed, lag, hosts, spark } => {
                let state = local::up(&workspace, &local::Settings { speed, lag, hosts, spark }).await?;
                ui::say(&format!("The local cloud is up at {} ({}).", state.endpoint, state.summary()));
                if hosts {
                    ui::say("Each instance that runs is a real host now. Their disks last until `infra local down`.");
                }
            }
            LocalVerb::Inject { failure, times } => {
                if !local::inject(&workspace, failure, times).await? {
                    return Err(Failure::new("the local cloud does not run").hint("infra local up"));
                }
                ui::say(&injected(failure, times));
            }
            LocalVerb::Exec { command } => local::execute(&workspace, &command).await?,
            LocalVerb::Connect { gateway: _, host, port } => {
                let state = local::status(&workspace).await?;
                let hosts = state.and_then(|state| state.hosts);
                let hosts = hosts.ok_or_else(|| Failure::new("the local cloud's instances have no hosts"))?;
                local::connect(&hosts.gateway, &host, port)?;
            }
            LocalVerb::Down => {
                let ended = local::down(&workspace).await?;
                ui::say(match ended {
                    local::Ended { hosts: true, .. } => {
                        "The local cloud is down; what it holds is kept, but for its hosts: their disks are gone."
                    }
                    local::Ended { cloud: true, .. } => "The local cloud is down; what it holds is kept.",
                    local::Ended { .. } => "The local cloud was not up.",
                });
            }
            LocalVerb::Status { json } => match local::status(&workspace).await? {
                Some(state) if json => ui::print(&format!("{}\n", state.json))?,
                Some(state) => ui::print(&format!("up at {} ({})\n", state.endpoint, state.summary()))?,
                None if json => ui::print("{\"up\": false}\n")?,
                None => ui::print("down\n")?,
            },
            LocalVerb::Reset => {
                local::reset(&workspace).await?;
                ui::say("The local cloud is empty now.");
            }
            LocalVerb::Logs => ui::print(&local::logs(&workspace)?)?,
        }
        Ok(())
    }
}

/// What is going to happen.
fn injected(failure: local::Injection, times: u32) -> String {
    use local::Injection::{BootstrapFailure, NoCapacity, None, StepFailure, StepHang, ValidationError};
    let (one, many, fate) = match failure {
        BootstrapFailure => ("cluster", "clusters", "while bootstrapping"),
        NoCapacity => ("cluster", "clusters", "for lack of capacity"),
        ValidationError => ("cluster", "clusters", "with a validation error"),
        StepFailure => ("step", "steps", "on purpose, with logs"),
        StepHang if times == 1 => return "The next step will run until it is cancelled.".to_owned(),
        StepHang => return format!("The next {times} steps will run until they are cancelled."),
        None => return "Nothing fails on purpose any more.".to_owned(),
    };
    match times {
        1 => format!("The next {one} will fail {fate}."),
        _ => format!("The next {times} {many} will fail {fate}."),
    }
}
