//! `infra cluster submit` and `steps`: which job, how it is handed over, and never twice.

use std::process::Command;

use serde_json::Value;

use super::{cluster, destroy, id, last_event, with_cluster};
use crate::support::{
    aws::Aws,
    cli::{Project, Run, Running},
    proxy::{Behaviour, Proxy},
    world::{REGION, endpoint},
};

/// The steps of the stack's cluster, the newest first.
fn steps(project: &Project) -> Vec<Value> {
    cluster(project, &["steps", "--json"]).expect(0).json().as_array().expect("a list").clone()
}

/// What the newest step runs.
fn command(project: &Project) -> Vec<String> {
    let (cluster, step) = (id(project), steps(project)[0]["id"].as_str().expect("an id").to_owned());
    let words = format!("emr describe-step --cluster-id {cluster} --step-id {step} --query Step.Config");
    let config = Aws::new(&endpoint(), REGION).run(&words);
    assert_eq!(config["Jar"], "command-runner.jar");
    config["Args"].as_array().expect("arguments").iter().map(|word| word.as_str().expect("a text").to_owned()).collect()
}

/// The keys in the stack's lake below `cod/`.
fn uploads(stack: &str) -> Vec<String> {
    let words = format!("s3api list-objects-v2 --bucket {stack}-lake --prefix cod/ --query Contents[].Key");
    let keys = Aws::new(&endpoint(), REGION).run(&words);
    let keys = keys.as_array().expect("keys").iter().map(|key| key.as_str().expect("a text").to_owned());
    keys.filter(|key| key != "cod/").collect()
}

#[test]
fn a_local_file_is_uploaded_by_content_and_submitted() {
    let (project, stack) = with_cluster(&endpoint());
    project.write("count.py", "print(1)\n");
    project.write("helper.py", "x = 1\n");
    let arguments = ["--conf", "spark.executor.memory=2g", "--py-files", "helper.py", "count.py", "--top", "3"];
    let run = cluster(&project, &[&["submit", "--detach"], &arguments[..]].concat()).expect(0);
    let step = run.says(&["count.py is in S3 now: s3://"]).out.trim().to_owned();
    let listed = steps(&project);
    assert_eq!(listed[0]["id"], step.as_str());
    assert!(listed[0]["name"].as_str().unwrap().starts_with("count.py ["), "{listed:?}");
    let first = uploads(&stack);
    assert_eq!(first.len(), 2, "{first:?}");
    let uri = |name: &str| {
        let key = first.iter().find(|key| key.ends_with(&format!("/{name}"))).expect("an upload");
        format!("s3://{stack}-lake/{key}")
    };
    let expected = format!(
        "spark-submit --deploy-mode cluster --conf spark.executor.memory=2g --py-files {} {} --top 3",
        uri("helper.py"),
        uri("count.py")
    );
    assert_eq!(command(&project).join(" "), expected);

    // Another content is another object; the first one, which a step may be reading, stays.
    project.write("count.py", "print(2)\n");
    cluster(&project, &["submit", "--detach", "--name", "second", "count.py"]).expect(0);
    assert_eq!(uploads(&stack).len(), 3);
    assert!(first.iter().all(|key| uploads(&stack).contains(key)));
    assert!(command(&project).join(" ").starts_with("spark-submit --deploy-mode cluster --name second s3://"));
    destroy(&project);
}

