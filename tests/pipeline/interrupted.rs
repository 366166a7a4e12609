//! `deploy` killed with SIGKILL after every API call, then run again: the very objects that an undisturbed one leaves.
//!
//! Whatever the moment, a job that reads the version before reads all of it: no file of that changes, and the pointer
//! names either a version that is whole or the one before.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::Value;
use tokio::task::block_in_place;

use super::{Daily, code_key};
use crate::support::{kill::killed_at, server::Server};

const DEPLOY: [&str; 3] = ["pipeline", "deploy", "--yes"];

/// Every object by its key, with the checksum of its content.
type Objects = BTreeMap<String, String>;

/// What there is before the deploy, and after one that nothing disturbs.
struct Expected {
    before: Objects,
    after: Objects,
    /// The versions' names, the older first.
    versions: [String; 2],
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn strict_a_deploy_that_is_killed_at_any_call_is_completed_by_the_next() {
    let expected = {
        let server = start();
        let daily = deployed(&server);
        let (before, first) = (objects(&daily), daily.version());
        change(&daily);
        daily.local(&DEPLOY).expect(0);
        let second = daily.version();
        assert_ne!(first, second);
        Expected { before, after: objects(&daily), versions: [first, second] }
    };
    let next = AtomicUsize::new(1);
    let (one, other) = tokio::join!(sweep(&expected, &next), sweep(&expected, &next));
    let (calls, begun) = (one.0 + other.0, one.1 + other.1);
    println!(
        "\n`pipeline deploy` killed after each of its {calls} calls; {begun} left files to which nothing pointed yet"
    );
    assert!(calls > 15 && begun > 0, "{calls} calls, {begun} begun");
}

fn start() -> Server {
    Server::start(&["--memory", "--speed", "instant"])
}

/// The bucket with the first version, in a cloud that has nothing else. Alike each time, with the same stack.
fn deployed(server: &Server) -> Daily {
    server.control("POST", "reset", "{}");
    let daily = Daily::named(&server.endpoint, "deploys".to_owned());
    daily.local(&["apply", "--yes", "--only", "bucket/lake"]).expect(0);
    daily.local(&DEPLOY).expect(0);
    daily
}

fn change(daily: &Daily) {
    daily.edit("jobs/clean.py", "clean", "cleaner");
    daily.edit("daily/rows.py", "1", "2");
}

/// Kills one call after the other; how many there were, and how many left files of a version that was not current yet.
async fn sweep(expected: &Expected, next: &AtomicUsize) -> (usize, usize) {
    let server = block_in_place(start);
    let (mut calls, mut begun) = (0, 0);
    loop {
        let call = next.fetch_add(1, Ordering::Relaxed);
        let daily = block_in_place(|| deployed(&server));
        change(&daily);
        let killed = killed_at(call, &server.endpoint, &daily.project, &DEPLOY).await;
        if !killed.unwrap_or_else(|why| panic!("{why}")) {
            return (calls, begun);
        }
        calls += 1;
        begun += usize::from(block_in_place(|| completed(&daily, expected, call)));
    }
}

/// Looks what a kill left, deploys again, and compares; whether the new version was there and not yet the current one.
fn completed(daily: &Daily, expected: &Expected, call: usize) -> bool {
    let Expected { before, after, versions: [first, second] } = expected;
    let left = objects(daily);
    let code = |objects: &Objects, version: &str| -> Objects {
        let of = code_key(version, "");
        objects.iter().filter(|(key, _)| key.starts_with(&of)).map(|(key, sum)| (key.clone(), sum.clone())).collect()
    };
    assert_eq!(code(&left, first), code(before, first), "killed after call {call}: the version before is changed");
    let (begun, whole) = (code(&left, second), code(after, second));
    assert!(begun.iter().all(|(key, sum)| whole.get(key) == Some(sum)), "killed after call {call}: {begun:?}");
    let version = daily.version();
    assert!(version == *first || version == *second && begun == whole, "killed after call {call}: it is {version}");
    if call.is_multiple_of(2) {
        let _ = fs::remove_dir_all(daily.project.path(".infra/journal"));
    }
    daily.local(&DEPLOY).expect(0);
    assert_eq!(objects(daily), *after, "killed after call {call}, and deployed again");
    let code = |step: &String| [" pipeline/", " bucket_object/lake/cod/"].iter().any(|kind| step.contains(kind));
    let more: Vec<String> = daily.steps().into_iter().filter(code).collect();
    assert!(more.is_empty(), "killed after call {call}: a third deploy finds something to do: {more:?}");
    !begun.is_empty() && version == *first
}

fn objects(daily: &Daily) -> Objects {
    let listed = daily.aws().run(&format!("s3api list-objects-v2 --bucket {}", daily.bucket()));
    let text = |object: &Value, name: &str| object[name].as_str().expect("a text").to_owned();
    let objects = listed["Contents"].as_array().expect("objects").iter();
    objects.map(|object| (text(object, "Key"), text(object, "ETag"))).collect()
}
