//! `infra destroy`.

use clap::Args;
use engine::Graph;

use super::{
    Changing, Emptying, Globals,
    apply::ask,
    cluster::others,
    examine, run,
    session::{Scope, Session},
};
use crate::{
    error::Result,
    ui::{self, plan::Heading},
};

/// Deletes everything that the stack owns, after naming it.
///
/// Protected objects (`protect: true`, kept as a tag too) are refused, and so are buckets that hold data unless
/// `--empty-buckets` says otherwise; then nothing is deleted.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra destroy
  infra --local destroy -f infra/nyc311.yaml --yes --empty-buckets")]
pub struct Destroy {
    #[command(flatten)]
    changing: Changing,
    #[command(flatten)]
    emptying: Emptying,
}

impl Destroy {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { changing, emptying } = self;
        let mut session = Session::open_to_change(globals, Scope::Cloud, "destroy").await?;
        session.cloud = session.cloud.clone().with_empty_buckets(emptying.empty_buckets);
        // All of it: where several objects claim one address, all of them go.
        let known = session.observe_all().await?;
        let nothing = Graph::default();
        let mut plan = session.plan(&nothing, &known);
        let losses = examine::plan(&session, &known, &mut plan).await?;
        if !changing.json || plan.is_empty() {
            let heading = Heading { losses, ..session.heading(true) };
            ui::say(&ui::plan::render(&plan, &heading));
            let others = if session.spec.cluster.is_some() { others(&session).await? } else { Vec::new() };
            for (_, note) in others {
                ui::say(&format!("note: {note}"));
            }
        }
        run::ensure_permitted(&plan)?;
        if plan.is_empty() {
            return Ok(());
        }
        if !changing.yes {
            ask(&format!("Delete all of this? Only `yes` is taken for yes ({}):", *session.spec.stack)).await?;
        }
        run::carry_out(&session, &plan, &nothing, known, &changing).await?;
        Ok(())
    }
}
