//! What goes wrong on purpose, each time on a cloud of the test's own: what is injected is injected for all of it.

use serde_json::Value;

use super::{cluster, destroy, id, last_event, project, status, with_cluster};
use crate::support::server::Server;

fn inject(server: &Server, what: &str) {
    server.control("POST", "inject", &format!(r#"{{"emr": "{what}"}}"#));
}

#[test]
fn a_start_that_fails_is_explained_and_the_next_one_succeeds() {
    let server = Server::under_test();
    let (project, _) = project(&server.endpoint);
    project.local(&["apply", "--yes"]).expect(0);
    for (injected, told) in [
        ("bootstrap-failure", &["BOOTSTRAP_FAILURE", "a bootstrap action failed on a node"][..]),
        ("no-capacity", &["INTERNAL_ERROR", "insufficient capacity", "Try another instance type"]),
        ("validation-error", &["VALIDATION_ERROR", "found what it was asked for to be wrong"]),
    ] {
        inject(&server, injected);
        let failed = cluster(&project, &["up", "--yes"]).expect(1).says(told);
        failed.says(&["cannot create emr_cluster/main", "infra/cluster.yaml:"]);
        let none = status(&project);
        assert_eq!(none["cluster"], Value::Null, "{none}");
        let reason = none["last"]["reason"].as_str().expect("a reason");
        assert!(reason.contains(told[0]), "{reason}");
    }
    cluster(&project, &["up", "--yes"]).expect(0);
    cluster(&project, &["down"]).expect(0);
    destroy(&project);
}

#[test]
fn a_job_that_fails_fails_its_command() {
    let server = Server::under_test();
    let (project, _) = with_cluster(&server.endpoint);
    inject(&server, "step-failure");
    let failed = cluster(&project, &["submit", "s3://somewhere/job.py"]).expect(1);
    failed.says(&["is FAILED", "Unknown Error", "/stderr.gz:\n  | RuntimeError: failed on purpose", "cluster logs s-"]);
    inject(&server, "step-failure");
    let failed = cluster(&project, &["submit", "--json", "s3://somewhere/job.py"]).expect(1);
    assert_eq!(last_event(&failed)["state"], "FAILED");
    // The cluster goes on.
    assert_eq!(status(&project)["cluster"]["state"], "WAITING");
    destroy(&project);
}

#[test]
fn ctrl_c_leaves_the_job_and_down_asks_about_it() {
    let server = Server::under_test();
    let (project, _) = with_cluster(&server.endpoint);
    inject(&server, "step-hang");
    let submit = ["--local", "cluster", "submit", "s3://somewhere/job.py"];
    let mut running = project.start(&server.endpoint, &submit);
    running.until("is RUNNING");
    running.interrupt();
    let left = running.end().expect(130).says(&["goes on", "--follow", "steps cancel s-"]);
    let listed = cluster(&project, &["steps", "--json"]).expect(0).json();
    let step = listed[0]["id"].as_str().expect("an id").to_owned();
    assert!(left.err.contains(&step) && listed[0]["state"] == "RUNNING", "{listed}");
    let told = status(&project);
    assert_eq!(
        (&told["cluster"]["running"][0]["id"], &told["cluster"]["idle_since"]),
        (&step.as_str().into(), &Value::Null)
    );

    // The same command again follows it; there is no second step.
    let again = cluster(&project, &["submit", "--detach", "s3://somewhere/job.py"]).expect(0);
    assert_eq!(again.says(&["already", "--again"]).out.trim(), step);
    let other = cluster(&project, &["submit", "--detach", "--again", "s3://somewhere/job.py"]).expect(0).out;
    assert_ne!(other.trim(), step);

    let ours = id(&project);
    cluster(&project, &["down"]).expect(1).says(&[&step, "RUNNING", "PENDING", "no terminal", "nothing was changed"]);
    assert_eq!(id(&project), ours);
    let no = project.on_terminal(100, &["--local", "cluster", "down"], "Only `yes`", "no\n").expect(1);
    assert!(no.out.contains("2 steps with it") && no.out.contains("nothing was changed"), "{}", no.out);
    cluster(&project, &["steps", "cancel", &step, other.trim()]).expect(0).says(&["is being cancelled"]);
    let gone = cluster(&project, &["steps", "--json"]).expect(0).json();
    assert!(gone.as_array().unwrap().iter().all(|step| step["state"] == "CANCELLED"), "{gone}");
    cluster(&project, &["down"]).expect(0).says(&["No step runs", "has ended"]);
    destroy(&project);
}

#[test]
fn down_ends_a_busy_cluster_where_yes_was_said() {
    let server = Server::under_test();
    let (project, _) = with_cluster(&server.endpoint);
    inject(&server, "step-hang");
    let step = cluster(&project, &["submit", "--detach", "s3://somewhere/job.py"]).expect(0).out;
    cluster(&project, &["down", "--yes"]).expect(0).says(&[step.trim(), "has ended", "Verified"]);
    let listed = cluster(&project, &["steps", "--json"]).expect(0).json();
    assert_eq!(listed[0]["state"], "CANCELLED", "those of the cluster that ended last: {listed}");
    destroy(&project);
}

#[test]
fn a_cluster_that_starts_or_ends_is_waited_for() {
    let server = Server::under_test();
    let (project, _) = project(&server.endpoint);
    project.local(&["apply", "--yes"]).expect(0);
    // Minutes, as on AWS: it does not end by itself before the test has looked.
    server.control("POST", "speed", r#"{"speed": "real"}"#);
    let mut starting = project.start(&server.endpoint, &["--local", "cluster", "up", "--yes"]);
    starting.until("STARTING, 0 of 3 nodes run, after 0 s; typically ready within 8 minutes");
    let begun = id(&project);
    starting.kill();
    // It costs nothing more: nobody is asked.
    let mut again = project.start(&server.endpoint, &["--local", "cluster", "up"]);
    again.until(&format!("cluster {begun}: STARTING"));
    again.kill();
    assert_eq!(id(&project), begun);
    cluster(&project, &["resize", "core=3"]).expect(1).says(&["is STARTING", "cluster up` waits"]);
    cluster(&project, &["ssh"]).expect(1).says(&[&begun, "is not ready yet: it is STARTING", "cluster up` waits"]);
    for _ in 0..2 {
        let mut ending = project.start(&server.endpoint, &["--local", "cluster", "down"]);
        ending.until(&format!("waiting for cluster {begun} to end"));
        ending.kill();
    }
    let told = status(&project);
    assert_eq!((&told["cluster"]["id"], &told["cluster"]["state"]), (&begun.as_str().into(), &"TERMINATING".into()));
    for verb in [&["submit", "s3://somewhere/job.py"][..], &["ssh", "--json"]] {
        cluster(&project, verb).expect(1).says(&[&begun, "is ending", "cluster up"]);
    }
}
