//! What `apply` tells while it works. Whoever shows it, as text or as JSON, only reads this stream.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;

use crate::{Address, StepId};

/// Where events go. A receiver that went away is no reason to stop.
pub type Events = UnboundedSender<Event>;

/// Something that happened to a step.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The step began.
    Started {
        /// Which step of the plan.
        step: StepId,
        /// The resource it works on.
        address: Address,
        /// What it does: `create`, `update`, `delete`.
        action: &'static str,
    },
    /// The step tells what it waits for, in words.
    Progress {
        /// Which step of the plan.
        step: StepId,
        /// The resource it works on.
        address: Address,
        /// What it waits for.
        message: String,
    },
    /// The step ended.
    Finished {
        /// Which step of the plan.
        step: StepId,
        /// The resource it worked on.
        address: Address,
        /// What it did: `create`, `update`, `delete`.
        action: &'static str,
        /// How long it took.
        #[serde(serialize_with = "seconds", rename = "seconds")]
        elapsed: Duration,
        /// The object's id in the world, where there is one now.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The error with its causes, when it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Whoever runs the plan asked it to stop: no further step starts, the running ones finish.
    Cancelling,
    /// The step was not tried, because one that it waits for failed or was itself skipped.
    Skipped {
        /// Which step of the plan.
        step: StepId,
        /// The resource it would have worked on.
        address: Address,
        /// The step that stands in the way.
        because: Address,
    },
}

fn seconds<S: serde::Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((elapsed.as_secs_f64() * 1000.0).round() / 1000.0)
}
