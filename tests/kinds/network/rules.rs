//! `security_group_rules`.

use aws_sdk_ec2::types::{Ipv6Range, UserIdGroupPair};
use engine::Action;

use super::*;

/// Two groups that refer to each other, the rules of `hosts` as given.
fn graph(stack: &Stack, ingress: &[Rule], egress: &[Rule]) -> Graph<Cloud> {
    let mut draft = Draft::new(stack);
    let vpc = draft.vpc("10.7.0.0/16");
    let (hosts, bastion) = (draft.group(&vpc, "hosts"), draft.group(&vpc, "bastion"));
    draft.rules(&hosts, &[ingress, &[tcp(22, Peer::Group(bastion.clone()))]].concat(), egress);
    draft.rules(&bastion, &[], &[tcp(22, Peer::Group(hosts))]);
    draft.graph
}

fn described(rule: Rule, description: &str) -> Rule {
    Rule { description: Some(description.into()), ..rule }
}

/// What the plan says of the one rule set that it changes.
async fn change(stack: &Stack, wanted: &Graph<Cloud>) -> (String, String, String) {
    let plan = stack.plan(wanted).await;
    let [step] = plan.steps.as_slice() else { panic!("{plan:#?}") };
    let Action::Update { diff } = &step.action else { panic!("{plan:#?}") };
    let [change] = diff.changes.as_slice() else { panic!("{plan:#?}") };
    (change.field.clone(), change.from.to_string(), change.to.to_string())
}

#[tokio::test]
async fn rules_come_and_go_one_by_one() {
    let stack = stack("rules", &[]).await;
    let ssh = tcp(22, range("198.51.100.0/24"));
    let all = Rule { protocol: "-1".into(), ports: (-1, -1), peer: range("0.0.0.0/0"), description: None };
    let ping = Rule { protocol: "icmp".into(), ports: (-1, -1), peer: range("10.0.0.0/8"), description: None };
    let six = tcp(443, range("2001:db8:0:0::/32"));
    let every = Rule { protocol: "udp".into(), ports: (-1, -1), peer: range("10.9.9.9/8"), description: None };

    stack.converge(&graph(&stack, std::slice::from_ref(&ssh), &[])).await;
    let wanted = graph(&stack, &[ssh.clone(), ping.clone(), six, every], std::slice::from_ref(&all));
    assert_eq!(stack.converge(&wanted).await, ["update security_group_rules/hosts ingress egress"]);
    let wanted = graph(&stack, std::slice::from_ref(&ping), &[all]);
    assert_eq!(stack.converge(&wanted).await, ["update security_group_rules/hosts ingress"]);

    let first = graph(&stack, &[described(ssh.clone(), "the office"), ping.clone()], &[]);
    stack.converge(&first).await;
    let second = graph(&stack, &[described(ssh, "the new office"), ping], &[]);
    let (from, to) = ("tcp 22 198.51.100.0/24 (the office)", "tcp 22 198.51.100.0/24 (the new office)");
    let expected = ("ingress".into(), format!("[\"{from}\"]"), format!("[\"{to}\"]"));
    assert_eq!(change(&stack, &second).await, expected);
    assert_eq!(stack.converge(&second).await, ["update security_group_rules/hosts ingress"]);
    stack.destroy().await;
}

