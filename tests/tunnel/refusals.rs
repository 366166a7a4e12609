//! Why there is no tunnel: a sentence each, with what to do.

use std::{fs, net::TcpListener};

use super::stack::{LONG, Tunnelled, port_of};
use crate::support::hosts::until;

#[test]
fn a_cluster_that_does_not_run_has_no_pages() {
    let Some(it) = Tunnelled::described() else { return };
    it.stack.edit("  start: with-apply\n", "  start: on-demand\n");
    let none = format!("stack {} has no cluster that runs", it.stack.name);
    let refused = |it: &Tunnelled| {
        for arguments in [
            &["tunnel", "up"][..],
            &["tunnel", "up", "--foreground"],
            &["open", "yarn"],
            &["open", "yarn", "--forward"],
            &["ssh", "master"],
            &["cp", "master:notes.txt", "."],
            &["cluster", "ssh"],
            &["cluster", "ssh", "--json"],
        ] {
            let run = it.stack.local(arguments).expect(1);
            let run = run.says(&[&none, "hint: `infra --local cluster up` starts one"]);
            assert!(!run.err.contains("bastion") && !run.err.contains("key"), "{arguments:?}: {}", run.err);
        }
    };
    // There is no bastion either, and its key is not on this machine: that does not matter yet.
    refused(&it);
    let it = it.apply();
    refused(&it);
    let ended = it.stack.local(&["tunnel", "status"]).expect(0);
    ended.says(&[&none]);
    // Another stack's cluster is none of ours.
    let Some(other) = Tunnelled::applied() else { return };
    it.stack.local(&["tunnel", "up"]).expect(1).says(&[&none]);
    drop(other);
}

#[test]
fn a_cluster_that_is_not_ready_is_told() {
    let Some(it) = Tunnelled::described() else { return };
    let stack = &it.stack;
    stack.edit("start: with-apply", "start: on-demand");
    stack.local(&["apply", "--yes", "--no-hosts"]).expect(0);
    // It is STARTING for as long as its machines do not answer: seconds. Whoever asks too slowly tries again.
    let mut said = String::new();
    for _ in 0..5 {
        let starting = stack.project.start(&stack.lab.endpoint, &["--local", "cluster", "up", "--yes"]);
        until("the cluster starts", LONG, || {
            let run = stack.local(&["ssh", "master", "--", "true"]);
            said.push_str(&run.err);
            run.code == Some(0) || run.err.contains("is not ready yet")
        });
        starting.end().expect(0);
        if said.contains("is not ready yet") {
            break;
        }
        stack.local(&["cluster", "down", "--yes"]).expect(0);
    }
    assert!(said.contains(" is not ready yet: it is "), "{said}");
    assert!(said.contains("hint: `infra --local cluster up` waits until it can work"), "{said}");
    it.up();
}

#[test]
fn a_key_that_is_not_here_is_missed() {
    let Some(it) = Tunnelled::applied() else { return };
    let key = it.stack.project.path(&format!(".infra/secrets/local-{}/admin.key", it.stack.name));
    let away = key.with_extension("away");
    fs::rename(&key, &away).expect("a key");
    let run = it.stack.local(&["tunnel", "up"]).expect(1);
    run.says(&["the private half of key `admin` is not on this machine", "copy the file"]);
    fs::rename(away, key).expect("a key");
    it.up();
}

#[test]
fn a_bastion_that_is_down_is_named() {
    let Some(it) = Tunnelled::applied() else { return };
    let id = it.stack.project.id(&[], "instance/bastion");
    it.aws().run(&format!("ec2 stop-instances --instance-ids {id}"));
    until("it stops", LONG, || it.stack.local(&["output", "instance/bastion.state"]).out.trim() != "running");
    let run = it.stack.local(&["tunnel", "up"]).expect(1);
    run.says(&["bastion does not run", "`infra --local apply` starts it"]);
    let run = it.stack.local(&["tunnel", "status"]).expect(0);
    assert_eq!(run.out, "down\n");
}

#[test]
fn a_port_that_is_taken_is_told_and_by_whom() {
    let Some(it) = Tunnelled::applied() else { return };
    let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = held.local_addr().expect("a port").port().to_string();
    let us = format!("(process {})", std::process::id());
    let run = it.stack.local(&["tunnel", "up", "--port", &port]).expect(1);
    run.says(&[&format!("port {port} is taken by "), &us, "without --port, another one is taken"]);
    // The usual one, taken by us or, where another test was faster, by its tunnel.
    let usual = TcpListener::bind("127.0.0.1:8157");
    let run = it.stack.local(&["tunnel", "up"]).expect(0);
    let other = port_of(&run.out);
    assert_ne!(other, 8157);
    let by = if usual.is_ok() { us.as_str() } else { "infra (process " };
    run.says(&["Note: port 8157 is taken by ", by, &format!("the tunnel is at {other} instead")]);
}

#[test]
fn a_host_that_shows_another_key_is_refused() {
    let Some(it) = Tunnelled::applied() else { return };
    it.up();
    it.stack.local(&["ssh", "bastion", "--", "true"]).expect(0);
    // A connection that stays, and so still works once the pins are wrong.
    it.stack.root("bastion", "true");
    let known = it.stack.ways().join("known_hosts");
    let good = fs::read_to_string(&known).expect("pinned keys");
    it.stack.key("other");
    let other: Vec<String> = it.stack.public_key("other").split_whitespace().take(2).map(str::to_owned).collect();
    let address = it.told("address");
    let bastion = it.stack.project.id(&[], "instance/bastion");
    // As if another machine sat at the bastion's place, or at the master's.
    for (host, wrong) in [("bastion", true), ("master", false)] {
        let text: String = good
            .lines()
            .map(|line| match line.split_once(' ') {
                Some((alias, _)) if (alias == bastion) == wrong => format!("{alias} {}\n", other.join(" ")),
                _ => format!("{line}\n"),
            })
            .collect();
        fs::write(&known, &text).expect("our own file");
        if host == "bastion" {
            // The one that is open ends when it must connect again: it is not tried a second time.
            it.stack.root("bastion", "systemd-run -q --on-active=1 sh -c 'pkill -KILL -u ubuntu sshd'");
            until("it ends", LONG, || it.status()["up"] == false);
            let run = it.stack.local(&["tunnel", "status"]).expect(0);
            run.says(&["its host key is not the pinned one"]);
        }
        for arguments in [&["tunnel", "up"][..], &["tunnel", "up", "--trust-first"]] {
            let run = it.stack.local(arguments).expect(1);
            run.says(&[
                &format!("cannot connect to {host}: its host key is not the pinned one"),
                "an instance keeps its keys for as long as it lives",
            ]);
        }
        assert_eq!(fs::read_to_string(&known).expect("pinned keys"), text, "nothing was learnt");
    }
    fs::write(&known, good).expect("our own file");
    it.up();
    assert_eq!(it.told("address"), address);
}
