//! What verbs that log in on hosts begin with: which host, where it is, and why it cannot be reached.

use engine::Inventory;

use super::{
    Globals,
    master::Master,
    session::{Scope, Session},
};
use crate::{
    cloud::Cloud,
    error::{Failure, Result},
    hosts::{At, ConnectError, Hosts, Visitor},
    resources::{Instance, locate},
};

/// A stack whose hosts are to be logged in on.
pub struct Reach {
    /// The stack.
    pub session: Session,
    /// What exists of it.
    pub(super) known: Inventory,
}

impl Reach {
    /// Reads the spec, and finds out which hosts exist.
    pub async fn open(globals: &Globals) -> Result<Self> {
        Self::open_for(globals, Scope::Reach).await
    }

    /// The same for a command that stays while others come and go.
    pub async fn open_to_stay(globals: &Globals) -> Result<Self> {
        Self::open_for(globals, Scope::Stay).await
    }

    async fn open_for(globals: &Globals, scope: Scope) -> Result<Self> {
        let session = Session::open(globals, scope).await?;
        let known = session.observe_cloud().await?;
        Ok(Self { session, known })
    }

    /// Looks again which hosts exist.
    pub async fn look_again(&mut self) -> Result {
        self.session.cloud = engine::World::unread(&self.session.cloud);
        self.known = self.session.observe_cloud().await?;
        Ok(())
    }

    /// The hosts.
    pub fn hosts(&self) -> &Hosts {
        &self.session.cloud.hosts
    }

    /// The host that was named, or else the only one.
    pub fn choose(&self, named: Option<&str>) -> Result<String> {
        let places = self.hosts().places();
        match named {
            Some(name) if places.contains_key(name) => Ok(name.to_owned()),
            Some(name) => Err(self.unknown(name)),
            // The cluster's master comes and goes: it is meant only where it is named.
            None => match places.values().filter(|place| place.at != At::Master).collect::<Vec<_>>()[..] {
                [only] => Ok(only.name.clone()),
                _ => Err(Failure::new("the stack has several hosts: name one").hint(self.listed())),
            },
        }
    }

    /// There is no host of this name.
    pub fn unknown(&self, name: &str) -> Failure {
        let failure = Failure::new(format!("the stack has no host `{name}`"));
        match crate::spec::nearest(name, self.hosts().places().keys().map(String::as_str)) {
            Some(near) => failure.hint(format!("did you mean `{near}`? {}", self.listed())),
            None => failure.hint(self.listed()),
        }
    }

    fn listed(&self) -> String {
        let names: Vec<&str> = self.hosts().places().keys().map(String::as_str).collect();
        format!("its hosts: {}", names.join(", "))
    }

    /// A host and those that it is reached through, the outermost first.
    pub fn chain(&self, host: &str) -> Vec<String> {
        let places = self.hosts().places();
        let mut chain = vec![host.to_owned()];
        // The spec has no circles.
        while let Some(via) = places.get(&chain[0]).and_then(|place| place.via.clone()) {
            chain.insert(0, via);
        }
        chain
    }

    /// Finds out where a host is and which keys it must show, and all that it is reached through.
    pub async fn locate(&self, host: &str) -> Result {
        match self.hosts().places().get(host) {
            Some(place) if place.at == At::Master => self.reach_master().await.map(drop),
            _ => self.locate_chain(host, None).await,
        }
    }

    /// The same, where it is known already which machine the cluster's master is.
    pub(super) async fn locate_chain(&self, host: &str, master: Option<&Master>) -> Result {
        let cloud = &self.session.cloud;
        let chain = self.chain(host);
        for name in &chain {
            let Some(place) = self.hosts().places().get(name) else { continue };
            if let Some(master) = master.filter(|_| place.at == At::Master) {
                self.locate_master(master).await?;
                continue;
            }
            self.check_exists(name)?;
            if !locate(cloud, &self.known, place, None).await? {
                return Err(Failure::new(format!("{name} does not run")));
            }
        }
        self.hosts().meet(&chain).await?;
        // The configuration that is written is for all that need not be asked for their keys first.
        for place in self.hosts().places().values() {
            let pinned = match &place.at {
                At::Server { .. } => !self.session.local,
                At::Master => false,
                at @ At::Instance => {
                    self.instance(&place.name).is_some_and(|it| self.hosts().files().is_pinned(at, &it.id))
                }
            };
            if pinned && let Err(error) = locate(cloud, &self.known, place, None).await {
                tracing::debug!(host = place.name, %error, "left out of the configuration");
            }
        }
        Ok(())
    }

