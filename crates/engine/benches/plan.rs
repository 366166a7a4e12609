//! What the engine itself costs with 10,000 resources: planning, building the schedule and carrying out steps that
//! take no time. The house's budget is a second for a plan.

use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::{Arc, Mutex},
    time::Duration,
};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use engine::{
    Address, Diff, Graph, Inventory, Kind, Options, Plan, Ref, Resource, Result, Selection, StepContext, World, apply,
    observe, plan,
};
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

type Rows = BTreeMap<String, Row>;

/// An object of any kind.
#[derive(Clone, Serialize)]
struct Row {
    id: String,
    parent: String,
    size: u32,
    tags: BTreeMap<String, String>,
}

/// A cloud that answers at once, except that a read takes a turn of the runtime, as any real one does.
#[derive(Clone, Default)]
struct Instant(Arc<Mutex<BTreeMap<&'static str, Rows>>>);

impl World for Instant {
    fn unread(&self) -> Self {
        self.clone()
    }
}

fn tags() -> BTreeMap<String, String> {
    ["stack", "owner", "purpose", "cost-centre"].map(|key| (key.to_owned(), format!("the {key}"))).into()
}

macro_rules! kind {
    ($kind:ident, $name:literal, $parent:ty, after $after:expr, exclusive $exclusive:literal) => {
        #[derive(Serialize)]
        struct $kind {
            parent: Option<Ref<$parent>>,
            size: u32,
            tags: BTreeMap<String, String>,
        }

        impl $kind {
            fn row(&self, id: String, parent: String) -> Row {
                Row { id, parent, size: self.size, tags: self.tags.clone() }
            }
        }

        impl Resource<Instant> for $kind {
            const KIND: &'static str = $name;
            const LAYER: &'static str = "all";
            const AFTER: &'static [&'static str] = &$after;
            const EXCLUSIVE: bool = $exclusive;
            type Observed = Row;

            fn refs(&self) -> Vec<&Address> {
                self.parent.iter().map(Ref::address).collect()
            }

            async fn observe(world: &Instant, _known: &Inventory) -> Result<Vec<(String, Row)>> {
                tokio::task::yield_now().await;
                let rows = world.0.lock().expect("no panic").get($name).cloned().unwrap_or_default();
                Ok(rows.into_iter().collect())
            }

            fn id(observed: &Row) -> String {
                observed.id.clone()
            }

            fn diff(&self, observed: &Row, known: &Inventory) -> Diff {
                let Self { parent, size, tags } = self;
                let mut diff = Diff::default();
                if let Some(parent) = parent {
                    diff.fixed_link("parent", &observed.parent, known.get(parent).map(|row| row.id.as_str()), parent);
                }
                diff.field("size", &observed.size, size).map("tags", &observed.tags, tags);
                diff
            }

            async fn create(&self, cx: &StepContext<'_, Instant>) -> Result<Row> {
                let parent = self.parent.as_ref().map(|parent| Ok::<_, anyhow::Error>(cx.observed(parent)?.id.clone()));
                let row = self.row(format!("id-{}", cx.address()), parent.transpose()?.unwrap_or_default());
                let mut rows = cx.world.0.lock().expect("no panic");
                rows.entry($name).or_default().insert(cx.address().name.clone(), row.clone());
                Ok(row)
            }

            async fn update(&self, observed: &Row, _diff: &Diff, _cx: &StepContext<'_, Instant>) -> Result<Row> {
                Ok(self.row(observed.id.clone(), observed.parent.clone()))
            }

            async fn delete(_observed: &Row, _cx: &StepContext<'_, Instant>) -> Result<()> {
                Ok(())
            }
        }
    };
}

kind!(Network, "network", Network, after [], exclusive false);
kind!(Subnet, "subnet", Network, after ["network"], exclusive true);
kind!(Host, "host", Subnet, after ["subnet"], exclusive false);

const KINDS: &[Kind<Instant>] = &[Kind::of::<Network>(), Kind::of::<Subnet>(), Kind::of::<Host>()];

/// 100 networks with 9 subnets of 10 hosts each; `size` says a host's size, or that there is no such host.
fn graph(size: impl Fn(u32) -> Option<u32>) -> Graph<Instant> {
    let mut graph = Graph::default();
    let mut number = 0;
    for network in 0..100 {
        number += 1;
        let it = Network { parent: None, size: 1, tags: tags() };
        let network_ref = graph.add(format!("n{network}"), it);
        for subnet in 0..9 {
            number += 1;
            let it = Subnet { parent: Some(network_ref.clone()), size: 1, tags: tags() };
            let subnet_ref = graph.add(format!("n{network}-s{subnet}"), it);
            for host in 0..10 {
                number += 1;
                let Some(size) = size(number) else { continue };
                let it = Host { parent: Some(subnet_ref.clone()), size, tags: tags() };
                graph.add(format!("n{network}-s{subnet}-h{host}"), it);
            }
        }
    }
    graph
}

fn carry_out(runtime: &Runtime, plan: &Plan, graph: &Graph<Instant>, known: Inventory, world: &Instant) {
    let (events, told) = tokio::sync::mpsc::unbounded_channel();
    let options = Options { parallelism: 32, cancel: CancellationToken::new(), events };
    let outcome = runtime.block_on(apply(plan, KINDS, graph, known, world, &options));
    assert!(outcome.is_complete());
    drop(told);
}

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let whole = graph(|_| Some(1));
    let (empty, nothing) = (Graph::default(), Inventory::default());
    let all_new = plan(KINDS, &whole, &nothing, Selection::All);
    assert_eq!(all_new.steps.len(), 10_000);
    let standing = Instant::default();
    carry_out(&runtime, &all_new, &whole, Inventory::default(), &standing);
    let known = runtime.block_on(observe(KINDS, &standing)).expect("it can be read");
    // Of the hosts a quarter changes, a quarter goes.
    let half = graph(|number| (number % 4 != 0).then_some(1 + u32::from(number % 4 == 1)));
    let changed = plan(KINDS, &half, &known, Selection::All);
    let all_gone = plan(KINDS, &empty, &known, Selection::All);
    println!("steps: new {}, gone {}, half {}", all_new.steps.len(), all_gone.steps.len(), changed.steps.len());

    let mut group = criterion.benchmark_group("10,000 resources");
    group.sample_size(10).measurement_time(Duration::from_secs(4)).warm_up_time(Duration::from_secs(1));
    for (name, desired, known) in [
        ("plan, unchanged", &whole, &known),
        ("plan, all new", &whole, &nothing),
        ("plan, all to delete", &empty, &known),
        ("plan, half changed", &half, &known),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(plan(KINDS, desired, known, Selection::All)));
        });
    }
    group.bench_function("a part of a plan", |bencher| {
        bencher.iter(|| black_box(all_gone.only(&|address| address.kind == "network")));
    });
    for (name, plan, desired, known) in [
        ("apply, all new", &all_new, &whole, &nothing),
        ("apply, half changed", &changed, &half, &known),
        ("apply, all to delete", &all_gone, &empty, &known),
    ] {
        let input = || (known.clone(), if known.is_empty() { Instant::default() } else { standing.clone() });
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                input,
                |(known, world)| carry_out(&runtime, plan, desired, known, &world),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(plans, benches);
criterion_main!(plans);
