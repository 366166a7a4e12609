//! `buckets`.

use super::{
    super::{
        error::Diagnostic,
        model::{ACCOUNT_PLACEHOLDER, Bucket, Encryption, Expiry, Spanned},
        shape::{Object, Shape, optional, required},
        tree::{Data, Key, Node},
    },
    Decoder, Fields,
};

pub(super) const ENCRYPTION: &[(&str, &str)] = &[
    ("s3", "SSE-S3: AES-256 with keys that S3 manages"),
    ("kms", "SSE-KMS with the stack's own key, which is rotated every year"),
];

/// A bucket. What it cannot turn off: public access blocked, owner enforced, TLS only, encrypted.
pub(super) static BUCKET: Object = Object {
    name: "bucket",
    doc: "A bucket; always encrypted, closed to the public, TLS only.",
    fields: &[
        required(
            "name",
            "Its name in S3, which is one for all accounts of the world: `${stack}-lake-${account}` is safe.",
            Shape::Text,
        ),
        optional("encryption", "How objects are encrypted; `s3` unless said.", Shape::Word(ENCRYPTION)),
        optional(
            "versioning",
            "Whether old versions of objects are kept, and paid for; false unless said.",
            Shape::Boolean,
        ),
        optional(
            "folders",
            "Folders to make, so that they show in the console.",
            Shape::List(&Shape::Form("^[^/].*/$", "raw/")),
        ),
        optional(
            "expire",
            "When objects are deleted: one age for all (`90d`), or one for each beginning of a name.",
            Shape::Either(&[Shape::Duration, Shape::Table(&Shape::Either(&[Shape::Duration, Shape::Object(&EXPIRY)]))]),
        )
        .also(&["lifecycle", "expiration"]),
        optional(
            "abort_uploads",
            "After what time parts of an upload that never ended are removed; 7d unless said.",
            Shape::Duration,
        ),
        optional("protect", "Whether `destroy` keeps it; false unless said.", Shape::Boolean),
    ],
};

static EXPIRY: Object = Object {
    name: "expiry",
    doc: "When objects are deleted.",
    fields: &[
        required("after", "Days since they were written, e.g. `90d`.", Shape::Duration),
        optional("noncurrent", "Days since they were overwritten or deleted, with versioning.", Shape::Duration),
    ],
};

/// Reads a bucket.
pub(super) fn read(decoder: &Decoder<'_>, key: &Key, node: &Node) -> Option<Bucket> {
    let fields = Fields::open(decoder, &BUCKET, format!("bucket `{}`", key.text), &key.span, node)?;
    let name = fields.text("name");
    if let Some((problem, hint)) = name.as_ref().and_then(|name| refused(&name.sample())) {
        let name = name.as_ref()?;
        let error = Diagnostic::at(&name.span, format!("S3 refuses the bucket name `{}`: {problem}", name.shown()));
        decoder.report(error.hint(if name.is_secret() { "see S3's rules for names".into() } else { hint }));
    }
    let encryption = encryption(&fields, "encryption").unwrap_or_else(|| fields.default(Encryption::S3));
    let versioning = fields.boolean_or("versioning", false);
    let folders = folders(&fields, "folders");
    let expire = expire(&fields, *versioning);
    let abort = fields.node("abort_uploads").and_then(|node| decoder.days(node, &fields.what("abort_uploads")));
    let protect = fields.boolean_or("protect", false);
    let abort_uploads_days = abort.unwrap_or_else(|| fields.default(7));
    Some(Bucket { name: name?, encryption, versioning, folders, expire, abort_uploads_days, protect })
}

/// `s3` or `kms`.
pub(super) fn encryption(fields: &Fields<'_, '_>, name: &'static str) -> Option<Spanned<Encryption>> {
    Some(fields.word(name)?.map(|word| if word == "kms" { Encryption::Kms } else { Encryption::S3 }))
}

fn folders(fields: &Fields<'_, '_>, name: &'static str) -> Vec<Spanned<String>> {
    let mut folders: Vec<Spanned<String>> = Vec::new();
    for node in fields.list(name) {
        let Some(folder) = fields.decoder.folder(node, "a folder") else { continue };
        if let Some(first) = folders.iter().find(|first| first.value == folder.value) {
            let error = Diagnostic::at(&folder.span, format!("folder `{}` stands here a second time", folder.value));
            fields.decoder.report(error.related(&first.span, "first here").hint("remove one"));
        } else {
            folders.push(folder);
        }
    }
    folders
}

