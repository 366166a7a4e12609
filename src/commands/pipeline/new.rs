//! `infra pipeline new`.

use clap::Args;

use super::super::{Globals, load};
use crate::{
    error::{Failure, Result},
    pipeline::skeleton,
    ui,
};

/// Makes a template to begin with: a job, sample data and a test, which work as they are.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  infra pipeline new names && infra pipeline test names")]
pub(super) struct New {
    /// Its name: the folder's, under `templates/`.
    name: String,
}

impl New {
    pub(super) fn run(self, globals: &Globals) -> Result {
        let Self { name } = self;
        let good = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !good {
            return Err(Failure::new(format!("`{name}` cannot name a pipeline"))
                .hint("a name begins with a letter or digit and has letters, digits, `-`, `_` and `.`"));
        }
        // Not read: it may name the very template that is to be made.
        let folder = load::templates(globals)?.join(&name);
        let shown = folder.display();
        let written = match skeleton::write(&folder) {
            Ok(written) => written,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(Failure::new(format!("{shown} exists already; nothing was changed")));
            }
            Err(error) => return Err(Failure::new(format!("cannot make {shown}: {error}"))),
        };
        for file in written {
            ui::say(&format!("{shown}/{file}"));
        }
        ui::say("\nIn the spec:\n");
        Ok(ui::print(&format!(
            "pipeline:\n  {name}:\n    template: {name}\n    orchestrator: steps\n    bucket: BUCKET    # one of the \
             spec's buckets\n"
        ))?)
    }
}
