//! `infra users audit`.

use clap::Args;
use serde_json::{Map, Value, json};

use super::super::{Globals, reach::Reach};
use crate::{
    error::{Failure, Result},
    hosts::audit::{
        Audit as HostAudit, Door, Entrant, Expected, ExpectedPerson, Key, PasswordState, Sudo, Whose, audit,
    },
    spec::{self, Person, Spec},
    ui,
};

/// Shows who can log in on each host, as it really is: accounts, keys, last logins, sudo, passwords, and what sshd
/// lets in. Changes nothing.
///
/// What is unusual is marked with `!!` and explained below its host. That there is something does not change the exit
/// code; that a host cannot be looked at does.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra users audit\n  infra --local users audit bastion --json")]
pub struct Audit {
    /// Only this host.
    host: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// What came of looking at a host.
enum Seen {
    Audit(HostAudit),
    /// It could not be looked at.
    Failed(Failure),
}

impl Audit {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { host, json } = self;
        let reach = Reach::open(globals).await?;
        let named = host.is_some();
        let hosts: Vec<String> = match host {
            Some(host) => vec![reach.choose(Some(&host))?],
            None => reach.session.spec.hosts.keys().cloned().collect(),
        };
        // One after the other: they share one file of pins. Then all at once.
        let mut located = Vec::new();
        for host in hosts {
            let place = reach.locate(&host).await;
            located.push((host, place));
        }
        let look = located.into_iter().map(|(host, place)| async {
            let seen = match place {
                Err(failure) => Seen::Failed(failure),
                Ok(()) => match reach.hosts().facts(&host).await {
                    Ok(facts) => Seen::Audit(audit(&facts, &expected(&reach.session.spec, &host), today())),
                    Err(error) => Seen::Failed(reach.explain(error)),
                },
            };
            (host, seen)
        });
        let seen = futures::future::join_all(look).await;
        reach.hosts().close().await;
        if named && let [(_, Seen::Failed(_))] = seen[..] {
            // Nothing else was asked for: its own words will do.
            return seen.into_iter().try_for_each(|(_, seen)| seen.result());
        }
        if json {
            let all: Map<String, Value> = seen.iter().map(|(host, seen)| (host.clone(), told(seen))).collect();
            let text = serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?;
            ui::print(&format!("{text}\n"))?;
        } else {
            ui::print(&seen.iter().map(|(host, seen)| shown(host, seen)).collect::<Vec<_>>().join("\n"))?;
        }
        let hosts = seen.len();
        let failed: Vec<Failure> = seen.iter().filter_map(|(_, seen)| seen.failure().cloned()).collect();
        // Where none could be looked at, there is nothing to sum up.
        if !json && failed.len() < hosts {
            ui::say(&format!("\n{}", summary(&seen, !failed.is_empty())));
        }
        if failed.is_empty() {
            return Ok(());
        }
        let mut failure = Failure::new(format!("{} of {hosts} hosts could not be looked at", failed.len()));
        for hint in failed.into_iter().flat_map(|failed| failed.hints) {
            if !failure.hints.contains(&hint) {
                failure.hints.push(hint);
            }
        }
        Err(failure)
    }
}

impl Seen {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Audit(_) => None,
            Self::Failed(failure) => Some(failure),
        }
    }

    fn result(self) -> Result {
        match self {
            Self::Audit(_) => Ok(()),
            Self::Failed(failure) => Err(failure),
        }
    }
}

/// Days since 1970, as hosts count the days of accounts.
fn today() -> i64 {
    jiff::Timestamp::now().as_second().div_euclid(24 * 60 * 60)
}

fn expected(spec: &Spec, host: &str) -> Expected {
    let Some(it) = spec.hosts.get(host) else { return Expected::default() };
    let person = |person: &Person| ExpectedPerson {
        keys: person.keys.iter().map(|key| key.material().to_owned()).collect(),
        sudo: match *person.sudo {
            spec::Sudo::No => Sudo::No,
            spec::Sudo::Password => Sudo::Asks,
            spec::Sudo::NoPassword => Sudo::NoPassword,
        },
    };
    let people = it.users.as_ref().map(|users| &users.people);
    let people = people.map(|all| all.iter().map(|one| (one.login.value.clone(), person(one))).collect());
    Expected { administrator: it.login.value.clone(), people }
}

