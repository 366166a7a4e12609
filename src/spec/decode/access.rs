//! `access`.

use super::{
    super::{
        error::{Diagnostic, choices, nearest},
        interpolate::Place,
        model::{
            Access, BucketAccess, ClusterAccess, Document, Grants, ManagedPolicy, Policy, Role, Spanned, Table, Text,
            Trust, User,
        },
        shape::{Kind, Object, Shape, optional, required},
        tables::{MANAGED_POLICIES, TRUSTED_SERVICES},
        tree::{Data, Key, Node},
    },
    Decoder, Fields,
};

mod document;

/// The `access` section.
pub(super) static ACCESS: Object = Object {
    name: "access",
    doc: "Who may do what on AWS.",
    fields: &[
        optional("policies", "The stack's own managed policies by name.", Shape::Table(&Shape::Object(&POLICY))),
        optional("roles", "Roles by name: for services and machines.", Shape::Table(&Shape::Object(&ROLE))),
        optional(
            "users",
            "IAM users by name (logins on hosts stand in `users.txt`).",
            Shape::Table(&Shape::Object(&USER)),
        ),
    ],
};

const NAME: &str = "Its name in IAM; the name in this file unless said.";
const DESCRIPTION: &str = "A sentence for the console.";
const MANAGED: &str =
    "AWS's managed policies, by name with its path (`service-role/AmazonElasticMapReduceRole`) or ARN.";
const POLICIES: &str = "Policies of the stack: names under `access.policies`.";
const INLINE: &str = "Policy documents of its own, by name.";
const BUCKETS: &str = "What it may do with the stack's buckets, by the bucket's name in this file.";
const CLUSTERS: &str = "What it may do with the stack's clusters.";

const BUCKET_ACCESS: &[(&str, &str)] =
    &[("read", "list, and get objects"), ("write", "put and delete objects"), ("read-write", "both")];
const CLUSTER_ACCESS: &[(&str, &str)] =
    &[("read", "describe clusters and steps"), ("run", "start, resize and end clusters, and run steps")];

static POLICY: Object = Object {
    name: "policy",
    doc: "A managed policy that the stack owns.",
    fields: &[
        optional("name", NAME, Shape::Text),
        optional("description", DESCRIPTION, Shape::Text),
        required("document", "The policy: `Statement` and, unless it is 2012-10-17, `Version`.", Shape::Document),
    ],
};

static ROLE: Object = Object {
    name: "role",
    doc: "An IAM role.",
    fields: &[
        required(
            "trust",
            "Who may assume it: services by short name (`ec2`), or a whole trust policy.",
            Shape::Either(&[Shape::Many(&Shape::Suggest(TRUSTED_SERVICES)), Shape::Document]),
        )
        .also(&["assume_role_policy"]),
        optional(
            "profile",
            "Whether it has an instance profile of its name, for hosts and cluster nodes; false unless said.",
            Shape::Boolean,
        )
        .also(&["instance_profile"]),
        optional("managed", MANAGED, Shape::Many(&Shape::Suggest(MANAGED_POLICIES))).also(&["managed_policies"]),
        optional("policies", POLICIES, Shape::Many(&Shape::Name(Kind::Policy))),
        optional("inline", INLINE, Shape::Table(&Shape::Document)).also(&["policy", "inline_policies"]),
        optional("buckets", BUCKETS, Shape::Table(&Shape::Word(BUCKET_ACCESS))),
        optional("clusters", CLUSTERS, Shape::Word(CLUSTER_ACCESS)).also(&["cluster"]),
        optional("name", NAME, Shape::Text),
        optional("description", DESCRIPTION, Shape::Text),
    ],
};

