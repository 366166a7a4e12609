//! Filling in the variables of a template's texts: `{{ folders.raw }}`. A variable without a value is a mistake.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use minijinja::{Environment, ErrorKind, UndefinedBehavior, value::Serde};
use serde_json::{Value, json};

use super::{
    error::nearest,
    model::{ACCOUNT_PLACEHOLDER, Job, Pipeline, Schedule, Span, Spanned, Spec, Table, Task, Template, Unfilled},
    source::{Source, small},
};

/// The folder for code where neither the spec nor the template says one.
pub const CODE: &str = "cod/";
/// Where the host of a pipeline by luigi or Airflow has the request that starts the spec's cluster.
pub const CLUSTER_SETTINGS: &str = "/etc/infra/cluster.json";
/// A version to check templates with.
pub(super) const SAMPLE_VERSION: &str = "0123456789ab";
/// A day to check templates with.
const SAMPLE_DATE: jiff::civil::Date = jiff::civil::date(2020, 1, 31);

/// What variables stand for, by name.
pub type Values = BTreeMap<String, Value>;

/// The folder of the bucket in which the pipeline has a folder for its code: `cod/`.
pub fn code_root(pipeline: &Pipeline) -> String {
    let own = pipeline.folders.get("code").map(|folder| folder.as_str());
    let default = || pipeline.content.as_ref()?.folders.get("code").map(|folder| folder.as_str());
    own.or_else(default).unwrap_or(CODE).to_owned()
}

/// A file of a version, as jobs name it.
pub const ARCHIVE: &str = "modules.zip";

/// What is known of a pipeline when it is deployed.
pub fn values(spec: &Spec, name: &str, pipeline: &Pipeline, account: &str, version: &str) -> Values {
    let bucket =
        spec.buckets.get(&pipeline.bucket.value).map(|bucket| bucket.name.resolve(account)).unwrap_or_default();
    let content = pipeline.content.as_ref();
    let (mut folders, mut paths) = (BTreeMap::new(), BTreeMap::new());
    let defaults = content.iter().flat_map(|content| &content.folders);
    for (role, folder) in defaults.chain(&pipeline.folders) {
        folders.insert(role.clone(), format!("s3://{bucket}/{}", folder.value));
        paths.insert(role.clone(), folder.value.clone());
    }
    let mut settings: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in content.iter().flat_map(|content| &content.settings) {
        settings.insert(key.clone(), value.value.clone());
    }
    for (key, value) in &pipeline.settings {
        settings.insert(key.clone(), value.resolve(account));
    }
    let buckets: BTreeMap<&str, String> =
        spec.buckets.iter().map(|(key, bucket)| (key.as_str(), bucket.name.resolve(account))).collect();
    let secrets = content.iter().flat_map(|content| &content.secrets);
    let secret_files: BTreeMap<&str, String> =
        secrets.map(|secret| (secret.as_str(), secret_file(name, pipeline, secret).unwrap_or_default())).collect();
    let subnets = spec.network.iter().flat_map(|network| network.subnets.keys());
    let subnet_ids: BTreeMap<&str, String> = subnets.map(|subnet| (subnet.as_str(), subnet_id(subnet))).collect();
    let code = format!("s3://{bucket}/{}{name}/versions/{version}/", code_root(pipeline));
    let archive = content.is_some_and(|content| !content.modules.is_empty());
    let mut values = Values::new();
    let mut put = |key: &str, value: Value| values.insert(key.to_owned(), value);
    put("stack", Value::from(spec.stack.as_str()));
    put("region", Value::from(spec.region.as_str()));
    put("account", Value::from(account));
    put("pipeline", Value::from(name));
    put("orchestrator", Value::from(pipeline.orchestrator.word()));
    put("bucket", Value::from(bucket));
    put("buckets", json!(buckets));
    put("folders", json!(folders));
    put("paths", json!(paths));
    put("settings", json!(settings));
    put("secret_files", json!(secret_files));
    put("subnet_ids", json!(subnet_ids));
    if let Some(cluster) = &spec.cluster {
        put("cluster", cluster_values(spec, cluster, account));
    }
    put("version", Value::from(version));
    put("py_files", Value::from(if archive { format!("{code}{ARCHIVE}") } else { String::new() }));
    put("code", Value::from(code));
    put("schedule", schedule_values(pipeline.schedule.as_deref()));
    put("retries", Value::from(*pipeline.retries));
    put("retry_seconds", Value::from(pipeline.retry_wait.as_secs()));
    values
}

