//! Whom we talk to, and by which way.

use std::fs;

use crate::support::hosts::Stack;

#[test]
fn a_changed_host_key_is_refused_and_never_accepted() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    let pins = fs::read_to_string(stack.ways().join("known_hosts")).expect("pinned keys");
    let id = stack.project.id(&[], "instance/bastion");
    let key = stack.root("bastion", "cat /etc/ssh/ssh_host_ed25519_key.pub");
    let key = key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    assert!(pins.contains(&format!("{id} {key}\n")), "the console's key is pinned under the instance: {pins}");
    // Somebody else sits at the address.
    stack.root("bastion", "mkdir /root/old; mv /etc/ssh/ssh_host_* /root/old; ssh-keygen -qA; systemctl restart ssh");
    let before = stack.state("bastion");
    stack.list("ana\nbea\n");
    let verbs: [&[&str]; 5] = [
        &["plan"],
        &["apply", "--yes"],
        &["users", "apply", "--yes"],
        &["verify"],
        &["--trust-first", "users", "apply", "--yes"],
    ];
    for verb in verbs {
        let run = stack.local(verb);
        assert_eq!(run.code, Some(1), "{verb:?}: {run:?}");
        run.says(&[
            "bastion",
            "its host key is not the pinned one",
            "hint: an instance keeps its keys for as long as it lives",
        ]);
        assert_eq!(fs::read_to_string(stack.ways().join("known_hosts")).expect("pinned keys"), pins, "{verb:?}");
    }
    assert_eq!(stack.state("bastion"), before);
    stack.root("bastion", "rm /etc/ssh/ssh_host_*; mv /root/old/* /etc/ssh; systemctl restart ssh");
    stack.apply().expect(0);
    assert!(stack.lets_in("bea", "bastion"));
}

#[test]
fn the_first_meeting_is_trusted_only_where_it_was_said() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    let known = stack.ways().join("known_hosts");
    let pins = fs::read_to_string(&known).expect("pinned keys");
    // Lost pins come back from the console, which only the cloud can have written.
    fs::remove_file(&known).expect("pinned keys");
    stack.converged();
    assert_eq!(fs::read_to_string(&known).expect("pinned keys"), pins);
    fs::remove_file(&known).expect("pinned keys");
    stack.local(&["verify", "--trust-first"]).expect(0);
    let met = fs::read_to_string(&known).expect("the key of the first meeting");
    assert!(met.lines().count() == 1 && pins.contains(met.trim()), "{met}\nis not of\n{pins}");
}

#[test]
fn the_private_host_is_reached_through_the_bastion_alone() {
    let Some(stack) = Stack::both("ana\n") else { return };
    let stack = stack.applied();
    let connects = |address: &str| {
        let script = format!("exec 3<>/dev/tcp/{address}/22 && head -c 4 <&3");
        let run = stack.lab.exec(&["timeout", "5", "bash", "-c", &script]).output().expect("it starts");
        (run.status.success(), String::from_utf8_lossy(&run.stdout).into_owned())
    };
    let public = stack.project.output(&[], "instance/bastion.public_ip");
    let private = stack.project.output(&[], "instance/inner.private_ip");
    assert_eq!(connects(&public), (true, "SSH-".to_owned()));
    assert!(!connects(&private).0, "the private host answers from outside");
    let bastion = stack.project.output(&[], "instance/bastion.private_ip");
    let client = stack.login("ana", "inner", &["echo $SSH_CLIENT"]).expect(0).out;
    assert!(client.starts_with(&format!("{bastion} ")), "{client}");
    // No private key was left on the way.
    let keys = stack.root("bastion", "grep -rl 'PRIVATE KEY' /home /root /tmp /var/tmp 2>/dev/null || true");
    assert_eq!(keys, "");
}