fn told(seen: &Seen) -> Value {
    match seen {
        Seen::Audit(audit) => {
            let mut value = json!(audit);
            value["findings"] = json!(audit.findings());
            value
        }
        Seen::Failed(failure) => json!({ "error": failure.message }),
    }
}

fn shown(host: &str, seen: &Seen) -> String {
    let audit = match seen {
        Seen::Audit(audit) => audit,
        Seen::Failed(failure) => return format!("{host}: {}\n", failure.message),
    };
    let HostAudit { system, sshd, accounts, unusual } = audit;
    let mut text = format!("{host} ({system}): {}\n", door(sshd));
    let rows: Vec<Vec<String>> = accounts.iter().flat_map(rows).collect();
    let headings = ["", "LOGIN", "WHOSE", "LAST LOGIN", "SUDO", "PASSWORD", "KEYS"];
    text.push_str(&ui::table::render(&headings, &rows));
    let of_host = unusual.iter().map(|said| format!(" !! {said}\n"));
    let of_accounts = accounts
        .iter()
        .flat_map(|account| account.unusual.iter().map(|said| format!(" !! {}: {said}\n", account.login)));
    text.extend(of_host.chain(of_accounts));
    text
}

/// What sshd lets in, in words.
fn door(sshd: &Door) -> String {
    let Door { password_login, root_login, key_login } = sshd;
    let passwords = match (password_login, key_login) {
        (None, _) => "sshd does not say what it does",
        (Some(true), _) => "sshd takes passwords",
        (Some(false), Some(false)) => "sshd takes neither keys nor passwords",
        (Some(false), _) => "sshd takes keys only",
    };
    let root = match root_login.as_deref() {
        None => String::new(),
        Some("no") => ", nobody comes in as root".to_owned(),
        Some(value) => format!(", root may come in ({value})"),
    };
    format!("{passwords}{root}")
}

/// One row, and one more for each further key.
fn rows(account: &Entrant) -> Vec<Vec<String>> {
    let Entrant { login, whose, keys, last_login, sudo, rootlike_groups, password, expired, unusual } = account;
    let whose = match whose {
        Whose::Infra => "infra",
        Whose::Departed => "departed",
        Whose::Administrator => "administrator",
        Whose::Root => "root",
        Whose::Other => "other",
    };
    let sudo = if login == "root" { "-".to_owned() } else { sudo.to_string() };
    let expired = if *expired && whose != "departed" { ", EXPIRED" } else { "" };
    let mut keys = keys.iter().map(key);
    let first = vec![
        if unusual.is_empty() { String::new() } else { "!!".to_owned() },
        login.clone(),
        format!("{whose}{expired}"),
        last_login.clone().unwrap_or_else(|| "none recorded".to_owned()),
        [&[sudo], &rootlike_groups[..]].concat().join(", "),
        state(*password),
        keys.next().unwrap_or_else(|| "none".to_owned()),
    ];
    let further = keys.map(|key| [vec![String::new(); 6], vec![key]].concat());
    std::iter::once(first).chain(further).collect()
}

fn key(key: &Key) -> String {
    let Key { fingerprint, algorithm, restricted } = key;
    let Some(fingerprint) = fingerprint else { return "(a line that is no key)".to_owned() };
    let algorithm = algorithm.as_deref().unwrap_or("?");
    let restricted = if *restricted { ", with options" } else { "" };
    format!("{fingerprint} ({algorithm}{restricted})")
}

fn state(password: PasswordState) -> String {
    let PasswordState { kind, must_change, locked } = password;
    let kind = match kind {
        crate::credentials::password::HashKind::Locked if locked => "locked".to_owned(),
        crate::credentials::password::HashKind::Locked => "none".to_owned(),
        kind if kind.is_legacy() => format!("LEGACY {kind}"),
        kind => kind.to_string(),
    };
    format!("{kind}{}", if must_change { ", must change" } else { "" })
}

fn summary(seen: &[(String, Seen)], some_failed: bool) -> String {
    let findings: usize = seen
        .iter()
        .map(|(_, seen)| match seen {
            Seen::Audit(audit) => audit.findings(),
            Seen::Failed(_) => 0,
        })
        .sum();
    let scope = if some_failed { " on the hosts that could be looked at" } else { "" };
    match findings {
        0 => format!("Nothing unusual{scope}."),
        1 => format!("1 thing to look at{scope}."),
        many => format!("{many} things to look at{scope}."),
    }
}
