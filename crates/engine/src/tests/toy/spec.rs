//! A stack as plain data: small enough for a reader, and proptest can make any.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::btree_map, option, prelude::*, sample::subsequence};

use super::{
    cloud::Toy,
    kinds::{Bucket, Group, Instance, Nat, Rules, Subnet, Table, Vpc},
};
use crate::{Graph, Origin, Ref};

pub type Name = &'static str;

/// What a stack asks for. Links to what does not exist, or stands in another VPC, are left out when the graph is made.
///
/// The latter is not only AWS's rule: were an instance to hold a group of another VPC, and that VPC replaced together
/// with its groups while the instance is merely updated, then the update would need the new group, which needs the
/// new VPC, which needs the old group gone, which the instance still holds. No order of these steps would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// Range, DNS.
    pub vpcs: BTreeMap<Name, (u8, bool)>,
    /// VPC, range, public.
    pub subnets: BTreeMap<Name, (Name, u8, bool)>,
    /// VPC, text.
    pub groups: BTreeMap<Name, (Name, u8)>,
    /// The group of that name; its peers.
    pub rules: BTreeMap<Name, Vec<Name>>,
    /// Subnet.
    pub nats: BTreeMap<Name, Name>,
    /// VPC, NATs, subnets.
    pub tables: BTreeMap<Name, (Name, Vec<Name>, Vec<Name>)>,
    /// Region, versions.
    pub buckets: BTreeMap<Name, (u8, bool)>,
    /// Subnet, groups, image, size.
    pub instances: BTreeMap<Name, (Name, Vec<Name>, u8, u8)>,
    /// Instances that may not be deleted.
    pub protected: BTreeSet<Name>,
}

impl Spec {
    /// Two zones with a NAT, groups that name each other, two hosts and a bucket.
    pub fn sample() -> Self {
        Self {
            vpcs: BTreeMap::from([("main", (0, true))]),
            subnets: BTreeMap::from([("a", ("main", 1, true)), ("b", ("main", 2, false))]),
            groups: BTreeMap::from([("in", ("main", 0)), ("out", ("main", 0))]),
            rules: BTreeMap::from([("in", vec!["in", "out"]), ("out", vec!["in"])]),
            nats: BTreeMap::from([("a", "a")]),
            tables: BTreeMap::from([("b", ("main", vec!["a"], vec!["b"]))]),
            buckets: BTreeMap::from([("data", (0, true))]),
            instances: BTreeMap::from([("one", ("a", vec!["in"], 0, 0)), ("two", ("b", vec!["in", "out"], 0, 0))]),
            protected: BTreeSet::new(),
        }
    }

    pub fn graph(&self) -> Graph<Toy> {
        let mut graph = Graph::default();
        let at = |line| Origin { file: "toy.yaml".into(), line, column: 1 };
        let mut vpcs: BTreeMap<Name, Ref<Vpc>> = BTreeMap::new();
        for (&name, &(range, dns)) in &self.vpcs {
            vpcs.insert(name, graph.add_at(at(1), name, Vpc { range, dns }));
        }
        let mut subnets: BTreeMap<Name, Ref<Subnet>> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for (&name, &(vpc, range, public)) in &self.subnets {
            let Some(vpc) = vpcs.get(vpc).cloned() else { continue };
            if taken.insert((vpc.clone(), range)) {
                subnets.insert(name, graph.add_at(at(2), name, Subnet { vpc, range, public }));
            }
        }
        let mut groups: BTreeMap<Name, Ref<Group>> = BTreeMap::new();
        for (&name, &(vpc, text)) in &self.groups {
            let Some(vpc) = vpcs.get(vpc).cloned() else { continue };
            groups.insert(name, graph.add_at(at(3), name, Group { vpc, text }));
        }
        for (&name, peers) in &self.rules {
            let Some(group) = groups.get(name).cloned() else { continue };
            let peers = some(&groups, peers, |peer| self.groups[peer].0 == self.groups[name].0);
            graph.add_at(at(4), name, Rules { group, peers });
        }
        let mut nats: BTreeMap<Name, Ref<Nat>> = BTreeMap::new();
        for (&name, subnet) in &self.nats {
            let Some(subnet) = subnets.get(subnet).cloned() else { continue };
            nats.insert(name, graph.add_at(at(5), name, Nat { subnet }));
        }
        for (&name, (within, through, of)) in &self.tables {
            let Some(vpc) = vpcs.get(within).cloned() else { continue };
            let here = |subnet| self.subnets[subnet].0 == *within;
            let nats = some(&nats, through, |nat| here(self.nats[nat]));
            let table = Table { vpc, nats, subnets: some(&subnets, of, here) };
            graph.add_at(at(6), name, table);
        }
        for (&name, &(region, versions)) in &self.buckets {
            graph.add_at(at(7), name, Bucket { region, versions });
        }
        for (&name, &(at_subnet, ref member, image, size)) in &self.instances {
            let Some(subnet) = subnets.get(at_subnet).cloned() else { continue };
            let protect = self.protected.contains(name);
            let groups = some(&groups, member, |group| self.groups[group].0 == self.subnets[at_subnet].0);
            let instance = Instance { subnet, groups, image, size, protect };
            graph.add_at(at(8), name, instance);
        }
        graph
    }

