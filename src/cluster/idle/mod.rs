//! Whether a cluster idles, or is too old, so that it should end. Releases before 5.30.0 cannot tell by themselves.
//!
//! A cluster idles when it has no running or pending step and YARN has no application, since the last of either ended,
//! or since it was ready. YARN's list is reached from within the network only; where it is not, the steps decide.
//! `templates/hosts/cluster/cluster` judges alike on a host.

mod read;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use read::{YARN_SCRIPT, activity, yarn};

use super::steps::Step;
use crate::{resources::EmrClusterObserved, spec::Cluster};

/// How long a cluster may idle, and live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Without work.
    pub idle: Option<Duration>,
    /// Whatever it does.
    pub lifetime: Option<Duration>,
}

impl Limits {
    /// Those of a spec.
    pub fn of(cluster: &Cluster) -> Self {
        let seconds = |duration: &crate::spec::Spanned<Duration>| duration.value;
        Self {
            idle: cluster.idle_timeout.as_ref().or(cluster.auto_termination.as_ref()).map(seconds),
            lifetime: cluster.max_lifetime.as_ref().map(seconds),
        }
    }

    /// Whether there is nothing to watch.
    pub fn is_empty(&self) -> bool {
        self.idle.is_none() && self.lifetime.is_none()
    }
}

/// What a cluster does. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Its state in EMR.
    pub state: String,
    /// When it was asked for.
    pub created: Option<i64>,
    /// When it could work.
    pub ready: Option<i64>,
    /// Steps that run or wait.
    pub active_steps: usize,
    /// When the last step ended.
    pub last_step: Option<i64>,
    /// What YARN does.
    pub yarn: Yarn,
}

impl Activity {
    /// What EMR told of a cluster and of all its steps, and what YARN did.
    pub fn of(cluster: &EmrClusterObserved, steps: &[Step], yarn: Yarn) -> Self {
        Self {
            state: cluster.state.clone(),
            created: cluster.created,
            ready: cluster.ready,
            active_steps: steps.iter().filter(|step| step.is_active()).count(),
            last_step: steps.iter().filter_map(|step| step.ended).max(),
            yarn,
        }
    }

    fn is_ready(&self) -> bool {
        matches!(self.state.as_str(), "RUNNING" | "WAITING")
    }

    /// Since when it has had no work; nothing while it has some, where it cannot work, or where EMR does not say.
    pub fn idle_since(&self) -> Option<i64> {
        let last_application = match self.yarn {
            Yarn::Busy(_) => return None,
            Yarn::Idle(last) => last,
            Yarn::Unreachable(_) => None,
        };
        if !self.is_ready() || self.active_steps > 0 {
            return None;
        }
        [self.last_step, self.ready.or(self.created), last_application].into_iter().flatten().max()
    }
}

/// What YARN does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Yarn {
    /// It could not be asked, and why.
    Unreachable(String),
    /// It runs applications.
    Busy(usize),
    /// It runs none; when the last one ended, if there was any.
    Idle(Option<i64>),
}

/// What should become of a cluster, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Stay(String),
    /// It should end.
    End(String),
}

/// Judges at `now`, in seconds since 1970.
pub fn judge(limits: Limits, activity: &Activity, now: i64) -> Verdict {
    let since = |then: i64| Duration::from_secs(u64::try_from(now - then).unwrap_or_default());
    let is_ready = activity.is_ready();
    if !is_ready && !matches!(activity.state.as_str(), "STARTING" | "BOOTSTRAPPING") {
        return Verdict::Stay(format!("it is {}", activity.state));
    }
    if let (Some(most), Some(created)) = (limits.lifetime, activity.created)
        && since(created) >= most
    {
        return Verdict::End(format!("it has lived for {}, {} is the most", words(since(created)), words(most)));
    }
    if !is_ready {
        return Verdict::Stay(format!("it is {}", activity.state));
    }
    let Some(most) = limits.idle else { return Verdict::Stay("it may live on".into()) };
    if activity.active_steps > 0 {
        return Verdict::Stay(format!("{} running or waiting", counted(activity.active_steps, "step is", "steps are")));
    }
    let by = match &activity.yarn {
        Yarn::Busy(count) => {
            return Verdict::Stay(format!("YARN runs {}", counted(*count, "application", "applications")));
        }
        Yarn::Idle(_) => String::new(),
        Yarn::Unreachable(why) => format!(" (by its steps alone: YARN could not be asked, {why})"),
    };
    let Some(last) = activity.idle_since() else {
        return Verdict::Stay("EMR does not say since when it idles".into());
    };
    let idle = since(last);
    if idle >= most {
        Verdict::End(format!("it has idled for {}, {} is the most{by}", words(idle), words(most)))
    } else {
        Verdict::Stay(format!("it has idled for {} of {}{by}", words(idle), words(most)))
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `1 h 5 min`, `45 s`.
pub fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, ..) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        _ => format!("{days} d {hours} h"),
    }
}
