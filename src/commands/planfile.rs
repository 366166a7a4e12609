//! A plan in a file: what was shown, and what is needed to make it again and see whether the world moved.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::Context;
use engine::Plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Emptying, Globals, select::Only, session::Session};
use crate::{
    error::{Failure, Result},
    spec,
};

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
    #[serde(default)]
    empty_buckets: bool,
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
            empty_buckets: session.cloud.empty_buckets,
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

    /// Whether the plan was made with leave to empty buckets.
    pub fn emptying(&self) -> Emptying {
        Emptying { empty_buckets: self.empty_buckets }
    }

    /// Refuses flags that say something else than what the plan was made with: it would be carried out as if they had not
    /// been given.
    pub fn ensure_uncontradicted(
        &self,
        globals: &Globals,
        only: &Only,
        emptying: Emptying,
        rotate: &[String],
    ) -> Result {
        let refuse = |error: String, hint: &str| Err(Failure::new(format!("{error}; nothing was changed")).hint(hint));
        match (self.local, globals.local) {
            (false, true) => {
                return refuse("this plan was made for AWS, not for the local cloud".into(), "leave out `--local`");
            }
            (true, false) => {
                let error = "this plan was made for the local cloud, not for AWS";
                return refuse(error.into(), "`infra --local apply FILE` carries it out there");
            }
            _ => {}
        }
        let shown = |path: &Option<PathBuf>| path.as_ref().map_or("none".into(), |path| path.display().to_string());
        let named = globals.file.as_deref().map(|file| {
            let folder = Path::new(spec::DEFAULT_FOLDER);
            spec::find(folder, Some(file), None).unwrap_or_else(|_| file.to_owned())
        });
        let or_none = |words: &[String]| if words.is_empty() { "none".to_owned() } else { words.join(" ") };
        let same_set = |one: &[String], other: &[String]| {
            let sorted = |words: &[String]| words.iter().cloned().collect::<BTreeSet<_>>();
            sorted(one) == sorted(other)
        };
        let contradiction = if named.as_deref().is_some_and(|named| !same_file(named, &self.file)) {
            Some(("-f", shown(&named), self.file.display().to_string()))
        } else if globals
            .overlay
            .as_deref()
            .is_some_and(|overlay| self.overlay.as_deref().is_none_or(|own| !same_file(own, overlay)))
        {
            Some(("--overlay", shown(&globals.overlay), shown(&self.overlay)))
        } else if !globals.set.is_empty() && globals.set != self.set {
            Some(("--set", or_none(&globals.set), or_none(&self.set)))
        } else if !only.addresses.is_empty() && !same_set(&only.addresses, &self.only) {
            Some(("--only", or_none(&only.addresses), or_none(&self.only)))
        } else if emptying.empty_buckets && !self.empty_buckets {
            Some(("--empty-buckets", "given".into(), "not given".into()))
        } else if !rotate.is_empty() {
            Some(("--rotate", or_none(rotate), "none".into()))
        } else {
            None
        };
        match contradiction {
            Some((flag, now, then)) => refuse(
                format!("{flag} contradicts the plan: now {now}, when it was made {then}"),
                "leave the flag out, or make a new plan with it",
            ),
            None => Ok(()),
        }
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
        let moved = moved(&self.plan, &now);
        let what = if moved.is_empty() { "\n  the order of its steps".to_owned() } else { moved };
        Err(Failure::new(format!("the world or the spec moved since the plan was made; nothing was changed:{what}"))
            .hint("plan again and look at what is different"))
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

/// What differs between two plans, a line an address: what each of them would do there.
fn moved(before: &Value, after: &Value) -> String {
    let (before, after) = (steps(before), steps(after));
    let addresses: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut lines = String::new();
    for address in addresses {
        let (then, now) = (before.get(address), after.get(address));
        if then == now {
            continue;
        }
        let line = match (then, now) {
            (Some(then), None) => format!("{address}: to {} in the plan, nothing to do now", verb(then)),
            (None, Some(now)) => format!("{address}: not in the plan, to {} now", verb(now)),
            (Some(then), Some(now)) if verb(then) == verb(now) => {
                format!("{address}: to {} both then and now, but otherwise{}", verb(then), fields(then, now))
            }
            (Some(then), Some(now)) => format!("{address}: to {} in the plan, to {} now", verb(then), verb(now)),
            (None, None) => continue,
        };
        lines.push_str("\n  ");
        lines.push_str(&line);
    }
    lines
}

/// `create`; `replace` for both halves of a replacement.
fn verb(steps: &[Value]) -> &str {
    match steps {
        [step] => step["action"].as_str().unwrap_or_default(),
        _ => "replace",
    }
}

/// The changed fields that are not the same in both.
fn fields(then: &[Value], now: &[Value]) -> String {
    let changes = |steps: &[Value]| -> Vec<Value> {
        let all = steps.iter().flat_map(|step| [&step["diff"], &step["replaces"]]);
        all.filter_map(Value::as_array).flatten().cloned().collect()
    };
    let (then, now) = (changes(then), changes(now));
    let other = then.iter().filter(|change| !now.contains(change)).chain(now.iter().filter(|it| !then.contains(it)));
    let names: BTreeSet<&str> = other.filter_map(|change| change["field"].as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(" ({})", names.into_iter().collect::<Vec<_>>().join(", "))
}

/// The steps by address, without what they wait for: that is numbers, which say nothing to a reader. Refusals count as
/// steps of their own.
fn steps(plan: &Value) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let refused = plan["refused"].as_array().into_iter().flatten().cloned().map(|mut refusal| {
        refusal["action"] = "delete or replace (refused)".into();
        refusal
    });
    for mut step in plan["steps"].as_array().into_iter().flatten().cloned().chain(refused) {
        if let Value::Object(step) = &mut step {
            step.remove("waits");
        }
        found.entry(step["address"].as_str().unwrap_or_default().to_owned()).or_default().push(step);
    }
    found
}
