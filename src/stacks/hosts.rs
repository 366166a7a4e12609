//! Instances, their groups and who may reach them.

use std::collections::BTreeSet;

use engine::Address;

use super::{Stack, origin};
use crate::{
    resources::{DiskSpec, ElasticIp, ImageChoice, Instance, Peer, Rule, SecurityGroup, SecurityGroupRules},
    spec::{self, Host, Image, PortSource, Protocol},
};

/// The group of the cluster's masters.
pub const MASTER: &str = "emr-master";
/// The group of the cluster's other nodes.
pub const NODES: &str = "emr-nodes";

const SSH: i32 = 22;

impl Stack<'_> {
    pub(super) fn hosts(&mut self) {
        // Groups first, all of them: their rules refer to each other.
        for (name, host) in &self.spec.hosts {
            if host.instance().is_some() {
                self.group(name, format!("Host {name} of stack {}", self.names.stack), &host.span);
            }
        }
        self.cluster_groups();
        for (name, host) in &self.spec.hosts {
            let Some(instance) = host.instance() else { continue };
            let rules = SecurityGroupRules {
                group: self.groups[name].clone(),
                ingress: self.ingress(host, instance),
                egress: BTreeSet::from([everywhere()]),
                shared_with_emr: false,
            };
            self.graph.add_at(origin(&host.span), name, rules);
            self.instance(name, host, &host.span, instance);
        }
    }

    /// Adds a group under `name`.
    pub(super) fn group(&mut self, name: &str, description: String, span: &spec::Span) {
        let Some(vpc) = self.vpc.clone() else { return };
        let group = SecurityGroup { vpc, description, tags: self.tags::<SecurityGroup>(name) };
        let link = self.graph.add_at(origin(span), name, group);
        self.groups.insert(name.to_owned(), link);
    }

    fn ingress(&self, host: &Host, instance: &spec::Instance) -> BTreeSet<Rule> {
        let mut rules: BTreeSet<Rule> =
            instance.ssh_from.iter().map(|range| tcp(SSH, Peer::Range(range.value.to_string()), "SSH")).collect();
        if let Some(group) = host.via.as_ref().and_then(|via| self.groups.get(&via.value)) {
            rules.insert(tcp(SSH, Peer::Group(group.clone()), "SSH through the bastion"));
        }
        for port in &instance.ports {
            let protocol = match port.protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            };
            for peer in port.from.iter().flat_map(|source| self.peers(&source.value)) {
                let ports = (i32::from(port.first), i32::from(port.last));
                rules.insert(Rule { protocol: protocol.into(), ports, peer, description: None });
            }
        }
        rules
    }

    fn peers(&self, source: &PortSource) -> Vec<Peer> {
        let network = self.spec.network.as_ref();
        match source {
            PortSource::Range(range) => vec![Peer::Range(range.to_string())],
            PortSource::Host(host) => self.groups.get(host).cloned().map(Peer::Group).into_iter().collect(),
            PortSource::Subnet(subnet) => {
                let subnet = network.and_then(|network| network.subnets.get(subnet));
                subnet.map(|subnet| Peer::Range(subnet.cidr.to_string())).into_iter().collect()
            }
            PortSource::Network => network.map(|network| Peer::Range(network.cidr.to_string())).into_iter().collect(),
            PortSource::Cluster => {
                [MASTER, NODES].iter().filter_map(|name| self.groups.get(*name).cloned().map(Peer::Group)).collect()
            }
        }
    }

    fn instance(&mut self, name: &str, host: &Host, span: &spec::Span, instance: &spec::Instance) {
        let elastic_ip = instance.elastic_ip.then(|| {
            let address = ElasticIp { tags: self.tags::<ElasticIp>(name) };
            self.graph.add_at(origin(&instance.elastic_ip.span), name, address)
        });
        let role = self.role_of(name, instance);
        let key = host.key.as_ref().and_then(|key| self.keys.get(&key.value).map(|link| (key, link)));
        let profile = role.as_ref().and_then(|(role, _)| self.profiles.get(role));
        let mut after: Vec<Address> = self.internet.iter().cloned().collect();
        after.extend(key.iter().map(|(_, link)| link.address().clone()));
        after.extend(profile.map(|profile| profile.address().clone()));
        after.push(Address::new(<SecurityGroupRules as engine::Resource<_>>::KIND, name));
        let account = &self.names.account;
        let resource = Instance {
            subnet: self.subnets[&instance.subnet.value].clone(),
            groups: vec![self.groups[name].clone()],
            instance_type: instance.instance_type.value.clone(),
            image: image(instance),
            disk: DiskSpec { gib: instance.disk.gib, iops: instance.disk.iops, throughput: instance.disk.throughput },
            key: key.map(|(key, _)| self.spec.keys[&key.value].name.resolve(account)),
            profile: role.map(|(_, in_iam)| in_iam),
            private_address: instance.private_address.as_ref().map(|address| address.value.to_string()),
            elastic_ip,
            user_data: None,
            protect: *instance.protect,
            after,
            tags: self.tags::<Instance>(name),
        };
        let link = self.graph.add_at(origin(span), name, resource);
        self.instances.insert(name.to_owned(), link);
    }
}

fn image(instance: &spec::Instance) -> ImageChoice {
    match &instance.image.value {
        Image::Id(id) => ImageChoice::Id(id.clone()),
        Image::Filter { owner, name } => ImageChoice::Newest { owner: owner.clone(), name: name.clone() },
        Image::Known(known) => ImageChoice::Newest {
            owner: known.owner.to_owned(),
            name: known.filter(instance.architecture()).to_owned(),
        },
    }
}

/// A rule for one TCP port.
pub(super) fn tcp(port: i32, peer: Peer, description: &str) -> Rule {
    Rule { protocol: "tcp".into(), ports: (port, port), peer, description: Some(description.to_owned()) }
}

/// The rule that lets everything out.
pub(super) fn everywhere() -> Rule {
    Rule { protocol: "-1".into(), ports: (-1, -1), peer: Peer::Range("0.0.0.0/0".into()), description: None }
}
