//! `infra cluster resize`.

use serde_json::json;

use super::{cluster, destroy, id, last_event, project, status, with_cluster};
use crate::support::{cli::Project, world::endpoint};

/// How many machines were asked for, by group.
fn sizes(project: &Project) -> Vec<(String, u64)> {
    let status = status(project);
    let nodes = status["cluster"]["nodes"].as_array().expect("groups").clone();
    let size =
        |group: &serde_json::Value| (group["group"].as_str().unwrap().to_owned(), group["requested"].as_u64().unwrap());
    nodes.iter().map(size).collect()
}

fn named(sizes: &[(&str, u64)]) -> Vec<(String, u64)> {
    sizes.iter().map(|(group, size)| ((*group).to_owned(), *size)).collect()
}

#[test]
fn groups_change_in_place_and_the_spec_s_line_is_named() {
    let (project, _) = with_cluster(&endpoint());
    let first = id(&project);
    // Whatever else differs by now stays as it is.
    project.edit("infra/cluster.yaml", "core: { type: m5.xlarge, count: 2 }", "core: { type: m5.2xlarge, count: 2 }");
    project.edit("infra/cluster.yaml", "count: 2", "count: 3");
    let run = cluster(&project, &["resize", "core=4"]).expect(0).says(&["core.count: 2 -> 4", "says 3 for `core`"]);
    assert!(run.err.contains("infra/cluster.yaml:") && !run.err.contains("REPLACE"), "{}", run.err);
    assert_eq!(sizes(&project), named(&[("master", 1), ("core", 4)]));
    let again = cluster(&project, &["resize", "core=4"]).expect(0).says(&["has these sizes already"]);
    assert!(!again.err.contains("Done:"), "{}", again.err);

    // A task group comes, in the core group's type as the spec has none, grows, and is emptied.
    cluster(&project, &["resize", "task=1", "core=3"]).expect(0).says(&["names no such group for `task`"]);
    assert_eq!(sizes(&project), named(&[("master", 1), ("core", 3), ("task", 1)]));
    let event = last_event(&cluster(&project, &["resize", "task=2", "--json"]).expect(0));
    assert_eq!(event["sizes"], json!({ "task": 2 }));
    assert_eq!(
        (&event["spec_says_otherwise"][0]["group"], &event["spec_says_otherwise"][0]["count"]),
        (&json!("task"), &json!(null))
    );
    cluster(&project, &["resize", "tasks=0"]).expect(0);
    assert_eq!(sizes(&project), named(&[("master", 1), ("core", 3), ("task", 0)]));
    assert_eq!(id(&project), first, "it is the same cluster");
    project.edit("infra/cluster.yaml", "m5.2xlarge", "m5.xlarge");
    project.local(&["verify"]).expect(0);

    // What the spec says otherwise is what the next apply goes back to.
    cluster(&project, &["resize", "core=5"]).expect(0);
    assert_eq!(project.local(&["plan", "--json"]).expect(0).steps(), ["update emr_cluster/main core.count"]);
    destroy(&project);
}

#[test]
fn a_task_group_is_added_in_the_type_that_was_asked_for() {
    let (project, _) = with_cluster(&endpoint());
    cluster(&project, &["resize", "task=2", "--type", "m5.2xlarge"]).expect(0);
    let task = status(&project)["cluster"]["nodes"][2].clone();
    assert_eq!((&task["group"], &task["instance_types"]), (&json!("task"), &json!(["m5.2xlarge"])));
    cluster(&project, &["resize", "task=3", "--type", "m5.xlarge"])
        .expect(1)
        .says(&["is for a task group that is added"]);
    destroy(&project);
}

#[test]
fn what_cannot_change_so_is_refused() {
    let (project, _) = with_cluster(&endpoint());
    for (size, told) in [
        ("cor=3", &["`cor` is no group", "did you mean `core=3`?"][..]),
        ("zookeeper=3", &["`zookeeper` is no group", "core, task"]),
        ("core.spot=3", &["is no group of this cluster, which has groups"]),
        ("master=3", &["fixed at the cluster's birth", "infra/cluster.yaml:", "replaces the cluster, and asks"]),
        ("core", &["expected GROUP=COUNT"]),
        ("core=many", &["`many` is no number of machines"]),
        ("core=-1", &["`-1` is no number of machines"]),
        ("core=0", &["keeps at least one machine", "cluster down"]),
        ("task=99999999", &["is no number of machines"]),
    ] {
        cluster(&project, &["resize", size]).expect(1).says(told);
    }
    cluster(&project, &["resize", "core=3", "workers=4"]).expect(1).says(&["another number"]);
    cluster(&project, &["resize"]).expect(2);
    assert_eq!(sizes(&project), named(&[("master", 1), ("core", 2)]));
    destroy(&project);
}

#[test]
fn strict_fleets_are_told_apart_from_groups() {
    let (project, _) = project(&endpoint());
    project.edit(
        "infra/cluster.yaml",
        "  master: m5.xlarge\n  core: { type: m5.xlarge, count: 2 }\n",
        "  fleets:\n    master: { on_demand: 1, types: [m5.xlarge] }\n    core: { on_demand: 2, types: [m5.xlarge] }\n",
    );
    project.local(&["apply", "--yes"]).expect(0);
    cluster(&project, &["up", "--yes"]).expect(0);
    cluster(&project, &["resize", "core=3"]).expect(1).says(&["which has fleets"]);
    destroy(&project);
}
