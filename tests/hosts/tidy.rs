//! Nothing stays behind: no process, mount, namespace or control group.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use crate::support::{
    cli::{Project, Run, root},
    hosts::until,
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

/// The processes that a local cloud in `folder` began, and all that live in their namespaces.
fn of_lab(folder: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let own = namespaces("self");
    let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
    let mut spaces = BTreeSet::new();
    for pid in processes() {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains(&name) {
            spaces.extend(namespaces(&pid).difference(&own).cloned());
        }
    }
    let inside = processes().into_iter().filter(|pid| !namespaces(pid).is_disjoint(&spaces));
    (inside.collect(), spaces)
}

/// What is there of a lab: processes that name its folder, mounts, control groups, sockets.
fn traces(folder: &Path) -> Vec<String> {
    let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
    let mut found = Vec::new();
    for pid in processes() {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
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
    // Asks for permission: this test has a cloud of its own.
    if lab().is_none() {
        return;
    }
    let lab = Lab::start().expect("the other one started");
    let folder = lab.folder.clone();
    let project = Project::empty(&lab.endpoint);
    let spec = fs::read_to_string(root().join("tests/specs/hosts.yaml")).expect("the spec of hosts");
    project.write("infra/hosts.yaml", &spec.replace("STACK", "tidy").replace("    users: ../users.txt\n", ""));
    project.local(&["apply", "--yes"]).expect(0);
    let status = lab.status();
    assert_eq!(status["hosts"]["ready"].as_array().map(Vec::len), Some(2), "{status}");
    let (inside, spaces) = of_lab(&folder);
    assert!(inside.len() > 20 && spaces.len() > 3, "{inside:?} {spaces:?}");
    assert!(!traces(&folder).is_empty());
    let networks = fs::read_dir("/run/netns").map(Iterator::count).unwrap_or_default();
    let run: Run = lab.run(&["local", "down"]).expect(0);
    assert!(run.err.contains("is down"), "{}", run.err);
    until("all processes in the hosts' namespaces end", Duration::from_secs(5), || {
        processes().iter().all(|pid| namespaces(pid).is_disjoint(&spaces))
    });
    assert_eq!(traces(&folder), Vec::<String>::new());
    assert_eq!(fs::read_dir("/run/netns").map(Iterator::count).unwrap_or_default(), networks);
    let left: Vec<String> = fs::read_to_string("/proc/self/mountinfo")
        .expect("a Linux")
        .lines()
        .filter(|line| line.contains("infra-local") || line.contains(&*folder.to_string_lossy()))
        .map(str::to_owned)
        .collect();
    assert_eq!(left, Vec::<String>::new());
    lab.down();
}
