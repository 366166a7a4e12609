//! The spec that a verb is about: finding it and reading it.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use super::Globals;
use crate::{
    error::{Failure, Result},
    spec::{self, LoadOptions, Spec, SpecErrors, Templates},
    ui,
};

/// Finds the spec.
fn find(globals: &Globals) -> Result<PathBuf> {
    let folder = PathBuf::from(spec::DEFAULT_FOLDER);
    let variable = std::env::var("INFRA_SPEC").ok();
    spec::find(&folder, globals.file.as_deref(), variable.as_deref()).map_err(|errors| mistaken(&errors))
}

/// Where the project's templates are. Without a spec yet, or with several, that is where the default folder has them.
pub fn templates(globals: &Globals) -> Result<PathBuf> {
    match find(globals) {
        Ok(file) => Ok(spec::templates(&file)),
        Err(_) if globals.file.is_none() && std::env::var_os("INFRA_SPEC").is_none() => Ok(PathBuf::from("templates")),
        Err(failure) => Err(failure),
    }
}

/// Finds and reads the spec, with all that its templates' folders hold; asks nobody.
pub fn whole(globals: &Globals) -> Result<(PathBuf, Spec)> {
    let (file, spec) = read(globals, Templates::Fit)?;
    Ok((file, spec.map_err(|errors| mistaken(&errors))?))
}

/// The same, whatever its templates' folders hold: whoever looks at what is deployed, or at something else, is not kept
/// from it by a job that is being written.
pub fn as_deployed(globals: &Globals) -> Result<(PathBuf, Spec)> {
    let (file, spec) = read(globals, Templates::Any)?;
    Ok((file, spec.map_err(|errors| mistaken(&errors))?))
}

/// The same; of a spec with mistakes only whose stack it is, where that can be read, and the mistakes.
pub fn as_far_as_readable(globals: &Globals) -> Result<(PathBuf, Spec, Option<Failure>)> {
    let (file, spec) = read(globals, Templates::Any)?;
    match spec {
        Ok(spec) => Ok((file, spec, None)),
        Err(errors) => {
            let failure = mistaken(&errors);
            match errors.whose() {
                Some(whose) => Ok((file, whose.clone(), Some(failure))),
                None => Err(failure),
            }
        }
    }
}

fn read(globals: &Globals, templates: Templates) -> Result<(PathBuf, std::result::Result<Spec, SpecErrors>)> {
    let file = find(globals)?;
    let (set, overlay) = (variables(&globals.set)?, globals.overlay.clone());
    let spec = spec::load(&file, &LoadOptions { set, overlay, templates, ..LoadOptions::default() });
    Ok((file, spec))
}

/// Insists that a pipeline's template can be read at all.
pub fn ensure_template(pipeline: &spec::Pipeline) -> Result {
    match pipeline.content {
        Some(_) => Ok(()),
        None => Err(mistaken(&spec::point_out(pipeline.unfit.clone()))),
    }
}

/// Mistakes in files, with their lines.
pub fn mistaken(errors: &SpecErrors) -> Failure {
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
pub fn flags(globals: &Globals, file: &Path) -> String {
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
