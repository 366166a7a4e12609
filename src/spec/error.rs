//! What is wrong with a spec: every mistake at once, each at its place, with the line and a hint.

use std::{fmt, sync::Arc};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{
    model::{Span, Spec},
    source::Source,
};

/// More mistakes than this are counted, not shown.
const SHOWN: usize = 100;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// One sentence without a full stop.
    pub message: String,
    /// Where; `None` where no file could be read.
    pub span: Option<Span>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Another place that explains it, with a few words: "first defined here".
    pub related: Option<(Span, String)>,
}

impl Diagnostic {
    /// A mistake at a place.
    pub fn at(span: &Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span.clone()), hint: None, related: None }
    }

    /// A mistake without a place in a file.
    pub fn general(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, hint: None, related: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to do about it, where that is known.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// Points at another place too.
    #[must_use]
    pub fn related(mut self, span: &Span, label: impl Into<String>) -> Self {
        self.related = Some((span.clone(), label.into()));
        self
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `file:line:column: message (hint)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = &self.span {
            write!(f, "{span}: ")?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

/// All mistakes of a spec and its overlay, sorted by place.
///
/// `Display` prints them without colour; [`SpecErrors::render`] lets the caller choose.
#[derive(Clone, Debug)]
pub struct SpecErrors {
    errors: Vec<Diagnostic>,
    sources: Vec<Arc<Source>>,
    whose: Option<Box<Spec>>,
}

impl SpecErrors {
    /// Sorts the mistakes by file (the spec before its overlay) and place.
    pub(super) fn new(mut errors: Vec<Diagnostic>, sources: Vec<Arc<Source>>) -> Self {
        let order = |span: &Span| sources.iter().position(|source| source.name == span.file);
        errors.sort_by_cached_key(|error| {
            let place = error.span.as_ref().map(|span| (order(span), span.line, span.column));
            (place, error.message.clone())
        });
        errors.dedup();
        Self { errors, sources, whose: None }
    }

    /// The same mistakes, of a spec of which it is known whose it is.
    pub(super) fn of(self, whose: Option<Spec>) -> Self {
        Self { whose: whose.map(Box::new), ..self }
    }

    /// A spec that says whose stack the mistakes are about, and nothing else; `None` where that is among them.
    pub fn whose(&self) -> Option<&Spec> {
        self.whose.as_deref()
    }

    /// One mistake without a place.
    pub(super) fn general(error: Diagnostic) -> Self {
        Self { errors: vec![error], sources: Vec::new(), whose: None }
    }

    /// The mistakes, sorted by place.
    pub fn errors(&self) -> &[Diagnostic] {
        &self.errors
    }

    /// All mistakes with their lines and carets, then their number.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut blocks: Vec<String> =
            self.errors.iter().take(SHOWN).map(|error| self.block(&renderer, error)).collect();
        let total = self.errors.len();
        if total > SHOWN {
            blocks.push(format!("… and {} more", total - SHOWN));
        }
        if total > 1 {
            blocks.push(format!("{total} errors"));
        }
        blocks.join("\n\n")
    }

    fn block(&self, renderer: &Renderer, error: &Diagnostic) -> String {
        let mut group = Group::with_title(Level::ERROR.primary_title(error.message.as_str()));
        if let Some(span) = &error.span {
            group = self.snippet(group, span, AnnotationKind::Primary, None);
        }
        if let Some((span, label)) = &error.related {
            group = self.snippet(group, span, AnnotationKind::Context, Some(label));
        }
        // Without a place the frame of a snippet would be empty lines.
        if error.span.is_none() && error.related.is_none() {
            let hint = error.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            return renderer.render(&[group]) + &hint;
        }
        if let Some(hint) = &error.hint {
            group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
        }
        renderer.render(&[group])
    }

    fn snippet<'a>(
        &'a self,
        group: Group<'a>,
        span: &'a Span,
        kind: AnnotationKind,
        label: Option<&'a String>,
    ) -> Group<'a> {
        let source = self.sources.iter().find(|source| source.name == span.file);
        // Beyond what is shown of a line, the snippet would name the column at which that ends.
        let reaches = |line: &&str| span.column as usize <= line.chars().count() + 1;
        let Some(line) = source.and_then(|source| source.line(span.line)).filter(reaches) else {
            return group.element(annotate_snippets::Origin::path(span.to_string()));
        };
        let start = byte_of(line, span.column as usize - 1);
        let end = byte_of(line, (span.column + span.len) as usize - 1).max(start);
        let annotation = kind.span(start..end).label(label.map(String::as_str));
        let snippet = Snippet::source(line).line_start(span.line as usize).path(&*span.file).annotation(annotation);
        group.element(snippet)
    }
}

/// The byte at which a line's character (from 0) begins, or the line's end.
fn byte_of(line: &str, character: usize) -> usize {
    line.char_indices().nth(character).map_or(line.len(), |(byte, _)| byte)
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for SpecErrors {}

/// The candidate that was probably meant.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = wanted.to_lowercase();
    let limit = (wanted.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "`a`, `b` or `c`".
pub(super) fn choices<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match &*words {
        [] => "nothing".into(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} or {last}", head.join(", ")),
    }
}
