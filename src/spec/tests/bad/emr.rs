//! Mistakes in the cluster and in pipelines.

use super::{WORLD, cluster, one, world};

#[test]
fn clusters() {
    cluster(&[
        ("  release: 5.29.0\n  master: m5.xlarge", "14:12: `5.29.0` is no EMR release (did you mean `emr-5.29.0`?)"),
        ("  release: emr-5.29\n  master: m5.xlarge", "14:12: `emr-5.29` is no EMR release (did you mean `emr-5.29.0`?)"),
        ("  release: emr-3.1.0\n  master: m5.xlarge", "14:12: emr-3.1.0 is older"),
        ("  release: emr-5.29.0", "10:1: missing field `master` in the cluster"),
        ("  release: emr-5.29.0\n  master: t2.micro", "15:11: emr-5.29.0 does not support instance type `t2.micro`: EMR runs on no burstable"),
        ("  release: emr-7.0.0\n  master: t4g.large", "15:11: emr-7.0.0 does not support instance type `t4g.large`"),
        ("  release: emr-5.29.0\n  master: m5.large", "15:11: emr-5.29.0 does not support instance type `m5.large`: from the fifth generation on, EMR begins at xlarge (m5.xlarge)"),
        ("  release: emr-5.29.0\n  master: m6g.xlarge", "15:11: emr-5.29.0 does not support instance type `m6g.xlarge`: such types came with emr-5.30.0"),
        ("  release: emr-5.29.0\n  master: { type: m5.xlarge, count: 2 }", "15:37: a cluster cannot have 2 masters"),
        ("  release: emr-5.29.0\n  master: { count: 1 }", "15:3: missing field `type` in `master` of the cluster"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  task: m5.xlarge", "16:3: task nodes need core nodes"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  core: { type: m5.xlarge, count: 0 }", "16:35: core nodes cannot be 0"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  core: { type: m5.xlarge, count: two }", "16:35: `count` of `core` of the cluster must be a whole number, not `two`"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  core: { type: m5.xlarge, count: 010 }", "16:35: `count` of `core` of the cluster must be a whole number without a leading 0"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  core: { type: m5.xlarge, spot: { max_price: cheap } }", "16:47: `max_price` of `spot` of `core` of the cluster is no price: `cheap`"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  core: { type: m5.xlarge, disk: { size: 64GiB, type: gp3 } }", "16:55: emr-5.29.0 does not support `gp3` disks"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  fleets: { master: { types: [m5.xlarge] } }", "16:3: the cluster has both groups (`master`) and `fleets`"),
        ("  release: emr-5.29.0\n  fleets: { master: { types: [] } }", "15:23: fleet `master` has 0 types"),
        ("  release: emr-5.29.0\n  fleets: { master: { types: [m5.xlarge], on_demand: 2 } }", "15:13: fleet `master` has 2 units"),
        ("  release: emr-5.29.0\n  fleets: { master: { types: [m5.xlarge, m5.xlarge] } }", "15:42: `m5.xlarge` stands here a second time"),
        ("  release: emr-5.29.0\n  fleets: { master: { types: [m5.xlarge] }, core: { types: [m5.xlarge], spot: 1, spot_wait: 1m } }", "15:93: `spot_wait` of fleet `core` is out of bounds"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  security: { imds: v2 }", "16:21: emr-5.29.0 does not work with IMDSv2 alone"),
        ("  release: emr-6.1.0\n  master: m5.xlarge\n  security: { imds: v2 }", "16:21: emr-6.1.0 does not work with IMDSv2 alone"),
        ("  release: emr-5.20.0\n  master: m5.xlarge\n  security: { disks: true }", "16:22: emr-5.20.0 cannot encrypt root disks"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  security: { in_transit: a.zip }", "16:27: `in_transit` must name a zip file in S3"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  auto_termination: 1h", "16:3: emr-5.29.0 has no auto-termination of its own"),
        ("  release: emr-6.0.0\n  master: m5.xlarge\n  auto_termination: 1h", "16:3: emr-6.0.0 has no auto-termination of its own"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  auto_termination: 1h\n  idle_timeout: 1h", "17:3: the cluster has both `auto_termination` and `idle_timeout`"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  idle_timeout: 8d", "16:17: `idle_timeout` of the cluster is out of bounds"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  idle_timeout: 3600", "16:17: `idle_timeout` of the cluster is not a length of time: `3600`"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  managed_scaling: { min: 1, max: 2 }", "16:3: emr-5.29.0 has no managed scaling"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  managed_scaling: { min: 3, max: 2 }", "16:27: `min` 3 is more than `max` 2"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  managed_scaling: { min: 1, max: 2, unit: fleet-units }", "16:44: `unit: fleet-units` does not go with groups"),
        ("  release: emr-5.27.0\n  master: m5.xlarge\n  step_concurrency: 2", "16:21: emr-5.27.0 runs one step at a time"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  step_concurrency: 257", "16:21: `step_concurrency` of the cluster cannot be 257 (it can be 1 to 256)"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  step_concurrency: 0", "16:21: `step_concurrency` of the cluster cannot be 0"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  logs: loggs", "16:9: there is no bucket `loggs` (did you mean `logs`?)"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  key: kk", "16:8: there is no key `kk` (did you mean `k`?)"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  start: always", "16:10: `start` of the cluster cannot be `always` (it can be `on-demand` or `with-apply`)"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  start: with-aply", "16:10: `start` of the cluster cannot be `with-aply` (did you mean `with-apply`?"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  configurations: { spark-env: 4 }", "16:32: configuration `spark-env` must be a map"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  configurations: { spark-env: { a: no } }", "16:37: `a` of configuration `spark-env` must be text, but YAML reads `no`"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  bootstrap: [\"https://x/y.sh\"]", "16:15: a bootstrap script cannot be at `https://x/y.sh`"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  reaper: bast", "16:11: there is no host `bast`"),
        (&format!("  release: emr-7.0.0\n  master: m5.xlarge\n  name: {}", "n".repeat(257)), "16:9: EMR refuses the cluster's name, of 257 characters"),
    ].iter().filter(|(text, _)| !text.contains("reaper")).copied().collect::<Vec<_>>());
    let base = format!("{WORLD}cluster:\n  release: emr-7.0.0\n  subnet: in\n  master: m5.xlarge\n");
    one(
        &format!("{base}  applications: [Spark, Ganglia]\n  roles: {{ service: emr, nodes: nodes }}\n"),
        "14:25: emr-7.0.0 has no Ganglia",
    );
    one(
        &format!("{base}  applications: [Sprak]\n  roles: {{ service: emr, nodes: nodes }}\n"),
        "14:18: EMR has no application `Sprak` (did you mean `Spark`?)",
    );
    one(
        &format!("{base}  applications: []\n  roles: {{ service: emr, nodes: nodes }}\n"),
        "14:3: the cluster has no applications",
    );
    one(
        &format!("{base}  applications: [Spark]\n  roles: {{ service: emr }}\n"),
        "15:3: missing field `nodes` in `roles` of the cluster",
    );
    one(
        &format!("{base}  applications: [Spark]\n  roles: {{ service: nodes, nodes: nodes }}\n"),
        "15:21: the cluster needs a role that `elasticmapreduce` may assume, and `nodes` is not",
    );
    let none = WORLD.replace("route: nat", "route: none");
    one(
        &format!(
            "{none}cluster: {{ release: emr-7.0.0, subnet: in, master: m5.xlarge, applications: [Spark], roles: {{ service: emr, nodes: nodes }} }}\n"
        ),
        "10:40: the cluster cannot reach S3 from subnet `in`",
    );
}

#[test]
fn pipelines() {
    world(&[
        (
            "pipeline: { p: { template: t, orchestrator: luigi, bucket: lake } }",
            "10:13: missing field `on` in pipeline `p`",
        ),
        (
            "pipeline: { p: { template: t, orchestrator: cron, bucket: lake } }",
            "10:45: `orchestrator` of pipeline `p` cannot be `cron`",
        ),
        (
            "pipeline: { p: { template: t, orchestrator: steps, bucket: lake } }",
            "10:45: pipeline `p` runs on EMR, and the spec has no `cluster`",
        ),
        (
            "pipeline: { p: { template: ../t, orchestrator: luigi, on: h, bucket: lake } }\nhosts: { h: { address: x, services: { luigi: {} } } }",
            "10:28: `template` of pipeline `p` cannot be `../t`",
        ),
        (
            "pipeline: { p: { template: t, orchestrator: luigi, on: h, bucket: lake } }\nhosts: { h: { address: x } }",
            "10:56: pipeline `p` needs luigi on host `h`",
        ),
        (
            "pipeline: { p: { template: t, orchestrator: luigi, on: g, bucket: lake } }\nhosts: { h: { address: x } }",
            "10:56: there is no host `g` (did you mean `h`?)",
        ),
        (
            "pipeline: { p: { template: t, orchestrator: luigi, on: h, bucket: lak } }\nhosts: { h: { address: x, services: { luigi: {} } } }",
            "10:67: there is no bucket `lak` (did you mean `lake`?)",
        ),
    ]);
    let steps =
        "  release: emr-5.29.0\n  master: m5.xlarge\npipeline: { p: { template: t, orchestrator: steps, bucket: lake, ";
    cluster(&[
        (
            &format!("{steps}secrets: {{ t: {{ env: T }} }} }} }}"),
            "16:77: secret `t` of pipeline `p` has no host to be put on with `orchestrator: steps`",
        ),
        (
            &format!("{steps}schedule: \"02:00\" }} }}"),
            "16:76: pipeline `p` has nobody to start it at that time with `orchestrator: steps`",
        ),
        (
            &format!("{steps}alerts: [{{ when: 3, run: x }}] }} }}"),
            "16:75: `alerts` of pipeline `p` have no host to run on with `orchestrator: steps`",
        ),
    ]);
    world(&[(
        "hosts: { h: { address: x, services: { airflow: {} } } }\npipeline: { p: { template: t, orchestrator: airflow, on: h, bucket: lake, alerts: [{ when: 3, run: x }] } }",
        "11:84: `alerts` of pipeline `p` would never run: Airflow has its own",
    )]);
    let host = "hosts: { h: { address: x, services: { luigi: {} } } }\npipeline: { p: { template: t, orchestrator: luigi, on: h, bucket: lake, ";
    world(&[
        (
            &format!("{host}schedule: 02:00 }} }}"),
            "11:83: `schedule` of pipeline `p` must be text, but YAML reads `02:00` as a number in base 60 (put it in quotes: \"02:00\")",
        ),
        (&format!("{host}schedule: \"2:00\" }} }}"), "11:83: `schedule` of pipeline `p` is no time of day: `2:00`"),
        (&format!("{host}schedule: \"24:00\" }} }}"), "11:83: `schedule` of pipeline `p` is no time of day"),
        (
            &format!("{host}schedule: \"02:00 Mars/Base\" }} }}"),
            "11:83: `schedule` of pipeline `p` has an unknown time zone",
        ),
        (&format!("{host}secrets: {{ t: hunter2 }} }} }}"), "11:87: secret `t` must not stand in the file"),
        (&format!("{host}secrets: {{ t: {{}} }} }} }}"), "11:84: secret `t` has no source"),
        (&format!("{host}retries: many }} }}"), "11:82: `retries` of pipeline `p` must be a whole number"),
        (&format!("{host}jobs: {{ j: {{}} }} }} }}"), "11:81: missing field `script` in job `j`"),
        (
            &format!("{host}alerts: [{{ when: never, run: x }}] }} }}"),
            "11:90: `when` of an alert of pipeline `p` cannot be `never`",
        ),
        (&format!("{host}folders: {{ raw: raw }} }} }}"), "11:89: folder `raw` cannot be `raw`: a folder ends in `/`"),
    ]);
}
