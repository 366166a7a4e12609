//! `templates/NAME/`, beside the folder of specs: its manifest `pipeline.yaml`, and which files it has.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    sync::Arc,
};

use indexmap::IndexMap;

use super::{
    super::{
        error::{Diagnostic, nearest},
        fill,
        interpolate::{Place, Scope},
        model::{OnTheHost, Orchestrator, Pipeline, Span, Spanned, Spec, Table, Task, Template, TemplateFile},
        readable,
        shape::{Object, Shape, optional, required},
        source::Source,
        tree::{self, Node},
    },
    Decoder, Fields,
};

/// The manifest's name.
const MANIFEST: &str = "pipeline.yaml";
/// What a file ends in whose variables are filled in.
const FILLED: &str = ".j2";
/// Folders of a template that stay where they are.
const NOT_DEPLOYED: [&str; 3] = ["tests", "sample", "__pycache__"];
/// A template of more files, or with a larger one, is a mistake: a virtual environment, data.
const MOST_FILES: usize = 500;
const LARGEST_FILE: u64 = 16 << 20;

static TEMPLATE: Object = Object {
    name: "template",
    doc: "What a template's folder brings.",
    fields: &[
        optional(
            "folders",
            "Folders of the bucket that it uses, with a default each.",
            Shape::Table(&Shape::Form("^[^/].*/$", "raw/")),
        ),
        optional("settings", "Settings, with a default each.", Shape::Table(&Shape::Loose)),
        optional("secrets", "Secrets that it can be given.", Shape::List(&Shape::Text)),
        optional("modules", "Python packages and modules that the jobs import.", Shape::List(&Shape::Text)),
        optional("jobs", "Spark jobs, in the order in which they run.", Shape::Table(&Shape::Object(&TASK))),
        optional("host", "What it puts on the pipeline's host.", Shape::Object(&HOST)),
    ],
};

static TASK: Object = Object {
    name: "task",
    doc: "A Spark job.",
    fields: &[
        required("script", "The script in the folder.", Shape::Text),
        optional("arguments", "Arguments for the script.", Shape::List(&Shape::Loose)).also(&["args"]),
        optional("spark", "Arguments for spark-submit.", Shape::List(&Shape::Loose)),
        optional("output", "The object that is there once the job has done its work.", Shape::Text),
        optional(
            "summary",
            "The object in which the job says what it did: JSON; or a folder, ending in `/`, with one part of it.",
            Shape::Text,
        ),
    ],
};

static HOST: Object = Object {
    name: "on the host",
    doc: "What a template puts on the pipeline's host.",
    fields: &[
        optional("files", "Files of the folder.", Shape::List(&Shape::Text)),
        optional("command", "What runs the pipeline for one day.", Shape::List(&Shape::Loose)),
        optional("requirements", "A file with pinned packages.", Shape::Text),
        optional("dag", "The file with the DAG.", Shape::Text),
    ],
};

/// Reads the template of every pipeline into the spec, with what is wrong with it; returns the files' texts, for showing
/// their lines.
pub(in crate::spec) fn read_all(decoder: &Decoder<'_>, spec: &mut Spec) -> Vec<Arc<Source>> {
    let sources = RefCell::default();
    let root = templates(Path::new(&*spec.file));
    let mut pipelines = std::mem::take(&mut spec.pipelines);
    for (name, pipeline) in &mut pipelines {
        let before = decoder.reported();
        pipeline.value.content = read(decoder, &root, &pipeline.value.template, &sources);
        if let Some(content) = &pipeline.content {
            agree(decoder, name, pipeline, content);
            for wrong in fill::check(spec, name, pipeline, content, &sources) {
                decoder.report(Diagnostic::at(&wrong.span, wrong.message).maybe_hint(wrong.hint));
            }
            readable::check(decoder, spec, name, pipeline, content, &sources);
        }
        pipeline.value.unfit = decoder.take_back(before);
    }
    spec.pipelines = pipelines;
    sources.into_inner()
}

