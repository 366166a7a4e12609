//! `infra local inject`: failures that are made to happen.

use crate::support::{cli::Project, server::Server};

#[test]
fn a_failure_is_armed_as_often_as_said_and_disarmed() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let (project, _) = Project::small(&server.endpoint);
    // What is armed is told by arming one more.
    let armed = || server.control("POST", "inject", r#"{"emr": "step-hang", "times": 0}"#)["armed"].clone();
    let run = project.run(&["local", "inject", "step-failure", "--times", "2"]).expect(0);
    run.says(&["The next 2 steps will fail on purpose, with logs."]);
    assert_eq!(armed()["step-failure"], 2);
    project.run(&["local", "inject", "bootstrap-failure"]).expect(0).says(&["The next cluster will fail"]);
    assert_eq!(armed()["bootstrap-failure"], 1);
    project.run(&["local", "inject", "none"]).expect(0).says(&["Nothing fails on purpose any more."]);
    assert_eq!(armed(), serde_json::json!({ "step-hang": 0 }));
}

#[test]
fn every_failure_that_the_command_knows_the_local_cloud_knows_too() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let (project, _) = Project::small(&server.endpoint);
    for failure in ["bootstrap-failure", "no-capacity", "validation-error", "step-hang", "step-failure", "none"] {
        project.run(&["local", "inject", failure]).expect(0);
    }
    let help = project.run(&["local", "inject", "--help"]).expect(0).out;
    assert!(help.contains("infra local inject step-failure --times 2") && help.contains("no-capacity"), "{help}");
}

#[test]
fn a_misspelt_failure_is_answered_with_the_right_one() {
    let (project, _) = Project::small("http://127.0.0.1:9");
    project.run(&["local", "inject", "no-capacty"]).expect(2).says(&["'no-capacity'", "similar"]);
    project.run(&["local", "inject", "step-hang", "--times", "0"]).expect(2);
}

#[test]
fn without_a_local_cloud_it_says_how_one_is_started() {
    let (project, _) = Project::small("http://127.0.0.1:9");
    let mut command = project.command(None, &["local", "inject", "no-capacity"]);
    let run: crate::support::cli::Run = command.env_remove("INFRA_LOCAL_ENDPOINT").output().expect("it starts").into();
    run.expect(1).says(&["the local cloud does not run", "infra local up"]);
}
