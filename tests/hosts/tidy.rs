//! Nothing stays behind: no process, mount, namespace or control group.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use crate::support::{
    hosts::{Stack, until},
    lab::{Lab, lab},
};

/// The namespaces of a process.
fn namespaces(pid: &str) -> BTreeSet<String> {
    let link = |kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).map(|link| link.display().to_string());
    ["mnt", "net", "pid", "uts", "ipc", "cgroup"].into_iter().filter_map(|kind| link(kind).ok()).collect()
}

fn processes() -> Vec<String> {
    let names = fs::read_dir("/proc").expect("a Linux").flatten().map(|entry| entry.file_name().display().to_string());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).collect()
}

fn command(pid: &str) -> String {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).replace('\0', " ")
}

fn parent(pid: &str) -> String {
    let told = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name, which may hold anything: the state, then the parent.
    let after = told.rsplit(") ").next().unwrap_or_default();
    after.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// The processes that name `folder`, and all that they began, and the namespaces that these live in.
fn of_lab(folder: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let name = name(folder);
    let all = processes();
    let mut inside: BTreeSet<String> = all.iter().filter(|pid| command(pid).contains(&name)).cloned().collect();
    loop {
        let more: Vec<String> =
            all.iter().filter(|pid| !inside.contains(*pid) && inside.contains(&parent(pid))).cloned().collect();
        if more.is_empty() {
            break;
        }
        inside.extend(more);
    }
    let own = namespaces("self");
    let spaces = inside.iter().flat_map(|pid| namespaces(pid)).filter(|space| !own.contains(space)).collect();
    (inside, spaces)
}

fn name(folder: &Path) -> String {
    folder.file_name().expect("a name").to_string_lossy().into_owned()
}

/// What there is of a folder: processes that name it, and mounts below it.
fn traces(folder: &Path) -> Vec<String> {
    let name = name(folder);
    let mut found = Vec::new();
    for pid in processes() {
        let command = command(&pid);
        if command.contains(&name) {
            found.push(format!("process {pid}: {command}"));
        }
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        found.extend(mounts.lines().filter(|line| line.contains(&name)).map(|line| format!("mount of {pid}: {line}")));
    }
    found
}

#[test]
fn nothing_is_left_when_the_local_cloud_goes_down() {
    // Asks whether there can be one: this test has a cloud of its own.
    if lab().is_none() {
        return;
    }
    let lab: &'static Lab = Box::leak(Box::new(Lab::start().expect("another one started")));
    let stack = Stack::on(lab, "ana\n");
    let run = stack.local(&["apply", "--yes"]).expect(0);
    drop(run);
    // The program's own connections end with it.
    assert_eq!(traces(stack.project.folder()), Vec::<String>::new());
    let status = lab.status();
    assert_eq!(status["hosts"]["ready"].as_array().map(Vec::len), Some(2), "{status}");
    let (inside, spaces) = of_lab(&lab.folder);
    assert!(inside.len() > 12 && spaces.len() > 8, "{inside:?} {spaces:?}");
    let run = lab.run(&["local", "down"]).expect(0);
    assert!(run.err.contains("is down"), "{}", run.err);
    until("all processes in the hosts' namespaces end", Duration::from_secs(30), || {
        processes().iter().all(|pid| namespaces(pid).is_disjoint(&spaces))
    });
    assert_eq!(traces(&lab.folder), Vec::<String>::new());
    lab.down();
    assert_eq!(traces(stack.project.folder()), Vec::<String>::new());
}
