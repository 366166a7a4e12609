//! The timer that ends an idle cluster: on a real host, by the script that runs there, with the local cloud's EMR.

use std::time::Duration;

use crate::support::{
    aws::Aws,
    hosts::{Stack, until},
};

const CLUSTER: &str = "\
buckets: { logs: { name: \"${stack}-logs-${account}\" } }
access:
  roles:
    nodes: { name: \"${stack}-nodes\", trust: ec2, profile: true, managed: service-role/AmazonElasticMapReduceforEC2Role }
    service: { name: \"${stack}-service\", trust: elasticmapreduce, managed: service-role/AmazonElasticMapReduceRole }
cluster:
  release: emr-5.29.0
  applications: [Spark]
  subnet: public
  roles: { service: service, nodes: nodes }
  master: m5.xlarge
  idle_timeout: 1h
  logs: logs
  start: with-apply
  reaper: bastion
";

/// Adds a cluster to a stack of hosts.
fn with_cluster(stack: Stack) -> Stack {
    let text = stack.project.read("infra/hosts.yaml");
    stack.project.write("infra/hosts.yaml", &format!("{text}{CLUSTER}"));
    stack
}

/// What the timer's service said when it was started by hand.
fn reap(stack: &Stack) -> String {
    let script = "since=$(date +%s); systemctl start infra-reaper.service || true; sleep 1; \
                  journalctl -q --no-pager -o cat --since \"@$since\" -u infra-reaper.service";
    stack.root("bastion", script)
}

#[test]
fn the_timer_s_service_ends_an_idle_cluster_and_spares_others() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = with_cluster(stack).applied();
    stack.converged();
    let aws = Aws::new(&stack.lab.endpoint, "us-west-2");
    let id = stack.project.id(&["--no-hosts"], "emr_cluster/main");
    let state =
        |id: &str| aws.run(&format!("emr describe-cluster --cluster-id {id}"))["Cluster"]["Status"]["State"].clone();
    // A stranger's, as idle as ours.
    let tags = "infra:stack=somebody-else infra:address=emr_cluster/main";
    let other = aws.run(&format!(
        "emr create-cluster --name other --release-label emr-5.29.0 --instance-type m5.xlarge --instance-count 1 --service-role EMR_DefaultRole --ec2-attributes InstanceProfile=EMR_EC2_DefaultRole --applications Name=Spark --tags {tags}"
    ));
    let other = other["ClusterId"].as_str().expect("a cluster").to_owned();
    until("the other cluster", Duration::from_mins(1), || state(&other) == "WAITING");
    // The timer waits for its time; its settings are those of the spec.
    assert_eq!(stack.root("bastion", "systemctl is-active infra-reaper.timer"), "active\n");
    let settings: serde_json::Value =
        serde_json::from_str(&stack.root("bastion", "cat /etc/infra/reaper.json")).expect("JSON");
    assert_eq!((&settings["idle"], &settings["stack"]), (&3600.into(), &stack.name.clone().into()));
    // Not idle for an hour. The master's YARN is asked, once it answers.
    let mut said = String::new();
    until("an answer of YARN", Duration::from_mins(1), || {
        said = reap(&stack);
        assert!(said.contains(&format!("cluster {id} stays: it has idled for ")), "{said}");
        !said.contains("YARN could not be asked")
    });
    assert!(!said.contains(&other), "{said}");
    // From here on a second is enough. Busy: a step waits.
    stack.root("bastion", "sed -i 's/\"idle\": 3600/\"idle\": 1/' /etc/infra/reaper.json");
    let hang = crate::support::server::control(&stack.lab.endpoint, "POST", "inject", r#"{"emr": "step-hang"}"#);
    assert!(hang.is_some());
    let added = aws.run(&format!(
        "emr add-steps --cluster-id {id} --steps Type=CUSTOM_JAR,Name=long,ActionOnFailure=CONTINUE,Jar=command-runner.jar,Args=[true]"
    ));
    let step = added["StepIds"][0].as_str().expect("a step");
    let said = reap(&stack);
    assert!(said.contains(&format!("cluster {id} stays: 1 of its steps run or wait")), "{said}");
    aws.run(&format!(
        "emr cancel-steps --cluster-id {id} --step-ids {step} --step-cancellation-option TERMINATE_PROCESS"
    ));
    std::thread::sleep(Duration::from_secs(2));
    let said = reap(&stack);
    assert!(said.contains(&format!("cluster {id} ends: it has idled for ")), "{said}");
    until("its end", Duration::from_mins(1), || state(&id) == "TERMINATED");
    assert_eq!(state(&other), "WAITING");
    let said = reap(&stack);
    assert!(said.contains("no cluster is up"), "{said}");
    aws.run(&format!("emr terminate-clusters --cluster-ids {other}"));
    // No root, and nothing to write to.
    let unit = stack.root(
        "bastion",
        "systemctl show -p DynamicUser -p NoNewPrivileges -p ProtectSystem -p CapabilityBoundingSet infra-reaper",
    );
    for line in ["DynamicUser=yes", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet="] {
        assert!(unit.lines().any(|told| told == line), "{line}: {unit}");
    }
    // What was changed by hand is found, and mended; the cluster is wanted again.
    let drift = stack.local(&["plan", "--json"]).expect(0).steps();
    assert!(drift.iter().any(|step| step.starts_with("update file/bastion/etc-infra-reaper.json")), "{drift:?}");
}

#[test]
fn yarn_decides_where_it_is_reached() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = with_cluster(stack).applied();
    let id = stack.project.id(&["--no-hosts"], "emr_cluster/main");
    // The bastion plays the master's YARN: its name leads to itself there.
    let script = format!(
        r#"
        sed -i 's/"idle": 3600/"idle": 1/' /etc/infra/reaper.json
        master=$(python3 -I -c 'import runpy, sys; reap = runpy.run_path("/usr/local/lib/infra/cluster"); import json
settings = json.load(open("/etc/infra/reaper.json"))
emr = reap["Emr"](settings["region"], settings["endpoint"])
print(emr.ours(settings["stack"], settings["address"])[0]["MasterPublicDnsName"])')
        echo "127.0.0.1 $master" >>/etc/hosts
        mkdir -p /run/yarn
        cat >/run/yarn/serve <<'END'
import http.server, json, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        assert self.path.startswith("/ws/v1/cluster/apps?states="), self.path
        running = "RUNNING" in self.path and sys.argv[1] == "busy"
        body = json.dumps({{"apps": {{"app": [{{"id": "a", "finishedTime": 0}}]}} if running else None}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", 8088), Page).serve_forever()
END
        systemd-run -q --unit=yarn-busy python3 /run/yarn/serve busy
        sleep 2
        echo {id}
        "#
    );
    stack.root("bastion", &script);
    let said = reap(&stack);
    assert!(said.contains(&format!("cluster {id} stays: YARN runs 1 applications")), "{said}");
    stack.root(
        "bastion",
        "systemctl stop yarn-busy; systemd-run -q --unit=yarn-idle python3 /run/yarn/serve idle; sleep 2",
    );
    let said = reap(&stack);
    assert!(
        said.contains(&format!("cluster {id} ends: it has idled for ")) && !said.contains("could not be asked"),
        "{said}"
    );
}
