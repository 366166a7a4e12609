//! What is on the hosts: people, sshd, and what the services need.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::Context;
use engine::{Address, Ref, Resource};

use super::{
    Stack, origin,
    services::{self, HostFacts, HostSetup},
};
use crate::{
    cloud::{Cloud, Names},
    credentials::Known,
    hosts::{At, Place as HostPlace},
    resources::{
        Docker, HostFile, HostGroup, HostUser, NatGateway, OnHost, Package, PasswordWish, PythonVenv, RouteTable,
        Service, SshServer, Sudoers,
    },
    spec::{Departed, Host, KeySource, Password, Person, Place, Span, Spec, Sudo},
};

/// The login that EMR sets up on its nodes.
const MASTER_LOGIN: &str = "hadoop";

/// How the spec's hosts are reached, and the master of its cluster.
pub fn places(spec: &Spec, names: &Names) -> Vec<HostPlace> {
    let place = |(name, host): (&String, &crate::spec::Spanned<Host>)| {
        let at = match &host.place {
            Place::Instance(_) => At::Instance,
            Place::Server(server) => At::Server {
                address: server.address.resolve(&names.account),
                port: *server.port,
                host_key: server.host_key.as_ref().map(|key| key.value.clone()),
            },
        };
        HostPlace {
            name: name.clone(),
            login: host.login.value.clone(),
            via: host.via.as_ref().map(|via| via.value.clone()),
            key: host.key.as_ref().and_then(|key| key_file(spec, names, &key.value)),
            deletes_departed: host.users.as_ref().is_some_and(|users| *users.departed == Departed::Delete),
            at,
        }
    };
    spec.hosts.iter().map(place).chain(master(spec, names)).collect()
}

/// What the cluster's master is called among the hosts. A host of the spec that has the name itself keeps it.
pub fn master_name(spec: &Spec) -> Option<&'static str> {
    spec.cluster.as_ref()?;
    ["master", "emr-master"].into_iter().find(|name| !spec.hosts.contains_key(*name))
}

/// How the cluster's master is reached: as `hadoop`, with the cluster's key, through a host of the stack. Its group lets
/// in nobody else, in a public subnet either.
fn master(spec: &Spec, names: &Names) -> Option<HostPlace> {
    let key = spec.cluster.as_ref()?.key.as_ref();
    Some(HostPlace {
        name: master_name(spec)?.to_owned(),
        login: MASTER_LOGIN.to_owned(),
        via: way_in(spec),
        key: key.and_then(|key| key_file(spec, names, &key.value)),
        deletes_departed: false,
        at: At::Master,
    })
}

/// The host that leads to the cluster: one that is reached directly, of several the first with a rule that lets somebody
/// in; else any.
fn way_in(spec: &Spec) -> Option<String> {
    let instances = spec.hosts.iter().filter_map(|(name, host)| Some((name, host, host.instance()?)));
    let best = instances.min_by_key(|(_, host, instance)| (host.via.is_some(), instance.ssh_from.is_empty()));
    best.map(|(name, ..)| name.clone())
}

/// The file of a key of the spec.
fn key_file(spec: &Spec, names: &Names, key: &str) -> Option<std::path::PathBuf> {
    match &spec.keys.get(key)?.source.value {
        KeySource::Generate => Some(names.private_key(key)),
        KeySource::File(file) => Some(private_half(&file.path)),
        KeySource::Inline(_) => None,
    }
}

/// `id_ed25519` for `id_ed25519.pub`; where it is not here, an agent may have it, and ssh finds it by the public one.
fn private_half(public: &Path) -> std::path::PathBuf {
    let private = public.with_extension("");
    if public.extension().is_some_and(|extension| extension == "pub") && private.exists() {
        private
    } else {
        public.to_owned()
    }
}

