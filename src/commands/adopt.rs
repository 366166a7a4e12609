//! `infra adopt`.

use clap::Args;

use super::{
    Globals,
    session::{Scope, Session},
};
use crate::{
    error::{Failure, Result},
    resources,
    spec::nearest,
    ui,
};

/// Takes over an object that exists: tags it as the stack's own, so that `plan` sees it. Changes nothing else.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra adopt vpc/main vpc-0a1b2c3d
  infra adopt iam_role/EMR_DefaultRole EMR_DefaultRole
  infra adopt bucket/lake my-old-bucket")]
pub struct Adopt {
    /// The resource of the spec that the object becomes.
    address: String,
    /// The object: its id, or the name where the name is the id (roles, users, buckets, key pairs).
    id: String,
}

impl Adopt {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { address, id } = self;
        let session = Session::open_to_change(globals, Scope::Cloud, "adopt").await?;
        let known = session.observe().await?;
        let desired = session.desired(&known).await?;
        let Some(target) = desired.addresses().find(|candidate| candidate.to_string() == address) else {
            let all: Vec<String> = desired.addresses().map(ToString::to_string).collect();
            let near = nearest(&address, all.iter().map(String::as_str));
            let failure = Failure::new(format!("the spec has no {address}"));
            return Err(match near {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint("`infra status` lists what it has"),
            });
        };
        if let Some(item) = known.item(target) {
            if item.id == id {
                ui::say(&format!("{address} is {id} already."));
                return Ok(());
            }
            return Err(Failure::new(format!("{address} exists already: {}", item.id))
                .hint("two objects cannot be one resource; delete or rename one of them first"));
        }
        resources::adopt(&session.cloud, target, &id).await?;
        ui::say(&format!(
            "{id} is {address} of stack {} now. `infra{} plan` shows what differs.",
            *session.spec.stack,
            session.flags()
        ));
        Ok(())
    }
}
