//! Hosts and people in one run, from nothing; and again where a host was replaced.

use crate::support::hosts::Stack;

#[test]
fn one_apply_makes_a_host_and_its_people_and_makes_them_anew() {
    let Some(stack) = Stack::both("ana groups=analysts\nbea sudo=no\n") else { return };
    let plan = stack.local(&["plan"]).expect(0).out;
    for address in
        ["host_user/bastion/ana", "host_user/bastion/bea", "sudoers/bastion", "sshd/bastion", "host_user/inner/ana"]
    {
        let at = plan.find(&format!("+ create   {address}")).unwrap_or_else(|| panic!("no {address} in\n{plan}"));
        let next = plan[at..].lines().nth(1).unwrap_or_default().trim();
        let host = address.split('/').nth(1).expect("a host");
        assert_eq!(next, format!("after instance/{host}"), "{address}");
    }
    // Before there are hosts, people alone cannot be seen to.
    stack.apply().expect(1).says(&["the host bastion", "does not run"]);
    let stack = stack.applied();
    stack.converged();
    assert!(stack.lets_in("ana", "inner") && stack.lets_in("bea", "bastion"));
    stack.login("ana", "bastion", &["echo work >thesis"]).expect(0);

    // Another subnet is another host: its key is pinned anew, its people come again.
    let old = stack.project.id(&[], "instance/bastion");
    stack.edit("cidr: 10.0.0.0/24", "cidr: 10.0.2.0/24");
    let plan = stack.local(&["plan"]).expect(0).out;
    for line in ["!! REPLACE  instance/bastion", "+ create   host_user/bastion/ana", "+ create   sshd/bastion"] {
        assert!(plan.contains(line), "{line} is not in\n{plan}");
    }
    stack.local(&["apply", "--yes"]).expect(0);
    assert_ne!(stack.project.id(&[], "instance/bastion"), old);
    stack.converged();
    assert!(stack.lets_in("ana", "bastion") && stack.lets_in("bea", "inner"));
    stack.login("ana", "bastion", &["test ! -e thesis"]).expect(0);
}
