//! The cluster that a run works on: the one that is up, or one of the run's own, which ends with it.

use std::time::Duration;

use engine::Inventory;
use serde_json::{Value, json};

use super::{
    super::{
        Changing, Globals,
        apply::ask,
        cluster,
        run::{self, Stops},
        session::{Scope, Session},
    },
    claim::{Claim, User},
};
use crate::{
    cluster::cost::{self, Cost, dollars},
    error::{Failure, Result},
    resources::EmrClusterObserved,
    stacks::ClusterWish,
    ui,
};

/// The cluster that a run works on.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    /// `j-…`.
    pub id: String,
    /// Where its logs are, as EMR writes it.
    pub log_uri: Option<String>,
    /// Whether the run started it, and so ends it.
    pub ours: bool,
    /// When that was, in seconds since 1970.
    since: i64,
    /// When it was ended.
    until: Option<i64>,
    /// What it costs.
    cost: Cost,
    /// Whether the run left it to another that works on it.
    left: bool,
    /// Whether a run before this one started it.
    shared: bool,
    /// Where it is noted that the run started it.
    claim: Option<Claim>,
    /// That the run works on it.
    user: Option<User>,
}

/// How a run ended that did not fail.
pub(super) enum Outcome {
    /// All that was to do is done.
    Done,
    /// The user stopped it.
    Stopped,
}

impl Cluster {
    fn of(found: &EmrClusterObserved, session: &Session, ours: bool, since: i64) -> Self {
        let cost = cost::of_cluster(found, &session.spec.region);
        let (id, log_uri) = (found.id.clone(), found.log_uri.clone());
        Self { id, log_uri, ours, since, until: None, cost, left: false, shared: false, claim: None, user: None }
    }

    /// A cluster that a run of Airflow's made and ended.
    pub(super) fn that_was(found: &EmrClusterObserved, session: &Session, ended: Option<i64>) -> Option<Self> {
        Some(Self { until: ended, ..Self::of(found, session, true, found.created?) })
    }

    /// The stack's cluster that is up, or else one that is started, once the user has agreed.
    pub(super) async fn get(
        globals: &Globals,
        changing: &Changing,
        session: &Session,
        known: &Inventory,
    ) -> Result<Self> {
        // First of all: a run that ends looks who else is at work.
        let user = Some(User::join(&session.run_note));
        let claim = Claim::take(&session.run_note);
        if let Some(found) = cluster::living(known) {
            let left = claim.as_ref().and_then(|claim| claim.left(&found.id, found.created));
            let Some(since) = left else {
                return Ok(Self { user, ..Self::of(found, session, false, ui::time::now()) });
            };
            if !changing.json {
                ui::say(&format!("Cluster {} was started by a run that was killed: it ends with this one.", found.id));
            }
            return Ok(Self { claim, user, shared: true, ..Self::of(found, session, true, since) });
        }
        cluster::specified(session)?;
        if !changing.yes {
            ask("Start a cluster for this run? It costs money until the run ends. Only `yes` is taken for yes:")
                .await?;
        }
        if let Some(claim) = &claim {
            claim.begin();
        }
        match Box::pin(start(globals, changing, session)).await {
            Ok(cluster) => {
                if let Some(claim) = &claim {
                    claim.note(&cluster.id, cluster.since);
                }
                Ok(Self { claim, user, ..cluster })
            }
            // Another run is at work: what is up, or is about to be, may be that one's.
            Err(failure) if !user.as_ref().is_none_or(User::was_the_last) => Err(failure),
            // It may have been begun, and costs money from then on.
            Err(failure) => {
                let ended = Box::pin(end(globals, changing, session)).await;
                if let Some(claim) = claim.filter(|_| ended.is_ok()) {
                    claim.clear();
                }
                Err(with(failure, ended))
            }
        }
    }

    /// Ends the cluster that a run left which was killed, where nothing is left to do for which it could be of use.
    pub(super) async fn end_what_is_left(
        globals: &Globals,
        changing: &Changing,
        session: &Session,
        known: &Inventory,
    ) -> Result {
        let Some(found) = cluster::living(known) else { return Ok(()) };
        let Some(claim) = Claim::take(&session.run_note) else { return Ok(()) };
        let nobody_works = || User::join(&session.run_note).was_the_last();
        if claim.left(&found.id, found.created).is_none() || !nobody_works() {
            return Ok(());
        }
        if !changing.json {
            ui::say(&format!("Cluster {} was started by a run that was killed: it is ended.", found.id));
        }
        Box::pin(end(globals, changing, session)).await?;
        claim.clear();
        Ok(())
    }

