//! What a host needs so that its services run, as plain data: no resource, no session, no file is touched here.

use std::{collections::BTreeSet, time::Duration};

use ipnet::Ipv4Net;

/// What must be known of a host before its services can be laid out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Where the host's private address lies: the stack's network. `None` for a server that only exists: then any
    /// private range will do, and loopback if it has none.
    pub network: Option<Ipv4Net>,
    /// The Python that the host has, e.g. `3.11`, where that is known to be another than the spec's: the local cloud's
    /// hosts. `None`: as the spec says.
    pub python: Option<String>,
}

/// Everything that a host needs for its services. To be made in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSetup {
    /// Packages of the distribution.
    pub packages: BTreeSet<String>,
    /// System accounts.
    pub accounts: Vec<AccountSetup>,
    /// Files, none of them secret. Their folders are made with mode 0755 by root where they are missing.
    pub files: Vec<FileSetup>,
    /// Python environments.
    pub venvs: Vec<VenvSetup>,
    /// The docker engine.
    pub docker: Option<DockerSetup>,
    /// Units of systemd, each after those that it needs.
    pub services: Vec<ServiceSetup>,
    /// Pages that `infra open NAME` reaches.
    pub forwards: Vec<Forward>,
    /// How to ask whether it works.
    pub health: Vec<Health>,
}

/// An account that nobody logs in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSetup {
    /// Its name, and its group's.
    pub name: &'static str,
    /// Its home, which is not made.
    pub home: &'static str,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSetup {
    /// Where.
    pub path: &'static str,
    /// The whole text.
    pub content: String,
    /// Mode, e.g. 0o644.
    pub mode: u32,
    /// Owner, and the group of the same name.
    pub owner: &'static str,
}

/// A Python environment with exactly the packages that are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenvSetup {
    /// Where, e.g. `/opt/infra/luigi`. Root's, readable by all.
    pub path: &'static str,
    /// The interpreter that makes it: a command, e.g. `python3.10`.
    pub python: String,
    /// What builds the few packages that have no wheel, pinned as the rest:
    /// `pip install --no-deps --require-hashes -r FILE`. They need no compiler.
    pub build: &'static str,
    /// Every package with its version and hashes, in pip's format: one version each, without conditions. Complete:
    /// `pip install --no-deps --require-hashes --no-build-isolation -r FILE`, once `build` is installed.
    pub requirements: &'static str,
}

/// A unit of systemd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSetup {
    /// Its name, e.g. `luigid.service`; its file is `/etc/systemd/system/NAME`.
    pub unit: &'static str,
    /// Text of the unit's file.
    pub content: String,
    /// Whether it is to be enabled and active, oneshots too. Otherwise another unit starts it, e.g. a timer.
    pub enabled: bool,
    /// A change of these files or environments (by path) restarts it, as does one of its own text.
    pub restart_on: Vec<&'static str>,
}

/// The docker engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerSetup {
    /// Its package.
    pub package: &'static str,
    /// Its unit, which the package brings.
    pub unit: &'static str,
    /// Its settings.
    pub config: FileSetup,
    /// Logins in the group `docker`; all others leave it.
    pub members: BTreeSet<String>,
}

/// A page that is reached through SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// The name for `infra open`.
    pub name: &'static str,
    /// The port, on the host's private address (the one that [`super::ADDRESS_FILE`] tells).
    pub port: u16,
    /// The page's path, e.g. `/static/visualiser/index.html`.
    pub path: &'static str,
}

/// A question whose answer says whether a service works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The service: the name for `infra open`.
    pub name: &'static str,
    /// The port, on the host's private address.
    pub port: u16,
    /// What to get.
    pub path: &'static str,
    /// What a good answer is.
    pub expect: Expect,
    /// How long after its start it may take until the answer is good.
    pub within: Duration,
}

/// What a good answer is: status 200, and this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The text contains this.
    Contains(&'static str),
    /// The JSON pointers all lead to this string.
    Json(&'static [&'static str], &'static str),
}

impl Health {
    /// What is wrong with an answer; nothing where it is a good one.
    pub fn judge(&self, status: u16, body: &str) -> Option<String> {
        if status != 200 {
            return Some(format!("{} answers {status}", self.path));
        }
        match self.expect {
            Expect::Contains(text) => (!body.contains(text)).then(|| format!("{} answers something else", self.path)),
            Expect::Json(pointers, wanted) => {
                let Ok(told) = serde_json::from_str::<serde_json::Value>(body) else {
                    return Some(format!("{} answers no JSON", self.path));
                };
                let wrong = pointers.iter().filter_map(|pointer| {
                    let is = told.pointer(pointer).and_then(serde_json::Value::as_str);
                    (is != Some(wanted)).then(|| format!("{pointer} is {}", is.unwrap_or("missing")))
                });
                let wrong: Vec<String> = wrong.collect();
                (!wrong.is_empty()).then(|| wrong.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        let within = Duration::from_secs(1);
        let health = |expect| Health { name: "it", port: 1, path: "/health", expect, within };
        let text = health(Expect::Contains("\"response\""));
        assert_eq!(text.judge(200, "{\"response\": []}"), None);
        assert!(text.judge(200, "<html>").is_some());
        assert!(text.judge(503, "\"response\"").is_some_and(|reason| reason.contains("503")));
        let json = health(Expect::Json(&["/a/status", "/b/status"], "healthy"));
        assert_eq!(json.judge(200, r#"{"a":{"status":"healthy"},"b":{"status":"healthy"}}"#), None);
        let reason = json.judge(200, r#"{"a":{"status":"healthy"},"b":{"status":null}}"#);
        assert_eq!(reason.as_deref(), Some("/b/status is missing"));
        assert!(json.judge(200, "healthy").is_some());
    }
}
