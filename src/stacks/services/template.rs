//! The texts of `templates/hosts/`, and how they are filled in.

use minijinja::{Environment, UndefinedBehavior, context};

use super::setup::HostFacts;

macro_rules! text {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/hosts/", $path))
    };
}

pub(super) const BUILD: &str = text!("build-requirements.txt");
pub(super) const BUILD_3_8: &str = text!("build-requirements-3.8.txt");
pub(super) const PRIVATE_ADDRESS: &str = text!("private-address");
pub(super) const ADDRESS_UNIT: &str = text!("infra-address.service");
pub(super) const DOCKER_DAEMON: &str = text!("docker/daemon.json");
pub(super) const LUIGI_3_6_0: &str = text!("luigi/requirements-3.6.0.txt");
pub(super) const LUIGI_3_8_1: &str = text!("luigi/requirements-3.8.1.txt");
pub(super) const LUIGI_CONFIG: &str = text!("luigi/luigi.cfg");
pub(super) const LUIGI_PRUNE: &str = text!("luigi/prune-history");
pub(super) const LUIGI_UNIT: &str = text!("luigi/luigid.service");
pub(super) const LUIGI_HISTORY_UNIT: &str = text!("luigi/luigid-history.service");
pub(super) const LUIGI_HISTORY_TIMER: &str = text!("luigi/luigid-history.timer");
pub(in crate::stacks) const CLUSTER: &str = text!("cluster/cluster");
pub(super) const REAPER_UNIT: &str = text!("reaper/infra-reaper.service");
pub(super) const REAPER_TIMER: &str = text!("reaper/infra-reaper.timer");
pub(super) const AIRFLOW_2_8_0: &str = text!("airflow/requirements-2.8.0.txt");
pub(super) const AIRFLOW_CONFIG: &str = text!("airflow/airflow.cfg");
pub(super) const AIRFLOW_WEB_CONFIG: &str = text!("airflow/webserver_config.py");
pub(super) const AIRFLOW_TMPFILES: &str = text!("airflow/tmpfiles.conf");
pub(super) const AIRFLOW_COMMAND: &str = text!("airflow/airflow");
pub(super) const AIRFLOW_PREPARE: &str = text!("airflow/prepare");
pub(super) const AIRFLOW_ADMIN: &str = text!("airflow/admin");
pub(super) const AIRFLOW_STANDALONE: &str = text!("airflow/standalone");
pub(super) const AIRFLOW_PREPARE_UNIT: &str = text!("airflow/airflow-prepare.service");
pub(super) const AIRFLOW_SETUP_UNIT: &str = text!("airflow/airflow-setup.service");
pub(super) const AIRFLOW_SCHEDULER_UNIT: &str = text!("airflow/airflow-scheduler.service");
pub(super) const AIRFLOW_WEBSERVER_UNIT: &str = text!("airflow/airflow-webserver.service");
pub(super) const AIRFLOW_STANDALONE_UNIT: &str = text!("airflow/airflow-standalone.service");

/// Addresses that no one routes in the internet: RFC 1918, and RFC 6598's for providers.
const PRIVATE_RANGES: [&str; 4] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"];

/// What the texts may refer to. All of it is checked by the spec: no quoting is needed.
#[derive(Default)]
pub(super) struct Values {
    /// Seconds between two looks at the cluster.
    pub interval: u64,
    /// The page's port.
    pub port: u16,
    /// Days that luigi's history is kept.
    pub history_days: u64,
    /// Login of Airflow's administrator.
    pub admin: String,
    /// The folder of DAGs.
    pub dags: &'static str,
    /// Where the administrator's password is.
    pub password_file: &'static str,
    /// What Airflow's units do without.
    pub hardening: &'static str,
    /// Ranges to look for the private address in, in that order, with blanks between them.
    pub ranges: String,
    /// The address to listen on where the host has none in `ranges`; `-` where it must have one.
    pub fallback: &'static str,
}

impl Values {
    /// Those that every service shares; the rest are empty.
    pub(super) fn of(facts: &HostFacts) -> Self {
        let ranges = match facts.network {
            Some(network) => network.trunc().to_string(),
            None => PRIVATE_RANGES.join(" "),
        };
        Self {
            interval: 0,
            port: 0,
            history_days: 0,
            admin: String::new(),
            dags: "",
            password_file: "",
            hardening: text!("airflow/hardening.conf"),
            ranges,
            fallback: if facts.network.is_some() { "-" } else { "127.0.0.1" },
        }
    }
}

/// Fills in a text.
pub(super) fn render(text: &str, values: &Values) -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let &Values { interval, port, history_days, dags, password_file, hardening, fallback, ref admin, ref ranges } =
        values;
    let (admin, ranges) = (admin.as_str(), ranges.as_str());
    let values = context! { interval, port, history_days, admin, dags, password_file, hardening, ranges, fallback };
    let mut rendered = environment.render_str(text, values).expect("the tests render every text of this program");
    // A template's last newline is dropped.
    rendered.push('\n');
    rendered
}
