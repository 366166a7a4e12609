//! The fields after a login.

use jiff::civil::Date;

use super::{
    super::{
        decode::Decoder,
        error::{Diagnostic, choices, nearest},
        model::{Span, Spanned},
    },
    Password, Reader, Sudo,
    line::{Line, is_word, part, quoted},
};

/// The fields that there are, and other words that people write for them.
const FIELDS: [(&str, &[&str]); 6] = [
    ("key", &["keys", "ssh_key", "pubkey", "public_key"]),
    ("groups", &["group"]),
    ("sudo", &["root", "admin"]),
    ("shell", &["sh"]),
    ("password", &["passwd", "pass", "hash"]),
    ("expires", &["expire", "expiry", "until"]),
];

const SUDO: [&str; 4] = ["yes", "no", "password", "nopasswd"];

/// The shell of those who name none.
const SHELL: &str = "/bin/bash";

/// The fields of one line.
pub(super) struct Fields<'a> {
    found: Vec<(&'static str, Spanned<&'a str>)>,
}

impl<'a> Fields<'a> {
    /// Tells the fields of a line apart and reports what is none.
    pub(super) fn read(decoder: &Decoder<'_>, line: &Line<'a>) -> Self {
        let mut fields = Self { found: Vec::new() };
        for word in &line.words {
            if let Err(error) = fields.take(word) {
                decoder.report(*error);
            }
        }
        fields
    }

    /// The value of a field, if written and not empty.
    pub(super) fn get(&self, name: &'static str) -> Option<&Spanned<&'a str>> {
        let mut values = self.found.iter().filter(|(found, _)| *found == name).map(|(_, value)| value);
        values.next().filter(|value| !value.value.is_empty())
    }

    fn take(&mut self, word: &Spanned<&'a str>) -> Result<(), Box<Diagnostic>> {
        let names = || FIELDS.iter().map(|(name, _)| *name);
        let Some((written, value)) = word.value.split_once('=') else {
            // The word is not repeated: it may be a password.
            let error = Diagnostic::at(&word.span, "after a login there are fields, such as `key=FILE`");
            let known = names().any(|name| name == word.value);
            let hint = if known {
                format!("write `{}=` and its value, without blanks", word.value)
            } else {
                format!("one login a line; the fields are {}", choices(names()).replace(" or ", " and "))
            };
            return Err(Box::new(error.hint(hint)));
        };
        let name = part(word, 0, written.len());
        let value = part(word, written.len() + 1, value.len());
        let Some(field) = names().find(|name| *name == written) else {
            let words = FIELDS.iter().flat_map(|(name, also)| also.iter().copied().chain([*name]));
            let near = nearest(written, words);
            let near = near.and_then(|near| FIELDS.iter().find(|(name, also)| *name == near || also.contains(&near)));
            // As `pass=word`, a password may stand on either side.
            let shown = if is_word(written) { format!("unknown field `{written}`") } else { "unknown field".into() };
            let hint = match near {
                Some((name, _)) => {
                    // It is read as what it was meant to be, so that one slip is one error.
                    self.found.push((name, value));
                    format!("did you mean `{name}`?")
                }
                None => format!("there is {}", choices(names()).replace(" or ", " and ")),
            };
            return Err(Box::new(Diagnostic::at(&name.span, shown).hint(hint)));
        };
        if let Some((_, first)) = self.found.iter().find(|(found, _)| *found == field) {
            let error =
                Diagnostic::at(&name.span, format!("`{field}` is there twice")).related(&first.span, "first here");
            let list = matches!(field, "key" | "groups");
            return Err(Box::new(error.hint(if list { "write one, with commas between" } else { "remove one" })));
        }
        let empty = value.value.is_empty();
        self.found.push((field, value));
        if empty {
            return Err(Box::new(
                Diagnostic::at(&word.span, format!("`{field}` is empty")).hint("give it a value, or remove it"),
            ));
        }
        Ok(())
    }
}

impl Reader<'_, '_> {
    /// Whether the person may become root. A password that could not be read is `None`.
    pub(super) fn sudo(
        &self,
        value: Option<&Spanned<&str>>,
        login: &Spanned<String>,
        password: Option<&Password>,
    ) -> Option<Spanned<Sudo>> {
        let has_password = password.is_none_or(Password::is_some);
        let asked = if has_password { Sudo::Password } else { Sudo::NoPassword };
        let Some(value) = value else {
            let default = if self.users.sudo.value { asked } else { Sudo::No };
            return Some(Spanned::new(default, login.span.clone()));
        };
        let sudo = match value.value {
            "yes" => asked,
            "no" => Sudo::No,
            "nopasswd" => Sudo::NoPassword,
            "password" if has_password => Sudo::Password,
            "password" => {
                let error =
                    Diagnostic::at(&value.span, format!("`{}` has no password that sudo could ask for", quoted(login)));
                self.report(error.hint("give `password=`, or write `sudo=yes`, which then asks for none"));
                return None;
            }
            other => {
                let hint = match &*other.to_lowercase() {
                    "true" | "on" | "y" | "1" => "write `yes`".to_owned(),
                    "false" | "off" | "n" | "none" | "0" => "write `no`".to_owned(),
                    lower => match nearest(lower, SUDO) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("it can be {}", choices(SUDO)),
                    },
                };
                self.report(Diagnostic::at(&value.span, format!("`sudo` cannot be `{}`", quoted(other))).hint(hint));
                return None;
            }
        };
        Some(Spanned::new(sudo, value.span.clone()))
    }

    /// The login shell.
    pub(super) fn shell(&self, value: Option<&Spanned<&str>>, place: &Span) -> Option<Spanned<String>> {
        let Some(value) = value else { return Some(Spanned::new(SHELL.to_owned(), place.clone())) };
        let odd = |letter: &char| !letter.is_ascii_alphanumeric() && !"/._+-".contains(*letter);
        let wrong = |message: String, hint: &str| {
            self.report(Diagnostic::at(&value.span, message).hint(hint));
            None
        };
        let shown = quoted(value.value);
        if let Some(letter) = value.value.chars().find(odd) {
            let letter = quoted(&letter.to_string());
            return wrong(format!("`{letter}` cannot be in the path of a shell"), "e.g. /bin/zsh");
        }
        if !value.value.starts_with('/') {
            let name = value.value.rsplit('/').next().unwrap_or_default();
            return wrong(format!("the shell `{shown}` is not an absolute path"), &format!("e.g. /bin/{name}"));
        }
        if value.value.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) || value.value.len() > 255 {
            return wrong(format!("`{shown}` is not the path of a shell"), "e.g. /bin/zsh");
        }
        Some(value.clone().map(str::to_owned))
    }

    /// The first day on which the account is closed.
    pub(super) fn expires(&self, value: &Spanned<&str>, login: &Spanned<String>) -> Option<Spanned<Date>> {
        let text = value.value;
        let form = text.len() == 10
            && text
                .bytes()
                .enumerate()
                .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
        // /etc/shadow counts days from 1970, and takes 0 for never in places.
        let date = text.parse::<Date>().ok().filter(|date| form && date.year() >= 2000);
        let Some(date) = date else {
            let error = Diagnostic::at(&value.span, format!("`{}` is no date", quoted(text)));
            self.report(error.hint("YEAR-MONTH-DAY, the first day on which the account is closed: expires=2027-01-31"));
            return None;
        };
        if date <= self.today {
            // Not a mistake: a spec that was right must not become wrong by itself, when it is needed most.
            self.decoder.note(&value.span, format!("the account of `{}` has been closed since {date}", quoted(login)));
        }
        Some(Spanned::new(date, value.span.clone()))
    }
}
