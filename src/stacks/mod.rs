//! Spec to graph: which resources a stack is made of, and how they refer to each other.
//!
//! Names that the user never chose are chosen here, the same on every run: `vpc/main`, `route_table/internet`,
//! `security_group/emr-master`. Secure defaults that no line of the spec asks for are made explicit here too, so that
//! the plan shows them.

mod access;
mod archive;
mod cluster;
mod grants;
mod hosts;
mod network;
mod nodes;
mod people;
pub mod pipeline;
pub mod pipeline_host;
mod reaper;
pub mod services;
mod storage;

pub use cluster::{CLUSTER, ClusterWish, SERVICE as SERVICE_GROUP};
pub use hosts::{MASTER as MASTER_GROUP, NODES as NODES_GROUP};
pub use nodes::{Part, Sizes};
pub use people::{master_name, places};

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use engine::{Address, Graph, Inventory, Origin, Ref, Resource};

use crate::{
    cloud::{Cloud, Names, Tags},
    resources::{
        Bucket, BucketFolder, IamPolicy, IamRole, Instance, InstanceProfile, KeyPair, KmsKey, SecurityGroup, Subnet,
        Vpc,
    },
    spec::{Span, Spec},
};

/// Marks what EMR's v2 managed policies may touch.
/// Source: "Using managed policies" in the Amazon EMR management guide.
pub const EMR_POLICY_TAG: &str = "for-use-with-amazon-emr-managed-policies";

/// The names that the spec's objects go by in this account.
pub fn names(spec: &Spec, account: &str, secrets: PathBuf) -> Names {
    let mut tags: Tags = spec.tags.iter().map(|(key, value)| (key.clone(), value.resolve(account))).collect();
    if uses_v2_policies(spec) {
        tags.insert(EMR_POLICY_TAG.into(), "true".into());
    }
    Names {
        stack: spec.stack.value.clone(),
        region: spec.region.value.clone(),
        account: account.to_owned(),
        tags,
        identities: identities(spec, account),
        kms_keys: vec![access::KMS_KEY.to_owned()],
        security_configurations: vec![cluster::SECURITY.to_owned()],
        secrets,
        code: pipeline::names(spec, account),
        ..storage::names(spec, account)
    }
}

/// What the spec's policies and instance profiles are called in IAM.
fn identities(spec: &Spec, account: &str) -> BTreeSet<String> {
    let policies = spec.access.policies.values().map(|policy| policy.name.resolve(account));
    let profiles = spec.access.roles.values().filter(|role| *role.profile);
    let reaper = reaper::made_role(spec, &spec.stack, account).map(|(_, in_iam)| in_iam);
    policies.chain(profiles.map(|role| role.name.resolve(account))).chain(reaper).collect()
}

fn uses_v2_policies(spec: &Spec) -> bool {
    let roles = spec.access.roles.values();
    roles.flat_map(|role| &role.grants.managed).any(|policy| policy.name() == "AmazonEMRServicePolicy_v2")
}

/// What the user wants beyond what the spec says.
#[derive(Clone, Debug, Default)]
pub struct Intent {
    /// Users whose access key is to be replaced, by name.
    pub rotate: BTreeSet<String>,
    /// Whether what is on the hosts belongs to it.
    pub hosts: bool,
    /// Versions of pipelines other than what their templates hold now, by pipeline.
    pub releases: BTreeMap<String, pipeline::Release>,
    /// What is to become of the cluster.
    pub cluster: ClusterWish,
    /// The Python of the hosts, where it may be another than the spec's: the local cloud's.
    pub python: Option<String>,
}

/// Everything that the spec asks for, given what is known to exist: a cluster that was started on demand stays until
/// it is ended on demand.
pub async fn build(spec: &Spec, names: &Names, intent: &Intent, known: &Inventory) -> anyhow::Result<Graph<Cloud>> {
    let mut stack = Stack {
        spec,
        names,
        intent,
        known,
        graph: Graph::default(),
        vpc: None,
        internet: None,
        subnets: BTreeMap::new(),
        groups: BTreeMap::new(),
        keys: BTreeMap::new(),
        kms: None,
        buckets: BTreeMap::new(),
        folders: BTreeMap::new(),
        policies: BTreeMap::new(),
        roles: BTreeMap::new(),
        profiles: BTreeMap::new(),
        instances: BTreeMap::new(),
        releases: BTreeMap::new(),
        cluster_request: None,
    };
    stack.network();
    stack.access()?;
    stack.reaper_role();
    stack.storage().await?;
    stack.pipelines()?;
    stack.hosts();
    stack.cluster();
    stack.write_down_cluster().await?;
    stack.on_hosts()?;
    Ok(stack.graph)
}

/// A graph in the making, with the links that later parts need.
struct Stack<'a> {
    spec: &'a Spec,
    names: &'a Names,
    intent: &'a Intent,
    known: &'a Inventory,
    graph: Graph<Cloud>,
    vpc: Option<Ref<Vpc>>,
    /// What must stand before anything has a public address.
    internet: Option<Address>,
    subnets: BTreeMap<String, Ref<Subnet>>,
    /// By resource name: a host's, or `emr-master`.
    groups: BTreeMap<String, Ref<SecurityGroup>>,
    keys: BTreeMap<String, Ref<KeyPair>>,
    kms: Option<Ref<KmsKey>>,
    buckets: BTreeMap<String, Ref<Bucket>>,
    /// By bucket and key.
    folders: BTreeMap<(String, String), Ref<BucketFolder>>,
    policies: BTreeMap<String, Ref<IamPolicy>>,
    roles: BTreeMap<String, Ref<IamRole>>,
    profiles: BTreeMap<String, Ref<InstanceProfile>>,
    instances: BTreeMap<String, Ref<Instance>>,
    /// The versions of pipelines that are to be current.
    releases: pipeline_host::Releases,
    /// What a host sends to start the cluster by itself.
    cluster_request: Option<serde_json::Value>,
}

impl Stack<'_> {
    /// The tags of the resource that will be added under `name`.
    fn tags<R: Resource<Cloud>>(&self, name: &str) -> Tags {
        self.names.tags(&Address::new(R::KIND, name))
    }

    fn partition(&self) -> &'static str {
        self.spec.partition()
    }
}

fn origin(span: &Span) -> Origin {
    Origin { file: span.file.to_string(), line: span.line as usize, column: span.column as usize }
}