/// When it starts, as cron has it, and by which clock; an empty `cron` where nobody starts it but by hand.
fn schedule_values(schedule: Option<&Schedule>) -> Value {
    let cron = schedule.map(|schedule| format!("{} {} * * *", schedule.minute, schedule.hour));
    json!({ "cron": cron.unwrap_or_default(), "zone": schedule.map_or("UTC", |schedule| schedule.zone.as_str()) })
}

/// Where a secret is on the pipeline's host; nothing where the spec gives the pipeline none of that name.
pub fn secret_file(name: &str, pipeline: &Pipeline, secret: &str) -> Option<String> {
    pipeline.secrets.contains_key(secret).then(|| format!("/etc/infra/pipelines/{name}/{secret}"))
}

/// What stands for the id of a subnet, which is known once there is one: put in its place on hosts, and only there.
pub fn subnet_id(subnet: &str) -> String {
    format!("@id of subnet/{subnet}@")
}

/// What whoever starts the cluster must know of it.
fn cluster_values(spec: &Spec, cluster: &super::Cluster, account: &str) -> Value {
    let role = |role: &str| spec.access.roles.get(role).map(|role| role.name.resolve(account)).unwrap_or_default();
    let logs = cluster.logs.as_ref().and_then(|logs| {
        let bucket = spec.buckets.get(&logs.bucket.value)?.name.resolve(account);
        Some(format!("s3://{bucket}/{}", logs.folder))
    });
    json!({
        "release": cluster.release.to_string(),
        "applications": cluster.applications.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        "subnet": cluster.subnet.value,
        "node_role": role(&cluster.node_role),
        "service_role": role(&cluster.service_role),
        "logs": logs.unwrap_or_default(),
        "file": CLUSTER_SETTINGS,
    })
}

/// The same for a run: with the day that it is about.
pub fn with_date(mut values: Values, date: jiff::civil::Date) -> Values {
    let (year, month, day) = (date.year(), date.month(), date.day());
    let text = |text: String| Value::from(text);
    values.insert("date".into(), text(date.to_string()));
    values.insert("year".into(), text(format!("{year:04}")));
    values.insert("month".into(), text(format!("{month:02}")));
    values.insert("day".into(), text(format!("{day:02}")));
    values.insert("date_path".into(), text(format!("{year:04}/{month:02}/{day:02}")));
    values
}

/// The jobs of a pipeline: the template's, and the spec's beyond or instead of them.
pub fn tasks(pipeline: &Pipeline, account: &str) -> Table<Task> {
    let mut tasks = pipeline.content.as_ref().map(|content| content.jobs.clone()).unwrap_or_default();
    for (name, job) in &pipeline.jobs {
        let text = |text: &super::Text| Spanned::new(text.resolve(account), job.span.clone());
        let Job { script, arguments, spark } = &job.value;
        let before = tasks.get(name).map(|task| task.value.clone());
        let (output, summary) = before.map_or((None, None), |before| (before.output, before.summary));
        let task = Task {
            script: script.clone(),
            arguments: arguments.iter().map(text).collect(),
            spark: spark.iter().map(text).collect(),
            output,
            summary,
        };
        tasks.insert(name.clone(), Spanned::new(task, job.span.clone()));
    }
    tasks
}

/// Fills a text in. `at` is where it begins, for a message: a file's first character, or a value of the manifest.
pub fn fill(text: &str, at: &Span, values: &Values) -> Result<String, Unfilled> {
    expand(&at.file, text, values).map_err(|error| unfilled(text, at, values, &error))
}

/// Fills in a text of this program's own, or of a version that is deployed.
pub fn expand(name: &str, text: &str, values: &Values) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let mut filled = environment.template_from_named_str(name, text)?.render(Serde(values))?;
    // A template's last newline is dropped.
    if text.ends_with('\n') {
        filled.push('\n');
    }
    Ok(filled)
}