    fn instance(&self, host: &str) -> Option<&<Instance as engine::Resource<Cloud>>::Observed> {
        self.known.find::<Cloud, Instance>(host)
    }

    /// Says, in words of the host, why it is not there to be reached.
    pub fn check_exists(&self, host: &str) -> Result {
        let flags = self.session.flags();
        let Some(place) = self.hosts().places().get(host) else { return Err(self.unknown(host)) };
        if let At::Server { address, .. } = &place.at {
            if self.session.local {
                let message = format!("{host} is a server, at {address}, and no part of the local cloud");
                return Err(Failure::new(message).hint("leave out --local"));
            }
            return Ok(());
        }
        match self.instance(host) {
            None => {
                Err(Failure::new(format!("{host} does not exist yet")).hint(format!("`infra{flags} apply` makes it")))
            }
            Some(instance) => match instance.state.as_str() {
                "running" => Ok(()),
                "pending" => Err(Failure::new(format!("{host} is starting still")).hint("try again in a moment")),
                state => Err(Failure::new(format!("{host} does not run: it is {state}"))
                    .hint(format!("`infra{flags} apply` starts it"))),
            },
        }
    }

    /// Somebody who logs in on `hosts` under a name of the spec's people.
    pub fn visitor(&self, hosts: &[String], login: &str, identity: Option<&std::path::Path>) -> Result<Visitor> {
        let spec = &self.session.spec;
        let has = |host: &str| {
            let host = spec.hosts.get(host);
            let people = host.and_then(|host| host.users.as_ref()).map(|users| &users.people);
            people.into_iter().flatten().any(|person| *person.login == *login)
        };
        for host in hosts {
            if has(host) || self.hosts().places().get(host).is_some_and(|place| place.login == login) {
                continue;
            }
            let logins: Vec<String> = spec
                .hosts
                .get(host)
                .and_then(|host| host.users.as_ref())
                .map_or(Vec::new(), |users| users.people.iter().map(|person| person.login.value.clone()).collect());
            let failure = Failure::new(format!("nobody has the login `{login}` on {host}, by the spec"));
            return Err(match crate::spec::nearest(login, logins.iter().map(String::as_str)) {
                Some(near) => failure.hint(format!("did you mean `{near}`? Its people: {}", logins.join(", "))),
                None if logins.is_empty() => {
                    failure.hint(format!("{host} has no `users:` in the spec; leave out --as for the administrator"))
                }
                None => failure.hint(format!("its people: {}", logins.join(", "))),
            });
        }
        let identity = identity.map(std::path::absolute).transpose().map_err(anyhow::Error::from)?;
        if let Some(file) = identity.as_ref().filter(|file| !file.exists()) {
            return Err(Failure::new(format!("there is no key {}", file.display())));
        }
        // The administrator's own key is in the configuration already, unless another one was named.
        let named = hosts.iter().filter(|_| identity.is_some()).cloned();
        let hosts = spec.hosts.keys().filter(|host| has(host)).cloned().chain(named).collect();
        Ok(Visitor { login: login.to_owned(), identity, hosts })
    }

    /// An error, with what to do about it where it is about a connection.
    pub fn explain(&self, error: anyhow::Error) -> Failure {
        let advice =
            error.chain().find_map(|cause| cause.downcast_ref()).map(|error: &ConnectError| self.hosts().advice(error));
        let mut failure = Failure::from(error);
        failure.hints.extend(advice.into_iter().flatten());
        failure
    }
}

/// Ends with Ctrl-C or a signal to end.
pub(super) fn stopped() -> Result<impl Future<Output = ()>> {
    use anyhow::Context;
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).context("cannot listen for Ctrl-C");
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
