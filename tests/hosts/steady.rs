//! What is as it should be is left alone, and asked about with few words.

use crate::support::{cli::Run, hosts::Stack};

#[test]
fn a_second_run_changes_nothing_on_the_host() {
    let list = "ana groups=analysts\nbea sudo=no expires=2090-01-31\ncaro shell=/bin/sh\n";
    let Some(stack) = Stack::bastion(list) else { return };
    let stack = stack.applied();
    let before = stack.state("bastion");
    let pid = stack.root("bastion", "systemctl show -p MainPID -p ExecReload -p ActiveEnterTimestamp ssh");
    let run = stack.local(&["apply", "--yes"]).expect(0);
    assert!(run.err.contains("Nothing to do"), "{}", run.err);
    let run = stack.apply().expect(0);
    assert!(run.err.contains("Nothing to do"), "{}", run.err);
    stack.converged();
    assert_eq!(stack.state("bastion"), before);
    assert_eq!(stack.root("bastion", "systemctl show -p MainPID -p ExecReload -p ActiveEnterTimestamp ssh"), pid);
    // The comparison sees what is one byte long, and what was only touched.
    stack.root("bastion", "touch /etc/group");
    assert_ne!(stack.state("bastion"), before);
}

/// How often the hosts were asked, as `-v` tells.
#[track_caller]
fn round_trips(run: &Run) -> usize {
    let told = run.err.lines().find_map(|line| line.split("round_trips=").nth(1));
    let told = told.unwrap_or_else(|| panic!("-v tells no round trips:\n{}", run.err));
    told.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a number")
}

#[test]
fn few_round_trips_whatever_the_number_of_people() {
    let people: Vec<String> = (0..40).map(|number| format!("person{number:02} key=shared.pub groups=all\n")).collect();
    let people = people.concat();
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    let converged = stack.local(&["users", "plan", "-v"]).expect(0);
    assert!(round_trips(&converged) <= 3, "{}", converged.err);
    stack.key("shared");
    stack.project.write("users.txt", &format!("ana\n{people}"));
    let changed = stack.local(&["users", "apply", "--yes", "-v"]).expect(0);
    assert!(changed.err.contains("41 to create"), "{}", changed.err);
    assert!(round_trips(&changed) <= 5, "{}", changed.err);
    let converged = stack.local(&["users", "plan", "--exit-code", "-v"]).expect(0);
    assert!(round_trips(&converged) <= 3, "{}", converged.err);
    assert_eq!(stack.root("bastion", "getent group all | tr , '\n' | wc -l").trim(), "40");
}
