//! The toy kinds: each says what it holds, and one macro makes it a resource.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;

use super::cloud::{Object, Toy};
use crate::{
    Address, Diff,
    Effect::{self, InPlace, Interrupts, Replaces},
    Identity, Inventory, Kind, Ref, Resource, Result, StepContext,
};

type Fields = Vec<(&'static str, String, Effect)>;
type Links<'a> = Vec<(&'static str, &'a Address, Effect)>;

/// What a toy resource consists of.
pub trait Shape {
    fn fields(&self) -> Fields;
    fn links(&self) -> Links<'_>;
}

fn diff(shape: &impl Shape, observed: &Object, known: &Inventory) -> Diff {
    let mut diff = Diff::default();
    for (field, wanted, effect) in shape.fields() {
        if observed.field(field) != wanted {
            diff.push(field, json!(observed.field(field)), json!(wanted), effect);
        }
    }
    let mut wanted: BTreeMap<&'static str, (BTreeSet<String>, Effect)> = BTreeMap::new();
    for (field, target, effect) in shape.links() {
        // What is not there yet, or goes, is told by its address.
        let id = known.item(target).map_or_else(|| target.to_string(), |item| item.id.clone());
        wanted.entry(field).or_insert_with(|| (BTreeSet::new(), effect)).0.insert(id);
    }
    let fields: BTreeSet<&'static str> = wanted.keys().chain(observed.links.keys()).copied().collect();
    for field in fields {
        let have = observed.links.get(field).cloned().unwrap_or_default();
        let (want, effect) = wanted.remove(field).unwrap_or((BTreeSet::new(), InPlace));
        if have != want {
            // An object that this one holds on to cannot be replaced unless this one goes first.
            let held = observed.kind != "table" && have.iter().any(|id| known.items().all(|(_, item)| item.id != *id));
            diff.push(field, json!(have), json!(want), if held { Replaces } else { effect });
        }
    }
    diff
}

/// Values, and the ids of linked objects, by field.
type Resolved = (BTreeMap<&'static str, String>, BTreeMap<&'static str, BTreeSet<String>>);

fn resolve(shape: &impl Shape, cx: &StepContext<'_, Toy>) -> Result<Resolved> {
    let fields = shape.fields().into_iter().map(|(field, value, _)| (field, value)).collect();
    let mut links: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for (field, target, _) in shape.links() {
        // Every toy kind reports an `Object`, so that any link may be read as one to a VPC.
        let object = cx.observed(&Ref::<Vpc>::to(target.clone()))?;
        links.entry(field).or_default().insert(object.id.clone());
    }
    Ok((fields, links))
}

/// Two calls, as real clouds have it, where a field is not among those of the create call.
async fn create(shape: &impl Shape, cx: &StepContext<'_, Toy>) -> Result<Object> {
    let (fields, links) = resolve(shape, cx)?;
    cx.progress("is being made");
    let late: BTreeSet<_> =
        shape.fields().iter().filter(|(.., effect)| *effect == InPlace).map(|field| field.0).collect();
    let mut first = fields.clone();
    first.retain(|field, _| !late.contains(field));
    let born = cx.world.create(cx.address(), cx.token(), first, links.clone()).await?;
    if born.fields == fields {
        return Ok(born);
    }
    cx.world.change(cx.address(), &born.id, fields, links).await
}

macro_rules! kind {
    ($kind:ident, $name:literal, $layer:literal, after $after:expr $(, $constant:ident: $type:ty = $value:expr)*) => {
        impl Resource<Toy> for $kind {
            const KIND: &'static str = $name;
            const LAYER: &'static str = $layer;
            const AFTER: &'static [&'static str] = &$after;
            $(const $constant: $type = $value;)*
            type Observed = Object;

            fn refs(&self) -> Vec<&Address> {
                self.links().into_iter().map(|(_, target, _)| target).collect()
            }

            async fn observe(world: &Toy, _known: &Inventory) -> Result<Vec<(String, Object)>> {
                world.list($name).await
            }

            fn id(observed: &Object) -> String {
                observed.id.clone()
            }

            fn guard(observed: &Object) -> Option<String> {
                (observed.field("protect") == "true").then(|| String::from("`protect` is set"))
            }

            fn outputs(observed: &Object) -> Vec<(&'static str, String)> {
                vec![("id", observed.id.clone())]
            }

            fn diff(&self, observed: &Object, known: &Inventory) -> Diff {
                diff(self, observed, known)
            }

            async fn create(&self, cx: &StepContext<'_, Toy>) -> Result<Object> {
                create(self, cx).await
            }

            async fn update(&self, observed: &Object, _diff: &Diff, cx: &StepContext<'_, Toy>) -> Result<Object> {
                let (fields, links) = resolve(self, cx)?;
                cx.world.change(cx.address(), &observed.id, fields, links).await
            }

            async fn delete(observed: &Object, cx: &StepContext<'_, Toy>) -> Result<()> {
                cx.world.delete(cx.address(), &observed.id).await
            }
        }
    };
}

#[derive(Clone, Serialize)]
pub struct Vpc {
    pub range: u8,
    pub dns: bool,
}

