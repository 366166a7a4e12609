//! What a pipeline has on its host: its files, an environment of its own, its secrets, what runs it and when.

use std::{collections::BTreeMap, fmt::Write};

use anyhow::{Context, bail};
use engine::{Address, Resource};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    Stack, origin,
    pipeline::{DESCRIPTION, Release, sha256},
    services::{AIRFLOW_DAGS, CLUSTER_PROGRAM, CLUSTER_TEXT},
};
use crate::{
    cloud::Cloud,
    credentials::secret_file::SecretFile,
    hosts::shell,
    resources::{EmrCluster, HostFile, IdOf, OnHost, Package, PythonVenv, Service, stands_for},
    spec::{
        self, Alert, AlertWhen, OnTheHost, Orchestrator, SecretSource, Spanned,
        fill::{self, CLUSTER_SETTINGS},
    },
};

macro_rules! text {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/hosts/pipeline/", $path))
    };
}

/// The account that pipelines run as where luigi does not run them.
const ACCOUNT: &str = "infra-pipelines";
/// The list that says whether a pipeline's folder is whole.
const CHECKSUMS: &str = "SHA256SUMS";
/// What stands for the day in a command, until the shell that runs it knows it.
const DAY: [&str; 5] = ["date", "date_path", "year", "month", "day"];

/// The program that runs a pipeline on its host.
pub fn program(pipeline: &str) -> String {
    format!("/usr/local/lib/infra/pipeline-{pipeline}")
}

/// The unit that runs a pipeline on its host.
pub fn unit(pipeline: &str) -> String {
    format!("pipeline-{pipeline}.service")
}

/// The unit that runs a pipeline on its host for a day of one's own; systemd has one template for all of them.
pub fn unit_of_day(pipeline: &str, date: jiff::civil::Date) -> String {
    format!("pipeline-{pipeline}@{date}.service")
}

fn template_unit(pipeline: &str) -> String {
    format!("pipeline-{pipeline}@.service")
}

/// Where a pipeline's files are on its host, where luigi runs it.
pub fn folder(pipeline: &str) -> String {
    format!("/opt/infra/pipelines/{pipeline}")
}

/// Where the host notes what became of a pipeline's days: a file a day, one line each.
pub fn notes(pipeline: &str) -> String {
    format!("/var/lib/{ACCOUNT}/runs/{pipeline}")
}

/// Where a pipeline's DAG is on Airflow's host.
pub fn dag(pipeline: &str, file: &str) -> String {
    format!("{AIRFLOW_DAGS}/{pipeline}/{file}")
}

/// Whether something on a host is the pipeline's.
pub(super) fn is_of(pipeline: &str, address: &Address) -> bool {
    let Some((_, name)) = address.name.split_once('/') else { return false };
    match address.kind {
        "file" | "python_venv" => name
            .strip_prefix("pipeline:")
            .and_then(|name| name.strip_prefix(pipeline))
            .is_some_and(|rest| rest.starts_with(':')),
        "service" => [unit(pipeline), template_unit(pipeline), format!("pipeline-{pipeline}.timer")]
            .iter()
            .any(|own| own == name),
        _ => false,
    }
}

/// One pipeline on one host, in the making.
struct Placing<'a> {
    host: &'a str,
    on: &'a OnHost,
    name: &'a str,
    pipeline: &'a Spanned<spec::Pipeline>,
    /// What stands for ids that are known later.
    ids: BTreeMap<String, IdOf>,
    needs: Vec<Address>,
}

impl Placing<'_> {
    fn address(&self, what: &str) -> String {
        format!("{}/pipeline:{}:{}", self.host, self.name, what.replace('/', "-"))
    }

    fn file(&self, path: String, content: String, mode: &str, owner: &str) -> HostFile {
        let ids = self.ids.iter().filter(|(stands, _)| content.contains(*stands));
        let ids = ids.map(|(stands, of)| (stands.clone(), of.clone())).collect();
        let (mode, owner) = (mode.to_owned(), format!("{owner}:{owner}"));
        HostFile { on: self.on.clone(), path, content, ids, secret: false, mode, owner, needs: self.needs.clone() }
    }
}