/// Where templates are: beside the folder `infra/`, or beside a spec that lies elsewhere.
pub fn templates(spec: &Path) -> PathBuf {
    let folder = spec.parent().unwrap_or(Path::new(""));
    match folder.file_name() {
        Some(name) if name == "infra" => folder.parent().unwrap_or(Path::new("")).join("templates"),
        _ => folder.join("templates"),
    }
}

fn read(
    decoder: &Decoder<'_>,
    root: &Path,
    name: &Spanned<String>,
    sources: &RefCell<Vec<Arc<Source>>>,
) -> Option<Template> {
    let folder = root.join(name.as_str());
    let shown: Arc<str> = folder.to_string_lossy().into();
    if !folder.is_dir() {
        let error = Diagnostic::at(&name.span, format!("there is no folder {shown}"));
        decoder.report(error.hint(match neighbour(root, name) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`infra pipeline new {}` makes one", name.value),
        }));
        return None;
    }
    let manifest = folder.join(MANIFEST);
    let source = match Source::read(&manifest) {
        Ok(source) => Arc::new(source),
        Err(refused) => {
            let (_, error) = *refused;
            let error =
                if error.span.is_none() { Diagnostic { span: Some(name.span.clone()), ..error } } else { error };
            decoder.report(error.hint(format!("it says what the template brings; an empty {MANIFEST} will do")));
            return None;
        }
    };
    if !sources.borrow().iter().any(|kept| kept.name == source.name) {
        sources.borrow_mut().push(Arc::clone(&source));
    }
    let files = files(decoder, &folder, &shown, &name.span)?;
    let mut errors = Vec::new();
    let tree = if source.text.trim().is_empty() { None } else { tree::parse(&source, &mut errors) };
    let broken = !errors.is_empty();
    for error in errors {
        decoder.report(error);
    }
    let empty = Node { span: source.start(), data: tree::Data::Map(Vec::new()) };
    if broken && tree.is_none() {
        return None;
    }
    let tree = tree.unwrap_or(empty);
    let scope = Scope {
        account: None,
        stack: decoder.scope.stack.clone(),
        region: decoder.scope.region.clone(),
        vars: decoder.scope.vars.clone(),
        env: &|_| None,
        secrets: RefCell::default(),
    };
    let inner = Decoder::new(scope, &tree);
    let template = manifest_of(&inner, &tree, &source.start(), shown, files);
    let (errors, _) = inner.finish();
    for error in errors {
        decoder.report(error);
    }
    template
}

fn neighbour(root: &Path, name: &str) -> Option<String> {
    let entries = std::fs::read_dir(root).ok()?;
    let names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned)
}

fn manifest_of(
    decoder: &Decoder<'_>,
    tree: &Node,
    start: &Span,
    shown: Arc<str>,
    files: Vec<TemplateFile>,
) -> Option<Template> {
    let fields = Fields::open(decoder, &TEMPLATE, format!("the template {shown}"), start, tree)?;
    let mut folders = IndexMap::new();
    for (key, node) in fields.table("folders") {
        if let Some(folder) = decoder.folder(node, &format!("folder `{}`", key.text)) {
            folders.insert(key.text.clone(), folder);
        }
    }
    let mut settings = IndexMap::new();
    for (key, node) in fields.table("settings") {
        if let Some(value) = plain(decoder, node, &format!("setting `{}`", key.text)) {
            settings.insert(key.text.clone(), value);
        }
    }
    let mut jobs = Table::new();
    for (key, node) in fields.table("jobs") {
        let task = Fields::open(decoder, &TASK, format!("job `{}`", key.text), &key.span, node).and_then(|fields| {
            let script = fields.fixed("script")?;
            let (output, summary) = (fields.fixed("output"), fields.fixed("summary"));
            Some(Task {
                script,
                arguments: words(&fields, "arguments"),
                spark: words(&fields, "spark"),
                output,
                summary,
            })
        });
        if let Some(task) = task {
            jobs.insert(key.text.clone(), Spanned::new(task, key.span.clone()));
        }
    }
    let host = fields.entry("host").and_then(|(key, node)| {
        let fields = Fields::open(decoder, &HOST, "`host`", &key.span, node)?;
        let (requirements, dag) = (fields.fixed("requirements"), fields.fixed("dag"));
        let host = OnTheHost { files: words(&fields, "files"), command: words(&fields, "command"), requirements, dag };
        Some(Spanned::new(host, key.span.clone()))
    });
    let (secrets, modules) = (words(&fields, "secrets"), words(&fields, "modules"));
    let template = Template { shown, files, folders, settings, secrets, modules, jobs, host };
    named_files(decoder, &template);
    Some(template)
}

