//! The password of a line, and the one for all.

use std::path::Path;

use secrecy::ExposeSecret;

use super::{
    super::{
        error::Diagnostic,
        model::{Span, Spanned},
    },
    Password, Reader,
    line::part,
    shown_path,
};
use crate::credentials::{
    password::{self, HashKind, PasswordHash, SHORT, kind},
    secret_file::SecretFile,
};

/// What the file of a password is.
const HINT: &str = "it holds one line: a hash, as `infra users hash` makes it, or with mode 0600 a password";

impl Reader<'_, '_> {
    /// What those have whose line names no password; `None` where it cannot be read.
    pub(super) fn host_password(&self) -> Option<Spanned<Password>> {
        match &self.users.password {
            Some(file) => self.password_file(&file.path, &file.span),
            None => Some(Spanned::new(Password::None, self.users.file.span.clone())),
        }
    }

    /// `password=`: a hash, `none` or `@FILE`. A message never repeats it.
    pub(super) fn line_password(&self, value: &Spanned<&str>) -> Option<Spanned<Password>> {
        if value.value == "none" {
            return Some(Spanned::new(Password::None, value.span.clone()));
        }
        if value.value.starts_with('@') {
            let file = part(value, 1, value.value.len() - 1);
            self.check_path(&file)?;
            return self.password_file(&self.decoder.find_in(file.value, self.folder()), &value.span);
        }
        if !value.value.starts_with("$6$") && matches!(kind(value.value), HashKind::Unknown) {
            let error = Diagnostic::at(&value.span, "a password itself must not be in this file");
            self.report(error.hint(
                "take another one, for this one may be known; `infra users hash` makes its hash, or write @FILE and keep it in a file of mode 0600",
            ));
            return None;
        }
        let hash = self.check_hash(value.value, &value.span)?;
        Some(Spanned::new(Password::Hash(hash), value.span.clone()))
    }

    fn check_hash(&self, hash: &str, place: &Span) -> Option<PasswordHash> {
        let hash = PasswordHash::parse(hash).map_err(|refusal| {
            self.report(Diagnostic::at(place, refusal.message).hint(refusal.hint));
        });
        let hash = hash.ok()?;
        if hash.rounds() < password::ROUNDS {
            let message = format!("{} rounds make this hash faster to guess than {}", hash.rounds(), password::ROUNDS);
            self.decoder.note(place, format!("{message}; `infra users hash` makes a slower one"));
        }
        Some(hash)
    }

    /// A file that holds a hash or, where only its owner can read it, a password.
    fn password_file(&self, path: &Path, place: &Span) -> Option<Spanned<Password>> {
        let name = shown_path(path);
        let wrong = |message: String, hint: &str| {
            self.report(Diagnostic::at(place, format!("{name} {message}")).hint(hint));
            None
        };
        let file = match SecretFile::read(path) {
            Ok(file) => file,
            Err(message) => {
                self.report(Diagnostic::at(place, format!("{name}: {message}")).hint(HINT));
                return None;
            }
        };
        let text = file.line.expose_secret();
        let plain = matches!(kind(text), HashKind::Unknown | HashKind::Locked | HashKind::Empty);
        if !plain || text.starts_with("$6$") {
            let hash = self.check_hash(text, place)?;
            return Some(Spanned::new(Password::Hash(hash), place.clone()));
        }
        if !file.is_private() {
            let hint = format!("chmod 600 {name}");
            return wrong(format!("holds a password, and others can read it (mode {:04o})", file.mode), &hint);
        }
        if let Err(error) = password::check(&file.line) {
            return wrong(format!("will not do: {error}"), HINT);
        }
        if text.chars().count() < SHORT {
            self.decoder.note(place, format!("the password in {name} has fewer than {SHORT} characters"));
        }
        Some(Spanned::new(Password::Secret(file.line), place.clone()))
    }
}
