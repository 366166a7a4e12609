//! Ctrl-C on a terminal: every program of its foreground gets it, and not only ours.

use crate::support::hosts::Stack;

/// Making an account takes a while from now on.
const SLOW: &str = r#"
mv /usr/sbin/useradd /usr/sbin/useradd.real
printf '%s\n' '#!/bin/sh' 'sleep 3' 'exec /usr/sbin/useradd.real "$@"' >/usr/sbin/useradd
chmod 755 /usr/sbin/useradd
"#;

#[test]
fn the_running_steps_keep_their_connections() {
    let Some(stack) = Stack::both("ana\n") else { return };
    let stack = stack.applied();
    for host in ["bastion", "inner"] {
        stack.root(host, SLOW);
    }
    stack.list("ana\nbea\ncaro\n");
    // The one host is reached through the local cloud's gateway, the other one by a jump.
    let apply = ["--local", "users", "apply", "--yes"];
    let run = stack.project.on_terminal(100, &apply, "create host_user/inner/caro", "\x03");
    assert!(run.out.contains("Stopping: no new step starts"), "{}", run.out);
    // What is due on a host runs as one, and so it was all running already.
    assert_eq!((run.code, run.out.contains("FAILED")), (Some(0), false), "{}", run.out);
    assert!(run.out.contains("Done: 6 steps"), "{}", run.out);
    assert!(stack.lets_in("caro", "inner") && stack.lets_in("caro", "bastion"));
    stack.converged();
}
