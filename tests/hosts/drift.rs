//! What was changed by hand is found, named, and put right.

use crate::support::hosts::Stack;

/// Changes a host by hand; insists that `verify` finds exactly `steps`, and that an apply heals them.
#[track_caller]
fn heals(stack: &Stack, by_hand: &str, steps: &[&str]) {
    stack.root("bastion", by_hand);
    let verified = stack.local(&["verify"]);
    assert_eq!(verified.code, Some(2), "{by_hand}\n{}\n{}", verified.out, verified.err);
    for step in steps {
        let address = step.split(' ').nth(1).expect("a step has an address");
        assert!(verified.out.contains(address), "{address} is not in\n{}", verified.out);
    }
    assert_eq!(stack.steps(), steps, "{by_hand}");
    stack.apply().expect(0);
    stack.converged();
}

#[test]
fn people_are_put_right() {
    let Some(stack) = Stack::bastion("ana groups=analysts\nbea sudo=no\n") else { return };
    let stack = stack.applied();
    stack.key("thief");
    let thief = stack.public_key("thief");
    let opens =
        || stack.with_key("bea", "thief").args(["bastion", "true"]).output().expect("ssh runs").status.success();
    stack.root("bastion", &format!("echo '{thief}' >>/home/bea/.ssh/authorized_keys"));
    assert!(opens(), "the key works as long as nobody looks");
    heals(&stack, "true", &["update host_user/bastion/bea keys"]);
    assert!(!opens());
    // With options before it, it is as much of a key.
    let line = format!("echo 'no-pty {thief}' >>/home/bea/.ssh/authorized_keys");
    heals(&stack, &line, &["update host_user/bastion/bea keys"]);
    assert!(!opens());
    heals(&stack, "chmod 666 /home/bea/.ssh/authorized_keys", &["update host_user/bastion/bea key_file_protected"]);
    // From where others can write, sshd takes no keys.
    for folder in ["/home/bea/.ssh", "/home/bea"] {
        stack.root("bastion", &format!("chmod 777 {folder}"));
        assert!(!stack.lets_in("bea", "bastion"), "{folder}");
        heals(&stack, "true", &["update host_user/bastion/bea key_file_protected"]);
        assert!(stack.lets_in("bea", "bastion"), "{folder}");
    }
    heals(&stack, "chown ana /home/bea", &["update host_user/bastion/bea key_file_protected"]);
    assert!(stack.lets_in("bea", "bastion"));
    // sshd reads no other file.
    stack.root(
        "bastion",
        &format!("echo '{thief}' >/home/bea/.ssh/authorized_keys2; chown bea: /home/bea/.ssh/authorized_keys2"),
    );
    assert!(!opens());
    stack.converged();

    heals(&stack, "usermod -aG sudo,adm bea", &["update host_user/bastion/bea groups"]);
    assert_eq!(stack.root("bastion", "id -nG bea"), "bea\n");
    heals(&stack, "gpasswd -d ana analysts", &["update host_user/bastion/ana groups"]);
    heals(&stack, "groupdel analysts", &["create host_group/bastion/analysts", "update host_user/bastion/ana groups"]);
    heals(&stack, "usermod -s /bin/sh ana", &["update host_user/bastion/ana shell"]);
    heals(&stack, "usermod -e 2090-01-01 ana", &["update host_user/bastion/ana expires"]);
    heals(&stack, "echo ana:secret | chpasswd", &["update host_user/bastion/ana password"]);
    heals(&stack, "passwd -d ana", &["update host_user/bastion/ana password"]);
    assert!(stack.root("bastion", "passwd -S ana").starts_with("ana L "), "an empty password is none");
    heals(&stack, "userdel ana", &["create host_user/bastion/ana"]);
    assert!(stack.lets_in("ana", "bastion"));
}

#[test]
fn homes_are_put_right() {
    let Some(stack) = Stack::bastion("ana\nbea\ncaro\n") else { return };
    let stack = stack.applied();
    let opens = || assert!(stack.lets_in("bea", "bastion"));
    heals(&stack, "rm -rf /home/bea", &["update host_user/bastion/bea keys"]);
    opens();
    assert_eq!(
        stack.root("bastion", "stat -c '%U %G' /home/bea /home/bea/.bashrc; stat -c %a /home/bea"),
        "bea bea\nbea bea\n750\n"
    );
    // Somebody else's folder is put aside with all that is in it.
    stack.root("bastion", "echo notes >/home/bea/.ssh/notes");
    heals(&stack, "chown -R ana /home/bea/.ssh", &["update host_user/bastion/bea key_file_protected"]);
    opens();
    assert_eq!(stack.root("bastion", "cat /home/bea/.ssh.aside.*/notes"), "notes\n");
    // So is a link that leads where they may not write, and one that leads nowhere; what it leads to is left alone.
    let before = stack.root("bastion", "ls -la /etc/ssh");
    for target in ["/etc/ssh", "/home/ana/.ssh", "/nowhere"] {
        let link = format!("rm -rf /home/bea/.ssh; ln -s {target} /home/bea/.ssh; chown -h bea /home/bea/.ssh");
        stack.root("bastion", &link);
        assert_eq!(stack.local(&["verify"]).code, Some(2), "{target}");
        stack.apply().expect(0);
        opens();
        stack.converged();
    }
    assert_eq!(stack.root("bastion", "ls -la /etc/ssh"), before);
    assert!(stack.lets_in("ana", "bastion"));
    // Who leaves is locked out without a home, and with keys that lie in somebody else's folder.
    stack.root("bastion", "rm -rf /home/bea; chown -R ana /home/caro/.ssh");
    stack.list("ana\n");
    stack.apply().expect(0);
    stack.converged();
    assert!(!stack.lets_in("bea", "bastion") && !stack.lets_in("caro", "bastion"));
}

