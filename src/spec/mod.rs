//! YAML to a typed, validated [`Spec`], every value with its line and column.
//!
//! ```text
//! file ─source─▶ text ─tree─▶ nodes with places ─overlay─▶ one tree ─decode─▶ Spec ◀─users─ users.txt, keys
//!                                                            │  interpolate, shape, tables, check
//!                                                            └─▶ SpecErrors: every mistake at once
//! ```
//!
//! Nothing here asks AWS or the network. YAML is known only here.

mod check;
mod decode;
mod error;
pub mod fill;
mod find;
mod interpolate;
pub mod model;
mod overlay;
mod readable;
mod schema;
mod shape;
mod source;
mod tables;
#[cfg(test)]
mod tests;
mod tree;
pub mod users;

use std::{
    cell::RefCell,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use decode::templates;
pub use error::{Diagnostic, SpecErrors, nearest};
pub use find::{DEFAULT_FOLDER, find};
pub use model::*;
pub use readable::{ensure_readable, is_python};
pub use schema::schema;
pub use users::{Password, Person, Sudo};

use decode::Decoder;
use interpolate::Scope;
use source::{Refused, Source};

/// Looks up an environment variable.
pub type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What changes how a spec is read.
pub struct LoadOptions {
    /// `--set name=value`, in order; the last of one name wins.
    pub set: Vec<(String, String)>,
    /// `--overlay FILE`.
    pub overlay: Option<PathBuf>,
    /// The account's 12 digits, where known already; otherwise `${account}` stays open in [`Text`].
    pub account: Option<String>,
    /// Looks up an environment variable; the process's own by default.
    pub env: Box<Lookup>,
    /// What is asked of the templates' folders.
    pub templates: Templates,
}

/// What is asked of the folders of the templates that a spec names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Templates {
    /// All that is in them can be deployed; what cannot is a mistake like any other.
    #[default]
    Fit,
    /// Nothing: whoever is about what is deployed does without them. What is wrong is in [`Pipeline::unfit`].
    Any,
}

impl Default for LoadOptions {
    fn default() -> Self {
        let env = Box::new(|name: &str| std::env::var(name).ok());
        Self { set: Vec::new(), overlay: None, account: None, env, templates: Templates::default() }
    }
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, overlay, account, env: _, templates } = self;
        let mut shown = f.debug_struct("LoadOptions");
        shown.field("set", set).field("overlay", overlay).field("account", account);
        shown.field("templates", templates).finish()
    }
}

/// Whether the files of people that a spec names are read with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    Read,
    Leave,
}

/// Reads and checks a spec, and the people and keys that it names, without asking anybody.
pub fn load(file: &Path, options: &LoadOptions) -> Result<Spec, SpecErrors> {
    let mut errors = Vec::new();
    let mut sources = Vec::new();
    let base = Source::read(file);
    let overlay = options.overlay.as_deref().map(Source::read);
    let mut keep = |result: Result<Source, Refused>| match result {
        Ok(source) => {
            let source = Arc::new(source);
            sources.push(Arc::clone(&source));
            Some(source)
        }
        Err(refused) => {
            let (source, error) = *refused;
            sources.push(Arc::new(source));
            errors.push(error);
            None
        }
    };
    let base = keep(base);
    let overlay = overlay.map(keep);
    match (base, overlay) {
        (Some(base), None) => read(&base, None, options, sources, Files::Read),
        (Some(base), Some(Some(overlay))) => read(&base, Some(&overlay), options, sources, Files::Read),
        _ => Err(SpecErrors::new(errors, sources)),
    }
}

/// Mistakes that were found once the spec was read (AWS does not have what it names), shown as those that reading finds:
/// with the lines that they point at, where those can still be read.
pub fn point_out(errors: Vec<Diagnostic>) -> SpecErrors {
    let mut files: Vec<Arc<str>> = Vec::new();
    for span in errors.iter().filter_map(|error| error.span.as_ref()) {
        if !files.contains(&span.file) {
            files.push(Arc::clone(&span.file));
        }
    }
    let sources = files.iter().filter_map(|file| Source::read(Path::new(&**file)).ok());
    SpecErrors::new(errors, sources.map(Arc::new).collect())
}

/// Reads and checks a spec given as text under a name; for tests and editors. The files that it names are not read.
pub fn load_str(name: &str, text: &str, options: &LoadOptions) -> Result<Spec, SpecErrors> {
    match Source::from_bytes(name.into(), text.as_bytes().to_vec()) {
        Ok(source) => {
            let source = Arc::new(source);
            read(&source, None, options, vec![Arc::clone(&source)], Files::Leave)
        }
        Err(refused) => {
            let (source, error) = *refused;
            Err(SpecErrors::new(vec![error], vec![Arc::new(source)]))
        }
    }
}

fn read(
    base: &Source,
    overlay: Option<&Source>,
    options: &LoadOptions,
    mut sources: Vec<Arc<Source>>,
    files: Files,
) -> Result<Spec, SpecErrors> {
    let mut errors = Vec::new();
    let root = tree::parse(base, &mut errors);
    let changes = overlay.map(|overlay| tree::parse(overlay, &mut errors));
    let (Some(mut root), None | Some(Some(_))) = (root, &changes) else {
        return Err(SpecErrors::new(errors, sources));
    };
    if let Some(changes) = changes.flatten() {
        overlay::merge(&mut root, changes);
    }
    let scope = Scope {
        account: options.account.clone(),
        stack: RefCell::default(),
        region: RefCell::default(),
        vars: RefCell::default(),
        env: &*options.env,
        secrets: RefCell::default(),
    };
    let decoder = Decoder::new(scope, &root);
    let mut spec = decode::read(&decoder, &base.start(), overlay.map(|overlay| &*overlay.name), &options.set);
    if files == Files::Read {
        sources.extend(users::read(&decoder, &mut spec, users::today()));
        sources.extend(decode::read_templates(&decoder, &mut spec));
    }
    let known = decoder.scope.stack.borrow().is_some() && decoder.scope.region.borrow().is_some();
    let (mut found, notes) = decoder.finish();
    errors.append(&mut found);
    if options.templates == Templates::Fit {
        errors.extend(spec.pipelines.values_mut().flat_map(|pipeline| std::mem::take(&mut pipeline.value.unfit)));
    }
    if !errors.is_empty() {
        let whose = known.then(|| Spec::bare(spec.file, spec.overlay, spec.stack, spec.region));
        return Err(SpecErrors::new(errors, sources).of(whose));
    }
    spec.notes = notes;
    Ok(spec)
}
