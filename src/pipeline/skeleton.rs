//! A template to begin with: `templates/skeleton/`, which works as it is.

use std::{fs, io, path::Path};

use include_dir::{Dir, include_dir};

static SKELETON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates/skeleton");

/// The skeleton's files, by their paths.
fn files<'a>(folder: &'a Dir<'a>) -> Box<dyn Iterator<Item = (&'a Path, &'a [u8])> + 'a> {
    let own = folder.files().filter(|file| file.path().extension().is_none_or(|extension| extension != "pyc"));
    Box::new(own.map(|file| (file.path(), file.contents())).chain(folder.dirs().flat_map(files)))
}

/// Writes the skeleton into a folder that does not exist yet; returns its files.
pub fn write(folder: &Path) -> io::Result<Vec<String>> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    // Fails where there is one: nothing of the user's is overwritten.
    fs::create_dir(folder)?;
    let mut written = Vec::new();
    for (path, contents) in files(&SKELETON) {
        let target = folder.join(path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(target, contents)?;
        written.push(path.display().to_string());
    }
    written.sort();
    Ok(written)
}
