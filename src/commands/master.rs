//! The cluster's master as a host: the cluster of this stack that lives, its machine, and why there is none.

use super::{cluster::which, reach::Reach};
use crate::{
    error::{Failure, Result},
    resources::{EmrClusterObserved, MasterNode, REGISTRY, locate_master, master_node},
    spec::KeySource,
    stacks::master_name,
};

/// A cluster that can work, and its master.
#[derive(Clone, Debug)]
pub struct Master {
    /// What it is called among the hosts.
    pub name: &'static str,
    /// The cluster, as EMR reports it.
    pub cluster: EmrClusterObserved,
    /// The machine.
    pub node: MasterNode,
}

impl Master {
    /// The name under which its pages show: the one that EMR tells, which a browser's proxy has resolved in the network.
    pub fn host(&self) -> String {
        let node = &self.node;
        let names = [&self.cluster.master_dns, &node.private_dns, &node.private_ip];
        names.into_iter().flatten().next().cloned().unwrap_or_default()
    }
}

impl Reach {
    /// What the cluster's master is called among the hosts.
    pub fn master_name(&self) -> Result<&'static str> {
        which::specified(&self.session)?;
        master_name(&self.session.spec)
            .ok_or_else(|| Failure::new("hosts of the spec have all the names that the cluster's master could have"))
    }

    /// Locates the cluster's master and all that it is reached through. Where there is no cluster, or it is not ready, that
    /// is what is said: what leads to it does not matter then.
    pub async fn reach_master(&self) -> Result<Master> {
        let master = self.find_master().await?;
        self.locate_chain(master.name, Some(&master)).await?;
        Ok(master)
    }

    /// Notes where the cluster's master is, and which keys it must show.
    pub(super) async fn locate_master(&self, master: &Master) -> Result {
        if let Some(place) = self.hosts().places().get(master.name) {
            locate_master(&self.session.cloud, place, &master.node).await?;
        }
        Ok(())
    }

    /// The cluster that lives, and its master.
    async fn find_master(&self) -> Result<Master> {
        let name = self.master_name()?;
        let cluster = self.live_cluster().await?;
        let Some(node) = master_node(&self.session.cloud, &cluster).await? else {
            return Err(Failure::new(format!("EC2 has no machine that is the master of cluster {}", cluster.id))
                .hint("try again in a moment; `infra status` shows what there is"));
        };
        if node.state != "running" {
            return Err(Failure::new(format!("the master of cluster {} ({}) is {}", cluster.id, node.id, node.state))
                .hint("try again in a moment"));
        }
        Ok(Master { name, cluster, node })
    }

    /// The stack's cluster, where it can be logged in on.
    async fn live_cluster(&self) -> Result<EmrClusterObserved> {
        let session = &self.session;
        let kinds: Vec<_> = REGISTRY.iter().filter(|kind| kind.name == "emr_cluster").copied().collect();
        // Two that claim to be it are an error that names both.
        let known = engine::observe(&kinds, &session.cloud).await?;
        let cluster = which::must_be_ready(session, &known)?;
        if cluster.key.is_none() {
            return Err(Failure::new(format!(
                "cluster {} was started without a key, so that nobody can log in on it",
                cluster.id
            ))
            .hint(format!("name one of `keys:` as `key:` of the cluster{}, and start it anew", self.at_cluster())));
        }
        self.check_key()?;
        Ok(cluster.clone())
    }

    /// The key with which to log in must be here.
    fn check_key(&self) -> Result {
        let session = &self.session;
        let key = session.spec.cluster.as_ref().and_then(|cluster| cluster.key.as_ref());
        let Some(key) = key else {
            return Err(Failure::new(format!("the cluster has no key in the spec{}", self.at_cluster()))
                .hint("`keys: { admin: { generate: true } }` makes one, and `key: admin` of the cluster names it"));
        };
        let made = session.spec.keys.get(&key.value).is_some_and(|key| key.source.value == KeySource::Generate);
        let file = session.cloud.names.private_key(&key.value);
        if made && !file.exists() {
            return Err(Failure::new(format!(
                "the private half of key `{}` is not on this machine ({})",
                key.value,
                file.display()
            ))
            .hint("copy the file from where the key was made"));
        }
        Ok(())
    }

    fn at_cluster(&self) -> String {
        let cluster = self.session.spec.cluster.as_ref();
        cluster.map_or_else(String::new, |cluster| format!(" ({})", cluster.span.place()))
    }
}
