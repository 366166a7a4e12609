//! What is on something: it goes with its carrier, and the world may do many of its steps at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::Barrier;

use super::toy::{options, text};
use crate::{
    Address, Diff, Graph, Identity, Inventory, Kind, Plan, Ref, Resource, Result, Selection, StepContext, World, apply,
    observe, plan,
};

/// A machine's size and its accounts.
type Standing = (u32, BTreeSet<String>);

/// Machines by name.
#[derive(Clone)]
struct Site {
    machines: Arc<Mutex<BTreeMap<String, Standing>>>,
    /// Accounts are made only when so many are asked for at the same time.
    together: Arc<Barrier>,
    /// What was announced before it started, and what was told to be over.
    told: Arc<Mutex<Vec<String>>>,
}

impl World for Site {
    fn unread(&self) -> Self {
        self.clone()
    }

    fn due(&self, addresses: &[&Address]) {
        let mut names: Vec<&str> = addresses.iter().map(|address| address.name.as_str()).collect();
        names.sort_unstable();
        self.told.lock().unwrap().push(format!("due {}", names.join(" ")));
    }

    fn over(&self, address: &Address) {
        self.told.lock().unwrap().push(format!("over {}", address.name));
    }
}

impl Site {
    fn of(together: usize) -> Self {
        Self { machines: Arc::default(), together: Arc::new(Barrier::new(together)), told: Arc::default() }
    }
}

#[derive(Serialize)]
struct Machine {
    size: u32,
}

impl Resource<Site> for Machine {
    const KIND: &'static str = "machine";
    const LAYER: &'static str = "machines";
    const IDENTITY: Identity = Identity::Name;
    type Observed = (String, u32);

    fn refs(&self) -> Vec<&Address> {
        Vec::new()
    }

    async fn observe(site: &Site, _: &Inventory) -> Result<Vec<(String, Self::Observed)>> {
        let machines = site.machines.lock().unwrap();
        Ok(machines.iter().map(|(name, machine)| (name.clone(), (name.clone(), machine.0))).collect())
    }

    fn id(observed: &Self::Observed) -> String {
        observed.0.clone()
    }

    fn diff(&self, observed: &Self::Observed, _: &Inventory) -> Diff {
        let mut diff = Diff::default();
        diff.fixed("size", &observed.1, &self.size);
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Site>) -> Result<Self::Observed> {
        let name = cx.address().name.clone();
        cx.world.machines.lock().unwrap().insert(name.clone(), (self.size, BTreeSet::new()));
        Ok((name, self.size))
    }

    async fn update(&self, _: &Self::Observed, _: &Diff, _: &StepContext<'_, Site>) -> Result<Self::Observed> {
        unreachable!("a size is fixed")
    }

    async fn delete(observed: &Self::Observed, cx: &StepContext<'_, Site>) -> Result<()> {
        cx.world.machines.lock().unwrap().remove(&observed.0);
        Ok(())
    }
}

#[derive(Serialize)]
struct Account {
    on: Ref<Machine>,
    /// Accounts without which this one cannot be.
    needs: Vec<Ref<Account>>,
}

impl Resource<Site> for Account {
    const KIND: &'static str = "account";
    const LAYER: &'static str = "machines";
    const AFTER: &'static [&'static str] = &["machine"];
    const IDENTITY: Identity = Identity::Name;
    const GATHERED: bool = true;
    type Observed = (String, String);

    fn refs(&self) -> Vec<&Address> {
        vec![self.on.address()]
    }

    fn within(&self) -> Option<&Address> {
        Some(self.on.address())
    }

    fn needs(&self) -> Vec<&Address> {
        self.needs.iter().map(Ref::address).collect()
    }

    async fn observe(site: &Site, _: &Inventory) -> Result<Vec<(String, Self::Observed)>> {
        let machines = site.machines.lock().unwrap();
        let on = |(name, machine): (&String, &Standing)| {
            machine.1.iter().map(|login| (format!("{name}/{login}"), (name.clone(), login.clone()))).collect::<Vec<_>>()
        };
        Ok(machines.iter().flat_map(on).collect())
    }

    fn id(observed: &Self::Observed) -> String {
        observed.1.clone()
    }

    fn diff(&self, _: &Self::Observed, _: &Inventory) -> Diff {
        Diff::default()
    }

    async fn create(&self, cx: &StepContext<'_, Site>) -> Result<Self::Observed> {
        // One alone would wait here for ever.
        cx.world.together.wait().await;
        let (machine, login) = cx.address().name.split_once('/').expect("an account's name has its machine's");
        let mut machines = cx.world.machines.lock().unwrap();
        machines.get_mut(machine).expect("its machine comes first").1.insert(login.to_owned());
        Ok((machine.to_owned(), login.to_owned()))
    }

    async fn update(&self, _: &Self::Observed, _: &Diff, _: &StepContext<'_, Site>) -> Result<Self::Observed> {
        unreachable!("an account has no fields")
    }

    async fn delete(observed: &Self::Observed, cx: &StepContext<'_, Site>) -> Result<()> {
        let mut machines = cx.world.machines.lock().unwrap();
        machines.get_mut(&observed.0).map(|machine| machine.1.remove(&observed.1));
        Ok(())
    }
}

