//! `infra cluster ssh`.

use std::ffi::OsString;

use clap::Args;
use serde_json::json;

use super::{
    super::{
        Globals,
        reach::Reach,
        session::{Scope, Session},
        ssh::{Login, arguments, log_in},
    },
    which,
};
use crate::{
    error::{Failure, Result},
    ui,
};

/// Logs in on the cluster's master, through the bastion, or runs a command there.
///
/// It is `infra ssh master`, whatever the master is called among the hosts: the system's own ssh, as `hadoop`, with the
/// cluster's key, and with the keys that the hosts must show pinned before. Its exit code is ssh's: that of the command,
/// or 255 where no connection was made.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra cluster ssh
  infra cluster ssh yarn application -list
  infra cluster ssh -t sudo less /var/log/hadoop-yarn/yarn.log
  infra --local cluster ssh --json | jq -r .address")]
pub struct Ssh {
    /// Gives the command a terminal, so that it can ask something.
    #[arg(short = 't', long)]
    tty: bool,
    /// Prints as JSON which machine it is and what would be run to log in, and does not log in.
    #[arg(long)]
    json: bool,
    /// What to run there instead of a shell; as with ssh, the shell there reads it.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Ssh {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { tty, json, command } = self;
        let reach = match Reach::open(globals).await {
            Ok(reach) => reach,
            // Without a cluster it does not matter what is in the way to it.
            Err(failure) => return Err(no_cluster(globals).await.unwrap_or(failure)),
        };
        if json {
            return tell(&reach, tty, command).await;
        }
        let host = reach.master_name()?.to_owned();
        log_in(&reach, host, &Login::default(), tty, command).await
    }
}

/// Why there is no cluster to log in on, if so.
async fn no_cluster(globals: &Globals) -> Option<Failure> {
    let session = Session::open(globals, Scope::Cluster).await.ok()?;
    match session.observe().await {
        Ok(known) => which::must_be_ready(&session, &known).err(),
        Err(failure) => Some(failure),
    }
}

/// Prints where the master is, and how it is reached.
async fn tell(reach: &Reach, tty: bool, command: Vec<OsString>) -> Result {
    let master = reach.reach_master().await?;
    let way = Login::default().way(reach, &[master.name.to_owned()])?;
    let run: Vec<String> = std::iter::once(OsString::from("ssh"))
        .chain(arguments(&way, master.name, tty, command))
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let place = reach.hosts().places().get(master.name);
    let line = json!({
        "cluster": master.cluster.id,
        "host": master.name,
        "name": master.host(),
        "instance": master.node.id,
        "address": master.node.private_ip,
        "login": place.map(|place| &place.login),
        "via": place.and_then(|place| place.via.as_ref()),
        "command": run,
    });
    let text = serde_json::to_string_pretty(&line).map_err(anyhow::Error::from)?;
    Ok(ui::print(&format!("{text}\n"))?)
}
