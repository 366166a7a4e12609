//! What is wrong with a template is told with its place, by verbs that ask nobody too.

use super::Daily;

/// Insists that `validate` names all of these.
#[track_caller]
fn refused(daily: &Daily, texts: &[&str]) {
    daily.project.run(&["validate"]).expect(1).says(texts);
}

#[test]
fn a_template_is_checked_without_a_cloud() {
    let daily = Daily::new();
    daily.project.run(&["validate"]).expect(0);
    std::fs::rename(daily.project.path("templates/daily"), daily.project.path("templates/dayly")).unwrap();
    refused(&daily, &["there is no folder templates/daily", "infra/daily.yaml:24:15", "did you mean `dayly`?"]);
    std::fs::remove_dir_all(daily.project.path("templates")).unwrap();
    refused(&daily, &["`infra pipeline new daily` makes one"]);
}

#[test]
fn a_variable_without_a_value_has_a_place() {
    let daily = Daily::new();
    daily.edit("daily.cfg.j2", "settings.greeting", "settings.greting");
    refused(
        &daily,
        &["the variable `settings.greting` has no value", "daily.cfg.j2:1:15", "did you mean `settings.greeting`?"],
    );
    daily.edit("daily.cfg.j2", "settings.greting", "settings.greeting");
    daily.edit("pipeline.yaml", "{{ folders.clean }}{{ date_path }}/\"]", "{{ folders.clean }}{{ datepath }}/\"]");
    refused(&daily, &["the variable `datepath` has no value", "pipeline.yaml:11", "did you mean `date_path`?"]);
}

#[test]
fn a_file_that_is_missing_has_a_place() {
    let daily = Daily::new();
    daily.edit("pipeline.yaml", "jobs/clean.py", "jobs/claen.py");
    refused(
        &daily,
        &["there is no file templates/daily/jobs/claen.py", "pipeline.yaml:10:13", "did you mean `jobs/clean.py`?"],
    );
    daily.edit("pipeline.yaml", "jobs/claen.py", "jobs/clean.py");
    daily.edit("pipeline.yaml", "modules: [daily]", "modules: [../../infra/daily.yaml]");
    refused(&daily, &["pipeline.yaml:4:11", "a template's files lie in its own folder, templates/daily/"]);
}

#[test]
fn what_the_template_does_not_know_is_refused() {
    let daily = Daily::new();
    daily.project.edit("infra/daily.yaml", "greeting: hello", "greting: hello");
    refused(&daily, &["has no setting `greting`", "infra/daily.yaml:28", "did you mean `greeting`?"]);
    daily.project.edit("infra/daily.yaml", "greting: hello", "greeting: \"${env:GREETING}\"");
    let run = daily.project.command(None, &["validate"]).env("GREETING", "a-secret-word").output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(said.contains("belongs under `secrets`") && !said.contains("a-secret-word"), "{said}");
    daily.project.edit("infra/daily.yaml", "\"${env:GREETING}\"", "hello");
    daily.project.edit("infra/daily.yaml", "folders: { raw: raw/ }", "folders: { rwa: raw/ }");
    refused(&daily, &["has no folder `rwa`", "infra/daily.yaml:27", "did you mean `raw`?"]);
    daily.project.edit("infra/daily.yaml", "folders: { rwa: raw/ }", "folders: { raw: raw/ }");
    daily.edit("pipeline.yaml", "modules:", "modlues:");
    refused(&daily, &["unknown field `modlues`", "did you mean `modules`?"]);
}

#[test]
fn a_template_of_which_nothing_would_run_is_refused() {
    let daily = Daily::new();
    let manifest = daily.project.read("templates/daily/pipeline.yaml");
    let without = manifest.split("jobs:").next().expect("it begins with something");
    daily.project.write("templates/daily/pipeline.yaml", without);
    refused(&daily, &["templates/daily has no jobs, and by `steps` nothing of it would run", "infra/daily.yaml:24:15"]);
}

#[test]
fn a_template_and_its_tests_need_no_spec() {
    let daily = Daily::new();
    std::fs::remove_file(daily.project.path("infra/daily.yaml")).unwrap();
    daily.project.run(&["pipeline", "new", "names"]).expect(0);
    assert!(daily.project.path("templates/names/pipeline.yaml").is_file());
    let told = daily.project.run(&["pipeline", "test", "nmes"]).expect(1);
    told.says(&["there is no template templates/nmes", "did you mean `names`?"]);
}

#[test]
fn a_job_that_python_cannot_read_is_refused() {
    let daily = Daily::new();
    daily.edit("jobs/clean.py", "print(\"clean\")", "print(\"clean\"");
    // By default `python` is 2.7 there, of which nothing is known here.
    let python3 = "configurations: { spark-env: { export: { PYSPARK_PYTHON: /usr/bin/python3 } } }";
    daily.project.run(&["validate"]).expect(0).says(&["jobs run by Python 2.7 on emr-5.29.0", python3]);
    daily.project.edit("infra/daily.yaml", "  release: emr-5.29.0\n", &format!("  release: emr-5.29.0\n  {python3}\n"));
    refused(&daily, &["this is not Python: ", "templates/daily/jobs/clean.py:1:"]);
    daily.edit("jobs/clean.py", "print(\"clean\"", "print((n := 1))");
    let told = ["templates/daily/jobs/clean.py:1:8", "on Python 3.6 (syntax was added in Python 3.8)"];
    refused(&daily, &[&told[..], &["emr-5.29.0 runs jobs by Python 3.6 (infra/daily.yaml:15)"]].concat());
    // A module of theirs, too; what nobody runs is nobody's business.
    daily.edit("jobs/clean.py", "print((n := 1))", "print(\"clean\")");
    daily.project.write("templates/daily/notes.py", "dear diary\n");
    daily.project.run(&["validate"]).expect(0);
    daily.project.write("templates/daily/daily/more.py", "dear diary\n");
    refused(&daily, &["this is not Python: ", "templates/daily/daily/more.py:1:6"]);
}
