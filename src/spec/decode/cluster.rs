//! `cluster`.

mod security;
pub(super) mod software;

use std::time::Duration;

use super::{
    super::{
        error::{Diagnostic, nearest},
        model::{Cluster, LogTarget, Release, Span, Spanned, Start, Text},
        shape::{Kind, Object, Shape, optional, required},
        tables::{APPLICATIONS, application_missing},
        tree::{Data, Node},
    },
    Decoder, Fields, access, key, nodes,
};

/// The `cluster` section.
pub(super) static CLUSTER: Object = Object {
    name: "cluster",
    doc: "The EMR cluster.",
    fields: &[
        required("release", "EMR's release.", Shape::Form(r"^(emr-\d+\.\d+\.\d+|.*\$\{.*)$", "emr-7.0.0"))
            .also(&["release_label"]),
        required("applications", "Applications.", Shape::List(&Shape::Suggest(APPLICATIONS))).also(&["apps"]),
        required("subnet", "The subnet that it is in.", Shape::Name(Kind::Subnet)),
        required("roles", "Its two roles.", Shape::Object(&ROLES)),
        optional(
            "master",
            "The master: a type, or a map.",
            Shape::Either(&[Shape::Text, Shape::Object(&nodes::GROUP)]),
        )
        .also(&["primary"]),
        optional(
            "core",
            "Nodes with HDFS: a type, or a map.",
            Shape::Either(&[Shape::Text, Shape::Object(&nodes::GROUP)]),
        )
        .also(&["workers"]),
        optional(
            "task",
            "Nodes without HDFS: a type, or a map.",
            Shape::Either(&[Shape::Text, Shape::Object(&nodes::GROUP)]),
        )
        .also(&["tasks"]),
        optional(
            "fleets",
            "A choice of types for each role, instead of `master`, `core` and `task`.",
            Shape::Object(&nodes::FLEETS),
        ),
        optional("root_disk", "Each node's root disk; the release's own unless said.", Shape::Size),
        optional(
            "configurations",
            "Settings by classification: `spark-defaults: { KEY: VALUE }`; a map inside is a nested classification.",
            Shape::Table(&Shape::Table(&Shape::Either(&[Shape::Loose, Shape::Table(&Shape::Loose)]))),
        )
        .also(&["configuration"]),
        optional(
            "bootstrap",
            "Scripts that run on each node first: a path, `s3://…`, or a map.",
            Shape::List(&Shape::Either(&[Shape::Text, Shape::Object(&software::BOOTSTRAP)])),
        )
        .also(&["bootstrap_actions"]),
        optional(
            "log4j_patch",
            "Whether AWS's log4j patch runs before all else; true for the releases that need it.",
            Shape::Boolean,
        ),
        optional(
            "step_concurrency",
            "How many steps run at once; 1 unless said, more from emr-5.28.0.",
            Shape::Integer(1, 256),
        )
        .also(&["concurrency"]),
        optional("security", "Encryption and metadata service.", Shape::Object(&security::SECURITY))
            .also(&["security_configuration", "encryption"]),
        optional("managed_scaling", "EMR's own scaling, from emr-5.30.0.", Shape::Object(&security::SCALING))
            .also(&["scaling"]),
        optional(
            "termination_protection",
            "Whether it must be unprotected before it can be ended; false unless said.",
            Shape::Boolean,
        )
        .also(&["protect"]),
        optional(
            "idle_timeout",
            "End it after so long without work: by EMR from emr-5.30.0, by `infra` before. 1m to 7d.",
            Shape::Duration,
        ),
        optional("auto_termination", "EMR's own idle timeout, from emr-5.30.0. 1m to 7d.", Shape::Duration),
        optional("max_lifetime", "End it after so long, whatever it does.", Shape::Duration),
        optional(
            "logs",
            "The bucket that its logs go to, or a map with a folder.",
            Shape::Either(&[Shape::Name(Kind::Bucket), Shape::Object(&LOGS)]),
        )
        .also(&["log_uri"]),
        optional("key", "The SSH key for login `hadoop`; the only key unless said.", Shape::Name(Kind::Key))
            .also(&["key_name"]),
        optional("start", "Who starts it; `on-demand` unless said.", Shape::Word(STARTS)),
        optional("start_deadline", "How long a start may take; 30m unless said.", Shape::Duration).also(&["deadline"]),
        optional(
            "reaper",
            "The host whose timer ends it when idle, for releases before emr-5.30.0.",
            Shape::Name(Kind::Host),
        ),
        optional("name", "Its name in EMR; the stack's unless said.", Shape::Text),
        optional(
            "visible",
            "Whether all of the account see it as their policies allow; true unless said.",
            Shape::Boolean,
        ),
    ],
};

const STARTS: &[(&str, &str)] =
    &[("on-demand", "`infra cluster up`, and pipelines that need it"), ("with-apply", "`infra apply`")];

