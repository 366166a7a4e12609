//! How many objects of each kind an account has, asked of AWS itself and not of `infra`.
#![expect(clippy::redundant_closure_for_method_calls, reason = "the paths of the SDK's types are longer than a line")]

use std::{collections::BTreeMap, time::Duration};

use infra::cloud::{Target, connect};

use super::world::REGION;

/// Counts everything that a stack can be made of, whoever it belongs to.
pub async fn take(endpoint: &str) -> BTreeMap<String, usize> {
    let target = Target::Local { endpoint: endpoint.to_owned(), lag: Duration::ZERO, gateway: None, python: None };
    let clients = connect(&target, REGION).await.expect("the local cloud answers").clients;
    let (ec2, iam) = (&clients.ec2, &clients.iam);
    let mut count = BTreeMap::new();
    macro_rules! count {
        ($name:literal, $list:expr) => {
            count.insert($name.to_owned(), $list.count());
        };
    }
    count!("vpcs", ec2.describe_vpcs().send().await.unwrap().vpcs().iter());
    count!("subnets", ec2.describe_subnets().send().await.unwrap().subnets().iter());
    count!("internet gateways", ec2.describe_internet_gateways().send().await.unwrap().internet_gateways().iter());
    count!("addresses", ec2.describe_addresses().send().await.unwrap().addresses().iter());
    let gateways = ec2.describe_nat_gateways().send().await.unwrap();
    count!(
        "nat gateways",
        gateways
            .nat_gateways()
            .iter()
            .filter(|gateway| { !matches!(gateway.state().map(|state| state.as_str()), Some("deleted" | "deleting")) })
    );
    count!("route tables", ec2.describe_route_tables().send().await.unwrap().route_tables().iter());
    let endpoints = ec2.describe_vpc_endpoints().send().await.unwrap();
    count!(
        "endpoints",
        endpoints.vpc_endpoints().iter().filter(|endpoint| {
            !endpoint.state().is_some_and(|state| state.as_str().to_lowercase().starts_with("delet"))
        })
    );
    let groups = ec2.describe_security_groups().send().await.unwrap();
    count!("groups", groups.security_groups().iter());
    let rules = groups.security_groups().iter().flat_map(|group| {
        let all = group.ip_permissions().iter().chain(group.ip_permissions_egress());
        all.map(|permission| {
            permission.ip_ranges().len() + permission.user_id_group_pairs().len() + permission.ipv6_ranges().len()
        })
    });
    count.insert("rules".into(), rules.sum());
    count!("key pairs", ec2.describe_key_pairs().send().await.unwrap().key_pairs().iter());
    let instances = ec2.describe_instances().send().await.unwrap();
    count!(
        "instances",
        instances.reservations().iter().flat_map(|reservation| reservation.instances()).filter(|instance| {
            let state = instance.state().and_then(|state| state.name()).map(|name| name.as_str());
            !matches!(state, Some("terminated" | "shutting-down"))
        })
    );
    count!("volumes", ec2.describe_volumes().send().await.unwrap().volumes().iter());
    count!("roles", iam.list_roles().send().await.unwrap().roles().iter());
    count!("users", iam.list_users().send().await.unwrap().users().iter());
    count!("profiles", iam.list_instance_profiles().send().await.unwrap().instance_profiles().iter());
    let local = aws_sdk_iam::types::PolicyScopeType::Local;
    count!("policies", iam.list_policies().scope(local).send().await.unwrap().policies().iter());
    let buckets = clients.s3.list_buckets().send().await.unwrap();
    count!("buckets", buckets.buckets().iter());
    let mut objects = 0;
    for bucket in buckets.buckets() {
        objects += clients.s3.list_objects_v2().set_bucket(bucket.name.clone()).send().await.unwrap().contents().len();
    }
    count.insert("objects".into(), objects);
    let aliases = clients.kms.list_aliases().send().await.unwrap();
    let (aws, own): (Vec<_>, Vec<_>) = aliases
        .aliases()
        .iter()
        .partition(|alias| alias.alias_name().is_some_and(|name| name.starts_with("alias/aws/")));
    count.insert("key aliases".into(), own.len());
    let mut keys = 0;
    for key in clients.kms.list_keys().send().await.unwrap().keys() {
        // AWS makes keys of its own on first use, such as that of a disk, and they stay.
        if aws.iter().any(|alias| alias.target_key_id() == key.key_id()) {
            continue;
        }
        let told = clients.kms.describe_key().key_id(key.key_id().unwrap()).send().await.unwrap();
        let state = told.key_metadata().and_then(|key| key.key_state()).map(|state| state.as_str().to_owned());
        keys += usize::from(state.as_deref() != Some("PendingDeletion"));
    }
    count.insert("keys".into(), keys);
    let clusters = clients.emr.list_clusters().send().await.unwrap();
    count!(
        "clusters",
        clusters.clusters().iter().filter(|cluster| {
            let state = cluster.status().and_then(|status| status.state()).map(|state| state.as_str());
            !state.is_some_and(|state| state.starts_with("TERMINAT"))
        })
    );
    count
}
