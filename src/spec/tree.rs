//! A YAML file as a tree that remembers where everything stands.
//!
//! Built from the parser's events rather than from its own tree: that one neither tells duplicate
//! keys nor quoted from plain scalars, and copies an alias however large the copy grows.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::{
    error::Diagnostic,
    model::Span,
    source::{Source, small},
};

/// Deeper nesting is refused.
const MAX_DEPTH: usize = 64;
/// More values, aliases expanded, are refused.
const MAX_NODES: usize = 50_000;
/// More text, aliases expanded, is refused.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) data: Data,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// One value on its own, not yet interpreted.
    Scalar { text: String, style: Style },
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file, without duplicate keys.
    Map(Vec<(Key, Node)>),
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes.
    Plain,
    /// In quotes.
    Quoted,
    /// As a block, after `|` or `>`.
    Block,
}

/// A map's key with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) span: Span,
}

impl Node {
    /// Whether nothing is written here: empty, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, style: Style::Plain } if is_null(text))
    }

    /// The value under a key, if this is a map that has it.
    pub(super) fn get(&self, name: &str) -> Option<(&Key, &Node)> {
        let Data::Map(entries) = &self.data else { return None };
        entries.iter().find(|(key, _)| key.text == name).map(|(key, node)| (key, node))
    }

    /// "a list", for a message about what was found.
    pub(super) fn kind(&self) -> &'static str {
        match &self.data {
            Data::Scalar { .. } if self.is_null() => "nothing",
            Data::Scalar { style: Style::Plain, .. } => "a single value",
            Data::Scalar { .. } => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// How much there is in it.
    fn weight(&self) -> Weight {
        let own = |text: usize| Weight { nodes: 1, text, depth: 1 };
        let add = |sum: Weight, part: Weight| Weight {
            nodes: sum.nodes + part.nodes,
            text: sum.text + part.text,
            depth: sum.depth.max(part.depth + 1),
        };
        match &self.data {
            Data::Scalar { text, .. } => own(text.len()),
            Data::List(items) => items.iter().map(Self::weight).fold(own(0), add),
            Data::Map(entries) => entries.iter().fold(own(0), |sum, (key, node)| {
                let key = Weight { depth: 0, ..own(key.text.len()) };
                add(add(sum, key), node.weight())
            }),
        }
    }
}

/// How much there is in a value.
#[derive(Clone, Copy)]
struct Weight {
    /// Values and keys.
    nodes: usize,
    /// Bytes of text.
    text: usize,
    /// Levels.
    depth: usize,
}

/// Whether YAML reads a plain scalar as nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Parses a file. Problems that leave a usable tree (a duplicate key) go into `errors`.
pub(super) fn parse(source: &Source, errors: &mut Vec<Diagnostic>) -> Option<Node> {
    let lines = source.text.lines().map(|line| (line, line.is_ascii())).collect();
    let mut builder = Builder {
        source,
        lines,
        counted: Cell::default(),
        errors,
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        text: 0,
        root: None,
    };
    match builder.run() {
        Ok(Some(root)) => Some(root),
        Ok(None) => {
            let error = Diagnostic::at(&source.start(), "the file holds no spec")
                .hint("begin with `stack: NAME` and `region: REGION`");
            errors.push(error);
            None
        }
        Err(error) => {
            errors.push(*error);
            None
        }
    }
}

fn too_deep(span: &Span) -> Box<Diagnostic> {
    Diagnostic::at(span, format!("nested more than {MAX_DEPTH} deep")).into()
}

/// An unfinished list or map.
struct Open {
    span: Span,
    anchor: usize,
    /// The key whose value comes next, in a map.
    key: Option<Key>,
    /// Keys so far, in a map.
    keys: HashSet<String>,
    data: Data,
}

