//! What a kind of resource is, and the registry row that it fills.

use std::{future::Future, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use crate::{
    Address, Diff, Inventory, Result, StepContext,
    inventory::{Facts, Item},
};

/// What resources read and write: a cloud account, a host.
///
/// A world may remember its own recent writes (see [`World::begin_create`]) to bridge the time until reads show
/// them; a world whose reads are always current needs none of the defaulted methods.
pub trait World: Send + Sync + Sized + 'static {
    /// The same world with nothing remembered of earlier reads.
    #[must_use]
    fn unread(&self) -> Self;

    /// Called before an object is created; the token makes a repeated request the same request.
    fn begin_create(&self, address: &Address) -> Result<Attempt> {
        let _ = address;
        Ok(Attempt::default())
    }

    /// Called once an object was created and its id is known.
    fn end_create(&self, address: &Address, id: &str) -> Result<()> {
        let _ = (address, id);
        Ok(())
    }

    /// Called once an object was deleted.
    fn end_delete(&self, address: &Address) -> Result<()> {
        let _ = address;
        Ok(())
    }

    /// Called before steps that are carried out together ([`Resource::GATHERED`]) start: all of them that are due now.
    fn due(&self, addresses: &[&Address]) {
        let _ = addresses;
    }

    /// Called once such a step is over, however it ended: one that failed early never came to be carried out.
    fn over(&self, address: &Address) {
        let _ = address;
    }

    /// How much longer reads may contradict this world's own recent writes, given what a read showed.
    /// `None` when the read agrees with them.
    ///
    /// `seen` answers for an address, `subnet/a`, and for one object at it, `subnet/a=subnet-0123`: while a replaced
    /// object is still shown its address is seen, but its successor is not. Where a create was interrupted, what is
    /// seen at the address may be its predecessor, as long as a read may still show what was deleted before.
    fn unsettled(&self, seen: &dyn Fn(&str) -> bool) -> Option<Duration> {
        let _ = seen;
        None
    }
}

/// An attempt at creating an object.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// Sent with the request where the API takes one; the same again after a crash.
    pub token: String,
    /// How long an earlier, unfinished attempt's object may still be invisible; zero where there was none.
    pub patience: Duration,
    /// Whether there was an earlier attempt that has no answer: its object may be there, half made.
    pub repeated: bool,
}

/// How an object is recognised as the one at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By a tag: the world accepts a second object with the same one, so `apply` looks again before it creates.
    Tag,
    /// By a name that the world keeps unique.
    Name,
}

/// A kind of resource. A value of the implementing type is a *desired* resource.
pub trait Resource<W: World>: Serialize + Send + Sync + 'static {
    /// The kind's name, in snake case: `subnet`.
    const KIND: &'static str;
    /// The part of the stack under which a plan shows it: `network`.
    const LAYER: &'static str;
    /// The kinds that it may refer to, or that must outlive it. A kind is deleted before those it comes after.
    /// Planning panics where `refs` names a kind that is not among these, or among those which these come after.
    const AFTER: &'static [&'static str] = &[];
    /// The kinds whose observation this kind's `observe` reads.
    const OBSERVES_AFTER: &'static [&'static str] = &[];
    /// How its objects are recognised.
    const IDENTITY: Identity = Identity::Tag;
    /// Two of its objects may not exist side by side where one takes the other's place (a subnet's range):
    /// orphans are deleted before others are created.
    const EXCLUSIVE: bool = false;
    /// What creating one typically takes, in seconds; long chains are started first.
    const TYPICAL_SECONDS: u32 = 1;

    /// The world carries out steps of this kind together, however many there are: one script on a host, one request
    /// for many objects. Such a step waits for its fellows and is not counted as one that runs.
    const GATHERED: bool = false;

    /// What every object of the kind has, whatever its fields say: the plan shows it beside them.
    const ALWAYS: &'static [(&'static str, &'static str)] = &[];

    /// What the world reports of an object.
    type Observed: Serialize + Send + Sync + 'static;

    /// The resources that this one refers to.
    fn refs(&self) -> Vec<&Address>;

    /// The resource whose object carries this one's and takes it along when it goes: the host that a user is on.
    /// While that is new or being replaced, nothing that was observed of this one is believed, and nothing of it is
    /// deleted. It must be among `refs`.
    fn within(&self) -> Option<&Address> {
        None
    }

    /// Others that this one cannot do without although no step waits for them: the world carries both out together, in
    /// an order of its own. A part of a plan that has this one has them too.
    fn needs(&self) -> Vec<&Address> {
        Vec::new()
    }

    /// Finds all of the stack's objects of this kind, with the name each one claims.
    fn observe(world: &W, known: &Inventory) -> impl Future<Output = Result<Vec<(String, Self::Observed)>>> + Send;

    /// The object's id in the world.
    fn id(observed: &Self::Observed) -> String;

    /// Compares; pure.
    ///
    /// `known` hides what is being replaced. Where the world refuses to delete an object while this one refers to it,
    /// a link to one that is hidden must be a change that replaces, even if such a link can else change in place:
    /// an update would come too late, because it waits for the successor.
    fn diff(&self, observed: &Self::Observed, known: &Inventory) -> Diff;

    /// Why the object may not be deleted or replaced, if so.
    fn guard(observed: &Self::Observed) -> Option<String> {
        let _ = observed;
        None
    }

    /// What goes with the object and does not come back, a phrase each: `its address 203.0.113.7`.
    fn losses(observed: &Self::Observed) -> Vec<String> {
        let _ = observed;
        Vec::new()
    }

    /// What others want to know of the object, by name.
    fn outputs(observed: &Self::Observed) -> Vec<(&'static str, String)> {
        let _ = observed;
        Vec::new()
    }

    /// Makes the object.
    fn create(&self, cx: &StepContext<'_, W>) -> impl Future<Output = Result<Self::Observed>> + Send;

    /// Changes the object in the fields that `diff` names.
    fn update(
        &self,
        observed: &Self::Observed,
        diff: &Diff,
        cx: &StepContext<'_, W>,
    ) -> impl Future<Output = Result<Self::Observed>> + Send;

    /// Deletes the object; one that is gone already is a success.
    fn delete(observed: &Self::Observed, cx: &StepContext<'_, W>) -> impl Future<Output = Result<()>> + Send;
}

type ObserveFn<W> = for<'a> fn(&'a W, &'a Inventory) -> BoxFuture<'a, Result<Vec<(String, Item)>>>;
type DeleteFn<W> = for<'a> fn(&'a Facts, &'a StepContext<'a, W>) -> BoxFuture<'a, Result<()>>;

