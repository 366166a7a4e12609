//! The whole file: identity, variables, tags, and its sections.

use indexmap::IndexMap;

use super::{
    super::{
        check,
        error::{Diagnostic, nearest},
        interpolate::{Place, Resolved},
        model::{Span, Spanned, Spec, Text},
        shape::{Object, Shape, optional, required},
        tables::{REGIONS, REGIONS_DATE},
        tree::{Data, Key, Node},
    },
    Decoder, Fields, access, bucket, cluster, host, key, network, pipeline,
    scalar::surprise,
};

/// The whole file.
pub(in crate::spec) static SPEC: Object = Object {
    name: "spec",
    doc: "One stack: a whole data platform on AWS.",
    fields: &[
        required(
            "stack",
            "The stack's name; it begins other names and stands in the tag `infra:stack`.",
            Shape::Form("^([a-z][a-z0-9-]{0,30}[a-z0-9]|.*\\$\\{.*)$", "nyc311"),
        )
        .also(&["name"]),
        required("region", "The AWS region.", Shape::Suggest(REGIONS)),
        optional("tags", "Tags for everything that takes tags.", Shape::Table(&Shape::Text)),
        optional(
            "vars",
            "Variables for `${var:name}`, with their defaults; `--set name=value` changes them.",
            Shape::Table(&Shape::Loose),
        )
        .also(&["variables"]),
        optional("network", "The VPC and its subnets.", Shape::Object(&network::NETWORK)).also(&["vpc"]),
        optional("keys", "SSH keys by name.", Shape::Table(&Shape::Object(&key::KEY))).also(&["key_pairs"]),
        optional("access", "IAM roles, policies and users.", Shape::Object(&access::ACCESS)).also(&["iam"]),
        optional("buckets", "S3 buckets by name.", Shape::Table(&Shape::Object(&bucket::BUCKET)))
            .also(&["storage", "s3"]),
        optional("hosts", "Machines by name.", Shape::Table(&Shape::Object(&host::HOST)))
            .also(&["instances", "servers"]),
        optional("cluster", "The EMR cluster.", Shape::Object(&cluster::CLUSTER)).also(&["emr"]),
        optional("pipeline", "Pipelines by name.", Shape::Table(&Shape::Object(&pipeline::PIPELINE)))
            .also(&["pipelines"]),
    ],
};

/// Reads the whole tree. What could not be read has a stand-in; the caller must not use a spec with errors.
pub(in crate::spec) fn read(
    decoder: &Decoder<'_>,
    start: &Span,
    overlay: Option<&str>,
    set: &[(String, String)],
) -> Spec {
    let unknown = |text: &str| Spanned::new(text.to_owned(), start.clone());
    let mut spec = Spec::bare(start.file.clone(), overlay.map(Into::into), unknown("stack"), unknown("us-east-1"));
    let Some(fields) = Fields::open(decoder, &SPEC, "the spec", start, decoder.root) else { return spec };
    variables(&fields, set);
    if let Some(stack) = identity(&fields, "stack", check_stack) {
        spec.stack = stack;
    }
    if let Some(region) = identity(&fields, "region", check_region) {
        spec.region = region;
    }
    spec.tags = tags(&fields);
    spec.network = fields.entry("network").and_then(|(key, node)| {
        network::read(decoder, &key.span, node).map(|network| Spanned::new(network, key.span.clone()))
    });
    spec.keys = table(&fields, "keys", "key", |key, node| key::read(decoder, key, node));
    spec.access = access::read(&fields);
    spec.buckets = table(&fields, "buckets", "bucket", |key, node| bucket::read(decoder, key, node));
    spec.hosts = table(&fields, "hosts", "host", |key, node| host::read(decoder, key, node));
    spec.cluster = fields.entry("cluster").and_then(|(key, node)| {
        cluster::read(decoder, &key.span, node).map(|cluster| Spanned::new(cluster, key.span.clone()))
    });
    spec.pipelines = table(&fields, "pipeline", "pipeline", |key, node| pipeline::read(decoder, key, node));
    check::all(decoder, &spec);
    spec
}

