//! How things will be once the cluster is asked for: as they were observed, or as the plan of the same run makes them.

use std::collections::BTreeSet;

use engine::{Action, Address, Inventory, Plan, Resource};
use serde_json::{Value, json};

use crate::{
    cloud::{Cloud, Names, Tags},
    resources::{
        Bucket, IamRole, InstanceProfile, KeyPair, RouteTable, RuleKey, SecurityGroup, SecurityGroupRules, Subnet,
        VpcEndpoint,
    },
    spec::{Cluster, Role, Route, Spec, Trust},
    stacks::{EMR_POLICY_TAG, MASTER_GROUP, NODES_GROUP, SERVICE_GROUP},
};

/// What the cluster will find.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The role that EMR itself takes.
    pub service: Option<RoleStanding>,
    /// The role of the machines.
    pub nodes: Option<RoleStanding>,
    /// The name of the role in the machines' instance profile: nothing where there is no profile, empty where it has none.
    pub profile: Option<String>,
    /// The subnet.
    pub subnet: Option<SubnetStanding>,
    /// The groups of the master, of the other nodes and of EMR's own way in.
    pub groups: [Option<GroupStanding>; 3],
    /// The log bucket's name in S3, where it is there already.
    pub log_bucket: Option<String>,
    /// Whether the log bucket is there or will be; true where none is asked for.
    pub has_log_bucket: bool,
    /// Whether the key pair is there or will be; true where none is asked for.
    pub has_key: bool,
}

/// A role.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleStanding {
    /// Its name in IAM.
    pub name: String,
    /// Who may take it.
    pub trust: Value,
    /// The names of its attached policies.
    pub policies: BTreeSet<String>,
    /// Whether it may do anything at all.
    pub has_grants: bool,
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct SubnetStanding {
    /// Whether the spec says that it is public.
    pub asks_for_internet: bool,
    /// Whether it has a route to an internet gateway.
    pub internet: bool,
    /// Whether it has a route to a NAT gateway.
    pub nat: bool,
    /// Whether it has a route to S3 by an endpoint.
    pub s3: bool,
    /// Whether it has the tag that EMR's v2 policies ask for.
    pub tagged: bool,
}

/// A security group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupStanding {
    /// Its id, or its address while it has none.
    pub id: String,
    /// What may come in; nothing where the plan brings it to what is right.
    pub ingress: Option<Vec<RuleKey>>,
    /// What may go out, likewise.
    pub egress: Option<Vec<RuleKey>>,
    /// Whether it has the tag that EMR's v2 policies ask for.
    pub tagged: bool,
}

/// What was observed, and what the plan brings.
struct View<'a> {
    spec: &'a Spec,
    names: &'a Names,
    known: &'a Inventory,
    coming: BTreeSet<&'a Address>,
}

impl Standing {
    /// How things will be for `cluster`.
    pub(super) fn of(spec: &Spec, cluster: &Cluster, names: &Names, known: &Inventory, plan: &Plan) -> Self {
        let steps = plan.steps.iter().filter(|step| step.action != Action::Delete);
        let view = View { spec, names, known, coming: steps.map(|step| &step.address).collect() };
        let log_bucket = cluster.logs.as_ref().map(|logs| logs.bucket.as_str());
        let bucket = log_bucket.and_then(|name| known.find::<Cloud, Bucket>(name));
        let key = cluster.key.as_ref();
        Self {
            service: view.role(&cluster.service_role),
            nodes: view.role(&cluster.node_role),
            profile: view.profile(&cluster.node_role),
            subnet: view.subnet(&cluster.subnet),
            groups: [MASTER_GROUP, NODES_GROUP, SERVICE_GROUP].map(|name| view.group(name)),
            log_bucket: bucket.map(|bucket| bucket.name.clone()),
            has_log_bucket: log_bucket.is_none_or(|name| bucket.is_some() || view.comes::<Bucket>(name)),
            has_key: key.is_none_or(|key| view.has::<KeyPair>(key)),
        }
    }
}