    /// Ends it, where the run started it, or where the run that did has left it to this one; a second Ctrl-C is not
    /// waited for.
    pub(super) async fn give_back(
        &mut self,
        globals: &Globals,
        changing: &Changing,
        session: &Session,
        stops: &mut Stops,
    ) -> Result {
        let last = self.user.as_ref().is_none_or(User::was_the_last);
        if last && !self.ours {
            self.inherit(session, changing);
        }
        if !self.ours {
            return Ok(());
        }
        if !last {
            (self.ours, self.left) = (false, true);
            // The note stays, for the run that is the last.
            self.claim = None;
            if !changing.json {
                ui::say(&format!("\nAnother run works on cluster {}: it stays, and ends with that one.", self.id));
            }
            return Ok(());
        }
        let flags = session.flags();
        let ended = tokio::select! {
            ended = Box::pin(end(globals, changing, session)) => ended,
            () = stops.next() => Err(Failure::cancelled(format!("stopped at once: cluster {} may still run", self.id))
                .hint(format!("`infra{flags} cluster down` ends it"))),
        };
        self.until = Some(ui::time::now());
        if let Some(claim) = self.claim.as_ref().filter(|_| ended.is_ok()) {
            claim.clear();
        }
        ended
    }

    /// Takes over the cluster of a run that ended before this one.
    fn inherit(&mut self, session: &Session, changing: &Changing) {
        let Some(claim) = Claim::take(&session.run_note) else { return };
        let Some(since) = claim.left(&self.id, None) else { return };
        if !changing.json {
            ui::say(&format!("\nThe run that started cluster {} has left it to this one.", self.id));
        }
        (self.ours, self.shared, self.since, self.claim) = (true, true, since, Some(claim));
    }

    /// For how long it was up for the run; nothing where it was up already.
    fn time(&self) -> Option<Duration> {
        let seconds = self.until.unwrap_or_else(ui::time::now) - self.since;
        self.ours.then(|| Duration::from_secs(seconds.try_into().unwrap_or(0)))
    }

    /// For programs: its id, for how many seconds it was up for runs, and what that cost in US dollars; both null where
    /// it was up already, or stays for another run.
    pub(super) fn json(&self) -> Value {
        let time = self.time();
        let usd = time.and_then(|time| self.cost.after(time)).map(dollars);
        json!({ "cluster": self.id, "seconds": time.map(|time| time.as_secs()), "usd": usd })
    }

    /// What the run cost, in a sentence.
    pub(super) fn sentence(&self) -> String {
        match self.time() {
            Some(time) if self.shared => {
                format!("Cluster {} was up for this run and others; it {}.", self.id, self.cost.so_far(time))
            }
            Some(time) => format!("Cluster {} was up for this run alone; it {}.", self.id, self.cost.so_far(time)),
            None if self.left => {
                format!("Cluster {} stays up: what it costs is told by the run that ends it.", self.id)
            }
            None => format!("Cluster {} was up already: what it costs is not counted.", self.id),
        }
    }
}

/// Starts the stack's cluster, with what it waits for.
async fn start(globals: &Globals, changing: &Changing, began_with: &Session) -> Result<Cluster> {
    let mut session = began_with.open_again_to_change(globals, Scope::Cloud, "pipeline run").await?;
    cluster::specified(&session)?;
    session.wish(ClusterWish::Up);
    let since = ui::time::now();
    let known = session.observe().await?;
    let desired = session.desired(&known).await?;
    let plan = cluster::part(&session.plan(&desired, &known));
    run::ensure_permitted(&plan)?;
    if !changing.json {
        ui::say("The run needs a cluster, and none is up: it is started.");
    }
    let known = run::carry_out(&session, &plan, &desired, known, changing).await?;
    let found = cluster::must_live(&session, &known)?;
    Ok(Cluster::of(found, &session, true, since))
}

/// Ends it, by the spec that the run began with: it ends, too, where somebody has broken the file meanwhile.
async fn end(globals: &Globals, changing: &Changing, began_with: &Session) -> Result {
    let mut session = began_with.open_again_to_change(globals, Scope::Cloud, "pipeline run").await?;
    session.wish(ClusterWish::Down);
    let known = session.observe().await?;
    let desired = session.desired(&known).await?;
    let plan = cluster::part(&session.plan(&desired, &known));
    run::ensure_permitted(&plan)?;
    if plan.is_empty() {
        return Ok(());
    }
    if !changing.json {
        ui::say("\nThe run is over: the cluster that it started is ended.");
    }
    run::carry_out(&session, &plan, &desired, known, changing).await?;
    Ok(())
}

/// How the whole run ended. Why it failed is told first; a cluster that could not be ended costs money, and is told in any
/// case.
pub(super) fn verdict(outcome: Result<Outcome>, ended: Result, stopped: impl FnOnce() -> Failure) -> Result {
    match (outcome, ended) {
        (Ok(Outcome::Done), ended) => ended,
        (Ok(Outcome::Stopped), ended) => Err(with(stopped(), ended)),
        (Err(failure), ended) => Err(with(failure, ended)),
    }
}

fn with(mut failure: Failure, ended: Result) -> Failure {
    if let Err(other) = ended {
        failure.message = format!("{}\nand the cluster could not be ended: {}", failure.message, other.message);
        failure.hints.extend(other.hints);
    }
    failure
}
