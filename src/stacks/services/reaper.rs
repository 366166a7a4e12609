//! The timer that ends an idle cluster, on the host that the spec names as its `reaper`.

use std::time::Duration;

use serde_json::json;

use super::{
    setup::{FileSetup, HostSetup, ServiceSetup},
    template::{self, Values},
};

/// The program that watches, starts and ends the cluster on a host.
pub const CLUSTER_PROGRAM: &str = "/usr/local/lib/infra/cluster";
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
    for (path, content, mode) in [(CLUSTER_PROGRAM, template::CLUSTER.to_owned(), 0o755), (SETTINGS, settings, 0o644)] {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaper_is_a_script_its_settings_and_a_timer() {
        let mut setup = HostSetup::default();
        let reaper = Reaper {
            region: "us-west-2".into(),
            stack: "watched".into(),
            address: "emr_cluster/main".into(),
            idle: Some(Duration::from_hours(1)),
            lifetime: None,
            endpoint: None,
        };
        add_reaper(&mut setup, &reaper);
        let settings: serde_json::Value = serde_json::from_str(&setup.files[1].content).unwrap();
        assert_eq!(
            (&settings["idle"], &settings["lifetime"], &settings["endpoint"]),
            (&3600.into(), &json!(null), &json!(null))
        );
        // The timer starts the service, which is not started by itself.
        let units: Vec<(&str, bool)> = setup.services.iter().map(|service| (service.unit, service.enabled)).collect();
        assert_eq!(units, [("infra-reaper.service", false), ("infra-reaper.timer", true)]);
        assert!(setup.services[0].content.contains(&format!("ExecStart={CLUSTER_PROGRAM} reap {SETTINGS}\n")));
        assert!(setup.services[1].content.contains("OnUnitInactiveSec=300\n"));
        for text in setup.services.iter().map(|service| &service.content) {
            assert!(!text.contains("{{") && text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
        }
    }

    #[test]
    fn a_short_limit_is_looked_at_more_often() {
        let minutes = |minutes| Some(Duration::from_mins(minutes));
        assert_eq!(interval(minutes(60), None), 300);
        assert_eq!(interval(minutes(20), minutes(600)), 120);
        assert_eq!(interval(minutes(1), None), 60);
    }
}
