//! What could lock everybody out is tried before, proven after, and undone where that fails.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use super::logins::PASSWORD;
use crate::support::{
    cli::{Run, Running},
    hosts::{Stack, until},
};

/// What comes before a change of sshd in these tests: our file was taken away, and sshd reads what the image brought.
/// It reads it a moment after it was told to.
const WITHOUT: &str = "rm -f /etc/ssh/sshd_config.d/00-infra.conf; systemctl reload ssh; sleep 1";
const GUARD: &str = "/var/lib/infra/guard";

fn is_guarded(stack: &Stack) -> bool {
    stack.root("bastion", &format!("if [ -e {GUARD} ]; then echo yes; fi")) == "yes\n"
}

#[test]
fn a_broken_sshd_is_not_reloaded_and_open_sessions_stay() {
    let Some(stack) = Stack::bastion("ana\nbea\n") else { return };
    let stack = stack.applied();
    let mut open =
        stack.person("ana").args(["bastion", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ssh");
    until("a session", Duration::from_secs(10), || !stack.root("bastion", "pgrep -u ana cat || true").is_empty());
    stack.root("bastion", &format!("{WITHOUT}; echo 'Nonsense yes' >/etc/ssh/sshd_config.d/50-broken.conf"));
    stack.list("ana\n");
    let before =
        stack.root("bastion", "cd /etc/ssh; find . -type f -printf '%p %TT %m\n' -exec sha256sum {} \\; | sort");
    let pid = stack.root("bastion", "systemctl show -p MainPID -p ActiveEnterTimestamp ssh");
    stack.apply().expect(1).says(&["cannot update sshd/bastion", "broken", "sshd -t"]);
    let after =
        stack.root("bastion", "cd /etc/ssh; find . -type f -printf '%p %TT %m\n' -exec sha256sum {} \\; | sort");
    assert_eq!(after, before);
    assert_eq!(stack.root("bastion", "systemctl show -p MainPID -p ActiveEnterTimestamp ssh"), pid);
    assert!(!is_guarded(&stack));
    // What has nothing to do with it was done.
    assert!(!stack.lets_in("bea", "bastion"));
    assert!(open.try_wait().expect("a child").is_none(), "the open session ended");
    drop(open.stdin.take());
    assert!(open.wait().expect("a child").success());
    stack.root("bastion", "rm /etc/ssh/sshd_config.d/50-broken.conf");
    stack.apply().expect(0);
    stack.converged();
}

#[test]
fn what_sshd_does_not_take_is_undone_on_the_spot() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    // An sshd that takes everything but our file.
    stack.root(
        "bastion",
        &format!(
            "{WITHOUT}
            cp /usr/sbin/sshd /usr/local/sbin/sshd.real
            printf '%s\\n' '#!/bin/sh' \
                'if [ \"$1\" = -t ] && [ -e /etc/ssh/sshd_config.d/00-infra.conf ]; then echo no >&2; exit 1; fi' \
                'exec /usr/local/sbin/sshd.real \"$@\"' >/usr/sbin/sshd.new
            chmod 755 /usr/sbin/sshd.new; mv /usr/sbin/sshd.new /usr/sbin/sshd"
        ),
    );
    stack.apply().expect(1).says(&["sshd does not take /etc/ssh/sshd_config.d/00-infra.conf", "it was undone"]);
    assert_eq!(
        stack.root("bastion", "ls /etc/ssh/sshd_config.d; systemctl list-timers --all --no-legend infra-undo.timer"),
        "60-cloudimg-settings.conf\n"
    );
    assert!(!is_guarded(&stack) && stack.lets_in("ana", "bastion"));
    // The daemon that runs was started from the other file, and starts itself anew from there when it is told to reload.
    stack.root("bastion", "cp /usr/local/sbin/sshd.real /usr/sbin/sshd.new; mv /usr/sbin/sshd.new /usr/sbin/sshd");
    stack.apply().expect(0);
    stack.converged();
}

#[test]
fn sudoers_that_would_shut_the_administrator_out_are_undone() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    // Reads after ours and counts: whatever ours says, the administrator is asked for a password now.
    stack.root(
        "bastion",
        &format!("rm /etc/sudoers.d/60-infra-{}; echo 'broken line here' >/etc/sudoers.d/99-broken", stack.name),
    );
    stack.apply().expect(1).says(&["cannot update sudoers/bastion", "99-broken"]);
    assert!(!is_guarded(&stack));
    assert_eq!(stack.root("bastion", "ls /etc/sudoers.d | grep infra || true"), "");
    stack.root("bastion", "rm /etc/sudoers.d/99-broken");
    stack.apply().expect(0);
    stack.converged();
}

#[test]
fn a_change_that_nobody_can_come_in_after_is_undone_at_once() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    stack.root("bastion", WITHOUT);
    let before = stack.root("bastion", "ls /etc/ssh/sshd_config.d");
    let ssh = stack.wrapped_ssh(r#"if [ "$n" = 2 ]; then echo 'Permission denied (publickey).' >"$log"; exit 255; fi"#);
    let run: Run = stack.local_with(&ssh, &["users", "apply", "--yes"]).output().expect("it starts").into();
    run.expect(1)
        .says(&["after the change, bastion let nobody in by a second connection; it was undone", "Permission denied"]);
    assert_eq!(stack.root("bastion", "ls /etc/ssh/sshd_config.d"), before);
    assert!(!is_guarded(&stack));
    assert_eq!(stack.root("bastion", "systemctl list-timers --all --no-legend infra-undo.timer"), "");
    stack.apply().expect(0);
    stack.converged();
}

