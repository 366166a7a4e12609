//! The shape of a spec as tables: which fields each part has, of what kind, and what they mean.
//!
//! The decoder reads fields only through these tables and the JSON Schema is made from them, so
//! that the two cannot drift apart.

/// A map with known fields.
#[derive(Debug)]
pub(super) struct Object {
    /// Name in the schema's definitions, and "a `subnet`" in messages.
    pub(super) name: &'static str,
    /// One sentence.
    pub(super) doc: &'static str,
    /// Its fields, in the order in which they are best written.
    pub(super) fields: &'static [Field],
}

/// One field.
#[derive(Debug)]
pub(super) struct Field {
    /// Its key.
    pub(super) name: &'static str,
    /// One sentence, with the default where there is one.
    pub(super) doc: &'static str,
    /// Whether it must be there.
    pub(super) required: bool,
    /// What it holds.
    pub(super) shape: Shape,
    /// Other words that people write for it.
    pub(super) also: &'static [&'static str],
}

/// What a value looks like.
#[derive(Debug)]
pub(super) enum Shape {
    /// Any text.
    Text,
    /// Text that is used as written, so that numbers and `true` need no quotes.
    Loose,
    /// Text of some form: a regular expression for editors, and an example.
    Form(&'static str, &'static str),
    /// One of these words, each with its meaning.
    Word(&'static [(&'static str, &'static str)]),
    /// One of these words is expected by editors, other text is allowed.
    Suggest(&'static [&'static str]),
    /// `true` or `false`.
    Boolean,
    /// A whole number between these.
    Integer(u64, u64),
    /// `90d`, `1h`, `30m`, `45s`.
    Duration,
    /// `8GiB`, `1TiB`.
    Size,
    /// The name of something else in the spec.
    Name(Kind),
    /// A list.
    List(&'static Shape),
    /// One, or a list.
    Many(&'static Shape),
    /// A map from names of the user's choice.
    Table(&'static Shape),
    /// A map with known fields.
    Object(&'static Object),
    /// Any of these.
    Either(&'static [Shape]),
    /// A policy document.
    Document,
}

/// What a name in the spec may refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Subnet,
    Key,
    Policy,
    Role,
    Bucket,
    Host,
}

impl Kind {
    /// "subnet".
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Subnet => "subnet",
            Self::Key => "key",
            Self::Policy => "policy",
            Self::Role => "role",
            Self::Bucket => "bucket",
            Self::Host => "host",
        }
    }

    /// Where such things are declared.
    pub(super) fn section(self) -> &'static [&'static str] {
        match self {
            Self::Subnet => &["network", "subnets"],
            Self::Key => &["keys"],
            Self::Policy => &["access", "policies"],
            Self::Role => &["access", "roles"],
            Self::Bucket => &["buckets"],
            Self::Host => &["hosts"],
        }
    }
}

/// A field that must be there.
pub(super) const fn required(name: &'static str, doc: &'static str, shape: Shape) -> Field {
    Field { name, doc, required: true, shape, also: &[] }
}

/// A field that may be left out.
pub(super) const fn optional(name: &'static str, doc: &'static str, shape: Shape) -> Field {
    Field { name, doc, required: false, shape, also: &[] }
}

impl Field {
    /// Names other words that people write for it.
    pub(super) const fn also(self, also: &'static [&'static str]) -> Self {
        Self { also, ..self }
    }
}

impl Object {
    /// The field of this name.
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}