static ROLES: Object = Object {
    name: "cluster_roles",
    doc: "The roles of a cluster.",
    fields: &[
        required(
            "service",
            "What EMR itself may do: a role that `elasticmapreduce` may assume.",
            Shape::Name(Kind::Role),
        ),
        required(
            "nodes",
            "What its machines may do: a role that `ec2` may assume, with `profile: true`.",
            Shape::Name(Kind::Role),
        ),
    ],
};

static LOGS: Object = Object {
    name: "logs",
    doc: "Where a cluster's logs go.",
    fields: &[
        required("bucket", "The bucket.", Shape::Name(Kind::Bucket)),
        optional(
            "folder",
            "The folder, with its `/`; the bucket's root unless said.",
            Shape::Form("^[^/].*/$", "logs/"),
        ),
    ],
};

/// EMR's limit on names of clusters and bootstrap actions.
const NAME: usize = 256;

/// Reads `cluster`.
pub(super) fn read(decoder: &Decoder<'_>, span: &Span, node: &Node) -> Option<Cluster> {
    let fields = Fields::open(decoder, &CLUSTER, "the cluster", span, node)?;
    let release = release(&fields);
    let known = release.as_ref().map(|release| release.value);
    let name = name(&fields);
    let applications = applications(&fields, known);
    let subnet = fields.name("subnet");
    let roles = fields.entry("roles").and_then(|(key, node)| {
        let roles = Fields::open(decoder, &ROLES, "`roles` of the cluster", &key.span, node)?;
        let (service, nodes) = (roles.name("service"), roles.name("nodes"));
        Some((service?, nodes?))
    });
    let nodes = nodes::read(&fields, known);
    let root_disk_gib = fields.gib("root_disk", 10, 100);
    let configurations = software::configurations(&fields);
    let bootstrap: Vec<_> =
        fields.list("bootstrap").iter().filter_map(|node| software::bootstrap(decoder, node)).collect();
    let needs_patch = known.is_some_and(Release::needs_log4j_patch);
    let log4j_patch = fields.boolean_or("log4j_patch", needs_patch);
    let step_concurrency = fields.integer_or("step_concurrency", 1);
    let security = security::security(&fields, known);
    let managed_scaling = security::scaling(&fields);
    let termination_protection = fields.boolean_or("termination_protection", false);
    let idle_timeout = timeout(&fields, "idle_timeout");
    let auto_termination = timeout(&fields, "auto_termination");
    fields.exclusive("idle_timeout", "auto_termination", "keep `idle_timeout`; it uses EMR's own where there is one");
    let max_lifetime = fields.duration("max_lifetime");
    let logs = logs(&fields);
    let key = fields.name("key").or_else(|| key::only(&fields, false));
    let start = fields
        .word("start")
        .map(|word| word.map(|word| if word == "with-apply" { Start::WithApply } else { Start::OnDemand }));
    let deadline = fields.duration("start_deadline").unwrap_or_else(|| fields.default(Duration::from_mins(30)));
    let reaper = fields.name("reaper");
    let visible = fields.boolean_or("visible", true);
    if let Some(release) = known {
        check_release(&fields, release, &step_concurrency, reaper.as_ref());
    }
    let (service_role, node_role) = roles?;
    Some(Cluster {
        name: name?,
        release: release?,
        applications,
        subnet: subnet?,
        service_role,
        node_role,
        nodes: nodes?,
        root_disk_gib,
        configurations,
        bootstrap,
        log4j_patch,
        step_concurrency,
        security,
        managed_scaling,
        termination_protection,
        idle_timeout,
        max_lifetime,
        auto_termination,
        logs,
        key,
        start: start.unwrap_or_else(|| fields.default(Start::OnDemand)),
        start_deadline: deadline,
        reaper,
        visible,
    })
}

fn release(fields: &Fields<'_, '_>) -> Option<Spanned<Release>> {
    let (text, shown) = fields.decoder.fixed_shown(fields.node("release")?, &fields.what("release"))?;
    let numbers: Option<Vec<u16>> = text
        .strip_prefix("emr-")
        .and_then(|rest| rest.split('.').map(|part| part.parse().ok().filter(|_| !part.starts_with('+'))).collect());
    let wrong = |message: String, hint: String| {
        fields.decoder.report(Diagnostic::at(&text.span, message).hint(hint));
        None
    };
    match numbers.as_deref() {
        Some([major, ..]) if *major < 4 => {
            wrong(format!("{shown} is older than EMR's releases"), "they begin with emr-4.0.0".into())
        }
        Some(&[major, minor, patch]) => Some(text.map(|_| Release { major, minor, patch })),
        Some(&[major, minor]) if shown == text.value => {
            wrong(format!("`{shown}` is no EMR release"), format!("did you mean `emr-{major}.{minor}.0`?"))
        }
        _ => {
            let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
            let good = digits.split('.').count() == 3 && digits.split('.').all(|part| part.parse::<u16>().is_ok());
            let hint = if good && shown == text.value {
                format!("did you mean `emr-{digits}`?")
            } else {
                "e.g. emr-7.0.0".into()
            };
            wrong(format!("`{shown}` is no EMR release"), hint)
        }
    }
}