    /// Every address that the graph asks for.
    pub fn addresses(&self) -> BTreeSet<String> {
        self.graph().addresses().map(ToString::to_string).collect()
    }
}

fn some<R>(all: &BTreeMap<Name, Ref<R>>, names: &[Name], fits: impl Fn(Name) -> bool) -> Vec<Ref<R>> {
    names.iter().filter_map(|name| all.get(name).filter(|_| fits(name))).cloned().collect()
}

const VPCS: [Name; 2] = ["m", "n"];
const FEW: [Name; 3] = ["a", "b", "c"];

fn vpc() -> impl Strategy<Value = Name> {
    prop_oneof![3 => Just(VPCS[0]), 1 => Just(VPCS[1])]
}

fn few() -> impl Strategy<Value = Name> {
    proptest::sample::select(&FEW[..])
}

fn names() -> impl Strategy<Value = Vec<Name>> {
    subsequence(FEW.to_vec(), 0..=3)
}

fn by_name<T: std::fmt::Debug>(
    name: impl Strategy<Value = Name>,
    what: impl Strategy<Value = T>,
) -> impl Strategy<Value = BTreeMap<Name, T>> {
    btree_map(name, what, 0..=3)
}

/// Any stack of up to 24 resources.
pub fn any_spec() -> impl Strategy<Value = Spec> {
    let vpcs = (option::weighted(0.9, (0..2_u8, any::<bool>())), option::of((0..2_u8, any::<bool>())));
    let network = (
        by_name(few(), (vpc(), 0..4_u8, any::<bool>())),
        by_name(few(), (vpc(), 0..2_u8)),
        by_name(few(), names()),
        by_name(few(), few()),
        by_name(few(), (vpc(), names(), names())),
    );
    let others = (by_name(few(), (0..2_u8, any::<bool>())), by_name(few(), (few(), names(), 0..2_u8, 0..2_u8)));
    (vpcs, network, others).prop_map(|((m, n), (subnets, groups, rules, nats, tables), (buckets, instances))| {
        let vpcs = VPCS.into_iter().zip([m, n]).filter_map(|(name, vpc)| Some((name, vpc?))).collect();
        let protected = BTreeSet::new();
        Spec { vpcs, subnets, groups, rules, nats, tables, buckets, instances, protected }
    })
}

/// Two stacks where the second keeps much of the first, as an edit does.
pub fn any_edit() -> impl Strategy<Value = (Spec, Spec)> {
    (any_spec(), any_spec(), any::<[bool; 8]>()).prop_map(|(first, mut second, keep)| {
        let Spec { vpcs, subnets, groups, rules, nats, tables, buckets, instances, protected: _ } = first.clone();
        if keep[0] {
            second.vpcs = vpcs;
        }
        if keep[1] {
            second.subnets = subnets;
        }
        if keep[2] {
            second.groups = groups;
        }
        if keep[3] {
            second.rules = rules;
        }
        if keep[4] {
            second.nats = nats;
        }
        if keep[5] {
            second.tables = tables;
        }
        if keep[6] {
            second.buckets = buckets;
        }
        if keep[7] {
            second.instances = instances;
        }
        (first, second)
    })
}
