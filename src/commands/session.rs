//! What every verb that asks AWS begins with: the spec, the account, the stack's view of it.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use engine::{Graph, Inventory};

use super::Globals;
use crate::{
    cloud::{Cloud, Connection, Journal, Target, connect},
    error::{Failure, Result},
    local,
    resources::REGISTRY,
    spec::{self, LoadOptions, Spec},
    stacks::{self, Intent},
    ui::{self, plan::Heading},
    workspace::Workspace,
};

/// A stack, ready to be read and changed.
pub struct Session {
    /// The spec.
    pub spec: Spec,
    /// The file it came from.
    pub file: PathBuf,
    /// The stack's view of the account.
    pub cloud: Cloud,
    /// Whether this is the local cloud.
    pub local: bool,
    intent: Intent,
    flags: String,
}

/// Finds and reads the spec; asks nobody.
pub fn load(globals: &Globals) -> Result<(PathBuf, Spec)> {
    let folder = PathBuf::from(spec::DEFAULT_FOLDER);
    let variable = std::env::var("INFRA_SPEC").ok();
    let file =
        spec::find(&folder, globals.file.as_deref(), variable.as_deref()).map_err(|errors| spec_failure(&errors))?;
    let options =
        LoadOptions { set: variables(&globals.set)?, overlay: globals.overlay.clone(), ..LoadOptions::default() };
    let spec = spec::load(&file, &options).map_err(|errors| spec_failure(&errors))?;
    Ok((file, spec))
}

fn spec_failure(errors: &spec::SpecErrors) -> Failure {
    Failure::new(errors.render(ui::colored_stderr()))
}

fn variables(set: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Failure::new(format!("--set {text}: expected NAME=VALUE"))),
    };
    set.iter().map(pair).collect()
}

/// ` --local -f infra/nyc311.yaml`, as the command at hand had them.
fn flags(globals: &Globals, file: &Path) -> String {
    let mut flags = String::new();
    if globals.local {
        flags.push_str(" --local");
    }
    if globals.file.is_some() {
        let _ = write!(flags, " -f {}", file.display());
    }
    if let Some(overlay) = &globals.overlay {
        let _ = write!(flags, " --overlay {}", overlay.display());
    }
    for pair in &globals.set {
        let _ = write!(flags, " --set '{pair}'");
    }
    flags
}

impl Session {
    /// Reads the spec, then asks AWS who we are.
    pub async fn open(globals: &Globals) -> Result<Self> {
        let (file, spec) = load(globals)?;
        let workspace = Workspace::of(&file);
        workspace.prepare()?;
        let target = if globals.local { local::ensure_up(&workspace).await? } else { Target::Aws };
        let connection: Connection = connect(&target, &spec.region).await?;
        let realm = if globals.local { "local".to_owned() } else { format!("{}-{}", connection.account, *spec.region) };
        let secrets = workspace.secrets(&realm, &spec.stack)?;
        let names = stacks::names(&spec, &connection.account, secrets);
        let journal = Journal::open(&workspace.journal(&realm, &spec.stack))?;
        let cloud = Cloud::new(&connection, names, journal);
        let flags = flags(globals, &file);
        Ok(Self { spec, file, cloud, local: globals.local, intent: Intent::default(), flags })
    }

    /// Reads everything that the stack owns.
    pub async fn observe(&self) -> Result<Inventory> {
        Ok(engine::observe(&REGISTRY, &self.cloud).await?)
    }

    /// What the spec asks for, given what is there: a cluster that was started on demand is not an orphan.
    pub async fn desired(&self, known: &Inventory) -> Result<Graph<Cloud>> {
        Ok(stacks::build(&self.spec, &self.cloud.names, &self.intent, known).await?)
    }

    /// Takes note of the users whose access key is to be replaced.
    pub fn rotate(&mut self, addresses: &[String]) -> Result {
        for address in addresses {
            let user = address.strip_prefix("iam_user/").unwrap_or(address);
            match self.spec.access.users.get(user) {
                Some(found) if *found.access_key => drop(self.intent.rotate.insert(user.to_owned())),
                Some(_) => {
                    return Err(Failure::new(format!("--rotate {address}: the user has no access key in the spec")));
                }
                None => return Err(Failure::new(format!("--rotate {address}: the spec has no such user"))),
            }
        }
        Ok(())
    }

    /// The flags to repeat in a command that the user is advised to run next.
    pub fn flags(&self) -> &str {
        &self.flags
    }

    /// The first lines of a plan.
    pub fn heading(&self, destroys: bool) -> Heading {
        let account = &self.cloud.names.account;
        let whose = if self.local { "the local cloud".to_owned() } else { format!("account {account}") };
        Heading {
            stack: self.spec.stack.to_string(),
            place: format!("{}, {whose}", self.spec.region.value),
            notes: self.spec.notes.iter().map(|note| format!("{} ({})", note.message, note.span.place())).collect(),
            tags: self.cloud.names.tags.clone(),
            destroys,
            partial: false,
            width: ui::width(),
        }
    }
}
