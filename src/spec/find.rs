//! Which file is the spec.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::error::{Diagnostic, SpecErrors, nearest};

/// The folder in which specs are looked for; its subfolder `overlays` holds overlays.
pub const DEFAULT_FOLDER: &str = "infra";

/// The spec to use: `file` (`-f`), else `variable` (`INFRA_SPEC`), else the only one in `folder`.
///
/// A name without a path and ending, like `nyc311`, is looked for in `folder` too.
pub fn find(folder: &Path, file: Option<&Path>, variable: Option<&str>) -> Result<PathBuf, SpecErrors> {
    let variable = variable.filter(|variable| !variable.is_empty()).map(Path::new);
    let fail = |message: String, hint: String| Err(SpecErrors::general(Diagnostic::general(message).hint(hint)));
    if let Some(named) = file.or(variable) {
        if named.is_dir() {
            return only(named);
        }
        if named.exists() {
            return Ok(named.to_owned());
        }
        if named.components().count() == 1 {
            let name = named.to_string_lossy();
            let endings = ["", ".yaml", ".yml"].map(|ending| folder.join(format!("{name}{ending}")));
            if let Some(found) = endings.into_iter().find(|path| path.is_file()) {
                return Ok(found);
            }
        }
        let by = if file.is_some() { "" } else { ", named by INFRA_SPEC" };
        let there = specs(folder).unwrap_or_default();
        let names: Vec<String> = there.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let hint = match nearest(&named.to_string_lossy(), names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None if !folder.is_dir() => format!("there is no folder {} here either", folder.display()),
            None if names.is_empty() => format!("{} holds no specs", folder.display()),
            None => format!("{} holds {}", folder.display(), names.join(", ")),
        };
        return fail(format!("there is no file {}{by}", named.display()), hint);
    }
    only(folder)
}

/// The only spec of a folder.
fn only(folder: &Path) -> Result<PathBuf, SpecErrors> {
    let fail = |message: String, hint: String| Err(SpecErrors::general(Diagnostic::general(message).hint(hint)));
    let shown = folder.display();
    match specs(folder) {
        Ok(specs) => match &*specs {
            [only] => Ok(only.clone()),
            [] => fail(format!("{shown} holds no spec (*.yaml)"), "name one with -f FILE or INFRA_SPEC".into()),
            several => {
                let list: Vec<String> = several.iter().map(|path| format!("-f {}", path.display())).collect();
                fail(format!("{shown} holds {} specs", several.len()), format!("say which: {}", list.join(" or ")))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let hint = "go to the project's folder, or name a spec with -f FILE or INFRA_SPEC";
            fail(format!("there is no folder {shown}"), hint.into())
        }
        Err(error) => fail(format!("{shown} cannot be read: {error}"), "name a spec with -f FILE".into()),
    }
}

/// The specs of a folder, sorted; hidden files and subfolders (overlays) are none.
fn specs(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut specs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if yaml && !hidden && path.is_file() {
            specs.push(path);
        }
    }
    specs.sort();
    Ok(specs)
}
