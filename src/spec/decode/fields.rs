//! One map, read through its table.

use std::{net::Ipv4Addr, time::Duration};

use ipnet::{IpNet, Ipv4Net};

use super::{
    super::{
        error::{Diagnostic, choices, nearest},
        model::{FilePath, Span, Spanned, Text},
        shape::{Field, Object, Shape},
        tree::{Data, Key, Node},
    },
    Decoder,
};

/// One map. Each getter names a field of the map's table and reports what is wrong with it.
pub(super) struct Fields<'d, 'a> {
    pub(super) decoder: &'d Decoder<'a>,
    object: &'static Object,
    /// For messages: "host `bastion`".
    pub(super) label: String,
    /// The place of its key, for what is missing and for defaults.
    pub(super) span: Span,
    entries: &'d [(Key, Node)],
    /// Fields that are written under a wrong name, so that one slip is one error.
    meant: Vec<(&'static Field, &'d (Key, Node))>,
}

impl<'d, 'a> Fields<'d, 'a> {
    /// Looks at a map: reports unknown and missing fields. `None` where it is no map at all.
    pub(super) fn open(
        decoder: &'d Decoder<'a>,
        object: &'static Object,
        label: impl Into<String>,
        span: &Span,
        node: &'d Node,
    ) -> Option<Self> {
        let label = label.into();
        let entries: &[(Key, Node)] = match &node.data {
            Data::Map(entries) => entries,
            _ if node.is_null() => &[],
            _ => {
                let error = Diagnostic::at(&node.span, format!("{label} must be a map, not {}", node.kind()));
                let example: Vec<_> =
                    object.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
                let hint =
                    (!example.is_empty()).then(|| format!("it needs {}", choices(example).replace(" or ", " and ")));
                decoder.report(error.maybe_hint(hint));
                return None;
            }
        };
        let mut fields = Self { decoder, object, label, span: span.clone(), entries, meant: Vec::new() };
        fields.check_keys();
        Some(fields)
    }

    fn check_keys(&mut self) {
        for entry in self.entries.iter().filter(|(key, _)| self.object.field(&key.text).is_none()) {
            let (key, _) = entry;
            let meant = self.near(&key.text);
            let hint = if let Some(field) = meant {
                format!("did you mean `{}`?", field.name)
            } else {
                let names = self.object.fields.iter().map(|field| field.name);
                format!("{} has {}", self.label, choices(names).replace(" or ", " and "))
            };
            let error = Diagnostic::at(&key.span, format!("unknown field `{}` in {}", key.text, self.label));
            self.decoder.report(error.hint(hint));
            self.meant.extend(meant.map(|field| (field, entry)));
        }
        for field in self.object.fields.iter().filter(|field| field.required) {
            let meant = self.meant.iter().any(|(meant, _)| meant.name == field.name);
            if !meant && self.written(field.name).is_none() {
                let error = Diagnostic::at(&self.span, format!("missing field `{}` in {}", field.name, self.label));
                self.decoder.report(error.hint(explain(field)));
            }
        }
    }

