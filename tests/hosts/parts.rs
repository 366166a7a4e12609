//! A part of what there is: `--only`, which comes with what it needs there; a host that is stopped.

use std::time::Duration;

use crate::support::{
    aws::Aws,
    hosts::{Stack, until},
};

#[test]
fn a_person_comes_with_the_groups() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    stack.list("ana groups=readers\nbea groups=analysts,readers sudo=no\ncaro\n");
    let part = |only: &str| {
        let mut steps = stack.local(&["plan", "--only", only, "--json"]).expect(0).steps();
        steps.sort();
        steps
    };
    let bea =
        ["create host_group/bastion/analysts", "create host_group/bastion/readers", "create host_user/bastion/bea"];
    assert_eq!(part("host_user/bastion/bea"), bea);
    assert_eq!(part("host_user/bastion/caro"), ["create host_user/bastion/caro"]);
    assert_eq!(part("host_group/bastion/readers"), ["create host_group/bastion/readers"]);
    // Who may become root has an account by then.
    let sudoers = part("sudoers");
    for step in
        ["create host_user/bastion/caro", "create host_group/bastion/analysts", "update sudoers/bastion allowed"]
    {
        assert!(sudoers.contains(&step.to_owned()), "{step} is not among {sudoers:?}");
    }
    stack.local(&["apply", "--only", "host_user/bastion/bea", "--yes"]).expect(0);
    assert_eq!(stack.login("bea", "bastion", &["id -nG"]).expect(0).out, "bea analysts readers\n");
    assert_eq!(stack.root("bastion", "getent passwd caro || true"), "");
    stack.local(&["apply", "--only", "host_user", "--yes"]).expect(0);
    assert_eq!(stack.steps(), ["update sudoers/bastion allowed"]);
    stack.apply().expect(0);
    stack.converged();
}

#[test]
fn a_host_that_is_stopped_is_started_and_what_is_on_it_stays() {
    let Some(stack) = Stack::bastion("ana\nbea\n") else { return };
    let stack = stack.applied();
    let files =
        "echo mine >/home/ana/notes; cat /home/ana/notes /etc/passwd /etc/shadow /etc/ssh/sshd_config.d/00-infra.conf";
    let before = stack.root("bastion", files);
    let id = stack.project.id(&[], "instance/bastion");
    let aws = Aws::new(&stack.lab.endpoint, "us-west-2");
    aws.run(&format!("ec2 stop-instances --instance-ids {id}"));
    until("it stops", Duration::from_mins(2), || {
        let told = aws.run(&format!("ec2 describe-instances --instance-ids {id}"));
        told["Reservations"][0]["Instances"][0]["State"]["Name"] == "stopped"
    });
    let plan = stack.local(&["plan"]).expect(0);
    assert!(plan.out.contains("instance/bastion is stopped"), "{}", plan.out);
    assert!(plan.out.contains("state: stopped -> running"), "{}", plan.out);
    stack.local(&["apply", "--yes"]).expect(0);
    stack.converged();
    assert_eq!(stack.root("bastion", &files.replace("echo mine >/home/ana/notes; ", "")), before);
    assert!(!stack.local(&["plan"]).expect(0).out.contains("is stopped"));
}
