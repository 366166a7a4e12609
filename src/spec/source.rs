//! Reading one input file, with bounds: a spec is small text, and anything else is refused early.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    path::Path,
    sync::Arc,
};

use super::{error::Diagnostic, model::Span};

/// A spec of more bytes is refused unread.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// A file's text, kept for showing its lines.
#[derive(Debug)]
pub(super) struct Source {
    /// The file as the user named it.
    pub(super) name: Arc<str>,
    /// Its text without a byte order mark.
    pub(super) text: String,
    /// Lines (from 1) that no message may show: they hold, or may hold, a secret.
    pub(super) hidden: Vec<u32>,
}

/// A file that was refused: what could be read of it, and why.
pub(super) type Refused = Box<(Source, Diagnostic)>;

impl Source {
    /// Reads a file of at most [`MAX_BYTES`] of UTF-8.
    pub(super) fn read(path: &Path) -> Result<Self, Refused> {
        let name: Arc<str> = path.to_string_lossy().into();
        match read_bytes(path, MAX_BYTES, "a spec") {
            Ok(bytes) => Self::from_bytes(name, bytes),
            Err(message) => {
                let error = Diagnostic::general(format!("{name}: {message}"));
                Err(Box::new((Self { name, text: String::new(), hidden: Vec::new() }, error)))
            }
        }
    }

    /// Takes bytes as a file's content.
    pub(super) fn from_bytes(name: Arc<str>, bytes: Vec<u8>) -> Result<Self, Refused> {
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let bytes = error.into_bytes();
                let source = Self { name, text: String::from_utf8_lossy(&bytes).into_owned(), hidden: Vec::new() };
                let span = source.span_at_byte(at);
                let error = Diagnostic::at(&span, format!("byte {at} ({:#04x}) is not valid UTF-8", bytes[at]))
                    .hint("save the file as UTF-8");
                return Err(Box::new((source, error)));
            }
        };
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let source = Self { name, text, hidden: Vec::new() };
        match source.text.bytes().position(|byte| byte == 0) {
            Some(at) => {
                let span = source.span_at_byte(at);
                let error = Diagnostic::at(&span, format!("byte {at} is NUL, which no text file holds"))
                    .hint("is it a binary file, or saved as UTF-16?");
                Err(Box::new((source, error)))
            }
            None => Ok(source),
        }
    }

    /// A line (from 1) without its end, where it may be shown.
    pub(super) fn line(&self, number: u32) -> Option<&str> {
        self.text.lines().nth(number as usize - 1).filter(|_| !self.hidden.contains(&number))
    }

    /// The first character of the file.
    pub(super) fn start(&self) -> Span {
        Span { file: self.name.clone(), line: 1, column: 1, len: 1 }
    }

    /// Where a range of bytes is: its first line's part of it, at least one character.
    pub(super) fn span_of(&self, range: Range<usize>) -> Span {
        let start = self.span_at_byte(range.start);
        let text = self.text.get(range).unwrap_or_default();
        let len = small(text.lines().next().unwrap_or_default().chars().count()).max(1);
        Span { len, ..start }
    }

    fn span_at_byte(&self, at: usize) -> Span {
        let at = (0..=at.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let before = &self.text[..at];
        let line = before.bytes().filter(|byte| *byte == b'\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        Span { file: self.name.clone(), line: small(line) + 1, column: small(column) + 1, len: 1 }
    }
}

/// The bytes of a regular file, if they are not more than `limit`; otherwise why not, in words that follow the file's
/// name.
pub(super) fn read_bytes(path: &Path, limit: u64, what: &str) -> Result<Vec<u8>, String> {
    let explain = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "the file may not be read by you".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    // Checked before opening: opening a pipe would wait for a writer.
    let metadata = path.metadata().map_err(explain)?;
    if metadata.is_dir() {
        return Err("is a folder, not a file".into());
    }
    if !metadata.is_file() {
        return Err("is not a regular file".into());
    }
    if metadata.len() > limit {
        return Err(too_large(metadata.len(), limit, what));
    }
    let file = File::open(path).map_err(explain)?;
    let mut bytes = Vec::new();
    // It may grow meanwhile, or be one of /proc's, which all claim to be empty.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(explain)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64, limit, what));
    }
    Ok(bytes)
}

fn too_large(bytes: u64, limit: u64, what: &str) -> String {
    const MIB: u64 = 1024 * 1024;
    let size = if bytes > 2 * MIB { format!("has {} MiB", bytes / MIB) } else { "is too large".into() };
    let limit = if limit < MIB { format!("{} KiB", limit / 1024) } else { format!("{} MiB", limit / MIB) };
    format!("{size}; {what} may have {limit} at most")
}

/// A count within a file of 1 MiB.
pub(super) fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
