//! What would keep the cluster from starting, judged from what will be there and from what AWS answered. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Answers, Finding, GroupStanding, Report, RoleStanding, Standing};
use crate::{
    resources::RuleKey,
    spec::{Cluster, Nodes, Release, Route, Span, Spanned, Spec, nearest},
};

/// EMR's policies of the second version, which do nothing where a tag is missing.
const V2_POLICY: &str = "AmazonEMRServicePolicy_v2";
/// From this release on the master answers EMR on port 9443.
/// Source: "Working with Amazon EMR-managed security groups" in the Amazon EMR management guide.
const ANSWERS_FROM: Release = Release { major: 5, minor: 30, patch: 0 };
/// Everybody.
const WORLD: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// Judges; what AWS did not answer is not judged.
pub fn judge(spec: &Spec, cluster: &Spanned<Cluster>, standing: &Standing, answers: &Answers) -> Report {
    let mut judge = Judge { spec, cluster, report: Report { notes: answers.notes.clone(), ..Report::default() } };
    judge.release(answers);
    judge.types(answers);
    judge.roles(standing);
    judge.subnet(standing);
    judge.groups(standing);
    judge.public_access(standing, answers);
    judge.logs(standing, answers);
    judge.key(standing);
    judge.processors(answers);
    judge.report
}

struct Judge<'a> {
    spec: &'a Spec,
    cluster: &'a Spanned<Cluster>,
    report: Report,
}

