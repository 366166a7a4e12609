//! What is not destroyed without being asked for.

use crate::support::{aws::Aws, cli::Project, world::REGION, world::endpoint};

const BUCKET: &str = "\n  lake: { name: \"${stack}-lake\", folders: [raw/] }";

#[test]
fn a_protected_bucket_stays_even_when_the_spec_forgets_it() {
    let (project, stack) = Project::small(&endpoint());
    project.edit("infra/small.yaml", "folders: [raw/] }", "folders: [raw/], protect: true }");
    project.local(&["apply", "--yes"]).expect(0);
    let refused = |arguments: &[&str]| {
        project.local(arguments).expect(1).says(&["bucket/lake", "protected", "nothing was changed", "protect: false"])
    };
    refused(&["destroy", "--yes"]);
    // The block is deleted, with what names it; the tag on the bucket still says what it said.
    project.edit("infra/small.yaml", "folders: [raw/], protect: true }", "folders: [raw/] }");
    project.edit("infra/small.yaml", &format!("\nbuckets:{BUCKET}\n"), "");
    project.edit("infra/small.yaml", ", buckets: { lake: read-write }", "");
    refused(&["destroy", "--yes"]);
    refused(&["apply", "--yes"]);
    // A plan that is refused is a failure, and no file is left that could be applied.
    let plan = project.local(&["plan", "--json", "--out", "refused.plan"]).expect(1).json();
    assert_eq!(plan["refused"][0]["address"], "bucket/lake");
    assert!(!project.path("refused.plan").exists());
    let buckets = Aws::new(&endpoint(), REGION).run("s3api list-buckets --query Buckets[].Name");
    assert!(buckets.to_string().contains(&format!("{stack}-lake")));

    // As the hint says: first let it go, then destroy it.
    project.edit("infra/small.yaml", "\naccess:", &format!("\nbuckets:{BUCKET}\n\naccess:"));
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn a_bucket_with_data_is_deleted_only_when_that_is_said() {
    let (project, stack) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);
    project.write("data.csv", "a,b\n1,2\n");
    let aws = Aws::new(&endpoint(), REGION);
    let body = project.path("data.csv").display().to_string();
    aws.run(&format!("s3api put-object --bucket {stack}-lake --key raw/data.csv --body {body}"));
    let refused = project.local(&["destroy", "--yes"]).expect(1);
    let refused =
        refused.says(&["bucket/lake", "not empty (1 object, 8 bytes)", "--empty-buckets", "nothing was changed"]);
    assert!(!refused.err.contains("deleted "), "refused before anything is begun:\n{}", refused.err);
    aws.run(&format!("s3api head-object --bucket {stack}-lake --key raw/data.csv"));
    project.local(&["verify"]).expect(0);
    let done = project.local(&["destroy", "--yes", "--empty-buckets"]).expect(0);
    done.says(&["all that is in it goes too: 1 object, 8 bytes"]);
    let buckets = aws.run("s3api list-buckets --query Buckets[].Name");
    assert!(!buckets.to_string().contains(&stack), "{buckets}");
}

#[test]
fn a_bucket_with_data_that_the_spec_forgets_is_refused_until_apply_is_told_to_empty_it() {
    let (project, stack) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);
    project.write("data.csv", "a,b\n1,2\n");
    let aws = Aws::new(&endpoint(), REGION);
    let body = project.path("data.csv").display().to_string();
    aws.run(&format!("s3api put-object --bucket {stack}-lake --key raw/data.csv --body {body}"));
    project.edit("infra/small.yaml", &format!("\nbuckets:{BUCKET}\n"), "");
    project.edit("infra/small.yaml", ", buckets: { lake: read-write }", "");
    for verb in [&["plan"][..], &["apply", "--yes"]] {
        project.local(verb).expect(1).says(&["bucket/lake", "not empty", "--empty-buckets", "nothing was changed"]);
    }
    let plan = project.local(&["plan", "--empty-buckets", "--out", "empty.plan"]).expect(0).out;
    assert!(plan.contains("all that is in it goes too: 1 object, 8 bytes") && plan.contains("its name"), "{plan}");
    project.local(&["apply", "empty.plan"]).expect(0);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn destroy_names_what_it_deletes() {
    let (project, _) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);
    let ids: Vec<String> =
        ["vpc/main", "instance/bastion", "bucket/lake"].iter().map(|address| project.id(&[], address)).collect();
    let private = project.output(&[], "instance/bastion.private_ip");
    let told = project.local(&["destroy", "--yes"]).expect(0);
    let told = told.says(&[&format!("lost with it: its 8 GiB disk, its private address {private}")]);
    for id in ids {
        assert!(told.err.contains(&id), "no {id} in\n{}", told.err);
    }
    assert_eq!(told.out, "", "stdout is for data");
}
