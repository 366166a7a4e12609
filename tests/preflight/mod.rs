//! The cluster's own affairs on the local cloud: checks before it starts, why it failed, and its end when it idles.

mod checks;
mod explained;
mod reaped;
mod script;

use std::path::PathBuf;

use engine::{Graph, Inventory, Plan, Selection};
use infra::{
    cloud::{Cloud, Connection, Journal, Target, connect},
    resources::REGISTRY,
    spec::{LoadOptions, Spec, load},
    stacks,
};

use crate::support::cli::Project;

const FILE: &str = "infra/checked.yaml";

/// A stack with a cluster that `apply` starts.
const SPEC: &str = "\
stack: checked
region: us-west-2
network:
  cidr: 10.0.0.0/16
  subnets:
    public: { cidr: 10.0.0.0/24, route: internet }
keys: { admin: { generate: true } }
buckets:
  logs: { name: \"${stack}-logs-${account}\" }
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
  core: m5.xlarge
  bootstrap: [\"s3://elasticmapreduce/bootstrap-actions/first.sh\"]
  idle_timeout: 1m
  logs: { bucket: logs, folder: emr/ }
  start: with-apply
";

/// A project with that spec on a cloud, changed by `edits`.
fn project(endpoint: &str, edits: &[(&str, &str)]) -> Project {
    let project = Project::empty(endpoint);
    project.write(FILE, SPEC);
    for (from, to) in edits {
        project.edit(FILE, from, to);
    }
    project
}

/// The stack as the program sees it.
struct Seen {
    spec: Spec,
    cloud: Cloud,
}

impl Seen {
    async fn of(project: &Project, endpoint: &str) -> Self {
        let spec = load(&project.path(FILE), &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"));
        let target = Target::Local {
            endpoint: endpoint.to_owned(),
            lag: std::time::Duration::ZERO,
            gateway: None,
            python: None,
        };
        let connection: Connection = connect(&target, &spec.region).await.expect("the local cloud answers");
        let names = stacks::names(&spec, &connection.account, PathBuf::from("nowhere"));
        Self { spec, cloud: Cloud::new(&connection, names, Journal::in_memory()) }
    }

    async fn known(&self) -> Inventory {
        let found = engine::observe(&REGISTRY, &self.cloud).await;
        found.unwrap_or_else(|error| panic!("{:?}", anyhow::Error::from(error)))
    }

    /// A plan that does nothing: what is missing stays missing.
    fn nothing() -> Plan {
        engine::plan(&REGISTRY, &Graph::<Cloud>::default(), &Inventory::default(), Selection::All)
    }

    /// What `apply` would do.
    async fn plan(&self, known: &Inventory) -> Plan {
        let desired = stacks::build(&self.spec, &self.cloud.names, &stacks::Intent::default(), known).await;
        engine::plan(&REGISTRY, &desired.expect("a graph"), known, Selection::All)
    }
}