#[test]
fn a_name_in_the_code_folder_and_a_uri_are_taken_as_they_are() {
    let (project, stack) = with_cluster(&endpoint());
    project.write("job.txt", "print(1)\n");
    let body = project.path("job.txt");
    let aws = Aws::new(&endpoint(), REGION);
    aws.run(&format!("s3api put-object --bucket {stack}-lake --key cod/clean.py --body {}", body.display()));
    cluster(&project, &["submit", "--detach", "--deploy-mode", "client", "clean.py"]).expect(0);
    let program = format!("s3://{stack}-lake/cod/clean.py");
    assert_eq!(command(&project), ["spark-submit", "--deploy-mode", "client", &program]);
    cluster(&project, &["submit", "clen.py"])
        .expect(1)
        .says(&["there is no job `clen.py`", "did you mean `clean.py`?"]);
    cluster(&project, &["submit", "--detach", "--class", "org.example.Main", "s3://somewhere/else.jar"]).expect(0);
    assert_eq!(command(&project)[3..], ["--class", "org.example.Main", "s3://somewhere/else.jar"]);
    for (wrong, told) in [
        (&["submit", "s3://somewhere"][..], "names no object"),
        (&["submit", "infra"], "is a folder"),
        (&["submit", "--conf", "memory", "clean.py"], "expected KEY=VALUE"),
        (&["submit", "--pipeline", "none", "clean.py"], "no pipeline `none`"),
    ] {
        cluster(&project, wrong).expect(1).says(&[told]);
    }
    project.write("broken.py", "import sys\nprint(sys.argv\n");
    let told = ["this is not Python: ", "broken.py:"];
    let python3 = ["--conf", "spark.pyspark.python=/usr/bin/python3"];
    cluster(&project, &[&["submit"][..], &python3, &["broken.py"]].concat()).expect(1).says(&told);
    cluster(&project, &[&["submit"][..], &python3, &["--py-files", "broken.py", "clean.py"]].concat())
        .expect(1)
        .says(&told);
    let long = "x".repeat(10_300);
    cluster(&project, &["submit", "clean.py", &long]).expect(1).says(&["10240 characters"]);
    assert_eq!(steps(&project).len(), 2, "what is wrong is not handed over");
    destroy(&project);
}

/// Submits through a proxy that takes the request to EMR and brings no answer back.
async fn unanswered(project: &Project, arguments: &[&str]) -> Run {
    let proxy = Proxy::start(&endpoint(), Behaviour::default()).await;
    proxy.cut_at("AddJobFlowSteps");
    let mut command: Command = project.command(Some(&proxy.endpoint), &[&["--local", "cluster"], arguments].concat());
    command.stdin(std::process::Stdio::null());
    tokio::task::spawn_blocking(|| Running::start(command).end()).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_whose_answer_was_lost_is_found_and_not_sent_again() {
    let (project, _) = with_cluster(&endpoint());
    let run = unanswered(&project, &["submit", "--detach", "s3://somewhere/job.py"]).await.expect(0);
    let listed = steps(&project);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["id"], run.out.trim());
    destroy(&project);
}

#[test]
fn strict_a_job_ends_as_its_step_and_may_run_again_after_it() {
    let (project, _) = with_cluster(&endpoint());
    let run =
        cluster(&project, &["submit", "s3://somewhere/job.py"]).expect(0).says(&["is COMPLETED", "cluster logs s-"]);
    assert_eq!(run.out, "", "{run:?}");
    // Nobody is to take it for done.
    run.says(&["note: the local cloud does not really run steps", "`infra local up --spark`"]);
    let run = cluster(&project, &["submit", "--json", "s3://somewhere/job.py"]).expect(0);
    let ended = last_event(&run);
    assert_eq!((ended["event"].as_str(), ended["state"].as_str()), (Some("ended"), Some("COMPLETED")), "{ended}");
    let listed = steps(&project);
    assert_eq!(listed.len(), 2, "the first had ended: {listed:?}");
    let table = cluster(&project, &["steps"]).expect(0).out;
    assert!(table.contains("TOOK") && table.matches("COMPLETED").count() == 2, "{table}");
    // What has ended cannot be cancelled, and nothing is wrong with that.
    cluster(&project, &["steps", "cancel", "latest"]).expect(0).says(&["has ended already: COMPLETED"]);
    cluster(&project, &["steps", "cancel", "s-NONE"]).expect(1).says(&["has no step `s-NONE`", "cluster steps"]);
    destroy(&project);
}
