//! `infra cluster reap`.

use std::{thread, time::Duration};

use infra::{
    cloud::Cloud,
    cluster::idle::{self, Limits, Verdict, Yarn},
    resources::EmrCluster,
};

use super::{FILE, Seen, project};
use crate::support::{aws::Aws, server::Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_an_idle_cluster_ends_a_busy_one_and_another_stack_s_stay() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let aws = Aws::new(&server.endpoint, "us-west-2");
    let mine = project(&server.endpoint, &[]);
    mine.local(&["cluster", "reap"]).expect(0).says(&[]);
    assert_eq!(mine.local(&["cluster", "reap"]).expect(0).out, "no cluster is up\n");
    mine.local(&["apply", "--yes"]).expect(0);
    let other = project(
        &server.endpoint,
        &[("stack: checked", "stack: others"), ("10.0.0.0/16", "10.9.0.0/16"), ("10.0.0.0/24", "10.9.0.0/24")],
    );
    other.local(&["apply", "--yes"]).expect(0);
    let id = mine.id(&[], "emr_cluster/main");
    // Busy.
    server.control("POST", "inject", r#"{"emr": "step-hang"}"#);
    let added = aws.run(&format!(
        "emr add-steps --cluster-id {id} --steps Type=CUSTOM_JAR,Name=long,ActionOnFailure=CONTINUE,Jar=command-runner.jar,Args=[true]"
    ));
    let step = added["StepIds"][0].as_str().expect("a step");
    let stays = mine.local(&["cluster", "reap"]).expect(0).out;
    assert_eq!(stays, format!("cluster {id} stays: 1 step is running or waiting\n"));
    let seen = Seen::of(&mine, &server.endpoint).await;
    let limits = Limits::of(seen.spec.cluster.as_ref().expect("a cluster"));
    let far = i64::MAX / 2;
    let known = seen.known().await;
    let there = known.find::<Cloud, EmrCluster>("main").expect("the cluster");
    let activity = idle::activity(&seen.cloud, there, Yarn::Idle(None)).await.expect("an answer");
    assert!(matches!(idle::judge(limits, &activity, far), Verdict::Stay(_)), "{activity:?}");
    aws.run(&format!(
        "emr cancel-steps --cluster-id {id} --step-ids {step} --step-cancellation-option TERMINATE_PROCESS"
    ));
    // Not idle for long enough yet; a plan changes nothing; the reason says that YARN was not asked.
    let planned = mine.local(&["cluster", "reap", "--plan", "--json"]).expect(0).json();
    assert_eq!(
        (planned["cluster"].as_str(), planned["verdict"].as_str()),
        (Some(id.as_str()), Some("stays")),
        "{planned}"
    );
    assert!(planned["reason"].as_str().expect("a reason").contains("YARN could not be asked"), "{planned}");
    thread::sleep(Duration::from_secs(61));
    let planned = mine.local(&["cluster", "reap", "--plan"]).expect(0).out;
    assert!(planned.starts_with(&format!("cluster {id} would end: it has idled for 1 min")), "{planned}");
    let ended = mine.local(&["cluster", "reap"]).expect(0).out;
    assert!(ended.starts_with(&format!("cluster {id} ended: it has idled for 1 min")), "{ended}");
    assert_eq!(mine.local(&["cluster", "reap"]).expect(0).out, "no cluster is up\n");
    // The other stack's stands, and so does all else of this one.
    other.local(&["verify"]).expect(0);
    assert_eq!(mine.local(&["plan", "--json"]).expect(0).steps(), ["create emr_cluster/main"]);
}

#[test]
fn strict_a_cluster_that_is_too_old_ends_whatever_it_does() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let project = project(&server.endpoint, &[("idle_timeout: 1m", "max_lifetime: 1s")]);
    project.local(&["apply", "--yes"]).expect(0);
    thread::sleep(Duration::from_secs(2));
    project.edit(FILE, "max_lifetime: 1s", "max_lifetime: 1s\n  termination_protection: true");
    project.local(&["apply", "--yes"]).expect(0);
    // What is protected is refused.
    project.local(&["cluster", "reap"]).expect(1).says(&["termination protection is on"]);
    project.edit(FILE, "termination_protection: true", "termination_protection: false");
    project.local(&["apply", "--yes"]).expect(0);
    let ended = project.local(&["cluster", "reap"]).expect(0).out;
    assert!(ended.contains("ended: it has lived for"), "{ended}");
    project.edit(FILE, "  max_lifetime: 1s\n", "");
    project.local(&["cluster", "reap"]).expect(1).says(&["may idle and live for ever", "idle_timeout: 1h"]);
}
