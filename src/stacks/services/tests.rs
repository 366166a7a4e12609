use std::{collections::BTreeMap, path::Path};

use super::*;
use crate::spec::{LoadOptions, load, load_str};

fn shipped(stack: &str, host: &str, facts: &HostFacts) -> HostSetup {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("infra/{stack}.yaml"));
    let spec = load(&file, &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"));
    setup(&spec.hosts[host].services, facts)
}

fn server(services: &str) -> HostSetup {
    let text = format!("stack: demo\nregion: us-west-2\nhosts: {{ h: {{ address: x, services: {services} }} }}\n");
    let spec = load_str("demo.yaml", &text, &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"));
    setup(&spec.hosts["h"].services, &HostFacts::default())
}

fn in_network(network: &str) -> HostFacts {
    HostFacts { network: Some(network.parse().expect("a range")), python: None }
}

fn unit<'a>(setup: &'a HostSetup, name: &str) -> &'a str {
    let found = setup.services.iter().find(|service| service.unit == name);
    &found.unwrap_or_else(|| panic!("no {name}")).content
}

fn file<'a>(setup: &'a HostSetup, path: &str) -> &'a FileSetup {
    setup.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}"))
}

/// Every setup that the spec can ask for.
fn all() -> Vec<HostSetup> {
    vec![
        shipped("nyc311", "processing", &in_network("10.0.0.0/16")),
        shipped("vendas", "airflow", &in_network("10.1.0.0/16")),
        server("{ airflow: { standalone: true }, luigi: { version: \"3.6.0\" }, docker: {} }"),
    ]
}

#[test]
fn luigi_listens_on_the_private_address_and_the_port_of_the_spec() {
    let setup = server("{ luigi: { port: 9999, history: 36h } }");
    let luigid = unit(&setup, "luigid.service");
    assert!(luigid.contains("luigid --address ${INFRA_ADDRESS} --port 9999\n"), "{luigid}");
    assert!(luigid.contains(&format!("EnvironmentFile={ADDRESS_FILE}\n")), "{luigid}");
    assert!(file(&setup, "/etc/luigi/luigi.cfg").content.contains("default-scheduler-port = 9999\n"));
    // A day begun counts as one.
    assert!(unit(&setup, "luigid-history.service").contains("luigi-prune-history 2\n"));
    assert_eq!(setup.forwards.iter().map(|page| (page.name, page.port)).collect::<Vec<_>>(), [("luigi", 9999)]);
}

#[test]
fn a_host_of_the_network_must_have_an_address_in_it_and_a_server_falls_back_to_loopback() {
    let setup = shipped("nyc311", "processing", &in_network("10.0.3.4/16"));
    assert!(unit(&setup, ADDRESS_UNIT).contains("private-address - 10.0.0.0/16\n"));
    assert!(unit(&setup, "luigid.service").contains("IPAddressAllow=localhost 10.0.0.0/16\n"));
    let setup = server("{ luigi: {} }");
    assert!(unit(&setup, ADDRESS_UNIT).contains("private-address 127.0.0.1 10.0.0.0/8 172.16.0.0/12 "));
}

#[test]
fn luigi_s_version_chooses_its_packages() {
    assert!(server("{ luigi: {} }").venvs[0].requirements.contains("\nluigi==3.8.1 "));
    assert!(server("{ luigi: { version: \"3.6.0\" } }").venvs[0].requirements.contains("\nluigi==3.6.0 "));
}

#[test]
fn airflow_is_scheduler_and_webserver_or_one_process() {
    let names = |setup: &HostSetup| setup.services.iter().map(|service| service.unit).collect::<Vec<_>>();
    let setup = shipped("vendas", "airflow", &in_network("10.1.0.0/16"));
    let before = [ADDRESS_UNIT, "airflow-prepare.service", "airflow-setup.service"];
    assert_eq!(names(&setup)[..3], before);
    assert_eq!(names(&setup)[3..], ["airflow-scheduler.service", "airflow-webserver.service"]);
    assert!(unit(&setup, "airflow-scheduler.service").contains("airflow scheduler --skip-serve-logs\n"));
    assert!(unit(&setup, "airflow-webserver.service").contains("--hostname ${INFRA_ADDRESS} --port 8080 "));
    let setup = server("{ airflow: { standalone: true, admin: chief } }");
    assert_eq!(names(&setup)[3..], ["airflow-standalone.service"]);
    assert!(unit(&setup, "airflow-setup.service").contains("infra/airflow-admin chief\n"));
}

#[test]
fn airflow_takes_the_spec_s_python_unless_the_host_is_known_to_have_another() {
    let setup = shipped("vendas", "airflow", &in_network("10.1.0.0/16"));
    assert_eq!(setup.venvs[0].python, "python3.10");
    // Debian has no package `python3.10-venv`, and may have a Python 3.10 all the same.
    assert!(setup.packages.contains("python3-venv"));
    let facts = HostFacts { python: Some("3.11".into()), ..in_network("10.1.0.0/16") };
    assert_eq!(shipped("vendas", "airflow", &facts).venvs[0].python, "python3.11");
}

#[test]
fn docker_alone_needs_no_address() {
    let setup = server("{ docker: { users: [ana] } }");
    assert!(setup.services.is_empty() && setup.files.is_empty());
    let docker = setup.docker.expect("docker");
    assert!(docker.members.contains("ana"));
    let config: serde_json::Value = serde_json::from_str(&docker.config.content).expect("docker reads JSON");
    assert_eq!(config["log-opts"]["max-size"], "10m");
}

#[test]
fn every_text_is_filled_in_and_ends_with_one_newline() {
    for setup in all() {
        let texts = setup.files.iter().map(|file| (file.path, &file.content));
        for (name, text) in texts.chain(setup.services.iter().map(|service| (service.unit, &service.content))) {
            assert!(!text.contains("{{") && !text.contains("{%"), "{name}:\n{text}");
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{name}");
        }
    }
}

#[test]
fn every_package_has_one_version_without_a_condition_and_hashes() {
    for venv in all().iter().flat_map(|setup| &setup.venvs) {
        let mut versions: BTreeMap<&str, &str> = BTreeMap::new();
        // What builds may be among the packages too: then in the same version, or the two would undo each other.
        let joined = format!("{}{}", venv.build, venv.requirements).replace("\\\n", " ");
        for line in joined.lines() {
            assert!(line.contains(" --hash=sha256:") && !line.contains(';'), "{line}");
            let (name, rest) = line.split_once("==").unwrap_or_else(|| panic!("{line}"));
            let version = rest.split(' ').next().expect("a version");
            assert_eq!(*versions.entry(name).or_insert(version), version, "{name} of {}", venv.path);
        }
        assert!(versions.len() > 8, "{versions:?}");
    }
}

#[test]
fn what_services_restart_on_is_something_that_is_there() {
    for setup in all() {
        for path in setup.services.iter().flat_map(|service| &service.restart_on) {
            let known =
                setup.files.iter().any(|file| file.path == *path) || setup.venvs.iter().any(|v| v.path == *path);
            assert!(known, "{path}");
        }
    }
}

#[test]
fn no_unit_hands_a_secret_to_a_process() {
    for setup in all() {
        for service in setup.services.iter().filter(|service| service.content.contains("ExecStart")) {
            for line in service.content.lines().filter(|line| line.starts_with("Exec") || line.starts_with("Env")) {
                assert!(!line.contains("password") && !line.contains("secret"), "{}: {line}", service.unit);
            }
        }
    }
}