static USER: Object = Object {
    name: "user",
    doc: "An IAM user.",
    fields: &[
        optional("managed", MANAGED, Shape::Many(&Shape::Suggest(MANAGED_POLICIES))).also(&["managed_policies"]),
        optional("policies", POLICIES, Shape::Many(&Shape::Name(Kind::Policy))),
        optional("inline", INLINE, Shape::Table(&Shape::Document)).also(&["policy", "inline_policies"]),
        optional("buckets", BUCKETS, Shape::Table(&Shape::Word(BUCKET_ACCESS))),
        optional("clusters", CLUSTERS, Shape::Word(CLUSTER_ACCESS)).also(&["cluster"]),
        optional(
            "access_key",
            "Whether it has an access key, written once to a file that only you can read; false unless said.",
            Shape::Boolean,
        ),
        optional("name", NAME, Shape::Text),
    ],
};

/// IAM's limits on names (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
const ROLE_NAME: usize = 64;
const USER_NAME: usize = 64;
const POLICY_NAME: usize = 128;
/// IAM's default quota of managed policies on a role or user.
const ATTACHED: usize = 10;

/// Reads `access`.
pub(super) fn read(spec: &Fields<'_, '_>) -> Access {
    let decoder = spec.decoder;
    let Some((key, node)) = spec.entry("access") else { return Access::default() };
    let Some(fields) = Fields::open(decoder, &ACCESS, "`access`", &key.span, node) else { return Access::default() };
    Access {
        policies: table(&fields, "policies", policy),
        roles: table(&fields, "roles", role),
        users: table(&fields, "users", user),
    }
}

/// Reads a table whose names may be IAM's.
fn table<T>(
    fields: &Fields<'_, '_>,
    name: &'static str,
    read: impl Fn(&Decoder<'_>, &Key, &Node) -> Option<T>,
) -> Table<T> {
    let entries = fields.table(name).iter();
    entries
        .filter_map(|(key, node)| {
            let value = read(fields.decoder, key, node)?;
            Some((key.text.clone(), Spanned::new(value, key.span.clone())))
        })
        .collect()
}

fn policy(decoder: &Decoder<'_>, key: &Key, node: &Node) -> Option<Policy> {
    let fields = Fields::open(decoder, &POLICY, format!("policy `{}`", key.text), &key.span, node)?;
    let name = iam_name(&fields, key, "policy", POLICY_NAME);
    let description = description(&fields);
    let document = fields.node("document").and_then(|node| decoder.policy(node, &fields.what("document"), 6_144));
    Some(Policy { name: name?, description, document: document? })
}

fn role(decoder: &Decoder<'_>, key: &Key, node: &Node) -> Option<Role> {
    let fields = Fields::open(decoder, &ROLE, format!("role `{}`", key.text), &key.span, node)?;
    let name = iam_name(&fields, key, "role", ROLE_NAME);
    let description = description(&fields);
    let trust = trust(&fields);
    let profile = fields.boolean_or("profile", false);
    let grants = grants(&fields, 10_240);
    Some(Role { name: name?, description, trust: trust?, profile, grants })
}

fn user(decoder: &Decoder<'_>, key: &Key, node: &Node) -> Option<User> {
    let fields = Fields::open(decoder, &USER, format!("user `{}`", key.text), &key.span, node)?;
    let name = iam_name(&fields, key, "user", USER_NAME);
    let grants = grants(&fields, 2_048);
    let access_key = fields.boolean_or("access_key", false);
    if *access_key {
        decoder.note(
            &access_key.span,
            format!(
                "user `{}` has a static access key; an instance profile needs none, and nothing can leak",
                key.text
            ),
        );
    }
    Some(User { name: name?, grants, access_key })
}

/// The name in IAM: `name`, or the key.
fn iam_name(fields: &Fields<'_, '_>, key: &Key, kind: &str, most: usize) -> Option<Spanned<Text>> {
    let name =
        if fields.has("name") { fields.text("name")? } else { Spanned::new(Text::fixed(&*key.text), key.span.clone()) };
    let sample = name.sample();
    let length = sample.chars().count();
    let error = if length == 0 || length > most {
        Diagnostic::at(&name.span, format!("the name of a {kind} has {length} characters"))
            .hint(format!("IAM takes 1 to {most}"))
    } else if !sample.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)) {
        Diagnostic::at(&name.span, format!("IAM refuses the {kind} name `{}`", name.shown()))
            .hint("letters, digits and _ + = , . @ - are allowed")
    } else {
        return Some(name);
    };
    fields.decoder.report(error);
    None
}

