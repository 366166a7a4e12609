//! Plans in files: carried out exactly, or refused.

use std::os::unix::fs::PermissionsExt;

use crate::support::{aws::Aws, cli::Project, world::REGION, world::endpoint};

#[test]
fn a_plan_in_a_file_is_carried_out_exactly() {
    let (project, _) = Project::small(&endpoint());
    let shown = project.local(&["plan", "--json", "--out", "today.plan"]).expect(0).steps();
    let mode = std::fs::metadata(project.path("today.plan")).expect("a plan file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a plan tells much about a platform");
    // The file knows which spec it is for, and it is the agreement: nobody is asked.
    let run = project.local(&["apply", "today.plan", "--json"]).expect(0);
    let started = run.out.lines().filter(|line| line.contains(r#""event":"started""#)).count();
    assert_eq!(started, shown.len());
    project.local(&["verify"]).expect(0);
    // What was planned is done: the world is not the one that the plan was made for.
    let stale = project.local(&["apply", "today.plan"]).expect(1).says(&["nothing was changed", "plan again"]);
    for line in shown {
        let address = line.split(' ').nth(1).expect("an address");
        let told = format!("  {address}: to create in the plan, nothing to do now");
        assert!(stale.err.lines().any(|line| line == told), "no {told:?} in\n{}", stale.err);
    }
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn a_plan_for_one_cloud_is_not_carried_out_on_the_other() {
    let (project, _) = Project::small(&endpoint());
    project.local(&["plan", "--out", "local.plan"]).expect(0);
    let text = project.read("local.plan");
    assert!(text.contains("\"local\": true"));
    project.write("aws.plan", &text.replace("\"local\": true", "\"local\": false"));
    let refused = project.local(&["apply", "aws.plan"]).expect(1);
    refused.says(&["this plan was made for AWS", "nothing was changed"]);
    let refused = project.run(&["apply", "local.plan"]).expect(1);
    refused.says(&["this plan was made for the local cloud", "nothing was changed", "infra --local apply"]);
    assert_eq!(project.local(&["status", "--json"]).expect(0).json(), serde_json::json!({}));
}

#[test]
fn flags_that_contradict_the_plan_are_refused() {
    let (project, _) = Project::small(&endpoint());
    project.write("infra/other.yaml", &project.read("infra/small.yaml"));
    project.write("prod.yaml", "tags: { project: other }\n");
    let made = ["-f", "small", "--set", "office=198.51.100.7/32", "--only", "vpc/main"];
    project.local(&[&["plan", "--out", "part.plan"], &made[..]].concat()).expect(0);
    for (flags, told) in [
        (&["-f", "other"][..], "-f contradicts the plan: now infra/other.yaml, when it was made infra/small.yaml"),
        (&["--set", "office=192.0.2.0/24"], "--set contradicts the plan: now office=192.0.2.0/24"),
        (&["--overlay", "prod.yaml"], "--overlay contradicts the plan: now prod.yaml, when it was made none"),
        (&["--only", "bucket"], "--only contradicts the plan: now bucket, when it was made vpc/main"),
        (&["--empty-buckets"], "--empty-buckets contradicts the plan"),
        (&["--rotate", "iam_user/nobody"], "--rotate contradicts the plan"),
    ] {
        let run = project.local(&[&["apply", "part.plan"], flags].concat()).expect(1);
        run.says(&[told, "nothing was changed"]);
    }
    assert_eq!(project.local(&["-f", "small", "status", "--json"]).expect(0).json(), serde_json::json!({}));
    // Saying the same again is no contradiction.
    project.local(&[&["apply", "part.plan"], &made[..]].concat()).expect(0);
    project.local(&["-f", "small", "destroy", "--yes"]).expect(0);
}

#[test]
fn a_plan_is_refused_when_the_world_or_the_spec_moved() {
    let (project, _) = Project::small(&endpoint());
    let aws = Aws::new(&endpoint(), REGION);
    project.local(&["apply", "--yes"]).expect(0);
    project.edit("infra/small.yaml", "type: t3.micro", "type: t3.small");
    project.local(&["plan", "--out", "today.plan"]).expect(0);

    let vpc = project.id(&[], "vpc/main");
    aws.run(&format!("ec2 create-tags --resources {vpc} --tags Key=owner,Value=somebody"));
    project.local(&["apply", "today.plan"]).expect(1).says(&[
        "moved",
        "  vpc/main: not in the plan, to update now",
        "nothing was changed",
        "plan again",
    ]);
    aws.run(&format!("ec2 delete-tags --resources {vpc} --tags Key=owner"));

    project.edit("infra/small.yaml", "type: t3.small", "type: t3.medium");
    project.local(&["apply", "today.plan"]).expect(1).says(&[
        "moved",
        "  instance/bastion: to update both then and now, but otherwise (instance_type)",
        "nothing was changed",
    ]);
    let kind = aws.text(&format!(
        "ec2 describe-instances --instance-ids {} --query Reservations[0].Instances[0].InstanceType",
        project.id(&[], "instance/bastion")
    ));
    assert_eq!(kind, "t3.micro");

    // With world and spec as they were, it is good again.
    project.edit("infra/small.yaml", "type: t3.medium", "type: t3.small");
    project.local(&["apply", "today.plan"]).expect(0);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn a_plan_keeps_the_part_and_the_variables_that_it_was_made_with() {
    let (project, _) = Project::small(&endpoint());
    let flags = ["--set", "office=198.51.100.7/32", "--only", "security_group_rules/bastion"];
    project.local(&[&["plan", "--out", "part.plan"], &flags[..]].concat()).expect(0);
    project.local(&["apply", "part.plan"]).expect(0);
    let status = project.local(&["status", "--json"]).expect(0);
    assert!(status.out.contains("198.51.100.7/32") && !status.out.contains("bucket/lake"), "{}", status.out);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn what_is_not_a_plan_is_refused() {
    let (project, _) = Project::small(&endpoint());
    project.run(&["apply", "none.plan"]).expect(1).says(&["none.plan"]);
    project.run(&["apply", "infra/small.yaml"]).expect(1).says(&["is not a plan", "-f"]);
}
