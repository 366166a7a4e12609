//! Deploying: versions, drift, the way back, what becomes of what is no longer wanted.

use serde_json::json;

use super::{Daily, code_key};

const FILES: [&str; 7] = [
    "daily.cfg",
    "daily/__init__.py",
    "daily/rows.py",
    "jobs/clean.py",
    "jobs/extract.py",
    "modules.zip",
    "pipeline.json",
];

#[test]
fn apply_deploys_and_a_second_plan_is_empty() {
    let daily = Daily::new();
    let told = daily.local(&["apply", "--yes"]).expect(0);
    assert!(told.out.contains("pipeline/daily.version") && !told.out.contains("clean.py"), "{}", told.out);
    assert_eq!(daily.steps(), Vec::<String>::new());
    daily.local(&["verify"]).expect(0);
    let version = daily.version();
    for file in FILES {
        assert!(daily.keys().contains(&code_key(&version, file)), "{file} is not in {:?}", daily.keys());
    }
    assert!(!daily.keys().iter().any(|key| key.contains("tests")), "tests are not deployed");
    let code = format!("s3://{}/cod/daily/versions/{version}/", daily.bucket());
    assert_eq!(daily.object(&code_key(&version, "daily.cfg")), format!("greeting = hello\ncode = {code}\n"));
    let said = daily.local(&["output", "pipeline/daily.version"]);
    assert_eq!(said.out.trim(), version, "{said:?}");
    // All of it goes with the stack.
    daily.local(&["destroy", "--yes"]).expect(0);
    assert!(daily.steps().iter().all(|step| step.starts_with("create ")), "something of it is left");
}

#[test]
fn the_archive_of_modules_is_one_that_python_imports() {
    let daily = Daily::new();
    daily.local(&["apply", "--yes"]).expect(0);
    let key = code_key(&daily.version(), "modules.zip");
    let archive = daily.project.path("modules.zip");
    daily.aws().run(&format!("s3api get-object --bucket {} --key {key} {}", daily.bucket(), archive.display()));
    let script = "import sys, zipfile; sys.path.insert(0, sys.argv[1]); from daily.rows import ROWS; print(ROWS, zipfile.ZipFile(sys.argv[1]).testzip())";
    let run = std::process::Command::new(crate::support::aws::python()).args(["-c", script]).arg(&archive).output();
    assert_eq!(String::from_utf8(run.expect("python runs").stdout).unwrap(), "1 None\n");
}

#[test]
fn what_is_changed_by_hand_is_one_step_and_is_healed() {
    let daily = Daily::new();
    daily.local(&["apply", "--yes"]).expect(0);
    let key = code_key(&daily.version(), "jobs/clean.py");
    let (aws, bucket) = (daily.aws(), daily.bucket());
    daily.project.write("foreign", "print('foreign')\n");
    let foreign = daily.project.path("foreign").display().to_string();
    aws.run(&format!("s3api put-object --bucket {bucket} --key {key} --body {foreign}"));
    assert_eq!(daily.steps(), [format!("update bucket_object/lake/{key} sha256")]);
    daily.local(&["pipeline", "deploy", "--yes"]).expect(0);
    assert_eq!((daily.steps(), daily.object(&key)), (Vec::new(), "print(\"clean\")\n".to_owned()));

    aws.run(&format!("s3api delete-object --bucket {bucket} --key {key}"));
    assert_eq!(daily.steps(), [format!("create bucket_object/lake/{key}")]);
    daily.local(&["apply", "--yes"]).expect(0);
    assert_eq!((daily.steps(), daily.object(&key)), (Vec::new(), "print(\"clean\")\n".to_owned()));

    // The pointer.
    aws.run(&format!("s3api put-object --bucket {bucket} --key cod/daily/current.json --body {foreign}"));
    assert_eq!(daily.steps(), ["update pipeline/daily version"]);
    daily.local(&["apply", "--yes"]).expect(0);
    assert_eq!(daily.steps(), Vec::<String>::new());

    // Somebody's own file is nobody's business, also among ours.
    let own = code_key(&daily.version(), "notes.txt");
    aws.run(&format!("s3api put-object --bucket {bucket} --key {own} --body {foreign}"));
    assert_eq!(daily.steps(), Vec::<String>::new());
}

