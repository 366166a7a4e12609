//! What every verb that asks AWS begins with: the spec, the account, the stack's view of it.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use engine::{Address, Graph, Inventory, Kind, Plan, Resource, Selection};

use super::{Globals, region};
use crate::{
    cloud::{Cloud, Connection, Journal, Target, connect, offline},
    error::{Failure, Result},
    hosts::{Access, Gateway, Hosts},
    local,
    resources::{self, EmrCluster, KeyPair, REGISTRY},
    spec::{self, KeySource, LoadOptions, Place, Spec},
    stacks::{self, ClusterWish, Intent},
    ui::{self, plan::Heading},
    workspace::{Lock, Workspace},
};

/// A stack, ready to be read and changed.
pub struct Session {
    /// The spec.
    pub spec: Spec,
    /// The file it came from.
    pub file: PathBuf,
    /// The stack's view of the account.
    pub cloud: Cloud,
    /// Whether this is the local cloud.
    pub local: bool,
    /// The kinds that this verb looks at.
    pub kinds: Vec<Kind<Cloud>>,
    intent: Intent,
    flags: String,
    /// What was left out, and why.
    notes: Vec<String>,
    _lock: Option<Lock>,
}

impl Drop for Session {
    /// Tells, in the log, how often hosts were asked: what a verb costs over a slow line. `make bench` reads it.
    fn drop(&mut self) {
        let round_trips = self.cloud.hosts.round_trips();
        if round_trips > 0 {
            tracing::debug!(round_trips, "hosts");
        }
    }
}

/// What a verb is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Platform,
    /// What is on AWS; hosts are not connected to.
    Cloud,
    /// What is on hosts: people, and how they are let in.
    People,
    /// Where hosts are: what it takes to log in on them.
    Reach,
    /// The cluster alone.
    Cluster,
}

/// Finds the spec.
pub fn spec_file(globals: &Globals) -> Result<PathBuf> {
    let folder = PathBuf::from(spec::DEFAULT_FOLDER);
    let variable = std::env::var("INFRA_SPEC").ok();
    spec::find(&folder, globals.file.as_deref(), variable.as_deref()).map_err(|errors| spec_failure(&errors))
}

/// Finds and reads the spec; asks nobody.
pub fn load(globals: &Globals) -> Result<(PathBuf, Spec)> {
    let file = spec_file(globals)?;
    let options =
        LoadOptions { set: variables(&globals.set)?, overlay: globals.overlay.clone(), ..LoadOptions::default() };
    let spec = spec::load(&file, &options).map_err(|errors| spec_failure(&errors))?;
    Ok((file, spec))
}

fn unwritable(error: anyhow::Error) -> Failure {
    Failure::from(error).hint("`plan`, `status`, `verify` and `output` need no such folder")
}

fn spec_failure(errors: &spec::SpecErrors) -> Failure {
    Failure::new(errors.render(ui::colored_stderr()))
}

fn variables(set: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Failure::new(format!("--set {text}: expected NAME=VALUE"))),
    };
    set.iter().map(pair).collect()
}

/// ` --local -f infra/nyc311.yaml`, as the command at hand had them.
fn flags(globals: &Globals, file: &Path) -> String {
    let mut flags = String::new();
    if globals.local {
        flags.push_str(" --local");
    }
    if globals.file.is_some() {
        let _ = write!(flags, " -f {}", file.display());
    }
    if let Some(overlay) = &globals.overlay {
        let _ = write!(flags, " --overlay {}", overlay.display());
    }
    for pair in &globals.set {
        let _ = write!(flags, " --set '{pair}'");
    }
    flags
}

impl Session {
    /// Reads the spec, then asks AWS who we are, if anything in it is on AWS. For verbs that only look: they need nothing
    /// that they could write to.
    pub async fn open(globals: &Globals, scope: Scope) -> Result<Self> {
        Self::begin(globals, scope, None).await
    }

    /// As [`Session::open`], for a verb that changes the stack: no other one does at the same time.
    pub async fn open_to_change(globals: &Globals, scope: Scope, verb: &str) -> Result<Self> {
        Self::begin(globals, scope, Some(verb)).await
    }

