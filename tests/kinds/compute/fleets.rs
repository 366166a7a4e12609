//! `emr_cluster` of instance fleets.

use infra::resources::{ClusterNodes, EmrCluster, FleetType, NodeFleet, SpotFallback};

use super::{clusters::with_cluster, find};
use crate::support::world::{lines, stack};

fn fleet(on_demand: u32, types: &[&str]) -> NodeFleet {
    let types = types.iter().map(|name| FleetType {
        instance_type: (*name).to_owned(),
        weight: 1,
        max_price: None,
        disk: None,
    });
    let types = types.collect();
    NodeFleet { on_demand, spot: 0, types, spot_wait_minutes: 20, fallback: SpotFallback::OnDemand }
}

#[tokio::test]
async fn strict_a_cluster_of_fleets_is_not_one_of_groups() {
    let stack = stack("fleet", &[]).await;
    let fleets = with_cluster(&stack, |cluster| {
        let core = Some(fleet(2, &["m5.xlarge"]));
        cluster.nodes = ClusterNodes::Fleets { master: fleet(1, &["m5.xlarge"]), core, task: None };
    });
    stack.converge(&fleets).await;
    find::<EmrCluster, _>(&stack, "main", |cluster| assert_eq!(cluster.nodes.wanted(), 3)).await;
    let plan = lines(&stack.plan(&with_cluster(&stack, |_| {})).await);
    assert_eq!(plan, ["delete emr_cluster/main", "create emr_cluster/main"]);
    stack.destroy().await;
}