/// Reads a table of named things whose names are ours.
pub(super) fn table<T>(
    fields: &Fields<'_, '_>,
    name: &'static str,
    kind: &str,
    read: impl Fn(&Key, &Node) -> Option<T>,
) -> IndexMap<String, Spanned<T>> {
    let mut table = IndexMap::new();
    for (key, node) in fields.table(name) {
        fields.decoder.check_key(key, kind);
        if let Some(value) = read(key, node) {
            table.insert(key.text.clone(), Spanned::new(value, key.span.clone()));
        }
    }
    table
}

impl Decoder<'_> {
    /// Checks a name that the user chose for something of ours.
    fn check_key(&self, key: &Key, kind: &str) {
        let Key { text, span } = key;
        if text.chars().count() > 64 {
            let error = Diagnostic::at(span, format!("the name of a {kind} has {} characters", text.chars().count()));
            self.report(error.hint("it may have 64 at most"));
        } else if !text.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        {
            let error = Diagnostic::at(span, format!("`{text}` cannot name a {kind}"));
            self.report(error.hint("a name begins with a letter or digit and has letters, digits, `-`, `_` and `.`"));
        }
    }
}

/// Variables: the file's defaults under the command line's values.
fn variables(fields: &Fields<'_, '_>, set: &[(String, String)]) {
    let decoder = fields.decoder;
    let mut vars = IndexMap::new();
    for (key, node) in fields.table("vars") {
        let given = set.iter().rev().find(|(name, _)| *name == key.text);
        let value = match given {
            Some((_, value)) => Some(Resolved::literal(value)),
            None if node.is_null() => {
                let error = Diagnostic::at(&key.span, format!("variable `{}` has no value", key.text));
                decoder.report(error.hint(format!("give it one: --set {}=VALUE", key.text)));
                None
            }
            None => decoder.loose(node, &format!("variable `{}`", key.text), Place::Variable),
        };
        vars.insert(key.text.clone(), value);
    }
    let place = fields.entry("vars").map_or(&fields.span, |(key, _)| &key.span);
    for (name, _) in set.iter().filter(|(name, _)| !vars.contains_key(name)) {
        let hint = match nearest(name, vars.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `--set {near}=…`?"),
            None => format!("declare it: `vars: {{ {name}: VALUE }}`"),
        };
        decoder.report(Diagnostic::at(place, format!("`--set {name}=…` names no variable of the spec")).hint(hint));
    }
    *decoder.scope.vars.borrow_mut() = vars;
}

impl Decoder<'_> {
    /// Text that is used as written, so that numbers and `true` need no quotes.
    pub(super) fn loose(&self, node: &Node, what: &str, place: Place) -> Option<Resolved> {
        let scalar = match &node.data {
            Data::Scalar { text, .. } if matches!(&**text, "true" | "false") || surprise(text) == Some("a number") => {
                self.scalar(node, what, place)?
            }
            _ => self.text_scalar(node, what, place)?,
        };
        Some(scalar.resolved)
    }
}

/// Reads `stack` or `region` and makes it known to `${…}`.
fn identity(
    fields: &Fields<'_, '_>,
    name: &'static str,
    check: impl Fn(&str) -> Option<(String, Option<String>)>,
) -> Option<Spanned<String>> {
    let decoder = fields.decoder;
    let scalar = decoder.text_scalar(fields.node(name)?, &format!("`{name}`"), Place::Identity)?;
    let value = scalar.fixed()?.to_owned();
    let known = if name == "stack" { &decoder.scope.stack } else { &decoder.scope.region };
    *known.borrow_mut() = Some(scalar.resolved.clone());
    if let Some((message, hint)) = check(&value) {
        let message = message.replace("{}", &scalar.resolved.shown);
        let hint = if scalar.resolved.secret { None } else { hint };
        decoder.report(Diagnostic::at(&scalar.span, message).maybe_hint(hint));
        *known.borrow_mut() = None;
        return None;
    }
    Some(Spanned::new(value, scalar.span))
}

