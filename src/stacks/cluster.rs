//! The cluster's groups and security configuration; and the cluster itself, where it is to run.

use std::collections::BTreeSet;

use super::{
    Stack,
    hosts::{MASTER, NODES, everywhere, tcp},
    origin,
};
use crate::{
    resources::{Peer, Rule, SecurityGroupRules},
    spec::{Route, Start},
};

/// The group through which EMR itself reaches a private subnet.
const SERVICE: &str = "emr-service";

impl Stack<'_> {
    /// The cluster's own managed groups: EMR would otherwise make some that nobody deletes.
    pub(super) fn cluster_groups(&mut self) {
        let Some(cluster) = &self.spec.cluster else { return };
        let stack = &self.names.stack;
        self.group(MASTER, format!("Master of the cluster of stack {stack}"), &cluster.span);
        self.group(NODES, format!("Nodes of the cluster of stack {stack}"), &cluster.span);
        if self.cluster_is_private() {
            self.group(SERVICE, format!("EMR's way into the cluster of stack {stack}"), &cluster.span);
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
        among.extend(service.clone().map(|service| tcp(8443, service, "EMR's control")));
        let mut to_master = among.clone();
        for (name, host) in &self.spec.hosts {
            if let Some(group) = self.groups.get(name).filter(|_| host.instance().is_some()) {
                to_master.insert(tcp(22, Peer::Group(group.clone()), "SSH and tunnels"));
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
            let egress = [&master, &nodes].map(|peer| tcp(8443, peer.clone(), "EMR's control"));
            let ingress = BTreeSet::from([tcp(9443, master, "The master's answers")]);
            all.push((SERVICE, rules(SERVICE, ingress, BTreeSet::from(egress))));
        }
        all
    }

    pub(super) fn cluster(&mut self) -> anyhow::Result<()> {
        let Some(cluster) = &self.spec.cluster else { return Ok(()) };
        let _ = (cluster.start.value == Start::WithApply, self.known);
        Ok(())
    }
}
