//! Carrying a plan out: each step starts once those it waits for are done; there are no waves and no retries.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context;
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Action, Address, Attempt, Event, Events, Graph, Identity, Inventory, Kind, Plan, Ref, Resource, Result, Step,
    StepId, World,
    inventory::Item,
    observe::{Reader, Wanted},
    resource::Erased,
    schedule::Schedule,
};

/// How to carry a plan out.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many steps may run at once; those that the world gathers ([`Resource::GATHERED`]) don't count.
    pub parallelism: usize,
    /// Once cancelled, no step starts; those that run finish.
    pub cancel: CancellationToken,
    /// Where to tell what happens.
    pub events: Events,
}

/// A step that failed.
#[derive(Debug)]
pub struct Failure {
    /// The step.
    pub step: StepId,
    /// Its resource.
    pub address: Address,
    /// What went wrong.
    pub error: anyhow::Error,
}

/// A step that was not tried.
#[derive(Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The step.
    pub step: StepId,
    /// Its resource.
    pub address: Address,
    /// What stands in the way.
    pub because: Address,
}

/// What became of a plan.
#[derive(Debug, Default)]
#[must_use = "a plan that failed half way must be told to somebody"]
pub struct Outcome {
    /// Steps that were carried out.
    pub done: Vec<StepId>,
    /// Steps that failed.
    pub failed: Vec<Failure>,
    /// Steps behind a failure.
    pub skipped: Vec<Skipped>,
    /// Steps that were not started because of the cancellation.
    pub cancelled: Vec<StepId>,
    /// What is known of the world now.
    pub inventory: Inventory,
}

impl Outcome {
    /// True when every step was carried out.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty() && self.cancelled.is_empty()
    }
}

/// What a step may use.
pub struct StepContext<'a, W> {
    /// The world to act on.
    pub world: &'a W,
    step: StepId,
    address: &'a Address,
    attempt: &'a Attempt,
    inventory: &'a Mutex<Inventory>,
    events: &'a Events,
}

impl<W: World> StepContext<'_, W> {
    /// The resource that the step works on.
    pub fn address(&self) -> &Address {
        self.address
    }

    /// The idempotency token of a create; the same again when a crashed create is tried again.
    pub fn token(&self) -> &str {
        &self.attempt.token
    }

    /// Whether an earlier attempt at this create has no answer: its object may be there, half made.
    pub fn is_repeated(&self) -> bool {
        self.attempt.repeated
    }

    /// Tells what the step waits for.
    pub fn progress(&self, message: impl Into<String>) {
        // Nobody listening is no reason to stop.
        let _ = self.events.send(Event::Progress {
            step: self.step,
            address: self.address.clone(),
            message: message.into(),
        });
    }

    /// What is known of the world by now: what was there, and what finished steps made.
    pub fn known(&self) -> Inventory {
        lock(self.inventory).clone()
    }

    /// What is known about another resource, once its step has finished.
    pub fn observed<R: Resource<W>>(&self, link: &Ref<R>) -> Result<Arc<R::Observed>> {
        let item = lock(self.inventory).items.get(link.address()).cloned();
        let item = item.with_context(|| format!("{} has not been created", link.address()))?;
        Ok(item.facts.downcast::<R::Observed>().expect("a Ref's type matches its address"))
    }
}

fn lock(inventory: &Mutex<Inventory>) -> MutexGuard<'_, Inventory> {
    // A step that panicked leaves the map whole: it is only ever changed by one insert or remove.
    inventory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries `plan` out on `world`. `known` must be the inventory that the plan was made from.
