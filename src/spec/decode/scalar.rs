//! Single values: text that YAML may misread, numbers, lengths of time, sizes, address ranges, paths.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ipnet::IpNet;

use super::{
    super::{
        error::{Diagnostic, choices, nearest},
        interpolate::Place,
        model::{FilePath, Spanned, Text},
        shape::Kind,
        tree::{Node, is_null},
    },
    Decoder, Scalar,
};

impl Decoder<'_> {
    /// Text that may hold `${account}`.
    pub(super) fn text(&self, node: &Node, what: &str) -> Option<Spanned<Text>> {
        let scalar = self.text_scalar(node, what, Place::Anywhere)?;
        Some(Spanned::new(scalar.resolved.into_text(), scalar.span))
    }

    /// Text whose value must be known now.
    pub(super) fn fixed(&self, node: &Node, what: &str) -> Option<Spanned<String>> {
        self.fixed_shown(node, what).map(|(text, _)| text)
    }

    /// The same, and how a message may show it.
    pub(super) fn fixed_shown(&self, node: &Node, what: &str) -> Option<(Spanned<String>, String)> {
        let scalar = self.text_scalar(node, what, Place::Anywhere)?;
        let value = self.known(&scalar, what)?;
        Some((Spanned::new(value, scalar.span), scalar.resolved.shown))
    }

    /// Text, refusing what YAML reads as something else.
    pub(super) fn text_scalar(&self, node: &Node, what: &str, place: Place) -> Option<Scalar> {
        let scalar = self.scalar(node, what, place)?;
        if scalar.plain && !scalar.computed {
            let written = scalar.resolved.shown.as_str();
            if let Some(reading) = surprise(written) {
                let error = Diagnostic::at(
                    &scalar.span,
                    format!("{what} must be text, but YAML reads `{written}` as {reading}"),
                );
                self.report(error.hint(format!("put it in quotes: \"{written}\"")));
                return None;
            }
        }
        Some(scalar)
    }

    /// A value that does not depend on the account.
    fn known(&self, scalar: &Scalar, what: &str) -> Option<String> {
        if scalar.fixed().is_none() {
            let error = Diagnostic::at(&scalar.span, format!("{what} cannot depend on `${{account}}`"));
            self.report(error.hint("it is known only once AWS has been asked"));
        }
        scalar.fixed().map(str::to_owned)
    }

    /// A value that is not text: resolved, without quotes, without an account.
    fn bare(&self, node: &Node, what: &str, expected: &str) -> Option<(String, Scalar)> {
        let scalar = self.scalar(node, what, Place::Anywhere)?;
        let value = self.known(&scalar, what)?;
        if !scalar.plain && !scalar.computed {
            let error = Diagnostic::at(&scalar.span, format!("{what} must be {expected}, not text"));
            self.report(error.hint("remove the quotes"));
            return None;
        }
        Some((value, scalar))
    }

    /// One of some words.
    pub(super) fn word(
        &self,
        node: &Node,
        what: &str,
        words: &[(&'static str, &'static str)],
    ) -> Option<Spanned<&'static str>> {
        let scalar = self.scalar(node, what, Place::Anywhere)?;
        let value = self.known(&scalar, what)?;
        if let Some((word, _)) = words.iter().find(|(word, _)| *word == value) {
            return Some(Spanned::new(*word, scalar.span));
        }
        let all = || words.iter().map(|(word, _)| *word);
        let error = Diagnostic::at(&scalar.span, format!("{what} cannot be `{}`", scalar.resolved.shown));
        let hint = match nearest(&value, all()) {
            Some(near) if !scalar.resolved.secret => format!("did you mean `{near}`? It can be {}", choices(all())),
            _ => format!("it can be {}", choices(all())),
        };
        self.report(error.hint(hint));
        None
    }

    /// `true` or `false`, and nothing else that YAML 1.1 took for them.
    pub(super) fn boolean(&self, node: &Node, what: &str) -> Option<Spanned<bool>> {
        let (value, scalar) = self.bare(node, what, "`true` or `false`")?;
        let value = match &*value {
            "true" => true,
            "false" => false,
            other => {
                let hint = match &*other.to_lowercase() {
                    "yes" | "on" | "y" | "true" => "write `true`",
                    "no" | "off" | "n" | "false" => "write `false`",
                    _ => "write `true` or `false`",
                };
                let message = format!("{what} must be `true` or `false`, not `{}`", scalar.resolved.shown);
                self.report(Diagnostic::at(&scalar.span, message).hint(hint));
                return None;
            }
        };
        Some(Spanned::new(value, scalar.span))
    }

    /// A whole number.
    pub(super) fn integer(&self, node: &Node, what: &str, least: u64, most: u64) -> Option<Spanned<u64>> {
        let (value, scalar) = self.bare(node, what, "a whole number")?;
        let shown = &scalar.resolved.shown;
        let wrong = |message: String, hint: String| {
            self.report(Diagnostic::at(&scalar.span, message).hint(hint));
            None
        };
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        if !digits {
            let hint = format!("write {least} to {most} in digits");
            return wrong(format!("{what} must be a whole number, not `{shown}`"), hint);
        }
        if value.len() > 1 && value.starts_with('0') {
            let hint = "YAML 1.1 reads a leading 0 as octal; write the number without it".into();
            return wrong(format!("{what} must be a whole number without a leading 0, not `{shown}`"), hint);
        }
        match value.parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) => Some(Spanned::new(number, scalar.span)),
            _ => wrong(format!("{what} cannot be {shown}"), format!("it can be {least} to {most}")),
        }
    }

    /// A length of time: `90d`, `1h30m`.
    pub(super) fn duration(&self, node: &Node, what: &str) -> Option<Spanned<Duration>> {
        let scalar = self.scalar(node, what, Place::Anywhere)?;
        let value = self.known(&scalar, what)?;
        if let Some(seconds) = seconds(&value) {
            return Some(Spanned::new(Duration::from_secs(seconds), scalar.span));
        }
        let hint = if value.bytes().all(|byte| byte.is_ascii_digit()) && !scalar.resolved.secret {
            format!("add a unit: {value}d, {value}h, {value}m or {value}s")
        } else {
            "e.g. 90d, 12h, 30m, 45s or 1h30m".into()
        };
        let message = format!("{what} is not a length of time: `{}`", scalar.resolved.shown);
        self.report(Diagnostic::at(&scalar.span, message).hint(hint));
        None
    }

    /// A length of time in whole days.
    pub(super) fn days(&self, node: &Node, what: &str) -> Option<Spanned<u32>> {
        let duration = self.duration(node, what)?;
        let seconds = duration.as_secs();
        if seconds == 0 || seconds % 86_400 != 0 {
            let error = Diagnostic::at(&duration.span, format!("{what} must be whole days, at least one"));
            self.report(error.hint("e.g. 90d"));
            return None;
        }
        Some(duration.map(|_| u32::try_from(seconds / 86_400).unwrap_or(u32::MAX)))
    }

    /// A size in whole GiB.
    pub(super) fn gib(&self, node: &Node, what: &str, least: u32, most: u32) -> Option<Spanned<u32>> {
        let scalar = self.scalar(node, what, Place::Anywhere)?;
        let value = self.known(&scalar, what)?;
        let shown = &scalar.resolved.shown;
        let wrong = |message: String, hint: String| {
            self.report(Diagnostic::at(&scalar.span, message).hint(hint));
            None
        };
        let at = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
        let (digits, unit) = value.split_at(at);
        let factor = match unit.trim() {
            "GiB" => 1,
            "TiB" => 1024,
            _ => {
                let number = if digits.is_empty() || scalar.resolved.secret { "8" } else { digits };
                return wrong(format!("{what} is not a size: `{shown}`"), format!("write {number}GiB (or TiB)"));
            }
        };
        match digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor)) {
            Some(gib) if (least..=most).contains(&gib) => Some(Spanned::new(gib, scalar.span)),
            _ => wrong(format!("{what} cannot be {shown}"), format!("it can be {least}GiB to {most}GiB")),
        }
    }

    /// A range of addresses without host bits.
    pub(super) fn range(&self, node: &Node, what: &str) -> Option<Spanned<IpNet>> {
        let (text, shown) = self.fixed_shown(node, what)?;
        let secret = shown != text.value;
        let Ok(range) = text.parse::<IpNet>() else {
            let hint = match text.parse::<std::net::IpAddr>() {
                Ok(address) if !secret => {
                    format!("for this one address write {}", IpNet::from(address))
                }
                _ => "e.g. 10.0.0.0/16".into(),
            };
            let error = Diagnostic::at(&text.span, format!("{what} is not a range of addresses: `{shown}`"));
            self.report(error.hint(hint));
            return None;
        };
        if range.trunc() != range {
            let error = Diagnostic::at(&text.span, format!("{what} has bits set after its prefix: `{shown}`"));
            let hint = if secret { "clear them".to_owned() } else { format!("did you mean {}?", range.trunc()) };
            self.report(error.hint(hint));
            return None;
        }
        Some(Spanned::new(range, text.span))
    }

    /// A path, from the folder of the file that names it.
    pub(super) fn path(&self, node: &Node, what: &str) -> Option<Spanned<FilePath>> {
        let text = self.fixed(node, what)?;
        let path = self.find_path(&text, &text.span.file);
        Some(text.map(|written| FilePath { written, path }))
    }

    /// Expands `~` and joins a relative path to the folder of a file.
    pub(super) fn find_path(&self, written: &str, file: &str) -> PathBuf {
        self.find_in(written, Path::new(file).parent().unwrap_or(Path::new("")))
    }

    /// Expands `~` and joins a relative path to a folder.
    pub(in crate::spec) fn find_in(&self, written: &str, folder: &Path) -> PathBuf {
        let home = || (self.scope.env)("HOME").filter(|home| !home.is_empty());
        match written.strip_prefix('~').and_then(|rest| Some((rest.strip_prefix('/').unwrap_or(rest), home()?))) {
            Some((rest, home)) if written == "~" || written.starts_with("~/") => Path::new(&home).join(rest),
            _ => folder.join(written),
        }
    }

    /// The name of something else in the spec, which must exist.
    pub(super) fn name(&self, node: &Node, what: &str, kind: Kind) -> Option<Spanned<String>> {
        let (name, shown) = self.fixed_shown(node, what)?;
        self.check_name(&name, &shown, kind);
        Some(name)
    }
}

