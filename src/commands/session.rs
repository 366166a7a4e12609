//! What every verb that asks AWS begins with: the spec, the account, the stack's view of it.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use engine::{Address, Graph, Inventory, Resource};

use super::{Globals, region};
use crate::{
    cloud::{Cloud, Connection, Journal, Target, connect},
    error::{Failure, Result},
    local,
    resources::{KeyPair, REGISTRY},
    spec::{self, KeySource, LoadOptions, Spec},
    stacks::{self, Intent},
    ui::{self, plan::Heading},
    workspace::{Lock, Workspace},
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
    _lock: Option<Lock>,
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

fn unwritable(error: anyhow::Error) -> Failure {
    Failure::from(error).hint("`plan`, `status`, `verify` and `output` need no such folder")
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
    /// Reads the spec, then asks AWS who we are. For verbs that only look: they need nothing that they could write to.
    pub async fn open(globals: &Globals) -> Result<Self> {
        Self::begin(globals, None).await
    }

    /// As [`Session::open`], for a verb that changes the stack: no other one does at the same time.
    pub async fn open_to_change(globals: &Globals, verb: &str) -> Result<Self> {
        Self::begin(globals, Some(verb)).await
    }

    async fn begin(globals: &Globals, changes: Option<&str>) -> Result<Self> {
        let (file, spec) = load(globals)?;
        let workspace = Workspace::of(&file);
        let prepared = workspace.prepare();
        if changes.is_some() {
            prepared.map_err(unwritable)?;
        }
        let target = if globals.local { local::ensure_up(&workspace).await? } else { Target::Aws };
        let connection: Connection = connect(&target, &spec.region).await?;
        let realm = if globals.local { "local".to_owned() } else { format!("{}-{}", connection.account, *spec.region) };
        let lock = changes.map(|verb| workspace.lock(&realm, &spec.stack, verb)).transpose()?;
        let journal = workspace.journal(&realm, &spec.stack);
        let (secrets, journal) = match changes {
            Some(_) => (
                workspace.secrets(&realm, &spec.stack).map_err(unwritable)?,
                Journal::open(&journal).map_err(unwritable)?,
            ),
            None => (workspace.secrets_at(&realm, &spec.stack), Journal::read(&journal)),
        };
        let names = stacks::names(&spec, &connection.account, secrets);
        let cloud = Cloud::new(&connection, names, journal);
        let flags = flags(globals, &file);
        Ok(Self { spec, file, cloud, local: globals.local, intent: Intent::default(), flags, _lock: lock })
    }

    /// Reads everything that the stack owns.
    pub async fn observe(&self) -> Result<Inventory> {
        let known = engine::observe(&REGISTRY, &self.cloud).await?;
        region::ensure_here(self, &known)?;
        Ok(known)
    }

    /// Reads everything that the stack owns, also where several objects claim one address.
    pub async fn observe_all(&self) -> Result<Inventory> {
        let known = engine::observe_all(&REGISTRY, &self.cloud).await?;
        region::ensure_here(self, &known)?;
        Ok(known)
    }

    /// The made keys that open something here and whose private part this machine does not have: a note each.
    pub fn lost_keys(&self, known: &Inventory) -> Vec<String> {
        let made = self.spec.keys.iter().filter(|(_, key)| matches!(key.source.value, KeySource::Generate));
        let there = made.filter(|(name, _)| known.contains(&Address::new(KeyPair::KIND, name.as_str())));
        let lost = there.filter_map(|(name, _)| {
            let file = self.cloud.names.private_key(name);
            let note = format!(
                "the private part of key_pair/{name} is not on this machine ({}): copy the file from where the key was \
                 made, or nobody gets into its hosts from here",
                file.display()
            );
            (!file.exists()).then_some(note)
        });
        lost.collect()
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
            losses: BTreeMap::new(),
            width: ui::width(),
        }
    }
}