impl Judge<'_> {
    fn find(&mut self, what: impl Into<String>, span: &Span, message: impl Into<String>, hint: impl Into<String>) {
        let finding = Finding { what: what.into(), span: span.clone(), message: message.into(), hint: hint.into() };
        self.report.findings.push(finding);
    }

    fn release(&mut self, answers: &Answers) {
        let release = &self.cluster.release;
        if answers.has_release != Some(false) {
            return;
        }
        let region = &self.spec.region.value;
        let hint = match next_choice(release.value) {
            Some(next) => format!("`release: {next}` is the next choice; nothing is switched by itself"),
            None => format!("`aws emr list-release-labels --region {region}` lists those that there are"),
        };
        let message = format!("EMR in {region} does not know release {}, or takes it no more", release.value);
        self.find("cluster.release", &release.span.clone(), message, hint);
    }

    fn types(&mut self, answers: &Answers) {
        let Some(known) = &answers.types else { return };
        for (role, instance_type, span) in instance_types(&self.cluster.nodes) {
            if known.contains_key(&instance_type) {
                continue;
            }
            let release = self.cluster.release.value;
            let family = instance_type.split('.').next().unwrap_or_default();
            let same: Vec<&str> =
                known.keys().map(String::as_str).filter(|name| name.split('.').next() == Some(family)).collect();
            let near = nearest(&instance_type, same).or_else(|| {
                ["m5.xlarge", "m4.xlarge", "m6g.xlarge"].into_iter().find(|name| known.contains_key(*name))
            });
            let hint = match near {
                Some(near) => format!("`{near}` works with it"),
                None => format!("`aws emr list-supported-instance-types --release-label {release}` lists what does"),
            };
            let message = format!("{release} does not run on {instance_type}");
            self.find(format!("cluster.{role}"), &span, message, hint);
        }
    }

    fn roles(&mut self, standing: &Standing) {
        let (service, nodes) = (self.cluster.service_role.clone(), self.cluster.node_role.clone());
        self.role(&service, standing.service.as_ref(), "elasticmapreduce.amazonaws.com", "EMR");
        self.role(&nodes, standing.nodes.as_ref(), "ec2.amazonaws.com", "the cluster's machines");
        if let Some(role) = &standing.service
            && !role.has_grants
        {
            let message = format!("role {} may do nothing, so that EMR could make no machines", role.name);
            let hint = "give it `managed: service-role/AmazonElasticMapReduceRole`, or a policy of your own";
            self.find(format!("iam_role/{}", service.value), &service.span, message, hint);
        }
        let address = format!("instance_profile/{}", nodes.value);
        match (&standing.nodes, &standing.profile) {
            (Some(role), None) => {
                let message = format!("the cluster's machines have no instance profile {}", role.name);
                self.find(address, &nodes.span, message, apply(&["instance_profile", &nodes.value]));
            }
            (Some(role), Some(inside)) if *inside != role.name => {
                let what = if inside.is_empty() { "no role".to_owned() } else { format!("role {inside}") };
                let message = format!("instance profile {} hands out {what}, not {}", role.name, role.name);
                self.find(address, &nodes.span, message, apply(&["instance_profile", &nodes.value]));
            }
            // That there is no role is told already.
            _ => {}
        }
        self.tags(standing);
    }

    fn role(&mut self, name: &Spanned<String>, role: Option<&RoleStanding>, service: &str, who: &str) {
        let address = format!("iam_role/{}", name.value);
        let Some(role) = role else {
            let message = format!("role `{}`, which {who} would take, does not exist", name.value);
            let hint = apply(&["iam_role", &name.value]);
            return self.find(address, &name.span, message, hint);
        };
        if trusts(&role.trust, service) {
            return;
        }
        let short = service.split('.').next().unwrap_or_default();
        let wish = self.spec.access.roles.get(&name.value);
        let is_wished = wish.is_some_and(|wish| match &wish.trust {
            crate::spec::Trust::Services(services) => services.iter().any(|service| service.value == short),
            crate::spec::Trust::Document(_) => false,
        });
        let message = format!("role {} does not trust {service}, so that {who} cannot take it", role.name);
        let hint = if is_wished {
            apply(&["iam_role", &name.value])
        } else {
            format!("`trust: {short}` in the role's entry, or a statement for {service} in its own trust document")
        };
        self.find(address, &name.span, message, hint);
    }

    /// What the v2 policies ask for: their tag on all that EMR is to use.
    fn tags(&mut self, standing: &Standing) {
        let uses_v2 = standing.service.as_ref().is_some_and(|role| role.policies.contains(V2_POLICY));
        if !uses_v2 {
            return;
        }
        let subnet = standing.subnet.as_ref().filter(|subnet| !subnet.tagged);
        let subnet = subnet.map(|_| format!("subnet/{}", self.cluster.subnet.value));
        let group = |(name, group): (&str, &Option<GroupStanding>)| {
            group.as_ref().filter(|group| !group.tagged).map(|_| format!("security_group/{name}"))
        };
        let names = ["emr-master", "emr-nodes", "emr-service"];
        let groups = names.into_iter().zip(&standing.groups).filter_map(group);
        let untagged: Vec<String> = subnet.into_iter().chain(groups).collect();
        if untagged.is_empty() {
            return;
        }
        let message = format!(
            "{V2_POLICY} lets EMR touch only what is tagged for-use-with-amazon-emr-managed-policies=true, and {} not",
            match &*untagged {
                [one] => format!("{one} is"),
                all => format!("{} are", all.join(", ")),
            }
        );
        let (span, hint) = (self.cluster.service_role.span.clone(), apply(&[]));
        self.find(format!("iam_role/{}", self.cluster.service_role.value), &span, message, hint);
    }

    fn subnet(&mut self, standing: &Standing) {
        let (name, span) = (self.cluster.subnet.value.clone(), self.cluster.subnet.span.clone());
        let address = format!("subnet/{name}");
        let Some(subnet) = &standing.subnet else {
            let hint = apply(&["subnet", &name]);
            return self.find(address, &span, format!("subnet `{name}` does not exist"), hint);
        };
        if subnet.asks_for_internet && !subnet.internet {
            let message =
                format!("subnet `{name}` has no route to an internet gateway, and EMR reaches it by no other");
            self.find(address, &span, message, apply(&["route_table"]));
        } else if !subnet.asks_for_internet && !subnet.s3 && !subnet.nat {
            let message = format!("subnet `{name}` has no way to S3: neither an endpoint nor a NAT gateway");
            let network = self.spec.network.as_ref();
            let is_wished = network.is_some_and(|network| {
                let subnet = network.subnets.get(&name);
                !network.endpoints.is_empty() || subnet.is_some_and(|subnet| *subnet.route == Route::Nat)
            });
            let hint = if is_wished {
                apply(&[])
            } else {
                "add `endpoints: [s3]` to the network, or `route: nat` to the subnet".into()
            };
            self.find(address, &span, message, hint);
        }
    }

    fn groups(&mut self, standing: &Standing) {
        let is_private = standing.subnet.as_ref().is_some_and(|subnet| !subnet.asks_for_internet);
        let span = self.cluster.span.clone();
        let wanted = [("emr-master", true), ("emr-nodes", true), ("emr-service", is_private)];
        for ((name, is_wanted), group) in wanted.into_iter().zip(&standing.groups) {
            if is_wanted && group.is_none() {
                let message = match name {
                    "emr-service" => {
                        "a cluster in a private subnet needs a service access group, and there is none".into()
                    }
                    name => format!("security group {name} of the cluster does not exist"),
                };
                self.find(format!("security_group/{name}"), &span, message, apply(&["security_group", name]));
            }
        }
        let [Some(master), Some(nodes), Some(service)] = &standing.groups else { return };
        if !is_private {
            return;
        }
        let address = "security_group_rules/emr-service";
        let hint = apply(&["security_group_rules", "emr-service"]);
        if let Some(rules) = &service.ingress
            && self.cluster.release.value >= ANSWERS_FROM
            && !rules.iter().any(|rule| lets(rule, 9443, &master.id))
        {
            let message =
                "the service access group does not let the master in on port 9443, as from emr-5.30.0 on it must";
            self.find(address, &span, message, hint.clone());
        }
        if let Some(rules) = &service.egress {
            let reaches = |group: &GroupStanding| rules.iter().any(|rule| lets(rule, 8443, &group.id));
            if !reaches(master) || !reaches(nodes) {
                let message = "the service access group does not let EMR out to the nodes on port 8443";
                self.find(address, &span, message, hint);
            }
        }
    }

    /// Rules that let everybody in, where the account forbids that. Private subnets are exempt.
    /// Source: "Using Amazon EMR block public access" in the Amazon EMR management guide.
    fn public_access(&mut self, standing: &Standing, answers: &Answers) {
        let Some(permitted) = &answers.open_ports else { return };
        for (name, group) in ["emr-master", "emr-nodes"].into_iter().zip(&standing.groups) {
            let Some(rules) = group.as_ref().and_then(|group| group.ingress.as_ref()) else { continue };
            let open = rules.iter().filter(|rule| WORLD.contains(&rule.peer.as_str()));
            let refused: Vec<String> = open.filter(|rule| !is_permitted(rule, permitted)).map(ports).collect();
            if refused.is_empty() {
                continue;
            }
            let message = format!(
                "security group {name} lets everybody in on {}, which the account's EMR block of public access forbids",
                refused.join(", ")
            );
            let (span, hint) = (self.cluster.subnet.span.clone(), apply(&["security_group_rules", name]));
            self.find(format!("security_group_rules/{name}"), &span, message, hint);
        }
    }

    fn logs(&mut self, standing: &Standing, answers: &Answers) {
        let Some(logs) = self.cluster.logs.clone() else { return };
        let address = format!("bucket/{}", logs.bucket.value);
        if !standing.has_log_bucket {
            let message = format!("the log bucket `{}` does not exist", logs.bucket.value);
            let hint = apply(&["bucket", &logs.bucket.value]);
            return self.find(address, &logs.bucket.span, message, hint);
        }
        let region = &self.spec.region.value;
        if let Some(other) = answers.log_region.as_ref().filter(|other| *other != region) {
            let message = format!(
                "the log bucket `{}` is in {other}, and a cluster in {region} cannot log there",
                logs.bucket.value
            );
            self.find(address, &logs.bucket.span, message, "give it another `name`, then `infra apply` makes one here");
        }
    }

    fn key(&mut self, standing: &Standing) {
        let Some(key) = self.cluster.key.clone().filter(|_| !standing.has_key) else { return };
        let message = format!("the key pair `{}`, which opens the master, does not exist", key.value);
        let hint = apply(&["key_pair", &key.value]);
        self.find(format!("key_pair/{}", key.value), &key.span, message, hint);
    }

    /// How many virtual processors the account's quotas must allow.
    fn processors(&mut self, answers: &Answers) {
        let Some(known) = &answers.types else { return };
        let mut needs: BTreeMap<bool, u32> = BTreeMap::new();
        let Nodes::Groups { master, core, task } = &self.cluster.nodes else { return };
        for group in [Some(master), core.as_ref(), task.as_ref()].into_iter().flatten() {
            let is_spot = matches!(group.market.value, crate::spec::Market::Spot { .. });
            let each = known.get(&group.instance_type.value).copied().unwrap_or_default();
            *needs.entry(is_spot).or_default() += each * *group.count;
        }
        let told = needs.into_iter().filter(|(_, count)| *count > 0);
        let told: Vec<String> =
            told.map(|(is_spot, count)| format!("{count} {}", if is_spot { "of spot" } else { "on demand" })).collect();
        if !told.is_empty() {
            self.report.notes.push(format!(
                "the cluster takes virtual processors, {}; whether the account's quota allows them, only Service Quotas tells",
                told.join(" and ")
            ));
        }
    }
}

