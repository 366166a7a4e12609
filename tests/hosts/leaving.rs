//! People who leave, keys that are taken back.

use std::{process::Stdio, time::Duration};

use crate::support::hosts::{Stack, until};

#[test]
fn who_left_is_locked_out_at_once_and_keeps_the_files() {
    let Some(stack) = Stack::bastion("ana groups=analysts\nbea groups=analysts\n") else { return };
    let stack = stack.applied();
    stack.login("bea", "bastion", &["echo work >thesis; crontab -l; sudo -n true"]).expect(0);
    let mut ssh = stack.person("bea");
    let mut open = ssh.args(["bastion", "sleep 300"]).stderr(Stdio::null()).spawn().expect("ssh runs");
    until("a session", Duration::from_secs(10), || !stack.root("bastion", "pgrep -u bea sleep || true").is_empty());
    stack.list("ana groups=analysts\n");
    assert_eq!(stack.steps(), ["delete host_user/bastion/bea", "update sudoers/bastion allowed"]);
    for verb in [&["users", "plan"][..], &["plan"]] {
        let plan = stack.local(verb).expect(0).out;
        assert!(plan.contains("locked, without keys and sessions; the files stay"), "{plan}");
    }
    stack.apply().expect(0);
    until("the end of the open session", Duration::from_secs(2), || open.try_wait().expect("a child").is_some());
    assert_eq!(stack.root("bastion", "pgrep -c -u bea || true").trim(), "0");
    assert!(!stack.lets_in("bea", "bastion") && stack.lets_in("ana", "bastion"));
    let left =
        stack.root("bastion", "passwd -S bea; id -nG bea; cat /home/bea/thesis; ls -A /home/bea/.ssh; sudo -l -U bea");
    let lines: Vec<&str> = left.lines().collect();
    assert!(lines[0].starts_with("bea L ") && lines[1..3] == ["bea", "work"], "{left}");
    assert!(left.contains("not allowed to run sudo") && !left.contains("authorized_keys"), "{left}");
    // A key that is put back by hand opens nothing, for the account is closed too.
    let key = stack.public_key("bea");
    stack.root(
        "bastion",
        &format!("echo '{key}' >/home/bea/.ssh/authorized_keys; chown bea: /home/bea/.ssh/authorized_keys"),
    );
    assert!(!stack.lets_in("bea", "bastion"));
    let closed = stack.login("bea", "bastion", &["id"]).expect(255).says(&["account has expired"]);
    assert_eq!(closed.out, "");
    assert_eq!(stack.steps(), ["delete host_user/bastion/bea"]);
    stack.apply().expect(0);
    stack.converged();
    // Who is named again is back, with all that was left.
    stack.list("ana groups=analysts\nbea groups=analysts\n");
    stack.apply().expect(0);
    assert_eq!(
        stack.login("bea", "bastion", &["cat thesis; id -nG; sudo -n id -un"]).expect(0).out,
        "work\nbea analysts\nroot\n"
    );
    stack.converged();
}

#[test]
fn who_left_is_deleted_where_the_spec_says_so() {
    let Some(stack) = Stack::bastion("ana\nbea\n") else { return };
    stack.edit("users: ../users.txt", "users: { file: ../users.txt, departed: delete }");
    let stack = stack.applied();
    let mut open = stack.person("bea").args(["bastion", "sleep 300"]).stderr(Stdio::null()).spawn().expect("ssh runs");
    until("a session", Duration::from_secs(10), || !stack.root("bastion", "pgrep -u bea sleep || true").is_empty());
    stack.list("ana\n");
    for verb in [&["users", "plan"][..], &["plan"]] {
        let plan = stack.local(verb).expect(0).out;
        assert!(plan.contains("lost with it: /home/bea") && !plan.contains("the files stay"), "{plan}");
    }
    stack.apply().expect(0);
    until("the end of the open session", Duration::from_secs(2), || open.try_wait().expect("a child").is_some());
    let left = stack.root(
        "bastion",
        "getent passwd bea || true; getent group bea || true; ls -d /home/* /var/mail/bea 2>/dev/null || true",
    );
    assert_eq!(left, "/home/ana\n/home/ubuntu\n");
    stack.converged();
}