impl Decoder<'_> {
    /// A folder of a bucket, which ends in `/`.
    pub(super) fn folder(&self, node: &Node, what: &str) -> Option<Spanned<String>> {
        let (folder, shown) = self.fixed_shown(node, what)?;
        let wrong = |problem: &str, hint: String| {
            self.report(Diagnostic::at(&folder.span, format!("{what} cannot be `{shown}`: {problem}")).hint(hint));
        };
        let clean = shown.trim_matches('/');
        if !folder.ends_with('/') {
            wrong("a folder ends in `/`", format!("write `{clean}/`"));
        } else if folder.starts_with('/') || folder.contains("//") {
            wrong("S3 would make a folder without a name", format!("write `{clean}/`"));
        } else if folder.split('/').any(|part| part == "." || part == "..") {
            wrong("`.` and `..` mean nothing in S3", "write the whole path".into());
        } else if folder.len() > 1024 {
            wrong("it is longer than S3's 1,024 bytes", "shorten it".into());
        } else {
            return Some(folder);
        }
        None
    }
}

fn expire(fields: &Fields<'_, '_>, versioning: bool) -> Vec<Spanned<Expiry>> {
    let decoder = fields.decoder;
    let rule = |prefix: &str, days: Spanned<u32>, noncurrent: Option<u32>| {
        let noncurrent_days = noncurrent.or_else(|| versioning.then_some(days.value));
        days.map(|days| Expiry { prefix: prefix.to_owned(), days, noncurrent_days })
    };
    let Some(node) = fields.node("expire") else { return Vec::new() };
    let Data::Map(entries) = &node.data else {
        return decoder.days(node, &fields.what("expire")).map(|days| rule("", days, None)).into_iter().collect();
    };
    let mut rules = Vec::new();
    for (key, node) in entries {
        let label = format!("`expire` of `{}`", key.text);
        if key.text.starts_with('/') {
            let error = Diagnostic::at(&key.span, format!("no object's name begins with `{}`", key.text));
            decoder.report(error.hint(format!("write `{}`", key.text.trim_start_matches('/'))));
        }
        if !matches!(node.data, Data::Map(_)) {
            rules.extend(decoder.days(node, &label).map(|days| rule(&key.text, days, None)));
            continue;
        }
        let Some(fields) = Fields::open(decoder, &EXPIRY, label, &key.span, node) else { continue };
        let days = |name| fields.node(name).and_then(|node| decoder.days(node, &fields.what(name)));
        let (after, noncurrent) = (days("after"), days("noncurrent"));
        if let Some(noncurrent) = noncurrent.as_ref().filter(|_| !versioning) {
            let error = Diagnostic::at(&noncurrent.span, "`noncurrent` needs `versioning: true`");
            decoder.report(error.hint("without versioning there are no old versions"));
        }
        rules.extend(after.map(|after| rule(&key.text, after, noncurrent.map(|days| days.value))));
    }
    rules
}

/// Why S3 would refuse a bucket's name, and what to do
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>, general purpose buckets).
pub(super) fn refused(name: &str) -> Option<(String, String)> {
    let refuse = |problem: &str, hint: &str| Some((problem.to_owned(), hint.to_owned()));
    let length = name.chars().count();
    if !(3..=63).contains(&length) {
        let hint = "3 to 63 are allowed; `${account}` counts 12";
        return Some((format!("it has {length} characters"), hint.into()));
    }
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        return refuse("it has upper-case letters", &rewritten(name).unwrap_or_else(|| "use lower case".into()));
    }
    if name.contains('_') {
        return refuse("it has an underscore", &rewritten(name).unwrap_or_else(|| "use `-` instead".into()));
    }
    if let Some(wrong) = name.chars().find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(*c))) {
        return Some((format!("it has `{wrong}`"), "use lower-case letters, digits, `-` and `.`".into()));
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    if !edge(name.chars().next()) || !edge(name.chars().last()) {
        return refuse("it must begin and end with a letter or digit", "remove the `-` or `.` at its edge");
    }
    if name.contains("..") || name.contains(".-") || name.contains("-.") {
        return refuse("it has `.` next to another `.` or a `-`", "better use no `.` at all");
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return refuse("it looks like an IP address", "use letters");
    }
    if let Some(prefix) = ["xn--", "sthree-", "amzn-s3-demo-"].iter().find(|prefix| name.starts_with(**prefix)) {
        return Some((format!("names that begin with `{prefix}` are AWS's"), "begin it differently".into()));
    }
    let suffixes = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    if let Some(suffix) = suffixes.iter().find(|suffix| name.ends_with(**suffix)) {
        return Some((format!("names that end in `{suffix}` are AWS's"), "end it differently".into()));
    }
    None
}

/// A name that S3 would take instead, unless it depends on the account.
fn rewritten(name: &str) -> Option<String> {
    let better = name.to_lowercase().replace('_', "-");
    let good = !name.contains(ACCOUNT_PLACEHOLDER) && refused(&better).is_none();
    good.then(|| format!("write `{better}`"))
}
