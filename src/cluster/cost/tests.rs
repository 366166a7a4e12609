use std::time::Duration;

use super::{Cost, of_spec};
use crate::spec::{LoadOptions, load_str};

const SPEC: &str = "\
stack: costs
region: REGION
network: { cidr: 10.0.0.0/16, subnets: { public: { cidr: 10.0.0.0/24, route: internet } } }
access:
  roles:
    nodes: { trust: ec2, profile: true }
    service: { trust: elasticmapreduce }
cluster:
  release: RELEASE
  applications: [Spark]
  subnet: public
  roles: { service: service, nodes: nodes }
  NODES
";

fn cost(region: &str, release: &str, nodes: &str) -> Cost {
    let text = SPEC.replace("REGION", region).replace("RELEASE", release).replace("NODES", nodes);
    let spec = load_str("costs.yaml", &text, &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"));
    of_spec(spec.cluster.as_ref().unwrap(), &spec.region)
}

#[test]
fn a_cluster_on_demand_is_priced_to_the_cent() {
    let three = "master: m5.xlarge\n  core: { type: m5.xlarge, count: 2 }";
    let cost = cost("us-west-2", "emr-5.29.0", three);
    // 3 × 0.192, 3 × 0.048, 3 × (10 + 2 × 32) GiB × 0.10 / 730.
    assert_eq!((cost.machines, cost.surcharge, cost.disks), (576_000, 144_000, 30_409));
    assert_eq!(cost.hourly(), Some(750_409));
    assert!(!cost.at_most);
    assert_eq!(cost.after(Duration::from_mins(90)), Some(1_125_613));
    insta::assert_snapshot!(cost.sentence(), @"costs 0.76 US dollars an hour (0.58 for machines, 0.15 for EMR, 0.04 for disks; list prices of us-west-2 as of 2025-06)");
    insta::assert_snapshot!(cost.so_far(Duration::from_mins(90)), @"has cost about 1.13 US dollars in 1 h 30 min, at its present size");
}

#[test]
fn regions_have_their_own_prices() {
    let one = |region| cost(region, "emr-7.0.0", "master: r5.2xlarge").machines;
    assert_eq!((one("us-east-1"), one("sa-east-1")), (504_000, 804_000));
}

#[test]
fn spot_costs_at_most_its_cap_and_never_more_than_on_demand() {
    let with = |spot: &str| {
        cost(
            "us-east-1",
            "emr-5.29.0",
            &format!("master: m5.xlarge\n  core: {{ type: m5.xlarge, count: 1, spot: {spot} }}"),
        )
    };
    for (spot, machines) in [("true", 384_000), ("{ max_price: \"0.1\" }", 292_000), ("{ max_price: \"9\" }", 384_000)]
    {
        let cost = with(spot);
        assert_eq!((cost.machines, cost.at_most), (machines, true), "{spot}");
        assert!(cost.sentence().starts_with("costs at most "), "{}", cost.sentence());
        assert!(cost.so_far(Duration::from_mins(5)).starts_with("has cost at most "));
    }
}

#[test]
fn of_a_fleet_the_dearest_choice_counts() {
    let fleets = "fleets: { master: { on_demand: 1, types: [m5.xlarge, r5.xlarge] } }";
    let cost = cost("us-east-1", "emr-5.29.0", fleets);
    assert_eq!((cost.machines, cost.at_most), (252_000, true));
}

#[test]
fn disks_that_are_named_are_those_that_are_paid() {
    let disk = |disk: &str| {
        cost("us-east-1", "emr-5.29.0", &format!("master: {{ type: m5.xlarge, disk: {disk} }}\n  root_disk: 20GiB"))
    };
    // (20 + 2 × 100) GiB × 0.10 / 730.
    assert_eq!(disk("{ size: 100GiB, type: gp2, count: 2 }").disks, 30_136);
    let provisioned = disk("{ size: 100GiB, type: io1 }");
    assert_eq!(provisioned.hourly(), None);
    assert!(provisioned.sentence().contains("disks of type io1"), "{}", provisioned.sentence());
}

#[test]
fn what_is_not_known_is_said_not_guessed() {
    let elsewhere = cost("eu-west-1", "emr-5.29.0", "master: m5.xlarge");
    assert_eq!((elsewhere.hourly(), elsewhere.after(Duration::from_hours(1))), (None, None));
    insta::assert_snapshot!(elsewhere.sentence(), @"costs what is not known here: there are prices for us-east-1, us-west-2, sa-east-1 only, as of 2025-06");
    let odd = cost("us-east-1", "emr-7.0.0", "master: m5.xlarge\n  core: x2iedn.4xlarge");
    assert_eq!(odd.hourly(), None);
    insta::assert_snapshot!(odd.sentence(), @"costs what is not known here: the prices of us-east-1 as of 2025-06 do not name x2iedn.4xlarge");
}