/// `infra apply` with what it should make.
fn apply(only: &[&str]) -> String {
    match only {
        [] => "`infra apply` brings it to what the spec says".into(),
        address => format!("`infra apply --only {}` makes it as the spec says", address.join("/")),
    }
}

/// The release to take where one is refused: the last of its line.
fn next_choice(release: Release) -> Option<Release> {
    let next = match release.major {
        4 | 5 => Release { major: 5, minor: 36, patch: 2 },
        6 => Release { major: 6, minor: 15, patch: 0 },
        _ => return None,
    };
    (next != release).then_some(next)
}

/// The instance types that a cluster asks for: role, type, place.
fn instance_types(nodes: &Nodes) -> Vec<(&'static str, String, Span)> {
    const ROLES: [&str; 3] = ["master", "core", "task"];
    match nodes {
        Nodes::Groups { master, core, task } => {
            let groups = ROLES.into_iter().zip([Some(master), core.as_ref(), task.as_ref()]);
            let told = groups.filter_map(|(role, group)| Some((role, &group?.value.instance_type)));
            told.map(|(role, kind)| (role, kind.value.clone(), kind.span.clone())).collect()
        }
        Nodes::Fleets { master, core, task } => {
            let fleets = ROLES.into_iter().zip([Some(master), core.as_ref(), task.as_ref()]);
            let types = fleets.flat_map(|(role, fleet)| {
                fleet.into_iter().flat_map(move |fleet| {
                    fleet.types.iter().map(move |kind| (role, kind.value.instance_type.clone(), kind.span.clone()))
                })
            });
            types.collect()
        }
    }
}

