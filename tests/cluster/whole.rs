//! The whole life of a cluster with a job that really runs: a word count over a bucket.

use std::fs;

use serde_json::json;

use super::{cluster, destroy, project, status};
use crate::support::{aws::Aws, cli::root, server::Server, world::REGION};

const COUNTED: &str = "     2  be\n     2  to\n     1  is\n     1  not\n     1  or\n    10  words in all\n";

#[test]
fn strict_words_are_counted_between_up_and_down() {
    let Some(server) = Server::with_spark() else { return };
    let (project, stack) = project(&server.endpoint);
    project.local(&["apply", "--yes"]).expect(0);
    let aws = Aws::new(&server.endpoint, REGION);
    for (name, text) in [("one.txt", "to be or not to be\n"), ("two.txt", "that is the question\n")] {
        project.write(name, text);
        let body = project.path(name);
        aws.run(&format!("s3api put-object --bucket {stack}-lake --key raw/{name} --body {}", body.display()));
    }
    fs::copy(root().join("scripts/count_words.py"), project.path("count_words.py")).expect("the job of the demo");

    cluster(&project, &["up", "--yes"]).expect(0).says(&["can work"]);
    assert_eq!(status(&project)["cluster"]["state"], "WAITING");
    let place = format!("s3://{stack}-lake/raw/");
    let run = cluster(&project, &["submit", "count_words.py", &place]).expect(0);
    let run = run.says(&["count_words.py is in S3 now", "is RUNNING", "is COMPLETED after "]);
    assert!(!run.err.contains("note:"), "{}", run.err);
    assert_eq!(cluster(&project, &["logs", "count_words.py", "--stream", "stdout"]).expect(0).out, COUNTED);
    let listed = cluster(&project, &["steps", "--json"]).expect(0).json();
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["state"]), (Some(1), &json!("COMPLETED")), "{listed}");
    let counted = listed[0]["id"].as_str().expect("an id");
    assert!(status(&project)["cluster"]["idle_since"].is_string());

    // A job that fails is explained by what it wrote.
    project.write("fails.py", "raise ValueError('no such column: borough')\n");
    let failed = cluster(&project, &["submit", "fails.py"]).expect(1);
    failed.says(&["is FAILED: ", "the end of s3://", "/stderr.gz:\n", "  | ValueError: no such column: borough\n"]);

    cluster(&project, &["resize", "core=3"]).expect(0).says(&["core.count: 2 -> 3"]);
    assert_eq!(status(&project)["cluster"]["nodes"][1]["requested"], 3);
    cluster(&project, &["down"]).expect(0).says(&["has ended", "Verified: the rest of the stack stands"]);
    // What it wrote is there when the cluster is not.
    assert_eq!(cluster(&project, &["logs", counted, "--stream", "stdout"]).expect(0).out, COUNTED);
    destroy(&project);
}