pub async fn apply<W: World>(
    plan: &Plan,
    kinds: &[Kind<W>],
    desired: &Graph<W>,
    known: Inventory,
    world: &W,
    options: &Options,
) -> Outcome {
    let inventory = Mutex::new(known);
    let rows: BTreeMap<&str, (&Kind<W>, Reader<'_, W>)> =
        kinds.iter().map(|kind| (kind.name, (kind, Reader::of(kind)))).collect();
    let deletes = plan.steps.iter().filter(|step| step.action == Action::Delete);
    let predecessors: BTreeMap<&Address, &str> =
        deletes.filter_map(|step| Some((&step.address, step.id.as_deref()?))).collect();
    let mut schedule = Schedule::of(plan, kinds);
    let mut outcome = Outcome::default();
    let mut running = FuturesUnordered::new();
    let mut taken = 0_usize;
    loop {
        let mut due = Vec::new();
        while !options.cancel.is_cancelled() {
            let Some(id) = schedule.next(taken < options.parallelism.max(1)) else { break };
            taken += usize::from(!schedule.is_gathered(id));
            let step = &plan.steps[id];
            if schedule.is_gathered(id) {
                due.push(&step.address);
            }
            let (kind, reader) = &rows[step.address.kind];
            let predecessor = predecessors.get(&step.address).copied();
            let runner = Runner { id, step, kind, reader, predecessor, desired, inventory: &inventory, world, options };
            running.push(async move { (id, runner.run().await) });
        }
        // Before the first of them begins: the world then knows for whom to wait.
        if !due.is_empty() {
            world.due(&due);
        }
        let Some((id, result)) = running.next().await else { break };
        taken -= usize::from(!schedule.is_gathered(id));
        if schedule.is_gathered(id) {
            world.over(&plan.steps[id].address);
        }
        match result {
            Ok(()) => {
                schedule.done(id);
                outcome.done.push(id);
            }
            Err(error) => {
                for (skipped, because) in schedule.lost(id) {
                    let (address, because) = (plan.steps[skipped].address.clone(), plan.steps[because].address.clone());
                    let (told, blocker) = (address.clone(), because.clone());
                    let _ = options.events.send(Event::Skipped { step: skipped, address: told, because: blocker });
                    outcome.skipped.push(Skipped { step: skipped, address, because });
                }
                outcome.failed.push(Failure { step: id, address: plan.steps[id].address.clone(), error });
            }
        }
    }
    drop(running);
    outcome.cancelled = schedule.left().collect();
    outcome.inventory = inventory.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome
}

struct Runner<'a, W: 'static> {
    id: StepId,
    step: &'a Step,
    kind: &'a Kind<W>,
    reader: &'a Reader<'a, W>,
    /// The object that the plan deletes at this address.
    predecessor: Option<&'a str>,
    desired: &'a Graph<W>,
    inventory: &'a Mutex<Inventory>,
    world: &'a W,
    options: &'a Options,
}

impl<W: World> Runner<'_, W> {
    async fn run(&self) -> Result<()> {
        let start = Instant::now();
        let (step, address, action) = (self.id, &self.step.address, self.step.action.verb());
        let _ = self.options.events.send(Event::Started { step, address: address.clone(), action });
        let result = self.act().await;
        // Of a deleted object there is no id any more, though a rival may still claim the address.
        let known = lock(self.inventory).items.get(address).map(|item| item.id.clone());
        let known = known.filter(|_| self.step.action != Action::Delete || result.is_err());
        let _ = self.options.events.send(Event::Finished {
            step,
            address: address.clone(),
            action,
            elapsed: start.elapsed(),
            id: known,
            error: result.as_ref().err().map(|error| format!("{error:#}")),
        });
        result
    }

    async fn act(&self) -> Result<()> {
        let address = &self.step.address;
        let current = lock(self.inventory).claimant(address, self.step.id.as_deref()).cloned();
        let none = Attempt::default();
        let node = self.desired.node(address);
        let after = match (&self.step.action, node, &current) {
            (Action::Create { .. }, Some(node), _) => Some(self.create(&*node.desired).await?),
            (Action::Update { diff }, Some(node), Some(current)) => {
                Some(node.desired.update(current, diff, &self.context(&none)).await?)
            }
            (Action::Delete, _, Some(current)) => {
                (self.kind.delete)(&current.facts, &self.context(&none)).await?;
                self.world.end_delete(address)?;
                None
            }
            (action, ..) => anyhow::bail!("the plan was made from another world: {} {address}", action.verb()),
        };
        let mut known = lock(self.inventory);
        match (after, current) {
            (Some(item), _) => drop(known.items.insert(address.clone(), item)),
            (None, Some(gone)) => known.forget(address, &gone.id),
            (None, None) => {}
        }
        Ok(())
    }

    /// Creates, unless the object turns out to be there: an earlier run may have made it and died, and the world may
    /// not have shown it when the plan was made.
    async fn create(&self, desired: &dyn Erased<W>) -> Result<Item> {
        let address = &self.step.address;
        let attempt = self.world.begin_create(address)?;
        let cx = self.context(&attempt);
        let created = match self.kind.identity {
            Identity::Tag => match self.already_there(&cx, attempt.patience).await? {
                Some(found) => self.take_over(desired, found, &cx).await?,
                None => desired.create(&cx).await?,
            },
            // The world refuses a second object of the name: looking is needed only once it did.
            Identity::Name => match desired.create(&cx).await {
                Err(error) if !attempt.patience.is_zero() => {
                    let Some(found) = self.already_there(&cx, attempt.patience).await? else { return Err(error) };
                    self.take_over(desired, found, &cx).await?
                }
                result => result?,
            },
        };
        self.world.end_create(address, &created.id)?;
        Ok(created)
    }

    async fn already_there(&self, cx: &StepContext<'_, W>, patience: Duration) -> Result<Option<Item>> {
        let wanted = Wanted { address: &self.step.address, predecessor: self.predecessor, patience };
        let waiting = || cx.progress("waiting to see whether an interrupted run made it already");
        Ok(self.reader.look(self.world, &|| lock(self.inventory).clone(), wanted, waiting).await?)
    }

    /// Makes an object that an interrupted run left behind what is desired.
    async fn take_over(&self, desired: &dyn Erased<W>, found: Item, cx: &StepContext<'_, W>) -> Result<Item> {
        let known = lock(self.inventory).clone();
        let diff = desired.diff(&found, &known);
        anyhow::ensure!(
            !diff.replaces(),
            "{} appeared as {} since the plan was made, with fields that cannot change in place; plan again",
            found.id,
            self.step.address,
        );
        if diff.is_empty() { Ok(found) } else { desired.update(&found, &diff, cx).await }
    }

    fn context<'b>(&'b self, attempt: &'b Attempt) -> StepContext<'b, W> {
        StepContext {
            world: self.world,
            step: self.id,
            address: &self.step.address,
            attempt,
            inventory: self.inventory,
            events: &self.options.events,
        }
    }
}
