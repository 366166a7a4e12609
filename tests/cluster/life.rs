//! Up and down.

use serde_json::{Value, json};

use super::{cluster, destroy, id, last_event, project, status, with_cluster};
use crate::support::{
    cli::{Project, unique},
    world::endpoint,
};

#[test]
fn up_makes_what_the_cluster_needs_and_down_leaves_the_rest() {
    let (project, stack) = project(&endpoint());
    let none = cluster(&project, &["status"]).expect(0);
    assert_eq!(none.out, format!("Stack {stack} has no cluster.\n"));
    assert_eq!(status(&project), json!({ "cluster": null, "last": null, "others": [] }));

    // It costs money: nobody who could say yes, no cluster.
    cluster(&project, &["up"]).expect(1).says(&[
        "create   emr_cluster/main",
        "no terminal",
        "nothing was changed",
        "--yes",
    ]);
    assert_eq!(project.local(&["status", "--json"]).expect(0).json(), json!({}));

    let up =
        cluster(&project, &["up", "--yes"]).expect(0).says(&["created emr_cluster/main", "can work", "cluster down"]);
    let first = id(&project);
    assert!(up.out.contains(&first), "{}", up.out);
    // What the cluster does not wait for was left alone.
    let mut left = project.local(&["plan", "--json"]).expect(0).steps();
    left.sort();
    assert_eq!(left, ["create bucket_folder/lake/cod", "create bucket_folder/lake/raw", "create iam_role/other"]);

    let again = cluster(&project, &["up", "--yes"]).expect(0).says(&[&first, "runs already"]);
    assert!(!again.err.contains("Done:"), "{}", again.err);
    assert_eq!(last_event(&cluster(&project, &["up", "--json"]).expect(0))["already"], true);

    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["verify"]).expect(0);
    let shown = cluster(&project, &["status"]).expect(0).out;
    for text in
        [&first, "WAITING: ready, without work", "2 of 2 run", "emr-5.29.0: Hadoop, Spark", "none runs or waits"]
    {
        assert!(shown.contains(text), "no {text:?} in\n{shown}");
    }
    let told = status(&project);
    let now = &told["cluster"];
    assert_eq!(
        now["nodes"][0],
        json!({ "group": "master", "instance_types": ["m5.xlarge"], "running": 1, "requested": 1 })
    );
    assert!(now["idle_since"].is_string() && now["running"] == json!([]), "{told}");

    // Nothing runs on it: nobody is asked.
    let down = cluster(&project, &["down"]).expect(0);
    let down = down.says(&[&first, "deleted emr_cluster/main", "has ended", "Verified: the rest of the stack stands"]);
    assert!(!down.err.contains("note:"), "{}", down.err);
    project.local(&["verify"]).expect(0);
    cluster(&project, &["down"]).expect(0).says(&["has no cluster", "Verified: the rest of the stack stands"]);
    let event = last_event(&cluster(&project, &["down", "--json"]).expect(0));
    assert_eq!((&event["verified"], &event["clusters"]), (&json!(true), &json!([])), "{event}");

    let told = status(&project);
    assert_eq!((&told["cluster"], &told["last"]["id"]), (&Value::Null, &json!(first)), "{told}");
    cluster(&project, &["status"]).expect(0);
    destroy(&project);
}

#[test]
fn a_second_cluster_takes_the_place_of_one_that_ended() {
    let (project, _) = with_cluster(&endpoint());
    let first = id(&project);
    cluster(&project, &["down"]).expect(0);
    let event = last_event(&cluster(&project, &["up", "--yes", "--json"]).expect(0));
    let second = id(&project);
    assert_ne!(first, second);
    assert_eq!((&event["event"], &event["id"], &event["already"]), (&json!("cluster"), &json!(second), &json!(false)));
    // Steps and logs of the first can be asked for by its id.
    cluster(&project, &["steps", "--cluster", &first]).expect(0);
    destroy(&project);
}

#[test]
fn strict_the_network_of_the_shipped_stack_is_untouched_by_its_cluster() {
    let project = Project::new(&endpoint(), Some(&unique()));
    let on = |arguments: &[&str]| project.local(&[&["-f", "nyc311"], arguments].concat()).expect(0);
    on(&["apply", "--yes"]);
    on(&["cluster", "up", "--yes"]);
    // EMR has added rules to the three groups of a private subnet by now.
    on(&["verify"]);
    on(&["cluster", "down"]).says(&["Verified: the rest of the stack stands as the spec says"]);
    on(&["destroy", "--yes", "--empty-buckets"]);
}

#[test]
fn down_says_where_the_rest_is_not_as_the_spec_says() {
    let (project, _) = with_cluster(&endpoint());
    project.edit("infra/cluster.yaml", "tags: { project: tests }", "tags: { project: others }");
    let down = cluster(&project, &["down"]).expect(0);
    down.says(&["has ended", "stands as it did", "not as the spec says", "infra --local plan"]);
    destroy(&project);
}

