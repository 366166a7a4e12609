//! Which line of the spec asked for what failed, by what EMR says of the failure. Pure.

use crate::spec::{Cluster, Nodes, Span, Spec};

/// What in the spec asked for what failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// What: "bootstrap action `first.sh`".
    pub what: String,
    /// Where it stands.
    pub span: Span,
}

/// The line that EMR's reason is about; nothing where it tells of none.
pub fn blame(spec: &Spec, code: Option<&str>, message: &str) -> Option<Blame> {
    let cluster = &spec.cluster.as_ref()?.value;
    let at = |what: &str, span: &Span| Some(Blame { what: what.to_owned(), span: span.clone() });
    if code == Some("BOOTSTRAP_FAILURE") {
        return bootstrap(cluster, action(message)?);
    }
    let lower = message.to_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    if let Some((kind, span)) = types(cluster).into_iter().find(|(kind, _)| names(message, kind)) {
        return at(&format!("instance type {kind}"), &span);
    }
    if says(&["service role", "servicerole"]) {
        return at("the service role", &cluster.service_role.span);
    }
    if says(&["instanceprofile", "instance profile", "jobflowrole"]) {
        return at("the role of the machines", &cluster.node_role.span);
    }
    if says(&["ssh key", "key name", "key pair"]) {
        return at("the key", &cluster.key.as_ref()?.span);
    }
    if says(&["subnet", "route", "gateway", "serviceaccesssecuritygroup", "public access"]) {
        return at("the subnet", &cluster.subnet.span);
    }
    if says(&["release label"]) {
        return at("the release", &cluster.release.span);
    }
    if code == Some("INSTANCE_FLEET_TIMEOUT") {
        return at("how long to wait for spot machines", fleet_wait(cluster)?);
    }
    None
}

/// The number of the bootstrap action that failed, from 1: "bootstrap action 2 returned a non-zero return code".
pub(super) fn action(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("bootstrap action ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|number| *number > 0)
}

/// The log4j patch is the first where there is one.
fn bootstrap(cluster: &Cluster, number: usize) -> Option<Blame> {
    let patches = usize::from(*cluster.log4j_patch);
    if number <= patches {
        return Some(Blame { what: "the log4j patch".into(), span: cluster.log4j_patch.span.clone() });
    }
    let action = cluster.bootstrap.get(number - patches - 1)?;
    Some(Blame { what: format!("bootstrap action `{}`", action.name), span: action.span.clone() })
}

fn types(cluster: &Cluster) -> Vec<(String, Span)> {
    match &cluster.nodes {
        Nodes::Groups { master, core, task } => {
            let groups = [Some(master), core.as_ref(), task.as_ref()].into_iter().flatten();
            groups.map(|group| (group.instance_type.value.clone(), group.instance_type.span.clone())).collect()
        }
        Nodes::Fleets { master, core, task } => {
            let fleets = [Some(master), core.as_ref(), task.as_ref()].into_iter().flatten();
            let types = fleets.flat_map(|fleet| &fleet.types);
            types.map(|kind| (kind.instance_type.clone(), kind.span.clone())).collect()
        }
    }
}

/// Whether a message names an instance type, and not a longer one that begins or ends so.
fn names(message: &str, kind: &str) -> bool {
    message.match_indices(kind).any(|(at, _)| {
        let is_part = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        !is_part(message[..at].chars().next_back()) && !is_part(message[at + kind.len()..].chars().next())
    })
}

fn fleet_wait(cluster: &Cluster) -> Option<&Span> {
    let Nodes::Fleets { master, core, task } = &cluster.nodes else { return None };
    let mut fleets = [Some(master), core.as_ref(), task.as_ref()].into_iter().flatten();
    fleets.find(|fleet| *fleet.spot > 0).map(|fleet| &fleet.spot_wait_minutes.span)
}