#[tokio::test]
async fn rules_changed_by_hand_heal() {
    let stack = stack("rules", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let ssh = described(tcp(22, range("198.51.100.0/24")), "the office");
    let wanted = graph(&stack, &[ssh], &[]);
    stack.converge(&wanted).await;
    let group = find::<SecurityGroup, _>(&stack, "hosts", |group| group.id.clone()).await;

    let add = |rule: IpPermission| ec2.authorize_security_group_ingress().group_id(&group).ip_permissions(rule).send();
    add(permission(8080, "0.0.0.0/0")).await.unwrap();
    let expected = ("ingress".into(), "[\"tcp 8080 0.0.0.0/0\"]".into(), "[]".into());
    assert_eq!(change(&stack, &wanted).await, expected);
    assert_eq!(stack.converge(&wanted).await, ["update security_group_rules/hosts ingress"]);

    let six = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22);
    add(six.ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build()).build()).await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update security_group_rules/hosts ingress"]);

    let own = IpPermission::builder().ip_protocol("-1");
    add(own.user_id_group_pairs(UserIdGroupPair::builder().group_id(&group).build()).build()).await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update security_group_rules/hosts ingress"]);

    let request = ec2.revoke_security_group_ingress().group_id(&group);
    request.ip_permissions(permission(22, "198.51.100.0/24")).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update security_group_rules/hosts ingress"]);

    let request = ec2.authorize_security_group_egress().group_id(&group);
    request.ip_permissions(permission(443, "0.0.0.0/0")).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update security_group_rules/hosts egress"]);

    let other = IpRange::builder().cidr_ip("198.51.100.0/24").description("of nobody").build();
    let rule = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22).ip_ranges(other).build();
    let request = ec2.update_security_group_rule_descriptions_ingress().group_id(&group);
    request.ip_permissions(rule).send().await.unwrap();
    assert_eq!(stack.converge(&wanted).await, ["update security_group_rules/hosts ingress"]);
    stack.destroy().await;
}

#[tokio::test]
async fn a_prefix_list_in_a_rule_is_drift() {
    let stack = stack("rules", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let wanted = graph(&stack, &[], &[]);
    stack.converge(&wanted).await;
    let group = find::<SecurityGroup, _>(&stack, "hosts", |group| group.id.clone()).await;
    let name = stack.cloud.names.unique("list");
    let request = ec2.create_managed_prefix_list().prefix_list_name(name).max_entries(1).address_family("IPv4");
    let list = request.send().await.unwrap().prefix_list.unwrap().prefix_list_id.unwrap();
    let peer = aws_sdk_ec2::types::PrefixListId::builder().prefix_list_id(&list).build();
    let rule = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22).prefix_list_ids(peer).build();
    ec2.authorize_security_group_ingress().group_id(&group).ip_permissions(rule).send().await.unwrap();
    let expected = ("ingress".into(), format!("[\"tcp 22 {list}\"]"), "[]".into());
    assert_eq!(change(&stack, &wanted).await, expected);
    assert_eq!(stack.converge(&wanted).await, ["update security_group_rules/hosts ingress"]);
    ec2.delete_managed_prefix_list().prefix_list_id(list).send().await.unwrap();
    stack.destroy().await;
}

