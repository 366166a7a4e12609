//! `emr_cluster` of instance groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use aws_sdk_emr::types::{InstanceGroupModifyConfig, Tag};
use engine::Graph;
use infra::{
    cloud::Cloud,
    resources::{
        BootstrapAction, ClusterConfiguration, ClusterNodes, EmrCluster, EmrSecurityConfiguration, NodeDisk, NodeGroup,
        NodeMarket, ScalingLimits, ScalingUnit, SecurityGroup, Subnet,
    },
};
use serde_json::json;

use super::{GROUND, Ground, find, ground, heals, tags};
use crate::support::world::{Stack, lines, stack};

pub(super) fn group(instance_type: &str, count: u32) -> NodeGroup {
    NodeGroup { instance_type: instance_type.into(), count, market: NodeMarket::OnDemand, disk: None }
}

fn setting(classification: &str, key: &str, value: &str) -> ClusterConfiguration {
    ClusterConfiguration {
        classification: classification.into(),
        properties: BTreeMap::from([(key.to_owned(), value.to_owned())]),
        configurations: Vec::new(),
    }
}

/// A cluster like that of the nyc311 stack.
pub(super) fn cluster(stack: &Stack, ground: &Ground) -> EmrCluster {
    let python = ClusterConfiguration {
        classification: "spark-env".into(),
        properties: BTreeMap::new(),
        configurations: vec![setting("export", "PYSPARK_PYTHON", "/usr/bin/python3")],
    };
    EmrCluster {
        name: stack.cloud.names.stack.clone(),
        release: "emr-5.29.0".into(),
        applications: ["Spark", "Hadoop", "Ganglia", "Zeppelin"].map(str::to_owned).into(),
        subnet: ground.subnet.clone(),
        master_group: ground.groups[0].clone(),
        slave_group: ground.groups[1].clone(),
        service_group: None,
        service_role: "EMR_DefaultRole".into(),
        node_profile: "EMR_EC2_DefaultRole".into(),
        key: None,
        nodes: ClusterNodes::Groups {
            master: group("m5.xlarge", 1),
            core: Some(NodeGroup {
                disk: Some(NodeDisk { gib: 64, volume_type: "gp2".into(), count: 2 }),
                ..group("m5.xlarge", 2)
            }),
            task: None,
        },
        configurations: vec![python, setting("spark-defaults", "spark.executor.memory", "2g")],
        bootstrap: vec![BootstrapAction {
            name: "patch log4j".into(),
            path: "s3://somewhere/patch.sh".into(),
            arguments: vec!["--all".into()],
        }],
        step_concurrency: 1,
        log_uri: Some("s3://somewhere/logs".into()),
        security: None,
        managed_scaling: None,
        auto_termination: None,
        termination_protection: false,
        root_disk_gib: Some(20),
        visible: true,
        start_deadline: Duration::from_mins(1),
        sizes_only: false,
        after: vec![ground.routes.clone()],
        tags: tags::<EmrCluster>(stack, "main"),
    }
}

/// The ground with one cluster, `change`d.
pub(super) fn with_cluster(stack: &Stack, change: impl FnOnce(&mut EmrCluster)) -> Graph<Cloud> {
    let mut ground = ground(stack);
    let mut cluster = cluster(stack, &ground);
    change(&mut cluster);
    ground.graph.add("main", cluster);
    ground.graph
}

/// What a test does to the cluster of [`cluster`].
type Change = fn(&mut EmrCluster);

fn groups(cluster: &mut EmrCluster) -> (&mut NodeGroup, &mut Option<NodeGroup>, &mut Option<NodeGroup>) {
    match &mut cluster.nodes {
        ClusterNodes::Groups { master, core, task } => (master, core, task),
        ClusterNodes::Fleets { .. } => panic!("it has groups"),
    }
}