    /// The field that an unknown one was probably meant to be.
    fn near(&self, wrong: &str) -> Option<&'static Field> {
        let fields = self.object.fields;
        let words = fields.iter().flat_map(|field| field.also.iter().copied().chain([field.name]));
        let near = nearest(wrong, words)?;
        fields.iter().find(|field| field.name == near || field.also.contains(&near))
    }

    /// Whether the field is written.
    pub(super) fn has(&self, name: &'static str) -> bool {
        self.entry(name).is_some()
    }

    /// The field's key and value, if written.
    pub(super) fn entry(&self, name: &'static str) -> Option<(&'d Key, &'d Node)> {
        debug_assert!(self.object.field(name).is_some(), "`{}` has no field `{name}`", self.object.name);
        #[cfg(test)]
        {
            self.decoder.asked.borrow_mut().insert((self.object.name, name));
            if self.written(name).is_some() {
                self.decoder.found.borrow_mut().insert((self.object.name, name));
            }
        }
        self.written(name)
    }

    fn written(&self, name: &str) -> Option<(&'d Key, &'d Node)> {
        let exact = self.entries.iter().find(|(key, _)| key.text == name);
        // A slip of the pen holds the right value; under another word, only a single value is sure to.
        let slip = || {
            let mut slips = self.meant.iter().filter(|(field, _)| field.name == name);
            let (_, entry) = slips.find(|(_, (key, node))| {
                matches!(node.data, Data::Scalar { .. }) || nearest(&key.text, [name]).is_some()
            })?;
            Some(*entry)
        };
        exact.or_else(slip).map(|(key, node)| (key, node))
    }

    /// The field's value, if written.
    pub(super) fn node(&self, name: &'static str) -> Option<&'d Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// For messages: "`cidr` of subnet `public`".
    pub(super) fn what(&self, name: &str) -> String {
        format!("`{name}` of {}", self.label)
    }

    /// Text that may hold `${account}`.
    pub(super) fn text(&self, name: &'static str) -> Option<Spanned<Text>> {
        self.decoder.text(self.node(name)?, &self.what(name))
    }

    /// Text whose value must be known now.
    pub(super) fn fixed(&self, name: &'static str) -> Option<Spanned<String>> {
        self.decoder.fixed(self.node(name)?, &self.what(name))
    }

    /// One of the words of the table; its index there.
    pub(super) fn word(&self, name: &'static str) -> Option<Spanned<&'static str>> {
        let node = self.node(name)?;
        let words = words(&self.object.field(name)?.shape)?;
        self.decoder.word(node, &self.what(name), words)
    }

    /// A whole number within the table's bounds.
    pub(super) fn integer(&self, name: &'static str) -> Option<Spanned<u64>> {
        let node = self.node(name)?;
        let (least, most) = bounds(&self.object.field(name)?.shape)?;
        self.decoder.integer(node, &self.what(name), least, most)
    }

    /// A whole number that fits, or the default.
    pub(super) fn integer_or(&self, name: &'static str, default: u32) -> Spanned<u32> {
        let number = self.integer(name).map(|number| number.map(|value| u32::try_from(value).unwrap_or(u32::MAX)));
        number.unwrap_or_else(|| self.default(default))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, name: &'static str) -> Option<Spanned<bool>> {
        self.decoder.boolean(self.node(name)?, &self.what(name))
    }

    /// `true` or `false`, or the default.
    pub(super) fn boolean_or(&self, name: &'static str, default: bool) -> Spanned<bool> {
        self.boolean(name).unwrap_or_else(|| self.default(default))
    }

    /// A length of time.
    pub(super) fn duration(&self, name: &'static str) -> Option<Spanned<Duration>> {
        self.decoder.duration(self.node(name)?, &self.what(name))
    }

    /// Whole GiB.
    pub(super) fn gib(&self, name: &'static str, least: u32, most: u32) -> Option<Spanned<u32>> {
        self.decoder.gib(self.node(name)?, &self.what(name), least, most)
    }

    /// A range of IPv4 addresses.
    pub(super) fn range4(&self, name: &'static str) -> Option<Spanned<Ipv4Net>> {
        let node = self.node(name)?;
        let range = self.decoder.range(node, &self.what(name))?;
        match range.value {
            IpNet::V4(value) => Some(Spanned::new(value, range.span)),
            IpNet::V6(_) => {
                let error = Diagnostic::at(&range.span, format!("{} must be IPv4", self.what(name)));
                self.decoder.report(error.hint("e.g. 10.0.0.0/16"));
                None
            }
        }
    }

    /// An IPv4 address.
    pub(super) fn address4(&self, name: &'static str) -> Option<Spanned<Ipv4Addr>> {
        let text = self.fixed(name)?;
        let Ok(address) = text.parse() else {
            let error = Diagnostic::at(&text.span, format!("{} is not an IPv4 address", self.what(name)));
            self.decoder.report(error.hint("e.g. 10.0.0.10"));
            return None;
        };
        Some(Spanned::new(address, text.span))
    }

    /// A path, from the folder of the file that names it.
    pub(super) fn path(&self, name: &'static str) -> Option<Spanned<FilePath>> {
        self.decoder.path(self.node(name)?, &self.what(name))
    }

    /// The name of something else in the spec, which must exist.
    pub(super) fn name(&self, name: &'static str) -> Option<Spanned<String>> {
        let node = self.node(name)?;
        let kind = match &self.object.field(name)?.shape {
            Shape::Name(kind) | Shape::Either([Shape::Name(kind), ..]) => *kind,
            _ => return None,
        };
        self.decoder.name(node, &self.what(name), kind)
    }

    /// The items of a list; none where it is not written.
    pub(super) fn list(&self, name: &'static str) -> &'d [Node] {
        self.node(name).map_or(&[], |node| self.decoder.items(node, &self.what(name)))
    }

    /// The items of a list, or the only one.
    pub(super) fn many(&self, name: &'static str) -> &'d [Node] {
        match self.node(name) {
            Some(node) if matches!(node.data, Data::Scalar { .. } | Data::Map(_)) && !node.is_null() => {
                std::slice::from_ref(node)
            }
            Some(node) => self.decoder.items(node, &self.what(name)),
            None => &[],
        }
    }

    /// The entries of a table; none where it is not written.
    pub(super) fn table(&self, name: &'static str) -> &'d [(Key, Node)] {
        self.node(name).map_or(&[], |node| self.decoder.entries(node, &self.what(name)))
    }

    /// A default, at the place of what it belongs to.
    pub(super) fn default<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(value, self.span.clone())
    }

    /// Reports two fields that exclude each other, at the second.
    pub(super) fn exclusive(&self, one: &'static str, other: &'static str, hint: &str) {
        if let (Some((one, _)), Some((other, _))) = (self.entry(one), self.entry(other)) {
            let (first, second) = if (one.span.line, one.span.column) < (other.span.line, other.span.column) {
                (one, other)
            } else {
                (other, one)
            };
            let message = format!("{} has both `{}` and `{}`", self.label, first.text, second.text);
            self.decoder.report(Diagnostic::at(&second.span, message).related(&first.span, "and here").hint(hint));
        }
    }
}

/// What a missing field is for.
fn explain(field: &Field) -> String {
    let example = match &field.shape {
        Shape::Form(_, example) => format!(", e.g. `{}: {example}`", field.name),
        Shape::Word(words) => format!(": {}", choices(words.iter().map(|(word, _)| *word))),
        _ => String::new(),
    };
    format!("{}{example}", field.doc.trim_end_matches('.'))
}

fn words(shape: &Shape) -> Option<&'static [(&'static str, &'static str)]> {
    match shape {
        Shape::Word(words) => Some(words),
        Shape::Either(shapes) => shapes.iter().find_map(words),
        _ => None,
    }
}

fn bounds(shape: &Shape) -> Option<(u64, u64)> {
    match shape {
        Shape::Integer(least, most) => Some((*least, *most)),
        Shape::Either(shapes) => shapes.iter().find_map(bounds),
        _ => None,
    }
}