impl Shape for Vpc {
    fn fields(&self) -> Fields {
        let Self { range, dns } = self;
        vec![("range", range.to_string(), Replaces), ("dns", dns.to_string(), InPlace)]
    }

    fn links(&self) -> Links<'_> {
        Vec::new()
    }
}

kind!(Vpc, "vpc", "network", after [], TYPICAL_SECONDS: u32 = 2);

/// Exclusive: two cannot have one range.
#[derive(Clone, Serialize)]
pub struct Subnet {
    pub vpc: Ref<Vpc>,
    pub range: u8,
    pub public: bool,
}

impl Shape for Subnet {
    fn fields(&self) -> Fields {
        let Self { vpc: _, range, public } = self;
        vec![("range", range.to_string(), Replaces), ("public", public.to_string(), InPlace)]
    }

    fn links(&self) -> Links<'_> {
        vec![("vpc", self.vpc.address(), Replaces)]
    }
}

kind!(Subnet, "subnet", "network", after ["vpc"], EXCLUSIVE: bool = true, TYPICAL_SECONDS: u32 = 2);

#[derive(Clone, Serialize)]
pub struct Group {
    pub vpc: Ref<Vpc>,
    pub text: u8,
}

impl Shape for Group {
    fn fields(&self) -> Fields {
        vec![("text", self.text.to_string(), Replaces)]
    }

    fn links(&self) -> Links<'_> {
        vec![("vpc", self.vpc.address(), Replaces)]
    }
}

kind!(Group, "group", "network", after["vpc"]);

/// A group's rules; apart from the groups, so that these may name each other.
#[derive(Clone, Serialize)]
pub struct Rules {
    pub group: Ref<Group>,
    pub peers: Vec<Ref<Group>>,
}

impl Shape for Rules {
    fn fields(&self) -> Fields {
        Vec::new()
    }

    fn links(&self) -> Links<'_> {
        let owner = ("group", self.group.address(), Replaces);
        std::iter::once(owner).chain(self.peers.iter().map(|peer| ("peers", peer.address(), InPlace))).collect()
    }
}

kind!(Rules, "rules", "network", after["group"]);

#[derive(Clone, Serialize)]
pub struct Nat {
    pub subnet: Ref<Subnet>,
}

impl Shape for Nat {
    fn fields(&self) -> Fields {
        Vec::new()
    }

    fn links(&self) -> Links<'_> {
        vec![("subnet", self.subnet.address(), Replaces)]
    }
}

kind!(Nat, "nat", "network", after ["subnet"], TYPICAL_SECONDS: u32 = 100);

/// Its routes and associations are fields; deleting their targets is not refused.
#[derive(Clone, Serialize)]
pub struct Table {
    pub vpc: Ref<Vpc>,
    pub nats: Vec<Ref<Nat>>,
    pub subnets: Vec<Ref<Subnet>>,
}

impl Shape for Table {
    fn fields(&self) -> Fields {
        Vec::new()
    }

    fn links(&self) -> Links<'_> {
        let nats = self.nats.iter().map(|nat| ("nats", nat.address(), InPlace));
        let subnets = self.subnets.iter().map(|subnet| ("subnets", subnet.address(), InPlace));
        std::iter::once(("vpc", self.vpc.address(), Replaces)).chain(nats).chain(subnets).collect()
    }
}

kind!(Table, "table", "network", after ["subnet", "nat"]);

/// Known by its name alone.
#[derive(Clone, Serialize)]
pub struct Bucket {
    pub region: u8,
    pub versions: bool,
}

impl Shape for Bucket {
    fn fields(&self) -> Fields {
        let Self { region, versions } = self;
        vec![("region", region.to_string(), Replaces), ("versions", versions.to_string(), InPlace)]
    }

    fn links(&self) -> Links<'_> {
        Vec::new()
    }
}

kind!(Bucket, "bucket", "storage", after [], IDENTITY: Identity = Identity::Name);

/// Guarded by `protect`.
#[derive(Clone, Serialize)]
pub struct Instance {
    pub subnet: Ref<Subnet>,
    pub groups: Vec<Ref<Group>>,
    pub image: u8,
    pub size: u8,
    pub protect: bool,
}

impl Shape for Instance {
    fn fields(&self) -> Fields {
        let Self { subnet: _, groups: _, image, size, protect } = self;
        vec![
            ("image", image.to_string(), Replaces),
            ("size", size.to_string(), Interrupts),
            ("protect", protect.to_string(), InPlace),
        ]
    }

    fn links(&self) -> Links<'_> {
        let groups = self.groups.iter().map(|group| ("groups", group.address(), InPlace));
        std::iter::once(("subnet", self.subnet.address(), Replaces)).chain(groups).collect()
    }
}

kind!(Instance, "instance", "hosts", after ["subnet", "group"], TYPICAL_SECONDS: u32 = 40);

pub static KINDS: &[Kind<Toy>] = &[
    Kind::of::<Vpc>(),
    Kind::of::<Subnet>(),
    Kind::of::<Group>(),
    Kind::of::<Rules>(),
    Kind::of::<Nat>(),
    Kind::of::<Table>(),
    Kind::of::<Bucket>(),
    Kind::of::<Instance>(),
];
