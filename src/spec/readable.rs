//! Whether those can read what a template brings who are to, Python above all: a slip of the pen is found here, not by a
//! cluster that costs money.

use std::{cell::RefCell, ops::Range, path::Path, sync::Arc};

use ruff_python_ast::{
    PythonVersion,
    token::{Token, TokenKind},
};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use serde::de::IgnoredAny;

use super::{
    decode::Decoder,
    error::{Diagnostic, SpecErrors},
    fill,
    model::{ACCOUNT_PLACEHOLDER, Cluster, Configuration, Pipeline, Span, Spanned, Spec, Template, TemplateFile},
    source::{Source, small},
};

/// Where a cluster's configuration, or a job's options, say by which Python jobs run.
const SAID_BY: [&str; 4] = [
    "PYSPARK_PYTHON",
    "spark.pyspark.python",
    "spark.yarn.appMasterEnv.PYSPARK_PYTHON",
    "spark.executorEnv.PYSPARK_PYTHON",
];
/// What has jobs run by it, under `cluster:`.
const WITH_PYTHON3: &str = "configurations: { spark-env: { export: { PYSPARK_PYTHON: /usr/bin/python3 } } }";
/// What the release's own Python 3 is called there.
const PYTHON3: [&str; 2] = ["/usr/bin/python3", "python3"];

/// What reads a file.
#[derive(Clone, PartialEq, Eq)]
enum Reader {
    /// A Python 3 of this version, because of what the text says.
    Three(PythonVersion, String),
    /// A Python 3 of which no more is known.
    SomeThree,
    /// Python 2, of which nothing is known here.
    Two,
    /// A parser of JSON.
    Json,
}

/// Reports what is not Python in a template's jobs and modules, and what is not Python or JSON in what is on its pipeline's
/// host.
pub(super) fn check(
    decoder: &Decoder<'_>,
    spec: &Spec,
    name: &str,
    pipeline: &Pipeline,
    content: &Template,
    sources: &RefCell<Vec<Arc<Source>>>,
) {
    let tasks = fill::tasks(pipeline, ACCOUNT_PLACEHOLDER);
    let options: Vec<&str> = tasks.values().flat_map(|task| &task.spark).map(|word| word.as_str()).collect();
    let by_spark = reader_of_jobs(spec.cluster.as_ref(), &options);
    if let (Reader::Two, Some(cluster), false) = (&by_spark, &spec.cluster, tasks.is_empty()) {
        let release = &cluster.release;
        let message = format!("jobs run by Python 2.7 on {}; `{WITH_PYTHON3}` has them run by Python 3", release.value);
        decoder.note(&release.span, message);
    }
    for file in &content.files {
        let (python, json) = (is_python(Path::new(&file.path)), is_called(Path::new(&file.path), "json"));
        let is_job = content.is_module(&file.path) || tasks.values().any(|task| *task.script == *file.path);
        let is_on_host = content.host.iter().any(|host| {
            let named = host.files.iter().chain(&host.dag);
            named.into_iter().any(|path| *path.value == *file.path)
        });
        let reader = match (is_job, is_on_host) {
            (true, _) if python => by_spark.clone(),
            (_, true) if python => Reader::SomeThree,
            (_, true) if json => Reader::Json,
            _ => continue,
        };
        // What cannot be filled in, or is not text, is told by whoever fills it in, or deploys it.
        let values = || fill::values(spec, name, pipeline, ACCOUNT_PLACEHOLDER, fill::SAMPLE_VERSION);
        let Some(source) = text_of(file, values) else { continue };
        let wrong = mistakes(&source, &reader);
        if !wrong.is_empty() && !sources.borrow().iter().any(|kept| kept.name == source.name) {
            sources.borrow_mut().push(Arc::new(source));
        }
        for wrong in wrong {
            decoder.report(wrong);
        }
    }
}

/// Insists that the Python of the spec's cluster can read a job's file, which is to run with these options. A file that is
/// no text is left to whoever runs it.
pub fn ensure_readable(file: &Path, cluster: Option<&Spanned<Cluster>>, options: &[&str]) -> Result<(), SpecErrors> {
    let Ok(source) = Source::read(file) else { return Ok(()) };
    let wrong = mistakes(&source, &reader_of_jobs(cluster, options));
    if wrong.is_empty() { Ok(()) } else { Err(SpecErrors::new(wrong, vec![Arc::new(source)])) }
}

/// Whether a file is called as Python's are.
pub fn is_python(file: &Path) -> bool {
    is_called(file, "py")
}