fn name(fields: &Fields<'_, '_>) -> Option<Spanned<Text>> {
    let Some(name) = fields.text("name") else {
        let stack = fields.decoder.scope.stack.borrow().clone()?;
        return Some(fields.default(stack.into_text()));
    };
    let sample = name.sample();
    if sample.is_empty() || sample.chars().count() > NAME || sample.contains(['<', '>', '$', '|', '`']) {
        let message = format!("EMR refuses the cluster's name, of {} characters", sample.chars().count());
        fields
            .decoder
            .report(Diagnostic::at(&name.span, message).hint(format!("1 to {NAME}, without < > $ | and backtick")));
    }
    Some(name)
}

fn applications(fields: &Fields<'_, '_>, release: Option<Release>) -> Vec<Spanned<String>> {
    let decoder = fields.decoder;
    let mut list: Vec<Spanned<String>> = Vec::new();
    for node in fields.list("applications") {
        let Some((name, shown)) = decoder.fixed_shown(node, "an application") else { continue };
        let Some(known) = APPLICATIONS.iter().find(|known| known.eq_ignore_ascii_case(&name)) else {
            let hint = match nearest(&name, APPLICATIONS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "e.g. Spark, Hadoop, Hive, Zeppelin".into(),
            };
            decoder.report(Diagnostic::at(&name.span, format!("EMR has no application `{shown}`")).hint(hint));
            continue;
        };
        let name = name.map(|_| (*known).to_owned());
        if let Some((release, reason)) =
            release.and_then(|release| Some((release, application_missing(known, release)?)))
        {
            decoder.report(Diagnostic::at(&name.span, format!("{release} has no {known}")).hint(reason));
        }
        access::unique(decoder, &list, &name, |name| name.value.clone());
        list.push(name);
    }
    if let (Some((key, _)), true) = (fields.entry("applications"), fields.list("applications").is_empty()) {
        decoder.report(Diagnostic::at(&key.span, "the cluster has no applications").hint("e.g. [Spark, Hadoop]"));
    }
    list
}

/// An idle timeout within EMR's bounds (`AutoTerminationPolicy`: 60 s to 604,800 s).
fn timeout(fields: &Fields<'_, '_>, name: &'static str) -> Option<Spanned<Duration>> {
    let timeout = fields.duration(name)?;
    if !(60..=604_800).contains(&timeout.as_secs()) {
        let error = Diagnostic::at(&timeout.span, format!("{} is out of bounds", fields.what(name)));
        fields.decoder.report(error.hint("1m to 7d"));
    }
    Some(timeout)
}

fn logs(fields: &Fields<'_, '_>) -> Option<Spanned<LogTarget>> {
    let (key, node) = fields.entry("logs")?;
    if !matches!(node.data, Data::Map(_)) {
        let bucket = fields.name("logs")?;
        let span = bucket.span.clone();
        return Some(Spanned::new(LogTarget { bucket, folder: String::new() }, span));
    }
    let decoder = fields.decoder;
    let fields = Fields::open(decoder, &LOGS, "`logs` of the cluster", &key.span, node)?;
    let folder = fields.node("folder").and_then(|node| decoder.folder(node, &fields.what("folder")));
    let folder = folder.map(|folder| folder.value).unwrap_or_default();
    Some(Spanned::new(LogTarget { bucket: fields.name("bucket")?, folder }, key.span.clone()))
}

/// What the release cannot do.
fn check_release(
    fields: &Fields<'_, '_>,
    release: Release,
    concurrency: &Spanned<u32>,
    reaper: Option<&Spanned<String>>,
) {
    let report =
        |span: &Span, message: String, hint: &str| fields.decoder.report(Diagnostic::at(span, message).hint(hint));
    if let (Some((key, _)), false) = (fields.entry("auto_termination"), release.has_auto_termination()) {
        report(
            &key.span,
            format!("{release} has no auto-termination of its own"),
            "it begins with emr-5.30.0 (6.1.0 in EMR 6); use `idle_timeout`, which `infra` watches itself",
        );
    }
    if let (Some((key, _)), false) = (fields.entry("managed_scaling"), release.has_managed_scaling()) {
        report(&key.span, format!("{release} has no managed scaling"), "it begins with emr-5.30.0 (6.1.0 in EMR 6)");
    }
    if concurrency.value > 1 && !release.has_step_concurrency() {
        report(
            &concurrency.span,
            format!("{release} runs one step at a time"),
            "several at once begin with emr-5.28.0",
        );
    }
    if let Some(reaper) = reaper.filter(|_| release.has_auto_termination()) {
        report(
            &reaper.span,
            format!("{release} ends idle clusters itself"),
            "remove `reaper`; `idle_timeout` is enough",
        );
    }
}
