//! Whom we talk to, and by which way.

use std::{fs, process::Command, time::Duration};

use crate::support::{
    cli::Run,
    hosts::{Stack, until},
};

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
fn a_connection_that_fails_in_the_middle_of_an_apply_is_explained() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    // The host is made by this very run, so that a step is the first to connect; somebody else sits at its address.
    let changed = "@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@\\nHost key verification failed.";
    let ssh = stack.wrapped_ssh(&format!(r#"printf '{changed}\n' >"$log"; exit 255"#));
    let run: Run = stack.local_with(&ssh, &["apply", "--yes"]).output().expect("it starts").into();
    run.expect(1).says(&[
        "host_user/bastion/ana",
        "cannot connect to bastion: its host key is not the pinned one",
        "and for the same reason",
        "hint: an instance keeps its keys for as long as it lives",
        "hint: run the same command again once that is mended",
    ]);
    // What was done stays done; the rest comes with the next run.
    stack.local(&["apply", "--yes"]).expect(0);
    stack.converged();
}

/// An agent of the test's own, with one key; ended with it.
struct Agent(std::process::Child, std::path::PathBuf);

impl Agent {
    fn with(stack: &Stack, key: &std::path::Path) -> Self {
        // A short path: a socket's may have 107 bytes at most.
        let socket = stack.sockets().join("agent");
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket).stdout(std::process::Stdio::null());
        let agent = Self(agent.spawn().expect("ssh-agent runs"), socket);
        until("the agent", Duration::from_secs(30), || agent.1.exists());
        let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &agent.1).status();
        assert!(added.expect("ssh-add runs").success());
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_private_key_may_be_in_an_agent_alone() {
    let Some(stack) = Stack::both("ana\n") else { return };
    stack.key("boss");
    stack.edit("admin: { generate: true }", "admin: { public_key: ../keys/boss.pub }");
    // Only the public half is in the project's files; the other one is in the agent's memory.
    let private = stack.project.path("people/boss");
    let agent = Agent::with(&stack, &private);
    fs::remove_file(&private).expect("the test's own key");
    let run = |arguments: &[&str]| -> Run {
        let mut command = stack.project.command(None, &[&["--local"], arguments].concat());
        command.env("SSH_AUTH_SOCK", &agent.1).output().expect("it starts").into()
    };
    run(&["apply", "--yes"]).expect(0);
    run(&["verify"]).expect(0);
    // Through the bastion too, which gets no agent of ours to use.
    let there = run(&["ssh", "inner", "--", "id -un; echo ${SSH_AUTH_SOCK:-none}"]).expect(0);
    assert_eq!(there.out, "ubuntu\nnone\n");
    // Without the agent nobody comes in.
    let mut without = stack.project.command(None, &["--local", "verify"]);
    let without: Run = without.env_remove("SSH_AUTH_SOCK").output().expect("it starts").into();
    without.expect(1).says(&["Permission denied", "`ssh-add` it first"]);
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
