//! `infra cluster reap`.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use engine::{Graph, Resource};
use serde_json::json;

use super::{
    super::{
        Changing, Globals,
        reach::Reach,
        run,
        session::{Scope, Session},
    },
    which,
};
use crate::{
    cloud::Cloud,
    cluster::idle::{self, Limits, Verdict, Yarn},
    error::{Failure, Result},
    hosts::shell,
    resources::{EmrCluster, EmrClusterObserved, REGISTRY},
    ui,
};

/// Ends the cluster if it has idled for longer than `idle_timeout`, or lived for longer than `max_lifetime`.
///
/// It idles when no step runs or waits and YARN runs no application. YARN is asked from the `reaper` host, which is in
/// the cluster's network; where that is not possible, the steps decide, and it says so. What a timer on that host does
/// by itself is done here by hand. It asks nothing: the spec's limits are the consent.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra cluster reap
  infra cluster reap --plan      says what it would do, and does nothing
  infra --local cluster reap --json")]
pub struct Reap {
    /// Says what it would do, and does nothing.
    #[arg(long)]
    plan: bool,
    /// Prints what was decided as JSON.
    #[arg(long)]
    json: bool,
}

impl Reap {
    pub(in super::super) async fn run(self, globals: &Globals) -> Result {
        let mut session = if self.plan {
            Session::open(globals, Scope::Cloud).await?
        } else {
            Session::open_to_change(globals, Scope::Cloud, "cluster reap").await?
        };
        let limits = Limits::of(which::specified(&session)?);
        if limits.is_empty() {
            return Err(Failure::new("the cluster may idle and live for ever")
                .hint("say how long in the spec, e.g. `idle_timeout: 1h` or `max_lifetime: 12h`"));
        }
        session.kinds = REGISTRY.iter().filter(|kind| kind.name == kind_name()).copied().collect();
        let known = session.observe().await?;
        let Some(there) = which::living(&known) else {
            return self.tell(None, "stays", "no cluster is up");
        };
        let id = there.id.clone();
        let yarn = Box::pin(ask_yarn(globals, session.spec.reaper(), there)).await;
        let activity = idle::activity(&session.cloud, there, yarn).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        match idle::judge(limits, &activity, i64::try_from(now).unwrap_or(i64::MAX)) {
            Verdict::Stay(why) => self.tell(Some(&id), "stays", &why),
            Verdict::End(why) if self.plan => self.tell(Some(&id), "would end", &why),
            Verdict::End(why) => {
                let nothing = Graph::default();
                let plan = session.plan(&nothing, &known);
                run::ensure_permitted(&plan)?;
                let changing = Changing { yes: true, parallelism: 1, json: false };
                run::carry_out(&session, &plan, &nothing, known, &changing).await?;
                self.tell(Some(&id), "ended", &why)
            }
        }
    }

    fn tell(&self, id: Option<&str>, verdict: &str, why: &str) -> Result {
        if self.json {
            let line = json!({ "cluster": id, "verdict": verdict, "reason": why });
            return Ok(ui::print(&format!("{line}\n"))?);
        }
        Ok(ui::print(&match id {
            Some(id) => format!("cluster {id} {verdict}: {why}\n"),
            None => format!("{why}\n"),
        })?)
    }
}

fn kind_name() -> &'static str {
    <EmrCluster as Resource<Cloud>>::KIND
}

/// Asks YARN from the host that reaches the master.
async fn ask_yarn(globals: &Globals, host: Option<&str>, cluster: &EmrClusterObserved) -> Yarn {
    let Some(host) = host else { return Yarn::Unreachable("no `reaper` host is named that is in its network".into()) };
    let Some(master) = &cluster.master_dns else { return Yarn::Unreachable("the master has no name yet".into()) };
    let asked = async {
        let reach = Reach::open(globals).await?;
        reach.locate(host).await?;
        let script = format!("MASTER={}\n{}", shell::quote(master), idle::YARN_SCRIPT);
        let lines = reach.hosts().ask(host, &script).await.map_err(|error| reach.explain(error));
        reach.hosts().close().await;
        lines
    };
    match Box::pin(asked).await {
        Ok(lines) => idle::yarn(&lines),
        Err(failure) => Yarn::Unreachable(failure.message.lines().next().unwrap_or_default().to_owned()),
    }
}