#[tokio::test]
async fn a_cluster_lives_changes_and_goes() {
    let stack = stack("cluster", &[]).await;
    let done = stack.converge(&with_cluster(&stack, |_| {})).await;
    assert_eq!(done.len(), GROUND + 1);
    let id = find::<EmrCluster, _>(&stack, "main", |cluster| {
        assert!(cluster.is_ready() && cluster.keep_alive, "{cluster:?}");
        assert!(cluster.master_dns.is_some(), "{cluster:?}");
        cluster.id.clone()
    })
    .await;

    let larger = with_cluster(&stack, |cluster| {
        groups(cluster).1.as_mut().unwrap().count = 3;
        *groups(cluster).2 = Some(group("m4.large", 1));
        cluster.step_concurrency = 10;
        cluster.termination_protection = true;
        cluster.visible = false;
        cluster.tags.insert("owner".into(), "ada".into());
    });
    let fields = "core.count task step_concurrency termination_protection visible tags.owner";
    heals(&stack, &larger, &[&format!("update emr_cluster/main {fields}")]).await;
    let refused = stack.plan(&Graph::default()).await.refused;
    assert!(refused.iter().any(|refusal| refusal.id == id), "a protected cluster is not ended: {refused:?}");

    // One task group goes, another comes; none can be deleted, so the first is emptied.
    let other = with_cluster(&stack, |cluster| *groups(cluster).2 = Some(group("m5.2xlarge", 2)));
    let plan = lines(&stack.plan(&other).await);
    assert!(plan[0].starts_with("update emr_cluster/main core.count task task_groups."), "{plan:?}");
    stack.converge(&other).await;
    find::<EmrCluster, _>(&stack, "main", |cluster| {
        assert_eq!((&cluster.id, cluster.nodes.wanted()), (&id, 5), "{cluster:?}");
    })
    .await;
    // Resized within the group, and to nothing.
    let fewer = with_cluster(&stack, |cluster| *groups(cluster).2 = Some(group("m5.2xlarge", 1)));
    heals(&stack, &fewer, &["update emr_cluster/main task.count"]).await;
    stack.converge(&with_cluster(&stack, |_| {})).await;
    stack.destroy().await;
}

#[tokio::test]
async fn what_is_fixed_at_birth_makes_another_cluster() {
    let stack = stack("cluster", &[]).await;
    let plain = with_cluster(&stack, |_| {});
    stack.converge(&plain).await;
    let known = stack.observe().await;
    let changes: [(&str, Change); 13] = [
        ("name", |cluster| cluster.name = "another".into()),
        ("release", |cluster| cluster.release = "emr-5.36.2".into()),
        ("applications", |cluster| cluster.applications = BTreeSet::from(["Spark".to_owned()])),
        ("service_role", |cluster| cluster.service_role = "other".into()),
        ("node_profile", |cluster| cluster.node_profile = "other".into()),
        ("key", |cluster| cluster.key = Some("other".into())),
        ("slave_group", |cluster| cluster.slave_group = cluster.master_group.clone()),
        ("master.instance_type", |cluster| groups(cluster).0.instance_type = "m4.large".into()),
        ("core.market", |cluster| {
            groups(cluster).1.as_mut().unwrap().market = NodeMarket::Spot { max_price: Some("0.10".into()) };
        }),
        ("core.disk", |cluster| groups(cluster).1.as_mut().unwrap().disk.as_mut().unwrap().gib = 128),
        ("configurations", |cluster| {
            drop(cluster.configurations.pop());
        }),
        ("bootstrap", |cluster| cluster.bootstrap.clear()),
        ("log_uri", |cluster| cluster.log_uri = Some("s3://elsewhere/logs/".into())),
    ];
    for (field, change) in changes {
        let plan =
            engine::plan(&infra::resources::REGISTRY, &with_cluster(&stack, change), &known, engine::Selection::All);
        assert_eq!(lines(&plan), ["delete emr_cluster/main", "create emr_cluster/main"], "{field}");
        let fields: Vec<&str> =
            plan.steps[0].replaces.as_ref().unwrap().changes.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(fields, [field]);
    }
    // The same in other words is the same.
    let same = with_cluster(&stack, |cluster| {
        cluster.configurations.reverse();
        cluster.service_role = "arn:aws:iam::123456789012:role/EMR_DefaultRole".into();
        cluster.log_uri = Some("s3n://somewhere/logs/".into());
        cluster.applications = ["spark", "hadoop", "ganglia", "zeppelin"].map(str::to_owned).into();
        cluster.root_disk_gib = None;
        groups(cluster).1.as_mut().unwrap().disk = None;
    });
    assert!(stack.plan(&same).await.is_empty(), "{:?}", lines(&stack.plan(&same).await));
    stack.destroy().await;
}