const KINDS: &[Kind<Site>] = &[Kind::of::<Machine>(), Kind::of::<Account>()];
const LOGINS: [&str; 5] = ["ada", "eve", "joe", "kim", "lee"];

async fn run(site: &Site, graph: &Graph<Site>) -> Plan {
    let known = observe(KINDS, site).await.unwrap();
    let plan = plan(KINDS, graph, &known, Selection::All);
    // Room for one step: what is gathered needs none.
    let (options, _told) = options(1);
    let applied = apply(&plan, KINDS, graph, known, site, &options);
    let outcome = tokio::time::timeout(Duration::from_secs(5), applied).await.expect("all accounts at the same time");
    assert!(outcome.is_complete(), "{:?}", outcome.failed);
    plan
}

fn graph(size: u32) -> Graph<Site> {
    let mut graph = Graph::default();
    let machine = graph.add("m", Machine { size });
    for login in LOGINS {
        graph.add(format!("m/{login}"), Account { on: machine.clone(), needs: Vec::new() });
    }
    graph
}

#[tokio::test(start_paused = true)]
async fn what_is_gathered_starts_together_and_what_is_carried_goes_with_its_carrier() {
    let site = Site::of(LOGINS.len());
    let made = run(&site, &graph(1)).await;
    let machine = Address::new("machine", "m");
    let withins: Vec<_> = made.steps.iter().filter(|step| step.address.kind == "account").collect();
    assert_eq!(withins.len(), LOGINS.len());
    assert!(withins.iter().all(|step| step.within.as_ref() == Some(&machine)), "{withins:#?}");
    // All that are due are announced at once, before the first of them begins, and each is told to be over.
    let mut told = std::mem::take(&mut *site.told.lock().unwrap());
    assert_eq!(told.remove(0), "due m/ada m/eve m/joe m/kim m/lee");
    told.sort();
    assert_eq!(told, LOGINS.map(|login| format!("over m/{login}")));
    assert!(run(&site, &graph(1)).await.is_empty());

    // Another machine: its accounts are made anew, and none is deleted on the one that goes.
    let replaced = run(&site, &graph(2)).await;
    let texts: Vec<String> = replaced.steps.iter().map(text).collect();
    assert_eq!(texts[..2], ["delete machine/m (replace)", "create machine/m (replace)"], "{texts:?}");
    assert!(texts[2..].iter().all(|text| text.starts_with("create account/m/")), "{texts:?}");
    assert_eq!(texts.len(), 2 + LOGINS.len());
    assert_eq!(site.machines.lock().unwrap()["m"].1.len(), LOGINS.len());

    // One who is there is no news: only a carrier that comes says so.
    site.machines.lock().unwrap().get_mut("m").unwrap().1.clear();
    let back = run(&site, &graph(2)).await;
    assert!(back.steps.iter().all(|step| step.within.is_none() && step.action.verb() == "create"));
    assert_eq!(back.steps.len(), LOGINS.len());
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_plan_has_what_its_members_need_though_nothing_waits_for_it() {
    let mut graph = Graph::default();
    let machine = graph.add("m", Machine { size: 1 });
    let mut account = |login: &str, needs| graph.add(format!("m/{login}"), Account { on: machine.clone(), needs });
    let ada = account("ada", Vec::new());
    let eve = account("eve", vec![ada.clone()]);
    account("joe", vec![ada, eve]);
    account("kim", Vec::new());
    let site = Site::of(1);
    let plan = plan(KINDS, &graph, &observe(KINDS, &site).await.unwrap(), Selection::All);
    let part = |login: &str| {
        let part = graph.with_needs(|address| address.name == format!("m/{login}"));
        plan.only(&|address| part.contains(address)).steps.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(part("kim"), ["create machine/m", "create account/m/kim"]);
    assert_eq!(part("eve"), ["create machine/m", "create account/m/ada", "create account/m/eve"]);
    assert_eq!(part("joe")[1..], ["create account/m/ada", "create account/m/eve", "create account/m/joe"]);
    // What is needed waits for nobody either: the world carries all of them out at once.
    assert!(plan.steps[1..].iter().all(|step| step.waits.steps == [0].into()), "{plan:#?}");
}
