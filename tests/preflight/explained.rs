//! Failures that the local cloud was told to let happen, and how they are explained.

use std::{
    io::Write,
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use infra::cluster::{explain, logs::Folder, steps};
use serde_json::Value;

use super::{FILE, Seen, project};
use crate::support::{aws::Aws, cli::Project, server::Server};

const BUCKET: &str = "checked-logs-123456789012";

/// Waits for what `look` finds, a minute at most.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_mins(1), "no {what} within a minute");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Puts a gzipped log into the log bucket.
fn put(project: &Project, aws: &Aws, key: &str, text: &str) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("a log");
    let file = project.path("log.gz");
    std::fs::write(&file, encoder.finish().expect("a log")).expect("a writable project");
    aws.run(&format!("s3api put-object --bucket {BUCKET} --key {key} --body {}", file.display()));
}

fn cluster(aws: &Aws) -> Option<String> {
    let all = aws.run("emr list-clusters");
    Some(all["Clusters"].as_array()?.first()?["Id"].as_str()?.to_owned())
}

/// What was said of the failure, without what differs from run to run.
fn told(run: &crate::support::cli::Run, project: &Project, ids: &[&str]) -> String {
    let text = &run.err[run.err.find("error:").expect("an error")..];
    let text = text.replace(&project.folder().display().to_string(), "");
    ids.iter().fold(text, |text, id| text.replace(id, "ID"))
}

#[test]
fn strict_a_failed_bootstrap_action_is_explained_by_its_stderr_and_its_line() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let project = project(&server.endpoint, &[("  idle_timeout", "  log4j_patch: false\n  idle_timeout")]);
    let aws = Aws::new(&server.endpoint, "us-west-2");
    server.control("POST", "inject", r#"{"emr": "bootstrap-failure"}"#);
    let run = project.local(&["apply", "--yes"]).expect(1);
    let id = cluster(&aws).expect("a cluster");
    let all = aws.run(&format!("emr list-instances --cluster-id {id}"));
    let nodes = all["Instances"].as_array().expect("machines").iter();
    let nodes: Vec<&str> = nodes.filter_map(|node| node["Ec2InstanceId"].as_str()).collect();
    insta::assert_snapshot!("bootstrap", told(&run, &project, &[&[id.as_str()], &nodes[..]].concat()));
}

#[test]
fn strict_a_log_that_does_not_come_is_said_to_come() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    // The patch is copied first: from then on no object can be read.
    let project = project(&server.endpoint, &[("start: with-apply", "start: on-demand")]);
    project.local(&["apply", "--yes"]).expect(0);
    project.edit(FILE, "start: on-demand", "start: with-apply");
    server.control("POST", "inject", r#"{"emr": "bootstrap-failure"}"#);
    server.control("POST", "fail", r#"{"operation": "GetObject", "code": "NoSuchKey", "status": 404, "times": 1000}"#);
    let run = project.local(&["apply", "--yes"]).expect(1);
    run.says(&["waiting for s3://", "the log4j patch stands at infra/checked.yaml:14", "its log is not there yet"]);
}

#[test]
fn strict_other_failures_are_explained_too() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let project = project(&server.endpoint, &[]);
    let aws = Aws::new(&server.endpoint, "us-west-2");
    for kind in ["no-capacity", "validation-error"] {
        server.control("POST", "inject", &format!(r#"{{"emr": "{kind}"}}"#));
        let run = project.local(&["apply", "--yes"]).expect(1);
        let id = cluster(&aws).expect("a cluster");
        let text = told(&run, &project, &[&id]);
        // How many steps there were differs from first run to second.
        let text = text.lines().filter(|line| !line.contains("steps done")).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(kind, text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_a_failed_step_is_explained_by_its_log() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let project = project(&server.endpoint, &[]);
    project.local(&["apply", "--yes"]).expect(0);
    let aws = Aws::new(&server.endpoint, "us-west-2");
    let id = cluster(&aws).expect("a cluster");
    server.control("POST", "inject", r#"{"emr": "step-failure"}"#);
    let added = aws.run(&format!(
        "emr add-steps --cluster-id {id} --steps Type=CUSTOM_JAR,Name=count,ActionOnFailure=CONTINUE,Jar=command-runner.jar,Args=[false]"
    ));
    let step = added["StepIds"][0].as_str().expect("a step").to_owned();
    let state = || {
        let told: Value = aws.run(&format!("emr describe-step --cluster-id {id} --step-id {step}"));
        (told["Step"]["Status"]["State"] == "FAILED").then_some(())
    };
    until("failed step", state);
    let seen = Seen::of(&project, &server.endpoint).await;
    let failed = steps::describe(&seen.cloud, &id, &step).await.expect("a step");
    let folder = Folder::of_step(&format!("s3n://{BUCKET}/emr/"), &id, &step);
    let explained = async || explain::step(&seen.cloud, &failed, folder.as_ref(), |_| {}).await.to_string();
    for stream in ["stderr", "stdout", "controller"] {
        aws.run(&format!("s3api delete-object --bucket {BUCKET} --key emr/{id}/steps/{step}/{stream}.gz"));
    }
    let late = explained().await;
    assert!(late.contains("will be at s3://") && late.contains(&format!("/{id}/steps/{step}/stderr.gz")), "{late}");
    // An empty stderr says nothing, the controller does.
    put(&project, &aws, &format!("emr/{id}/steps/{step}/stderr.gz"), "");
    put(
        &project,
        &aws,
        &format!("emr/{id}/steps/{step}/controller.gz"),
        "INFO start\nWARN Step failed with exitCode 1\n",
    );
    insta::assert_snapshot!("step", explained().await.replace(&id, "ID").replace(&step, "STEP"));
    assert!(project.read(FILE).contains("idle_timeout"));
}