#[tokio::test]
async fn a_group_without_its_rules_is_finished_or_goes() {
    let stack = stack("rules", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let mut draft = Draft::new(&stack);
    let vpc = draft.vpc("10.7.0.0/16");
    stack.converge(&draft.graph).await;
    let half_made = || async {
        let id = find::<Vpc, _>(&stack, "main", |vpc| vpc.id.clone()).await;
        let request = ec2.create_security_group().vpc_id(id).group_name(stack.cloud.names.unique("hosts"));
        let tags = tagged::<SecurityGroup>(&stack, ResourceType::SecurityGroup, "hosts");
        request.description("half made").tag_specifications(tags).send().await.unwrap();
    };
    half_made().await;
    let group = draft.group(&vpc, "hosts");
    draft.rules(&group, &[tcp(22, range("10.0.0.0/8"))], &[]);
    assert_eq!(stack.converge(&draft.graph).await, ["update security_group_rules/hosts ingress egress"]);

    let mut without = Draft::new(&stack);
    without.vpc("10.7.0.0/16");
    stack.converge(&without.graph).await;
    half_made().await;
    let done = stack.converge(&without.graph).await;
    assert_eq!(done, ["delete security_group_rules/hosts", "delete security_group/hosts"]);
    stack.destroy().await;
}

/// The groups of a private EMR cluster.
fn cluster(stack: &Stack, names: &[&str]) -> Graph<Cloud> {
    let mut draft = Draft::new(stack);
    let vpc = draft.vpc("10.7.0.0/16");
    let groups: Vec<Ref<SecurityGroup>> = names.iter().map(|name| draft.group(&vpc, name)).collect();
    for group in &groups {
        draft.rules_beside(group, &[tcp(22, range("10.7.0.0/24"))], &[], true);
    }
    draft.graph
}

#[tokio::test]
async fn rules_that_emr_adds_are_let_be_and_never_block_a_delete() {
    let stack = stack("rules", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let all = cluster(&stack, &["master", "slave", "access"]);
    stack.converge(&all).await;
    let id = |name: &'static str| find::<SecurityGroup, _>(&stack, name, |group| group.id.clone());
    let (master, slave, access) = (id("master").await, id("slave").await, id("access").await);
    let from = |protocol: &str, ports: (i32, i32), peer: &str| {
        let pair = UserIdGroupPair::builder().group_id(peer).build();
        let rule = IpPermission::builder().ip_protocol(protocol).from_port(ports.0).to_port(ports.1);
        rule.user_id_group_pairs(pair).build()
    };
    for group in [&master, &slave] {
        for peer in [&master, &slave] {
            for (protocol, ports) in [("tcp", (0, 65535)), ("udp", (0, 65535)), ("icmp", (-1, -1))] {
                let request = ec2.authorize_security_group_ingress().group_id(group);
                request.ip_permissions(from(protocol, ports, peer)).send().await.unwrap();
            }
        }
        let request = ec2.authorize_security_group_ingress().group_id(group);
        request.ip_permissions(from("tcp", (8443, 8443), &access)).send().await.unwrap();
        let request = ec2.authorize_security_group_egress().group_id(&access);
        request.ip_permissions(from("tcp", (8443, 8443), group)).send().await.unwrap();
    }
    assert!(stack.plan(&all).await.is_empty());

    // What is not EMR's is drift all the same.
    let request = ec2.authorize_security_group_ingress().group_id(&master);
    request.ip_permissions(permission(22, "0.0.0.0/0")).send().await.unwrap();
    assert_eq!(stack.converge(&all).await, ["update security_group_rules/master ingress"]);

    // One group goes while others, unchanged in the spec, refer to it.
    let fewer = cluster(&stack, &["master", "access"]);
    assert_eq!(stack.converge(&fewer).await, ["delete security_group_rules/slave", "delete security_group/slave"]);
    stack.destroy().await;
}

#[tokio::test]
async fn rules_that_are_there_or_gone_already_are_as_wanted() {
    let stack = stack("rules", &[]).await;
    let ec2 = &stack.cloud.clients.ec2;
    let first = graph(&stack, &[tcp(80, range("10.0.0.0/8")), tcp(81, range("10.0.0.0/8"))], &[]);
    stack.converge(&first).await;
    let group = find::<SecurityGroup, _>(&stack, "hosts", |group| group.id.clone()).await;
    let second = graph(&stack, &[tcp(90, range("10.0.0.0/8")), tcp(91, range("10.0.0.0/8"))], &[]);
    let known = stack.observe().await;
    let plan = engine::plan(&infra::resources::REGISTRY, &second, &known, engine::Selection::All);
    // Somebody else does one half of each in the meantime.
    let request = ec2.authorize_security_group_ingress().group_id(&group);
    request.ip_permissions(permission(91, "10.0.0.0/8")).send().await.unwrap();
    let request = ec2.revoke_security_group_ingress().group_id(&group);
    request.ip_permissions(permission(81, "10.0.0.0/8")).send().await.unwrap();
    let (events, _unheard) = tokio::sync::mpsc::unbounded_channel();
    let cancel = tokio_util::sync::CancellationToken::new();
    let options = engine::Options { parallelism: 1, cancel, events };
    let outcome = engine::apply(&plan, &infra::resources::REGISTRY, &second, known, &stack.cloud, &options).await;
    assert!(outcome.is_complete(), "{:#?}", outcome.failed);
    assert!(stack.plan(&second).await.is_empty());
    stack.destroy().await;
}