impl Stack<'_> {
    pub(super) fn on_hosts(&mut self) -> anyhow::Result<()> {
        if !self.intent.hosts {
            return Ok(());
        }
        // One hash a password, however many have it.
        let mut known = Vec::new();
        for (name, host) in &self.spec.hosts {
            if !self.spec.configures(name, host) {
                continue;
            }
            let on = self.on_host(name, host);
            let docker = self.services(name, host, &host.span, &on);
            self.pipelines_on(name, &on)?;
            let users = self.people(name, host, &on, docker.as_ref(), &mut known)?;
            self.graph.add_at(origin(&host.span), name, SshServer::new(on, users));
        }
        Ok(())
    }

    fn on_host(&self, name: &str, host: &Host) -> OnHost {
        let instance = host.instance().and_then(|_| self.instances.get(name).cloned());
        let via = host.via.iter().filter_map(|via| self.instances.get(&via.value));
        let mut after: Vec<Address> = via.map(|via| via.address().clone()).collect();
        if instance.is_some() {
            // The way out, for packages.
            let ways = [<RouteTable as Resource<Cloud>>::KIND, <NatGateway as Resource<Cloud>>::KIND];
            after.extend(self.graph.addresses().filter(|address| ways.contains(&address.kind)).cloned());
        }
        OnHost { host: name.to_owned(), instance, after }
    }

    fn people(
        &mut self,
        name: &str,
        host: &Host,
        on: &OnHost,
        docker: Option<&Ref<Docker>>,
        known: &mut Vec<(Password, Known)>,
    ) -> anyhow::Result<Vec<Ref<HostUser>>> {
        let Some(users) = &host.users else { return Ok(Vec::new()) };
        let docker_users: BTreeSet<&str> = docker_users(host);
        let in_docker = |person: &Person| docker.is_some() && docker_users.contains(person.login.as_str());
        let mut groups: BTreeMap<String, Ref<HostGroup>> = BTreeMap::new();
        for group in users.people.iter().flat_map(|person| &person.groups) {
            // The group `docker` comes with docker.
            if !(groups.contains_key(&group.value) || group.value == "docker" && docker.is_some()) {
                let resource = HostGroup { on: on.clone() };
                let link = self.graph.add_at(origin(&group.span), format!("{name}/{}", group.value), resource);
                groups.insert(group.value.clone(), link);
            }
        }
        let mut accounts = Vec::new();
        let mut asks = BTreeMap::new();
        for person in &users.people {
            let login = &person.login;
            let mut names: BTreeSet<String> = person.groups.iter().map(|group| group.value.clone()).collect();
            if in_docker(person) {
                names.insert("docker".into());
            }
            let account = HostUser {
                on: on.clone(),
                keys: person.keys.iter().map(|key| key.material().to_owned()).collect(),
                made_groups: names.iter().filter_map(|name| groups.get(name).cloned()).collect(),
                needs: docker.map(|docker| docker.address().clone()).into_iter().collect(),
                groups: names,
                shell: person.shell.value.clone(),
                password: wish(&person.password.value, known)?,
                change_password: *users.change_password && person.password.is_some(),
                expires: person.expires.as_ref().map(|date| date.value),
            };
            accounts.push(self.graph.add_at(origin(&login.span), format!("{name}/{}", login.value), account));
            match *person.sudo {
                Sudo::No => {}
                Sudo::Password => drop(asks.insert(login.value.clone(), true)),
                Sudo::NoPassword => drop(asks.insert(login.value.clone(), false)),
            }
        }
        let sudoers = Sudoers { on: on.clone(), asks, users: accounts.clone() };
        self.graph.add_at(origin(&users.span), name, sudoers);
        Ok(accounts)
    }

    /// What the host's services need; the docker engine where it is one of them.
    fn services(&mut self, name: &str, host: &Host, span: &Span, on: &OnHost) -> Option<Ref<Docker>> {
        let watched = self.watched(name);
        if host.services.is_empty() && watched.is_none() {
            return None;
        }
        let network = self.spec.network.as_ref().map(|network| network.cidr.value);
        let facts =
            HostFacts { network: network.filter(|_| on.instance.is_some()), python: self.intent.python.clone() };
        let mut setup = services::setup(&host.services, &facts);
        if let Some(watched) = watched {
            services::add_reaper(&mut setup, &watched);
        }
        let HostSetup { packages, accounts, files, venvs, docker, services, forwards: _, health: _ } = setup;
        let at = || origin(span);
        let named = |path: &str| format!("{name}/{}", path.trim_start_matches('/').replace('/', "-"));
        let mut first: Vec<Address> = Vec::new();
        if !packages.is_empty() {
            let resource = Package { on: on.clone(), names: packages };
            first.push(self.graph.add_at(at(), format!("{name}/services"), resource).address().clone());
        }
        for account in accounts {
            // systemd makes it from a line, and knows it again.
            let path = format!("/etc/sysusers.d/infra-{}.conf", account.name);
            let content = format!("u {0} - \"{0}, by infra\" {1}\n", account.name, account.home);
            let (mode, owner) = ("644".to_owned(), "root:root".to_owned());
            let needs = first.clone();
            let resource = HostFile {
                on: on.clone(),
                path: path.clone(),
                content,
                ids: BTreeMap::new(),
                secret: false,
                mode,
                owner,
                needs,
            };
            first.push(self.graph.add_at(at(), named(&path), resource).address().clone());
        }
        let docker = docker.map(|docker| {
            let people: BTreeSet<&str> =
                host.users.iter().flat_map(|users| &users.people).map(|person| person.login.as_str()).collect();
            let others = docker.members.iter().filter(|member| !people.contains(member.as_str()));
            let resource =
                Docker { on: on.clone(), members: others.cloned().collect(), settings: docker.config.content };
            self.graph.add_at(at(), name, resource)
        });
        // What a unit is started with, by path: its text, or what stands for it.
        let mut inputs: BTreeMap<&str, (String, Address)> = BTreeMap::new();
        for file in files {
            let (mode, owner) = (format!("{:o}", file.mode), format!("{0}:{0}", file.owner));
            let path = file.path.to_owned();
            let (content, needs) = (file.content.clone(), first.clone());
            let resource =
                HostFile { on: on.clone(), path, content, ids: BTreeMap::new(), secret: false, mode, owner, needs };
            let link = self.graph.add_at(at(), named(file.path), resource);
            inputs.insert(file.path, (file.content, link.address().clone()));
        }
        for venv in venvs {
            let text = format!("{} {}", venv.python, venv.requirements);
            let resource = PythonVenv {
                on: on.clone(),
                path: venv.path.to_owned(),
                python: venv.python,
                requirements: venv.requirements.to_owned(),
                build: venv.build.to_owned(),
                needs: first.clone(),
            };
            let link = self.graph.add_at(at(), named(venv.path), resource);
            inputs.insert(venv.path, (text, link.address().clone()));
        }
        let mut before: Vec<Address> = inputs.values().map(|(_, address)| address.clone()).collect();
        before.extend(first);
        for (turn, service) in (0..).zip(services) {
            let started_with =
                service.restart_on.iter().filter_map(|path| inputs.get(path)).map(|(text, _)| text.as_str());
            let resource = Service {
                on: on.clone(),
                inputs: started_with.collect::<Vec<_>>().join("\0"),
                content: service.content,
                running: service.enabled,
                turn,
                needs: before.clone(),
            };
            let link = self.graph.add_at(at(), format!("{name}/{}", service.unit), resource);
            // Each comes after those that it needs.
            before.push(link.address().clone());
        }
        docker
    }
}

/// Logins that the spec lets use docker.
fn docker_users(host: &Host) -> BTreeSet<&str> {
    let docker = host.services.values().find_map(|service| match &service.value {
        crate::spec::Service::Docker(docker) => Some(docker),
        _ => None,
    });
    docker.into_iter().flat_map(|docker| &docker.users).map(|user| user.as_str()).collect()
}

fn wish(password: &Password, known: &mut Vec<(Password, Known)>) -> anyhow::Result<PasswordWish> {
    Ok(match password {
        Password::None => PasswordWish::None,
        Password::Hash(hash) => PasswordWish::Hash(hash.clone()),
        Password::Secret(secret) => {
            if let Some((_, found)) = known.iter().find(|(one, _)| one == password) {
                return Ok(PasswordWish::Known(found.clone()));
            }
            let made = Known::new(secret.clone()).context("a password cannot be used")?;
            known.push((password.clone(), made.clone()));
            PasswordWish::Known(made)
        }
    })
}