fn unfilled(text: &str, at: &Span, values: &Values, error: &minijinja::Error) -> Unfilled {
    let range = error.range().filter(|range| text.get(range.clone()).is_some());
    let written = range.clone().map(|range| text[range].to_owned());
    let span = match &range {
        Some(range) => {
            let before = &text[..range.start];
            let line = before.matches('\n').count();
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
            let first = text[range.clone()].lines().next().unwrap_or_default();
            let column = small(column) + if line == 0 { at.column } else { 1 };
            Span { line: at.line + small(line), column, len: small(first.chars().count()).max(1), ..at.clone() }
        }
        None => Span { line: at.line + small(error.line().unwrap_or(1)).saturating_sub(1), len: 1, ..at.clone() },
    };
    if error.kind() == ErrorKind::UndefinedError {
        let name = written.unwrap_or_default();
        let known = names(values);
        let hint = match nearest(&name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there is {}", super::error::choices(known.iter().map(String::as_str))),
        };
        return Unfilled { span, message: format!("the variable `{name}` has no value"), hint: Some(hint) };
    }
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    Unfilled {
        span,
        message: format!("this is no template that can be filled in: {}{detail}", error.kind()),
        hint: None,
    }
}

/// Every variable by its full name: `settings.page`.
fn names(values: &Values) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in values {
        match value {
            Value::Object(inner) => names.extend(inner.keys().map(|inner| format!("{key}.{inner}"))),
            _ => names.push(key.clone()),
        }
    }
    names
}

/// Everything of a pipeline's template that cannot be filled in.
pub(super) fn check(
    spec: &Spec,
    name: &str,
    pipeline: &Pipeline,
    content: &Template,
    sources: &RefCell<Vec<Arc<Source>>>,
) -> Vec<Unfilled> {
    let values = values(spec, name, pipeline, ACCOUNT_PLACEHOLDER, SAMPLE_VERSION);
    let mut wrong = Vec::new();
    for file in content.files.iter().filter(|file| file.rendered) {
        match Source::read(&file.source) {
            Ok(source) => {
                let source = Source { name: Arc::clone(&file.shown), ..source };
                wrong.extend(fill(&source.text, &source.start(), &values).err());
                if !sources.borrow().iter().any(|kept| kept.name == source.name) {
                    sources.borrow_mut().push(Arc::new(source));
                }
            }
            Err(refused) => {
                let span = refused.1.span.clone().unwrap_or_else(|| pipeline.template.span.clone());
                wrong.push(Unfilled { span, message: refused.1.message, hint: refused.1.hint });
            }
        }
    }
    let host = content.host.iter().flat_map(|host| &host.command);
    let daily = with_date(values, SAMPLE_DATE);
    wrong.extend(host.filter_map(|word| fill(word, &word.span, &daily).err()));
    for task in tasks(pipeline, ACCOUNT_PLACEHOLDER).values() {
        let texts = task.arguments.iter().chain(&task.spark).chain(&task.output).chain(&task.summary);
        wrong.extend(texts.filter_map(|text| fill(text, &text.span, &daily).err()));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let day = with_date(Values::new(), SAMPLE_DATE);
        day.into_iter().chain([("folders".to_owned(), json!({ "raw": "s3://lake/raw/" }))]).collect()
    }

    fn at(line: u32, column: u32) -> Span {
        Span { file: "t.yaml".into(), line, column, len: 1 }
    }

    #[test]
    fn texts_keep_all_that_is_not_a_variable() {
        let filled = fill("a {{ folders.raw }}{{ date_path }}\n\n", &at(1, 1), &values());
        assert_eq!(filled.unwrap(), "a s3://lake/raw/2020/01/31\n\n");
        assert_eq!(fill("plain", &at(1, 1), &values()).unwrap(), "plain");
    }

    #[test]
    fn a_variable_without_a_value_is_found_where_it_stands() {
        let wrong = fill("one\ntwo {{ folders.rwa }}\n", &at(1, 1), &values()).unwrap_err();
        assert_eq!((wrong.span.line, wrong.span.column, wrong.span.len), (2, 8, 11));
        assert_eq!(wrong.message, "the variable `folders.rwa` has no value");
        assert_eq!(wrong.hint.as_deref(), Some("did you mean `folders.raw`?"));
        // In a value of the manifest, which begins in a line's middle.
        let wrong = fill("--day={{ dat }}", &at(7, 20), &values()).unwrap_err();
        assert_eq!((wrong.span.line, wrong.span.column, wrong.span.len), (7, 29, 3));
        let wrong = fill("{{ date", &at(3, 1), &values()).unwrap_err();
        assert!(wrong.message.starts_with("this is no template") && wrong.span.line == 3, "{wrong:?}");
    }
}
