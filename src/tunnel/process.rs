//! Processes by their ids, which the system gives to others once they are free: one is only believed to be whom it was
//! if it also began when it did.

use std::{fs, time::Duration};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// A process that can be recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its id.
    pub id: u32,
    /// When it began, as the system says it.
    pub began: String,
}

impl Identity {
    /// This process.
    pub fn own() -> Self {
        let id = std::process::id();
        Self { id, began: began(id).unwrap_or_default() }
    }

    /// Whether it is still there.
    pub fn lives(&self) -> bool {
        !self.began.is_empty() && began(self.id).as_ref() == Some(&self.began)
    }

    /// Ends it for certain, if it is still there, and waits until it is gone.
    pub async fn end(&self) -> bool {
        let pid = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        let Some(pid) = pid.filter(|_| self.lives()) else { return false };
        let ended = rustix::process::kill_process(pid, Signal::KILL).is_ok();
        for _ in 0..100 {
            if !self.lives() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ended
    }
}

/// When a process began; nothing where there is none, or where it is over and only waited for.
fn began(id: u32) -> Option<String> {
    if cfg!(target_os = "linux") {
        let line = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // Its name may hold anything; what follows the last bracket are numbers.
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        return (*fields.first()? != "Z").then(|| fields.get(19).map(|ticks| (*ticks).to_owned()))?;
    }
    let output = std::process::Command::new("ps").args(["-o", "lstart=", "-p", &id.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Leaves the terminal that we were started from: neither its Ctrl-C nor its end is ours any more.
pub fn detach() {
    // Fails only where we have left already.
    let _ = rustix::process::setsid();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_who_began_then_is_ended() {
        let mut child = tokio::process::Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap();
        let id = child.id().unwrap();
        let right = Identity { id, began: began(id).unwrap() };
        let wrong = Identity { id, began: "1".into() };
        assert!(!wrong.lives() && !wrong.end().await);
        assert!(right.lives() && child.try_wait().unwrap().is_none());
        assert!(right.end().await);
        assert!(!child.wait().await.unwrap().success() && !right.lives());
        assert!(Identity::own().lives());
    }
}
