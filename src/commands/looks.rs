//! Whether a verb looks at the stack's hosts, what must be asked before, and what is said where it does not.

use super::Globals;
use crate::{
    cloud::Target,
    error::{Failure, Result},
    spec::{Host, KeySource, Place, Service, Spec},
};

/// Whether AWS must be asked before a host can be logged in on: it is an instance, or its key is one that `infra` makes,
/// of which each account has its own.
pub(super) fn is_on_aws(spec: &Spec, host: &Host) -> bool {
    let key = host.key.as_ref().and_then(|key| spec.keys.get(&key.value));
    host.instance().is_some() || key.is_some_and(|key| matches!(key.source.value, KeySource::Generate))
}

/// Whether what is on the hosts can be looked at; says why not.
pub(super) fn reaches_hosts(globals: &Globals, spec: &Spec, target: &Target, notes: &mut Vec<String>) -> bool {
    let hosts = spec.hosts.iter().filter(|(name, host)| spec.configures(name, host));
    let hosts: Vec<&Host> = hosts.map(|(_, host)| &host.value).collect();
    if hosts.is_empty() {
        return false;
    }
    if globals.no_hosts {
        notes.push("what is on the hosts (users, services) was left out (--no-hosts)".into());
        return false;
    }
    if let Target::Local { gateway, .. } = target {
        if hosts.iter().any(|host| matches!(host.place, Place::Server(_))) {
            notes.push(
                "servers with an `address` are no part of the local cloud, and what is on the hosts was left out"
                    .into(),
            );
            return false;
        }
        if gateway.is_none() {
            notes.push(
                "the local cloud's hosts have no bodies, so that what is on them (users, services) was left out: \
                 `infra local up --hosts` gives them some"
                    .into(),
            );
            return false;
        }
    }
    true
}

/// Says which services run on another Python than the spec's, because the local cloud's hosts have no such one.
pub(super) fn note_python(spec: &Spec, python: &str, with_hosts: bool, notes: &mut Vec<String>) {
    for (name, host) in spec.hosts.iter().filter(|_| with_hosts) {
        for service in host.services.values() {
            if let Service::Airflow(airflow) = &service.value
                && *airflow.python != python
            {
                notes.push(format!(
                    "the local cloud's hosts have no Python {}: Airflow on {name} runs on {python} there",
                    airflow.python.value
                ));
            }
        }
    }
}

/// For a verb that is of no use without hosts; it says itself which of them are servers.
pub(super) fn must_reach_hosts(globals: &Globals, spec: &Spec, target: &Target) -> Result<bool> {
    if spec.hosts.is_empty() && spec.cluster.is_none() {
        return Err(Failure::new("the spec has no hosts"));
    }
    if globals.no_hosts {
        return Err(Failure::new("--no-hosts leaves out what this command is about"));
    }
    let no_bodies = matches!(target, Target::Local { gateway: None, .. });
    if no_bodies && (spec.cluster.is_some() || spec.hosts.values().any(|host| host.instance().is_some())) {
        return Err(Failure::new("the local cloud's hosts have no bodies, so that nobody can log in on them")
            .hint("`infra local up --hosts` gives them some"));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_python_than_the_spec_s_is_noted_where_it_is_used() {
        let text = "stack: notes\nregion: us-west-2\nhosts:\n  one:\n    address: 192.0.2.1\n    login: admin\n    \
                    services: { luigi: {}, airflow: { python: \"3.10\" } }\n";
        let spec = crate::spec::load_str("notes.yaml", text, &crate::spec::LoadOptions::default()).unwrap();
        let notes = |python: &str, with_hosts: bool| {
            let mut notes = Vec::new();
            note_python(&spec, python, with_hosts, &mut notes);
            notes
        };
        assert_eq!(
            notes("3.11", true),
            ["the local cloud's hosts have no Python 3.10: Airflow on one runs on 3.11 there"]
        );
        assert!(notes("3.10", true).is_empty() && notes("3.11", false).is_empty());
    }
}
