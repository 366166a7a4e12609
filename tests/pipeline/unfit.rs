//! A template's folder that holds nothing that can be deployed: who is about what is deployed goes on without it.

use super::Daily;
use crate::support::{
    cli::{Run, Running},
    server::Server,
};

const DATE: &str = "2020-01-02";

/// Two versions are deployed; then somebody breaks the folder.
fn broken() -> (Server, Daily, String) {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let daily = Daily::at(&server.endpoint);
    // What EMR says is believed: nobody makes what the jobs would.
    daily.edit("pipeline.yaml", "    output: \"{{ folders.clean }}{{ date_path }}/_SUCCESS\"\n", "");
    daily.local(&["apply", "--yes"]).expect(0);
    let first = daily.version();
    daily.edit("jobs/clean.py", "clean", "cleaner");
    daily.local(&["pipeline", "deploy", "--yes"]).expect(0);
    daily.edit("pipeline.yaml", "{{ settings.rows }}", "{{ settings.rwos }}");
    (server, daily, first)
}

fn clusters(daily: &Daily) -> Vec<String> {
    let listed = daily.aws().run("emr list-clusters --query Clusters[].Status.State");
    listed.as_array().expect("states").iter().map(|state| state.as_str().expect("a state").to_owned()).collect()
}

#[test]
fn strict_what_is_deployed_runs_and_goes_back_whatever_the_folder_holds() {
    let (_server, daily, first) = broken();
    let second = daily.version();
    let nothing = ["the folder holds nothing that can be deployed", "`infra --local validate` says why"];
    let mistake = ["the variable `settings.rwos` has no value", "templates/daily/pipeline.yaml:8"];
    let pipeline = |arguments: &[&str]| -> Run { daily.local(&[&["pipeline"], arguments].concat()) };
    for verb in [&["validate"][..], &["plan"], &["apply", "--yes"], &["verify"], &["pipeline", "deploy", "--yes"]] {
        daily.local(verb).expect(1).says(&mistake);
    }
    pipeline(&["run", "--yes", "--date", DATE]).expect(0).says(&nothing);
    assert_eq!(clusters(&daily), ["TERMINATED"]);
    let status = pipeline(&["status"]).expect(0);
    assert!(nothing.iter().all(|text| status.out.contains(text)) && status.out.contains(DATE), "{status:?}");
    assert!(pipeline(&["status", "--json"]).expect(0).json()["in_folder"].is_null());
    daily.local(&["cluster", "up", "--yes"]).expect(0);
    let down = daily.local(&["cluster", "down", "--yes"]).expect(0);
    assert!(!down.err.contains("bucket_object"), "code that is deployed is no orphan: {down:?}");

    pipeline(&["deploy", "--version", &first, "--yes"]).expect(0);
    assert_eq!((daily.version(), daily.keys().iter().any(|key| key.contains(&second))), (first.clone(), true));

    // The manifest alone says what a host has of a version.
    daily.project.write("templates/daily/pipeline.yaml", "jobs: [\n");
    pipeline(&["run", "--yes", "--date", DATE, "--again"]).expect(0).says(&nothing);
    pipeline(&["deploy", "--version", &second, "--yes"]).expect(1).says(&["templates/daily/pipeline.yaml:"]);
    assert_eq!(daily.version(), first);

    pipeline(&["destroy", "--yes"]).expect(0);
    assert!(!daily.keys().iter().any(|key| key.starts_with("cod/daily/")), "{:?}", daily.keys());
    daily.local(&["destroy", "--yes", "--empty-buckets"]).expect(0);
}

#[test]
fn strict_a_run_ends_its_cluster_also_where_the_spec_was_broken_meanwhile() {
    let (server, daily, _) = broken();
    server.control("POST", "inject", &serde_json::json!({ "emr": "step-hang" }).to_string());
    let command = daily.project.command(None, &["--local", "pipeline", "run", "--yes", "--date", DATE]);
    let mut running = Running::start(command);
    running.until("extract: RUNNING");
    daily.project.write("infra/daily.yaml", "stack: [\n");
    running.interrupt();
    running.end().expect(130).says(&["is ended"]);
    assert_eq!(clusters(&daily), ["TERMINATED"]);
}