#[test]
fn sudo_is_put_right() {
    let Some(stack) = Stack::bastion("ana\nbea sudo=no\n") else { return };
    let stack = stack.applied();
    let file = format!("/etc/sudoers.d/60-infra-{}", stack.name);
    heals(&stack, &format!("echo 'bea ALL=(ALL) NOPASSWD: ALL' >>{file}"), &["update sudoers/bastion allowed"]);
    assert!(stack.root("bastion", "sudo -l -U bea").contains("not allowed"));
    heals(&stack, &format!("rm {file}"), &["update sudoers/bastion allowed mode owner"]);
    heals(&stack, &format!("chmod 444 {file}"), &["update sudoers/bastion mode"]);
    stack.login("ana", "bastion", &["sudo -n true"]).expect(0);
}

#[test]
fn sshd_is_put_right_whatever_was_read_before_our_file() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    let folder = "/etc/ssh/sshd_config.d";
    let reload = "systemctl reload ssh";
    // Whether anybody could come in by a password, from wherever.
    let takes_passwords = || {
        ["user=ana,host=x,addr=203.0.113.7", "user=ana,host=x,addr=192.0.2.1", "user=root,host=x,addr=192.0.2.1"]
            .iter()
            .any(|who| {
                let told = stack.root("bastion", &format!("sshd -T -C {who}"));
                ["passwordauthentication yes", "kbdinteractiveauthentication yes"]
                    .iter()
                    .any(|line| told.contains(line))
            })
    };
    // What is read after ours does nothing; nor does what is read before it, for ours ends with a block that matches all.
    for name in ["05-cloud.conf", "00-a.conf"] {
        stack.root(
            "bastion",
            &format!("printf 'PasswordAuthentication yes\nAuthorizedKeysFile /etc/keys\n' >{folder}/{name}; {reload}"),
        );
        assert!(!takes_passwords() && stack.lets_in("ana", "bastion"));
        stack.converged();
    }

    // One that comes with a cloud's image wins as soon as ours is gone; ours comes back, and it is left where it is.
    stack.root(
        "bastion",
        &format!(
            "rm {folder}/00-a.conf {folder}/00-infra.conf; printf 'PasswordAuthentication yes\nPermitRootLogin yes\n' >{folder}/05-cloud.conf; {reload}"
        ),
    );
    assert!(takes_passwords(), "05-cloud.conf does not win");
    heals(&stack, "true", &["update sshd/bastion AuthorizedKeysFile PasswordAuthentication PermitRootLogin file"]);
    assert!(!takes_passwords() && stack.root("bastion", &format!("ls {folder}")).contains("05-cloud.conf"));

    // A block that is read before ours wins, also where it is about people or places that nobody asks about.
    for (name, text, fields) in [
        (
            "00-b.conf",
            "Match all\\n KbdInteractiveAuthentication yes",
            "KbdInteractiveAuthentication sshd_reads_it_first",
        ),
        ("00-c.conf", "Match Address 192.0.2.0/24\\n PasswordAuthentication yes", "sshd_reads_it_first"),
        ("00-d.conf", "Match User root\\n PasswordAuthentication yes", "sshd_reads_it_first"),
    ] {
        // Ours stands in the main file's first line once it had to.
        let first = "sed -i '/^Include.*00-infra.conf$/d' /etc/ssh/sshd_config";
        stack.root("bastion", &format!("{first}; printf '{text}\\n' >{folder}/{name}; {reload}"));
        assert!(takes_passwords(), "{name} does not win");
        heals(&stack, "true", &[&format!("update sshd/bastion {fields}")]);
        assert!(!takes_passwords() && stack.lets_in("ana", "bastion"), "{name}");
        stack.root("bastion", &format!("rm {folder}/{name}"));
    }
    // The main file itself, before it includes anything.
    let by_hand =
        format!("sed -i '1i Match User root\\n PermitRootLogin yes\\nMatch all' /etc/ssh/sshd_config; {reload}");
    heals(&stack, &by_hand, &["update sshd/bastion sshd_reads_it_first"]);
    assert_eq!(
        stack.root("bastion", "sshd -T -C user=root,host=x,addr=192.0.2.1 | grep ^permitroot"),
        "permitrootlogin no\n"
    );
    // Our own file says everything twice: one of the two alone opens nothing, and is found all the same.
    let ours = |line: &str| {
        format!(
            "sed -i 's/^{line}PasswordAuthentication no/{line}PasswordAuthentication yes/' {folder}/00-infra.conf; {reload}"
        )
    };
    stack.root("bastion", &ours(""));
    assert!(!takes_passwords());
    heals(&stack, "true", &["update sshd/bastion file"]);
    stack.root("bastion", &format!("{}; {}", ours(""), ours("    ")));
    assert!(takes_passwords());
    heals(&stack, "true", &["update sshd/bastion PasswordAuthentication file"]);
    assert!(!takes_passwords());
    let by_hand = format!(
        "rm {folder}/00-infra.conf; sed -i '/00-infra.conf$/d;/^Match/d;/^ PermitRootLogin yes/d' /etc/ssh/sshd_config; {reload}"
    );
    stack.root("bastion", &by_hand);
    assert_eq!(stack.local(&["verify"]).code, Some(2));
    stack.apply().expect(0);
    stack.converged();
    assert!(!takes_passwords() && stack.lets_in("ana", "bastion"));
}