#[tokio::test]
async fn a_change_by_hand_is_one_field_and_is_healed() {
    let stack = stack("cluster", &[]).await;
    let plain = with_cluster(&stack, |_| {});
    stack.converge(&plain).await;
    let emr = &stack.cloud.clients.emr;
    let (id, core) = find::<EmrCluster, _>(&stack, "main", |cluster| {
        let infra::resources::NodesObserved::Groups(groups) = &cluster.nodes else { panic!("{cluster:?}") };
        (cluster.id.clone(), groups.iter().find(|group| group.role == "CORE").unwrap().id.clone())
    })
    .await;
    let heals = async |field: &str| heals(&stack, &plain, &[&format!("update emr_cluster/main {field}")]).await;

    let change = InstanceGroupModifyConfig::builder().instance_group_id(core).instance_count(4).build();
    emr.modify_instance_groups().cluster_id(&id).instance_groups(change).send().await.unwrap();
    heals("core.count").await;
    emr.modify_cluster().cluster_id(&id).step_concurrency_level(5).send().await.unwrap();
    heals("step_concurrency").await;
    emr.set_termination_protection().job_flow_ids(&id).termination_protected(true).send().await.unwrap();
    heals("termination_protection").await;
    emr.set_visible_to_all_users().job_flow_ids(&id).visible_to_all_users(false).send().await.unwrap();
    heals("visible").await;
    emr.add_tags().resource_id(&id).tags(Tag::builder().key("owner").value("eve").build()).send().await.unwrap();
    heals("tags.owner").await;
    emr.remove_tags().resource_id(&id).tag_keys("project").send().await.unwrap();
    heals("tags.project").await;

    // Ended by hand: what is desired is made again, what is ending is waited for.
    emr.terminate_job_flows().job_flow_ids(&id).send().await.unwrap();
    let done = stack.converge(&plain).await;
    assert_eq!(done.last().map(String::as_str), Some("create emr_cluster/main"));
    find::<EmrCluster, _>(&stack, "main", |cluster| assert_ne!(cluster.id, id)).await;
    stack.destroy().await;
}

#[tokio::test]
async fn two_live_clusters_of_one_address_are_named() {
    let stack = stack("cluster", &[]).await;
    stack.converge(&with_cluster(&stack, |_| {})).await;
    let emr = &stack.cloud.clients.emr;
    let first = find::<EmrCluster, _>(&stack, "main", |cluster| cluster.id.clone()).await;
    // The same request again, as a script would send it.
    let groups = aws_sdk_emr::types::InstanceGroupConfig::builder()
        .instance_role(aws_sdk_emr::types::InstanceRoleType::Master)
        .instance_type("m5.xlarge")
        .instance_count(1);
    let instances = aws_sdk_emr::types::JobFlowInstancesConfig::builder()
        .instance_groups(groups.build())
        .keep_job_flow_alive_when_no_steps(true);
    let known = stack.observe().await;
    let group = |name| known.find::<Cloud, SecurityGroup>(name).unwrap().id.clone();
    let instances = instances.emr_managed_master_security_group(group("a"));
    let instances = instances.emr_managed_slave_security_group(group("b"));
    let subnet = known.find::<Cloud, Subnet>("public").unwrap().id.clone();
    let request = emr.run_job_flow().name("twin").release_label("emr-5.29.0");
    let request = request.service_role("EMR_DefaultRole").job_flow_role("EMR_EC2_DefaultRole");
    let tags = tags::<EmrCluster>(&stack, "main");
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let request = request.instances(instances.ec2_subnet_id(subnet).build()).set_tags(Some(tags));
    let second = request.send().await.unwrap().job_flow_id.unwrap();

    let error = engine::observe(&infra::resources::REGISTRY, &stack.cloud).await.unwrap_err().to_string();
    assert!(error.contains(&first) && error.contains(&second), "{error}");
    emr.terminate_job_flows().job_flow_ids(second).send().await.unwrap();
    stack.destroy().await;
}

