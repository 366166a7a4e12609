//! `infra ssh` and `infra cp`.

use std::{io::Write, process::Stdio};

use crate::support::{cli::Run, hosts::Stack};

/// A stack of two hosts with one person, applied.
fn applied() -> Option<Stack> {
    Some(Stack::both("ana\n")?.applied())
}

#[test]
fn commands_run_on_hosts_and_their_exit_codes_are_ours() {
    let Some(stack) = applied() else { return };
    for (host, address) in [("bastion", "10.0.0."), ("inner", "10.0.1.")] {
        let run = stack.local(&["ssh", host, "--", "hostname -I; echo said >&2; exit 7"]).expect(7);
        assert!(run.out.starts_with(address), "{}", run.out);
        // What ssh ran has said all there is to say.
        assert_eq!(run.err, "said\n");
    }
    // The shell there reads it, and options among it are its own.
    assert_eq!(stack.local(&["ssh", "inner", "--", "echo", "$HOME", "-v"]).expect(0).out, "/home/ubuntu -v\n");
    let mut command = stack.project.command(None, &["--local", "ssh", "inner", "--", "cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    child.stdin.take().expect("a piped stdin").write_all(b"through two hosts").expect("it reads");
    let run: Run = child.wait_with_output().expect("it ends").into();
    assert_eq!(run.expect(0).out, "through two hosts");
}

#[test]
fn a_terminal_is_passed_on() {
    let Some(stack) = applied() else { return };
    let run = stack.project.on_terminal(80, &["--local", "ssh", "inner"], "$ ", "tty; exit 3\n").expect(3);
    assert!(run.out.contains("/dev/pts/"), "{}", run.out);
    let run = stack.project.on_terminal(80, &["--local", "ssh", "inner", "-t", "--", "tty"], "", "").expect(0);
    assert!(run.out.contains("/dev/pts/"), "{}", run.out);
    // Without being asked for, a command has none: what it prints may be data.
    let run = stack.project.on_terminal(80, &["--local", "ssh", "inner", "--", "tty"], "", "").expect(1);
    assert!(run.out.contains("not a tty"), "{}", run.out);
}

#[test]
fn people_log_in_with_their_own_keys() {
    let Some(stack) = applied() else { return };
    // Through the bastion as themselves too.
    for host in ["bastion", "inner"] {
        let run = stack.local(&["ssh", host, "--as", "ana", "-i", "people/ana", "--", "id -un"]).expect(0);
        assert_eq!(run.out, "ana\n");
    }
    stack.key("mallory");
    let run = stack.local(&["ssh", "inner", "--as", "ana", "-i", "people/mallory", "--", "true"]).expect(255);
    let run = run.says(&["error: cannot connect to bastion: ", "Permission denied", "does not let `ana` in with"]);
    // The administrator's key was not shown in its place.
    assert_eq!(run.out, "");
    // Nothing of theirs is kept.
    let kept = std::fs::read_dir(stack.ways()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut kept: Vec<_> = kept.collect();
    kept.sort();
    assert_eq!(kept, ["known_hosts", "ssh_config"]);
}

#[test]
fn an_account_that_is_closed_is_told_as_such() {
    let Some(stack) = Stack::bastion("ana\nbea expires=2020-01-31\n") else { return };
    let stack = stack.applied();
    assert!(stack.lets_in("ana", "bastion") && !stack.lets_in("bea", "bastion"));
    let run = stack.local(&["ssh", "bastion", "--as", "bea", "-i", "people/bea", "--", "true"]).expect(255);
    run.says(&[
        "error: cannot connect to bastion: the account has expired",
        "hint: the account of `bea` is closed on bastion: `expires=`",
    ]);
}

#[test]
fn files_are_copied_both_ways() {
    let Some(stack) = applied() else { return };
    let project = &stack.project;
    std::fs::create_dir_all(project.path("tree/leaf")).expect("a folder");
    project.write("tree/leaf/file:1", "a file\n");
    stack.local(&["cp", "-r", "tree", "./tree/leaf/file:1", "inner:"]).expect(0);
    assert_eq!(stack.local(&["ssh", "inner", "--", "cat tree/leaf/file:1 file:1"]).expect(0).out, "a file\na file\n");
    stack.local(&["cp", "--as", "ana", "-i", "people/ana", "users.txt", "bastion:/tmp/ana's file"]).expect(0);
    stack.local(&["cp", "inner:tree/leaf/file:1", "bastion:/tmp/ana's file", "tree"]).expect(0);
    assert_eq!(project.read("tree/file:1"), "a file\n");
    assert_eq!(project.read("tree/ana's file"), project.read("users.txt"));
    let run = stack.local(&["cp", "inner:nowhere", "."]).expect(1);
    assert!(run.err.contains("nowhere") && !run.err.contains("cannot connect"), "{}", run.err);
}

#[test]
fn a_host_that_shows_another_key_is_refused_and_explained() {
    let Some(stack) = applied() else { return };
    let pins = stack.ways().join("known_hosts");
    let id = stack.project.id(&[], "instance/bastion");
    let good = std::fs::read_to_string(&pins).expect("pinned keys");
    stack.key("other");
    let other: Vec<String> = stack.public_key("other").split_whitespace().take(2).map(str::to_owned).collect();
    let others = good.lines().filter(|line| !line.starts_with(&id)).map(|line| format!("{line}\n"));
    let wrong = others.collect::<String>() + &format!("{id} {}\n", other.join(" "));
    std::fs::write(&pins, &wrong).expect("our own file");
    // Also where it is only on the way, and where keys are believed at the first meeting.
    for arguments in [&["ssh", "bastion"][..], &["ssh", "inner"], &["ssh", "bastion", "--trust-first"]] {
        stack.local(&[arguments, &["--", "true"]].concat()).expect(255).says(&[
            "REMOTE HOST IDENTIFICATION HAS CHANGED",
            "error: cannot connect to bastion: its host key is not the pinned one",
            "an instance keeps its keys for as long as it lives",
        ]);
    }
    stack.local(&["cp", "users.txt", "bastion:"]).expect(255).says(&["is not the pinned one"]);
    let named = stack.local(&["users", "audit", "bastion"]).expect(1);
    named.says(&["error: cannot connect to bastion: its host key", "an instance keeps its keys"]);
    let all = stack.local(&["users", "audit"]).expect(1).says(&["2 of 2 hosts could not be looked at"]);
    assert!(!all.err.contains("Nothing unusual."), "{}", all.err);
    assert_eq!(std::fs::read_to_string(&pins).expect("pinned keys"), wrong);
    std::fs::write(&pins, good).expect("our own file");
    stack.local(&["ssh", "inner", "--", "true"]).expect(0);
}

#[test]
fn hosts_that_are_not_there_are_told() {
    let Some(stack) = Stack::both("ana\n") else { return };
    for arguments in [&["ssh", "inner"][..], &["cp", "users.txt", "inner:"], &["users", "audit", "inner"]] {
        let run = stack.local(arguments).expect(1);
        run.says(&["error: bastion does not exist yet", "`infra --local apply` makes it"]);
    }
}

#[test]
fn who_shut_themselves_out_is_told_the_way_back_in() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    let (in_range, out_of_range) = ("ssh_from: [203.0.113.0/24]", "ssh_from: [192.0.2.0/24]");
    stack.edit(in_range, out_of_range);
    stack.local(&["apply", "--yes"]).expect(0);
    stack.edit(out_of_range, in_range);
    let refused = stack.local(&["apply", "--yes"]).expect(1);
    refused.says(&[
        "cannot connect to bastion",
        "is your address in `ssh_from` of bastion?",
        "`infra --no-hosts apply`",
    ]);
    stack.local(&["--no-hosts", "apply", "--yes"]).expect(0);
    stack.converged();
}