fn is_called(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|own| own == extension)
}

/// What is deployed of a file.
fn text_of(file: &TemplateFile, values: impl FnOnce() -> fill::Values) -> Option<Source> {
    let source = Source { name: Arc::clone(&file.shown), ..Source::read(&file.source).ok()? };
    if !file.rendered {
        return Some(source);
    }
    let text = fill::fill(&source.text, &source.start(), &values()).ok()?;
    Some(Source { text, ..source })
}

/// What keeps a reader from understanding a file.
fn mistakes(source: &Source, reader: &Reader) -> Vec<Diagnostic> {
    let mut options = ParseOptions::from(Mode::Module);
    match reader {
        Reader::Two => return Vec::new(),
        Reader::Json => return json_mistake(source).into_iter().collect(),
        Reader::SomeThree => {}
        Reader::Three(version, _) => options = options.with_target_version(*version),
    }
    let read = parse_unchecked(&source.text, options);
    // What follows the first one comes of it, more often than not.
    if let Some(error) = read.errors().first() {
        let at = error.location.start().to_usize()..error.location.end().to_usize();
        let at_the_end = at.start >= source.text.trim_end().len();
        if let Some(open) = never_closed(read.tokens()).filter(|_| at_the_end) {
            let message = format!("this is not Python: `{}` is never closed", &source.text[open.clone()]);
            return vec![Diagnostic::at(&source.span_of(open), message)];
        }
        let span = source.span_of(at);
        return vec![Diagnostic::at(&span, format!("this is not Python: {}", error.error))];
    }
    let Reader::Three(_, why) = reader else { return Vec::new() };
    let too_new = read.unsupported_syntax_errors().iter().map(|error| {
        let span = source.span_of(error.range.start().to_usize()..error.range.end().to_usize());
        Diagnostic::at(&span, error.to_string()).hint(why)
    });
    too_new.collect()
}

/// What is not JSON. Of a file that was filled in, it stands where the template has what was put there.
fn json_mistake(source: &Source) -> Option<Diagnostic> {
    let error = serde_json::from_str::<IgnoredAny>(&source.text).err()?;
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or_default();
    let (line, column) = (small(error.line()).max(1), small(error.column()).max(1));
    Some(Diagnostic::at(&Span { line, column, ..source.start() }, format!("this is not JSON: {what}")))
}

/// The innermost bracket that is open where a file ends.
fn never_closed(tokens: &[Token]) -> Option<Range<usize>> {
    let mut open = Vec::new();
    for token in tokens {
        match token.kind() {
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => open.push(token),
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => drop(open.pop()),
            _ => {}
        }
    }
    let (_, range) = open.pop()?.as_tuple();
    Some(range.start().to_usize()..range.end().to_usize())
}

/// The Python that jobs run by, where the cluster is the spec's: the release's own, unless something says another.
fn reader_of_jobs(cluster: Option<&Spanned<Cluster>>, options: &[&str]) -> Reader {
    let Some(cluster) = cluster else { return Reader::SomeThree };
    let release = cluster.release.value;
    let mut said = Vec::new();
    cluster.configurations.iter().for_each(|configuration| said_in(configuration, &mut said));
    let by_options = options.iter().any(|word| SAID_BY.iter().any(|key| word.contains(key)));
    let own = said.iter().all(|python| PYTHON3.contains(&python.as_str())) && !by_options;
    match release.python_3() {
        _ if said.is_empty() && !by_options && release.has_python_2() => Reader::Two,
        Some((major, minor)) if own => {
            let place = cluster.release.span.place();
            let why = format!("{release} runs jobs by Python {major}.{minor} ({place})");
            Reader::Three(PythonVersion { major, minor }, why)
        }
        _ => Reader::SomeThree,
    }
}