#[tokio::test]
async fn a_security_configuration_is_linked_and_replaced_with_its_cluster() {
    let mut stack = stack("cluster", &[]).await;
    Arc::make_mut(&mut stack.cloud.names).security_configurations = vec!["nodes".into()];
    let graph = |version: u32| {
        let mut ground = ground(&stack);
        let configuration =
            json!({ "InstanceMetadataServiceConfiguration": { "MinimumInstanceMetadataServiceVersion": version } });
        let name = EmrSecurityConfiguration::full_name(&stack.cloud.names, "nodes");
        let nodes = EmrSecurityConfiguration { name, configuration, after: Vec::new() };
        let security = ground.graph.add("nodes", nodes);
        let cluster = EmrCluster { security: Some(security), ..cluster(&stack, &ground) };
        ground.graph.add("main", cluster);
        ground.graph
    };
    stack.converge(&graph(1)).await;
    let done = stack.converge(&graph(2)).await;
    let expected = [
        "delete emr_security_configuration/nodes",
        "create emr_security_configuration/nodes",
        "delete emr_cluster/main",
        "create emr_cluster/main",
    ];
    assert_eq!(done, expected);
    stack.destroy().await;
}

#[tokio::test]
async fn strict_policies_of_later_releases_come_change_and_go() {
    let stack = stack("cluster", &[]).await;
    let limits = ScalingLimits { unit: ScalingUnit::Instances, min: 2, max: 6, max_on_demand: None, max_core: Some(3) };
    let with = |scaling: Option<ScalingLimits>, idle: Option<u64>| {
        with_cluster(&stack, |cluster| {
            cluster.release = "emr-5.36.2".into();
            cluster.bootstrap.clear();
            cluster.managed_scaling = scaling;
            cluster.auto_termination = idle;
        })
    };
    stack.converge(&with(Some(limits), Some(3600))).await;
    let wider = with(Some(ScalingLimits { max: 8, ..limits }), Some(7200));
    heals(&stack, &wider, &["update emr_cluster/main managed_scaling auto_termination"]).await;
    heals(&stack, &with(None, None), &["update emr_cluster/main managed_scaling auto_termination"]).await;
    heals(&stack, &with(Some(limits), Some(3600)), &["update emr_cluster/main managed_scaling auto_termination"]).await;
    stack.destroy().await;
}

#[tokio::test]
async fn strict_a_start_that_fails_is_explained_and_leaves_nothing() {
    let stack = stack("cluster", &[]).await;
    let wrong = with_cluster(&stack, |cluster| cluster.service_role = "nobody".into());
    let (_, outcome) = stack.apply(&wrong).await;
    let [failure] = outcome.failed.as_slice() else { panic!("{outcome:?}") };
    let told = format!("{:#}", failure.error);
    assert!(told.contains("VALIDATION_ERROR") && told.contains("trust elasticmapreduce.amazonaws.com"), "{told}");
    stack.converge(&with_cluster(&stack, |_| {})).await;
    stack.destroy().await;
}

#[tokio::test]
async fn an_interrupted_start_or_end_is_found_and_finished() {
    let stack = stack("cluster", &[]).await;
    stack.converge(&ground(&stack).graph).await;
    let plain = with_cluster(&stack, |_| {});
    for _ in 0..3 {
        // As a SIGKILL would, at one point or another of the start.
        drop(tokio::time::timeout(Duration::from_millis(400), stack.apply(&plain)).await);
    }
    // Two live clusters would be an error.
    stack.converge(&plain).await;
    let id = find::<EmrCluster, _>(&stack, "main", |cluster| cluster.id.clone()).await;
    stack.cloud.clients.emr.terminate_job_flows().job_flow_ids(id).send().await.unwrap();
    // On a cloud where this takes time the network cannot go before the nodes have gone.
    stack.converge(&Graph::default()).await;
    assert!(stack.observe().await.is_empty());
}