#[test]
fn a_spec_with_mistakes_keeps_no_cluster_up() {
    let (project, stack) = with_cluster(&endpoint());
    let first = id(&project);
    project.edit("infra/cluster.yaml", "  release: emr-5.29.0", "  relaese: emr-5.29.0");
    cluster(&project, &["up", "--yes"]).expect(1).says(&["unknown field `relaese`"]);
    // Whose it is must be known: no other stack's is taken for it.
    project.edit("infra/cluster.yaml", "region: us-west-2", "region: us-west-9");
    cluster(&project, &["down", "--yes"]).expect(1).says(&["us-west-9"]);
    project.edit("infra/cluster.yaml", "region: us-west-9", "region: us-west-2");
    project.edit("infra/cluster.yaml", &format!("stack: {stack}"), &format!("stack: {stack}x"));
    cluster(&project, &["down", "--yes"]).expect(0).says(&[&format!("Stack {stack}x has no cluster")]);
    project.edit("infra/cluster.yaml", &format!("stack: {stack}x"), &format!("stack: {stack}"));
    let down = cluster(&project, &["down", "--yes"]).expect(0);
    down.says(&["unknown field `relaese`", "the spec has mistakes", "found by its tags", &first, "has ended"]);
    cluster(&project, &["down", "--yes"]).expect(0).says(&["there is nothing to end"]);
    project.edit("infra/cluster.yaml", "  relaese: emr-5.29.0", "  release: emr-5.29.0");
    project.local(&["verify"]).expect(0);
    destroy(&project);
}

#[test]
fn a_running_cluster_that_differs_from_the_spec_is_left_as_it_is() {
    let (project, _) = with_cluster(&endpoint());
    let first = id(&project);
    project.edit("infra/cluster.yaml", "count: 2", "count: 3");
    cluster(&project, &["up", "--yes"])
        .expect(0)
        .says(&["runs already", "differs from the spec, in what can change in place"]);
    project.edit("infra/cluster.yaml", "emr-5.29.0", "emr-5.36.2");
    cluster(&project, &["up", "--yes"]).expect(0).says(&["runs already", "in what cannot change in place"]);
    assert_eq!(id(&project), first);
    destroy(&project);
}

#[test]
fn a_protected_cluster_ends_with_force_only() {
    let (project, _) = project(&endpoint());
    project.edit("infra/cluster.yaml", "termination_protection: false", "termination_protection: true");
    project.local(&["apply", "--yes"]).expect(0);
    cluster(&project, &["up", "--yes"]).expect(0);
    let first = id(&project);
    assert_eq!(status(&project)["cluster"]["termination_protection"], true);
    cluster(&project, &["down", "--yes"]).expect(1).says(&["termination protection is on", "cluster down --force"]);
    assert_eq!(id(&project), first);
    cluster(&project, &["down", "--force"]).expect(0).says(&[&first, "has ended"]);
    assert_eq!(status(&project)["cluster"], Value::Null);
    destroy(&project);
}

#[test]
fn a_cluster_that_starts_with_apply_goes_down_until_the_next_one() {
    let (project, _) = project(&endpoint());
    project.edit("infra/cluster.yaml", "start: on-demand", "start: with-apply");
    project.local(&["apply", "--yes"]).expect(0);
    let first = id(&project);
    cluster(&project, &["up"]).expect(0).says(&[&first, "runs already"]);
    cluster(&project, &["down"]).expect(0).says(&[
        "has ended",
        "Verified",
        "apply` starts a new cluster",
        "cluster.yaml:",
    ]);
    assert_eq!(project.local(&["plan", "--json"]).expect(0).steps(), ["create emr_cluster/main"]);
    cluster(&project, &["up", "--yes"]).expect(0);
    project.local(&["verify"]).expect(0);
    destroy(&project);
}

#[test]
fn a_spec_without_a_cluster_is_told_apart_from_no_cluster() {
    let (project, _) = Project::small(&endpoint());
    for verb in [
        &["up", "--yes"][..],
        &["down"],
        &["status"],
        &["resize", "core=2"],
        &["submit", "s3://somewhere/job.py"],
        &["steps"],
        &["logs", "latest"],
        &["ssh"],
    ] {
        let run = cluster(&project, verb).expect(1);
        run.says(&["infra/small.yaml:2 has no `cluster:` section", "hint: "]);
    }
    let (project, stack) = super::project(&endpoint());
    let none = format!("stack {stack} has no cluster");
    for verb in [
        &["resize", "core=2"][..],
        &["submit", "s3://somewhere/job.py"],
        &["steps"],
        &["steps", "cancel", "s-1"],
        &["logs"],
        &["ssh", "yarn", "application", "-list"],
        &["ssh", "--json"],
    ] {
        cluster(&project, verb).expect(1).says(&[&none, "infra --local cluster up"]);
    }
    let wrong = cluster(&project, &["start"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    cluster(&project, &["statis"]).expect(2).says(&["status"]);
}

#[test]
fn nobody_logs_in_where_the_machines_have_no_bodies() {
    let (project, _) = with_cluster(&endpoint());
    cluster(&project, &["ssh"]).expect(1).says(&["have no bodies", "infra local up --hosts"]);
    destroy(&project);
}

#[test]
fn the_cluster_of_a_spec_that_lost_its_section_can_be_ended() {
    let (project, _) = with_cluster(&endpoint());
    let text = project.read("infra/cluster.yaml");
    let (rest, _) = text.split_once("\ncluster:").expect("a cluster");
    project.write("infra/cluster.yaml", rest);
    assert!(status(&project)["cluster"]["id"].is_string());
    cluster(&project, &["up", "--yes"]).expect(1).says(&["has no `cluster:` section"]);
    cluster(&project, &["down"]).expect(0).says(&["has ended"]);
    destroy(&project);
}
