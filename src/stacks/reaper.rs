//! The host whose timer ends an idle cluster, and the role that lets it do that and nothing else.
//!
//! A host with a role of its own gets the leave added to that; one without gets a role of the stack's, whose name is
//! chosen here.

use std::collections::BTreeMap;

use super::{Stack, grants, origin, services::Reaper};
use crate::{
    cloud::{Cloud, Names},
    resources::{EmrCluster, IamRole, InstanceProfile, PolicyDocument},
    spec::{ClusterAccess, Instance, Spec},
};
use engine::Resource;

/// The name of the inline policy.
const POLICY: &str = "infra-reaper";

/// The instance of the host that the spec names as reaper.
fn instance(spec: &Spec) -> Option<&Instance> {
    spec.hosts.get(spec.reaper()?)?.instance()
}

/// The role of that host, where it has one of its own.
pub(super) fn role(spec: &Spec) -> Option<&str> {
    Some(instance(spec)?.role.as_ref()?.value.as_str())
}

/// The name of the role that is made for it, in the graph and in IAM: one that no role of the spec has.
pub(super) fn made_role(spec: &Spec, stack: &str, account: &str) -> Option<(String, String)> {
    instance(spec).filter(|instance| instance.role.is_none())?;
    let roles = &spec.access.roles;
    let is_free = |name: &str, in_iam: &str| {
        let has = |role: &crate::spec::Role| role.name.resolve(account).eq_ignore_ascii_case(in_iam);
        !roles.contains_key(name) && !roles.values().any(|role| has(role))
    };
    let names = std::iter::successors(Some("reaper".to_owned()), |name| Some(format!("{name}-timer")));
    let mut names = names.map(|name| (name.clone(), format!("{stack}-{name}")));
    names.find(|(name, in_iam)| is_free(name, in_iam))
}

/// The role's inline policies, with the leave to end the stack's clusters.
pub(super) fn with_leave(
    spec: &Spec,
    names: &Names,
    role_name: &str,
    mut inline: BTreeMap<String, PolicyDocument>,
) -> BTreeMap<String, PolicyDocument> {
    let runs = |role: &crate::spec::Role| {
        role.grants.clusters.as_ref().is_some_and(|access| access.value == ClusterAccess::Run)
    };
    // Who may run clusters may end them.
    if role(spec) == Some(role_name) && !spec.access.roles.get(role_name).is_some_and(|role| runs(role)) {
        inline.insert(POLICY.into(), PolicyDocument::new(grants::reaper(names)));
    }
    inline
}

impl Stack<'_> {
    /// Adds the role of a reaper that has none.
    pub(super) fn reaper_role(&mut self) {
        let names = self.names;
        let Some((name, in_iam)) = made_role(self.spec, &names.stack, &names.account) else { return };
        let Some(span) = self.spec.cluster.as_ref().and_then(|cluster| cluster.reaper.as_ref()).map(|host| &host.span)
        else {
            return;
        };
        let trust = super::access::trust_of(&["ec2"], self.partition());
        let role = IamRole {
            name: in_iam.clone(),
            description: format!("Ends the clusters of stack {} that idle", names.stack),
            trust,
            managed: std::collections::BTreeSet::new(),
            policies: Vec::new(),
            inline: BTreeMap::from([(POLICY.to_owned(), PolicyDocument::new(grants::reaper(names)))]),
            tags: self.tags::<IamRole>(&name),
        };
        let role = self.graph.add_at(origin(span), name.as_str(), role);
        let profile = InstanceProfile { name: in_iam, role: role.clone(), tags: self.tags::<InstanceProfile>(&name) };
        let profile = self.graph.add_at(origin(span), name.as_str(), profile);
        self.roles.insert(name.clone(), role);
        self.profiles.insert(name, profile);
    }

    /// The role that a host's machine takes: the name in the graph, and in IAM.
    pub(super) fn role_of(&self, host: &str, instance: &Instance) -> Option<(String, String)> {
        let account = &self.names.account;
        match &instance.role {
            Some(role) => Some((role.value.clone(), self.spec.access.roles[&role.value].name.resolve(account))),
            None if self.spec.reaper() == Some(host) => made_role(self.spec, &self.names.stack, account),
            None => None,
        }
    }

    /// What the timer on a host watches; nothing on any other host.
    pub(super) fn watched(&self, host: &str) -> Option<Reaper> {
        let cluster = self.spec.cluster.as_ref().filter(|_| self.spec.reaper() == Some(host))?;
        Some(Reaper {
            region: self.names.region.clone(),
            stack: self.names.stack.clone(),
            address: format!("{}/{}", <EmrCluster as Resource<Cloud>>::KIND, super::CLUSTER),
            idle: cluster.idle_timeout.as_ref().map(|wait| wait.value),
            lifetime: cluster.max_lifetime.as_ref().map(|most| most.value),
            endpoint: self.names.aws_for_hosts.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::{LoadOptions, load_str};

    fn spec(roles: &str, role: &str) -> Spec {
        let text = format!(
            "stack: watched\nregion: us-west-2\n\
             network: {{ cidr: 10.0.0.0/16, subnets: {{ public: {{ cidr: 10.0.0.0/24, route: internet }} }} }}\n\
             keys: {{ admin: {{ generate: true }} }}\n\
             access: {{ roles: {{ nodes: {{ trust: ec2, profile: true }}, service: {{ trust: elasticmapreduce }}{roles} }} }}\n\
             hosts: {{ gate: {{ subnet: public, type: t3.micro, image: debian-12, disk: 8GiB, ssh_from: [192.0.2.1/32]{role} }} }}\n\
             cluster: {{ release: emr-5.29.0, applications: [Spark], subnet: public, roles: {{ service: service, nodes: nodes }}, \
             master: m5.xlarge, idle_timeout: 1h, reaper: gate }}\n"
        );
        load_str("watched.yaml", &text, &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn a_reaper_without_a_role_gets_one_that_no_other_is_named_like() {
        let made = |roles: &str| made_role(&spec(roles, ""), "watched", "1").unwrap();
        assert_eq!(made(""), ("reaper".into(), "watched-reaper".into()));
        assert_eq!(made(", reaper: { trust: ec2 }").0, "reaper-timer");
        assert_eq!(made(", other: { trust: ec2, name: Watched-REAPER }").0, "reaper-timer");
        let own = spec(", mine: { trust: ec2, profile: true }", ", role: mine");
        assert_eq!((made_role(&own, "watched", "1"), role(&own)), (None, Some("mine")));
    }

    #[test]
    fn its_leave_is_for_the_stack_s_clusters_alone() {
        let names = Names { stack: "watched".into(), ..Names::default() };
        let document = grants::reaper(&names);
        for statement in document["Statement"].as_array().unwrap() {
            let lists = statement["Action"] == json!(["elasticmapreduce:ListClusters"]);
            let own = json!({ "StringEquals": { "elasticmapreduce:ResourceTag/infra:stack": "watched" } });
            assert!(lists || statement["Condition"] == own, "{statement}");
        }
        let text = document.to_string();
        assert!(text.contains("TerminateJobFlows") && !text.contains("RunJobFlow") && !text.contains("PassRole"));
    }
}