impl Stack<'_> {
    /// The pipelines of a host.
    pub(super) fn pipelines_on(&mut self, host: &str, on: &OnHost) -> anyhow::Result<()> {
        for (name, pipeline) in &self.spec.pipelines {
            let here = pipeline.on.as_ref().is_some_and(|on| on.value == host);
            let Some(release) = self.releases.get(name).filter(|_| here).cloned() else { continue };
            let Some(wanted) = pipeline.content.as_ref().and_then(|content| content.host.clone()) else { continue };
            let package = Address::new(<Package as Resource<Cloud>>::KIND, format!("{host}/services"));
            let needs = if self.graph.contains(&package) { vec![package] } else { Vec::new() };
            let mut placing = Placing { host, on, name, pipeline, ids: self.ids(), needs };
            match *pipeline.orchestrator {
                Orchestrator::Luigi => self.by_luigi(&mut placing, &wanted, &release)?,
                Orchestrator::Airflow => self.by_airflow(&mut placing, &wanted, &release)?,
                Orchestrator::Steps => {}
            }
        }
        Ok(())
    }

    fn by_airflow(&mut self, placing: &mut Placing<'_>, wanted: &OnTheHost, release: &Release) -> anyhow::Result<()> {
        // The DAG reads it as soon as it is there itself.
        let cluster = self.cluster_on(placing);
        placing.needs.extend(cluster);
        let folder = format!("{AIRFLOW_DAGS}/{}", placing.name);
        let files = wanted.files.iter().chain(&wanted.dag).map(|path| path.value.as_str());
        for path in files.chain([DESCRIPTION]) {
            let file = placing.file(format!("{folder}/{path}"), text_of(release, path)?, "644", "root");
            self.graph.add_at(origin(&placing.pipeline.span), placing.address(path), file);
        }
        self.secrets_of(placing, "airflow")?;
        Ok(())
    }

    fn by_luigi(&mut self, placing: &mut Placing<'_>, wanted: &OnTheHost, release: &Release) -> anyhow::Result<()> {
        let (name, pipeline) = (placing.name, placing.pipeline);
        let at = || origin(&pipeline.span);
        let account = format!("u {ACCOUNT} - \"Pipelines, by infra\" /var/lib/{ACCOUNT}\n");
        let path = format!("/etc/sysusers.d/infra-pipeline-{name}.conf");
        let link = self.graph.add_at(at(), placing.address("account"), placing.file(path, account, "644", "root"));
        placing.needs.push(link.address().clone());
        let mut before = placing.needs.clone();

        let folder = folder(name);
        let mut checksums = String::new();
        for path in wanted.files.iter().map(|path| path.value.as_str()).chain([DESCRIPTION]) {
            let content = text_of(release, path)?;
            // One with an id that is put in later cannot be told beforehand.
            if !placing.ids.keys().any(|stands| content.contains(stands)) {
                let _ = writeln!(checksums, "{}  {path}", sha256(content.as_bytes()));
            }
            let file = placing.file(format!("{folder}/{path}"), content, "644", "root");
            before.push(self.graph.add_at(at(), placing.address(path), file).address().clone());
        }
        // After the files that it is about.
        let needs = std::mem::replace(&mut placing.needs, before.clone());
        let file = placing.file(format!("{folder}/{CHECKSUMS}"), checksums, "644", "root");
        before.push(self.graph.add_at(at(), placing.address(CHECKSUMS), file).address().clone());
        placing.needs = needs;

        let venv = format!("/opt/infra/pipeline-{name}");
        if let Some(requirements) = &wanted.requirements {
            let resource = PythonVenv {
                on: placing.on.clone(),
                path: venv.clone(),
                python: "python3".into(),
                requirements: text_of(release, requirements)?,
                build: String::new(),
                needs: placing.needs.clone(),
            };
            before.push(self.graph.add_at(at(), placing.address("environment"), resource).address().clone());
        }
        before.extend(self.cluster_on(placing));
        let secrets = self.secrets_of(placing, ACCOUNT)?;
        let script = self.script(placing, wanted, release, &folder, &venv, &secrets)?;
        let file = placing.file(program(name), script, "755", "root");
        before.push(self.graph.add_at(at(), placing.address("run"), file).address().clone());
        self.units(placing, before)
    }

    /// What stands for ids in files of hosts.
    fn ids(&self) -> BTreeMap<String, IdOf> {
        let subnets = self.subnets.values().map(|link| (stands_for(link.address()), IdOf::Subnet(link.clone())));
        let groups = self.groups.values().map(|link| (stands_for(link.address()), IdOf::SecurityGroup(link.clone())));
        subnets.chain(groups).collect()
    }

    /// Puts on a host what starts and ends the stack's cluster; once, however many pipelines need it.
    fn cluster_on(&mut self, placing: &Placing<'_>) -> Vec<Address> {
        let Some((cluster, request)) = self.spec.cluster.as_ref().zip(self.cluster_request.as_ref()) else {
            return Vec::new();
        };
        let settings = json!({
            "region": self.names.region,
            "endpoint": self.names.aws_for_hosts,
            "stack": self.names.stack,
            "address": format!("{}/{}", <EmrCluster as Resource<Cloud>>::KIND, super::CLUSTER),
            "deadline": cluster.start_deadline.as_secs(),
            "request": request,
        });
        let files =
            [(CLUSTER_PROGRAM, CLUSTER_TEXT.to_owned(), "755"), (CLUSTER_SETTINGS, format!("{settings:#}\n"), "644")];
        let mut addresses = Vec::new();
        for (path, content, mode) in files {
            let name = format!("{}/{}", placing.host, path.trim_start_matches('/').replace('/', "-"));
            let address = Address::new(<HostFile as Resource<Cloud>>::KIND, name.as_str());
            if !self.graph.contains(&address) {
                let file = placing.file(path.to_owned(), content, mode, "root");
                self.graph.add_at(origin(&cluster.span), name, HostFile { needs: Vec::new(), ..file });
            }
            addresses.push(address);
        }
        addresses
    }

    fn script(
        &self,
        placing: &Placing<'_>,
        wanted: &OnTheHost,
        release: &Release,
        folder: &str,
        venv: &str,
        secrets: &[(String, String)],
    ) -> anyhow::Result<String> {
        let (name, pipeline) = (placing.name, placing.pipeline);
        let mut values = fill::values(self.spec, name, pipeline, &self.names.account, &release.version);
        values.extend(DAY.iter().map(|day| ((*day).to_owned(), Value::from(format!("@{day}@")))));
        let mut words = Vec::new();
        for word in &wanted.command {
            let filled = fill::fill(word, &word.span, &values);
            let filled = filled.map_err(|wrong| anyhow::anyhow!("{}: {}", wrong.span, wrong.message))?;
            // In quotes that are left for the day, which the shell knows.
            let quoted = format!("'{}'", filled.replace('\'', r"'\''"));
            words
                .push(DAY.iter().fold(quoted, |word, day| word.replace(&format!("@{day}@"), &format!("'\"${day}\"'"))));
        }
        let exports = secrets
            .iter()
            .map(|(secret, path)| format!("export {}_FILE={}", secret.to_uppercase(), shell::quote(path)));
        let zone = pipeline.schedule.as_ref().map_or("UTC", |schedule| schedule.zone.as_str());
        render(
            text!("run"),
            &json!({
                "name": name, "folder": folder, "venv": venv, "zone": zone,
                "path": program(name),
                "region": self.spec.region.as_str(),
                "checksums": CHECKSUMS,
                "description": DESCRIPTION,
                "command": words.join(" "),
                "secrets": exports.collect::<Vec<_>>().join("\n"),
                "cluster": self.cluster_request.as_ref().map(|_| format!("{CLUSTER_PROGRAM} VERB {CLUSTER_SETTINGS}")),
                "retries": *pipeline.retries,
                "wait": pipeline.retry_wait.as_secs(),
                "alerts": pipeline.alerts.iter().map(|alert| self.alert(alert)).collect::<String>(),
            }),
        )
    }

    /// A line that runs an alert where it is due. What becomes of it changes nothing about how the pipeline ended.
    fn alert(&self, alert: &Alert) -> String {
        let when = match alert.when {
            AlertWhen::Failure => "-ne 0".to_owned(),
            AlertWhen::Success => "-eq 0".to_owned(),
            AlertWhen::Code(code) => format!("-eq {code}"),
        };
        let run = shell::quote(&alert.run.resolve(&self.names.account));
        format!("if [ \"$code\" {when} ]; then sh -c {run} || echo \"an alert failed\" >&2; fi\n")
    }

    fn units(&mut self, placing: &Placing<'_>, needs: Vec<Address>) -> anyhow::Result<()> {
        let (name, pipeline) = (placing.name, placing.pipeline);
        let path = program(name);
        let service = |about: &str, argument: &str| {
            let values =
                json!({ "name": name, "path": path, "account": ACCOUNT, "about": about, "argument": argument });
            render(text!("run.service"), &values)
        };
        let unit = |content: String, running, turn, needs| Service {
            on: placing.on.clone(),
            content,
            running,
            inputs: String::new(),
            turn,
            needs,
        };
        let mut add = |named: String, content: String| {
            let resource = unit(content, false, 20, needs.clone());
            self.graph.add_at(origin(&pipeline.span), format!("{}/{named}", placing.host), resource)
        };
        let link = add(self::unit(name), service("", "")?);
        add(template_unit(name), service(" for %i", " %i")?);
        if let Some(schedule) = &pipeline.schedule {
            let time = format!("{:02}:{:02}:00 {}", schedule.hour, schedule.minute, schedule.zone);
            let timer = render(text!("run.timer"), &json!({ "name": name, "time": time }))?;
            let needs = needs.into_iter().chain([link.address().clone()]).collect();
            let address = format!("{}/pipeline-{name}.timer", placing.host);
            self.graph.add_at(origin(&schedule.span), address, unit(timer, true, 21, needs));
        }
        Ok(())
    }

    /// Puts the pipeline's secrets on its host, each in a file that only `owner` can read; returns names and paths.
    fn secrets_of(&mut self, placing: &Placing<'_>, owner: &str) -> anyhow::Result<Vec<(String, String)>> {
        let mut paths = Vec::new();
        for (secret, source) in &placing.pipeline.secrets {
            let value = read_secret(source).with_context(|| {
                format!("secret `{secret}` of pipeline `{}` ({}) cannot be read", placing.name, source.span.place())
            })?;
            let path = fill::secret_file(placing.name, placing.pipeline, secret).unwrap_or_default();
            let file = placing.file(path.clone(), format!("{value}\n"), "600", owner);
            let address = placing.address(&format!("secret-{secret}"));
            self.graph.add_at(origin(&source.span), address, HostFile { secret: true, ..file });
            paths.push((secret.clone(), path));
        }
        Ok(paths)
    }
}

