//! Airflow: its database, its keys and administrator (made on the host), scheduler and webserver.

use std::time::Duration;

use super::{
    AIRFLOW_DAGS, AIRFLOW_PASSWORD_FILE,
    setup::{AccountSetup, Expect, FileSetup, Forward, Health, HostFacts, HostSetup, ServiceSetup, VenvSetup},
    template::{self, Values},
};
use crate::spec::Airflow;

const NAME: &str = "airflow";
const VENV: &str = "/opt/infra/airflow";
const CONFIG: &str = "/etc/airflow/airflow.cfg";
const WEB_CONFIG: &str = "/etc/airflow/webserver_config.py";
const PREPARE: &str = "/usr/local/lib/infra/airflow-prepare";
const ADMIN: &str = "/usr/local/lib/infra/airflow-admin";
const STANDALONE: &str = "/usr/local/lib/infra/airflow-standalone";

pub(super) fn add(setup: &mut HostSetup, airflow: &Airflow, facts: &HostFacts) {
    let python = facts.python.clone().unwrap_or_else(|| airflow.python.value.clone());
    let values = Values {
        port: *airflow.port,
        admin: airflow.admin.value.clone(),
        dags: AIRFLOW_DAGS,
        password_file: AIRFLOW_PASSWORD_FILE,
        ..Values::of(facts)
    };
    // The distribution's own Python has its `venv` apart; one that came otherwise has it already.
    setup.packages.extend(["python3-venv".into(), "postgresql".into()]);
    setup.accounts.push(AccountSetup { name: NAME, home: "/var/lib/airflow" });
    for (path, text, mode) in [
        (CONFIG, template::AIRFLOW_CONFIG, 0o644),
        (WEB_CONFIG, template::AIRFLOW_WEB_CONFIG, 0o644),
        ("/etc/tmpfiles.d/airflow.conf", template::AIRFLOW_TMPFILES, 0o644),
        ("/usr/local/bin/airflow", template::AIRFLOW_COMMAND, 0o755),
        (PREPARE, template::AIRFLOW_PREPARE, 0o755),
        (ADMIN, template::AIRFLOW_ADMIN, 0o755),
    ] {
        let content = template::render(text, &values);
        setup.files.push(FileSetup { path, content, mode, owner: "root" });
    }
    setup.venvs.push(VenvSetup {
        path: VENV,
        python: format!("python{python}"),
        requirements: template::AIRFLOW_2_8_0,
        build: template::BUILD,
    });
    let mut units = vec![
        ("airflow-prepare.service", template::AIRFLOW_PREPARE_UNIT, vec![PREPARE]),
        ("airflow-setup.service", template::AIRFLOW_SETUP_UNIT, vec![VENV, CONFIG, ADMIN]),
    ];
    if *airflow.standalone {
        let content = template::AIRFLOW_STANDALONE.into();
        setup.files.push(FileSetup { path: STANDALONE, content, mode: 0o755, owner: "root" });
        let restart_on = vec![VENV, CONFIG, WEB_CONFIG, STANDALONE];
        units.push(("airflow-standalone.service", template::AIRFLOW_STANDALONE_UNIT, restart_on));
    } else {
        units.push(("airflow-scheduler.service", template::AIRFLOW_SCHEDULER_UNIT, vec![VENV, CONFIG]));
        units.push(("airflow-webserver.service", template::AIRFLOW_WEBSERVER_UNIT, vec![VENV, CONFIG, WEB_CONFIG]));
    }
    for (unit, text, restart_on) in units {
        let content = template::render(text, &values);
        setup.services.push(ServiceSetup { unit, content, enabled: true, restart_on });
    }
    setup.forwards.push(Forward { name: NAME, port: *airflow.port, path: "/home" });
    setup.health.push(Health {
        name: NAME,
        port: *airflow.port,
        path: "/health",
        expect: Expect::Json(&["/metadatabase/status", "/scheduler/status"], "healthy"),
        within: Duration::from_mins(2),
    });
}