struct Builder<'a> {
    source: &'a Source,
    /// Each line, and whether its characters are its bytes.
    lines: Vec<(&'a str, bool)>,
    /// A line's number, and a column of it with its byte: the last that was asked for.
    counted: Cell<(usize, usize, usize)>,
    errors: &'a mut Vec<Diagnostic>,
    open: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    nodes: usize,
    text: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn run(&mut self) -> Result<Option<Node>, Box<Diagnostic>> {
        let source = self.source;
        let mut parser = Parser::new_from_str(&source.text);
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, place) = event.map_err(|error| Box::new(self.syntax(&error)))?;
            let span = self.span(place);
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let error = Diagnostic::at(&span, "a second document begins here; a file holds one stack")
                            .hint("move it to a file of its own, or put an environment's differences in an overlay");
                        return Err(error.into());
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    Self::refuse_tag(tag.as_deref(), &span)?;
                    let style = match style {
                        ScalarStyle::Plain => Style::Plain,
                        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                    };
                    self.count(1, text.len(), &span)?;
                    self.place(Node { span, data: Data::Scalar { text: text.into_owned(), style } }, anchor)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.start(span, anchor, tag.as_deref(), Data::List(Vec::new()))?;
                }
                Event::MappingStart(anchor, tag) => self.start(span, anchor, tag.as_deref(), Data::Map(Vec::new()))?,
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(Open { span, anchor, data, .. }) = self.open.pop() {
                        self.place(Node { span, data }, anchor)?;
                    }
                }
                Event::Alias(anchor) => {
                    let Some(node) = self.anchors.get(&anchor).cloned() else {
                        return Err(Diagnostic::at(&span, "an alias inside the value that it names").into());
                    };
                    let weight = node.weight();
                    self.count(weight.nodes, weight.text, &span)?;
                    if self.open.len() + weight.depth > MAX_DEPTH {
                        return Err(too_deep(&span));
                    }
                    if self.expects_key() {
                        return Err(Diagnostic::at(&span, "an alias cannot be a key").hint("write the key out").into());
                    }
                    self.place((*node).clone(), 0)?;
                }
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        Ok(self.root.take().filter(|root| !root.is_null()))
    }

    fn start(&mut self, span: Span, anchor: usize, tag: Option<&Tag>, data: Data) -> Result<(), Box<Diagnostic>> {
        Self::refuse_tag(tag, &span)?;
        self.count(1, 0, &span)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(&span));
        }
        if self.expects_key() {
            let error = Diagnostic::at(&span, "a key must be a word, not a list or a map").hint(
                "a value that begins with `{` is a map in YAML; put `${…}` in quotes inside `{ }` and `[ ]`: \"${var:office}\"",
            );
            return Err(error.into());
        }
        self.open.push(Open { span, anchor, key: None, keys: HashSet::new(), data });
        Ok(())
    }

    fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|open| open.key.is_none() && matches!(open.data, Data::Map(_)))
    }

    /// Counts what a file grows to, so that aliases cannot make a small file large.
    fn count(&mut self, nodes: usize, text: usize, span: &Span) -> Result<(), Box<Diagnostic>> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.text = self.text.saturating_add(text);
        if self.nodes <= MAX_NODES && self.text <= MAX_TEXT {
            return Ok(());
        }
        let what = if self.nodes > MAX_NODES {
            format!("the file grows to more than {MAX_NODES} values here")
        } else {
            format!("the file grows to more than {} MiB of text here", MAX_TEXT / 1024 / 1024)
        };
        Err(Diagnostic::at(span, what)
            .hint("aliases (`*name`) copy what they name; write less, or fewer of them")
            .into())
    }

    fn refuse_tag(tag: Option<&Tag>, span: &Span) -> Result<(), Box<Diagnostic>> {
        let Some(tag) = tag else { return Ok(()) };
        let written = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let error = Diagnostic::at(span, format!("the YAML tag `{written}` has no meaning in a spec"))
            .hint("remove it; quotes make text: \"0644\"");
        Err(error.into())
    }

    /// Puts a finished value where it belongs.
    fn place(&mut self, node: Node, anchor: usize) -> Result<(), Box<Diagnostic>> {
        if anchor > 0 {
            let weight = node.weight();
            self.count(weight.nodes, weight.text, &node.span)?;
            self.anchors.insert(anchor, Arc::new(node.clone()));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.data, open.key.take()) {
            (Data::Map(entries), Some(key)) => {
                if open.keys.insert(key.text.clone()) {
                    entries.push((key, node));
                } else if let Some((first, _)) = entries.iter().find(|(other, _)| other.text == key.text) {
                    let error = Diagnostic::at(&key.span, format!("duplicate key `{}`", key.text))
                        .related(&first.span, "first here")
                        .hint("YAML would silently keep one of them; remove or rename one");
                    self.errors.push(error);
                }
            }
            (Data::Map(_), None) => {
                let Node { span, data: Data::Scalar { text, style } } = node else { return Ok(()) };
                if text == "<<" && style == Style::Plain {
                    let error = Diagnostic::at(&span, "the merge key `<<` is not part of YAML 1.2").hint(
                        "write the fields out; what environments share stands in the spec, what differs in an overlay",
                    );
                    return Err(error.into());
                }
                open.key = Some(Key { text, span });
            }
            (Data::List(items), _) => items.push(node),
            (Data::Scalar { .. }, _) => {}
        }
        Ok(())
    }

    /// Where a column of a line begins, in bytes. Places come in order as a rule, so that counting goes on where it ended.
    fn byte(&self, number: usize, line: &str, column: usize) -> Option<usize> {
        let (last, counted, start) = self.counted.get();
        let (counted, start) = if last == number && counted <= column { (counted, start) } else { (0, 0) };
        let (byte, _) = line[start..].char_indices().nth(column - counted)?;
        self.counted.set((number, column, start + byte));
        Some(start + byte)
    }

    /// A place of the parser, cut to its first line.
    fn span(&self, place: saphyr_parser::Span) -> Span {
        let number = place.start.line().max(1);
        let (line, ascii) = self.lines.get(number - 1).copied().unwrap_or_default();
        let column = place.start.col();
        let byte = if ascii { Some(column) } else { self.byte(number, line, column) };
        let rest = byte.and_then(|byte| line.get(byte..)).unwrap_or_default();
        let len =
            if place.end.line() == place.start.line() { place.end.col().saturating_sub(column) } else { usize::MAX };
        // What matters of a very long value is its beginning.
        let written: String = rest.chars().take(len.min(200)).collect();
        let len = written.trim_end().chars().count().max(1);
        Span { file: self.source.name.clone(), line: small(number), column: small(column) + 1, len: small(len) }
    }

    fn syntax(&self, error: &ScanError) -> Diagnostic {
        let marker = *error.marker();
        let last = self.lines.len().max(1);
        let marker = if marker.line() > last {
            let (line, _) = self.lines.last().copied().unwrap_or_default();
            saphyr_parser::Marker::new(marker.index(), last, line.chars().count())
        } else {
            marker
        };
        let span = self.span(saphyr_parser::Span::empty(marker));
        let line = self.source.line(span.line).unwrap_or_default();
        let hint = if line.trim_start_matches(' ').starts_with('\t') {
            Some("this line is indented with a tab; YAML allows spaces only")
        } else if line.contains("${") && line.contains(['{', '[']) {
            Some("inside `{ }` and `[ ]`, put `${…}` in quotes: \"${var:office}\"")
        } else if line.contains(": ") || error.info().contains("indent") {
            Some("check the indentation of this line and the one before, and quote text that holds `: ` or ` #`")
        } else {
            None
        };
        Diagnostic::at(&span, format!("not valid YAML: {}", error.info())).maybe_hint(hint.map(str::to_owned))
    }
}
