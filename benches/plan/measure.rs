//! One run of the program: what it took, and what it asked for.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use serde::Deserialize;

use crate::support::{
    aws::python,
    cli::Project,
    proxy::{Behaviour, Proxy, Traffic},
};

/// Runs a program and tells its time and peak memory. The system keeps the peak of ended children only, and only a
/// process can ask for its own: hence a small one that has no other child.
const WATCH: &str = r#"
import json, resource, subprocess, sys, time
began = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"code": code, "seconds": seconds, "peak": peak}))
"#;

/// What a run took.
#[derive(Debug, Deserialize)]
pub struct Taken {
    code: i32,
    /// Wall time, from start to end of the process.
    pub seconds: f64,
    /// Bytes.
    pub peak: u64,
}

/// Runs a command to its end, which must be a good one.
pub fn run(command: &Command) -> Taken {
    let mut watch = Command::new(python());
    watch.args(["-c", WATCH]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        watch.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => watch.env(name, value),
            None => watch.env_remove(name),
        };
    }
    let output = watch.stderr(Stdio::piped()).output().expect("Python starts");
    let taken: Option<Taken> = serde_json::from_slice(&output.stdout).ok();
    match taken {
        Some(taken) if taken.code == 0 => taken,
        _ => panic!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// What several runs of one plan took.
pub struct Plans {
    /// The middle one's wall time.
    pub seconds: f64,
    /// The largest peak, in bytes.
    pub peak: u64,
    /// What the last one asked for.
    pub traffic: Traffic,
}

/// How many calls of a plan wait for each other's answers, one after the other.
pub async fn chain(endpoint: &str, project: &Project, spec: &str, latency: Duration) -> usize {
    let proxy = Proxy::start(endpoint, Behaviour { latency, ..Behaviour::default() }).await;
    run(&project.command(Some(&proxy.endpoint), &["--local", "-f", spec, "plan", "--exit-code"]));
    proxy.traffic().sequential()
}

/// Plans an unchanged stack some times, through a proxy that adds `latency` to each call.
pub async fn plans(endpoint: &str, project: &Project, spec: &str, latency: Duration) -> Plans {
    const TIMES: usize = 5;
    let mut seconds = Vec::new();
    let mut peak = 0;
    let mut traffic = Traffic::default();
    for _ in 0..TIMES {
        let proxy = Proxy::start(endpoint, Behaviour { latency, ..Behaviour::default() }).await;
        let arguments = ["--local", "-f", spec, "plan", "--exit-code"];
        let taken = run(&project.command(Some(&proxy.endpoint), &arguments));
        seconds.push(taken.seconds);
        peak = peak.max(taken.peak);
        traffic = proxy.traffic();
    }
    seconds.sort_by(f64::total_cmp);
    Plans { seconds: seconds[TIMES / 2], peak, traffic }
}
