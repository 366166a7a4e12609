//! `infra ssh`.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

use super::{Globals, reach::Reach};
use crate::{
    error::{Failure, Result},
    hosts::{self, ConnectError, ConnectFailure, Ended, Way},
};

/// Logs in on a host of the stack, by its name and through its bastion, or runs a command there.
///
/// It is the system's own ssh, with the keys that the host must show pinned before. Its exit code is ssh's: that of the
/// command, or 255 where no connection was made.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra ssh bastion
  infra ssh processing -- systemctl status luigid
  infra ssh processing -t -- sudo less /var/log/syslog
  infra ssh processing --as valentina -i ~/.ssh/id_ed25519
  infra ssh master -- yarn application -list")]
pub struct Ssh {
    /// The host, or `master` for the cluster's; may be left out where there is only one host.
    host: Option<String>,
    #[command(flatten)]
    login: Login,
    /// Gives the command a terminal, so that it can ask something.
    #[arg(short = 't', long)]
    tty: bool,
    /// What to run there instead of a shell; as with ssh, the shell there reads it.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// As whom to log in.
#[derive(Args, Clone, Debug, Default)]
pub struct Login {
    /// Logs in as one of the people of the spec, with their own key, instead of the administrator.
    #[arg(long = "as", value_name = "LOGIN")]
    login: Option<String>,
    /// Their key, and no other; otherwise those that ssh finds by itself.
    #[arg(short, long, value_name = "FILE", requires = "login")]
    identity: Option<PathBuf>,
}

impl Login {
    /// The way to hosts that are located, for whoever logs in.
    pub(super) fn way(&self, reach: &Reach, hosts: &[String]) -> Result<Way> {
        let visitor =
            self.login.as_ref().map(|login| reach.visitor(hosts, login, self.identity.as_deref())).transpose()?;
        Ok(reach.hosts().way(visitor.as_ref())?)
    }

    /// Explains a refusal to somebody who is not the administrator.
    fn explain(&self, error: &ConnectError) -> Option<String> {
        let (login, host) = (self.login.as_ref()?, &error.host);
        match error.kind {
            ConnectFailure::Refused => {
                let key = match &self.identity {
                    Some(file) => format!("with {}", file.display()),
                    None => "with the keys that your ssh has (`-i FILE` names one)".to_owned(),
                };
                Some(format!("{host} does not let `{login}` in {key}; is its public half in the spec, and applied?"))
            }
            ConnectFailure::Closed => Some(format!(
                "the account of `{login}` is closed on {host}: `expires=` in the list of its users says from when on"
            )),
            _ => None,
        }
    }
}

impl Ssh {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { host, login, tty, command } = self;
        let reach = Reach::open(globals).await?;
        let host = reach.choose(host.as_deref())?;
        log_in(&reach, host, &login, tty, command).await
    }
}

/// Logs in on a host, or runs a command there.
pub(super) async fn log_in(reach: &Reach, host: String, login: &Login, tty: bool, command: Vec<OsString>) -> Result {
    reach.locate(&host).await?;
    let way = login.way(reach, std::slice::from_ref(&host))?;
    let ended = hosts::run("ssh", &arguments(&way, &host, tty, command)).await?;
    outcome(reach, login, &way, &[host], ended, &[255]).await
}

/// What ssh is told, to log in on a host or to run a command there.
pub(super) fn arguments(way: &Way, host: &str, tty: bool, command: Vec<OsString>) -> Vec<OsString> {
    let mut arguments = way.arguments().to_vec();
    arguments.extend(tty.then(|| "-t".into()));
    arguments.extend(["--".into(), host.into()]);
    arguments.extend(command);
    arguments
}

/// What a program's end means for ours; where it may have been for want of a connection, says why there is none.
pub(super) async fn outcome(
    reach: &Reach,
    login: &Login,
    way: &Way,
    hosts: &[String],
    ended: Ended,
    connectionless: &[u8],
) -> Result {
    let Ended { code, stopped } = ended;
    if code == 0 {
        return Ok(());
    }
    let mut failure = Failure::ended(code);
    if stopped || !connectionless.contains(&code) {
        return Err(failure);
    }
    // The outermost that does not let us in is the one that matters.
    for host in hosts.iter().flat_map(|host| reach.chain(host)) {
        let Some(error) = reach.hosts().diagnose(way, &host).await else { continue };
        failure.message = error.to_string();
        failure.hints = login.explain(&error).map_or_else(|| reach.hosts().advice(&error), |hint| vec![hint]);
        break;
    }
    Err(failure)
}
