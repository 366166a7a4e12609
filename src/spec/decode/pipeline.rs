//! `pipeline`.

use std::time::Duration;

use indexmap::IndexMap;

use super::{
    super::{
        error::Diagnostic,
        interpolate::Place,
        model::{Alert, AlertWhen, Job, Orchestrator, Pipeline, Schedule, SecretSource, Spanned, Table},
        shape::{Kind, Object, Shape, optional, required},
        tree::{Data, Key, Node},
    },
    Decoder, Fields,
    cluster::software::texts,
};

/// A pipeline.
pub(super) static PIPELINE: Object = Object {
    name: "pipeline",
    doc: "Code that runs on the stack.",
    fields: &[
        required("template", "The folder under `templates/` with its files.", Shape::Text),
        required("orchestrator", "Who runs its tasks in order.", Shape::Word(ORCHESTRATORS)),
        optional("on", "The host that it runs on; not with `steps`.", Shape::Name(Kind::Host)).also(&["host"]),
        required("bucket", "The bucket with its data and code.", Shape::Name(Kind::Bucket)),
        optional(
            "schedule",
            "When it starts every day, in quotes: \"02:00\", \"02:00 America/New_York\"; UTC unless said.",
            Shape::Form(r"^([0-2]\d:[0-5]\d( [A-Za-z_+/0-9-]+)?|.*\$\{.*)$", "\"02:00\""),
        ),
        optional("retries", "How often a failed task is tried again; 2 unless said.", Shape::Integer(0, 20)),
        optional("retry_wait", "Time between tries; 5m unless said.", Shape::Duration),
        optional(
            "folders",
            "Folders of the bucket, by the name that the template gives them.",
            Shape::Table(&Shape::Form("^[^/].*/$", "raw/")),
        ),
        optional("settings", "Settings for the template.", Shape::Table(&Shape::Loose)).also(&["arguments"]),
        optional(
            "secrets",
            "Secrets for the template, by name; never stored in S3 or shown.",
            Shape::Table(&Shape::Object(&SECRET)),
        ),
        optional(
            "jobs",
            "Spark jobs by name, beyond or instead of the template's.",
            Shape::Table(&Shape::Object(&JOB)),
        ),
        optional("alerts", "What to run when it ends.", Shape::List(&Shape::Object(&ALERT))),
    ],
};

const ORCHESTRATORS: &[(&str, &str)] = &[
    ("luigi", "luigi, on a host with the `luigi` service"),
    ("airflow", "Airflow, on a host with the `airflow` service"),
    ("steps", "EMR's steps alone"),
];

static SECRET: Object = Object {
    name: "secret",
    doc: "Where a secret is read from when the pipeline is deployed.",
    fields: &[
        optional("env", "An environment variable.", Shape::Form("^[A-Za-z_][A-Za-z0-9_]*$", "APP_TOKEN")),
        optional("file", "A file with nothing else in it.", Shape::Text),
    ],
};

static JOB: Object = Object {
    name: "job",
    doc: "A Spark job.",
    fields: &[
        required("script", "The script in the template's folder.", Shape::Text),
        optional("arguments", "Arguments for the script.", Shape::List(&Shape::Loose)).also(&["args"]),
        optional("spark", "Arguments for spark-submit.", Shape::List(&Shape::Loose)),
    ],
};

static ALERT: Object = Object {
    name: "alert",
    doc: "A command for when the pipeline ends.",
    fields: &[
        required(
            "when",
            "`failure`, `success`, or an exit code.",
            Shape::Either(&[Shape::Integer(0, 255), Shape::Suggest(&["failure", "success"])]),
        ),
        required("run", "The command, run by a shell on the pipeline's host.", Shape::Text),
    ],
};

/// Reads a pipeline.
pub(super) fn read(decoder: &Decoder<'_>, key: &Key, node: &Node) -> Option<Pipeline> {
    let fields = Fields::open(decoder, &PIPELINE, format!("pipeline `{}`", key.text), &key.span, node)?;
    let template = folder_name(&fields, "template");
    let orchestrator = fields.word("orchestrator").map(|word| {
        word.map(|word| match word {
            "luigi" => Orchestrator::Luigi,
            "airflow" => Orchestrator::Airflow,
            _ => Orchestrator::Steps,
        })
    });
    let on = fields.name("on");
    match (orchestrator.as_ref().map(|orchestrator| orchestrator.value), fields.entry("on")) {
        (Some(Orchestrator::Steps), Some((key, _))) => {
            let error = Diagnostic::at(&key.span, "`orchestrator: steps` runs on no host");
            decoder.report(error.hint("remove `on`, or choose `luigi` or `airflow`"));
        }
        (Some(Orchestrator::Luigi | Orchestrator::Airflow), None) => {
            let error = Diagnostic::at(&fields.span, format!("missing field `on` in {}", fields.label));
            decoder.report(error.hint("the host that it runs on"));
        }
        _ => {}
    }
    let bucket = fields.name("bucket");
    let schedule = schedule(&fields);
    let retries = fields.integer_or("retries", 2);
    let wait = fields.duration("retry_wait").unwrap_or_else(|| fields.default(Duration::from_mins(5)));
    let mut folders = IndexMap::new();
    for (key, node) in fields.table("folders") {
        if let Some(folder) = decoder.folder(node, &format!("folder `{}`", key.text)) {
            folders.insert(key.text.clone(), folder);
        }
    }
    let mut settings = IndexMap::new();
    for (key, node) in fields.table("settings") {
        if let Some(value) = decoder.loose(node, &format!("setting `{}`", key.text), Place::Anywhere) {
            settings.insert(key.text.clone(), Spanned::new(value.into_text(), node.span.clone()));
        }
    }
    let mut secrets = IndexMap::new();
    for (key, node) in fields.table("secrets") {
        if let Some(source) = secret(decoder, key, node) {
            secrets.insert(key.text.clone(), Spanned::new(source, key.span.clone()));
        }
    }
    let mut jobs = Table::new();
    for (key, node) in fields.table("jobs") {
        if let Some(job) = job(decoder, key, node) {
            jobs.insert(key.text.clone(), Spanned::new(job, key.span.clone()));
        }
    }
    let alerts = fields.list("alerts").iter().filter_map(|node| alert(&fields, node)).collect();
    Some(Pipeline {
        template: template?,
        orchestrator: orchestrator?,
        on,
        bucket: bucket?,
        schedule,
        retries,
        retry_wait: wait,
        folders,
        settings,
        secrets,
        jobs,
        alerts,
        content: None,
        unfit: Vec::new(),
    })
}

