//! Killed with SIGKILL after any API call, then run again: converged, no duplicate, no orphan.
//!
//! The n-th call takes effect in the cloud, its answer never arrives, and the program is killed: the worst moment there
//! is. That is done for every n of an apply and of a destroy of the shipped nyc311 stack. Every other run loses its
//! journal too, which must lose nothing.

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use crate::support::{
    census,
    cli::Project,
    proxy::{Behaviour, Proxy},
    server::Server,
};

const SPEC: &str = "infra/nyc311.yaml";

/// What one verb's sweep found.
#[derive(Debug, Default)]
struct Sweep {
    calls: usize,
    duplicates: usize,
    orphans: usize,
    problems: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_and_destroy_survive_a_kill_after_every_call() {
    let expected = {
        let server = Server::start(&["--memory", "--speed", "instant"]);
        let project = Project::new(&server.endpoint, None);
        let before = census::take(&server.endpoint).await;
        project.run(&["--local", "-f", SPEC, "apply", "--yes"]).expect(0);
        (before, census::take(&server.endpoint).await)
    };
    let apply = sweep("apply", &expected).await;
    let destroy = sweep("destroy", &expected).await;
    println!("\ncrash sweep of nyc311: killed after the n-th API call, then run again");
    println!("{:<10} {:>12} {:>12} {:>10}", "verb", "calls swept", "duplicates", "orphans");
    for (verb, sweep) in [("apply", &apply), ("destroy", &destroy)] {
        println!("{verb:<10} {:>12} {:>12} {:>10}", sweep.calls, sweep.duplicates, sweep.orphans);
    }
    let problems = [apply.problems, destroy.problems].concat();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

type Census = BTreeMap<String, usize>;

async fn sweep(verb: &'static str, expected: &(Census, Census)) -> Sweep {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.store(0, Ordering::SeqCst);
    // Two at a time: the clouds are what takes the time, each on a core of its own.
    let (one, other) = tokio::join!(worker(verb, expected, &NEXT), worker(verb, expected, &NEXT));
    let problems = [one.problems, other.problems].concat();
    Sweep {
        calls: one.calls + other.calls,
        duplicates: one.duplicates + other.duplicates,
        orphans: one.orphans + other.orphans,
        problems,
    }
}

async fn worker(verb: &str, (before, after): &(Census, Census), next: &AtomicUsize) -> Sweep {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let mut found = Sweep::default();
    loop {
        let call = next.fetch_add(1, Ordering::SeqCst) + 1;
        server.control("POST", "reset", "{}");
        let project = Project::new(&server.endpoint, None);
        if verb == "destroy" {
            project.run(&["--local", "-f", SPEC, "apply", "--yes"]).expect(0);
        }
        if !killed_at(call, verb, &server, &project).await {
            return found;
        }
        found.calls += 1;
        if call % 2 == 0 {
            let _ = std::fs::remove_dir_all(project.path(".infra/journal"));
        }
        let again = project.run(&["--local", "-f", SPEC, verb, "--yes"]);
        if again.code != Some(0) {
            found
                .problems
                .push(format!("{verb} killed after call {call} does not complete:\n{}\n{}", again.out, again.err));
            continue;
        }
        let (expected, verified) = if verb == "apply" {
            (after, project.run(&["--local", "-f", SPEC, "verify"]))
        } else {
            (before, project.run(&["--local", "-f", SPEC, "destroy", "--yes"]))
        };
        if verified.code != Some(0) {
            found.problems.push(format!("after {verb} killed at call {call}:\n{}\n{}", verified.out, verified.err));
        }
        let now = census::take(&server.endpoint).await;
        let more: usize =
            now.iter().map(|(kind, count)| count.saturating_sub(expected.get(kind).copied().unwrap_or(0))).sum();
        if more > 0 {
            found
                .problems
                .push(format!("{verb} killed after call {call} leaves too much: {now:?} instead of {expected:?}"));
            if verb == "apply" { found.duplicates += more } else { found.orphans += more }
        } else if now != *expected {
            found
                .problems
                .push(format!("{verb} killed after call {call} leaves too little: {now:?} instead of {expected:?}"));
        }
    }
}

/// Runs `verb` and kills it once its n-th call has taken effect; false where it needs fewer calls.
async fn killed_at(call: usize, verb: &str, server: &Server, project: &Project) -> bool {
    let proxy = Proxy::start(&server.endpoint, Behaviour { latency: Duration::ZERO, silent_from: Some(call) }).await;
    let mut command = project.command(Some(&proxy.endpoint), &["--local", "-f", SPEC, verb, "--yes"]);
    let mut child = {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        tokio::process::Command::from(command)
    }
    .kill_on_drop(true)
    .spawn()
    .expect("the program starts");
    tokio::select! {
        status = child.wait() => {
            assert!(status.expect("a status").success(), "{verb} failed by itself before call {call}");
            false
        }
        () = proxy.silenced() => {
            // SIGKILL: nothing in the program gets to tidy up.
            child.kill().await.expect("the program can be killed");
            true
        }
    }
}
