//! luigi's scheduler.

use std::time::Duration;

use super::{
    setup::{AccountSetup, Expect, FileSetup, Forward, Health, HostFacts, HostSetup, ServiceSetup, VenvSetup},
    template::{self, Values},
};
use crate::spec::Luigi;

const NAME: &str = "luigi";
const VENV: &str = "/opt/infra/luigi";
const CONFIG: &str = "/etc/luigi/luigi.cfg";
const PRUNE: &str = "/usr/local/lib/infra/luigi-prune-history";

pub(super) fn add(setup: &mut HostSetup, luigi: &Luigi, facts: &HostFacts) {
    let values =
        Values { port: *luigi.port, history_days: luigi.history.as_secs().div_ceil(24 * 60 * 60), ..Values::of(facts) };
    let (requirements, build) = packages(luigi.version.as_ref().map(|version| version.value.as_str()));
    setup.packages.insert("python3-venv".into());
    setup.accounts.push(AccountSetup { name: NAME, home: "/var/lib/luigi" });
    setup.files.push(FileSetup {
        path: CONFIG,
        content: template::render(template::LUIGI_CONFIG, &values),
        mode: 0o644,
        owner: "root",
    });
    setup.files.push(FileSetup { path: PRUNE, content: template::LUIGI_PRUNE.into(), mode: 0o755, owner: "root" });
    setup.venvs.push(VenvSetup {
        path: VENV,
        // luigi runs on whatever Python 3 the distribution has.
        python: "python3".into(),
        requirements,
        build,
    });
    for (unit, text, enabled, restart_on) in [
        ("luigid.service", template::LUIGI_UNIT, true, vec![VENV, CONFIG]),
        ("luigid-history.service", template::LUIGI_HISTORY_UNIT, false, vec![]),
        ("luigid-history.timer", template::LUIGI_HISTORY_TIMER, true, vec![]),
    ] {
        let content = template::render(text, &values);
        setup.services.push(ServiceSetup { unit, content, enabled, restart_on });
    }
    setup.forwards.push(Forward { name: NAME, port: *luigi.port, path: "/static/visualiser/index.html" });
    setup.health.push(Health {
        name: NAME,
        port: *luigi.port,
        path: "/api/task_list?data=%7B%7D",
        expect: Expect::Contains("\"response\""),
        within: Duration::from_secs(15),
    });
}

/// The pinned set of a version and what builds it; the newest that was tested where none is named. The spec has refused
/// unknown ones.
fn packages(version: Option<&str>) -> (&'static str, &'static str) {
    match version {
        Some("3.6.0") => (template::LUIGI_3_6_0, template::BUILD_3_8),
        _ => (template::LUIGI_3_8_1, template::BUILD),
    }
}
