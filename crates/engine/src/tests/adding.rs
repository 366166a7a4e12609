//! Adding a kind takes one implementation and one row of the registry.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde::Serialize;

use super::toy::options;
use crate::{
    Address, Diff, Graph, Identity, Inventory, Kind, Resource, Result, Selection, StepContext, World, apply, observe,
    plan,
};

/// A host, on which there are users.
#[derive(Clone, Default)]
struct Host(Arc<Mutex<BTreeMap<String, String>>>);

impl World for Host {
    fn unread(&self) -> Self {
        self.clone()
    }
}

#[derive(Serialize)]
struct HostUser {
    shell: String,
}

impl Resource<Host> for HostUser {
    const KIND: &'static str = "host_user";
    const LAYER: &'static str = "hosts";
    const IDENTITY: Identity = Identity::Name;
    type Observed = (String, String);

    fn refs(&self) -> Vec<&Address> {
        let Self { shell: _ } = self;
        Vec::new()
    }

    async fn observe(host: &Host, _known: &Inventory) -> Result<Vec<(String, Self::Observed)>> {
        let users = host.0.lock().unwrap().clone();
        Ok(users.into_iter().map(|user| (user.0.clone(), user)).collect())
    }

    fn id(observed: &Self::Observed) -> String {
        observed.0.clone()
    }

    fn diff(&self, observed: &Self::Observed, _known: &Inventory) -> Diff {
        let Self { shell } = self;
        let mut diff = Diff::default();
        diff.field("shell", &observed.1, shell);
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Host>) -> Result<Self::Observed> {
        let user = (cx.address().name.clone(), self.shell.clone());
        cx.world.0.lock().unwrap().insert(user.0.clone(), user.1.clone());
        Ok(user)
    }

    async fn update(&self, _: &Self::Observed, _: &Diff, cx: &StepContext<'_, Host>) -> Result<Self::Observed> {
        self.create(cx).await
    }

    async fn delete(observed: &Self::Observed, cx: &StepContext<'_, Host>) -> Result<()> {
        cx.world.0.lock().unwrap().remove(&observed.0);
        Ok(())
    }
}

const KINDS: &[Kind<Host>] = &[Kind::of::<HostUser>()];

#[tokio::test]
async fn a_kind_is_one_implementation_and_one_row() {
    let host = Host::default();
    let (options, _told) = options(1);
    for (shell, verbs) in [("sh", ["create", "create"]), ("bash", ["update", "update"])] {
        let mut graph = Graph::default();
        let ada = graph.add("ada", HostUser { shell: shell.into() });
        graph.add("eve", HostUser { shell: shell.into() });
        let known = observe(KINDS, &host).await.unwrap();
        let plan_ = plan(KINDS, &graph, &known, Selection::All);
        assert_eq!(plan_.steps.iter().map(|step| step.action.verb()).collect::<Vec<_>>(), verbs);
        let outcome = apply(&plan_, KINDS, &graph, known, &host, &options).await;
        assert!(outcome.is_complete());
        assert_eq!(outcome.inventory.get(&ada).map(|user| user.1.as_str()), Some(shell));
        assert!(plan(KINDS, &graph, &observe(KINDS, &host).await.unwrap(), Selection::All).is_empty());
    }
    let known = observe(KINDS, &host).await.unwrap();
    assert_eq!(known.all::<Host, HostUser>().count(), 2);
    assert!(known.find::<Host, HostUser>("eve").is_some());
    let destroy = plan(KINDS, &Graph::default(), &known, Selection::All);
    assert!(apply(&destroy, KINDS, &Graph::default(), known, &host, &options).await.is_complete());
    assert!(host.0.lock().unwrap().is_empty());
}
