use std::collections::BTreeMap;

use serde_json::json;

use super::{Answers, GroupStanding, Report, RoleStanding, Standing, SubnetStanding, judge};
use crate::{
    resources::RuleKey,
    spec::{LoadOptions, Spec, load_str},
};

const SPEC: &str = "\
stack: checks
region: us-west-2
network:
  cidr: 10.0.0.0/16
  subnets: { public: { cidr: 10.0.0.0/24, route: internet }, private: { cidr: 10.0.1.0/24, route: nat } }
keys: { admin: { generate: true } }
buckets: { logs: { name: checks-logs } }
access:
  roles:
    nodes: { trust: ec2, profile: true }
    service: { trust: elasticmapreduce, managed: service-role/AmazonEMRServicePolicy_v2 }
cluster:
  release: RELEASE
  applications: [Spark]
  subnet: SUBNET
  roles: { service: service, nodes: nodes }
  master: m5.xlarge
  core: { type: c5.2xlarge, count: 2, spot: true }
  logs: logs
";

struct Case {
    spec: Spec,
    standing: Standing,
    answers: Answers,
}

fn rule(port: i32, peer: &str) -> RuleKey {
    RuleKey::new("tcp", (port, port), peer)
}

fn role(name: &str, service: &str) -> RoleStanding {
    let trust =
        json!({ "Statement": { "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" } });
    RoleStanding {
        name: name.into(),
        trust,
        policies: ["AmazonEMRServicePolicy_v2".to_owned()].into(),
        has_grants: true,
    }
}

fn group(id: &str, ingress: Vec<RuleKey>, egress: Vec<RuleKey>) -> GroupStanding {
    GroupStanding { id: id.into(), ingress: Some(ingress), egress: Some(egress), tagged: true }
}

