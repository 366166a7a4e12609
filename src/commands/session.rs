//! What every verb that asks AWS begins with: the spec, the account, the stack's view of it.

use std::path::PathBuf;

use engine::{Graph, Inventory};

use super::Globals;
use crate::{
    cloud::{Cloud, Connection, Journal, Target, connect},
    error::{Failure, Result},
    local,
    resources::REGISTRY,
    spec::{self, LoadOptions, Spec},
    stacks,
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
}

/// Finds and reads the spec; asks nobody.
pub fn load(globals: &Globals) -> Result<(PathBuf, Spec)> {
    let folder = PathBuf::from(spec::DEFAULT_FOLDER);
    let file = spec::find(&folder, globals.file.as_deref()).map_err(spec_failure)?;
    let options = LoadOptions {
        set: variables(&globals.set)?,
        overlay: globals.overlay.clone(),
        ..LoadOptions::default()
    };
    let spec = spec::load(&file, &options).map_err(spec_failure)?;
    Ok((file, spec))
}

fn spec_failure(errors: spec::SpecErrors) -> Failure {
    Failure::new(errors.render(ui::colored_stderr()))
}

fn variables(set: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Failure::new(format!("--set {text}: expected NAME=VALUE"))),
    };
    set.iter().map(pair).collect()
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
        Ok(Self { spec, file, cloud, local: globals.local })
    }

    /// Reads everything that the stack owns.
    pub async fn observe(&self) -> Result<Inventory> {
        Ok(engine::observe(&REGISTRY, &self.cloud).await?)
    }

    /// What the spec asks for, given what is there: a cluster that was started on demand is not an orphan.
    pub fn desired(&self, known: &Inventory) -> Result<Graph<Cloud>> {
        Ok(stacks::build(&self.spec, &self.cloud.names, known)?)
    }

    /// The first lines of a plan.
    pub fn heading(&self, destroys: bool) -> Heading {
        let account = &self.cloud.names.account;
        let whose = if self.local { "the local cloud".to_owned() } else { format!("account {account}") };
        Heading {
            stack: self.spec.stack.to_string(),
            place: format!("{}, {whose}", self.spec.region.value),
            notes: self.spec.notes.iter().map(|note| format!("{} ({})", note.message, note.span.place())).collect(),
            destroys,
            width: ui::width(),
        }
    }
}
