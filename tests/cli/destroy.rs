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
    let plan = project.local(&["plan", "--json"]).expect(0).json();
    assert_eq!(plan["refused"][0]["address"], "bucket/lake");
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
    refused.says(&["cannot delete bucket/lake", "not empty", "--empty-buckets"]);
    aws.run(&format!("s3api head-object --bucket {stack}-lake --key raw/data.csv"));
    project.local(&["destroy", "--yes", "--empty-buckets"]).expect(0);
    let buckets = aws.run("s3api list-buckets --query Buckets[].Name");
    assert!(!buckets.to_string().contains(&stack), "{buckets}");
}

#[test]
fn destroy_names_what_it_deletes() {
    let (project, _) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);
    let ids: Vec<String> =
        ["vpc/main", "instance/bastion", "bucket/lake"].iter().map(|address| project.id(&[], address)).collect();
    let told = project.local(&["destroy", "--yes"]).expect(0);
    for id in ids {
        assert!(told.err.contains(&id), "no {id} in\n{}", told.err);
    }
    assert_eq!(told.out, "", "stdout is for data");
}
