//! The private key that `infra` makes: written once, 0600, into a folder that only its owner enters.

use std::{fs::DirBuilder, io::Write, os::unix::fs::DirBuilderExt, path::Path};

use anyhow::Context;
use engine::Result;
use ssh_key::{Algorithm, LineEnding, PrivateKey, rand_core::OsRng};

/// The public part of the private key in `file`; nothing where there is no such file.
pub(super) fn public_part(file: &Path) -> Result<Option<String>> {
    let key = match PrivateKey::read_openssh_file(file) {
        Err(ssh_key::Error::Io(std::io::ErrorKind::NotFound)) => return Ok(None),
        key => key.with_context(|| format!("{} is not a private key as OpenSSH writes it", file.display()))?,
    };
    Ok(Some(key.public_key().to_openssh()?))
}

/// Makes an ed25519 key and returns its public part. One that is there already, from a run that was interrupted, is
/// taken as it is.
pub(super) fn make(file: &Path, comment: &str) -> Result<String> {
    if let Some(public) = public_part(file)? {
        return Ok(public);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).context("cannot make a key")?;
    key.set_comment(comment);
    let text = key.to_openssh(LineEnding::LF)?;
    // Born 0600 under another name; it gets its own once it is whole and on the disk, unless one is there by then.
    let unwritable = || format!("cannot write {}", file.display());
    let mut draft = tempfile::Builder::new().prefix(".key-").tempfile_in(folder).with_context(unwritable)?;
    draft.write_all(text.as_bytes()).with_context(unwritable)?;
    draft.as_file().sync_all().with_context(unwritable)?;
    match draft.persist_noclobber(file) {
        Ok(_) => Ok(key.public_key().to_openssh()?),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => make(file, comment),
        Err(error) => Err(error.error).with_context(unwritable),
    }
}