#[test]
fn a_new_version_leaves_the_old_one_and_the_way_back_is_one_command() {
    let daily = Daily::new();
    daily.local(&["apply", "--yes"]).expect(0);
    let first = daily.version();
    daily.edit("jobs/clean.py", "clean", "cleaner");
    let run = daily.local(&["pipeline", "deploy", "daily", "--yes"]).expect(0);
    let second = daily.version();
    assert_ne!(first, second);
    assert!(run.err.contains(&format!("pipeline deploy daily --version {first}")), "{}", run.err);
    assert_eq!(daily.object(&code_key(&first, "jobs/clean.py")), "print(\"clean\")\n");
    assert_eq!(daily.object(&code_key(&second, "jobs/clean.py")), "print(\"cleaner\")\n");
    assert_eq!(daily.steps(), Vec::<String>::new());

    daily.local(&["pipeline", "deploy", "--version", &first[..6], "--yes"]).expect(0);
    assert_eq!(daily.version(), first);
    assert_eq!(daily.pointer()["history"], json!([first, second]));
    // The folder still holds the second: a plan says so.
    assert_eq!(daily.steps(), ["update pipeline/daily version"]);
    daily.local(&["pipeline", "deploy", "--version", "0000", "--yes"]).expect(1).says(&["no version 0000", &first]);

    // The same content is the same version.
    daily.edit("jobs/clean.py", "cleaner", "clean");
    assert_eq!(daily.steps(), Vec::<String>::new());
}

#[test]
fn how_often_it_is_tried_again_makes_no_other_version() {
    let daily = Daily::new();
    daily.local(&["apply", "--yes"]).expect(0);
    daily.project.edit("infra/daily.yaml", "    template: daily\n", "    template: daily\n    retries: 7\n");
    assert_eq!(daily.steps(), Vec::<String>::new());
    // Unless a job is told it.
    daily.edit("pipeline.yaml", "--rows", "--tries, \"{{ retries }}\", --rows");
    assert!(daily.steps().contains(&"update pipeline/daily version".to_owned()), "{:?}", daily.steps());
}

#[test]
fn a_pointer_that_somebody_damaged_costs_no_version() {
    let daily = Daily::new();
    daily.local(&["apply", "--yes"]).expect(0);
    let first = daily.version();
    daily.edit("jobs/clean.py", "clean", "cleaner");
    daily.local(&["pipeline", "deploy", "--yes"]).expect(0);
    daily.project.write("damaged", "{");
    let (aws, damaged) = (daily.aws(), daily.project.path("damaged"));
    let (bucket, body) = (daily.bucket(), damaged.display());
    aws.run(&format!("s3api put-object --bucket {bucket} --key cod/daily/current.json --body {body}"));
    assert_eq!(daily.steps(), ["update pipeline/daily version"]);
    daily.local(&["pipeline", "deploy", "--yes"]).expect(0);
    assert_eq!(daily.steps(), Vec::<String>::new());
    daily.local(&["pipeline", "deploy", "--version", &first, "--yes"]).expect(0);
    assert_eq!(daily.version(), first);
}

#[test]
fn only_the_last_versions_are_kept() {
    let daily = Daily::new();
    daily.local(&["apply", "--yes"]).expect(0);
    let mut versions = vec![daily.version()];
    for turn in 0..6 {
        daily.project.write("templates/daily/jobs/extract.py", &format!("print({turn})\n"));
        daily.local(&["pipeline", "deploy", "--yes"]).expect(0);
        versions.insert(0, daily.version());
    }
    assert_eq!(daily.pointer()["history"], json!(versions[..5]));
    // Those that left the list go with the next plan.
    daily.local(&["apply", "--yes"]).expect(0);
    assert_eq!(daily.steps(), Vec::<String>::new());
    let there = |version: &String| daily.keys().iter().any(|key| key.contains(&format!("versions/{version}/")));
    assert_eq!(versions.iter().map(there).collect::<Vec<_>>(), [true, true, true, true, true, false, false]);
}

#[test]
fn a_pipeline_that_left_the_spec_is_an_orphan() {
    let daily = Daily::new();
    daily.local(&["apply", "--yes"]).expect(0);
    let spec = daily.project.read("infra/daily.yaml");
    let (without, _) = spec.split_once("pipeline:\n").expect("the pipeline is last");
    daily.project.write("infra/daily.yaml", without);
    let steps = daily.steps();
    assert!(steps.iter().all(|step| step.starts_with("delete ")), "{steps:?}");
    assert_eq!(steps.len(), FILES.len() + 1, "{steps:?}");
    assert!(steps.contains(&"delete pipeline/daily".to_owned()), "{steps:?}");
    daily.local(&["apply", "--yes"]).expect(0);
    assert!(!daily.keys().iter().any(|key| key.starts_with("cod/daily/")), "{:?}", daily.keys());
}

#[test]
fn destroy_takes_the_code_and_leaves_the_rest() {
    let daily = Daily::new();
    daily.local(&["apply", "--yes"]).expect(0);
    daily.edit("jobs/clean.py", "clean", "cleaner");
    daily.local(&["pipeline", "deploy", "--yes"]).expect(0);
    daily.local(&["pipeline", "destroy", "--yes"]).expect(0).says(&["deploys it again"]);
    let keys = daily.keys();
    let patch = "infra/log4j/patch-log4j-emr-5.29.0-v1.sh";
    assert_eq!(keys, ["cod/", patch, "raw/"]);
    assert_eq!(daily.steps().len(), FILES.len() + 1);
}
