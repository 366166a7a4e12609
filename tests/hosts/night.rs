//! A pipeline at night, without anybody's `infra`: its host starts the stack's cluster where none is up, and ends it.

use std::{fs, time::Duration};

use crate::support::{
    aws::Aws,
    hosts::{Stack, until},
};

const SPEC: &str = r#"
buckets:
  lake: { name: "${stack}-lake-${account}", folders: [cod/] }
access:
  roles:
    nodes: { name: "${stack}-nodes", trust: ec2, profile: true, managed: service-role/AmazonElasticMapReduceforEC2Role }
    service: { name: "${stack}-service", trust: elasticmapreduce, managed: service-role/AmazonElasticMapReduceRole }
    worker: { name: "${stack}-worker", trust: ec2, profile: true, buckets: { lake: read-write }, clusters: run }
cluster:
  release: emr-5.29.0
  applications: [Hadoop, Spark]
  subnet: public
  roles: { service: service, nodes: nodes }
  master: m5.xlarge
  core: { type: m5.xlarge, count: 2 }
  configurations: { spark-env: { export: { PYSPARK_PYTHON: /usr/bin/python3 } } }
  logs: { bucket: lake, folder: emr/ }
pipeline:
  nightly:
    template: nightly
    orchestrator: luigi
    on: inner
    bucket: lake
    schedule: "02:00"
    retries: 0
"#;

const MANIFEST: &str = "host:\n  files: [work.sh]\n  command: [sh, work.sh, \"{{ date }}\"]\n";

/// Two that need the cluster at the same time.
const WORK: &str = r#"
$PIPELINE_CLUSTER >first & $PIPELINE_CLUSTER >second
wait
cat first second >>"$HOME/ran"
[ "$1" != 2026-01-13 ] || exit 13
"#;

#[test]
fn the_host_starts_the_cluster_of_the_spec_and_ends_what_it_started() {
    let Some(stack) = Stack::both("ana\n") else { return };
    let text = stack
        .project
        .read("infra/hosts.yaml")
        .replace("    via: bastion\n", "    via: bastion\n    role: worker\n    services: { luigi: {} }\n");
    stack.project.write("infra/hosts.yaml", &format!("{text}{SPEC}"));
    fs::create_dir_all(stack.project.path("templates/nightly")).expect("a writable project");
    stack.project.write("templates/nightly/pipeline.yaml", MANIFEST);
    stack.project.write("templates/nightly/work.sh", WORK);
    let stack = stack.applied();
    stack.converged();

    let aws = Aws::new(&stack.lab.endpoint, "us-west-2");
    let state = |id: &str| {
        let told = aws.run(&format!("emr describe-cluster --cluster-id {id}"));
        told["Cluster"]["Status"]["State"].as_str().expect("a state").to_owned()
    };
    let ended = |id: &str| until("it ends", Duration::from_mins(2), || state(id) == "TERMINATED");
    let by_host = |verb: &str| {
        stack
            .root("inner", &format!("/usr/local/lib/infra/cluster {verb} /etc/infra/cluster.json /tmp/note"))
            .trim()
            .to_owned()
    };

    // What the host starts is what the spec says, and what `infra cluster up` would have started.
    let id = by_host("start");
    assert_eq!(by_host("start"), id);
    stack.converged();
    let told = stack.local(&["cluster", "status", "--json"]).expect(0).json();
    assert_eq!(told["cluster"]["id"], id.as_str(), "{told}");
    // A run that did not start it leaves it up.
    let home = "/var/lib/infra-pipelines";
    stack.root("inner", "systemctl start pipeline-nightly.service");
    assert_eq!(stack.root("inner", &format!("cat {home}/ran")), format!("{id}\n{id}\n"));
    assert!(["RUNNING", "WAITING"].contains(&state(&id).as_str()), "{}", state(&id));
    by_host("end");
    ended(&id);
    stack.converged();

    // A run that did start it ends it, also when the work fails.
    let program = "/usr/local/lib/infra/pipeline-nightly";
    let as_it = "setpriv --reuid infra-pipelines --regid infra-pipelines --clear-groups";
    for (day, code) in [("2026-01-12", "0"), ("2026-01-13", "13")] {
        let script = format!(
            ": >{home}/ran; code=0; HOME={home} {as_it} {program} {day} || code=$?; cat {home}/ran; echo $code"
        );
        let said = stack.root("inner", &script);
        let [first, second, last] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
        assert!(first.starts_with("j-") && first == second && first != id, "{said}");
        assert_eq!(last, code);
        ended(first);
    }
    assert_eq!(stack.root("inner", "ls /tmp | grep nightly || true"), "");
}
