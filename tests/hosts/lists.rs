//! A bad `users.txt` is told with its place, and nothing changes on the host.

use std::fs;

use crate::support::hosts::Stack;

/// The hash of the course's own instructions: DES, and known to everybody.
const SEED: &str = "sa1O7Z1pCJzK.";

#[test]
fn every_bad_list_is_told_and_changes_nothing() {
    let Some(stack) = Stack::bastion("ana groups=analysts\nbea\n") else { return };
    let stack = stack.applied();
    let write = |name: &str, text: &str| stack.project.write(&format!("keys/{name}.pub"), text);
    let make = |name: &str, arguments: &[&str]| {
        let file = stack.project.path(&format!("people/{name}"));
        let made =
            std::process::Command::new("ssh-keygen").args(["-q", "-N", "", "-f"]).arg(&file).args(arguments).status();
        assert!(made.expect("ssh-keygen runs").success());
        fs::copy(file.with_extension("pub"), stack.project.path(&format!("keys/{name}.pub"))).expect("a key");
    };
    make("weak", &["-t", "rsa", "-b", "1024"]);
    make("dsa", &["-t", "dsa"]);
    write("empty", "");
    write("nonsense", "ssh-ed25519 AAAAnonsense\n");
    fs::copy(stack.project.path("people/ana"), stack.project.path("keys/private.pub")).expect("a key");
    fs::create_dir(stack.project.path("keys/folder.pub")).expect("a folder");
    let long = "a".repeat(33);
    // What is written, where the error is, and what it says.
    let bad: Vec<(String, &str, &str)> = vec![
        ("ana\n1st".into(), "users.txt:2:1", "refuses the login `1st`"),
        ("ana\n-rf".into(), "users.txt:2:1", "refuses the login `-rf`"),
        ("ana\nAna2".into(), "users.txt:2:1", "capital letters"),
        (format!("ana\n{long}"), "users.txt:2:1", "33 characters"),
        ("ana\nbea\nana".into(), "users.txt:3:1", "is there twice"),
        ("ana\nbea\nANA".into(), "users.txt:3:1", "differ only in case"),
        ("ana\nroot".into(), "users.txt:2:1", "account of the system's own"),
        ("ana\nsshd".into(), "users.txt:2:1", "account of the system's own"),
        ("ana\nubuntu".into(), "users.txt:2:1", "administrator"),
        ("ana\nbea;reboot".into(), "users.txt:2:4", "`;`, which means something to a shell"),
        ("ana\n$(reboot)".into(), "users.txt:2:1", "`$`, which means something to a shell"),
        ("ana\nbea`id`".into(), "users.txt:2:4", "which means something to a shell"),
        ("ana\nbea\u{b}x".into(), "users.txt:2:4", "control character"),
        ("ana\nbea\rreboot".into(), "users.txt:2:4", "control character"),
        ("ana\nbea\u{2028}reboot".into(), "users.txt:2:1", "refuses the login"),
        ("ana\nbea\0x".into(), "users.txt:2:4", "is NUL"),
        ("ana\n../../etc".into(), "users.txt:2:1", "cannot be in a login"),
        ("ana key=../people/ana".into(), "users.txt:1:9", "`..` cannot be in a file's name"),
        ("ana key=nowhere.pub".into(), "users.txt:1:9", "there is no file"),
        ("ana key=folder.pub".into(), "users.txt:1:9", "keys/folder.pub"),
        ("ana key=empty.pub".into(), "users.txt:1:9", "holds no key"),
        ("ana key=nonsense.pub".into(), "keys/nonsense.pub:1:1", "the key of `ana`"),
        ("ana key=private.pub".into(), "keys/private.pub:1:1", "this is a private key"),
        ("ana key=weak.pub".into(), "keys/weak.pub:1:1", "1024"),
        ("ana key=dsa.pub".into(), "keys/dsa.pub:1:1", "DSA"),
        (format!("ana password={SEED}"), "users.txt:1:14", "sample hash of the original instructions"),
        ("ana password=ab01FAX.bQRSU".into(), "users.txt:1:14", "DES"),
        ("ana password=hunter2hunter2".into(), "users.txt:1:14", "a password itself must not be in this file"),
        ("ana groups=sudo".into(), "users.txt:1:12", "as good as root"),
        ("ana sudo=maybe".into(), "users.txt:1:10", "`sudo` cannot be `maybe`"),
        ("ana shell=bash".into(), "users.txt:1:11", "not an absolute path"),
        ("ana expires=31.01.2027".into(), "users.txt:1:13", "is no date"),
        ("ana bea".into(), "users.txt:1:5", "after a login there are fields"),
        ("ana:x:1000".into(), "users.txt:1:4", "cannot be in a login"),
    ];
    let before = stack.state("bastion");
    for (list, place, says) in &bad {
        stack.project.write("users.txt", list);
        for verb in [&["users", "apply", "--yes"][..], &["apply", "--yes"]] {
            let run = stack.local(verb);
            assert_eq!((run.code, run.out.as_str()), (Some(1), ""), "{list}\n{}", run.err);
            let run = run.says(&[place, says]);
            for secret in [SEED, "hunter2", "ab01FAX"] {
                assert!(!run.err.contains(secret), "{}", run.err);
            }
            let private = stack.project.read("people/ana");
            assert!(private.lines().all(|line| line.len() < 30 || !run.err.contains(line)), "{}", run.err);
        }
        assert_eq!(stack.state("bastion"), before, "{list}");
    }
    // With a BOM, CRLF, comments and blank lines it is a good list still.
    stack.project.write("users.txt", "\u{feff}# people\r\n\r\nana groups=analysts   # reads\r\n\tbea\r\n");
    stack.converged();
    assert_eq!(stack.state("bastion"), before);
}
