//! `--only`: a part of what is on a host comes with what it needs there.

use crate::support::hosts::Stack;

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
