//! `up` and `down` killed with SIGKILL after every API call, then run again: one cluster, then none.
//!
//! The n-th call takes effect in the cloud, its answer never arrives, and the program is killed: for every n, until a run
//! has fewer calls than that. After each kill there is one cluster at most, and never another one than before.
//!
//! Kills of the two verbs take turns, so that what one completes is what the other begins with. Every other run loses its
//! journal too.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use infra::cloud::{Target, connect};
use tokio::task::block_in_place;

use super::{cluster, destroy, project};
use crate::support::{cli::Project, kill::killed_at, server::Server, world::REGION};

/// A verb that is killed, and the call that is next.
#[derive(Debug)]
struct Swept {
    verb: &'static str,
    calls: AtomicUsize,
    is_over: AtomicBool,
}

impl Swept {
    fn new(verb: &'static str) -> Self {
        Self { verb, calls: AtomicUsize::new(0), is_over: AtomicBool::new(false) }
    }

    /// The call to be killed after; nothing once a run had fewer calls.
    fn next(&self) -> Option<usize> {
        (!self.is_over()).then(|| self.calls.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// What a worker did.
#[derive(Debug, Default)]
struct Done {
    /// Kills of `up`, and of `down`.
    kills: (usize, usize),
    /// Runs that came to their end after kills.
    completed: usize,
    /// Kills of `up` that left a cluster.
    begun: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn strict_one_cluster_after_a_kill_at_every_call_and_then_none() {
    let began = Instant::now();
    let swept = Arc::new((Swept::new("up"), Swept::new("down")));
    // Two at a time, each with a cloud of its own: what takes the time is the clouds' work and the program's.
    let workers = [(); 2].map(|()| tokio::spawn(sweep(Arc::clone(&swept))));
    let mut all = Done::default();
    for worker in workers {
        let Done { kills, completed, begun } = worker.await.expect("a sweep without a problem");
        all.kills = (all.kills.0 + kills.0, all.kills.1 + kills.1);
        all.completed += completed;
        all.begun += begun;
    }
    let Done { kills: (ups, downs), completed, begun } = all;
    println!(
        "\n`cluster up` killed after each of its {ups} calls ({begun} times a cluster was begun by then), `cluster down` \
         after each of its {downs}; {completed} runs completed what was left: one cluster each time, then none. {} s",
        began.elapsed().as_secs()
    );
    // Both read what there is, then ask for something: whatever is swept, it is not nothing.
    assert!(ups > 20 && downs > 20 && begun > 0, "{ups} and {downs} calls, {begun} clusters");
}

async fn sweep(swept: Arc<(Swept, Swept)>) -> Done {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let (project, _) = project(&server.endpoint);
    project.local(&["apply", "--yes"]).expect(0);
    let mut done = Done::default();
    let (up, down) = &*swept;
    // The cluster that is there.
    let mut there = None::<String>;
    while !(up.is_over() && down.is_over()) {
        let what = if there.is_none() { up } else { down };
        let call = what.next();
        let was_killed = match call {
            Some(call) => {
                let killed = killed_at(call, &server.endpoint, &project, &["cluster", what.verb, "--yes"]).await;
                killed.unwrap_or_else(|why| panic!("{}: {why}", what.verb))
            }
            None => false,
        };
        if was_killed {
            let count = if there.is_none() { &mut done.kills.0 } else { &mut done.kills.1 };
            *count += 1;
            if (done.kills.0 + done.kills.1).is_multiple_of(2) {
                let _ = fs::remove_dir_all(project.path(".infra/journal"));
            }
        } else {
            what.is_over.store(true, Ordering::Relaxed);
        }
        let now = clusters(&server).await;
        let context = format!("{} killed after call {call:?}: {there:?} became {now:?}", what.verb);
        assert!(now.len() <= 1, "{context}");
        let now = now.into_iter().next();
        if let (Some(there), Some(now)) = (&there, &now) {
            assert_eq!(*there, now.id, "{context}");
        }
        done.begun += usize::from(was_killed && there.is_none() && now.is_some());
        there = completed(&server, &project, what.verb, now, &context).await;
        done.completed += 1;
    }
    if there.is_some() {
        completed(&server, &project, "down", None, "in the end").await;
    }
    project.local(&["verify"]).expect(0);
    destroy(&project);
    done
}

/// Runs a verb to its end; returns the one cluster that is there then, or shows that there is none.
async fn completed(
    server: &Server,
    project: &Project,
    verb: &str,
    before: Option<Found>,
    context: &str,
) -> Option<String> {
    let run = block_in_place(|| cluster(project, &[verb, "--yes"]));
    assert_eq!(run.code, Some(0), "{context}; again: {run:?}");
    let now = clusters(server).await;
    if verb == "down" {
        assert!(run.err.contains("Verified"), "{context}; again: {run:?}");
        assert!(now.is_empty(), "{context}; again: {now:?}");
        return None;
    }
    let [Found { id, lives: true }] = &now[..] else { panic!("{context}; again: {now:?}") };
    assert!(before.is_none_or(|before| before.id == *id), "{context}; again: {now:?}");
    Some(id.clone())
}

/// A cluster that lives, or is ending.
#[derive(Debug)]
struct Found {
    id: String,
    lives: bool,
}

/// All clusters of the cloud that have not ended.
async fn clusters(server: &Server) -> Vec<Found> {
    let target = Target::Local { endpoint: server.endpoint.clone(), lag: Duration::ZERO, gateway: None, python: None };
    let emr = connect(&target, REGION).await.expect("the local cloud answers").clients.emr;
    let found = emr.list_clusters().send().await.expect("clusters");
    let state = |cluster: &aws_sdk_emr::types::ClusterSummary| {
        cluster.status().and_then(|status| status.state()).map_or(String::new(), |state| state.as_str().to_owned())
    };
    let all = found.clusters().iter().map(|cluster| (cluster.id().expect("an id").to_owned(), state(cluster)));
    let here = all.filter(|(_, state)| !state.starts_with("TERMINATED"));
    here.map(|(id, state)| Found { id, lives: state != "TERMINATING" }).collect()
}
