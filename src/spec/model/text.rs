//! Strings that may hold `${account}`, which is known only once AWS has been asked.

use std::fmt;

use serde_json::Value;

/// Stands for the account's number while a spec is checked offline.
pub const ACCOUNT_PLACEHOLDER: &str = "000000000000";

/// A string in which only `${account}` may still be open; everything else was resolved on loading.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// The literal pieces; the account's number goes between each two.
    pieces: Vec<String>,
    /// Whether a piece came from `${env:NAME}` and must not be shown.
    secret: bool,
}

impl Text {
    /// A string without anything open.
    pub fn fixed(value: impl Into<String>) -> Self {
        Self { pieces: vec![value.into()], secret: false }
    }

    /// The literal pieces around each `${account}`: one piece more than there are accounts.
    pub fn from_pieces(pieces: Vec<String>, secret: bool) -> Self {
        debug_assert!(!pieces.is_empty());
        Self { pieces, secret }
    }

    /// The string in this account (12 digits).
    pub fn resolve(&self, account: &str) -> String {
        self.pieces.join(account)
    }

    /// The string with a 12-digit placeholder as its account: right in length and shape.
    pub fn sample(&self) -> String {
        self.resolve(ACCOUNT_PLACEHOLDER)
    }

    /// The string as in the file, `${account}` and all; a secret one as `(secret)`.
    pub fn shown(&self) -> String {
        if self.secret { "(secret)".into() } else { self.pieces.join("${account}") }
    }

    /// The string, if it does not depend on the account.
    pub fn as_fixed(&self) -> Option<&str> {
        match &*self.pieces {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether a part came from the environment (`${env:NAME}`): never print or log it.
    pub fn is_secret(&self) -> bool {
        self.secret
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

/// A JSON document (an IAM policy, a trust) whose strings may hold `${account}`.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// `null`, a boolean or a number.
    Plain(Value),
    /// A string.
    Text(Text),
    /// An array.
    List(Vec<Document>),
    /// An object, in the order of the file.
    Map(Vec<(Text, Document)>),
}

impl Document {
    /// The document in this account.
    pub fn resolve(&self, account: &str) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::Text(text) => Value::String(text.resolve(account)),
            Self::List(items) => items.iter().map(|item| item.resolve(account)).collect(),
            Self::Map(entries) => Value::Object(
                entries.iter().map(|(key, value)| (key.resolve(account), value.resolve(account))).collect(),
            ),
        }
    }
}
