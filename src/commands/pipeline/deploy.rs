//! `infra pipeline deploy`: what concerns a pipeline in a plan, and nothing else.

use std::collections::BTreeMap;

use clap::Args;
use engine::{Graph, Inventory, Plan};

use super::{
    super::{
        Changing, Globals,
        apply::ask,
        examine,
        load::ensure_template,
        run,
        session::{Scope, Session},
    },
    choose,
};
use crate::{
    cloud::Cloud,
    error::{Failure, Result},
    pipeline::stored,
    resources::{self, BucketObject},
    spec::nearest,
    stacks::pipeline::{belongs_to, code_folder},
    ui::{self, plan::Heading},
};

/// Puts a pipeline's code where it runs: shows the plan, asks, carries it out.
///
/// Each content is a version of its own, beside the earlier ones, so that a job that runs keeps what it began with.
/// `infra apply` does the same for all pipelines, with the rest of the stack.
#[derive(Args, Debug)]
// `--version` is a pipeline's here.
#[command(
    disable_version_flag = true,
    after_help = "\
Examples:
  infra pipeline deploy
  infra pipeline deploy nyc311 --yes
  infra pipeline deploy nyc311 --version 1a2b3c4d5e6f    back to an earlier version"
)]
pub(super) struct Deploy {
    /// The pipeline; all of the spec's unless said.
    name: Option<String>,
    /// An earlier version that is still in S3, or its first four digits or more, instead of what the template's folder
    /// holds now.
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    changing: Changing,
}

/// So much of a version is enough, where no other begins so.
const LEAST: usize = 4;

/// A plan for pipelines alone.
struct Prepared {
    known: Inventory,
    desired: Graph<Cloud>,
    plan: Plan,
}

impl Deploy {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { name, version, changing } = self;
        // The way back is open also where the folder holds what cannot be deployed.
        let scope = if version.is_some() { Scope::Deployed } else { Scope::Platform };
        let mut session = Session::open_to_change(globals, scope, "pipeline deploy").await?;
        let names = match &version {
            Some(_) => vec![choose::one(&session, name.as_deref())?],
            None => choose::all(&session, name.as_deref())?,
        };
        if let Some(version) = &version {
            go_back(&mut session, &names[0], version).await?;
        }
        let mut ready = prepare(&session, &names).await?;
        let mut heading = Heading { partial: true, tags: BTreeMap::new(), ..session.heading(false) };
        if version.is_some() {
            heading.notes.push("`infra apply` deploys what the template's folder holds: this lasts until then".into());
        }
        if !changing.json || ready.plan.is_empty() {
            ui::say(&ui::plan::render(&ready.plan, &heading));
        }
        run::ensure_permitted(&ready.plan)?;
        if !ready.plan.is_empty() {
            if !changing.yes {
                ask("Deploy this? Only `yes` is taken for yes:").await?;
                let again = run::unless_stopped(prepare(&session, &names)).await?;
                if again.plan != ready.plan {
                    return Err(Failure::new("the world moved while you were reading; nothing was changed")
                        .hint("run the command again and look at the new plan"));
                }
                ready = again;
            }
            ready.known = run::carry_out(&session, &ready.plan, &ready.desired, ready.known, &changing).await?;
        }
        for name in &names {
            let Some(pipeline) = ready.known.find::<Cloud, resources::Pipeline>(name) else { continue };
            let version = pipeline.version.as_deref().unwrap_or_default();
            ui::say(&format!("Pipeline {name} is at version {version}."));
            if let Some(before) = pipeline.history.iter().find(|before| *before != version) {
                let flags = session.flags();
                ui::say(&format!("Back to what was before: `infra{flags} pipeline deploy {name} --version {before}`"));
            }
        }
        Ok(())
    }
}

/// What concerns the pipelines, and what it waits for.
async fn prepare(session: &Session, names: &[String]) -> Result<Prepared> {
    let known = session.observe().await?;
    let desired = session.desired(&known).await?;
    let chosen = |address: &engine::Address| names.iter().any(|name| belongs_to(&session.cloud.names, name, address));
    let mut plan = session.plan(&desired, &known).only(&chosen);
    examine::plan(session, &known, &mut plan).await?;
    Ok(Prepared { known, desired, plan })
}

/// Makes an earlier version the wanted one.
async fn go_back(session: &mut Session, name: &str, version: &str) -> Result {
    // It says what a host has of each version.
    ensure_template(&session.spec.pipelines[name])?;
    let known = session.observe().await?;
    let pipeline = known.find::<Cloud, resources::Pipeline>(name);
    let history = pipeline.map(|pipeline| pipeline.history.clone()).unwrap_or_default();
    // As with git, as much of it as tells it from the others.
    let meant: Vec<&String> =
        history.iter().filter(|kept| version.len() >= LEAST && kept.starts_with(version)).collect();
    let version = if let [only] = meant[..] { only.as_str() } else { version };
    if !history.iter().any(|kept| kept == version) {
        let failure = Failure::new(format!("there is no version {version} of pipeline {name} in S3"));
        return Err(match nearest(version, history.iter().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean {near}?")),
            None if history.is_empty() => failure.hint("it has not been deployed yet"),
            None => failure.hint(format!("there are, the newest first: {}", history.join(", "))),
        });
    }
    let at = code_folder(&session.spec, &session.spec.pipelines[name], &session.cloud.names.account);
    let objects = known.all::<Cloud, BucketObject>();
    let checksums = objects.filter(|(_, object)| object.bucket == at.bucket);
    let checksums = checksums.filter_map(|(_, object)| Some((object.key.clone(), object.sha256.clone()?))).collect();
    let release = stored::release(&session.cloud, &at, name, version, &checksums).await?;
    session.release(name, release);
    Ok(())
}
