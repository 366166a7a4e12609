//! `infra cluster logs`, from objects as EMR writes them.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::{cluster, destroy, id, with_cluster};
use crate::support::{
    aws::Aws,
    cli::Project,
    world::{REGION, endpoint},
};

/// Hands a job over; returns its step's id.
fn submitted(project: &Project, name: &str) -> String {
    let run = cluster(project, &["submit", "--detach", "--name", name, "s3://somewhere/job.py"]).expect(0);
    run.out.trim().to_owned()
}

/// Puts a stream of a step into the log bucket, each of `pieces` packed by itself.
fn write(project: &Project, stack: &str, step: (&str, &str), stream: &str, pieces: &[&str]) {
    let (cluster, step) = step;
    let mut packed = Vec::new();
    for piece in pieces {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(piece.as_bytes()).unwrap();
        packed.extend(encoder.finish().unwrap());
    }
    let file = project.path(&format!("{stream}.gz"));
    std::fs::write(&file, packed).unwrap();
    let key = format!("emr/{cluster}/steps/{step}/{stream}.gz");
    let words = format!("s3api put-object --bucket {stack}-logs --key {key} --body {}", file.display());
    Aws::new(&endpoint(), REGION).run(&words);
}

#[test]
fn a_step_s_logs_are_unpacked_and_are_there_after_the_cluster() {
    let (project, stack) = with_cluster(&endpoint());
    let ours = id(&project);
    let (first, second) = (submitted(&project, "one"), submitted(&project, "two"));
    let early = cluster(&project, &["logs", &first]).expect(1);
    early.says(&["stdout, stderr, controller cannot be read yet", &format!("/emr/{ours}/steps/{first}/"), "--follow"]);

    write(&project, &stack, (&ours, &first), "stdout", &["3 words\n", "2 lines\n"]);
    write(&project, &stack, (&ours, &first), "stderr", &["INFO done\n"]);
    let part = cluster(&project, &["logs", "one"]).expect(0).says(&["controller cannot be read yet"]);
    assert_eq!(part.out, "==> stdout <==\n3 words\n2 lines\n\n==> stderr <==\nINFO done\n");
    write(&project, &stack, (&ours, &first), "controller", &["INFO startExec\n"]);
    let whole = cluster(&project, &["logs", &first]).expect(0);
    assert!(whole.out.ends_with("\n==> controller <==\nINFO startExec\n") && whole.err.is_empty(), "{whole:?}");
    // One stream is the stream and nothing else.
    assert_eq!(cluster(&project, &["logs", "one", "--stream", "stdout"]).expect(0).out, "3 words\n2 lines\n");
    let told = cluster(&project, &["logs", "one", "--json"]).expect(0).json();
    assert_eq!(
        (&told["logs"]["stderr"], &told["step"]["id"]),
        (&"INFO done\n".into(), &first.as_str().into()),
        "{told}"
    );
    let told = cluster(&project, &["logs", "--json"]).expect(0).json();
    assert_eq!(told["step"]["id"], second.as_str(), "the latest");
    assert!(told["logs"]["stdout"].is_null(), "{told}");
    cluster(&project, &["logs", "tow"]).expect(1).says(&["has no step `tow`", "did you mean `two`?"]);
    cluster(&project, &["logs", "one", "--stream", "stdin"]).expect(2);

    cluster(&project, &["down", "--yes"]).expect(0);
    assert_eq!(cluster(&project, &["logs", "one", "--stream", "stdout"]).expect(0).out, "3 words\n2 lines\n");
    let by_id = cluster(&project, &["logs", "one", "--cluster", &ours, "--stream", "stderr"]).expect(0);
    assert_eq!(by_id.out, "INFO done\n");
    destroy(&project);
}

#[test]
fn a_log_that_is_no_log_is_said_to_be_none() {
    let (project, stack) = with_cluster(&endpoint());
    let ours = id(&project);
    let step = submitted(&project, "one");
    project.write("broken", "not packed");
    let key = format!("emr/{ours}/steps/{step}/stdout.gz");
    let body = project.path("broken");
    Aws::new(&endpoint(), REGION)
        .run(&format!("s3api put-object --bucket {stack}-logs --key {key} --body {}", body.display()));
    cluster(&project, &["logs", "--stream", "stdout"]).expect(1).says(&["cannot be unpacked"]);
    destroy(&project);
}

#[test]
fn strict_what_is_written_late_is_waited_for() {
    let (project, stack) = with_cluster(&endpoint());
    let ours = id(&project);
    let step = submitted(&project, "one");
    let mut following =
        project.start(&endpoint(), &["--local", "cluster", "logs", &step, "--follow", "--stream", "stdout"]);
    following.until("is COMPLETED");
    write(&project, &stack, (&ours, &step), "stdout", &["late\n"]);
    assert_eq!(following.end().expect(0).out, "late\n");
    destroy(&project);
}

#[test]
fn a_cluster_without_logs_says_so() {
    let (project, _) = super::project(&endpoint());
    project.edit("infra/cluster.yaml", "  logs: { bucket: logs, folder: emr/ }\n", "");
    project.local(&["apply", "--yes"]).expect(0);
    cluster(&project, &["up", "--yes"]).expect(0);
    submitted(&project, "one");
    cluster(&project, &["logs"]).expect(1).says(&["keeps no logs", "add `logs:", "infra/cluster.yaml:"]);
    destroy(&project);
}