/// Everything is as it should be.
fn good(release: &str, subnet: &str) -> Case {
    let text = SPEC.replace("RELEASE", release).replace("SUBNET", subnet);
    let spec = load_str("checks.yaml", &text, &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let asks_for_internet = subnet == "public";
    let service =
        group("sg-service", vec![rule(9443, "sg-master")], vec![rule(8443, "sg-master"), rule(8443, "sg-nodes")]);
    let standing = Standing {
        service: Some(role("service", "elasticmapreduce.amazonaws.com")),
        nodes: Some(role("nodes", "ec2.amazonaws.com")),
        profile: Some("nodes".into()),
        subnet: Some(SubnetStanding {
            asks_for_internet,
            internet: asks_for_internet,
            nat: !asks_for_internet,
            s3: false,
            tagged: true,
        }),
        groups: [
            Some(group("sg-master", vec![rule(22, "0.0.0.0/0")], vec![])),
            Some(group("sg-nodes", vec![], vec![])),
            Some(service),
        ],
        log_bucket: Some("checks-logs".into()),
        has_log_bucket: true,
        has_key: true,
    };
    let answers = Answers {
        has_release: Some(true),
        types: Some(BTreeMap::from([("m5.xlarge".into(), 4), ("c5.2xlarge".into(), 8), ("c5.4xlarge".into(), 16)])),
        open_ports: Some(vec![(22, 22)]),
        log_region: Some("us-west-2".into()),
        notes: Vec::new(),
    };
    Case { spec, standing, answers }
}

impl Case {
    fn report(&self) -> Report {
        judge(&self.spec, self.spec.cluster.as_ref().unwrap(), &self.standing, &self.answers)
    }
}

fn told(report: &Report) -> String {
    let line = |finding: &super::Finding| {
        format!("{} {}\n  {}\n  hint: {}", finding.what, finding.span, finding.message, finding.hint)
    };
    report.findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_cluster_that_can_start_has_no_findings() {
    for (release, subnet) in [("emr-5.29.0", "private"), ("emr-5.36.2", "private"), ("emr-7.0.0", "public")] {
        let report = good(release, subnet).report();
        assert_eq!(told(&report), "", "{release} {subnet}");
        assert_eq!(report.notes.len(), 1, "{:?}", report.notes);
    }
    let report = good("emr-5.29.0", "private").report();
    insta::assert_snapshot!(report.notes[0], @"the cluster takes virtual processors, 4 on demand and 16 of spot; whether the account's quota allows them, only Service Quotas tells");
}

#[test]
fn what_was_not_answered_is_not_judged() {
    let mut case = good("emr-5.29.0", "public");
    case.answers = Answers { notes: vec!["the release was not checked".into()], ..Answers::default() };
    let report = case.report();
    assert_eq!(
        (told(&report).as_str(), report.notes.as_slice()),
        ("", ["the release was not checked".to_owned()].as_slice())
    );
}

#[test]
fn each_failing_check_names_its_line_and_the_remedy() {
    type Change = fn(&mut Case);
    let cases: [(&str, &str, Change); 22] = [
        ("private", "release", |it| it.answers.has_release = Some(false)),
        ("private", "type", |it| {
            it.answers.types.as_mut().unwrap().remove("c5.2xlarge");
        }),
        ("private", "another family", |it| it.answers.types = Some(BTreeMap::from([("m4.xlarge".into(), 4)]))),
        ("private", "no service role", |it| it.standing.service = None),
        ("private", "no node role", |it| it.standing.nodes = None),
        ("private", "wrong trust", |it| it.standing.service = Some(role("service", "ec2.amazonaws.com"))),
        ("private", "denied trust", |it| {
            it.standing.nodes.as_mut().unwrap().trust["Statement"]["Effect"] = json!("Deny");
        }),
        ("private", "no grants", |it| it.standing.service.as_mut().unwrap().has_grants = false),
        ("private", "no profile", |it| it.standing.profile = None),
        ("private", "empty profile", |it| it.standing.profile = Some(String::new())),
        ("private", "untagged", |it| it.standing.groups[1].as_mut().unwrap().tagged = false),
        ("private", "no subnet", |it| it.standing.subnet = None),
        ("public", "no internet", |it| it.standing.subnet.as_mut().unwrap().internet = false),
        ("private", "no way to S3", |it| it.standing.subnet.as_mut().unwrap().nat = false),
        ("private", "no service group", |it| it.standing.groups[2] = None),
        ("private", "no 9443", |it| it.standing.groups[2].as_mut().unwrap().ingress = Some(vec![])),
        ("private", "no 8443", |it| {
            it.standing.groups[2].as_mut().unwrap().egress = Some(vec![rule(8443, "sg-master")]);
        }),
        ("public", "open to all", |it| {
            let rules = vec![RuleKey::new("tcp", (8000, 9000), "::/0"), RuleKey::new("-1", (-1, -1), "0.0.0.0/0")];
            it.standing.groups[0].as_mut().unwrap().ingress = Some(rules);
        }),
        ("private", "no log bucket", |it| (it.standing.log_bucket, it.standing.has_log_bucket) = (None, false)),
        ("private", "log bucket elsewhere", |it| it.answers.log_region = Some("eu-west-1".into())),
        ("private", "no key", |it| it.standing.has_key = false),
        ("public", "no master group", |it| it.standing.groups[0] = None),
    ];
    let mut all = Vec::new();
    for (subnet, name, change) in cases {
        let mut case = good("emr-5.36.1", subnet);
        change(&mut case);
        let report = case.report();
        assert!(!report.findings.is_empty(), "{name} is not found");
        all.push(format!("--- {name}\n{}", told(&report)));
    }
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn every_failure_is_told_at_once() {
    let mut case = good("emr-5.29.0", "private");
    case.answers.has_release = Some(false);
    case.standing = Standing::default();
    let whats: Vec<String> = case.report().findings.into_iter().map(|finding| finding.what).collect();
    let wanted = [
        "cluster.release",
        "iam_role/service",
        "iam_role/nodes",
        "subnet/private",
        "security_group/emr-master",
        "security_group/emr-nodes",
        "bucket/logs",
        "key_pair/admin",
    ];
    assert_eq!(whats, wanted);
}

#[test]
fn rules_before_5_30_need_no_way_back_and_what_the_plan_brings_is_right() {
    let mut case = good("emr-5.29.0", "private");
    case.standing.groups[2].as_mut().unwrap().ingress = Some(vec![]);
    assert_eq!(told(&case.report()), "");
    let mut case = good("emr-5.36.2", "private");
    let service = case.standing.groups[2].as_mut().unwrap();
    (service.ingress, service.egress) = (None, None);
    assert_eq!(told(&case.report()), "");
}
