//! The timer that ends an idle cluster, on the host that the spec names as its `reaper`.

use std::time::Duration;

use serde_json::json;

use super::{
    setup::{FileSetup, HostSetup, ServiceSetup},
    template::{self, Values},
};

const SCRIPT: &str = "/usr/local/lib/infra/reap";
const SETTINGS: &str = "/etc/infra/reaper.json";

/// What is to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaper {
    /// The region.
    pub region: String,
    /// The stack, as in the cluster's tag.
    pub stack: String,
    /// The cluster's address, as in its tag.
    pub address: String,
    /// How long it may idle.
    pub idle: Option<Duration>,
    /// How long it may live.
    pub lifetime: Option<Duration>,
    /// Where EMR is, where that is not AWS.
    pub endpoint: Option<String>,
}

/// Adds it to what a host needs.
pub fn add_reaper(setup: &mut HostSetup, reaper: &Reaper) {
    let Reaper { region, stack, address, idle, lifetime, endpoint } = reaper;
    let seconds = |duration: &Option<Duration>| duration.map(|duration| duration.as_secs());
    let settings = json!({
        "region": region,
        "stack": stack,
        "address": address,
        "idle": seconds(idle),
        "lifetime": seconds(lifetime),
        "endpoint": endpoint,
    });
    let settings = serde_json::to_string_pretty(&settings).expect("texts and numbers are JSON") + "\n";
    setup.packages.extend(["python3".into(), "ca-certificates".into()]);
    for (path, content, mode) in [(SCRIPT, template::REAPER.to_owned(), 0o755), (SETTINGS, settings, 0o644)] {
        setup.files.push(FileSetup { path, content, mode, owner: "root" });
    }
    let values = Values { interval: interval(*idle, *lifetime), ..Values::default() };
    for (unit, text, enabled) in
        [("infra-reaper.service", template::REAPER_UNIT, false), ("infra-reaper.timer", template::REAPER_TIMER, true)]
    {
        let content = template::render(text, &values);
        setup.services.push(ServiceSetup { unit, content, enabled, restart_on: Vec::new() });
    }
}

/// Seconds between two looks: a tenth of the shorter limit, between one minute and five.
fn interval(idle: Option<Duration>, lifetime: Option<Duration>) -> u64 {
    let shorter = [idle, lifetime].into_iter().flatten().min().unwrap_or_default();
    (shorter.as_secs() / 10).clamp(60, 300)
}
