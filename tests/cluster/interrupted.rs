//! `up` and `down` killed with SIGKILL after any API call, then run again: one cluster, then none.
//!
//! The n-th call takes effect in the cloud, its answer never arrives, and the program is killed. Calls that only read
//! come first, and are swept with wider steps. Every other run loses its journal too.

use std::{fs, process::Stdio};

use infra::cloud::{Target, connect};

use super::{cluster, destroy, project};
use crate::support::{
    cli::Project,
    proxy::{Behaviour, Proxy},
    server::Server,
    world::REGION,
};

/// The ids of all clusters of the cloud that live or are ending.
async fn clusters(server: &Server) -> Vec<String> {
    let target = Target::Local { endpoint: server.endpoint.clone(), lag: std::time::Duration::ZERO, gateway: None };
    let emr = connect(&target, REGION).await.expect("the local cloud answers").clients.emr;
    let found = emr.list_clusters().send().await.expect("clusters");
    let over = |state: &str| state.starts_with("TERMINATED");
    let live = found.clusters().iter().filter(|cluster| {
        !cluster.status().and_then(|status| status.state()).is_some_and(|state| over(state.as_str()))
    });
    live.map(|cluster| cluster.id().expect("an id").to_owned()).collect()
}

/// Runs a verb through a proxy to its end; returns its calls in their order.
async fn calls(server: &Server, project: &Project, verb: &str) -> Vec<String> {
    let proxy = Proxy::start(&server.endpoint, Behaviour::default()).await;
    let mut command = project.command(Some(&proxy.endpoint), &["--local", "cluster", verb, "--yes"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = tokio::process::Command::from(command).spawn().expect("the program starts");
    assert!(child.wait().await.expect("a status").success(), "{verb} fails");
    proxy.traffic().sequence
}

/// Runs a verb and kills it once its n-th call has taken effect; false where it ends before.
async fn killed_at(server: &Server, project: &Project, verb: &str, call: usize) -> bool {
    let proxy = Proxy::start(&server.endpoint, Behaviour { silent_from: Some(call), ..Behaviour::default() }).await;
    let mut command = project.command(Some(&proxy.endpoint), &["--local", "cluster", verb, "--yes"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().expect("the program starts");
    tokio::select! {
        status = child.wait() => {
            assert!(status.expect("a status").success(), "{verb} fails by itself before call {call}");
            false
        }
        () = proxy.silenced() => {
            child.kill().await.expect("the program can be killed");
            true
        }
    }
}

/// The numbers of the calls to be killed after: some of those that only read, and all from a little before `turn`, at
/// which something begins to change, to a dozen after it.
fn swept(calls: &[String], turn: &str) -> Vec<usize> {
    let turn = calls.iter().position(|call| call == turn).unwrap_or_else(|| panic!("no {turn} in {calls:?}"));
    (1..=calls.len()).filter(|call| call.abs_diff(turn + 4) <= 8 || call % 12 == 0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_one_cluster_after_a_kill_at_any_call_and_then_none() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let (project, _) = project(&server.endpoint);
    project.local(&["apply", "--yes"]).expect(0);
    let up = calls(&server, &project, "up").await;
    let down = calls(&server, &project, "down").await;
    let (ups, downs) = (swept(&up, "RunJobFlow"), swept(&down, "TerminateJobFlows"));
    let (mut ups, mut downs) = (ups.into_iter(), downs.into_iter());
    let mut round = 0;
    loop {
        let (next_up, next_down) = (ups.next(), downs.next());
        if next_up.is_none() && next_down.is_none() {
            break;
        }
        round += 1;
        if let Some(call) = next_up {
            killed_at(&server, &project, "up", call).await;
            lose_journal(&project, round);
        }
        let again = cluster(&project, &["up", "--yes"]);
        assert_eq!(again.code, Some(0), "up after a kill at {next_up:?}: {again:?}");
        let there = clusters(&server).await;
        assert_eq!(there.len(), 1, "after a kill of up at call {next_up:?}: {there:?}");
        if let Some(call) = next_down {
            killed_at(&server, &project, "down", call).await;
            lose_journal(&project, round);
        }
        let again = cluster(&project, &["down", "--yes"]);
        assert_eq!(again.code, Some(0), "down after a kill at {next_down:?}: {again:?}");
        assert!(again.err.contains("Verified"), "{again:?}");
        let there = clusters(&server).await;
        assert!(there.is_empty(), "after a kill of down at call {next_down:?}: {there:?}");
    }
    println!("{round} rounds: up of {} calls, down of {}", up.len(), down.len());
    project.local(&["verify"]).expect(0);
    destroy(&project);
}

fn lose_journal(project: &Project, round: usize) {
    if round.is_multiple_of(2) {
        let _ = fs::remove_dir_all(project.path(".infra/journal"));
    }
}
