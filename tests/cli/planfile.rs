//! Plans in files: carried out exactly, or refused.

use std::os::unix::fs::PermissionsExt;

use crate::support::{aws::Aws, cli::Project, world::REGION, world::endpoint};

#[test]
fn a_plan_in_a_file_is_carried_out_exactly() {
    let (project, _) = Project::small(&endpoint());
    let shown = project.local(&["plan", "--json", "--out", "today.plan"]).expect(0).steps();
    let mode = std::fs::metadata(project.path("today.plan")).expect("a plan file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "a plan tells much about a platform");
    // The file knows which spec and which cloud it is for, and it is the agreement: nobody is asked.
    let run = project.run(&["apply", "today.plan", "--json"]).expect(0);
    let started = run.out.lines().filter(|line| line.contains(r#""event":"started""#)).count();
    assert_eq!(started, shown.len());
    project.local(&["verify"]).expect(0);
    // What was planned is done: the world is not the one that the plan was made for.
    project.run(&["apply", "today.plan"]).expect(1).says(&["nothing was changed", "plan again"]);
    project.local(&["destroy", "--yes"]).expect(0);
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
    project.run(&["apply", "today.plan"]).expect(1).says(&["moved", "vpc/main", "nothing was changed", "plan again"]);
    aws.run(&format!("ec2 delete-tags --resources {vpc} --tags Key=owner"));

    project.edit("infra/small.yaml", "type: t3.small", "type: t3.medium");
    project.run(&["apply", "today.plan"]).expect(1).says(&["moved", "instance/bastion", "nothing was changed"]);
    let kind = aws.text(&format!(
        "ec2 describe-instances --instance-ids {} --query Reservations[0].Instances[0].InstanceType",
        project.id(&[], "instance/bastion")
    ));
    assert_eq!(kind, "t3.micro");

    // With world and spec as they were, it is good again.
    project.edit("infra/small.yaml", "type: t3.medium", "type: t3.small");
    project.run(&["apply", "today.plan"]).expect(0);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn a_plan_keeps_the_part_and_the_variables_that_it_was_made_with() {
    let (project, _) = Project::small(&endpoint());
    let flags = ["--set", "office=198.51.100.7/32", "--only", "security_group_rules/bastion"];
    project.local(&[&["plan", "--out", "part.plan"], &flags[..]].concat()).expect(0);
    project.run(&["apply", "part.plan"]).expect(0);
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
