//! What every verb that asks AWS begins with: the spec, the account, the stack's view of it.

use std::{collections::BTreeMap, path::PathBuf};

use engine::{Address, Graph, Inventory, Kind, Plan, Resource, Selection};

use super::{
    Globals,
    load::{self, flags},
    looks::{is_on_aws, must_reach_hosts, note_python, reaches_hosts},
    region,
};
use crate::{
    cloud::{Cloud, Connection, Journal, Target, connect, offline},
    cluster::cost,
    error::{Failure, Result},
    hosts::{Access, At, Gateway, Hosts, Place},
    local,
    resources::{self, EmrCluster, Instance, KeyPair, REGISTRY},
    spec::{KeySource, Spec},
    stacks::{self, ClusterWish, Intent},
    ui::{self, plan::Heading},
    workspace::{Lock, Workspace},
};

/// The realm of a stack that nothing on AWS is asked for, and of the keys that servers must show.
const SERVERS: &str = "servers";

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
    /// Where a run of a pipeline notes which cluster it started.
    pub run_note: PathBuf,
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
    /// The same, with pipelines as they are deployed, whatever their templates' folders hold now.
    Deployed,
    /// What is on AWS; hosts are not connected to.
    Cloud,
    /// What is on hosts: people, and how they are let in.
    People,
    /// Where hosts are: what it takes to log in on them.
    Reach,
    /// The cluster alone.
    Cluster,
    /// The same, where the spec does not say whether there is one.
    AnyCluster,
    /// The same, for a command that stays while others come and go: it does not share its ssh configuration.
    Stay,
}

fn unwritable(error: anyhow::Error) -> Failure {
    Failure::from(error).hint("`plan`, `status`, `verify` and `output` need no such folder")
}

impl Session {
    /// Reads the spec, then asks AWS who we are, if anything in it is on AWS. For verbs that only look: they need nothing
    /// that they could write to.
    pub async fn open(globals: &Globals, scope: Scope) -> Result<Self> {
        Box::pin(Self::begin(globals, scope, None, Self::read(globals, scope)?)).await
    }

    /// As [`Session::open`], for a verb that changes the stack: no other one does at the same time.
    pub async fn open_to_change(globals: &Globals, scope: Scope, verb: &str) -> Result<Self> {
        Box::pin(Self::begin(globals, scope, Some(verb), Self::read(globals, scope)?)).await
    }

    /// The same for a verb that ends what costs money, also where the spec has mistakes: these come beside, and the spec
    /// says only whose stack it is; its cluster alone is looked at.
    pub async fn open_to_end(globals: &Globals, verb: &str) -> Result<(Self, Option<Failure>)> {
        let (file, spec, mistakes) = load::as_far_as_readable(globals)?;
        let scope = if mistakes.is_some() { Scope::AnyCluster } else { Scope::Cloud };
        let session = Box::pin(Self::begin(globals, scope, Some(verb), (file, spec))).await?;
        Ok((session, mistakes))
    }

    /// The same for a verb that is at work: with the spec that it began with, whatever has become of the file meanwhile.
    pub async fn open_again_to_change(&self, globals: &Globals, scope: Scope, verb: &str) -> Result<Self> {
        Box::pin(Self::begin(globals, scope, Some(verb), (self.file.clone(), self.spec.clone()))).await
    }

    fn read(globals: &Globals, scope: Scope) -> Result<(PathBuf, Spec)> {
        if scope == Scope::Platform { load::whole(globals) } else { load::as_deployed(globals) }
    }