/// Text as it is written.
fn plain(decoder: &Decoder<'_>, node: &Node, what: &str) -> Option<Spanned<String>> {
    let text = decoder.loose(node, what, Place::Anywhere)?.into_text();
    let Some(text) = text.as_fixed() else {
        let error = Diagnostic::at(&node.span, format!("{what} cannot hold `${{account}}`"));
        decoder.report(error.hint("a template writes it `{{ account }}`"));
        return None;
    };
    Some(Spanned::new(text.to_owned(), node.span.clone()))
}

fn words(fields: &Fields<'_, '_>, name: &'static str) -> Vec<Spanned<String>> {
    let items = fields.list(name).iter();
    items.filter_map(|node| plain(fields.decoder, node, &format!("an item of {}", fields.what(name)))).collect()
}

/// Every file that the manifest names must be there.
fn named_files(decoder: &Decoder<'_>, template: &Template) {
    let missing = |path: &Spanned<String>| {
        let error = Diagnostic::at(&path.span, format!("there is no file {}/{}", template.shown, path.value));
        let near = nearest(path, template.files.iter().map(|file| file.path.as_str()));
        let outside = path.starts_with('/') || path.split('/').any(|part| part == "..");
        decoder.report(error.maybe_hint(match near {
            _ if outside => Some(format!("a template's files lie in its own folder, {}/", template.shown)),
            near => near.map(|near| format!("did you mean `{near}`?")),
        }));
    };
    let host = template.host.iter();
    let on_host = host.flat_map(|host| host.files.iter().chain(&host.requirements).chain(&host.dag));
    let scripts = template.jobs.values().map(|task| &task.script);
    scripts.chain(on_host).filter(|path| template.file(path).is_none()).for_each(missing);
    let empty = |module: &&Spanned<String>| {
        let within = format!("{}/", module.value);
        !template.files.iter().any(|file| file.path == module.value || file.path.starts_with(&within))
    };
    template.modules.iter().filter(empty).for_each(missing);
}

