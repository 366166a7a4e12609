//! Killed with SIGKILL after any API call, then run again: converged, no duplicate, no orphan.
//!
//! The n-th call takes effect in the cloud, its answer never arrives, and the program is killed: the worst moment there
//! is. That is done for every n of an apply and of a destroy of the shipped nyc311 stack. Every other run loses its
//! journal too, which must lose nothing where reads show what was written. Where they lag behind, the journal is what
//! bridges the time: that is swept with wider steps, for it takes its time.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use crate::support::{census, cli::Project, kill::killed_at, server::Server};

const SPEC: &str = "infra/nyc311.yaml";

/// Which calls of which verb the program is killed after.
#[derive(Clone, Copy, Debug)]
struct Round {
    name: &'static str,
    verb: &'static str,
    /// One call in so many.
    every: usize,
    /// For how many seconds describes do not show what was just created.
    lag: f64,
}

const ROUNDS: [Round; 3] = [
    Round { name: "apply", verb: "apply", every: 1, lag: 0.0 },
    Round { name: "destroy", verb: "destroy", every: 1, lag: 0.0 },
    Round { name: "apply, reads lag", verb: "apply", every: 5, lag: 0.4 },
];

/// What one round found.
#[derive(Debug, Default)]
struct Sweep {
    calls: usize,
    duplicates: usize,
    orphans: usize,
    problems: Vec<String>,
}

type Census = BTreeMap<String, usize>;

/// What there is before an apply and after it.
struct Expected {
    before: Census,
    after: Census,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_and_destroy_survive_a_kill_after_every_call() {
    let expected = {
        let server = start();
        let project = Project::new(&server.endpoint, None);
        let before = census::take(&server.endpoint).await;
        project.run(&["--local", "-f", SPEC, "apply", "--yes"]).expect(0);
        Expected { before, after: census::take(&server.endpoint).await }
    };
    let mut table =
        format!("{:<18} {:>12} {:>12} {:>10} {:>10}\n", "", "calls swept", "duplicates", "orphans", "seconds");
    let mut problems = Vec::new();
    for round in ROUNDS {
        let began = Instant::now();
        let sweep = Box::pin(sweep(round, &expected)).await;
        let Sweep { calls, duplicates, orphans, problems: found } = sweep;
        let seconds = began.elapsed().as_secs();
        let _ = writeln!(table, "{:<18} {calls:>12} {duplicates:>12} {orphans:>10} {seconds:>10}", round.name);
        problems.extend(found);
    }
    println!("\nnyc311 killed after the n-th API call, then run again:\n{table}");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn start() -> Server {
    Server::start(&["--memory", "--speed", "instant"])
}

async fn sweep(round: Round, expected: &Expected) -> Sweep {
    let next = AtomicUsize::new(0);
    // Two at a time, each with a cloud of its own: what takes the time is the clouds' work and the program's.
    let (one, other) = tokio::join!(worker(round, expected, &next), worker(round, expected, &next));
    Sweep {
        calls: one.calls + other.calls,
        duplicates: one.duplicates + other.duplicates,
        orphans: one.orphans + other.orphans,
        problems: [one.problems, other.problems].concat(),
    }
}

async fn worker(round: Round, expected: &Expected, next: &AtomicUsize) -> Sweep {
    let server = start();
    let mut found = Sweep::default();
    loop {
        let call = next.fetch_add(1, Ordering::Relaxed) * round.every + 1;
        match one(round, call, &server, expected).await {
            Ok(false) => return found,
            Ok(true) => {}
            Err(Problem { more, text }) => {
                if round.verb == "apply" {
                    found.duplicates += more;
                } else {
                    found.orphans += more;
                }
                found.problems.push(format!("{} killed after call {call}: {text}", round.name));
            }
        }
        found.calls += 1;
    }
}

/// What is wrong after a kill and another run, and how many objects too many there are.
struct Problem {
    more: usize,
    text: String,
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self { more: 0, text }
    }
}

/// Kills the program after a call, runs it again and looks what there is; false where it needs fewer calls.
async fn one(round: Round, call: usize, server: &Server, expected: &Expected) -> Result<bool, Problem> {
    let Round { verb, lag, .. } = round;
    server.control("POST", "reset", "{}");
    let project = Project::new(&server.endpoint, None);
    if verb == "destroy" {
        project.run(&["--local", "-f", SPEC, "apply", "--yes"]).expect(0);
    }
    server.control("POST", "lag", &format!("{{\"lag\": {lag}}}"));
    if !killed_at(call, &server.endpoint, &project, &["-f", SPEC, verb, "--yes"]).await? {
        return Ok(false);
    }
    if lag == 0.0 && call.is_multiple_of(2) {
        let _ = fs::remove_dir_all(project.path(".infra/journal"));
    }
    let again = project.run(&["--local", "-f", SPEC, verb, "--yes"]);
    // What is hidden must not pass for what is not there.
    server.control("POST", "lag", "{\"lag\": 0}");
    if again.code != Some(0) {
        return Err(format!("another run does not complete it:\n{}\n{}", again.out, again.err).into());
    }
    // An empty plan, or nothing to destroy: neither run changes anything.
    let (third, expected): (&[&str], _) =
        if verb == "apply" { (&["verify"], &expected.after) } else { (&["destroy", "--yes"], &expected.before) };
    let third = project.run(&[&["--local", "-f", SPEC], third].concat());
    if third.code != Some(0) || third.err.contains("Done:") {
        return Err(format!("a third run finds something to do:\n{}\n{}", third.out, third.err).into());
    }
    let now = census::take(&server.endpoint).await;
    let counts = |kind: &String| (now.get(kind).copied().unwrap_or(0), expected.get(kind).copied().unwrap_or(0));
    let unlike = now.keys().filter(|kind| counts(kind).0 != counts(kind).1);
    let unlike: Vec<String> =
        unlike.map(|kind| format!("{} {kind} instead of {}", counts(kind).0, counts(kind).1)).collect();
    if !unlike.is_empty() {
        let more = now.keys().map(|kind| counts(kind).0.saturating_sub(counts(kind).1)).sum();
        return Err(Problem { more, text: unlike.join(", ") });
    }
    Ok(true)
}