/// Whether a trust lets a service take the role.
fn trusts(trust: &Value, service: &str) -> bool {
    let many = |value: &Value| match value {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    many(&trust["Statement"]).iter().filter(|statement| statement["Effect"] == "Allow").any(|statement| {
        let principal = &statement["Principal"];
        let takes = many(&statement["Action"]).iter().any(|action| {
            action.as_str().is_some_and(|action| ["sts:assumerole", "sts:*", "*"].contains(&&*action.to_lowercase()))
        });
        // China's EC2 has a domain of its own.
        let is_it = |name: &Value| {
            name.as_str()
                .is_some_and(|name| name == service || name.strip_suffix(".cn").is_some_and(|name| name == service))
        };
        takes && (principal == "*" || many(&principal["Service"]).iter().any(is_it))
    })
}

/// Whether a rule lets a TCP port of a group through.
fn lets(rule: &RuleKey, port: i32, group: &str) -> bool {
    let holds = rule.protocol == "-1" || rule.protocol == "tcp" && rule.ports.0 <= port && port <= rule.ports.1;
    holds && (rule.peer == group || WORLD.contains(&rule.peer.as_str()))
}

fn is_permitted(rule: &RuleKey, permitted: &[(i32, i32)]) -> bool {
    let (from, to) = if rule.protocol == "-1" { (0, 65535) } else { rule.ports };
    permitted.iter().any(|(first, last)| *first <= from && to <= *last)
}

fn ports(rule: &RuleKey) -> String {
    match (rule.protocol.as_str(), rule.ports) {
        ("-1", _) => "all ports".into(),
        (protocol, (from, to)) if from == to => format!("{protocol} port {from}"),
        (protocol, (from, to)) => format!("{protocol} ports {from} to {to}"),
    }
}
