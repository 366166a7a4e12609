//! `infra cluster`, as a user runs it, off a terminal, on the cloud under test.
//!
//! What stock moto cannot show (its clusters and steps go through no states) has `strict` in its name.

mod interrupted;
mod jobs;
mod life;
mod logs;
mod others;
mod sizes;
mod strict;
mod whole;

use serde_json::Value;

use crate::support::cli::{Project, Run, root, unique};

/// A project with one spec, `infra/cluster.yaml`, of a stack with a cluster whose name no other test has; returns the
/// name too.
fn project(endpoint: &str) -> (Project, String) {
    let stack = unique();
    let project = Project::empty(endpoint);
    let text = std::fs::read_to_string(root().join("tests/cases/cluster.yaml")).expect("the spec with a cluster");
    project.write("infra/cluster.yaml", &text.replace("STACK", &stack));
    (project, stack)
}

/// The same with the cluster up.
#[track_caller]
fn with_cluster(endpoint: &str) -> (Project, String) {
    let (project, stack) = project(endpoint);
    project.local(&["apply", "--yes"]).expect(0);
    cluster(&project, &["up", "--yes"]).expect(0);
    (project, stack)
}

/// Runs `infra cluster …` to its end.
fn cluster(project: &Project, arguments: &[&str]) -> Run {
    project.local(&[&["cluster"], arguments].concat())
}

/// What `infra cluster status --json` tells.
#[track_caller]
fn status(project: &Project) -> Value {
    cluster(project, &["status", "--json"]).expect(0).json()
}

/// The id of the cluster that is there.
#[track_caller]
fn id(project: &Project) -> String {
    let status = status(project);
    status["cluster"]["id"].as_str().unwrap_or_else(|| panic!("no cluster in {status}")).to_owned()
}

/// The last of the JSON lines that a run printed.
#[track_caller]
fn last_event(run: &Run) -> Value {
    let line = run.out.lines().last().unwrap_or_else(|| panic!("nothing was printed: {run:?}"));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// Leaves nothing behind.
#[track_caller]
fn destroy(project: &Project) {
    project.local(&["destroy", "--yes", "--empty-buckets"]).expect(0);
}