    async fn begin(globals: &Globals, scope: Scope, changes: Option<&str>) -> Result<Self> {
        let (file, spec) = load(globals)?;
        let workspace = Workspace::of(&file);
        let prepared = workspace.prepare();
        if changes.is_some() {
            prepared.map_err(unwritable)?;
        }
        let target = if globals.local { local::ensure_up(&workspace).await? } else { Target::Aws };
        let on_aws = match scope {
            Scope::People => spec.hosts.values().any(|host| host.users.is_some() && host.instance().is_some()),
            Scope::Platform | Scope::Cloud | Scope::Cluster => spec.needs_aws(),
            Scope::Reach => spec.hosts.values().any(|host| host.instance().is_some()),
        };
        let connection: Connection = if on_aws { connect(&target, &spec.region).await? } else { offline(&spec.region) };
        let realm = match (on_aws, globals.local) {
            (false, _) => "servers".to_owned(),
            (true, true) => "local".to_owned(),
            (true, false) => format!("{}-{}", connection.account, *spec.region),
        };
        let lock = changes.map(|verb| workspace.lock(&realm, &spec.stack, verb)).transpose()?;
        let journal = workspace.journal(&realm, &spec.stack);
        let (secrets, journal) = match changes {
            Some(_) => (
                workspace.secrets(&realm, &spec.stack).map_err(unwritable)?,
                Journal::open(&journal).map_err(unwritable)?,
            ),
            None => (workspace.secrets_at(&realm, &spec.stack), Journal::read(&journal)),
        };
        let names = stacks::names(&spec, &connection.account, secrets);
        let mut notes = Vec::new();
        let with_hosts = match scope {
            Scope::Cloud | Scope::Cluster => false,
            Scope::Reach => must_reach_hosts(globals, &spec, &target)?,
            Scope::Platform | Scope::People => reaches_hosts(globals, &spec, &target, &mut notes),
        };
        let mut cloud = Cloud::new(&connection, names, journal);
        if with_hosts {
            let gateway = match target {
                Target::Local { gateway, .. } => {
                    gateway.map(|socket| anyhow::Ok(Gateway { program: program()?, socket }))
                }
                Target::Aws => None,
            };
            let gateway = gateway.transpose()?;
            let folder = workspace.hosts(&realm, &spec.stack)?;
            let access = Access { folder, gateway, trust_first: globals.trust_first };
            let places = stacks::places(&spec, &cloud.names);
            cloud = cloud.with_hosts(Hosts::new(&spec.stack, places, access));
        }
        let flags = flags(globals, &file);
        let intent = Intent { hosts: with_hosts, ..Intent::default() };
        let kinds = kinds(scope, on_aws);
        Ok(Self { spec, file, cloud, local: globals.local, kinds, intent, flags, notes, _lock: lock })
    }

    /// Reads everything that the stack owns.
    pub async fn observe(&self) -> Result<Inventory> {
        let known = engine::observe(&self.kinds, &self.cloud).await.map_err(|error| self.explain(error))?;
        region::ensure_here(self, &known)?;
        Ok(known)
    }

    /// What to do about a host that could not be read.
    fn explain(&self, error: engine::ObserveError) -> Failure {
        let advice: Vec<String> = match &error {
            engine::ObserveError::Kind { source, .. } => {
                let refused = source.chain().find_map(|cause| cause.downcast_ref());
                refused.map(|refused| self.cloud.hosts.advice(refused)).unwrap_or_default()
            }
            engine::ObserveError::Claimed { .. } => Vec::new(),
        };
        let mut failure = Failure::from(error);
        failure.hints.extend(advice);
        failure
    }

    /// Reads everything that the stack owns, also where several objects claim one address.
    pub async fn observe_all(&self) -> Result<Inventory> {
        let known = engine::observe_all(&self.kinds, &self.cloud).await?;
        region::ensure_here(self, &known)?;
        Ok(known)
    }

    /// Reads what the stack owns on AWS.
    pub async fn observe_cloud(&self) -> Result<Inventory> {
        let cloud: Vec<Kind<Cloud>> =
            self.kinds.iter().filter(|kind| !crate::hosts::KINDS.contains(&kind.name)).copied().collect();
        Ok(engine::observe(&cloud, &self.cloud).await?)
    }

    /// The made keys that open something here and whose private part this machine does not have: a note each.
    pub fn lost_keys(&self, known: &Inventory) -> Vec<String> {
        let made = self.spec.keys.iter().filter(|(_, key)| matches!(key.source.value, KeySource::Generate));
        let there = made.filter(|(name, _)| known.contains(&Address::new(KeyPair::KIND, name.as_str())));
        let lost = there.filter_map(|(name, _)| {
            let file = self.cloud.names.private_key(name);
            let note = format!(
                "the private part of key_pair/{name} is not on this machine ({}): copy the file from where the key was \
                 made, or nobody gets into its hosts from here",
                file.display()
            );
            (!file.exists()).then_some(note)
        });
        lost.collect()
    }

    /// What the spec asks for, given what is there: a cluster that was started on demand is not an orphan.
    pub async fn desired(&self, known: &Inventory) -> Result<Graph<Cloud>> {
        let mut graph = stacks::build(&self.spec, &self.cloud.names, &self.intent, known).await?;
        graph.retain(|address| self.kinds.iter().any(|kind| kind.name == address.kind));
        Ok(graph)
    }

