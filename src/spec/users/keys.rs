//! The files of public keys.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::{
        error::Diagnostic,
        model::{Span, Spanned},
        source::{Source, read_bytes},
    },
    Reader,
    line::{items, quoted},
    login::shell_meaning,
    shown_path, span,
};
use crate::credentials::public_key::{MAKE_KEY, PublicKey, is_private};

/// A key's file of more bytes is refused unread.
const MAX_BYTES: u64 = 64 * 1024;
/// Characters of a key that a message shows.
const SHOWN: usize = 24;

impl Reader<'_, '_> {
    /// The keys of a line; `None` where one is not good enough, or where there is none. `login` is the one that names the
    /// default file, if it may be; `owner` is who the line is about.
    pub(super) fn keys(
        &self,
        login: Option<&Spanned<String>>,
        owner: &Spanned<String>,
        value: Option<&Spanned<&str>>,
    ) -> Option<Vec<Spanned<PublicKey>>> {
        let mut keys: Vec<Spanned<PublicKey>> = Vec::new();
        let mut all = true;
        let mut take = |found: Option<Vec<Spanned<PublicKey>>>| match found {
            Some(found) => {
                for key in found {
                    // One that is listed twice is one.
                    if !keys.iter().any(|known| known.material() == key.material()) {
                        keys.push(key);
                    }
                }
            }
            None => all = false,
        };
        match (value, login) {
            (Some(value), _) => {
                for item in items(value) {
                    let path = self.named_key(&item);
                    take(path.and_then(|path| self.key_file(&path, &item.span, owner)));
                }
            }
            (None, Some(login)) => {
                let path = self.users.keys.path.join(format!("{}.pub", login.value));
                if path.exists() {
                    take(self.key_file(&path, &login.span, owner));
                } else {
                    let error = format!("`{}` has no key: there is no file {}", login.value, shown_path(&path));
                    let hint = "put their public key there, or name its file with `key=`";
                    self.report(Diagnostic::at(&login.span, error).hint(hint));
                    take(None);
                }
            }
            (None, None) => take(None),
        }
        all.then_some(keys)
    }

    /// The file that an item of `key=` names: in the folder of keys, or beside the list.
    fn named_key(&self, item: &Spanned<&str>) -> Option<PathBuf> {
        self.check_path(item)?;
        let folders = [&*self.users.keys.path, self.folder()];
        let paths = folders.map(|folder| self.decoder.find_in(item.value, folder));
        let found = paths.iter().find(|path| path.exists());
        if found.is_none() {
            let [first, second] = paths.each_ref().map(|path| shown_path(path));
            let mut message = format!("there is no file {first}");
            if first != second {
                message = format!("{message}, and no {second}");
            }
            self.report(Diagnostic::at(&item.span, message).hint(MAKE_KEY));
        }
        found.cloned()
    }

    /// Checks a path that a line names: nothing for a shell in it, and no way up.
    pub(super) fn check_path(&self, item: &Spanned<&str>) -> Option<()> {
        let home = item.value.strip_prefix("~/").unwrap_or(item.value);
        let wrong = |message: &str, hint: &str| {
            self.report(Diagnostic::at(&item.span, message).hint(hint));
            None
        };
        if item.value.is_empty() {
            return wrong("the name of a file is missing", "key=first.pub,second.pub");
        }
        if let Some(letter) = home.chars().find(|letter| shell_meaning(*letter)) {
            let message = format!(
                "`{}`, which means something to a shell, cannot be in a file's name here",
                quoted(&letter.to_string())
            );
            return wrong(&message, "rename the file: letters, digits, `.`, `_`, `-` and `/`");
        }
        if home.split('/').any(|part| part == "..") {
            return wrong(
                "`..` cannot be in a file's name here",
                "write the path from `/` or `~/`, or put the file beside the list",
            );
        }
        Some(())
    }

    /// The keys of a file; `place` is what names it in the list.
    fn key_file(&self, path: &Path, place: &Span, owner: &Spanned<String>) -> Option<Vec<Spanned<PublicKey>>> {
        let name = shown_path(path);
        let owner = |error: Diagnostic| error.related(&owner.span, format!("the key of `{}`", quoted(owner)));
        let bytes = match read_bytes(path, MAX_BYTES, "a key's file") {
            Ok(bytes) => bytes,
            Err(message) => {
                self.report(Diagnostic::at(place, format!("{name}: {message}")).hint(MAKE_KEY));
                return None;
            }
        };
        // In any encoding: what it holds goes into no message.
        let lossy = String::from_utf8_lossy(&bytes);
        if is_private(&lossy) {
            let line = lossy.lines().zip(1..).find(|(line, _)| is_private(line)).map_or(1, |(_, number)| number);
            let error = Diagnostic::at(&span(&name, line, 1, 1), "this is a private key; a public one belongs here");
            self.report(owner(error).hint(
                "move it to where only its owner can read it, treat it as known to others, and put the .pub file here",
            ));
            return None;
        }
        let Ok(text) = std::str::from_utf8(&bytes) else {
            let error = Diagnostic::at(&span(&name, 1, 1, 1), "this file is not UTF-8 text");
            self.report(owner(error).hint("a public key is one line that begins with its type: ssh-ed25519 AAAA…"));
            return None;
        };
        let text = text.trim_start_matches('\u{feff}');
        self.keep(presentable(&name, text));
        let mut keys = Vec::new();
        let mut all = true;
        for (line, number) in text.lines().zip(1..) {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let column = line.chars().take_while(|letter| letter.is_whitespace()).count() + 1;
            let length = trimmed.split_whitespace().next().unwrap_or_default().chars().count();
            let place = span(&name, number, column, length);
            match PublicKey::parse(trimmed) {
                Ok(key) => keys.push(Spanned::new(key, place)),
                Err(refusal) => {
                    self.report(owner(Diagnostic::at(&place, refusal.message)).hint(refusal.hint));
                    all = false;
                }
            }
        }
        if all && keys.is_empty() {
            self.report(Diagnostic::at(place, format!("{name} holds no key")).hint(MAKE_KEY));
            all = false;
        }
        all.then_some(keys)
    }
}

/// A file of keys as messages may show it: of each line that begins like a public key, the beginning.
fn presentable(name: &Arc<str>, text: &str) -> Source {
    let mut hidden = Vec::new();
    let shown = text.lines().zip(1..).map(|(line, number)| {
        let kind = line.split_whitespace().next().unwrap_or_default();
        let public = ["ssh-", "ecdsa-", "sk-"].iter().any(|start| kind.starts_with(start)) && kind.len() < 60;
        if !public || kind.chars().any(char::is_control) {
            hidden.push(number);
            return String::new();
        }
        let whole = line.trim_end();
        let end = whole.find(kind).unwrap_or(0) + kind.len();
        let rest: String = whole[end..].chars().take(SHOWN).filter(|letter| !letter.is_control()).collect();
        let cut = if whole[end..].chars().count() > SHOWN { "…" } else { "" };
        format!("{}{rest}{cut}", &whole[..end])
    });
    let text = shown.collect::<Vec<_>>().join("\n");
    Source { name: Arc::clone(name), text, hidden }
}
