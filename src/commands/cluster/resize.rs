//! `infra cluster resize`.

use clap::Args;
use engine::Graph;
use serde_json::json;

use super::{
    super::{
        Changing, Globals, run,
        session::{Scope, Session},
    },
    which,
};
use crate::{
    cloud::Cloud,
    error::{Failure, Result},
    resources::{EmrClusterObserved, NodesObserved},
    spec::{Nodes, Spanned, nearest},
    stacks::{ClusterWish, Part, Sizes},
    ui::{self, plan::Heading},
};

/// Changes how many machines the cluster's groups have, in place; nothing else of it changes.
///
/// A task group that the cluster does not have yet is added. The spec is not changed: where it says another number, the
/// next `infra apply` goes back to that, and the line is named. EMR takes minutes to bring machines or to let them go.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra cluster resize core=4
  infra cluster resize core=2 task=8
  infra cluster resize task=2 --type m5.2xlarge
  infra cluster resize task.spot=10             of a cluster with fleets: units of spot

What is fixed at a cluster's birth (the master, types, disks) is changed in the spec: `infra plan` shows a replacement,
and `infra apply` asks before it.")]
pub struct Resize {
    /// `core`, `task`, or of fleets `core.on_demand`, `core.spot`, `task.on_demand`, `task.spot`; and how many.
    #[arg(required = true, value_name = "GROUP=COUNT")]
    sizes: Vec<String>,
    /// The instance type of a task group that is added; the spec's, or else the core group's, unless said.
    #[arg(long = "type", value_name = "TYPE")]
    instance_type: Option<String>,
    /// Prints one JSON event a line on stdout instead of progress.
    #[arg(long)]
    json: bool,
}

/// What people call the parts of a cluster of groups, and of one of fleets. The first of each part is its name.
const GROUPS: &[(&str, Part)] =
    &[("core", Part::Core), ("task", Part::Task), ("workers", Part::Core), ("tasks", Part::Task)];
const FLEETS: &[(&str, Part)] = &[
    ("core.on_demand", Part::CoreOnDemand),
    ("core.spot", Part::CoreSpot),
    ("task.on_demand", Part::TaskOnDemand),
    ("task.spot", Part::TaskSpot),
];
/// More than EMR starts; what is beyond is a slip of the finger.
const MOST: u32 = 10_000;

impl Resize {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { sizes, instance_type, json } = self;
        let mut session = Session::open_to_change(globals, Scope::Cluster, "cluster resize").await?;
        which::specified(&session)?;
        let known = session.observe().await?;
        let cluster = which::must_live(&session, &known)?;
        let flags = session.flags().to_owned();
        let mut wanted = Sizes { task_type: instance_type, ..Sizes::default() };
        for size in &sizes {
            let (part, count) = read(&session, cluster, size)?;
            if wanted.counts.insert(part, count).is_some_and(|other| other != count) {
                return Err(Failure::new(format!("{size}: there is another number for it")));
            }
        }
        ensure_possible(&session, cluster, &wanted)?;
        let id = cluster.id.clone();
        session.wish(ClusterWish::Sizes(wanted.clone()));
        let desired: Graph<Cloud> = session.desired(&known).await?;
        let plan = session.plan(&desired, &known);
        if plan.is_empty() {
            if !json {
                ui::say(&format!("Cluster {id} has these sizes already."));
            }
        } else {
            if !json {
                let heading = Heading { partial: true, ..session.heading(false) };
                ui::say(&ui::plan::render(&plan, &heading));
            }
            run::ensure_permitted(&plan)?;
            let changing = Changing { yes: true, parallelism: 1, json };
            run::carry_out(&session, &plan, &desired, known, &changing).await?;
        }
        let otherwise = otherwise(&session, &wanted);
        if json {
            let sizes: serde_json::Map<_, _> =
                wanted.counts.iter().map(|(part, count)| (name(*part).to_owned(), json!(count))).collect();
            let spec: Vec<_> = otherwise
                .iter()
                .map(|said| json!({ "group": name(said.part), "count": said.count, "at": said.place }))
                .collect();
            let line = json!({ "event": "resized", "cluster": id, "sizes": sizes, "spec_says_otherwise": spec });
            return Ok(ui::print(&format!("{line}\n"))?);
        }
        if !plan.is_empty() {
            ui::say(&format!("\n`infra{flags} cluster status` shows the machines as they come and go."));
        }
        for Said { part, count, place } in otherwise {
            let count = count.map_or_else(|| "names no such group".to_owned(), |count| format!("says {count}"));
            ui::say(&format!(
                "note: {place} {count} for `{}`: the next `infra{flags} apply` goes back to that; change it there to \
                 keep the new size",
                name(part)
            ));
        }
        Ok(())
    }
}

fn name(part: Part) -> &'static str {
    GROUPS.iter().chain(FLEETS).find(|(_, of)| *of == part).map_or("", |(name, _)| name)
}

