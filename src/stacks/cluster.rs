//! The cluster's groups and security configuration; and the cluster itself, where it is to run.

use std::collections::BTreeSet;

use engine::{Address, Ref};
use serde_json::{Value, json};

use super::{
    Stack,
    hosts::{MASTER, NODES, everywhere, tcp},
    nodes::{self, Sizes},
    origin, storage,
};
use crate::{
    cloud::Cloud,
    resources::{
        BootstrapAction, ClusterConfiguration, EmrCluster, EmrSecurityConfiguration, Peer, Rule, SecurityGroupRules,
        written_request,
    },
    spec::{self, Encryption, Release, Route, Script, Start},
};

/// The cluster's name in the graph.
pub const CLUSTER: &str = "main";
/// What is to become of the cluster, beyond what the spec says.
#[derive(Clone, Debug, Default)]
pub enum ClusterWish {
    /// As the spec says: with `start: with-apply` there is one; otherwise it stays as it is, there or not.
    #[default]
    AsSpecified,
    /// There is one.
    Up,
    /// There is none.
    Down,
    /// The one that lives has groups of these sizes, and stays as it is for the rest.
    Sizes(Sizes),
}

/// The name of its security configuration in the graph.
pub(super) const SECURITY: &str = "cluster";
/// The group through which EMR itself reaches a private subnet.
pub const SERVICE: &str = "emr-service";
/// From this release on the master answers EMR on port 9443.
/// Source: "Working with Amazon EMR-managed security groups" in the Amazon EMR management guide.
const ANSWERS_FROM: Release = Release { major: 5, minor: 30, patch: 0 };
/// Where YARN's resource manager tells of its applications.
const YARN: i32 = 8088;
/// Where AWS keeps its patches against CVE-2021-44228.
/// Source: "Approach to mitigate CVE-2021-44228" in the Amazon EMR release guide.
const LOG4J_PATCHES: &str = "s3://elasticmapreduce/bootstrap-actions/log4j";

/// AWS's patch of log4j for a release.
pub(super) fn log4j_patch(release: Release) -> String {
    format!("{LOG4J_PATCHES}/patch-log4j-{release}-v1.sh")
}