/// A name that stays inside its folder.
fn folder_name(fields: &Fields<'_, '_>, name: &'static str) -> Option<Spanned<String>> {
    let (text, shown) = fields.decoder.fixed_shown(fields.node(name)?, &fields.what(name))?;
    let good = !text.is_empty()
        && text.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    if !good {
        let error = Diagnostic::at(&text.span, format!("{} cannot be `{shown}`", fields.what(name)));
        fields.decoder.report(error.hint("a relative path without `..`, of letters, digits, `.`, `_`, `-` and `/`"));
        return None;
    }
    Some(text)
}

fn schedule(fields: &Fields<'_, '_>) -> Option<Spanned<Schedule>> {
    let node = fields.node("schedule")?;
    let (text, shown) = fields.decoder.fixed_shown(node, &fields.what("schedule"))?;
    let (time, zone) = text.split_once(' ').map_or((text.as_str(), "UTC"), |(time, zone)| (time, zone.trim()));
    let two = |part: &str, most: u8| {
        let digits = part.len() == 2 && part.chars().all(|c| c.is_ascii_digit());
        part.parse().ok().filter(|number: &u8| digits && *number <= most)
    };
    let parsed = time.split_once(':').and_then(|(hour, minute)| Some((two(hour, 23)?, two(minute, 59)?)));
    let Some((hour, minute)) = parsed else {
        let error = Diagnostic::at(&text.span, format!("{} is no time of day: `{shown}`", fields.what("schedule")));
        fields.decoder.report(error.hint("two digits each, 00:00 to 23:59: \"02:00\""));
        return None;
    };
    if !zone.chars().all(|c| c.is_ascii_alphanumeric() || "_+-/".contains(c))
        || zone != "UTC" && jiff::tz::TimeZone::get(zone).is_err()
    {
        let error =
            Diagnostic::at(&text.span, format!("{} has an unknown time zone: `{shown}`", fields.what("schedule")));
        fields.decoder.report(error.hint("a name of the IANA database, e.g. \"02:00 America/New_York\""));
        return None;
    }
    let zone = zone.to_owned();
    Some(text.map(|_| Schedule { hour, minute, zone }))
}

fn secret(decoder: &Decoder<'_>, key: &Key, node: &Node) -> Option<SecretSource> {
    if let Data::Scalar { .. } = node.data {
        let error = Diagnostic::at(&node.span, format!("secret `{}` must not stand in the file", key.text));
        decoder.report(error.hint("say where it is read from: `{ env: NAME }` or `{ file: PATH }`"));
        return None;
    }
    let fields = Fields::open(decoder, &SECRET, format!("secret `{}`", key.text), &key.span, node)?;
    fields.exclusive("env", "file", "keep one of them");
    if !fields.has("env") && !fields.has("file") {
        let error = Diagnostic::at(&key.span, format!("{} has no source", fields.label));
        decoder.report(error.hint("`{ env: NAME }` or `{ file: PATH }`"));
    }
    let env = fields.fixed("env").map(|env| SecretSource::Env(env.value));
    let file = fields.path("file").map(|file| SecretSource::File(file.value));
    env.or(file)
}

fn job(decoder: &Decoder<'_>, key: &Key, node: &Node) -> Option<Job> {
    let fields = Fields::open(decoder, &JOB, format!("job `{}`", key.text), &key.span, node)?;
    let script = folder_name(&fields, "script");
    let (arguments, spark) = (texts(&fields, "arguments"), texts(&fields, "spark"));
    // EMR's limit on a step's arguments; checked here in part, and in full with the rendered step.
    let length: usize = arguments.iter().chain(&spark).map(|text| text.sample().len() + 1).sum();
    if length > 10_240 {
        let error = Diagnostic::at(&key.span, format!("the arguments of {} have {length} characters", fields.label));
        decoder.report(error.hint("EMR takes 10,240 in all"));
    }
    Some(Job { script: script?, arguments, spark })
}

fn alert(pipeline: &Fields<'_, '_>, node: &Node) -> Option<Spanned<Alert>> {
    let decoder = pipeline.decoder;
    let fields = Fields::open(decoder, &ALERT, format!("an alert of {}", pipeline.label), &node.span, node)?;
    let when = fields.node("when").and_then(|node| match &node.data {
        Data::Scalar { text, .. } if text.starts_with(|c: char| c.is_ascii_digit()) => {
            let code = decoder.integer(node, &fields.what("when"), 0, 255)?;
            u8::try_from(code.value).ok().map(AlertWhen::Code)
        }
        _ => {
            let words = &[("failure", ""), ("success", "")];
            let word = decoder.word(node, &fields.what("when"), words)?;
            Some(if word.value == "success" { AlertWhen::Success } else { AlertWhen::Failure })
        }
    });
    let run = fields.text("run");
    Some(Spanned::new(Alert { when: when?, run: run?.value }, node.span.clone()))
}