/// Reads `core=4`.
fn read(session: &Session, cluster: &EmrClusterObserved, text: &str) -> Result<(Part, u32)> {
    let fleets = matches!(cluster.nodes, NodesObserved::Fleets(_));
    let known = if fleets { FLEETS } else { GROUPS };
    let (group, count) = text
        .split_once('=')
        .ok_or_else(|| Failure::new(format!("`{text}`: expected GROUP=COUNT")).hint("for instance `core=4`"))?;
    if ["master", "primary"].contains(&group) {
        let at = session.spec.cluster.as_ref().map(|cluster| match &cluster.nodes {
            Nodes::Groups { master, .. } => master.span.place(),
            Nodes::Fleets { master, .. } => master.span.place(),
        });
        let at = at.unwrap_or_default();
        return Err(Failure::new("the master's size is fixed at the cluster's birth").hint(format!(
            "change it at {at}: `infra{flags} apply` then replaces the cluster, and asks before",
            flags = session.flags()
        )));
    }
    let Some((_, part)) = known.iter().find(|(name, _)| *name == group) else {
        let kind = if fleets { "fleets" } else { "groups" };
        let names: Vec<&str> = known.iter().take(if fleets { 4 } else { 2 }).map(|(name, _)| *name).collect();
        let failure = Failure::new(format!("`{group}` is no group of this cluster, which has {kind}"));
        return Err(match nearest(group, known.iter().map(|(name, _)| *name)) {
            Some(near) => failure.hint(format!("did you mean `{near}={count}`?")),
            None => failure.hint(format!("what can change: {}", names.join(", "))),
        });
    };
    let number: u32 = count.parse().ok().filter(|number| *number <= MOST).ok_or_else(|| {
        Failure::new(format!("`{text}`: `{count}` is no number of machines")).hint(format!("0 to {MOST}"))
    })?;
    if *part == Part::Core && number == 0 {
        return Err(Failure::new("the core group keeps at least one machine: HDFS is on it")
            .hint(format!("`infra{} cluster down` ends the cluster", session.flags())));
    }
    Ok((*part, number))
}

fn ensure_possible(session: &Session, cluster: &EmrClusterObserved, wanted: &Sizes) -> Result {
    let flags = session.flags();
    if !cluster.is_ready() {
        return Err(Failure::new(format!(
            "cluster {} is {}: its sizes can change once it works",
            cluster.id, cluster.state
        ))
        .hint(format!("`infra{flags} cluster up` waits for that")));
    }
    if cluster.managed_scaling.is_some() {
        let scaling = session.spec.cluster.as_ref().and_then(|cluster| cluster.managed_scaling.as_ref());
        let at = scaling.map(|limits| format!(" ({})", limits.span.place())).unwrap_or_default();
        return Err(Failure::new(format!("EMR itself chooses this cluster's sizes{at}"))
            .hint(format!("change the limits of `managed_scaling`, then `infra{flags} apply`")));
    }
    let has = |role: &str| match &cluster.nodes {
        NodesObserved::Groups(groups) => groups.iter().any(|group| group.role == role),
        NodesObserved::Fleets(fleets) => fleets.iter().any(|fleet| fleet.role == role),
    };
    let core = [Part::Core, Part::CoreOnDemand, Part::CoreSpot];
    if !has("CORE") && core.iter().any(|part| wanted.counts.contains_key(part)) {
        return Err(Failure::new(format!("cluster {} has no core nodes, and cannot gain any", cluster.id)).hint(format!(
            "add `core:` to the spec: `infra{flags} apply` then replaces the cluster, and asks before; or use `task`"
        )));
    }
    if wanted.task_type.is_some() && (has("TASK") || !wanted.counts.contains_key(&Part::Task)) {
        return Err(Failure::new("--type is for a task group that is added")
            .hint("an instance type is fixed at a group's birth; change it in the spec"));
    }
    Ok(())
}

/// What the spec says of a part, where that is not what it is now.
struct Said {
    part: Part,
    /// Nothing where the spec has no such group.
    count: Option<u32>,
    place: String,
}

fn otherwise(session: &Session, wanted: &Sizes) -> Vec<Said> {
    let Some(cluster) = &session.spec.cluster else { return Vec::new() };
    let said = |part: Part| -> Option<&Spanned<u32>> {
        match (&cluster.nodes, part) {
            (Nodes::Groups { core, .. }, Part::Core) => core.as_ref().map(|group| &group.count),
            (Nodes::Groups { task, .. }, Part::Task) => task.as_ref().map(|group| &group.count),
            (Nodes::Fleets { core, .. }, Part::CoreOnDemand) => core.as_ref().map(|fleet| &fleet.on_demand),
            (Nodes::Fleets { core, .. }, Part::CoreSpot) => core.as_ref().map(|fleet| &fleet.spot),
            (Nodes::Fleets { task, .. }, Part::TaskOnDemand) => task.as_ref().map(|fleet| &fleet.on_demand),
            (Nodes::Fleets { task, .. }, Part::TaskSpot) => task.as_ref().map(|fleet| &fleet.spot),
            _ => None,
        }
    };
    let mut all = Vec::new();
    for (part, count) in &wanted.counts {
        match said(*part) {
            Some(spec) if spec.value == *count => {}
            Some(spec) => all.push(Said { part: *part, count: Some(spec.value), place: spec.span.place() }),
            None if *count == 0 => {}
            None => all.push(Said { part: *part, count: None, place: cluster.span.place() }),
        }
    }
    all
}
