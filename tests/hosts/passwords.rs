//! Hashes are what the host's own crypt(3) takes, and a password that had to be changed stays the person's own.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    process::{Child, Stdio},
    time::Duration,
};

use crate::support::hosts::{Stack, feed, until};

const SECRET: &str = "tr\u{fc}b, 'lang' $und 17 Zeichen";

/// Makes the hash of a password.
fn hash_of(stack: &Stack, password: &str) -> String {
    let run = feed(&mut stack.project.command(None, &["users", "hash", "--stdin"]), &format!("{password}\n")).expect(0);
    run.out.trim().to_owned()
}

#[test]
fn a_hash_of_ours_opens_a_real_login_by_password() {
    let Some(stack) = Stack::bastion("ana\nbea\n") else { return };
    let hash = hash_of(&stack, SECRET);
    let parts: Vec<&str> = hash.split('$').collect();
    // crypt(3) cuts a longer salt, and the login then fails.
    assert_eq!((parts[1], parts[2], parts[3].len(), parts.len()), ("6", "rounds=656000", 16, 5), "{hash}");
    stack.list(&format!("ana password={hash}\nbea\n"));
    let stack = stack.applied();
    // crypt(3) of the host, asked by its own perl.
    let script = format!(
        "perl -e 'my ($p, $h) = map {{ chomp; $_ }} <STDIN>; print crypt($p, $h) eq $h ? \"same\" : \"other\"' <<'END'\n{SECRET}\n{hash}\nEND\n"
    );
    assert_eq!(stack.root("bastion", &script), "same");
    assert_eq!(stack.root("bastion", &script.replace("17", "18")), "other");
    // A second sshd, which takes passwords, on the host's loopback alone.
    stack.root(
        "bastion",
        "mkdir -p /run/second
        printf '%s\\n' 'Port 2222' 'ListenAddress 127.0.0.1' 'PidFile /run/second/pid' 'UsePAM yes' \
            'PasswordAuthentication yes' 'KbdInteractiveAuthentication no' 'PubkeyAuthentication no' \
            'HostKey /etc/ssh/ssh_host_ed25519_key' >/run/second/config
        systemd-run --quiet --unit=second-sshd /usr/sbin/sshd -D -e -f /run/second/config",
    );
    let log_in = |login: &str, password: &str| {
        stack.project.script("askpass", &format!("#!/bin/sh\ncat <<'END'\n{password}\nEND\n"));
        let mut ssh = stack.person("ana");
        let alias = stack.project.id(&[], "instance/bastion");
        ssh.args(["-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1", "-o", "PubkeyAuthentication=no"]);
        ssh.args([
            "-o",
            &format!("HostKeyAlias={alias}"),
            "-J",
            "bastion",
            "-p",
            "2222",
            "-l",
            login,
            "127.0.0.1",
            "id -un",
        ]);
        ssh.env("SSH_ASKPASS", stack.project.path("askpass"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("DISPLAY", "none");
        feed(&mut ssh, "")
    };
    until("the second sshd", Duration::from_secs(10), || !log_in("ana", SECRET).err.contains("onnect"));
    assert_eq!(log_in("ana", SECRET).expect(0).out, "ana\n");
    log_in("ana", "another").expect(255).says(&["Permission denied"]);
    // Who has no password has none, not an empty one.
    log_in("bea", "").expect(255).says(&["Permission denied"]);
}

#[test]
fn one_password_can_be_for_all_whose_line_names_none() {
    let Some(stack) = Stack::bastion("ana\nbea password=none\n") else { return };
    stack.project.write("shared.secret", SECRET);
    fs::set_permissions(stack.project.path("shared.secret"), PermissionsExt::from_mode(0o600)).expect("our own file");
    stack.edit("users: ../users.txt", "users: { file: ../users.txt, password: ../shared.secret }");
    let stack = stack.applied();
    let sudo = |login: &str, password: &str| {
        let input = format!("{password}\n");
        feed(stack.person(login).args(["bastion", "sudo -k -S -p '' id -un"]), &input).code == Some(0)
    };
    assert!(sudo("ana", SECRET) && !sudo("ana", "another"));
    assert!(stack.root("bastion", "passwd -S bea").starts_with("bea L "));
    // A hash has another salt each time that it is made; the password is the same, and nothing is to be done.
    let before = stack.root("bastion", "grep ^ana: /etc/shadow");
    stack.converged();
    stack.list("ana\nbea\n");
    // Who has a password is asked for it.
    assert_eq!(stack.steps(), ["update host_user/bastion/bea password", "update sudoers/bastion allowed"]);
    stack.apply().expect(0);
    assert!(sudo("bea", SECRET) && !sudo("bea", "another"));
    assert_eq!(stack.root("bastion", "grep ^ana: /etc/shadow"), before);
    stack.converged();
}

/// A session with a terminal, in which somebody types once they are asked.
struct Terminal {
    child: Child,
    shown: String,
}

impl Terminal {
    #[track_caller]
    fn answer(&mut self, question: &str, answer: &str) {
        let out = self.child.stdout.as_mut().expect("a piped stdout");
        let mut byte = [0];
        while !self.shown.ends_with(question) {
            assert_eq!(out.read(&mut byte).expect("a terminal"), 1, "it ended without {question:?}: {}", self.shown);
            self.shown.push(char::from(byte[0]));
        }
        self.shown.clear();
        // What is typed before the echo is off would be thrown away.
        std::thread::sleep(Duration::from_millis(300));
        writeln!(self.child.stdin.as_mut().expect("a piped stdin"), "{answer}").expect("a terminal");
    }
}

#[test]
fn a_password_must_be_changed_at_the_first_login_and_is_then_ones_own() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let hash = hash_of(&stack, "the first password");
    stack.list(&format!("ana password={hash}\n"));
    stack.edit("users: ../users.txt", "users: { file: ../users.txt, change_password: true }");
    let stack = stack.applied();
    stack.converged();
    let age = || stack.root("bastion", "chage -l ana; passwd -S ana");
    assert!(age().contains("password must be changed"), "{}", age());
    let refused = stack.login("ana", "bastion", &["id"]);
    assert!(refused.code != Some(0) && refused.err.contains("change required"), "{refused:?}");
    let mut ssh = stack.person("ana");
    ssh.args(["-tt", "bastion"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut terminal = Terminal { child: ssh.spawn().expect("ssh runs"), shown: String::new() };
    terminal.answer("urrent password: ", "the first password");
    terminal.answer("ew password: ", "Zwetschgen-Knoedel 8");
    terminal.answer("ew password: ", "Zwetschgen-Knoedel 8");
    assert!(terminal.child.wait().is_ok());
    assert!(!age().contains("password must be changed"), "{}", age());
    stack.login("ana", "bastion", &["id"]).expect(0);
    // It is not drift, and no later run takes it away.
    stack.converged();
    let before = stack.root("bastion", "grep ^ana: /etc/shadow");
    assert!(!before.contains(&hash));
    stack.list(&format!("ana password={hash} groups=analysts\n"));
    assert_eq!(stack.steps(), ["create host_group/bastion/analysts", "update host_user/bastion/ana groups"]);
    stack.apply().expect(0);
    assert_eq!(stack.root("bastion", "grep ^ana: /etc/shadow"), before);
    stack.converged();
}