/// What YAML 1.1 or 1.2 reads a plain word as, where that is not text.
pub(super) fn surprise(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    if matches!(&*lower, "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false") {
        return Some("true or false");
    }
    if is_null(text) {
        return Some("nothing");
    }
    let unsigned = lower.trim_start_matches(['+', '-']);
    if matches!(unsigned, ".inf" | ".nan") {
        return Some("a number");
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if unsigned.contains(':') && unsigned.split(':').all(|part| digits(part) || part.split('.').all(digits)) {
        return Some("a number in base 60");
    }
    if unsigned.len() > 1 && unsigned.starts_with('0') && digits(unsigned) {
        return Some("an octal number");
    }
    let date: Vec<&str> = unsigned.get(..10).unwrap_or(unsigned).split('-').collect();
    if unsigned.len() >= 8 && date.len() == 3 && date[0].len() == 4 && date.iter().all(|part| digits(part)) {
        return Some("a date");
    }
    let prefixed = |prefix: &str, radix: u32| {
        unsigned
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix) || c == '_'))
    };
    let number = unsigned.replace('_', "").parse::<f64>().is_ok();
    (number || prefixed("0x", 16) || prefixed("0o", 8) || prefixed("0b", 2)).then_some("a number")
}

/// `1h30m` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..at].parse().ok()?;
        let unit = rest[at..].chars().next()?;
        let factor = match unit {
            'w' => 604_800,
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        if factor >= last {
            return None;
        }
        last = factor;
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = &rest[at + 1..];
    }
    (last != u64::MAX).then_some(total)
}
