//! Buckets. What a spec cannot turn off: public access blocked, owner enforced, TLS only.

use super::{Spanned, Text};

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its name in S3, 3 to 63 characters once the account is known.
    pub name: Spanned<Text>,
    /// How objects are encrypted; [`Encryption::S3`] by default.
    pub encryption: Spanned<Encryption>,
    /// Whether old versions are kept. Off by default: what a data lake holds can be made again,
    /// and Spark's rewrites would pile up versions that are paid for.
    pub versioning: Spanned<bool>,
    /// Folders made empty so that they show in the console, each ending in `/`.
    pub folders: Vec<Spanned<String>>,
    /// When objects go, in the order of the file.
    pub expire: Vec<Spanned<Expiry>>,
    /// Days after which parts of an upload that never ended are removed; 7 by default.
    pub abort_uploads_days: Spanned<u32>,
    /// Whether `destroy` keeps it (kept as a tag too).
    pub protect: Spanned<bool>,
}

/// How objects are encrypted at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// SSE-S3: AES-256 with S3's own keys.
    S3,
    /// SSE-KMS with the stack's own key, with a bucket key to save calls.
    Kms,
}

/// One lifecycle rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Objects whose key begins so; empty for all.
    pub prefix: String,
    /// Days after creation.
    pub days: u32,
    /// Days after an object stopped being current; equals [`Expiry::days`] where versioning is on
    /// and nothing else is said, `None` where versioning is off.
    pub noncurrent_days: Option<u32>,
}
