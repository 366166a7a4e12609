//! `infra users plan` and `infra users apply`: what concerns people on hosts, and nothing else.

use clap::Args;

use super::super::{
    Changing, Globals,
    apply::ask,
    examine, run,
    session::{Scope, Session},
};
use crate::{
    error::{Failure, Result},
    hosts::KINDS,
    resources::Instance,
    ui::{self, plan::Heading},
};

/// Shows what would change for people on the hosts: accounts, keys, groups, sudo, sshd.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra users plan
  infra users plan -f servers.yaml      servers that exist already need no AWS")]
pub struct Plan {
    /// Prints the plan as JSON.
    #[arg(long)]
    json: bool,
    /// Exits with 2 when there is something to do.
    #[arg(long)]
    exit_code: bool,
}

/// Gives people their accounts, and takes them from those who left.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  infra users apply --yes")]
pub struct Apply {
    #[command(flatten)]
    changing: Changing,
}

struct Prepared {
    known: engine::Inventory,
    desired: engine::Graph<crate::cloud::Cloud>,
    plan: engine::Plan,
}

async fn open(globals: &Globals, changes: bool) -> Result<Session> {
    let session = if changes {
        Session::open_to_change(globals, Scope::People, "users apply").await?
    } else {
        Session::open(globals, Scope::People).await?
    };
    if session.spec.hosts.values().all(|host| host.users.is_none()) {
        return Err(Failure::new(format!("no host of {} has `users`", session.file.display()))
            .hint("give one some: `users: ../users.txt` under the host; one login a line"));
    }
    if session.cloud.hosts.places().is_empty() {
        return Err(Failure::new(session.notes().join("; ")));
    }
    Ok(session)
}

/// What concerns people, and no instance.
async fn prepare(session: &Session) -> Result<Prepared> {
    let known = session.observe().await?;
    for (name, host) in session.spec.hosts.iter().filter(|(_, host)| host.users.is_some() && host.instance().is_some())
    {
        if known.find::<crate::cloud::Cloud, Instance>(name).is_none_or(|instance| instance.state != "running") {
            return Err(Failure::new(format!("the host {name} ({}) does not run", host.span.place()))
                .hint(format!("`infra{} apply` makes or starts it, and its users with it", session.flags())));
        }
    }
    let mut desired = session.desired(&known).await?;
    desired.retain(|address| KINDS.contains(&address.kind));
    let plan = session.plan(&desired, &known).only(&|address| KINDS.contains(&address.kind));
    Ok(Prepared { known, desired, plan })
}

fn heading(session: &Session, ready: &Prepared) -> Heading {
    let mut heading = session.heading(false);
    heading.losses = examine::locked(&ready.known, &ready.plan);
    heading.partial = true;
    heading.tags.clear();
    heading
}

impl Plan {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { json, exit_code } = self;
        let session = open(globals, false).await?;
        let ready = prepare(&session).await?;
        let plan = &ready.plan;
        if json {
            let text = serde_json::to_string_pretty(plan).map_err(anyhow::Error::from)?;
            ui::print(&format!("{text}\n"))?;
        } else {
            ui::print(&ui::plan::render(plan, &Heading { width: ui::data_width(), ..heading(&session, &ready) }))?;
        }
        if exit_code && !plan.is_empty() { Err(Failure::changes()) } else { Ok(()) }
    }
}

impl Apply {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { changing } = self;
        let session = open(globals, true).await?;
        let mut ready = prepare(&session).await?;
        if !changing.json || ready.plan.is_empty() {
            ui::say(&ui::plan::render(&ready.plan, &heading(&session, &ready)));
        }
        if ready.plan.is_empty() {
            return Ok(());
        }
        if !changing.yes {
            ask("Change this? Only `yes` is taken for yes:").await?;
            let again = run::unless_stopped(prepare(&session)).await?;
            if again.plan != ready.plan {
                return Err(Failure::new("the hosts changed while you were reading; nothing was changed")
                    .hint("run the command again and look at the new plan"));
            }
            ready = again;
        }
        run::carry_out(&session, &ready.plan, &ready.desired, ready.known, &changing).await?;
        Ok(())
    }
}
