//! A stack with a bastion and a cluster, and what the tests of the tunnel do with it.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    aws::Aws,
    cli::Run,
    hosts::Stack,
    lab::{Lab, lab},
};

pub const SPEC: &str = "infra/hosts.yaml";

/// What comes to the spec of hosts: a cluster in the private subnet that `apply` starts.
const CLUSTER: &str = "
buckets:
  logs: { name: \"${stack}-logs-${account}\" }

access:
  roles:
    emr_nodes:
      name: ${stack}-emr-nodes
      trust: ec2
      profile: true
      managed: service-role/AmazonElasticMapReduceforEC2Role
    emr_service:
      name: ${stack}-emr-service
      trust: elasticmapreduce
      managed: service-role/AmazonElasticMapReduceRole

cluster:
  release: emr-5.29.0
  applications: [Hadoop, Spark, Ganglia, Zeppelin]
  subnet: private
  roles: { service: emr_service, nodes: emr_nodes }
  master: m5.xlarge
  core: m5.xlarge
  start: with-apply
  logs: { bucket: logs, folder: emr/ }
";

/// How long things may take that take a moment: the machine may have much else to do.
pub const LONG: Duration = Duration::from_mins(2);

/// A stack with a cluster. Its tunnel, if there is one, ends with it.
pub struct Tunnelled {
    pub stack: Stack,
}

impl Drop for Tunnelled {
    fn drop(&mut self) {
        self.stack.local(&["tunnel", "down"]);
        self.stack.local(&["destroy", "--yes", "--no-hosts", "--empty-buckets"]);
    }
}

impl Tunnelled {
    /// Not applied yet; nothing where this machine cannot have real hosts.
    pub fn described() -> Option<Self> {
        lab().map(Self::on)
    }

    /// The same on a cloud of the test's own.
    pub fn on(lab: &'static Lab) -> Self {
        let stack = Stack::on(lab, "ana\n");
        let text = stack.project.read(SPEC);
        let hosts = &text[..text.find("  inner:\n").expect("the spec has an inner host")];
        let hosts = hosts
            .replace("    private: { cidr: 10.0.1.0/24 }\n", "    private: { cidr: 10.0.1.0/24 }\n  endpoints: [s3]\n");
        stack.project.write(SPEC, &format!("{hosts}{CLUSTER}"));
        Self { stack }
    }

    /// Applied: bastion and cluster are there.
    pub fn applied() -> Option<Self> {
        Some(Self::described()?.apply())
    }

    /// Makes it.
    #[track_caller]
    pub fn apply(self) -> Self {
        self.stack.local(&["apply", "--yes", "--no-hosts"]).expect(0);
        self
    }

    /// Opens the tunnel; returns its port.
    #[track_caller]
    pub fn up(&self) -> u16 {
        let run = self.stack.local(&["tunnel", "up"]).expect(0).says(&["The tunnel is up", "through bastion"]);
        port_of(&run.out)
    }

    /// What `status` tells.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.stack.local(&["tunnel", "status", "--json"]).expect(0).json()
    }

    /// One text of what `status` tells.
    #[track_caller]
    pub fn told(&self, name: &str) -> String {
        let status = self.status();
        status[name].as_str().unwrap_or_else(|| panic!("no {name} in {status}")).to_owned()
    }

    /// The cluster's id.
    #[track_caller]
    pub fn cluster(&self) -> String {
        self.stack.project.id(&[], "emr_cluster/main")
    }

    /// The AWS command line on the same cloud.
    pub fn aws(&self) -> Aws {
        Aws::new(&self.stack.lab.endpoint, "us-west-2")
    }
}

/// The port in `socks5h://127.0.0.1:PORT`.
#[track_caller]
pub fn port_of(out: &str) -> u16 {
    let port = out.trim().strip_prefix("socks5h://127.0.0.1:").and_then(|port| port.parse().ok());
    port.unwrap_or_else(|| panic!("no port in {out:?}"))
}

/// Asks for a page with curl; `options` say by which way. What it answers begins with the status.
pub fn curl(options: &[&str], url: &str) -> Run {
    let mut command = Command::new("curl");
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
    command.args(["-q", "-sS", "--max-time", "20", "--noproxy", "", "-w", "\n%{http_code}"]).args(options).arg(url);
    command.stdin(Stdio::null()).output().expect("curl is installed").into()
}

/// Whether a page answers through a tunnel.
pub fn answers(port: u16, url: &str) -> bool {
    curl(&["--socks5-hostname", &format!("127.0.0.1:{port}")], url).out.ends_with("\n200")
}

/// Whether a process is there that is not over.
pub fn lives(process: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// The processes whose command lines have `part` in them.
pub fn processes_with(part: &str) -> Vec<u64> {
    let entries = std::fs::read_dir("/proc").expect("Linux").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    let has = |id: &u64| {
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ").contains(part)
    };
    ids.filter(has).filter(|id| lives(*id)).collect()
}

/// Sends a signal to one process.
pub fn signal(name: &str, process: u64) {
    let status = Command::new("kill").args(["-s", name, &process.to_string()]).status();
    assert!(status.expect("kill runs").success(), "SIG{name} to {process}");
}