impl View<'_> {
    fn comes<R: Resource<Cloud>>(&self, name: &str) -> bool {
        self.coming.contains(&Address::new(R::KIND, name))
    }

    fn has<R: Resource<Cloud>>(&self, name: &str) -> bool {
        self.comes::<R>(name) || self.known.contains(&Address::new(R::KIND, name))
    }

    fn role(&self, name: &str) -> Option<RoleStanding> {
        let wish = self.spec.access.roles.get(name)?;
        if self.comes::<IamRole>(name) {
            return Some(self.wished(wish));
        }
        let there = self.known.find::<Cloud, IamRole>(name)?;
        let attached = there.grants.attached.iter().filter_map(|arn| arn.rsplit('/').next());
        Some(RoleStanding {
            name: there.name.clone(),
            trust: there.trust.as_json().clone(),
            policies: attached.map(str::to_owned).collect(),
            has_grants: !there.grants.attached.is_empty() || !there.grants.inline.is_empty(),
        })
    }

    /// The role as the plan makes it.
    fn wished(&self, role: &Role) -> RoleStanding {
        let grants = &role.grants;
        let trust = match &role.trust {
            Trust::Document(document) => document.resolve(&self.names.account),
            Trust::Services(services) => {
                let services: Vec<String> =
                    services.iter().map(|service| format!("{}.amazonaws.com", service.value)).collect();
                json!({ "Statement": [{ "Effect": "Allow", "Principal": { "Service": services }, "Action": "sts:AssumeRole" }] })
            }
        };
        RoleStanding {
            name: role.name.resolve(&self.names.account),
            trust,
            policies: grants.managed.iter().map(|policy| policy.name()).collect(),
            has_grants: !grants.managed.is_empty()
                || !grants.policies.is_empty()
                || !grants.inline.is_empty()
                || !grants.buckets.is_empty()
                || grants.clusters.is_some(),
        }
    }

    fn profile(&self, role: &str) -> Option<String> {
        if self.comes::<InstanceProfile>(role) {
            return Some(self.spec.access.roles.get(role)?.name.resolve(&self.names.account));
        }
        let there = self.known.find::<Cloud, InstanceProfile>(role)?;
        Some(there.role.clone().unwrap_or_default())
    }

    fn subnet(&self, name: &str) -> Option<SubnetStanding> {
        let route = *self.spec.network.as_ref()?.subnets.get(name)?.route;
        let table = match route {
            Route::Internet => "internet",
            Route::Nat => "nat",
            Route::None => "none",
        };
        let asks_for_internet = route == Route::Internet;
        let wish = SubnetStanding {
            asks_for_internet,
            internet: asks_for_internet,
            nat: route == Route::Nat,
            s3: self.has::<VpcEndpoint>("s3"),
            tagged: true,
        };
        if self.comes::<Subnet>(name) {
            return Some(wish);
        }
        let there = self.known.find::<Cloud, Subnet>(name)?;
        let tagged = is_tagged(&there.tags);
        if self.comes::<RouteTable>(table) {
            return Some(SubnetStanding { tagged, ..wish });
        }
        let mut tables = self.known.all::<Cloud, RouteTable>().map(|(_, table)| table);
        let Some(table) = tables.find(|table| table.subnets.contains_key(&there.id)) else {
            return Some(SubnetStanding { asks_for_internet, tagged, ..SubnetStanding::default() });
        };
        let leads = |prefix: &str| {
            table.routes.values().any(|target| target.starts_with(prefix) && !target.contains("blackhole"))
        };
        let mut endpoints = self.known.all::<Cloud, VpcEndpoint>().map(|(_, endpoint)| endpoint);
        let s3 = endpoints.any(|endpoint| endpoint.service == "s3" && endpoint.route_tables.contains(&table.id));
        let s3 = s3 || self.comes::<VpcEndpoint>("s3");
        Some(SubnetStanding { asks_for_internet, internet: leads("igw-"), nat: leads("nat-"), s3, tagged })
    }

    fn group(&self, name: &str) -> Option<GroupStanding> {
        let address = Address::new(<SecurityGroup as Resource<Cloud>>::KIND, name);
        let (id, tagged) = match self.known.find::<Cloud, SecurityGroup>(name) {
            Some(there) => (there.id.clone(), is_tagged(&there.tags) || self.coming.contains(&address)),
            None if self.coming.contains(&address) => (address.to_string(), true),
            None => return None,
        };
        if self.comes::<SecurityGroupRules>(name) {
            return Some(GroupStanding { id, tagged, ..GroupStanding::default() });
        }
        let rules = self.known.find::<Cloud, SecurityGroupRules>(name);
        let ingress = rules.map(|rules| rules.ingress.keys().cloned().collect()).unwrap_or_default();
        let egress = rules.map(|rules| rules.egress.keys().cloned().collect()).unwrap_or_default();
        Some(GroupStanding { id, ingress: Some(ingress), egress: Some(egress), tagged })
    }
}

fn is_tagged(tags: &Tags) -> bool {
    tags.get(EMR_POLICY_TAG).is_some_and(|value| value == "true")
}
