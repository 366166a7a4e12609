//! What infra did not make is left alone; others may be at work on the same host.

use std::{thread, time::Duration};

use super::servers::Second;
use crate::support::hosts::{Stack, until};

#[test]
fn accounts_made_by_hand_are_not_touched() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    stack.key("karl");
    let key = stack.public_key("karl");
    stack.root(
        "bastion",
        &format!(
            "groupadd guild; useradd -m -s /bin/sh -G guild karl; echo karl:secret | chpasswd
            install -d -m 700 -o karl -g karl /home/karl/.ssh
            echo '{key}' >/home/karl/.ssh/authorized_keys; chown karl: /home/karl/.ssh/authorized_keys"
        ),
    );
    let karl = || {
        stack.root("bastion", "grep -h -E '^(karl|guild):' /etc/passwd /etc/shadow /etc/group; stat -c '%y %u' /home/karl/.ssh/*; cat /home/karl/.ssh/*")
    };
    let before = karl();
    stack.converged();
    // One who is wanted by the same name is refused, and the others are done.
    stack.list("ana groups=guild\nkarl sudo=no\nbea\n");
    let run = stack.apply().expect(1);
    run.says(&[
        "cannot create host_user/bastion/karl",
        "has an account already, which infra did not make",
        "hand it over",
    ]);
    let members = before.replace("guild:x:", "").lines().count();
    assert_eq!(karl().lines().count(), members, "{before}");
    let unchanged = |text: &str| text.lines().filter(|line| !line.starts_with("guild:")).collect::<Vec<_>>().join("\n");
    assert_eq!(unchanged(&karl()), unchanged(&before));
    assert!(stack.lets_in("bea", "bastion") && stack.lets_in("karl", "bastion"));
    // It goes from the list, and stays on the host; so does a group that was there before.
    stack.list("ana\n");
    stack.apply().expect(0);
    assert_eq!(karl(), before);
    stack.converged();
    // Once handed over it is one of ours.
    stack.list("ana\nkarl sudo=no groups=readers\n");
    stack.root(
        "bastion",
        &format!("mkdir -p /var/lib/infra/{0}/host_user; echo here >/var/lib/infra/{0}/host_user/karl", stack.name),
    );
    stack.apply().expect(0);
    assert_eq!(stack.root("bastion", "id -nG karl"), "karl readers\n");
    stack.converged();
}

#[test]
fn two_stacks_share_a_host_and_take_turns() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    let second = Second::new(&stack, "caro\n");
    // Both at once, several times: one waits for the other, on the host.
    for round in 0..3 {
        stack.list(&format!("ana groups=first{round}\n"));
        stack.project.write("others.txt", &format!("caro groups=second{round}\n"));
        thread::scope(|scope| {
            let one = scope.spawn(|| stack.apply());
            let other = scope.spawn(|| second.run(&["users", "apply", "--yes"]));
            one.join().expect("no panic").expect(0);
            other.join().expect("no panic").expect(0);
        });
    }
    stack.converged();
    second.run(&["verify"]).expect(0);
    assert!(stack.lets_in("ana", "bastion") && stack.lets_in("caro", "bastion"));
    assert_eq!(stack.root("bastion", "id -nG ana; id -nG caro"), "ana first2\ncaro second2\n");
    // Each has its own file for sudo.
    stack.login("caro", "bastion", &["sudo -n true"]).expect(0);
    // The other's account is no more ours than one made by hand.
    stack.list("ana\ncaro\n");
    stack.apply().expect(1).says(&["cannot create host_user/bastion/caro", "infra did not make"]);
    // Whoever has the lock is waited for.
    stack.list("ana groups=later\n");
    let holds = "exec 8>/var/lib/infra/lock; flock 8; touch /run/held; until [ -e /run/go-on ]; do sleep 0.1; done";
    stack.root("bastion", &format!("systemd-run -q --unit=holds-lock sh -c '{holds}'"));
    let told = |script: &str| !stack.root("bastion", &format!("{script} || true")).is_empty();
    until("the lock is held", Duration::from_secs(30), || told("ls /run/held 2>/dev/null"));
    thread::scope(|scope| {
        let apply = scope.spawn(|| stack.apply());
        until("it waits for the lock", Duration::from_mins(1), || told("pgrep -x flock"));
        assert!(!told("getent group later") && !apply.is_finished(), "it did not wait");
        stack.root("bastion", "touch /run/go-on");
        apply.join().expect("no panic").expect(0);
    });
    assert_eq!(stack.root("bastion", "id -nG ana"), "ana later\n");
    stack.converged();
}