#[test]
fn at_no_moment_does_a_password_open_ssh() {
    let (password, hash) = PASSWORD;
    let Some(stack) = Stack::bastion(&format!("ana password={hash}\n")) else { return };
    let stack = stack.applied();
    stack.project.script("askpass", &format!("#!/bin/sh\necho '{password}'\n"));
    let (stop, tries) = (AtomicBool::new(false), AtomicUsize::new(0));
    let try_always = || {
        while !stop.load(Ordering::Relaxed) {
            let mut ssh = stack.person("ana");
            ssh.args(["-o", "BatchMode=no", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"]);
            ssh.args(["-o", "PreferredAuthentications=password,keyboard-interactive", "bastion", "id"]);
            ssh.env("SSH_ASKPASS", stack.project.path("askpass")).env("SSH_ASKPASS_REQUIRE", "force");
            let run: Run = ssh.env("DISPLAY", "none").output().expect("ssh runs").into();
            // sshd names in brackets what would be left to try; while it reads its files anew it takes nobody.
            let is_refused = run.err.contains("Permission denied (publickey).");
            assert!(run.code == Some(255) && (is_refused || !run.err.contains("denied")), "{run:?}");
            tries.fetch_add(usize::from(is_refused), Ordering::Relaxed);
        }
    };
    let stop_even_if_it_fails = StopAtEnd(&stop);
    let seen = |more: usize| {
        let before = tries.load(Ordering::Relaxed);
        until("attempts by password", Duration::from_mins(1), || tries.load(Ordering::Relaxed) >= before + more);
    };
    thread::scope(|scope| {
        let _stops = stop_even_if_it_fails;
        let trying = scope.spawn(try_always);
        seen(2);
        // Made anew, changed, and undone because nobody came in.
        stack.root("bastion", WITHOUT);
        seen(1);
        stack.apply().expect(0);
        seen(1);
        stack.root(
            "bastion",
            "sed -i 's/^PermitRootLogin no/PermitRootLogin yes/' /etc/ssh/sshd_config.d/00-infra.conf",
        );
        stack.list(&format!("ana password={hash} groups=readers\nbea\n"));
        stack.apply().expect(0);
        seen(1);
        stack.root("bastion", WITHOUT);
        let ssh =
            stack.wrapped_ssh(r#"if [ "$n" = 2 ]; then echo 'Permission denied (publickey).' >"$log"; exit 255; fi"#);
        let run: Run = stack.local_with(&ssh, &["users", "apply", "--yes"]).output().expect("it starts").into();
        run.expect(1).says(&["it was undone"]);
        seen(1);
        stack.apply().expect(0);
        seen(1);
        assert!(!trying.is_finished(), "somebody came in");
    });
    stack.converged();
}

/// Ends the attempts, also where the test fails.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The ssh that was to come in by a second connection and hangs; ended with the test.
struct Hanging(PathBuf);

impl Drop for Hanging {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(&self.0) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
    }
}

#[test]
fn killed_in_the_middle_of_a_change_the_host_undoes_it_by_itself() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    stack.root("bastion", WITHOUT);
    let hanging = Hanging(stack.project.path("hanging"));
    let script = format!(r#"if [ "$n" = 2 ]; then echo $$ >{}; exec sleep 120; fi"#, hanging.0.display());
    let ssh = stack.wrapped_ssh(&script);
    let running = Running::start(stack.local_with(&ssh, &["users", "apply", "--yes"]));
    until("the second connection", Duration::from_secs(30), || hanging.0.exists());
    running.kill();
    // The change stands, unconfirmed; everybody comes in, and the host's own timer runs.
    assert!(is_guarded(&stack) && stack.lets_in("ana", "bastion"));
    assert!(stack.root("bastion", "cat /etc/ssh/sshd_config.d/00-infra.conf").contains("PasswordAuthentication no"));
    assert_eq!(stack.root("bastion", "systemctl is-active infra-undo.timer"), "active\n");
    assert_eq!(stack.steps(), ["update sshd/bastion unconfirmed", "update sudoers/bastion unconfirmed"]);
    let waited = until("the host undoes it", Duration::from_secs(75), || !is_guarded(&stack));
    println!("undone after {waited:?}");
    assert_eq!(stack.root("bastion", "ls /etc/ssh/sshd_config.d"), "60-cloudimg-settings.conf\n");
    assert!(stack.lets_in("ana", "bastion"));
    stack.apply().expect(0);
    stack.converged();
    assert!(!is_guarded(&stack) && stack.lets_in("ana", "bastion"));
}

#[test]
fn what_a_killed_run_left_is_undone_before_the_next_change() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    stack.root("bastion", WITHOUT);
    let hanging = Hanging(stack.project.path("hanging"));
    let script = format!(r#"if [ "$n" = 2 ]; then echo $$ >{}; exec sleep 120; fi"#, hanging.0.display());
    let ssh = stack.wrapped_ssh(&script);
    let running = Running::start(stack.local_with(&ssh, &["users", "apply", "--yes"]));
    until("the second connection", Duration::from_secs(30), || hanging.0.exists());
    running.kill();
    assert!(is_guarded(&stack));
    // The next run need not wait for the timer, and what it makes is not undone by the one before.
    stack.apply().expect(0);
    assert!(!is_guarded(&stack));
    assert_eq!(stack.root("bastion", "systemctl list-timers --all --no-legend infra-undo.timer"), "");
    stack.converged();
}