/// One row of the registry.
pub struct Kind<W: 'static> {
    /// The kind's name.
    pub name: &'static str,
    /// The part of the stack under which a plan shows it.
    pub layer: &'static str,
    /// The kinds it comes after.
    pub after: &'static [&'static str],
    pub(crate) observes_after: &'static [&'static str],
    pub(crate) identity: Identity,
    pub(crate) exclusive: bool,
    pub(crate) typical_seconds: u32,
    pub(crate) gathered: bool,
    pub(crate) observe: ObserveFn<W>,
    pub(crate) delete: DeleteFn<W>,
}

impl<W> Clone for Kind<W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Kind<W> {}

impl<W: World> Kind<W> {
    /// The row for a resource type.
    pub const fn of<R: Resource<W>>() -> Self {
        Self {
            name: R::KIND,
            layer: R::LAYER,
            after: R::AFTER,
            observes_after: R::OBSERVES_AFTER,
            identity: R::IDENTITY,
            exclusive: R::EXCLUSIVE,
            typical_seconds: R::TYPICAL_SECONDS,
            gathered: R::GATHERED,
            observe: |world, known| {
                Box::pin(async move {
                    let found = R::observe(world, known).await?;
                    Ok(found.into_iter().map(|(name, observed)| (name, item::<W, R>(observed))).collect())
                })
            },
            delete: |facts, cx| Box::pin(async move { R::delete(cast::<W, R>(facts), cx).await }),
        }
    }
}

fn item<W: World, R: Resource<W>>(observed: R::Observed) -> Item {
    Item {
        id: R::id(&observed),
        guard: R::guard(&observed),
        losses: R::losses(&observed),
        facts: Arc::new(observed),
        view: |facts| serde_json::to_value(cast::<W, R>(facts)).unwrap_or(Value::Null),
        outputs: |facts| R::outputs(cast::<W, R>(facts)),
    }
}

fn cast<W: World, R: Resource<W>>(facts: &Facts) -> &R::Observed {
    facts.downcast_ref().expect("an address's kind fixes its observed type")
}

/// A desired resource whose type is forgotten, so that a graph can hold all kinds.
pub(crate) trait Erased<W: 'static>: Send + Sync {
    fn refs(&self) -> Vec<&Address>;
    fn within(&self) -> Option<&Address>;
    fn needs(&self) -> Vec<&Address>;
    fn fields(&self) -> Value;
    fn diff(&self, observed: &Item, known: &Inventory) -> Diff;
    fn create<'a>(&'a self, cx: &'a StepContext<'a, W>) -> BoxFuture<'a, Result<Item>>;
    fn update<'a>(
        &'a self,
        observed: &'a Item,
        diff: &'a Diff,
        cx: &'a StepContext<'a, W>,
    ) -> BoxFuture<'a, Result<Item>>;
}

pub(crate) struct Desired<R>(pub(crate) R);

impl<W: World, R: Resource<W>> Erased<W> for Desired<R> {
    fn refs(&self) -> Vec<&Address> {
        self.0.refs()
    }

    fn within(&self) -> Option<&Address> {
        self.0.within()
    }

    fn needs(&self) -> Vec<&Address> {
        self.0.needs()
    }

    fn fields(&self) -> Value {
        let mut fields = serde_json::to_value(&self.0).unwrap_or(Value::Null);
        if let Value::Object(map) = &mut fields {
            let always = R::ALWAYS.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
            // The tags stay last.
            let tags = map.shift_remove("tags");
            map.extend(always);
            map.extend(tags.map(|tags| ("tags".to_owned(), tags)));
        }
        fields
    }

    fn diff(&self, observed: &Item, known: &Inventory) -> Diff {
        self.0.diff(cast::<W, R>(&observed.facts), known)
    }

    fn create<'a>(&'a self, cx: &'a StepContext<'a, W>) -> BoxFuture<'a, Result<Item>> {
        Box::pin(async move { Ok(item::<W, R>(self.0.create(cx).await?)) })
    }

    fn update<'a>(
        &'a self,
        observed: &'a Item,
        diff: &'a Diff,
        cx: &'a StepContext<'a, W>,
    ) -> BoxFuture<'a, Result<Item>> {
        Box::pin(async move { Ok(item::<W, R>(self.0.update(cast::<W, R>(&observed.facts), diff, cx).await?)) })
    }
}