fn description(fields: &Fields<'_, '_>) -> Option<Spanned<Text>> {
    let text = fields.text("description")?;
    if text.sample().chars().count() > 1_000 {
        let error =
            Diagnostic::at(&text.span, format!("{} has more than 1,000 characters", fields.what("description")));
        fields.decoder.report(error.hint("shorten it"));
    }
    Some(text)
}

fn trust(fields: &Fields<'_, '_>) -> Option<Trust> {
    let decoder = fields.decoder;
    let node = fields.node("trust")?;
    if let Data::Map(_) = node.data {
        return decoder.trust_policy(node, &fields.what("trust")).map(Trust::Document);
    }
    let mut services = Vec::new();
    for node in fields.many("trust") {
        let Some((service, shown)) = decoder.fixed_shown(node, &fields.what("trust")) else { continue };
        let full = service.ends_with(".amazonaws.com");
        let service = service.map(|name| name.strip_suffix(".amazonaws.com").unwrap_or(&name).to_owned());
        if !full && !TRUSTED_SERVICES.contains(&service.as_str()) {
            let near = nearest(&service, TRUSTED_SERVICES.iter().copied());
            let hint = near.map_or_else(
                || format!("if AWS has it, write it in full: `{shown}.amazonaws.com`"),
                |near| format!("did you mean `{near}`?"),
            );
            decoder.report(Diagnostic::at(&service.span, format!("unknown AWS service `{shown}`")).hint(hint));
            continue;
        }
        services.push(service);
    }
    if services.is_empty() && node.is_null() | matches!(&node.data, Data::List(items) if items.is_empty()) {
        let error = Diagnostic::at(&node.span, format!("nobody may assume {}", fields.label));
        decoder.report(error.hint("e.g. `trust: ec2`"));
        return None;
    }
    Some(Trust::Services(services))
}

/// What a role or a user may do.
fn grants(fields: &Fields<'_, '_>, inline_bytes: usize) -> Grants {
    let decoder = fields.decoder;
    let mut grants = Grants::default();
    for node in fields.many("managed") {
        if let Some(policy) = managed(decoder, node, &fields.what("managed")) {
            unique(decoder, &grants.managed, &policy, |policy| policy.0.shown());
            grants.managed.push(policy);
        }
    }
    for node in fields.many("policies") {
        if let Some(name) = decoder.name(node, &fields.what("policies"), Kind::Policy) {
            unique(decoder, &grants.policies, &name, |name| name.value.clone());
            grants.policies.push(name);
        }
    }
    let attached = grants.managed.len() + grants.policies.len();
    if attached > ATTACHED {
        decoder.note(
            &fields.span,
            format!("{} has {attached} policies; AWS allows {ATTACHED} unless the quota was raised", fields.label),
        );
    }
    for (key, node) in fields.table("inline") {
        if key.text.is_empty() || key.text.len() > POLICY_NAME {
            let error = Diagnostic::at(&key.span, format!("the name of a policy has {} characters", key.text.len()));
            decoder.report(error.hint(format!("IAM takes 1 to {POLICY_NAME}")));
        }
        let label = format!("policy `{}` of {}", key.text, fields.label);
        if let Some(document) = decoder.policy(node, &label, inline_bytes) {
            grants.inline.insert(key.text.clone(), Spanned::new(document.value, key.span.clone()));
        }
    }
    for (key, node) in fields.table("buckets") {
        let name = Spanned::new(key.text.clone(), key.span.clone());
        decoder.check_name(&name, &key.text, Kind::Bucket);
        let Some(word) = decoder.word(node, &format!("access to bucket `{}`", key.text), BUCKET_ACCESS) else {
            continue;
        };
        let access = match word.value {
            "read" => BucketAccess::Read,
            "write" => BucketAccess::Write,
            _ => BucketAccess::ReadWrite,
        };
        grants.buckets.insert(key.text.clone(), Spanned::new(access, key.span.clone()));
    }
    grants.clusters = fields
        .word("clusters")
        .map(|word| word.map(|word| if word == "run" { ClusterAccess::Run } else { ClusterAccess::Read }));
    grants
}