/// A secret's value. No error repeats any of it.
fn read_secret(source: &SecretSource) -> anyhow::Result<String> {
    let value = match source {
        SecretSource::Env(variable) => match std::env::var(variable) {
            Ok(value) => value.trim().to_owned(),
            Err(_) => {
                bail!("the environment has no variable {variable}; set it, or leave the hosts out with --no-hosts")
            }
        },
        SecretSource::File(file) => {
            let read = SecretFile::read(&file.path);
            read.map_err(|reason| anyhow::anyhow!("{}: {reason}", file.written))?.line.expose_secret().to_owned()
        }
    };
    if value.is_empty() || value.contains(['\n', '\0']) {
        bail!("it must be one line that is not empty");
    }
    Ok(value)
}

fn text_of(release: &Release, path: &str) -> anyhow::Result<String> {
    let bytes = release.files.get(path).with_context(|| format!("version {} has no {path}", release.version))?;
    String::from_utf8(bytes.to_vec()).with_context(|| format!("{path} is not text, and cannot be put on a host"))
}

fn render(text: &str, values: &Value) -> anyhow::Result<String> {
    let values = values.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone()));
    Ok(fill::expand("a text of infra's own", text, &values.collect())?)
}

/// The versions that are deployed in this pass, by pipeline.
pub(super) type Releases = BTreeMap<String, Release>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Subnet;

    /// A template's text and the cluster's request name a subnet alike: one that is not recognised would stay as it is.
    #[test]
    fn what_stands_for_a_subnet_is_one_thing() {
        let address = Address::new(<Subnet as Resource<Cloud>>::KIND, "private");
        assert_eq!(fill::subnet_id("private"), stands_for(&address));
    }
}
