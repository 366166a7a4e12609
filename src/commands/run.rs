//! Carrying a plan out for a user: progress, Ctrl-C, what came of it.

use std::{collections::BTreeMap, time::Instant};

use anyhow::Context;
use engine::{Event, Events, Graph, Inventory, Options, Outcome, Plan};
use tokio_util::sync::CancellationToken;

use super::{Changing, session::Session};
use crate::{
    cloud::Cloud,
    error::{Failure, Result},
    ui::{self, plan::counted, progress::Form},
};

/// Carries `plan` out and tells how it went; the inventory is what is known afterwards.
pub async fn carry_out(
    session: &Session,
    plan: &Plan,
    desired: &Graph<Cloud>,
    known: Inventory,
    changing: &Changing,
) -> Result<Inventory> {
    let began = Instant::now();
    let cancel = CancellationToken::new();
    // Before the first step: a Ctrl-C that comes with it must not end the program in its middle.
    let stops = Stops::listen()?;
    let (events, stream) = tokio::sync::mpsc::unbounded_channel();
    let form = if changing.json { Form::Json } else { Form::Human };
    let shown = tokio::spawn(ui::progress::show(stream, form));
    let options = Options { parallelism: usize::from(changing.parallelism), cancel: cancel.clone(), events };
    let outcome = tokio::select! {
        outcome = engine::apply(plan, &session.kinds, desired, known, &session.cloud, &options) => outcome,
        () = stopped_twice(stops, &cancel, &options.events) => {
            return Err(Failure::cancelled("stopped at once; some steps were cut short")
                .hint("run the same command again: it completes what was begun"));
        }
    };
    drop(options);
    // The view ends with its last sender; what it still has to say comes before what follows.
    let written = shown.await.context("the view of the progress ended early");
    let known = tell(session, plan, outcome, began, changing.json).await?;
    written??;
    Ok(known)
}

/// Returns at the second Ctrl-C (or termination signal); the first cancels.
async fn stopped_twice(mut stops: Stops, cancel: &CancellationToken, events: &Events) {
    stops.next().await;
    cancel.cancel();
    // Whoever shows progress shows this among it.
    let _ = events.send(Event::Cancelling);
    stops.next().await;
}

/// Ctrl-C and the termination signal. From when this exists on, neither ends the program by itself.
#[cfg(unix)]
pub(super) struct Stops {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stops {
    pub(super) fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).context("cannot listen for Ctrl-C");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
pub(super) struct Stops;

#[cfg(not(unix))]
impl Stops {
    pub(super) fn listen() -> Result<Self> {
        Ok(Self)
    }

    pub(super) async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

async fn tell(session: &Session, plan: &Plan, outcome: Outcome, began: Instant, json: bool) -> Result<Inventory> {
    let seconds = began.elapsed().as_secs_f64();
    let (done, all) = (outcome.done.len(), plan.steps.len());
    if outcome.is_complete() {
        if !json {
            ui::say(&format!("\nDone: {} in {seconds:.1} s.", counted(done, "step", "steps")));
        }
        return Ok(outcome.inventory);
    }
    let something_failed = !outcome.failed.is_empty();
    let mut failure = if outcome.failed.is_empty() {
        Failure::cancelled(format!(
            "stopped: {done} of {all} steps were done, {} were not started",
            outcome.cancelled.len()
        ))
    } else {
        failed(session, plan, &outcome).await
    };
    let when = if something_failed { " once that is mended" } else { "" };
    failure.hints.push(format!("run the same command again{when}: what is done stays done"));
    Err(failure)
}

async fn failed(session: &Session, plan: &Plan, outcome: &Outcome) -> Failure {
    let (done, all) = (outcome.done.len(), plan.steps.len());
    let mut message = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    // A host that nobody reaches fails all that is on it, for one reason.
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for failure in &outcome.failed {
        told.entry(format!("{:#}", failure.error)).or_default().push(failure.address.to_string());
    }
    for failure in &outcome.failed {
        let step = &plan.steps[failure.step];
        let Some(same) = told.remove(&format!("{:#}", failure.error)) else { continue };
        let others = match &same[..] {
            [_] => String::new(),
            all => format!("\n  and for the same reason {}", all[1..].join(", ")),
        };
        let origin = step.origin.as_ref().map(|origin| format!("\n  asked for at {origin}")).unwrap_or_default();
        // Each is an error of its own; the first gets its heading where it is shown.
        let heading = if message.is_empty() { "" } else { "error: " };
        let verb = step.action.verb();
        message.push(format!("{heading}cannot {verb} {}{origin}\n  {:#}{others}", failure.address, failure.error));
        for error in failure.error.chain().filter_map(|cause| cause.downcast_ref()) {
            hints.extend(session.cloud.obstacles(error, step.id.as_deref()).await);
            hints.extend(crate::cloud::advice(error));
        }
    }
    message.push(format!(
        "{done} of {all} steps done, {} failed, {} skipped",
        outcome.failed.len(),
        outcome.skipped.len()
    ));
    let mut seen = std::collections::BTreeSet::new();
    hints.retain(|hint| seen.insert(hint.clone()));
    Failure { hints, ..Failure::new(message.join("\n")) }
}

/// Refuses a plan that something stands in the way of.
pub fn ensure_permitted(plan: &Plan) -> Result {
    if plan.refused.is_empty() {
        return Ok(());
    }
    let reasons = plan.refused.iter().map(|refusal| format!("\n  {}: {}", refusal.address, refusal.reason));
    Err(Failure::new(format!("refused; nothing was changed{}", reasons.collect::<String>())))
}

/// Does `work` unless a Ctrl-C comes first: then nothing was changed.
pub async fn unless_stopped<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut stops = Stops::listen()?;
    tokio::select! {
        result = work => result,
        () = stops.next() => {
            // After the terminal's `^C`.
            ui::say("");
            Err(Failure::cancelled("stopped; nothing was changed"))
        }
    }
}

/// Does `work`, which only looks, unless a Ctrl-C comes first.
pub async fn unless_stopped_reading<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut stops = Stops::listen()?;
    tokio::select! {
        result = work => result,
        () = stops.next() => Err(Failure::cancelled("stopped")),
    }
}
