//! How a command fails: what went wrong, what to do about it, and the exit code.

use std::fmt;

/// What sort of failure it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something went wrong: exit code 1.
    Failed,
    /// `plan --exit-code` found changes to make: exit code 2. Not an error, and nothing is printed for it.
    Changes,
    /// The user stopped it: exit code 130, as a shell reports a Ctrl-C.
    Cancelled,
    /// A program that was run for the user (`ssh`) ended with this exit code, which is ours too.
    Ended(u8),
}

/// Why a command did not do what it was asked to.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What sort of failure.
    pub kind: Kind,
    /// What went wrong, with its causes; may be several lines.
    pub message: String,
    /// What to do, a sentence each.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure with a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, message: message.into(), hints: Vec::new() }
    }

    /// The plan is not empty.
    pub fn changes() -> Self {
        Self { kind: Kind::Changes, message: String::new(), hints: Vec::new() }
    }

    /// The user stopped it.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self { kind: Kind::Cancelled, message: message.into(), hints: Vec::new() }
    }

    /// A program that was run for the user ended with an exit code other than 0, and said why itself.
    pub fn ended(code: u8) -> Self {
        Self { kind: Kind::Ended(code), message: String::new(), hints: Vec::new() }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failed => 1,
            Kind::Changes => 2,
            Kind::Cancelled => 130,
            Kind::Ended(code) => code,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let mut failure = Self::new(format!("{error:#}"));
        failure.hints.extend(error.chain().filter_map(|cause| cause.downcast_ref()).flat_map(crate::cloud::advice));
        failure
    }
}

impl From<engine::ObserveError> for Failure {
    fn from(error: engine::ObserveError) -> Self {
        let example = match &error {
            engine::ObserveError::Claimed(claims) => {
                claims.first().and_then(|(address, ids)| Some((address.to_string(), ids.last()?.clone())))
            }
            engine::ObserveError::Kind { .. } => None,
        };
        let failure = Self::from(anyhow::Error::from(error));
        let Some((address, id)) = example else { return failure };
        if address.starts_with("emr_cluster/") {
            return failure
                .hint(format!(
                    "end the one that is not wanted, for instance `aws emr terminate-clusters --cluster-ids {id}`"
                ))
                .hint("`infra cluster down --all` ends all of them");
        }
        failure
            .hint("`infra status` lists them all; keep the one of each that the others refer to")
            .hint(format!(
                "delete what is not wanted, or take its tag `infra:address` away, for instance {address}'s from {id}; then plan again"
            ))
            .hint("`infra destroy` deletes all of them")
    }
}

/// What a command returns.
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// An error with what caused it, in one line.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
