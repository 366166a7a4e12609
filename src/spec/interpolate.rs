//! `${…}` in a spec's strings.

use std::{cell::RefCell, collections::HashMap};

use indexmap::IndexMap;

use super::{
    error::{Diagnostic, choices, nearest},
    model::{Span, Text},
    source::small,
    tree::Style,
};

/// What `${…}` may name.
const NAMES: [&str; 5] = ["account", "region", "stack", "env:NAME", "var:name"];

/// A resolved scalar.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    /// The literal pieces around each open `${account}`.
    pub(super) pieces: Vec<String>,
    /// What a message may show: like the value, but with `${env:NAME}` as written.
    pub(super) shown: String,
    /// Whether a piece came from the environment.
    pub(super) secret: bool,
}

impl Resolved {
    /// A literal.
    pub(super) fn literal(text: &str) -> Self {
        Self { pieces: vec![text.to_owned()], shown: text.to_owned(), secret: false }
    }

    /// The value as the model has it.
    pub(super) fn into_text(self) -> Text {
        Text::from_pieces(self.pieces, self.secret)
    }

    fn push(&mut self, text: &str, shown: &str) {
        if let Some(last) = self.pieces.last_mut() {
            last.push_str(text);
        }
        self.shown.push_str(shown);
    }

    fn append(&mut self, other: &Self) {
        if let (Some(last), [first, rest @ ..]) = (self.pieces.last_mut(), &*other.pieces) {
            last.push_str(first);
            self.pieces.extend_from_slice(rest);
        }
        self.shown.push_str(&other.shown);
        self.secret |= other.secret;
    }
}

/// What `${…}` resolves to, as far as it is known while a spec is read.
pub(super) struct Scope<'a> {
    /// The account, if the caller knows it.
    pub(super) account: Option<String>,
    /// The stack's name, once read.
    pub(super) stack: RefCell<Option<Resolved>>,
    /// The region, once read.
    pub(super) region: RefCell<Option<Resolved>>,
    /// Variables by name; `None` for one whose value is missing or wrong (reported there).
    pub(super) vars: RefCell<IndexMap<String, Option<Resolved>>>,
    /// The environment.
    pub(super) env: &'a (dyn Fn(&str) -> Option<String> + 'a),
    /// Values that came from the environment, to keep them out of every message.
    pub(super) secrets: RefCell<HashMap<String, String>>,
}

/// Where a string stands decides what its `${…}` may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Any string.
    Anywhere,
    /// An IAM document, where `${aws:username}` and its like belong to IAM.
    Document,
    /// The value of a variable: nothing but the environment is known yet.
    Variable,
    /// `stack` or `region`.
    Identity,
}

impl Scope<'_> {
    /// Resolves a string; what is wrong with it goes into `errors`, at its place inside the string.
    pub(super) fn resolve(
        &self,
        text: &str,
        style: Style,
        span: &Span,
        place: Place,
        errors: &mut Vec<Diagnostic>,
    ) -> Option<Resolved> {
        let mut resolved = Resolved { pieces: vec![String::new()], shown: String::new(), secret: false };
        let mut rest = text;
        let mut good = true;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                let literal = format!("{}${{", &rest[..at - 1]);
                resolved.push(&literal, &literal);
                rest = &rest[at + 2..];
                continue;
            }
            resolved.push(&rest[..at], &rest[..at]);
            let offset = text.len() - rest.len() + at;
            let Some(end) = rest[at..].find('}').map(|end| at + end) else {
                let here = within(span, text, style, offset, text.len());
                let error = Diagnostic::at(&here, "`${` without its `}`").hint("write `$${` for a literal `${`");
                errors.push(error);
                return None;
            };
            let name = &rest[at + 2..end];
            let here = within(span, text, style, offset, offset + end + 1 - at);
            match self.value(name, &here, place) {
                Ok(Some(value)) => resolved.append(&value),
                Ok(None) => good = false,
                Err(error) => {
                    errors.push(*error);
                    good = false;
                }
            }
            rest = &rest[end + 1..];
        }
        resolved.push(rest, rest);
        good.then_some(resolved)
    }

    fn value(&self, name: &str, span: &Span, place: Place) -> Result<Option<Resolved>, Box<Diagnostic>> {
        let written = format!("${{{name}}}");
        let too_early = || {
            let what = if place == Place::Variable { "the value of a variable" } else { "`stack` and `region`" };
            Err(Diagnostic::at(span, format!("`{written}` is not known yet in {what}")).into())
        };
        match name.split_once(':') {
            None if matches!(name, "account" | "stack" | "region")
                && place != Place::Anywhere
                && place != Place::Document =>
            {
                too_early()
            }
            None if name == "account" => Ok(Some(match &self.account {
                Some(account) => Resolved::literal(account),
                None => Resolved { pieces: vec![String::new(), String::new()], shown: written, secret: false },
            })),
            None if name == "stack" => Ok(self.stack.borrow().clone()),
            None if name == "region" => Ok(self.region.borrow().clone()),
            Some(("var", _)) if place == Place::Variable => too_early(),
            Some(("var", variable)) => self.variable(variable, span),
            Some(("env", variable)) => match (self.env)(variable) {
                Some(value) => {
                    self.secrets.borrow_mut().insert(value.clone(), written.clone());
                    Ok(Some(Resolved { pieces: vec![value], shown: written, secret: true }))
                }
                None => Err(Diagnostic::at(span, format!("the environment has no variable `{variable}`"))
                    .hint(format!("set it: `export {variable}=…`"))
                    .into()),
            },
            _ if place == Place::Document && (name.contains(':') || matches!(name, "*" | "?" | "$")) => {
                Ok(Some(Resolved::literal(&written)))
            }
            _ => Err(self.unknown(name, span).into()),
        }
    }

    fn variable(&self, name: &str, span: &Span) -> Result<Option<Resolved>, Box<Diagnostic>> {
        let vars = self.vars.borrow();
        if let Some(value) = vars.get(name) {
            return Ok(value.clone());
        }
        let hint = match nearest(name, vars.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `${{var:{near}}}`?"),
            None => format!("declare it: `vars: {{ {name}: VALUE }}`"),
        };
        Err(Diagnostic::at(span, format!("unknown variable `{name}`")).hint(hint).into())
    }

    fn unknown(&self, name: &str, span: &Span) -> Diagnostic {
        let vars = self.vars.borrow();
        let hint = if vars.contains_key(name) {
            format!("variables are written `${{var:{name}}}`")
        } else if let Some(near) = nearest(name, ["account", "region", "stack"]) {
            format!("did you mean `${{{near}}}`?")
        } else {
            format!("{} are known; write `$${{` for a literal `${{`", choices(NAMES))
        };
        Diagnostic::at(span, format!("`${{{name}}}` has no meaning")).hint(hint)
    }

    /// Takes values of the environment out of a message.
    pub(super) fn redact(&self, message: &mut String) {
        for (value, written) in &*self.secrets.borrow() {
            // Shorter ones are part of ordinary words; the places that quote values keep those out.
            if value.len() >= 4 && message.contains(value.as_str()) {
                *message = message.replace(value.as_str(), written);
            }
        }
    }
}

/// The place of a part (in bytes) of a scalar, if the scalar is written as it reads.
fn within(span: &Span, text: &str, style: Style, start: usize, end: usize) -> Span {
    let quotes = u32::from(style == Style::Quoted);
    if style == Style::Block || span.len != small(text.chars().count()) + 2 * quotes {
        return span.clone();
    }
    let column = span.column + quotes + small(text[..start].chars().count());
    Span { column, len: small(text[start..end].chars().count()).max(1), ..span.clone() }
}
