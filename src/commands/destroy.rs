//! `infra destroy`.

use clap::Args;
use engine::Graph;

use super::{
    Changing, Globals,
    apply::ask,
    run,
    session::{Scope, Session},
};
use crate::{error::Result, ui};

/// Deletes everything that the stack owns, after naming it.
///
/// Protected objects (`protect: true`, kept as a tag too) are refused, and then nothing is deleted.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra destroy
  infra --local destroy -f infra/nyc311.yaml --yes --empty-buckets")]
pub struct Destroy {
    #[command(flatten)]
    changing: Changing,
    /// Deletes what is in the buckets too, every version of it; without this, a bucket that holds data stays.
    #[arg(long)]
    empty_buckets: bool,
}

impl Destroy {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { changing, empty_buckets } = self;
        let mut session = Session::open(globals, Scope::Cloud).await?;
        session.cloud = session.cloud.clone().with_empty_buckets(empty_buckets);
        let known = session.observe().await?;
        let nothing = Graph::default();
        let plan = session.plan(&nothing, &known);
        if !changing.json || plan.is_empty() {
            ui::say(&ui::plan::render(&plan, &session.heading(true)));
        }
        run::ensure_permitted(&plan)?;
        if plan.is_empty() {
            return Ok(());
        }
        if !changing.yes {
            ask(&format!("Delete all of this? Only `yes` is taken for yes ({}):", *session.spec.stack))?;
        }
        run::carry_out(&session, &plan, &nothing, known, &changing).await?;
        Ok(())
    }
}
