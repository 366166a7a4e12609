//! How a tunnel lives on, and how it ends.

use std::{os::unix::process::CommandExt, time::Duration};

use super::stack::{LONG, Tunnelled, answers, lives, port_of, processes_with, signal};
use crate::support::hosts::until;

#[test]
fn it_comes_back_when_the_bastion_does() {
    let Some(it) = Tunnelled::applied() else { return };
    let port = it.up();
    let page = format!("http://{}:8088/cluster", it.told("master"));
    assert!(answers(port, &page));
    // Nothing comes in any more, and what was in is thrown out. It comes back by itself, as the host has no other way in.
    it.stack.local(&["ssh", "bastion", "--", "true"]).expect(0);
    it.stack.root(
        "bastion",
        "systemd-run -q --on-active=6 systemctl start ssh\nsystemctl stop ssh\n\
         systemd-run -q --on-active=1 sh -c 'pkill -KILL sshd'",
    );
    until("the loss is noticed", LONG, || it.status()["state"] == "reconnecting");
    let status = it.status();
    assert_eq!(status["up"], true);
    assert!(status["pages"].as_array().expect("pages").iter().all(|page| page["answers"] == false), "{status}");
    // The port stays ours meanwhile.
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_err());
    until("the tunnel is back", LONG, || it.status()["state"] == "connected");
    assert!(answers(port, &page));
    let status = it.status();
    assert!(status["reconnects"].as_u64().is_some_and(|times| times >= 1), "{status}");
    assert_eq!(status["port"], port);
    let text = it.stack.local(&["tunnel", "status"]).expect(0).out;
    assert!(text.contains(", connected again "), "{text}");
}

#[test]
fn down_ends_what_a_killed_keeper_left() {
    let Some(it) = Tunnelled::applied() else { return };
    let port = it.up();
    let page = format!("http://{}:8088/cluster", it.told("master"));
    assert!(answers(port, &page));
    let record = it.stack.project.read(&format!(".infra/tunnel/local-{}/keeper.json", it.stack.name));
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    let sockets = record["sockets"].as_str().expect("a folder");
    assert!(!processes_with(sockets).is_empty(), "its ssh has the sockets there");
    signal("KILL", record["keeper"]["id"].as_u64().expect("a process"));
    until("nobody listens", LONG, || std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
    let run = it.stack.local(&["tunnel", "status"]).expect(0).says(&["its process was killed"]);
    assert_eq!(run.out, "down\n");
    it.stack.local(&["tunnel", "down"]).expect(0).says(&["The tunnel is down."]);
    until("nothing is left", LONG, || processes_with(sockets).is_empty());
    assert!(!std::path::Path::new(sockets).exists());
    // And after another one, the next `up` begins as if nothing had been.
    it.up();
    signal("KILL", it.status()["process"].as_u64().expect("a process"));
    let port = it.up();
    assert!(answers(port, &page));
}

#[test]
fn a_keeper_that_hangs_is_ended() {
    let Some(it) = Tunnelled::applied() else { return };
    it.up();
    let process = it.status()["process"].as_u64().expect("a process");
    signal("STOP", process);
    it.stack.local(&["tunnel", "up"]).expect(1).says(&["does not answer", "tunnel down` ends it"]);
    it.stack.local(&["tunnel", "down"]).expect(0).says(&["The tunnel is down."]);
    assert!(!lives(process));
    let folder = it.stack.project.path(&format!(".infra/tunnel/local-{}", it.stack.name));
    assert!(!folder.join("keeper.json").exists());
}

#[test]
fn killing_the_program_that_opens_it_leaves_nothing_that_down_cannot_end() {
    let Some(it) = Tunnelled::applied() else { return };
    let stack = &it.stack;
    for wait in [50, 400, 1500] {
        let mut command = stack.project.command(None, &["--local", "tunnel", "up"]);
        // A group of its own, as a shell would give it.
        command.process_group(0).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().expect("our own child");
        child.wait().expect("a status");
        until("down ends it", LONG, || stack.local(&["tunnel", "down"]).code == Some(0));
        let ours = format!("{} tunnel keep", "--local");
        let here =
            |id: &u64| std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd == stack.project.folder());
        until("no keeper is left", LONG, || {
            let left: Vec<u64> = processes_with(&ours).into_iter().filter(here).collect();
            if !left.is_empty() {
                stack.local(&["tunnel", "down"]);
            }
            left.is_empty()
        });
    }
    let port = it.up();
    assert!(answers(port, &format!("http://{}:8088/cluster", it.told("master"))));
}

#[test]
fn in_the_foreground_it_ends_with_ctrl_c() {
    let Some(it) = Tunnelled::applied() else { return };
    let stack = &it.stack;
    let arguments = ["--local", "tunnel", "up", "--foreground"];
    let mut opened = stack.project.start(&stack.lab.endpoint, &arguments);
    opened.until("until Ctrl-C");
    let (port, page) =
        (it.status()["port"].as_u64().expect("a port"), format!("http://{}:8088/cluster", it.told("master")));
    let port = u16::try_from(port).expect("a port");
    assert!(answers(port, &page));
    stack.local(&["tunnel", "up"]).expect(0).says(&["is up already"]);
    opened.interrupt();
    let run = opened.end().expect(0);
    assert_eq!(port_of(&run.out), port);
    assert!(!answers(port, &page));
    // Killed, it leaves nothing either that `down` cannot end.
    let mut opened = stack.project.start(&stack.lab.endpoint, &arguments);
    opened.until("until Ctrl-C");
    opened.kill();
    let run = stack.local(&["tunnel", "down"]).expect(0);
    run.says(&["The tunnel is down."]);
    // And `down` ends it from another terminal.
    let mut opened = stack.project.start(&stack.lab.endpoint, &arguments);
    opened.until("until Ctrl-C");
    stack.local(&["tunnel", "down"]).expect(0);
    opened.end().expect(1).says(&["the tunnel ended: it was told to end"]);
}

#[test]
fn it_ends_with_the_cluster() {
    let Some(it) = Tunnelled::applied() else { return };
    let port = it.up();
    let process = it.status()["process"].as_u64().expect("a process");
    it.aws().run(&format!("emr terminate-clusters --cluster-ids {}", it.cluster()));
    until("the keeper ends", LONG, || !lives(process));
    assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok(), "the port is free");
    let run = it.stack.local(&["tunnel", "status"]).expect(0).says(&["the cluster ended: somebody terminated it"]);
    assert_eq!(run.out, "down\n");
    let run = it.stack.local(&["tunnel", "up"]).expect(1);
    assert!(run.err.contains("has no cluster that runs") || run.err.contains("is ending"), "{}", run.err);
}
