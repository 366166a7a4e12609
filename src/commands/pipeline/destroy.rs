//! `infra pipeline destroy`.

use std::collections::BTreeMap;

use clap::Args;

use super::{
    super::{
        Changing, Globals,
        apply::ask,
        run,
        session::{Scope, Session},
    },
    choose,
};
use crate::{
    cloud::Cloud,
    error::Result,
    resources,
    stacks::pipeline::belongs_to,
    ui::{self, plan::Heading},
};

/// Takes a pipeline's code away: all of its versions, and what is on its host. Its data stay.
///
/// While the spec has it, `infra apply` deploys it again: remove it there, too.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  infra pipeline destroy nyc311 --yes")]
pub(super) struct Destroy {
    /// The pipeline; the spec's only one unless said. It may have left the spec already.
    name: Option<String>,
    #[command(flatten)]
    changing: Changing,
}

impl Destroy {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { name, changing } = self;
        let session = Session::open_to_change(globals, Scope::Deployed, "pipeline destroy").await?;
        let known = session.observe().await?;
        let name = match name {
            Some(name) if known.find::<Cloud, resources::Pipeline>(&name).is_some() => name,
            name => choose::one(&session, name.as_deref())?,
        };
        let mut desired = session.desired(&known).await?;
        let chosen = |address: &engine::Address| belongs_to(&session.cloud.names, &name, address);
        desired.retain(|address| !chosen(address));
        let plan = session.plan(&desired, &known).only(&chosen);
        if !changing.json || plan.is_empty() {
            let heading = Heading { partial: true, tags: BTreeMap::new(), ..session.heading(false) };
            ui::say(&ui::plan::render(&plan, &heading));
        }
        run::ensure_permitted(&plan)?;
        if plan.is_empty() {
            return Ok(());
        }
        if !changing.yes {
            ask("Delete this? Only `yes` is taken for yes:").await?;
        }
        run::carry_out(&session, &plan, &desired, known, &changing).await?;
        if session.spec.pipelines.contains_key(&name) {
            ui::say(&format!("The spec still has the pipeline {name}: `infra apply` deploys it again."));
        }
        Ok(())
    }
}
