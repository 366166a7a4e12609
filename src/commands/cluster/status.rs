//! `infra cluster status`.

use std::{fmt::Write, time::Duration};

use clap::Args;
use serde_json::json;

use super::{
    super::{
        Globals,
        session::{Scope, Session},
    },
    which,
};
use crate::{
    cluster::{
        cost,
        past::Past,
        state_in_words,
        status::{self, ClusterStatus},
        steps::Step,
    },
    error::Result,
    resources::OtherCluster,
    ui::{self, time},
};

/// Shows what the cluster is and does: state, machines, steps, since when it is idle, what it costs.
///
/// Without a cluster it says so, and what became of the last one; the exit code is 0 too.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra cluster status
  infra --local cluster status --json | jq -r .cluster.state")]
pub struct Status {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { json } = self;
        let session = Session::open(globals, Scope::Cluster).await?;
        let known = session.observe().await?;
        let (others, notes): (Vec<OtherCluster>, Vec<String>) = which::others(&session).await?.into_iter().unzip();
        if !json {
            for note in &notes {
                ui::say(&format!("note: {note}"));
            }
        }
        let Some(cluster) = which::seen(&known) else {
            let last = which::last(&session).await?;
            if last.is_none() {
                which::specified(&session)?;
            }
            if json {
                return print(&json!({ "cluster": null, "last": last, "others": others }));
            }
            return Ok(ui::print(&none(&session, last.as_ref()))?);
        };
        let status = status::of(&session.cloud, cluster).await?;
        let cost = cost::of_cluster(cluster, &session.spec.region);
        let up = status.created.map(|created| Duration::from_secs((time::now() - created).try_into().unwrap_or(0)));
        if json {
            let so_far = up.and_then(|up| cost.after(up));
            let dollars = |micros: Option<u64>| micros.map(cost::dollars);
            let cost = json!({ "hourly_usd": dollars(cost.hourly()), "so_far_usd": dollars(so_far), "explained": cost.sentence() });
            return print(&json!({ "cluster": status, "cost": cost, "others": others }));
        }
        let so_far = up.map(|up| format!("; it {}", cost.so_far(up))).unwrap_or_default();
        let an_hour = cost.sentence();
        let cost = format!("{:<10}{}{so_far}\n", "costs", an_hour.strip_prefix("costs ").unwrap_or(&an_hour));
        Ok(ui::print(&(shown(&status) + &cost))?)
    }
}

fn print(value: &serde_json::Value) -> Result {
    let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::from)?;
    Ok(ui::print(&format!("{text}\n"))?)
}

fn none(session: &Session, last: Option<&Past>) -> String {
    let mut text = format!("Stack {} has no cluster.\n", *session.spec.stack);
    if let Some(Past { id, state, ended, reason, .. }) = last {
        let when = ended.map(|ended| format!(" at {}", time::clock(ended))).unwrap_or_default();
        let why = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let _ = writeln!(text, "The last one, {id}, {}{when}{why}", state_in_words(state));
    }
    text
}

fn shown(status: &ClusterStatus) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<10}{value}");
    };
    row("cluster", &format!("{}  {}", status.id, status.name));
    let idle = status.idle_since.map(|since| format!(", for {}", time::since(since))).unwrap_or_default();
    row("state", &format!("{}: {}{idle}", status.state, status.means));
    if let Some(created) = status.created {
        let start = status.ready.map(|ready| format!("; could work after {}", time::elapsed(ready - created)));
        let start = start.unwrap_or_default();
        row("up since", &format!("{}, {}{start}", time::clock(created), time::since(created)));
    }
    row("release", &format!("{}: {}", status.release, status.applications.join(", ")));
    for nodes in &status.nodes {
        let types = nodes.instance_types.join(" or ");
        row(&nodes.group, &format!("{} of {} run  {types}", nodes.running, nodes.requested));
    }
    for step in status.running.iter().chain(&status.pending) {
        row(&step.state.to_lowercase(), &of_step(step));
    }
    if status.running.is_empty() && status.pending.is_empty() {
        row("steps", "none runs or waits to");
    }
    row("master at", status.master.as_deref().unwrap_or("has no name yet"));
    row("logs", status.logs.as_deref().unwrap_or("are not kept"));
    if status.termination_protection {
        row("protected", "yes: only `infra cluster down --force` ends it");
    }
    text
}

fn of_step(step: &Step) -> String {
    let elapsed = step.elapsed(time::now()).map(|elapsed| format!("  {}", time::elapsed(elapsed)));
    format!("{}  {}{}", step.id, step.name, elapsed.unwrap_or_default())
}
