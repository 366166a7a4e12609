//! From a tree to the model, collecting every mistake on the way.
//!
//! A [`Decoder`] holds what all of it shares; a [`Fields`] reads one map through its table in
//! [`super::shape`]. What cannot be read is reported and left out, and reading goes on.

mod access;
mod bucket;
mod cluster;
mod fields;
mod host;
mod key;
mod network;
mod nodes;
mod pipeline;
mod scalar;
mod stack;
mod template;

use std::{cell::RefCell, collections::HashSet};

use super::{
    error::{Diagnostic, choices, nearest},
    interpolate::{Place, Resolved, Scope},
    model::{Note, Span, Spanned},
    shape::{Kind, Shape},
    tree::{Data, Node, Style},
};

use fields::Fields;
pub(super) use stack::{SPEC, read};
pub(super) use template::read_all as read_templates;
pub use template::templates;

/// What all decoding shares.
pub(super) struct Decoder<'a> {
    /// What `${…}` resolves to.
    pub(super) scope: Scope<'a>,
    /// The whole tree, to look names up in.
    pub(super) root: &'a Node,
    errors: RefCell<Vec<Diagnostic>>,
    notes: RefCell<Vec<Note>>,
    /// Each field that was asked for, to prove that the tables hold no others.
    #[cfg(test)]
    pub(super) asked: RefCell<std::collections::BTreeSet<(&'static str, &'static str)>>,
    /// Each of them that was written.
    #[cfg(test)]
    pub(super) found: RefCell<std::collections::BTreeSet<(&'static str, &'static str)>>,
}

/// A scalar, resolved.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) resolved: Resolved,
    /// Whether it was written without quotes, so that YAML may read more than text into it.
    pub(super) plain: bool,
    /// Whether `${…}` stood in it: then its form was the author's only choice.
    pub(super) computed: bool,
    pub(super) span: Span,
}

impl Scalar {
    /// The value without an open account, which most fields cannot have.
    fn fixed(&self) -> Option<&str> {
        match &*self.resolved.pieces {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl<'a> Decoder<'a> {
    pub(super) fn new(scope: Scope<'a>, root: &'a Node) -> Self {
        Self {
            scope,
            root,
            errors: RefCell::default(),
            notes: RefCell::default(),
            #[cfg(test)]
            asked: RefCell::default(),
            #[cfg(test)]
            found: RefCell::default(),
        }
    }

    /// Takes down a mistake.
    pub(super) fn report(&self, error: Diagnostic) {
        self.errors.borrow_mut().push(error);
    }

    /// How many mistakes were taken down.
    pub(super) fn reported(&self) -> usize {
        self.errors.borrow().len()
    }

    /// Takes back what was taken down after the first so many mistakes.
    pub(super) fn take_back(&self, after: usize) -> Vec<Diagnostic> {
        let mut errors = self.errors.borrow_mut().split_off(after);
        self.redact(&mut errors);
        errors
    }

    /// Takes values of the environment out.
    fn redact(&self, errors: &mut [Diagnostic]) {
        for error in errors {
            self.scope.redact(&mut error.message);
            error.hint.iter_mut().for_each(|hint| self.scope.redact(hint));
            error.related.iter_mut().for_each(|(_, label)| self.scope.redact(label));
        }
    }

    /// Takes down something worth saying.
    pub(super) fn note(&self, span: &Span, message: impl Into<String>) {
        let note = Note { message: message.into(), span: span.clone() };
        let mut notes = self.notes.borrow_mut();
        // A list of people that several hosts have is read for each of them.
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Everything taken down, with values of the environment taken out.
    pub(super) fn finish(self) -> (Vec<Diagnostic>, Vec<Note>) {
        let errors = self.take_back(0);
        let Self { scope, notes, .. } = self;
        let mut notes = notes.into_inner();
        // A list of people that several hosts have is read for each of them.
        let mut seen = HashSet::new();
        notes.retain(|note| seen.insert(note.clone()));
        for note in &mut notes {
            scope.redact(&mut note.message);
        }
        notes.sort_by(|a, b| a.span.cmp(&b.span));
        (errors, notes)
    }

    /// A value on its own, with its `${…}` resolved.
    fn scalar(&self, node: &Node, what: &str, place: Place) -> Option<Scalar> {
        let Data::Scalar { text, style } = &node.data else {
            self.report(Diagnostic::at(&node.span, format!("{what} must be a single value, not {}", node.kind())));
            return None;
        };
        if node.is_null() {
            self.report(
                Diagnostic::at(&node.span, format!("{what} is empty")).hint("give it a value, or remove the line"),
            );
            return None;
        }
        let mut errors = Vec::new();
        let resolved = self.scope.resolve(text, *style, &node.span, place, &mut errors);
        self.errors.borrow_mut().append(&mut errors);
        let computed = text.contains("${");
        Some(Scalar { resolved: resolved?, plain: *style == Style::Plain, computed, span: node.span.clone() })
    }

    /// The entries of a map; nothing is an empty map.
    pub(super) fn entries<'n>(&self, node: &'n Node, what: &str) -> &'n [(super::tree::Key, Node)] {
        match &node.data {
            Data::Map(entries) => entries,
            _ if node.is_null() => &[],
            _ => {
                self.report(Diagnostic::at(&node.span, format!("{what} must be a map, not {}", node.kind())));
                &[]
            }
        }
    }

    /// The items of a list; nothing is an empty list.
    pub(super) fn items<'n>(&self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.data {
            Data::List(items) => items,
            _ if node.is_null() => &[],
            Data::Scalar { .. } => {
                let error = Diagnostic::at(&node.span, format!("{what} must be a list, not {}", node.kind()));
                self.report(error.hint("put it in brackets: `[…]`"));
                &[]
            }
            Data::Map(_) => {
                self.report(Diagnostic::at(&node.span, format!("{what} must be a list, not a map")));
                &[]
            }
        }
    }

    /// The names declared of a kind; `None` where what declares them is itself in error.
    pub(super) fn declared(&self, kind: Kind) -> Option<Vec<&'a str>> {
        let mut node = self.root;
        let mut object = &SPEC;
        for part in kind.section() {
            let Data::Map(entries) = &node.data else { return None };
            let exact = entries.iter().find(|(key, _)| key.text == *part);
            let slip = || entries.iter().find(|(key, _)| nearest(&key.text, [*part]).is_some());
            let Some((_, child)) = exact.or_else(slip) else {
                // It may stand under a key that means nothing.
                let known = entries.iter().all(|(key, _)| object.field(&key.text).is_some());
                return known.then(Vec::new);
            };
            if let Some(Shape::Object(inner)) = object.field(part).map(|field| &field.shape) {
                object = inner;
            }
            node = child;
        }
        match &node.data {
            Data::Map(entries) => Some(entries.iter().map(|(key, _)| key.text.as_str()).collect()),
            _ => node.is_null().then(Vec::new),
        }
    }

    /// The names declared of a kind, as far as they can be read.
    pub(super) fn names(&self, kind: Kind) -> Vec<&'a str> {
        self.declared(kind).unwrap_or_default()
    }

    /// Checks that a name refers to something.
    pub(super) fn check_name(&self, name: &Spanned<String>, shown: &str, kind: Kind) {
        let Some(names) = self.declared(kind).filter(|names| !names.contains(&name.as_str())) else { return };
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => format!("declare it under `{}:`", kind.section().join(".")),
            None => format!("there is {}", choices(names.iter().copied().take(8))),
        };
        self.report(Diagnostic::at(&name.span, format!("there is no {} `{shown}`", kind.word())).hint(hint));
    }
}
