//! Ctrl-C, once and twice: what the next apply finds, it completes.

use std::time::Duration;

use crate::support::{
    census,
    cli::Project,
    proxy::{Behaviour, Proxy},
    server::Server,
};

const APPLY: [&str; 5] = ["--local", "-f", "infra/nyc311.yaml", "apply", "--yes"];

/// A cloud of its own, seen through a proxy that makes each call take a while.
async fn slow() -> (Server, Proxy, Project) {
    let server = Server::under_test();
    let latency = Duration::from_millis(250);
    let proxy = Proxy::start(&server.endpoint, Behaviour { latency, ..Behaviour::default() }).await;
    let project = Project::new(&server.endpoint, None);
    (server, proxy, project)
}

/// The next apply completes what was begun, with nothing twice: destroying it leaves what there was before.
async fn completes(server: &Server, project: &Project) {
    let applied = project.run(&APPLY).expect(0);
    assert!(applied.err.contains("Done:"), "there was something left to do:\n{}", applied.err);
    project.local(&["-f", "infra/nyc311.yaml", "verify"]).expect(0);
    let fresh = {
        let server = Server::under_test();
        Project::new(&server.endpoint, None).run(&APPLY).expect(0);
        census::take(&server.endpoint).await
    };
    assert_eq!(census::take(&server.endpoint).await, fresh);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_the_running_steps_finish_and_none_starts() {
    let (server, proxy, project) = slow().await;
    let mut running = project.start(&proxy.endpoint, &APPLY);
    running.until(" create vpc/main");
    running.interrupt();
    let ended = running.end().expect(130).says(&["Stopping", "stopped: ", "were not started", "same command again"]);
    let lines = |word: &str| {
        let of = |line: &str| Some(line.split_once(word)?.1.split_whitespace().next()?.to_owned());
        // Not the plan's lines: those of the steps begin with a time.
        let steps = ended.err.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit()));
        let mut addresses: Vec<String> = steps.filter_map(of).collect();
        addresses.sort();
        addresses
    };
    let (begun, done) = (lines(" create "), lines(" created "));
    assert!(!begun.is_empty() && begun.iter().all(|address| done.contains(address)), "{}", ended.err);
    assert!(!done.contains(&"instance/bastion".to_owned()), "{}", ended.err);
    completes(&server, &project).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twice_it_stops_at_once() {
    let (server, proxy, project) = slow().await;
    let mut running = project.start(&proxy.endpoint, &APPLY);
    running.until(" create nat_gateway/");
    running.interrupt();
    running.until("Stopping");
    running.interrupt();
    running.end().expect(130).says(&["stopped at once", "same command again"]);
    completes(&server, &project).await;
}
