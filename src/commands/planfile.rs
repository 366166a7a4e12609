//! A plan in a file: what was shown, and what is needed to make it again and see whether the world moved.

use std::path::{Path, PathBuf};

use anyhow::Context;
use engine::Plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Globals, select::Only, session::Session};
use crate::error::{Failure, Result};

const FORMAT: &str = "infra plan 1";

/// The file's contents.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlanFile {
    format: String,
    stack: String,
    region: String,
    account: String,
    local: bool,
    file: PathBuf,
    overlay: Option<PathBuf>,
    set: Vec<String>,
    only: Vec<String>,
    plan: Value,
}

impl PlanFile {
    /// The file for a plan that was made in `session`.
    pub fn new(globals: &Globals, session: &Session, only: &Only, plan: &Plan) -> Self {
        Self {
            format: FORMAT.into(),
            stack: session.spec.stack.to_string(),
            region: session.spec.region.to_string(),
            account: session.cloud.names.account.clone(),
            local: session.local,
            file: session.file.clone(),
            overlay: globals.overlay.clone(),
            set: globals.set.clone(),
            only: only.addresses.clone(),
            plan: serde_json::to_value(plan).unwrap_or(Value::Null),
        }
    }

    /// Reads a plan file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the plan {}", path.display()))?;
        let read: serde_json::Result<Self> = serde_json::from_str(&text);
        match read {
            Ok(file) if file.format == FORMAT => Ok(file),
            _ => Err(Failure::new(format!("{} is not a plan of this version of infra", path.display()))
                .hint("`infra plan --out FILE` writes one; a spec is named with -f")),
        }
    }

    /// Writes the file, readable by its owner alone: a plan tells much about a platform.
    pub fn write(&self, path: &Path) -> Result {
        let text = serde_json::to_vec_pretty(self).map_err(anyhow::Error::from)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A temporary file is 0600 from its first byte.
        let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
            std::io::Write::write_all(&mut file, &text)?;
            file.persist(path).map_err(|error| error.error)
        });
        written.with_context(|| format!("cannot write the plan {}", path.display()))?;
        Ok(())
    }

    /// The flags under which the plan was made.
    pub fn globals(&self, now: &Globals) -> Globals {
        Globals {
            file: Some(self.file.clone()),
            overlay: self.overlay.clone(),
            set: self.set.clone(),
            local: self.local,
            ..now.clone()
        }
    }

    /// The part of the stack that the plan was made for.
    pub fn only(&self) -> Only {
        Only { addresses: self.only.clone() }
    }

    /// Refuses unless `plan`, made just now in `session`, is exactly the plan in the file.
    pub fn ensure_same(&self, session: &Session, plan: &Plan) -> Result {
        if self.account != session.cloud.names.account {
            return Err(Failure::new(format!(
                "the plan was made for account {}, but the credentials in use are for {}",
                self.account, session.cloud.names.account
            )));
        }
        let now = serde_json::to_value(plan).map_err(anyhow::Error::from)?;
        if now == self.plan {
            return Ok(());
        }
        let (before, after) = (steps(&self.plan), steps(&now));
        let moved = before
            .iter()
            .filter(|step| !after.contains(step))
            .chain(after.iter().filter(|step| !before.contains(step)));
        let mut names: Vec<&str> = moved.filter_map(|step| step["address"].as_str()).collect();
        names.dedup();
        let what = if names.is_empty() { "the order of its steps".to_owned() } else { names.join(", ") };
        Err(Failure::new(format!("the world or the spec moved since the plan was made ({what}); nothing was changed"))
            .hint("plan again and look at what is different"))
    }
}

/// The steps without what they wait for: that is numbers, which say nothing to a reader.
fn steps(plan: &Value) -> Vec<Value> {
    let mut steps = plan["steps"].as_array().cloned().unwrap_or_default();
    for step in &mut steps {
        if let Value::Object(step) = step {
            step.remove("waits");
        }
    }
    steps
}
