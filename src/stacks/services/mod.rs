//! What a host needs for the services that its spec names: from `services: { luigi: {} }` to packages, files, Python
//! environments and units of systemd, as plain data ([`HostSetup`]).
//!
//! The texts themselves are under `templates/hosts/`. Nothing here is secret: what is (keys, passwords) is made on the
//! host, by a unit, and never leaves it.

mod airflow;
mod docker;
mod luigi;
mod reaper;
mod setup;
mod template;
#[cfg(test)]
mod tests;

pub use reaper::{CLUSTER_PROGRAM, Reaper, add_reaper};
pub use setup::{
    AccountSetup, DockerSetup, Expect, FileSetup, Forward, Health, HostFacts, HostSetup, ServiceSetup, VenvSetup,
};
pub(super) use template::CLUSTER as CLUSTER_TEXT;

use crate::spec::{Service, Table};

/// On a host with services, tells the address that they listen on, as `INFRA_ADDRESS=10.0.1.4`. Its unit finds it anew
/// at each start of the host.
pub const ADDRESS_FILE: &str = "/run/infra/address.env";

/// Where the password of Airflow's administrator is kept: made once on the host, readable by root alone.
pub const AIRFLOW_PASSWORD_FILE: &str = "/var/lib/airflow/admin-password";

/// Where Airflow looks for DAGs: root's, readable by Airflow.
pub const AIRFLOW_DAGS: &str = "/var/lib/airflow/dags";

const ADDRESS_UNIT: &str = "infra-address.service";
const ADDRESS_SCRIPT: &str = "/usr/local/lib/infra/private-address";

/// What a host needs for `services`. The same input gives the same setup.
pub fn setup(services: &Table<Service>, facts: &HostFacts) -> HostSetup {
    let mut setup = HostSetup::default();
    if services.values().any(|service| !matches!(service.value, Service::Docker(_))) {
        address(&mut setup, facts);
    }
    for service in services.values() {
        match &service.value {
            Service::Docker(docker) => docker::add(&mut setup, docker),
            Service::Luigi(luigi) => luigi::add(&mut setup, luigi, facts),
            Service::Airflow(airflow) => airflow::add(&mut setup, airflow, facts),
        }
    }
    setup
}

/// The unit that finds the private address: those with pages listen on nothing else.
fn address(setup: &mut HostSetup, facts: &HostFacts) {
    setup.packages.insert("iproute2".into());
    setup.files.push(FileSetup {
        path: ADDRESS_SCRIPT,
        content: template::PRIVATE_ADDRESS.into(),
        mode: 0o755,
        owner: "root",
    });
    let content = template::render(template::ADDRESS_UNIT, &template::Values::of(facts));
    setup.services.push(ServiceSetup { unit: ADDRESS_UNIT, content, enabled: true, restart_on: vec![ADDRESS_SCRIPT] });
}
