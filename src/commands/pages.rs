//! The pages that hosts have, and what there is to know about the services behind them.

use std::time::Duration;

use crate::{
    hosts::shell,
    spec::{Service, Spec, Table},
    stacks::services::{self, Health, HostFacts},
};

/// A page of a host.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its name, the service's: `luigi`.
    pub name: &'static str,
    /// The host.
    pub host: String,
    /// Its port, on the host's private address.
    pub port: u16,
    /// What a browser asks for.
    pub path: &'static str,
    /// Whether the service behind it works.
    pub health: Health,
    /// The login of its administrator, where it has logins.
    pub login: Option<String>,
    /// The units of systemd that it is made of.
    units: Vec<&'static str>,
}

/// Tells the address at which a host's services listen; prints nothing where none was set up.
pub const ADDRESS: &str = "cat /run/infra/address.env 2>/dev/null || true";

/// Lines of a unit's journal that are shown.
const JOURNAL: usize = 10;

/// All pages of a stack's hosts.
pub fn of(spec: &Spec) -> Vec<Page> {
    let mut pages = Vec::new();
    for (host, it) in &spec.hosts {
        for (name, service) in &it.services {
            // One alone, so that the units are its own.
            let alone = Table::from_iter([(name.clone(), service.clone())]);
            let setup = services::setup(&alone, &HostFacts::default());
            let units = setup.services.iter().filter(|unit| unit.enabled).map(|unit| unit.unit);
            let units: Vec<&str> = units.collect();
            let login = match &service.value {
                Service::Airflow(airflow) => Some(airflow.admin.value.clone()),
                _ => None,
            };
            for forward in &setup.forwards {
                let Some(health) = setup.health.iter().find(|health| health.name == forward.name) else { continue };
                pages.push(Page {
                    name: forward.name,
                    host: host.clone(),
                    port: forward.port,
                    path: forward.path,
                    health: health.clone(),
                    login: login.clone(),
                    units: units.clone(),
                });
            }
        }
    }
    pages
}

impl Page {
    /// Tells since how many seconds the unit runs that was started last; nothing where one does not run.
    pub fn age_script(&self) -> String {
        let units = shell::words(self.units.iter().copied());
        format!(
            "youngest=0
for unit in {units}; do
    case $(systemctl is-active \"$unit\" 2>/dev/null) in
        activating) since=$(systemctl show -p InactiveExitTimestampMonotonic --value \"$unit\") ;;
        active) since=$(systemctl show -p ActiveEnterTimestampMonotonic --value \"$unit\") ;;
        *) exit 0 ;;
    esac
    if [ \"${{since:-0}}\" -gt \"$youngest\" ]; then youngest=$since; fi
done
up=$(cut -d . -f 1 /proc/uptime)
printf 'SECONDS=%s\\n' $((up - youngest / 1000000))"
        )
    }

    /// For how long the page's service may still be starting, by what the host told.
    pub fn may_start_for(&self, lines: &[String]) -> Duration {
        let seconds = lines.iter().find_map(|line| line.strip_prefix("SECONDS=")?.trim().parse::<i64>().ok());
        // Clocks of hosts are read in whole seconds.
        seconds.map_or(Duration::ZERO, |seconds| {
            self.health.within.saturating_sub(Duration::from_secs(seconds.try_into().unwrap_or_default()))
        })
    }

    /// Tells the state of the page's units, and of those that do not run what they said last.
    pub fn state_script(&self) -> String {
        let units = shell::words(self.units.iter().copied());
        format!(
            "bad=
for unit in {units}; do
    state=$(systemctl is-active \"$unit\" 2>/dev/null)
    why=$(systemctl show -p Result --value \"$unit\")
    printf '%s: %s%s\\n' \"$unit\" \"$state\" \"$([ \"$why\" = success ] || printf ' (%s)' \"$why\")\"
    [ \"$state\" = active ] || bad=\"$bad $unit\"
done
for unit in ${{bad:-{units}}}; do
    journalctl -u \"$unit\" -n {JOURNAL} --no-pager -o short-iso -q
done"
        )
    }
}

/// A line of a journal as it may be shown: Airflow, for one, tells passwords.
pub fn shown(line: &str) -> &str {
    if line.to_ascii_lowercase().contains("password") { "(a line about a password is not shown)" } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_its_own_units_and_no_others() {
        let text = "\
stack: pages
region: us-west-2
hosts:
  one:
    address: 192.0.2.1
    login: admin
    services: { docker: {}, luigi: { port: 9082 }, airflow: { admin: boss } }
";
        let spec = crate::spec::load_str("pages.yaml", text, &crate::spec::LoadOptions::default()).unwrap();
        let pages = of(&spec);
        let names: Vec<_> = pages.iter().map(|page| (page.name, page.port, page.login.as_deref())).collect();
        assert_eq!(names, [("luigi", 9082, None), ("airflow", 8080, Some("boss"))]);
        assert!(pages[0].units.contains(&"luigid.service"), "{:?}", pages[0].units);
        assert!(!pages[0].units.iter().any(|unit| unit.starts_with("airflow")), "{:?}", pages[0].units);
        for script in [pages[0].state_script(), pages[0].age_script()] {
            let syntax = std::process::Command::new("sh").args(["-n", "-c", &script]).status();
            assert!(syntax.expect("sh is installed").success(), "{script}");
        }
        let within = pages[1].health.within;
        let left = |line: &str| pages[1].may_start_for(&[line.to_owned()]);
        assert_eq!(left("SECONDS=20") + Duration::from_secs(20), within);
        // It was given its time already, or does not run at all.
        assert_eq!((left("SECONDS=86400"), pages[1].may_start_for(&[])), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn passwords_in_a_journal_are_not_shown() {
        assert_eq!(shown("luigid: started"), "luigid: started");
        assert!(!shown("Login with username: admin  Password: hunter2").contains("hunter2"));
    }
}
