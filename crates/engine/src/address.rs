//! Names: an [`Address`] names a resource, a [`Ref`] links one to another, an [`Origin`] says where it was asked for.

use std::{fmt, marker::PhantomData};

use serde::{Serialize, Serializer};

/// A resource's name within its stack: `subnet/private-a`. The kind is a registered one; the name may hold slashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The kind's name, as registered: `subnet`.
    pub kind: &'static str,
    /// The name within the kind: `private-a`.
    pub name: String,
}

impl Address {
    /// The address of `name` within `kind`.
    pub fn new(kind: &'static str, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A typed link to another resource. Only [`Graph::add`](crate::Graph::add) makes one, so that it can neither
/// dangle nor form a cycle: its target was added first.
pub struct Ref<R> {
    address: Address,
    resource: PhantomData<fn() -> R>,
}

impl<R> Ref<R> {
    pub(crate) fn to(address: Address) -> Self {
        Self { address, resource: PhantomData }
    }

    /// The address that this link points to.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl<R> Clone for Ref<R> {
    fn clone(&self) -> Self {
        Self::to(self.address.clone())
    }
}

impl<R> PartialEq for Ref<R> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl<R> Eq for Ref<R> {}

impl<R> PartialOrd for Ref<R> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> Ord for Ref<R> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.address.cmp(&other.address)
    }
}

impl<R> fmt::Debug for Ref<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-> {}", self.address)
    }
}

impl<R> Serialize for Ref<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.address.serialize(serializer)
    }
}

/// Where in the user's files a resource was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Origin {
    /// The file, as the user named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