fn said_in(configuration: &Configuration, said: &mut Vec<String>) {
    let properties = configuration.properties.iter().filter(|(key, _)| SAID_BY.contains(&key.as_str()));
    said.extend(properties.map(|(_, value)| value.as_fixed().unwrap_or_default().to_owned()));
    configuration.configurations.iter().for_each(|inner| said_in(inner, said));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{LoadOptions, load_str};

    fn source(text: &str) -> Source {
        Source { name: "job.py".into(), text: text.to_owned(), hidden: Vec::new() }
    }

    fn three(minor: u8) -> Reader {
        Reader::Three(PythonVersion { major: 3, minor }, "it is old".to_owned())
    }

    fn found(text: &str, reader: &Reader) -> Vec<String> {
        mistakes(&source(text), reader).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_slip_of_the_pen_is_found_where_it_stands() {
        let told = found("import os\n\ndef main(:\n    pass\n)\n", &Reader::SomeThree);
        assert!(matches!(&told[..], [only] if only.starts_with("job.py:3:10: this is not Python: ")), "{told:?}");
        let told = found("rows = [\n    len(\n]\nprint(1)\n", &Reader::SomeThree);
        assert!(told[0].contains("this is not Python: "), "{told:?}");
        let told = found("import os\nprint(os.path.join(\"a\", [1])\n", &Reader::SomeThree);
        assert_eq!(told, ["job.py:2:6: this is not Python: `(` is never closed"]);
        for text in ["", "print('é', \"ñ\")\n", "if True:\n    x = f\"{1}\"\n", "async def f():\n    await g()\n"] {
            assert_eq!(found(text, &Reader::SomeThree), Vec::<String>::new(), "{text}");
        }
        assert!(found("x = 'é", &three(6))[0].starts_with("job.py:1:5: "), "columns count characters");
        assert_eq!(found("print 1\n", &Reader::SomeThree).len(), 1);
        assert_eq!(found("print 1\n", &Reader::Two), Vec::<String>::new());
    }

    #[test]
    fn a_file_on_the_host_that_is_not_json_is_found() {
        assert_eq!(found("{\"a\": [1, 2]}\n", &Reader::Json), Vec::<String>::new());
        let told = found("{\n  \"a\": 1\n  \"b\": 2\n}\n", &Reader::Json);
        assert_eq!(told, ["job.py:3:3: this is not JSON: expected `,` or `}`"]);
    }

    #[test]
    fn what_is_too_new_for_the_cluster_is_found() {
        let text = "rows = [1]\nif (count := len(rows)) > 0:\n    print(count)\n";
        let told = found(text, &three(6));
        let expected = "job.py:2:5: Cannot use named assignment expression (`:=`) on Python 3.6 (syntax was added in Python 3.8) (it is old)";
        assert_eq!(told, [expected]);
        assert_eq!(found(text, &three(8)), Vec::<String>::new());
        assert_eq!(found(text, &Reader::SomeThree), Vec::<String>::new());
        assert_eq!(found("def f(a, /):\n    return a\n", &three(7)).len(), 1);
        assert_eq!(found("match x:\n    case 1:\n        pass\n", &three(9)).len(), 1);
    }

    fn reader(cluster: &str, options: &[&str]) -> Reader {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/daily.yaml")).unwrap();
        let text = text.replace("STACK", "daily").replace("  release: emr-5.29.0\n", cluster);
        let spec = load_str("spec.yaml", &text, &LoadOptions::default()).unwrap();
        reader_of_jobs(spec.cluster.as_ref(), options)
    }

    #[test]
    fn the_python_of_jobs_is_the_release_s_own_unless_something_says_another() {
        let of = |cluster: &str| match reader(cluster, &[]) {
            Reader::Three(version, _) => version.to_string(),
            Reader::SomeThree => "3".to_owned(),
            Reader::Two => "2".to_owned(),
            Reader::Json => unreachable!("jobs are Python"),
        };
        let with = |release: &str, python: &str| {
            format!(
                "  release: {release}\n  configurations: {{ spark-env: {{ export: {{ PYSPARK_PYTHON: {python} }} }} }}\n"
            )
        };
        assert_eq!(of("  release: emr-5.29.0\n"), "2");
        assert_eq!(of(&with("emr-5.29.0", "/usr/bin/python3")), "3.6");
        assert_eq!(of(&with("emr-5.19.0", "python3")), "3.4");
        assert_eq!(of(&with("emr-5.29.0", "/opt/python3.9/bin/python3")), "3");
        assert_eq!(of("  release: emr-5.30.0\n"), "3.7");
        assert_eq!(of("  release: emr-6.15.0\n"), "3.7");
        assert_eq!(of("  release: emr-7.0.0\n"), "3.9");
        assert_eq!(
            of("  release: emr-7.0.0\n  configurations: { spark-defaults: { spark.pyspark.python: /x } }\n"),
            "3"
        );
        let options = ["--conf", "spark.yarn.appMasterEnv.PYSPARK_PYTHON=./venv/bin/python"];
        assert!(reader("  release: emr-5.29.0\n", &options) == Reader::SomeThree);
        assert!(reader_of_jobs(None, &[]) == Reader::SomeThree);
    }
}