    /// The plan that reaches `desired` from `known`.
    pub fn plan(&self, desired: &Graph<Cloud>, known: &Inventory) -> Plan {
        engine::plan(&self.kinds, desired, known, Selection::All)
    }

    /// Takes note of the users whose access key is to be replaced.
    pub fn rotate(&mut self, addresses: &[String]) -> Result {
        for address in addresses {
            let user = address.strip_prefix("iam_user/").unwrap_or(address);
            match self.spec.access.users.get(user) {
                Some(found) if *found.access_key => drop(self.intent.rotate.insert(user.to_owned())),
                Some(_) => {
                    return Err(Failure::new(format!("--rotate {address}: the user has no access key in the spec")));
                }
                None => return Err(Failure::new(format!("--rotate {address}: the spec has no such user"))),
            }
        }
        Ok(())
    }

    /// Has a version of a pipeline other than what its template holds now.
    pub fn release(&mut self, pipeline: &str, release: stacks::pipeline::Release) {
        self.intent.releases.insert(pipeline.to_owned(), release);
    }

    /// Says what is to become of the cluster, beyond what the spec says.
    pub fn wish(&mut self, cluster: ClusterWish) {
        self.intent.cluster = cluster;
    }

    /// The flags to repeat in a command that the user is advised to run next.
    pub fn flags(&self) -> &str {
        &self.flags
    }

    /// What was left out, and why.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The first lines of a plan.
    pub fn heading(&self, destroys: bool) -> Heading {
        let account = &self.cloud.names.account;
        let whose = match (self.local, account.is_empty()) {
            (true, _) => "the local cloud".to_owned(),
            (false, true) => "on servers of its own".to_owned(),
            (false, false) => format!("account {account}"),
        };
        Heading {
            stack: self.spec.stack.to_string(),
            place: format!("{}, {whose}", self.spec.region.value),
            notes: self
                .spec
                .notes
                .iter()
                .map(|note| format!("{} ({})", note.message, note.span.place()))
                .chain(self.notes.iter().cloned())
                .collect(),
            tags: self.cloud.names.tags.clone(),
            destroys,
            partial: false,
            losses: BTreeMap::new(),
            width: ui::width(),
        }
    }
}

/// The kinds that a verb looks at.
fn kinds(scope: Scope, on_aws: bool) -> Vec<Kind<Cloud>> {
    let located = ["instance", "elastic_ip"];
    let people = ["host_group", "host_user", "sudoers", "sshd"];
    match scope {
        Scope::Platform | Scope::Cloud if on_aws => REGISTRY.clone(),
        Scope::Platform | Scope::Cloud => resources::host_kinds(),
        Scope::Reach => REGISTRY.iter().filter(|kind| on_aws && located.contains(&kind.name)).copied().collect(),
        Scope::Cluster => REGISTRY.iter().filter(|kind| on_aws && kind.name == EmrCluster::KIND).copied().collect(),
        Scope::People => {
            let wanted = |kind: &&Kind<Cloud>| people.contains(&kind.name) || on_aws && located.contains(&kind.name);
            REGISTRY.iter().filter(wanted).copied().collect()
        }
    }
}

/// Whether what is on the hosts can be looked at; says why not.
fn reaches_hosts(globals: &Globals, spec: &Spec, target: &Target, notes: &mut Vec<String>) -> bool {
    let configured = |host: &spec::Host| host.users.is_some() || !host.services.is_empty();
    let hosts: Vec<&spec::Host> = spec.hosts.values().map(|host| &host.value).filter(|host| configured(host)).collect();
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

/// For a verb that is of no use without hosts; it says itself which of them are servers.
fn must_reach_hosts(globals: &Globals, spec: &Spec, target: &Target) -> Result<bool> {
    if spec.hosts.is_empty() {
        return Err(Failure::new("the spec has no hosts"));
    }
    if globals.no_hosts {
        return Err(Failure::new("--no-hosts leaves out what this command is about"));
    }
    let no_bodies = matches!(target, Target::Local { gateway: None, .. });
    if no_bodies && spec.hosts.values().any(|host| host.instance().is_some()) {
        return Err(Failure::new("the local cloud's hosts have no bodies, so that nobody can log in on them")
            .hint("`infra local up --hosts` gives them some"));
    }
    Ok(true)
}

/// This program, for ssh to run.
fn program() -> anyhow::Result<PathBuf> {
    use anyhow::Context;
    std::env::current_exe().context("this program's own path cannot be told")
}