#[test]
fn who_is_named_for_no_host_any_more_is_locked_out_there() {
    let Some(stack) = Stack::both("ana\nbea\n") else { return };
    let stack = stack.applied();
    assert!(stack.lets_in("bea", "inner"));
    // The line that let them in on one host is gone: that host is looked at all the same.
    let text = stack.project.read("infra/hosts.yaml");
    let at = text.rfind("    users: ../users.txt\n").expect("the inner host's line");
    stack.project.write("infra/hosts.yaml", &text[..at]);
    let steps = stack.steps();
    assert_eq!(
        steps,
        ["delete host_user/inner/ana", "delete host_user/inner/bea", "delete sshd/inner", "delete sudoers/inner"]
    );
    stack.apply().expect(0);
    // The bastion lets them pass as before, and the host behind it lets nobody in.
    assert!(!stack.lets_in("bea", "inner") && !stack.lets_in("ana", "inner") && stack.lets_in("bea", "bastion"));
    stack.converged();
}

#[test]
fn nobody_keeps_anything_because_somebody_else_cannot_be_made() {
    let Some(stack) = Stack::bastion("ana\nbea\ncaro\n") else { return };
    let stack = stack.applied();
    let may = |login: &str| !stack.root("bastion", &format!("sudo -l -U {login}")).contains("not allowed");
    assert!(may("ana") && may("bea") && may("caro"));
    stack.root("bastion", "rm /etc/ssh/sshd_config.d/00-infra.conf; useradd -m emil");
    // One of them is there already, one cannot be made, and one has a stranger's name.
    stack.list("ana shell=/bin/nosuch\nbea sudo=no\ndora shell=/bin/none\nemil\n");
    stack.apply().expect(1).says(&[
        "cannot update host_user/bastion/ana",
        "cannot create host_user/bastion/dora",
        "cannot create host_user/bastion/emil",
        "the shell /bin/nosuch is not installed",
        "3 failed, 0 skipped",
    ]);
    assert!(may("ana") && !may("bea") && !may("caro") && !may("emil"));
    assert_eq!(stack.root("bastion", "grep -c -e dora -e emil /etc/sudoers.d/60-infra-* || true"), "0\n");
    assert!(!stack.lets_in("caro", "bastion"));
    assert_eq!(
        stack.steps(),
        [
            "create host_user/bastion/dora",
            "create host_user/bastion/emil",
            "update host_user/bastion/ana shell",
            "update sudoers/bastion allowed"
        ]
    );
    stack.root("bastion", "userdel -r emil");
    stack.list("ana\nbea sudo=no\ndora\nemil\n");
    stack.apply().expect(0);
    assert!(may("ana") && !may("bea") && may("dora") && may("emil"));
    stack.converged();
}

#[test]
fn keys_are_taken_back_one_by_one() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    for key in ["laptop", "phone"] {
        stack.key(key);
    }
    stack.list("ana key=laptop.pub,phone.pub\n");
    let stack = stack.applied();
    let opens = |key: &str| {
        let run = stack.with_key("ana", key).args(["bastion", "true"]).output().expect("ssh runs");
        run.status.success()
    };
    assert!(opens("laptop") && opens("phone") && !opens("ana"));
    stack.list("ana key=phone.pub\n");
    let plan = stack.local(&["users", "plan"]).expect(0).out;
    let fingerprint = std::process::Command::new("ssh-keygen")
        .args(["-l", "-f"])
        .arg(stack.project.path("keys/laptop.pub"))
        .output()
        .expect("ssh-keygen runs");
    let fingerprint = String::from_utf8(fingerprint.stdout).expect("text");
    let fingerprint = fingerprint.split(' ').nth(1).expect("a fingerprint");
    assert!(plan.contains(fingerprint), "{fingerprint} is not in\n{plan}");
    assert_eq!(stack.steps(), ["update host_user/bastion/ana keys"]);
    stack.apply().expect(0);
    assert!(!opens("laptop") && opens("phone") && !opens("ana"));
    stack.list("ana\n");
    stack.apply().expect(0);
    assert!(!opens("laptop") && !opens("phone") && opens("ana"));
    stack.converged();
}