impl Stack<'_> {
    /// The cluster's own managed groups: EMR would otherwise make some that nobody deletes.
    pub(super) fn cluster_groups(&mut self) {
        let Some(cluster) = &self.spec.cluster else { return };
        let stack = &self.names.stack;
        self.group(MASTER, format!("Master of the cluster of stack {stack}"), &cluster.span);
        self.group(NODES, format!("Nodes of the cluster of stack {stack}"), &cluster.span);
        if self.cluster_is_private() {
            self.group(SERVICE, format!("Way of EMR into the cluster of stack {stack}"), &cluster.span);
        }
        for (name, rules) in self.cluster_rules() {
            self.graph.add_at(origin(&cluster.span), name, rules);
        }
    }

    fn cluster_is_private(&self) -> bool {
        let (Some(cluster), Some(network)) = (&self.spec.cluster, &self.spec.network) else { return false };
        network.subnets.get(&cluster.subnet.value).is_some_and(|subnet| *subnet.route != Route::Internet)
    }

    /// The rules that EMR would add by itself, and SSH to the master from the stack's hosts.
    /// Source: "Working with Amazon EMR-managed security groups" in the Amazon EMR management guide.
    fn cluster_rules(&self) -> Vec<(&'static str, SecurityGroupRules)> {
        let peer = |name: &str| self.groups.get(name).cloned().map(Peer::Group);
        let (Some(master), Some(nodes)) = (peer(MASTER), peer(NODES)) else { return Vec::new() };
        let service = peer(SERVICE);
        let mut among: BTreeSet<Rule> = BTreeSet::new();
        for other in [&master, &nodes] {
            for (protocol, ports) in [("tcp", (0, 65535)), ("udp", (0, 65535)), ("icmp", (-1, -1))] {
                let (protocol, peer) = (protocol.to_owned(), other.clone());
                among.insert(Rule { protocol, ports, peer, description: None });
            }
        }
        among.extend(service.clone().map(|service| tcp(8443, service, "Control by EMR")));
        let mut to_master = among.clone();
        for (name, host) in &self.spec.hosts {
            if let Some(group) = self.groups.get(name).filter(|_| host.instance().is_some()) {
                to_master.insert(tcp(22, Peer::Group(group.clone()), "SSH and tunnels"));
                if self.spec.reaper() == Some(name) {
                    to_master.insert(tcp(YARN, Peer::Group(group.clone()), "Whether YARN has work"));
                }
            }
        }
        let rules = |name: &str, ingress, egress| SecurityGroupRules {
            group: self.groups[name].clone(),
            ingress,
            egress,
            shared_with_emr: true,
        };
        let out = || BTreeSet::from([everywhere()]);
        let mut all = vec![(MASTER, rules(MASTER, to_master, out())), (NODES, rules(NODES, among, out()))];
        if service.is_some() {
            let egress = [&master, &nodes].map(|peer| tcp(8443, peer.clone(), "Control by EMR"));
            let answers = self.spec.cluster.as_ref().is_some_and(|cluster| *cluster.release >= ANSWERS_FROM);
            let ingress = answers.then(|| tcp(9443, master, "Answers of the master")).into_iter().collect();
            all.push((SERVICE, rules(SERVICE, ingress, BTreeSet::from(egress))));
        }
        all
    }

    /// Adds the cluster's security configuration; and the cluster, where it is wished for, or `apply` starts it, or it
    /// lives already: an on-demand cluster that was left out would be an orphan, one that was put in would be started.
    pub(super) fn cluster(&mut self) {
        let Some(cluster) = &self.spec.cluster else { return };
        let security = cluster.security.needs_configuration().then(|| {
            let resource = EmrSecurityConfiguration {
                name: EmrSecurityConfiguration::full_name(self.names, SECURITY),
                configuration: self.security(&cluster.security),
                after: self.kms.iter().map(|key| key.address().clone()).collect(),
            };
            self.graph.add_at(origin(&cluster.security.span), SECURITY, resource)
        });
        let living = self.known.find::<Cloud, EmrCluster>(CLUSTER).filter(|found| found.is_live());
        let mut resource = self.emr_cluster(cluster, security);
        match (&self.intent.cluster, living) {
            (ClusterWish::Up, _) | (ClusterWish::AsSpecified, Some(_)) => {}
            (ClusterWish::AsSpecified, None) if *cluster.start == Start::WithApply => {}
            (ClusterWish::AsSpecified | ClusterWish::Sizes(_), None) | (ClusterWish::Down, _) => return,
            (ClusterWish::Sizes(sizes), Some(living)) => {
                resource.nodes = nodes::resized(&living.nodes, sizes, &resource.nodes);
                resource.sizes_only = true;
            }
        }
        self.graph.add_at(origin(&cluster.span), CLUSTER, resource);
    }

    /// Writes down what starts the cluster, where a pipeline's host does so by itself.
    pub(super) async fn write_down_cluster(&mut self) -> anyhow::Result<()> {
        let on_hosts = self.intent.hosts && self.spec.pipelines.values().any(|pipeline| pipeline.on.is_some());
        let Some(cluster) = self.spec.cluster.as_ref().filter(|_| on_hosts) else { return Ok(()) };
        let security = cluster.security.needs_configuration();
        let security = security.then(|| EmrSecurityConfiguration::full_name(self.names, SECURITY));
        let resource = self.emr_cluster(cluster, None);
        self.cluster_request = Some(Box::pin(written_request(&resource, security)).await?);
        Ok(())
    }

    fn emr_cluster(&self, cluster: &spec::Cluster, security: Option<Ref<EmrSecurityConfiguration>>) -> EmrCluster {
        let account = &self.names.account;
        let role = |name: &str| self.spec.access.roles[name].name.resolve(account);
        let key = cluster.key.as_ref();
        let log_bucket = cluster.logs.as_ref().map(|logs| (&self.spec.buckets[&logs.bucket.value], &logs.folder));
        let mut after: Vec<Address> = Vec::new();
        after.extend(self.roles.get(&cluster.service_role.value).map(|link| link.address().clone()));
        after.extend(self.profiles.get(&cluster.node_role.value).map(|link| link.address().clone()));
        after.extend(key.and_then(|key| self.keys.get(&key.value)).map(|link| link.address().clone()));
        after.extend(self.buckets.values().map(|link| link.address().clone()));
        let of_kind = |address: &&Address| {
            ["route_table", "vpc_endpoint", "security_group_rules", "bucket_object"].contains(&address.kind)
        };
        after.extend(self.graph.addresses().filter(of_kind).cloned());
        EmrCluster {
            name: cluster.name.resolve(account),
            release: cluster.release.to_string(),
            applications: cluster.applications.iter().map(|name| name.value.clone()).collect(),
            subnet: self.subnets[&cluster.subnet.value].clone(),
            master_group: self.groups[MASTER].clone(),
            slave_group: self.groups[NODES].clone(),
            service_group: self.groups.get(SERVICE).cloned(),
            service_role: role(&cluster.service_role.value),
            node_profile: role(&cluster.node_role.value),
            key: key.map(|key| self.spec.keys[&key.value].name.resolve(account)),
            nodes: nodes::of(&cluster.nodes),
            configurations: cluster.configurations.iter().map(|settings| self.settings(settings)).collect(),
            bootstrap: self.bootstrap(cluster),
            step_concurrency: *cluster.step_concurrency,
            log_uri: log_bucket.map(|(bucket, folder)| format!("s3://{}/{folder}", bucket.name.resolve(account))),
            security,
            managed_scaling: cluster.managed_scaling.as_ref().map(|limits| nodes::scaling(limits)),
            auto_termination: cluster.auto_termination.as_ref().map(|wait| wait.as_secs()),
            termination_protection: *cluster.termination_protection,
            root_disk_gib: cluster.root_disk_gib.as_ref().map(|gib| gib.value),
            visible: *cluster.visible,
            start_deadline: *cluster.start_deadline,
            sizes_only: false,
            after,
            tags: self.tags::<EmrCluster>(CLUSTER),
        }
    }

    fn settings(&self, settings: &spec::Configuration) -> ClusterConfiguration {
        let account = &self.names.account;
        ClusterConfiguration {
            classification: settings.classification.clone(),
            properties: settings.properties.iter().map(|(key, text)| (key.clone(), text.resolve(account))).collect(),
            configurations: settings.configurations.iter().map(|nested| self.settings(nested)).collect(),
        }
    }

    fn bootstrap(&self, cluster: &spec::Cluster) -> Vec<BootstrapAction> {
        let account = &self.names.account;
        let patch = cluster.log4j_patch.then(|| BootstrapAction {
            name: "Patch log4j".into(),
            path: storage::patch(self.spec, self.names).unwrap_or_else(|| log4j_patch(*cluster.release)),
            arguments: Vec::new(),
        });
        let said = cluster.bootstrap.iter().map(|action| BootstrapAction {
            name: action.name.clone(),
            path: match &action.script {
                Script::S3(uri) => uri.resolve(account),
                Script::File(file) => storage::uploaded(self.spec, self.names, file),
            },
            arguments: action.arguments.iter().map(|argument| argument.resolve(account)).collect(),
        });
        patch.into_iter().chain(said).collect()
    }

    fn security(&self, security: &spec::ClusterSecurity) -> Value {
        let spec::ClusterSecurity { s3, disks, in_transit, imds_v2_only } = security;
        let account = &self.names.account;
        // The key's ARN is not known before it is made; its alias's is.
        let key = format!(
            "arn:{}:kms:{}:{account}:alias/infra/{}/main",
            self.partition(),
            self.names.region,
            self.names.stack
        );
        let mut all = json!({});
        let mut at_rest = json!({});
        match s3 {
            Some(Encryption::S3) => at_rest["S3EncryptionConfiguration"] = json!({ "EncryptionMode": "SSE-S3" }),
            Some(Encryption::Kms) => {
                at_rest["S3EncryptionConfiguration"] = json!({ "EncryptionMode": "SSE-KMS", "AwsKmsKey": key });
            }
            None => {}
        }
        if *disks {
            at_rest["LocalDiskEncryptionConfiguration"] =
                json!({ "EncryptionKeyProviderType": "AwsKms", "AwsKmsKey": key, "EnableEbsEncryption": true });
        }
        let rests = at_rest != json!({});
        if rests || in_transit.is_some() {
            let encryption = &mut all["EncryptionConfiguration"];
            *encryption = json!({ "EnableAtRestEncryption": rests, "EnableInTransitEncryption": in_transit.is_some() });
            if rests {
                encryption["AtRestEncryptionConfiguration"] = at_rest;
            }
            if let Some(certificates) = in_transit {
                let object = certificates.object.resolve(account);
                encryption["InTransitEncryptionConfiguration"] = json!({
                    "TLSCertificateConfiguration": { "CertificateProviderType": "PEM", "S3Object": object },
                });
            }
        }
        if *imds_v2_only {
            all["InstanceMetadataServiceConfiguration"] =
                json!({ "MinimumInstanceMetadataServiceVersion": 2, "HttpPutResponseHopLimit": 1 });
        }
        all
    }
}
