//! Files that hold one secret.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use secrecy::SecretString;

/// A file of more bytes holds something else.
const LARGEST: u64 = 4096;

/// What such a file holds.
#[derive(Debug)]
pub struct SecretFile {
    /// Its only line, without its end.
    pub line: SecretString,
    /// Its permissions, as `chmod` takes them.
    pub mode: u32,
}

impl SecretFile {
    /// Reads a file of one line. The error says why not, in words that follow the file's name and repeat none of it.
    pub fn read(path: &Path) -> Result<Self, String> {
        let explain = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            io::ErrorKind::PermissionDenied => "the file may not be read by you".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        // Checked before opening: opening a pipe would wait for a writer.
        if !path.metadata().map_err(explain)?.is_file() {
            return Err("is not a regular file".into());
        }
        let file = File::open(path).map_err(explain)?;
        let mode = mode(&file.metadata().map_err(explain)?);
        let mut text = String::new();
        file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => "is not UTF-8 text".to_owned(),
            _ => explain(error),
        })?;
        if text.len() as u64 > LARGEST {
            return Err("is too large to hold one password".into());
        }
        let text = SecretString::from(text);
        Ok(Self { line: only_line(&text)?, mode })
    }

    /// Whether only its owner can read it.
    pub fn is_private(&self) -> bool {
        // Six bits are the group's and the others'.
        self.mode.trailing_zeros() >= 6
    }
}

/// The only line of a text; the error says why there is none.
pub fn only_line(text: &SecretString) -> Result<SecretString, String> {
    use secrecy::ExposeSecret;
    let mut lines = text.expose_secret().trim_start_matches('\u{feff}').lines();
    let line = lines.next().unwrap_or_default();
    if line.is_empty() {
        return Err("is empty".into());
    }
    if lines.any(|line| !line.trim().is_empty()) {
        return Err("has more than one line".into());
    }
    Ok(SecretString::from(line))
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777
}

#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> u32 {
    0o600
}
