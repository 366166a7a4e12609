//! Who comes in, and what they may do there.

use crate::support::hosts::{Stack, feed};

/// sha512-crypt of `correct horse`, with few rounds, for speed. Made with crypt(3).
pub const PASSWORD: (&str, &str) = (
    "correct horse",
    "$6$rounds=5000$QvLpyRGvA1x0HMhs$t8gOgoIXYjY6QwnqYrGWGJscV85v6XemgHsq1aZ.UO.85dwfqWH1VM1nOvWoeMqhdWAVuDhaYHYOSph6AOjol/",
);

#[test]
fn everybody_comes_in_by_key_and_through_the_bastion_with_their_own() {
    let Some(stack) = Stack::both("ana\nbea sudo=no\ncaro-2_x groups=analysts,readers shell=/bin/sh\n") else { return };
    let stack = stack.applied();
    for login in ["ana", "bea", "caro-2_x"] {
        for host in ["bastion", "inner"] {
            let run = stack.login(login, host, &["id -un; hostname; stat -c %a .ssh .ssh/authorized_keys"]).expect(0);
            let lines: Vec<&str> = run.out.lines().collect();
            assert_eq!((lines[0], &lines[2..]), (login, &["700", "600"][..]), "{run:?}");
            let address = stack.project.output(&[], &format!("instance/{host}.private_ip"));
            assert_eq!(lines[1], format!("ip-{}", address.replace('.', "-")), "{login} is on another host than {host}");
        }
    }
    let groups = stack.login("caro-2_x", "inner", &["id -nG; echo $SHELL"]).expect(0).out;
    assert_eq!(groups, "caro-2_x analysts readers\n/bin/sh\n");
    // With the key of another, nobody does.
    for (login, key) in [("ana", "bea"), ("bea", "ana"), ("root", "ana")] {
        let refused = stack.with_key(login, key).args(["bastion", "true"]).output().expect("ssh runs");
        assert_eq!(refused.status.code(), Some(255), "{login} with the key of {key}");
    }
}

#[test]
fn no_password_opens_ssh_by_any_method() {
    let (password, hash) = PASSWORD;
    let Some(stack) = Stack::bastion(&format!("ana password={hash}\n")) else { return };
    let stack = stack.applied();
    // The password is the right one: sudo takes it.
    let sudo = feed(stack.person("ana").args(["bastion", "sudo -S -p '' id -un"]), &format!("{password}\n"));
    assert_eq!(sudo.expect(0).out, "root\n");
    let askpass = stack.project.path("askpass");
    stack.project.script("askpass", &format!("#!/bin/sh\ntouch {}.asked\necho '{password}'\n", askpass.display()));
    for login in ["ana", "root", "ubuntu", "nobody-at-all"] {
        let mut ssh = stack.person("ana");
        ssh.args(["-o", "BatchMode=no", "-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"]);
        ssh.args(["-o", "PreferredAuthentications=password,keyboard-interactive,hostbased,gssapi-with-mic"]);
        ssh.env("SSH_ASKPASS", &askpass).env("SSH_ASKPASS_REQUIRE", "force").env("DISPLAY", "none");
        let run = feed(ssh.args(["-l", login, "bastion", "id"]), "");
        // sshd names in brackets what would be left to try.
        assert!(
            run.err.contains(&format!("{login}@")) && run.err.contains("Permission denied (publickey)."),
            "{run:?}"
        );
        assert_eq!((run.code, run.out.as_str()), (Some(255), ""));
    }
    assert!(!stack.project.path("askpass.asked").exists(), "somebody asked for a password");
    let options = stack.root("bastion", "sshd -T -C user=ana,host=x,addr=203.0.113.7");
    for line in ["passwordauthentication no", "kbdinteractiveauthentication no", "permitrootlogin no"] {
        assert!(options.lines().any(|told| told == line), "{line}: {options}");
    }
}

#[test]
fn sudo_is_what_the_list_says() {
    let (password, hash) = PASSWORD;
    let list = format!(
        "plain\nknown password={hash}\nasked sudo=password password={hash}\nfree sudo=nopasswd password={hash}\nnone sudo=no password={hash}\n"
    );
    let Some(stack) = Stack::bastion(&list) else { return };
    let stack = stack.applied();
    let sudo = |login: &str, answer: &str| {
        let run = feed(stack.person(login).args(["bastion", "sudo -k -S -p 'asked\n' id -un"]), answer);
        (run.code == Some(0) && run.out == "root\n", run.err)
    };
    for (login, asks) in [("plain", false), ("known", true), ("asked", true), ("free", false)] {
        let (became_root, said) = sudo(login, &format!("{password}\n"));
        assert!(became_root && said.contains("asked") == asks, "{login}: {said}");
        let (became_root, said) = sudo(login, "wrong\n");
        assert_eq!(became_root, !asks, "{login} with a wrong password: {said}");
    }
    let (became_root, said) = sudo("none", &format!("{password}\n"));
    assert!(!became_root && said.contains("not in the sudoers file"), "{said}");
    let file = stack
        .root("bastion", &format!("f=/etc/sudoers.d/60-infra-{}; stat -c '%a %U:%G' $f; visudo -c >&2", stack.name));
    assert_eq!(file, "440 root:root\n");
}