/// What the spec's pipeline says must be something that the template knows.
fn agree(decoder: &Decoder<'_>, name: &str, pipeline: &Spanned<Pipeline>, content: &Template) {
    let unknown = |what: &str, key: &str, span: &Span, known: Vec<&str>| {
        let error = Diagnostic::at(span, format!("the template {} has no {what} `{key}`", content.shown));
        decoder.report(error.hint(match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => format!("its {MANIFEST} names none"),
            None => format!("it has {}", super::choices(known)),
        }));
    };
    for (key, value) in &pipeline.settings {
        if !content.settings.contains_key(key) {
            unknown("setting", key, &value.span, content.settings.keys().map(String::as_str).collect());
        }
        if value.is_secret() {
            let error =
                Diagnostic::at(&value.span, format!("setting `{key}` of pipeline `{name}` is from the environment"));
            decoder.report(error.hint("settings are stored in S3: what is secret belongs under `secrets`"));
        }
    }
    // Jobs of the spec's own may have folders of their own.
    for (key, folder) in pipeline.folders.iter().filter(|_| pipeline.jobs.is_empty()) {
        if key != "code" && !content.folders.contains_key(key) {
            unknown("folder", key, &folder.span, content.folders.keys().map(String::as_str).collect());
        }
    }
    let (has_jobs, host) = (!pipeline.jobs.is_empty() || !content.jobs.is_empty(), content.host.as_ref());
    let lacks = match *pipeline.orchestrator {
        Orchestrator::Steps if !has_jobs => Some(("jobs", "`jobs: { NAME: { script: FILE.py } }`")),
        Orchestrator::Luigi if host.is_none_or(|host| host.command.is_empty()) => {
            Some(("command for its host", "`host: { command: [luigi, --module, tasks, Daily] }`"))
        }
        Orchestrator::Airflow if host.is_none_or(|host| host.dag.is_none()) => {
            Some(("DAG", "`host: { dag: FILE.py }`"))
        }
        _ => None,
    };
    if let Some((what, hint)) = lacks {
        let by = pipeline.orchestrator.word();
        let message = format!("the template {} has no {what}, and by `{by}` nothing of it would run", content.shown);
        let error = Diagnostic::at(&pipeline.template.span, message);
        decoder.report(error.hint(format!("write {hint} in its {MANIFEST}")));
    }
    for (key, source) in &pipeline.secrets {
        if !content.secrets.iter().any(|known| known.value == *key) {
            unknown("secret", key, &source.span, content.secrets.iter().map(|known| known.as_str()).collect());
        }
    }
    for job in pipeline.jobs.values() {
        if content.file(&job.script).is_none() {
            let error =
                Diagnostic::at(&job.script.span, format!("there is no file {}/{}", content.shown, job.script.value));
            let near = nearest(&job.script, content.files.iter().map(|file| file.path.as_str()));
            decoder.report(error.maybe_hint(near.map(|near| format!("did you mean `{near}`?"))));
        }
    }
}

/// The files of a template's folder.
fn files(decoder: &Decoder<'_>, folder: &Path, shown: &str, span: &Span) -> Option<Vec<TemplateFile>> {
    let mut found = Vec::new();
    let mut open = vec![String::new()];
    let wrong = |message: String, hint: &str| {
        decoder.report(Diagnostic::at(span, message).hint(hint));
        None
    };
    while let Some(inner) = open.pop() {
        let entries = match std::fs::read_dir(folder.join(&inner)) {
            Ok(entries) => entries,
            Err(error) => return wrong(format!("{shown}/{inner} cannot be read: {error}"), "may you read it?"),
        };
        for entry in entries.filter_map(Result::ok) {
            let Ok(name) = entry.file_name().into_string() else {
                return wrong(format!("{shown}/{inner} has a name that is not UTF-8"), "rename it");
            };
            let path = format!("{inner}{name}");
            let source = entry.path();
            if name.starts_with('.')
                || path == MANIFEST
                || entry.path().extension().is_some_and(|extension| extension == "pyc")
            {
                continue;
            }
            if source.is_dir() {
                if !NOT_DEPLOYED.contains(&name.as_str()) {
                    open.push(format!("{path}/"));
                }
                continue;
            }
            let size = source.metadata().map_or(0, |metadata| metadata.len());
            if size > LARGEST_FILE {
                return wrong(format!("{shown}/{path} has {} MiB", size >> 20), "code has 16 MiB at most; is it data?");
            }
            let rendered = path.ends_with(FILLED);
            let shown = format!("{shown}/{path}").into();
            found.push(TemplateFile { path: path.trim_end_matches(FILLED).to_owned(), source, shown, rendered });
        }
        if found.len() > MOST_FILES {
            return wrong(format!("{shown} has more than {MOST_FILES} files"), "is something in it that is not code?");
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    if let Some(pair) = found.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return wrong(
            format!("{} and {} are one file once deployed", pair[0].shown, pair[1].shown),
            "remove one of them",
        );
    }
    Some(found)
}
