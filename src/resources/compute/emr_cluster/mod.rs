//! An EMR cluster: the machines, what runs on them, and its life from start to end.
//!
//! Most clusters come and go with `infra cluster up` and `down`. Whoever builds the graph therefore adds a cluster
//! whose spec says `start: on-demand` **only while it is seen to live** ([`EmrClusterObserved::is_live`]): left out
//! although live, it would be an orphan, and `apply` would end it; put in although absent, `apply` would start it.
//! `destroy`, a plan against an empty graph, ends it either way.
//!
//! A cluster that is ending is observed as well, so that a run after an interrupted `down` waits until its machines
//! have left the network that is to be deleted next. It gives way to a live one of the same address.

mod change;
mod compare;
mod master;
mod nodes;
mod observed;
mod read;
mod reasons;
mod requests;
mod settings;
mod start;
mod written;

use std::{collections::BTreeSet, time::Duration};

use engine::{Address, Diff, Effect, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::{Value, json};

use super::EmrSecurityConfiguration;
use crate::cloud::{Cloud, Explain, PROTECT_TAG, Tags};
use crate::resources::{SecurityGroup, Subnet};
pub use master::{MasterNode, cluster_end, master_node};
pub use nodes::{
    ClusterNodes, FleetObserved, FleetType, FleetTypeObserved, GroupObserved, NodeDisk, NodeFleet, NodeGroup,
    NodeMarket, NodesObserved, SpotFallback,
};
pub use observed::EmrClusterObserved;
pub use read::{OtherCluster, cluster_of_stack, other_clusters};
pub use reasons::{ClusterEnded, explain_termination};
pub use settings::{BootstrapAction, ClusterConfiguration, ScalingLimits, ScalingUnit};
pub use written::{stands_for, written_request};

/// EMR takes a few minutes to end a cluster; several when logs are still to be copied.
const END_DEADLINE: Duration = Duration::from_mins(30);

/// A cluster.
#[derive(Clone, Debug, Serialize)]
pub struct EmrCluster {
    /// Its name in EMR, which need not be unique.
    pub name: String,
    /// EMR's release: `emr-5.29.0`.
    pub release: String,
    /// Applications as EMR spells them.
    pub applications: BTreeSet<String>,
    /// Where the nodes are.
    pub subnet: Ref<Subnet>,
    /// The group of the master, to which EMR adds its own rules.
    pub master_group: Ref<SecurityGroup>,
    /// The group of the other nodes, likewise.
    pub slave_group: Ref<SecurityGroup>,
    /// The group through which EMR reaches nodes in a private subnet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_group: Option<Ref<SecurityGroup>>,
    /// The name of the role that says what EMR may do.
    pub service_role: String,
    /// The name of the instance profile that says what the nodes may do.
    pub node_profile: String,
    /// The name of the key pair for login `hadoop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The machines.
    pub nodes: ClusterNodes,
    /// Settings of the applications.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configurations: Vec<ClusterConfiguration>,
    /// Scripts that run on each node before the applications start, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bootstrap: Vec<BootstrapAction>,
    /// How many steps run at once.
    pub step_concurrency: u32,
    /// Where logs go: `s3://…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_uri: Option<String>,
    /// Encryption and metadata service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<Ref<EmrSecurityConfiguration>>,
    /// EMR's own scaling, from release 5.30.0; it then chooses the sizes of groups and fleets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_scaling: Option<ScalingLimits>,
    /// EMR ends it after so many seconds without work, from release 5.30.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_termination: Option<u64>,
    /// Whether it must be unprotected before it can be ended.
    pub termination_protection: bool,
    /// Size of each node's root disk in GiB; `None` for the release's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_disk_gib: Option<u32>,
    /// Whether all of the account's users see it, as far as their policies allow.
    pub visible: bool,
    /// How long starting may take before it is a failure.
    #[serde(skip)]
    pub start_deadline: Duration,
    /// Whether only the sizes of its groups are wished for, so that whatever else differs stays as it is.
    #[serde(skip)]
    pub sizes_only: bool,
    /// What else it needs to exist first: roles, profile, key pair, buckets, scripts, routes.
    #[serde(skip)]
    pub after: Vec<Address>,
    /// What it is tagged with; EMR tags its nodes and their disks alike.
    pub tags: Tags,
}

impl Resource<Cloud> for EmrCluster {
    const KIND: &'static str = "emr_cluster";
    const LAYER: &'static str = "cluster";
    const AFTER: &'static [&'static str] = &[
        "subnet",
        "security_group",
        "security_group_rules",
        "internet_gateway",
        "nat_gateway",
        "route_table",
        "vpc_endpoint",
        "key_pair",
        "instance_profile",
        "iam_role",
        "kms_key",
        "bucket",
        "bucket_folder",
        "bucket_object",
        "emr_security_configuration",
    ];
    const TYPICAL_SECONDS: u32 = 480;
    type Observed = EmrClusterObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self {
            name: _,
            release: _,
            applications: _,
            subnet,
            master_group,
            slave_group,
            service_group,
            service_role: _,
            node_profile: _,
            key: _,
            nodes: _,
            configurations: _,
            bootstrap: _,
            step_concurrency: _,
            log_uri: _,
            security,
            managed_scaling: _,
            auto_termination: _,
            termination_protection: _,
            root_disk_gib: _,
            visible: _,
            start_deadline: _,
            sizes_only: _,
            after,
            tags: _,
        } = self;
        let mut refs = vec![subnet.address(), master_group.address(), slave_group.address()];
        refs.extend(service_group.iter().map(Ref::address));
        refs.extend(security.iter().map(Ref::address));
        refs.extend(after);
        refs
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, EmrClusterObserved)>> {
        read::clusters(cloud, Self::KIND).await
    }

    fn id(observed: &EmrClusterObserved) -> String {
        observed.id.clone()
    }

    fn diff(&self, observed: &EmrClusterObserved, known: &Inventory) -> Diff {
        let Self {
            name,
            release,
            applications,
            subnet,
            master_group,
            slave_group,
            service_group,
            service_role,
            node_profile,
            key,
            nodes,
            configurations,
            bootstrap,
            step_concurrency,
            log_uri,
            security,
            managed_scaling,
            auto_termination,
            termination_protection,
            root_disk_gib,
            visible,
            start_deadline: _,
            sizes_only,
            after: _,
            tags,
        } = self;
        let mut diff = Diff::default();
        if *sizes_only {
            compare::nodes(&mut diff, &observed.nodes, nodes, false);
            // Of several task groups the others are nobody's business here.
            diff.changes.retain(|change| !change.field.starts_with("task_groups."));
            return diff;
        }
        if !observed.is_live() {
            diff.push("state", json!(observed.state), json!("ready"), Effect::Replaces);
            return diff;
        }
        if !observed.is_ready() {
            // It starts on behalf of somebody else, or of a run that was interrupted: wait for it.
            diff.push("state", json!(observed.state), json!("ready"), Effect::InPlace);
        }
        let group = |link| known.get::<Cloud, SecurityGroup>(link).map(|group| group.id.as_str());
        diff.fixed("name", &observed.name, name).fixed("release", &observed.release, release);
        let lower = |names: &BTreeSet<String>| names.iter().map(|name| name.to_lowercase()).collect::<BTreeSet<_>>();
        // EMR chooses where none are named, and spells them its own way.
        if !applications.is_empty() && lower(&observed.applications) != lower(applications) {
            diff.push("applications", json!(observed.applications), json!(applications), Effect::Replaces);
        }
        diff.fixed_link("subnet", &observed.subnet, known.get(subnet).map(|subnet| subnet.id.as_str()), subnet)
            .fixed_link("master_group", &observed.master_group, group(master_group), master_group)
            .fixed_link("slave_group", &observed.slave_group, group(slave_group), slave_group);
        optional_link(&mut diff, "service_group", observed.service_group.as_deref(), service_group.as_ref(), group);
        diff.fixed("service_role", bare(&observed.service_role), bare(service_role))
            .fixed("node_profile", bare(&observed.node_profile), bare(node_profile))
            .fixed("key", &observed.key, key);
        compare::nodes(&mut diff, &observed.nodes, nodes, managed_scaling.is_some());
        diff.fixed("configurations", &settings::sorted(&observed.configurations), &settings::sorted(configurations))
            .fixed("bootstrap", &observed.bootstrap, bootstrap)
            .field("step_concurrency", &observed.step_concurrency, step_concurrency);
        if plain_uri(observed.log_uri.as_deref()) != plain_uri(log_uri.as_deref()) {
            diff.push("log_uri", json!(observed.log_uri), json!(log_uri), Effect::Replaces);
        }
        let configuration = |link| known.get::<Cloud, EmrSecurityConfiguration>(link).map(|found| found.name.as_str());
        optional_link(&mut diff, "security", observed.security.as_deref(), security.as_ref(), configuration);
        diff.field("managed_scaling", &observed.managed_scaling, managed_scaling)
            .field("auto_termination", &observed.auto_termination, auto_termination)
            .field("termination_protection", &observed.termination_protection, termination_protection)
            .fixed("root_disk_gib", &observed.root_disk_gib, &root_disk_gib.or(observed.root_disk_gib))
            .field("visible", &observed.visible, visible)
            .field("keep_alive", &observed.keep_alive, &true)
            .map("tags", &observed.tags, tags);
        diff
    }

    fn guard(observed: &EmrClusterObserved) -> Option<String> {
        if !observed.is_live() {
            return None;
        }
        let tagged = observed.tags.get(PROTECT_TAG).is_some_and(|value| value == "true");
        let reason = match (observed.termination_protection && !observed.may_unprotect, tagged) {
            (true, _) => {
                "termination protection is on. To let it go: set `termination_protection: false`, apply, then try again"
            }
            (false, true) => "its tag infra:protect says so. To let it go: take the tag away, then try again",
            (false, false) => return None,
        };
        Some(reason.into())
    }

    fn outputs(observed: &EmrClusterObserved) -> Vec<(&'static str, String)> {
        let mut outputs = vec![("id", observed.id.clone()), ("state", observed.state.clone())];
        outputs.extend(observed.master_dns.clone().map(|name| ("master", name)));
        outputs.extend(observed.log_uri.clone().map(|uri| ("logs", uri)));
        outputs
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<EmrClusterObserved> {
        let id = start::start(self, cx).await?;
        let born = start::until_ready(&id, self.start_deadline, cx).await?;
        // What EMR made otherwise than it was told: protection is on by itself where there are three masters.
        let inventory = Inventory::default();
        let mut missing = self.diff(&born, &inventory);
        missing.changes.retain(|change| change.effect == Effect::InPlace);
        if missing.is_empty() { Ok(born) } else { self.update(&born, &missing, cx).await }
    }

    async fn update(
        &self,
        observed: &EmrClusterObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<EmrClusterObserved> {
        let ready;
        let mut observed = observed;
        if diff.touches("state") {
            ready = start::until_ready(&observed.id, self.start_deadline, cx).await?;
            observed = &ready;
        }
        change::apply(self, observed, diff, cx.world).await?;
        let cluster = read::describe(cx.world, &observed.id).await?;
        read::read(cx.world, cluster).await
    }

    async fn delete(observed: &EmrClusterObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let (cloud, id) = (cx.world, &observed.id);
        if observed.is_live() {
            if observed.termination_protection && observed.may_unprotect {
                let request = cloud.clients.emr.set_termination_protection().job_flow_ids(id);
                let request = request.termination_protected(false);
                request.send().await.explain("elasticmapreduce:SetTerminationProtection")?;
            }
            let request = cloud.clients.emr.terminate_job_flows().job_flow_ids(id);
            request.send().await.explain("elasticmapreduce:TerminateJobFlows")?;
        }
        let look = || async {
            let state = read::state(&read::describe(cloud, id).await?);
            Ok(state.starts_with("TERMINATED").then_some(()))
        };
        cloud.wait(cx, format!("cluster {id} to end; its machines go first"), END_DEADLINE, look).await
    }
}

/// Roles and profiles may be named by ARN; the last part of one is the name.
fn bare(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// EMR gives `s3://bucket/logs` back as `s3n://bucket/logs/`.
fn plain_uri(uri: Option<&str>) -> Option<&str> {
    let uri = uri?.trim_end_matches('/');
    Some(uri.split_once("://").map_or(uri, |(_, rest)| rest))
}

fn optional_link<'a, R>(
    diff: &mut Diff,
    field: &str,
    from: Option<&str>,
    link: Option<&'a Ref<R>>,
    id: impl Fn(&'a Ref<R>) -> Option<&'a str>,
) {
    match (from, link) {
        (Some(from), Some(link)) => {
            diff.fixed_link(field, from, id(link), link);
        }
        (from, link) => {
            let to = link.map_or(Value::Null, |link| json!(link.address().to_string()));
            if from.is_some() || link.is_some() {
                diff.push(field, json!(from), to, Effect::Replaces);
            }
        }
    }
}

/// True for the releases that have managed scaling and auto-termination: 5.30.0 and later, but for 6.0.0.
/// Source: "Using managed scaling" and "Using an auto-termination policy" in the Amazon EMR management guide.
pub(super) fn has_policies(release: &str) -> bool {
    let mut numbers = release.trim_start_matches("emr-").split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (5, 30) && version != (6, 0)
}