    async fn begin(
        globals: &Globals,
        scope: Scope,
        changes: Option<&str>,
        (file, spec): (PathBuf, Spec),
    ) -> Result<Self> {
        let workspace = Workspace::of(&file);
        let prepared = workspace.prepare();
        if changes.is_some() {
            prepared.map_err(unwritable)?;
        }
        let target = if globals.local { local::ensure_up(&workspace).await? } else { Target::Aws };
        let on_aws = match scope {
            Scope::People => spec.hosts.values().any(|host| host.users.is_some() && is_on_aws(&spec, host)),
            Scope::Platform | Scope::Deployed | Scope::Cloud | Scope::Cluster => spec.needs_aws(),
            Scope::AnyCluster => true,
            Scope::Reach | Scope::Stay => {
                spec.cluster.is_some() || spec.hosts.values().any(|host| is_on_aws(&spec, host))
            }
        };
        let connection: Connection = if on_aws { connect(&target, &spec.region).await? } else { offline(&spec.region) };
        let realm = match (on_aws, globals.local) {
            (false, _) => SERVERS.to_owned(),
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
        let mut names = stacks::names(&spec, &connection.account, secrets);
        let asks_from_hosts = spec.reaper().is_some() || spec.pipelines.values().any(|pipeline| pipeline.on.is_some());
        if let (true, Target::Local { endpoint, gateway: Some(_), .. }) = (asks_from_hosts, &target) {
            names.aws_for_hosts = local::from_hosts(endpoint).await;
        }
        let mut notes = Vec::new();
        let with_hosts = match scope {
            Scope::Cloud | Scope::Cluster | Scope::AnyCluster => false,
            Scope::Reach | Scope::Stay => must_reach_hosts(globals, &spec, &target)?,
            Scope::Platform | Scope::Deployed | Scope::People => reaches_hosts(globals, &spec, &target, &mut notes),
        };
        let mut intent = Intent { hosts: with_hosts, ..Intent::default() };
        if let Target::Local { python: Some(python), .. } = &target {
            note_python(&spec, python, with_hosts, &mut notes);
            intent.python = Some(python.clone());
        }
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
            let servers = workspace.hosts(SERVERS, &spec.stack)?;
            let own_config = scope == Scope::Stay;
            let access = Access { folder, servers, gateway, trust_first: globals.trust_first, own_config };
            let places = stacks::places(&spec, &cloud.names);
            cloud = cloud.with_hosts(Hosts::new(&spec.stack, places, access));
        }
        let flags = flags(globals, &file);
        let kinds = kinds(scope, on_aws);
        let run_note = workspace.run(&realm, &spec.stack);
        Ok(Self { spec, file, cloud, local: globals.local, run_note, kinds, intent, flags, notes, _lock: lock })
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

    /// The hosts that are stopped, so that the plan cannot tell what is on them already: a note each.
    pub fn stopped_hosts(&self, known: &Inventory) -> Vec<String> {
        let looked_at =
            self.cloud.hosts.places().values().filter(|place| self.intent.hosts && place.at == At::Instance);
        let stopped = looked_at.filter(|place| {
            known
                .find::<Cloud, Instance>(&place.name)
                .is_some_and(|host| ["stopping", "stopped"].contains(&&*host.state))
        });
        let note = |place: &Place| {
            format!(
                "instance/{0} is stopped, and nobody can look at what is on it: it is started first, and all that {0} is \
                 to have is checked then; what is there already stays as it is",
                place.name
            )
        };
        stopped.map(note).collect()
    }

    /// What the spec asks for, given what is there: a cluster that was started on demand is not an orphan.
    pub async fn desired(&self, known: &Inventory) -> Result<Graph<Cloud>> {
        let mut graph = stacks::build(&self.spec, &self.cloud.names, &self.intent, known).await?;
        graph.retain(|address| self.kinds.iter().any(|kind| kind.name == address.kind));
        Ok(graph)
    }

    /// What the cluster costs, where `plan` makes or changes it: a note.
    pub fn cost(&self, plan: &Plan) -> Option<String> {
        let touched = |step: &engine::Step| {
            step.address.kind == <EmrCluster as Resource<Cloud>>::KIND && step.action != engine::Action::Delete
        };
        let cluster = self.spec.cluster.as_ref().filter(|_| plan.steps.iter().any(touched))?;
        let cost = cost::of_spec(cluster, &self.spec.region);
        Some(format!("while it is up, the cluster {} ({})", cost.sentence(), cluster.span.place()))
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

    /// Whether the rest of the stack is left out.
    pub fn looks_at_cluster_alone(&self) -> bool {
        self.kinds.iter().all(|kind| kind.name == EmrCluster::KIND)
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
        Scope::Platform | Scope::Deployed | Scope::Cloud if on_aws => REGISTRY.clone(),
        Scope::Platform | Scope::Deployed | Scope::Cloud => resources::host_kinds(),
        Scope::Reach | Scope::Stay => {
            REGISTRY.iter().filter(|kind| on_aws && located.contains(&kind.name)).copied().collect()
        }
        Scope::Cluster | Scope::AnyCluster => {
            REGISTRY.iter().filter(|kind| on_aws && kind.name == EmrCluster::KIND).copied().collect()
        }
        Scope::People => {
            let wanted = |kind: &&Kind<Cloud>| people.contains(&kind.name) || on_aws && located.contains(&kind.name);
            REGISTRY.iter().filter(wanted).copied().collect()
        }
    }
}

/// This program, for ssh to run.
fn program() -> anyhow::Result<PathBuf> {
    use anyhow::Context;
    std::env::current_exe().context("this program's own path cannot be told")
}
