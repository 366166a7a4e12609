//! What runs on the stack's cluster: its steps, their logs, what it does and did.
//!
//! The cluster itself is a resource like any other and comes and goes by plans (`resources/compute/emr_cluster`). Here
//! is what is no resource: work that is handed to it and watched. Nothing here prints, and nothing here touches a
//! cluster that is not the stack's.

pub mod code;
pub mod logs;
pub mod past;
pub mod status;
pub mod steps;
pub mod submit;

use aws_smithy_types::DateTime;
use jiff::Timestamp;
use serde::Serializer;

/// What a cluster's state means.
pub fn state_in_words(state: &str) -> &'static str {
    match state {
        "STARTING" => "its machines are being made",
        "BOOTSTRAPPING" => "its machines are being set up",
        "RUNNING" => "works",
        "WAITING" => "ready, without work",
        "TERMINATING" => "is ending",
        "TERMINATED" => "has ended",
        "TERMINATED_WITH_ERRORS" => "has ended because something failed",
        _ => "in a state that is not known here",
    }
}

/// EMR's moments, in seconds since 1970.
fn seconds(moment: Option<&DateTime>) -> Option<i64> {
    moment.map(DateTime::secs)
}

/// A moment as `2026-11-24T14:03:07Z`, or null.
#[expect(clippy::ref_option, reason = "serde hands fields over so")]
fn stamp<S: Serializer>(moment: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match moment.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        Some(moment) => serializer.serialize_str(&moment.to_string()),
        None => serializer.serialize_none(),
    }
}
