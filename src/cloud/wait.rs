//! Waits: each has a deadline and says what it waits for.

use std::{fmt::Display, future::Future, time::Duration};

use anyhow::bail;
use engine::StepContext;
use tokio::time::Instant;

use super::{Cloud, CloudError};

/// How patient to be with this AWS.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The pause between two looks at something that changes.
    pub poll: Duration,
    /// How long a read may lag behind a write.
    pub consistency: Duration,
    /// How long to wait for a log that EMR copies to a bucket.
    pub logs: Duration,
}

impl Pace {
    /// For AWS. EC2's own guidance is to allow for minutes in the worst case; nearly all reads agree within seconds.
    /// Source: "Eventual consistency" in the Amazon EC2 API reference.
    /// EMR copies logs every five minutes, and what is left of them when a cluster ends. Source: "View log files" in the
    /// Amazon EMR management guide.
    pub const AWS: Self =
        Self { poll: Duration::from_secs(3), consistency: Duration::from_secs(30), logs: Duration::from_mins(6) };

    /// For the local cloud, whose describes lag by `lag` behind its creates.
    pub fn local(lag: Duration) -> Self {
        Self { poll: Duration::from_millis(50), consistency: lag.saturating_mul(2), logs: Duration::from_secs(2) }
    }
}

impl Cloud {
    /// Looks with `look` until it finds what is waited for, at most `deadline` long. `what` completes the sentence
    /// "waiting for …".
    pub async fn wait<T, F>(
        &self,
        cx: &StepContext<'_, Cloud>,
        what: impl Display,
        deadline: Duration,
        mut look: impl FnMut() -> F,
    ) -> engine::Result<T>
    where
        F: Future<Output = engine::Result<Option<T>>>,
    {
        let start = Instant::now();
        let mut told = false;
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if start.elapsed() >= deadline {
                bail!("gave up after {} s of waiting for {what}", deadline.as_secs());
            }
            if !told {
                cx.progress(format!("waiting for {what}"));
                told = true;
            }
            tokio::time::sleep(self.pace.poll).await;
        }
    }

    /// Sends a request that names objects made a moment ago. AWS may not know them everywhere yet: an answer that says
    /// so, by `is_missing` or one of `also`, is asked again for as long as reads may lag.
    pub async fn settle<T, F>(&self, also: &[&str], mut send: impl FnMut() -> F) -> Result<T, CloudError>
    where
        F: Future<Output = Result<T, CloudError>>,
    {
        let start = Instant::now();
        loop {
            match send().await {
                Err(error) if (error.is_missing() || error.is(also)) && start.elapsed() < self.pace.consistency => {
                    tokio::time::sleep(self.pace.poll).await;
                }
                result => return result,
            }
        }
    }
}