/// Reports a value that stands in a list twice.
pub(super) fn unique<T>(
    decoder: &Decoder<'_>,
    list: &[Spanned<T>],
    next: &Spanned<T>,
    show: impl Fn(&Spanned<T>) -> String,
) {
    let shown = show(next);
    if let Some(first) = list.iter().find(|first| show(first) == shown) {
        let error = Diagnostic::at(&next.span, format!("`{shown}` stands here a second time"));
        decoder.report(error.related(&first.span, "first here").hint("remove one"));
    }
}

fn managed(decoder: &Decoder<'_>, node: &Node, what: &str) -> Option<Spanned<ManagedPolicy>> {
    let text = decoder.text(node, what)?;
    let sample = text.sample();
    let shown = text.shown();
    if sample.starts_with("arn:") {
        let parts: Vec<&str> = sample.splitn(6, ':').collect();
        let good = matches!(&*parts, [_, _, "iam", "", owner, rest]
            if rest.starts_with("policy/") && (*owner == "aws" || owner.len() == 12));
        if !good {
            let error = Diagnostic::at(&text.span, format!("`{shown}` is not the ARN of a policy"));
            decoder.report(error.hint("e.g. arn:aws:iam::${account}:policy/NAME"));
            return None;
        }
        return Some(text.map(ManagedPolicy));
    }
    if MANAGED_POLICIES.contains(&&*sample) {
        return Some(text.map(ManagedPolicy));
    }
    let path = MANAGED_POLICIES.iter().find(|known| known.rsplit('/').next() == sample.rsplit('/').next());
    let near = path.copied().or_else(|| {
        let near = nearest(&sample, MANAGED_POLICIES.iter().copied())?;
        (strsim::damerau_levenshtein(&sample, near) <= 2).then_some(near)
    });
    if let Some(near) = near {
        let error = Diagnostic::at(&text.span, format!("AWS has no managed policy `{shown}`"));
        decoder.report(error.hint(format!("did you mean `{near}`?")));
        return None;
    }
    if !sample.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c)) || sample.len() > 512 {
        let error = Diagnostic::at(&text.span, format!("`{shown}` cannot be a managed policy"));
        decoder.report(error.hint(format!("e.g. {}", choices(MANAGED_POLICIES.iter().copied().take(3)))));
        return None;
    }
    Some(text.map(ManagedPolicy))
}

impl Decoder<'_> {
    /// Any value as JSON with its strings open.
    fn json(&self, node: &Node, what: &str) -> Option<Document> {
        match &node.data {
            Data::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.json(item, what)).collect();
                items.into_iter().collect::<Option<_>>().map(Document::List)
            }
            Data::Map(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, node)| {
                        let value = self.json(node, &format!("`{}` in {what}", key.text));
                        let mut errors = Vec::new();
                        let style = super::super::tree::Style::Block;
                        let name = self.scope.resolve(&key.text, style, &key.span, Place::Document, &mut errors);
                        self.errors.borrow_mut().append(&mut errors);
                        Some((name?.into_text(), value?))
                    })
                    .collect();
                entries.into_iter().collect::<Option<_>>().map(Document::Map)
            }
            Data::Scalar { text, style } => {
                let plain = *style == super::super::tree::Style::Plain;
                match &**text {
                    "true" | "false" if plain => return Some(Document::Plain((text == "true").into())),
                    _ if plain && (text == "0" || !text.starts_with('0')) && text.len() < 12 => {
                        if let Ok(number) = text.parse::<u64>() {
                            return Some(Document::Plain(number.into()));
                        }
                    }
                    _ => {}
                }
                Some(Document::Text(self.text_scalar(node, what, Place::Document)?.resolved.into_text()))
            }
        }
    }
}
