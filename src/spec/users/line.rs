//! A line of `users.txt` as words with places, and as much of it as a message may show.

use std::sync::Arc;

use super::{
    super::{model::Spanned, source::small},
    span,
};

/// Characters of a line that a message shows.
const SHOWN: usize = 200;

/// A login and the words after it.
pub(super) struct Line<'a> {
    pub(super) login: Spanned<String>,
    pub(super) words: Vec<Spanned<&'a str>>,
}

impl<'a> Line<'a> {
    /// Takes a line apart; `None` where it is empty or a comment.
    pub(super) fn read(line: &'a str, file: &Arc<str>, number: u32) -> Option<Self> {
        let mut words =
            words(line).map(|(column, word)| Spanned::new(word, span(file, number, column + 1, word.chars().count())));
        let login = words.next()?.map(str::to_owned);
        Some(Self { login, words: words.collect() })
    }
}

/// A part of a word, with its own place: `at` and `length` in bytes.
pub(super) fn part<'a>(word: &Spanned<&'a str>, at: usize, length: usize) -> Spanned<&'a str> {
    let text = &word.value[at..at + length];
    let mut place = word.span.clone();
    place.column += small(word.value[..at].chars().count());
    place.len = small(text.chars().count()).max(1);
    Spanned::new(text, place)
}

/// The parts of a word between commas, each with its own place.
pub(super) fn items<'a>(word: &Spanned<&'a str>) -> Vec<Spanned<&'a str>> {
    let mut at = 0;
    let item = |text: &str| {
        let found = part(word, at, text.len());
        at += text.len() + 1;
        found
    };
    word.value.split(',').map(item).collect()
}

/// The words of a line up to a comment, each with the character (from 0) at which it begins.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut column = 0;
    line.split([' ', '\t'])
        .map(move |word| {
            let start = column;
            column += word.chars().count() + 1;
            (start, word)
        })
        .filter(|(_, word)| !word.is_empty())
        .take_while(|(_, word)| !word.starts_with('#'))
}

/// A line as a message may show it, each character in its place: hashes are stars, and it ends before anything that
/// could be a password. Comments are left out, for people write passwords there too.
pub(super) fn masked(line: &str) -> String {
    let mut shown = String::new();
    for (at, (column, word)) in words(line).enumerate() {
        if column > SHOWN {
            break;
        }
        let written = shown.chars().count();
        shown.extend(std::iter::repeat_n(' ', column.saturating_sub(written)));
        let safe = match (at, word.split_once('=')) {
            (0, _) => {
                // `ana:secret` is how other programs list passwords.
                let end = word.find(':').map_or(word.len(), |end| end + 1);
                shown.push_str(&word[..end]);
                end == word.len()
            }
            (_, Some(("key" | "groups" | "sudo" | "shell" | "expires", _))) => {
                shown.push_str(word);
                true
            }
            (_, Some(("password", value))) if value == "none" || value.starts_with('@') => {
                shown.push_str(word);
                true
            }
            (_, Some(("password", value))) if value.starts_with('$') => {
                shown.push_str("password=");
                shown.extend(std::iter::repeat_n('*', value.chars().count()));
                true
            }
            (_, Some((name, _))) if is_word(name) => {
                shown.push_str(name);
                shown.push('=');
                false
            }
            _ => false,
        };
        if !safe {
            shown.push('…');
            break;
        }
    }
    let cut = if shown.chars().count() > SHOWN { "…" } else { "" };
    shown.chars().take(SHOWN).map(visible).collect::<String>() + cut
}

/// Whether what stands before a `=` can be repeated: a slip of the pen, not likely a password.
pub(super) fn is_word(name: &str) -> bool {
    !name.is_empty() && name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

/// Some words of the user's for a message: short, and without what would command a terminal.
pub(super) fn quoted(text: &str) -> String {
    let cut = if text.chars().count() > 40 { "…" } else { "" };
    text.chars().take(40).map(visible).collect::<String>() + cut
}

/// A character, or the sign for one that cannot be shown.
fn visible(letter: char) -> char {
    let turns =
        matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    if letter.is_control() || turns { '\u{fffd}' } else { letter }
}
