//! `make bench`: what a plan costs in calls, in calls that wait for each other, in seconds and in memory; what the
//! engine and the program alone cost. One table, each figure with its bound.
//!
//! Counts are the same everywhere: one that is over its bound fails the run. Times are printed.

mod generated;
mod measure;
mod table;

#[path = "../../tests/support/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod support;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use measure::Plans;
use support::{
    cli::{self, Project},
    server::Server,
};
use table::{Table, Unit, Weight};

const LATENCY: Duration = Duration::from_millis(50);
/// So long that each call that waits for another's answer stands out from the emulator's own time.
const LONG_LATENCY: Duration = Duration::from_secs(2);
const CALLS: f64 = 40.0;
const CHAIN: f64 = 3.0;

#[tokio::main]
async fn main() -> ExitCode {
    let mut table = Table::default();
    nyc311(&mut table).await;
    generated_stacks(&mut table).await;
    engine(&mut table);
    program(&mut table);
    if table.print() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cloud() -> Server {
    Server::start(&["--memory", "--speed", "instant"])
}

/// Applies a spec and returns what was said about it.
fn apply(project: &Project, spec: &str) -> String {
    project.run(&["--local", "-f", spec, "apply", "--yes"]).expect(0).err
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

async fn nyc311(table: &mut Table) {
    const SPEC: &str = "infra/nyc311.yaml";
    say("nyc311 ...");
    let server = cloud();
    let project = Project::new(&server.endpoint, None);
    apply(&project, SPEC);
    let own = measure::plans(&server.endpoint, &project, SPEC, Duration::ZERO).await;
    let Plans { seconds, traffic, .. } = measure::plans(&server.endpoint, &project, SPEC, LATENCY).await;
    let chain = measure::chain(&server.endpoint, &project, SPEC, LONG_LATENCY).await;
    table.heading("infra plan, nyc311 unchanged");
    table.at_most(Weight::Count, "API calls", number(traffic.calls), CALLS, Unit::Number);
    table.at_most(Weight::Count, "calls one after the other", number(chain), CHAIN, Unit::Number);
    table.figure("without latency: the emulator's own time", own.seconds, Unit::Seconds);
    let bound = CHAIN * LATENCY.as_secs_f64() + own.seconds + 0.1;
    table.at_most(Weight::Time, "with 50 ms added to each call", seconds, bound, Unit::Seconds);
}

async fn generated_stacks(table: &mut Table) {
    const SPEC: &str = "infra/generated.yaml";
    table.heading("infra plan, generated stacks unchanged");
    for size in [10, 100, 1000] {
        say(&format!("{size} resources ..."));
        let server = cloud();
        let project = Project::new(&server.endpoint, None);
        project.write(SPEC, &generated::spec(size));
        let began = Instant::now();
        let told = apply(&project, SPEC);
        let applied = began.elapsed().as_secs_f64();
        assert!(told.contains(&format!("Done: {size} steps")), "not a stack of {size}:\n{told}");
        let plans = measure::plans(&server.endpoint, &project, SPEC, Duration::ZERO).await;
        let slow = measure::plans(&server.endpoint, &project, SPEC, LATENCY).await;
        let mut row = |what: &str, measured, unit| table.figure(&format!("{size} resources: {what}"), measured, unit);
        row("apply", applied, Unit::Seconds);
        row("plan, the emulator's time with it", plans.seconds, Unit::Seconds);
        row("plan with 50 ms added to each call", slow.seconds, Unit::Seconds);
        // More pages than at ten resources, but not more calls an object.
        let calls = number(plans.traffic.calls);
        table.at_most(Weight::Count, &format!("{size} resources: API calls"), calls, CALLS, Unit::Number);
        let chain = number(measure::chain(&server.endpoint, &project, SPEC, LONG_LATENCY).await);
        table.figure(&format!("{size} resources: calls one after the other"), chain, Unit::Number);
        let peak = number(usize::try_from(plans.peak / 1024).unwrap_or(usize::MAX)) * 1024.0;
        table.at_most(Weight::Count, &format!("{size} resources: peak memory"), peak, 100e6, Unit::Megabytes);
    }
}

/// What criterion measured just before, and the engine's test of schedules.
fn engine(table: &mut Table) {
    table.heading("the engine alone");
    let folder = target().join("criterion").join("10,000 resources");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    let mut any = false;
    for path in found {
        let Some(seconds) = mean(&path) else { continue };
        any = true;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let what = format!("10,000 resources: {name}");
        if name.starts_with("plan") {
            table.at_most(Weight::Time, &what, seconds, 1.0, Unit::Seconds);
        } else {
            table.figure(&what, seconds, Unit::Seconds);
        }
    }
    if !any {
        table.unknown("10,000 resources: plan", 1.0, Unit::Seconds, "cargo bench");
    }
    let what = "apply's wall time to its longest chain, 32 at once";
    match std::env::var("INFRA_BENCH_RATIO").ok().and_then(|ratio| ratio.parse().ok()) {
        Some(ratio) => table.at_most(Weight::Count, what, ratio, 1.2, Unit::Times),
        None => table.unknown(what, 1.2, Unit::Times, "make bench"),
    }
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| cli::root().join("target"), PathBuf::from)
}

/// The mean that criterion wrote down, in seconds.
fn mean(folder: &Path) -> Option<f64> {
    let text = std::fs::read(folder.join("new").join("estimates.json")).ok()?;
    let estimates: serde_json::Value = serde_json::from_slice(&text).ok()?;
    Some(estimates["mean"]["point_estimate"].as_f64()? / 1e9)
}

fn program(table: &mut Table) {
    let program = cli::program();
    table.heading("the program");
    let mut times: Vec<f64> = (0..21).map(|_| measure::run(Command::new(&program).arg("--version")).seconds).collect();
    times.sort_by(f64::total_cmp);
    table.at_most(Weight::Time, "infra --version", times[times.len() / 2], 0.015, Unit::Seconds);
    let size = std::fs::metadata(&program).expect("the program that ran").len();
    let size = number(usize::try_from(size / 1024).unwrap_or(usize::MAX)) * 1024.0;
    let weight = if cfg!(debug_assertions) && std::env::var_os("INFRA_TEST_PROGRAM").is_none() {
        Weight::Time
    } else {
        Weight::Count
    };
    table.at_most(weight, "size of the binary", size, 40e6, Unit::Megabytes);
}

/// Tells on stderr what takes the time now.
fn say(text: &str) {
    eprintln!("{text}");
}