fn check_stack(stack: &str) -> Option<(String, Option<String>)> {
    let length = stack.len();
    let good = stack.starts_with(|c: char| c.is_ascii_lowercase())
        && !stack.ends_with('-')
        && stack.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if good && (2..=32).contains(&length) {
        return None;
    }
    if good {
        return Some((format!("the stack's name `{{}}` has {length} characters"), Some("it may have 2 to 32".into())));
    }
    let fixed: String = stack
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect::<String>()
        .trim_matches(|c: char| !c.is_ascii_alphanumeric())
        .to_owned();
    let hint = format!("it begins with a letter and has lower-case letters, digits and hyphens: `{fixed}`");
    Some(("`{}` cannot be the stack's name".into(), Some(hint)))
}

fn check_region(region: &str) -> Option<(String, Option<String>)> {
    if REGIONS.contains(&region) {
        return None;
    }
    let without_zone = region.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let hint = if REGIONS.contains(&without_zone) {
        format!("that is a zone; the region is `{without_zone}`")
    } else {
        match nearest(region, REGIONS.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("e.g. us-west-2; {} regions are known, as of {REGIONS_DATE}", REGIONS.len()),
        }
    };
    Some(("there is no AWS region `{}`".into(), Some(hint)))
}

/// AWS allows 50 tags; ours and AWS's own need some of them.
const MAX_TAGS: usize = 40;

fn tags(fields: &Fields<'_, '_>) -> IndexMap<String, Spanned<Text>> {
    let decoder = fields.decoder;
    let mut tags: IndexMap<String, Spanned<Text>> = IndexMap::new();
    let entries = fields.table("tags");
    if let (true, Some((key, _))) = (entries.len() > MAX_TAGS, fields.entry("tags")) {
        let error = Diagnostic::at(&key.span, format!("{} tags are too many", entries.len()));
        decoder.report(error.hint(format!("AWS takes 50, of which `infra` and AWS need some: {MAX_TAGS} at most")));
    }
    let allowed = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c));
    for (key, node) in entries {
        let Key { text, span } = key;
        let wrong = |message: String, hint: &str| decoder.report(Diagnostic::at(span, message).hint(hint));
        let lower = text.to_lowercase();
        if text.is_empty() || text.chars().count() > 128 {
            wrong(format!("a tag's key has 1 to 128 characters, not {}", text.chars().count()), "shorten it");
        } else if lower.starts_with("aws:") || lower.starts_with("infra:") {
            let owner = if lower.starts_with("aws:") { "AWS" } else { "`infra`" };
            wrong(
                format!("tags that begin with `{}:` are for {owner} alone", &lower[..lower.find(':').unwrap_or(0)]),
                "rename it",
            );
        } else if !allowed(text) {
            wrong(
                format!("the tag's key `{text}` has characters that AWS refuses"),
                "letters, digits, spaces and _ . : / = + - @ are allowed",
            );
        } else if let Some((other, first)) = tags.iter().find(|(other, _)| other.to_lowercase() == lower) {
            let error = Diagnostic::at(span, format!("the tags `{other}` and `{text}` differ only in case"));
            decoder.report(error.related(&first.span, "first here").hint("IAM takes them for one; remove one"));
        }
        let Some(value) = decoder.text(node, &format!("tag `{text}`")) else { continue };
        let sample = value.sample();
        if sample.chars().count() > 256 {
            let message = format!("the value of tag `{text}` has {} characters", sample.chars().count());
            decoder.report(Diagnostic::at(&value.span, message).hint("AWS takes 256 at most"));
        } else if !allowed(&sample) {
            let message = format!("the value of tag `{text}` has characters that AWS refuses");
            decoder.report(
                Diagnostic::at(&value.span, message).hint("letters, digits, spaces and _ . : / = + - @ are allowed"),
            );
        }
        tags.insert(text.clone(), value);
    }
    tags
}
