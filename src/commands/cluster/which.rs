//! Which cluster a verb is about: the stack's, that lives or that ended last.

use engine::{Address, Inventory, Plan, Resource};

use super::super::session::Session;
use crate::{
    cloud::Cloud,
    cluster::past::{self, Past},
    error::{Failure, Result},
    resources::{EmrCluster, EmrClusterObserved, OtherCluster, other_clusters},
    spec::{self, Spanned},
    stacks::CLUSTER,
    ui,
};

/// The cluster's address.
pub fn address() -> Address {
    Address::new(EmrCluster::KIND, CLUSTER)
}

/// The cluster's part of a plan, with what it waits for.
pub fn part(plan: &Plan) -> Plan {
    plan.only(&|address| *address == self::address())
}

/// The spec's cluster.
pub fn specified(session: &Session) -> Result<&Spanned<spec::Cluster>> {
    session.spec.cluster.as_ref().ok_or_else(|| unspecified(session))
}

fn unspecified(session: &Session) -> Failure {
    let stack = &session.spec.stack;
    Failure::new(format!("stack {} has no cluster: {} has no `cluster:` section", **stack, stack.span.place()))
        .hint("write one: `cluster: { release: …, applications: […], … }`; infra/nyc311.yaml has an example")
}

/// The cluster, if one is there: it lives or is ending.
pub fn seen(known: &Inventory) -> Option<&EmrClusterObserved> {
    known.find::<Cloud, EmrCluster>(CLUSTER)
}

/// The cluster that lives.
pub fn living(known: &Inventory) -> Option<&EmrClusterObserved> {
    seen(known).filter(|cluster| cluster.is_live())
}

/// The cluster that lives; an error where there is none.
pub fn must_live<'a>(session: &Session, known: &'a Inventory) -> Result<&'a EmrClusterObserved> {
    if let Some(cluster) = living(known) {
        return Ok(cluster);
    }
    specified(session)?;
    let what = match seen(known) {
        Some(ending) => format!("cluster {} of stack {} is ending", ending.id, *session.spec.stack),
        None => format!("stack {} has no cluster that runs", *session.spec.stack),
    };
    Err(Failure::new(what).hint(format!("`infra{} cluster up` starts one", session.flags())))
}

/// The cluster that can work; an error where there is none, or it cannot yet.
pub fn must_be_ready<'a>(session: &Session, known: &'a Inventory) -> Result<&'a EmrClusterObserved> {
    let cluster = must_live(session, known)?;
    if cluster.is_ready() {
        return Ok(cluster);
    }
    let EmrClusterObserved { id, state, .. } = cluster;
    Err(Failure::new(format!("cluster {id} is not ready yet: it is {state}"))
        .hint(format!("`infra{} cluster up` waits until it can work", session.flags())))
}

/// The clusters with the stack's tag that are not the spec's own, a sentence each: they cost money, and no verb of ours ends
/// them.
pub async fn others(session: &Session) -> Result<Vec<(OtherCluster, String)>> {
    // A spec of servers alone is on no cloud that could be asked.
    if session.kinds.iter().all(|kind| kind.name != EmrCluster::KIND) {
        return Ok(Vec::new());
    }
    let others = other_clusters(&session.cloud).await?.into_iter();
    let sentence = |other: &OtherCluster| {
        let OtherCluster { id, name, state, created } = other;
        let up = created.map(|created| format!(", up for {}", ui::time::since(created))).unwrap_or_default();
        format!(
            "cluster {id}, `{name}`, has the stack's tag and is not the spec's own: it is {state}{up}. Whoever made it (a \
             run by Airflow?) ends it, or `aws emr terminate-clusters --cluster-ids {id}`."
        )
    };
    Ok(others.map(|other| (other.clone(), sentence(&other))).collect())
}

/// A cluster whose steps and logs are asked for.
pub struct Subject {
    /// `j-…`.
    pub id: String,
    /// Where its logs are, as EMR writes it.
    pub log_uri: Option<String>,
}

/// The cluster of this id, or else the one that is there, or else the one that ended last.
pub async fn subject(session: &Session, id: Option<&str>) -> Result<Subject> {
    let cloud = &session.cloud;
    let stack = &*session.spec.stack;
    if let Some(id) = id {
        let found = past::by_id(cloud, &address().to_string(), id).await?;
        let found = found.ok_or_else(|| Failure::new(format!("{id} is no cluster of stack {stack}")))?;
        return Ok(Subject { id: found.id, log_uri: found.log_uri });
    }
    let known = session.observe().await?;
    if let Some(cluster) = seen(&known) {
        return Ok(Subject { id: cluster.id.clone(), log_uri: cluster.log_uri.clone() });
    }
    if let Some(Past { id, log_uri, .. }) = last(session).await? {
        return Ok(Subject { id, log_uri });
    }
    specified(session)?;
    Err(Failure::new(format!("stack {stack} has no cluster, and had none in the last two months"))
        .hint(format!("`infra{} cluster up` starts one", session.flags())))
}

/// The cluster that ended last.
pub async fn last(session: &Session) -> Result<Option<Past>> {
    if session.kinds.is_empty() {
        // Nothing of the spec is on AWS, and nobody was asked who we are.
        return Ok(None);
    }
    let cloud = &session.cloud;
    let name = session.spec.cluster.as_ref().map(|cluster| cluster.name.resolve(&cloud.names.account));
    Ok(past::last(cloud, &address().to_string(), name.as_deref()).await?)
}
