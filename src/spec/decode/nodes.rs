//! The machines of a cluster: groups or fleets.

use super::{
    super::{
        error::Diagnostic,
        model::{Fallback, Fleet, FleetType, Group, Market, NodeDisk, Nodes, Release, Spanned},
        shape::{Object, Shape, optional, required},
        tables::type_unsupported,
        tree::{Data, Key, Node},
    },
    Decoder, Fields,
};

/// A group.
pub(super) static GROUP: Object = Object {
    name: "group",
    doc: "Machines of one type.",
    fields: &[
        required("type", "The instance type.", Shape::Form(TYPE, "m5.xlarge")).also(&["instance_type"]),
        optional("count", "How many; 1 unless said.", Shape::Integer(0, 4_000)).also(&["instances", "instance_count"]),
        optional(
            "spot",
            "Spot machines: `true`, or a map with a highest price; on demand unless said.",
            Shape::Either(&[Shape::Boolean, Shape::Object(&SPOT)]),
        ),
        optional(
            "disk",
            "Each machine's data disk: a size, or a map; EMR's default unless said.",
            Shape::Either(&[Shape::Size, Shape::Object(&DISK)]),
        ),
    ],
};

const TYPE: &str = r"^([a-z][a-z0-9-]*\.[a-z0-9-]+|.*\$\{.*)$";
const PRICE_DOC: &str = "Highest price in US dollars an hour and machine; the on-demand price unless said.";

static SPOT: Object = Object {
    name: "spot",
    doc: "Spot machines.",
    fields: &[optional("max_price", PRICE_DOC, Shape::Loose).also(&["bid", "bid_price"])],
};

static DISK: Object = Object {
    name: "node_disk",
    doc: "Data disks of each machine.",
    fields: &[
        required("size", "Size of each, e.g. `64GiB`.", Shape::Size),
        optional("type", "EBS type; `gp2` unless said, `gp3` from emr-5.34.0.", Shape::Word(VOLUMES)),
        optional("count", "How many; 1 unless said.", Shape::Integer(1, 25)),
    ],
};

const VOLUMES: &[(&str, &str)] = &[
    ("gp2", "general purpose"),
    ("gp3", "general purpose, newer"),
    ("io1", "provisioned"),
    ("st1", "throughput"),
    ("sc1", "cold"),
];

/// Fleets.
pub(super) static FLEETS: Object = Object {
    name: "fleets",
    doc: "A choice of types for each role.",
    fields: &[
        required("master", "The master: one unit.", Shape::Object(&FLEET)).also(&["primary"]),
        optional("core", "Nodes with HDFS.", Shape::Object(&FLEET)),
        optional("task", "Nodes without HDFS.", Shape::Object(&FLEET)),
    ],
};

static FLEET: Object = Object {
    name: "fleet",
    doc: "A choice of types.",
    fields: &[
        required(
            "types",
            "Types to choose from: names, or maps.",
            Shape::List(&Shape::Either(&[Shape::Text, Shape::Object(&FLEET_TYPE)])),
        ),
        optional("on_demand", "Units on demand; 0 unless said, 1 where nothing is said.", Shape::Integer(0, 4_000)),
        optional("spot", "Units of spot; 0 unless said.", Shape::Integer(0, 4_000)),
        optional("spot_wait", "How long to wait for spot; 20m unless said.", Shape::Duration),
        optional("fallback", "What happens without spot; `on-demand` unless said.", Shape::Word(FALLBACKS)),
    ],
};

const FALLBACKS: &[(&str, &str)] =
    &[("on-demand", "take on-demand machines"), ("terminate", "give up and end the cluster")];

static FLEET_TYPE: Object = Object {
    name: "fleet_type",
    doc: "One type of a fleet.",
    fields: &[
        required("type", "The instance type.", Shape::Form(TYPE, "m5.xlarge")).also(&["instance_type"]),
        optional("weight", "Units that one machine counts for; 1 unless said.", Shape::Integer(1, 999)),
        optional("max_price", PRICE_DOC, Shape::Loose),
        optional("disk", "Each machine's data disk.", Shape::Either(&[Shape::Size, Shape::Object(&DISK)])),
    ],
};

/// EMR's limit on a fleet's types, with an allocation strategy.
const FLEET_TYPES: usize = 30;

/// Reads the machines of a cluster.
pub(super) fn read(cluster: &Fields<'_, '_>, release: Option<Release>) -> Option<Nodes> {
    let decoder = cluster.decoder;
    let groups = ["master", "core", "task"];
    let fleets = cluster.entry("fleets");
    if let (Some((key, _)), Some(group)) = (fleets, groups.iter().find_map(|name| cluster.entry(name))) {
        let (first, second) = if key.span < group.0.span { (key, group.0) } else { (group.0, key) };
        let error =
            Diagnostic::at(&second.span, format!("the cluster has both groups (`{}`) and `fleets`", group.0.text));
        decoder.report(
            error
                .related(&first.span, "and here")
                .hint("EMR takes one or the other: keep `master`, `core`, `task`, or `fleets`"),
        );
    }
    let group = |name| cluster.entry(name).map(|(key, node)| self::group(decoder, key, node, release));
    let (master, core, task) = (group("master"), group("core"), group("task"));
    if let Some((key, node)) = fleets {
        let fields = Fields::open(decoder, &FLEETS, "`fleets` of the cluster", &key.span, node)?;
        let fleet = |name| fields.entry(name).map(|(key, node)| self::fleet(decoder, key, node, release));
        let (master, core, task) = (fleet("master"), fleet("core"), fleet("task"));
        if let (None, Some((key, _))) = (&core, fields.entry("task")) {
            decoder.report(Diagnostic::at(&key.span, "task nodes need core nodes").hint("add `core`"));
        }
        return Some(Nodes::Fleets { master: master??, core: flat(core)?, task: flat(task)? });
    }
    if master.is_none() {
        let error = Diagnostic::at(&cluster.span, "missing field `master` in the cluster");
        decoder.report(error.hint("the master's instance type, e.g. `master: m5.xlarge`; or `fleets`"));
    }
    if let (None, Some((key, _))) = (&core, cluster.entry("task")) {
        decoder.report(
            Diagnostic::at(&key.span, "task nodes need core nodes").hint("add `core: { type: m5.xlarge, count: 1 }`"),
        );
    }
    if let Some(Some(master)) = &master
        && !matches!(master.count.value, 1 | 3)
    {
        let error = Diagnostic::at(&master.count.span, format!("a cluster cannot have {} masters", master.count.value));
        decoder.report(error.hint("1, or 3 for high availability"));
    }
    if let Some(Some(core)) = core.as_ref().filter(|core| core.as_ref().is_some_and(|core| core.count.value == 0)) {
        let error = Diagnostic::at(&core.count.span, "core nodes cannot be 0");
        decoder.report(error.hint("leave `core` out for a cluster of one machine"));
    }
    Some(Nodes::Groups { master: master??, core: flat(core)?, task: flat(task)? })
}

/// Absent is fine; present and wrong is not.
#[expect(clippy::option_option, reason = "absent, present but wrong, and present are three cases")]
fn flat<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        Some(None) => None,
        Some(some) => Some(some),
        None => Some(None),
    }
}

fn group(decoder: &Decoder<'_>, key: &Key, node: &Node, release: Option<Release>) -> Option<Spanned<Group>> {
    let label = format!("`{}` of the cluster", key.text);
    if !matches!(node.data, Data::Map(_)) {
        let instance_type = node_type(decoder, node, &label, release)?;
        let at = |span: &super::super::model::Span| span.clone();
        let group = Group {
            count: Spanned::new(1, at(&key.span)),
            market: Spanned::new(Market::OnDemand, at(&key.span)),
            disk: None,
            instance_type,
        };
        return Some(Spanned::new(group, key.span.clone()));
    }
    let fields = Fields::open(decoder, &GROUP, label, &key.span, node)?;
    let instance_type = fields.node("type").and_then(|node| node_type(decoder, node, &fields.what("type"), release));
    let count = fields.integer_or("count", 1);
    let market = market(&fields);
    let disk = disk(&fields, release);
    Some(Spanned::new(Group { instance_type: instance_type?, count, market, disk }, key.span.clone()))
}

fn node_type(decoder: &Decoder<'_>, node: &Node, what: &str, release: Option<Release>) -> Option<Spanned<String>> {
    let text = decoder.instance_type(node, what)?;
    if let Some((reason, hint)) = type_unsupported(&text, release) {
        let release = release.map_or("EMR".into(), |release| release.to_string());
        let message = format!("{release} does not support instance type `{}`: {reason}", text.value);
        decoder.report(Diagnostic::at(&text.span, message).hint(hint));
    }
    Some(text)
}

fn market(fields: &Fields<'_, '_>) -> Spanned<Market> {
    match fields.entry("spot") {
        None => fields.default(Market::OnDemand),
        Some((key, node)) if matches!(node.data, Data::Map(_)) => {
            let spot = Fields::open(fields.decoder, &SPOT, fields.what("spot"), &key.span, node);
            let max_price = spot.and_then(|spot| price(&spot));
            Spanned::new(Market::Spot { max_price }, key.span.clone())
        }
        Some((key, _)) => {
            let spot = fields.boolean("spot").is_some_and(|spot| spot.value);
            let market = if spot { Market::Spot { max_price: None } } else { Market::OnDemand };
            Spanned::new(market, key.span.clone())
        }
    }
}

fn price(fields: &Fields<'_, '_>) -> Option<String> {
    let node = fields.node("max_price")?;
    let what = fields.what("max_price");
    let text = fields.decoder.loose(node, &what, super::super::interpolate::Place::Anywhere)?;
    let value = text.pieces.concat();
    let good = value.parse::<f64>().is_ok_and(|price| price > 0.0 && price < 1_000.0)
        && value.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !good {
        let error = Diagnostic::at(&node.span, format!("{what} is no price: `{}`", text.shown));
        fields.decoder.report(error.hint("US dollars an hour, e.g. \"0.10\""));
        return None;
    }
    Some(value)
}

fn disk(fields: &Fields<'_, '_>, release: Option<Release>) -> Option<Spanned<NodeDisk>> {
    let (key, node) = fields.entry("disk")?;
    if !matches!(node.data, Data::Map(_)) {
        let gib = fields.gib("disk", 10, 16_384)?;
        return Some(gib.map(|gib| NodeDisk { gib, volume_type: "gp2", count: 1 }));
    }
    let disk = Fields::open(fields.decoder, &DISK, fields.what("disk"), &key.span, node)?;
    let (size, count, volume) = (disk.gib("size", 10, 16_384), disk.integer_or("count", 1), disk.word("type"));
    let old = release.filter(|release| *release < Release { major: 5, minor: 34, patch: 0 });
    if let (Some(volume), Some(release)) = (volume.as_ref().filter(|volume| volume.value == "gp3"), old) {
        let error = Diagnostic::at(&volume.span, format!("{release} does not support `gp3` disks"));
        fields.decoder.report(error.hint("they begin with emr-5.34.0; use `gp2`"));
    }
    let volume_type = volume.map_or("gp2", |volume| volume.value);
    Some(Spanned::new(NodeDisk { gib: size?.value, volume_type, count: count.value }, key.span.clone()))
}

fn fleet(decoder: &Decoder<'_>, key: &Key, node: &Node, release: Option<Release>) -> Option<Spanned<Fleet>> {
    let fields = Fields::open(decoder, &FLEET, format!("fleet `{}`", key.text), &key.span, node)?;
    let mut types: Vec<Spanned<FleetType>> = Vec::new();
    for node in fields.list("types") {
        let Some(next) = fleet_type(decoder, node, &fields, release) else { continue };
        super::access::unique(decoder, &types, &next, |next| next.instance_type.clone());
        types.push(next);
    }
    let written = fields.list("types").len();
    if let (Some((key, _)), true) = (fields.entry("types"), written == 0 || written > FLEET_TYPES) {
        let error = Diagnostic::at(&key.span, format!("{} has {written} types", fields.label));
        decoder.report(error.hint(format!("1 to {FLEET_TYPES} are allowed")));
    }
    let nothing = !fields.has("on_demand") && !fields.has("spot");
    let (on_demand, spot) = (fields.integer_or("on_demand", u32::from(nothing)), fields.integer_or("spot", 0));
    let units = on_demand.value.saturating_add(spot.value);
    if key.text == "master" && units != 1 || units == 0 {
        let error = Diagnostic::at(&key.span, format!("{} has {units} units", fields.label));
        decoder.report(error.hint(if key.text == "master" {
            "the master has exactly 1"
        } else {
            "give it `on_demand` or `spot`"
        }));
    }
    let wait = fields.duration("spot_wait").map(|wait| {
        let minutes = wait.as_secs() / 60;
        if wait.as_secs() % 60 != 0 || !(5..=1_440).contains(&minutes) {
            let error = Diagnostic::at(&wait.span, format!("{} is out of bounds", fields.what("spot_wait")));
            decoder.report(error.hint("whole minutes, 5m to 24h"));
        }
        wait.map(|_| u32::try_from(minutes).unwrap_or(1_440))
    });
    let fallback = fields
        .word("fallback")
        .map(|word| word.map(|word| if word == "terminate" { Fallback::Terminate } else { Fallback::OnDemand }));
    let spot_wait_minutes = wait.unwrap_or_else(|| fields.default(20));
    let fallback = fallback.unwrap_or_else(|| fields.default(Fallback::OnDemand));
    Some(Spanned::new(Fleet { on_demand, spot, types, spot_wait_minutes, fallback }, key.span.clone()))
}

fn fleet_type(
    decoder: &Decoder<'_>,
    node: &Node,
    fleet: &Fields<'_, '_>,
    release: Option<Release>,
) -> Option<Spanned<FleetType>> {
    let label = format!("a type of {}", fleet.label);
    if !matches!(node.data, Data::Map(_)) {
        let text = node_type(decoder, node, &label, release)?;
        return Some(text.map(|instance_type| FleetType { instance_type, weight: 1, max_price: None, disk: None }));
    }
    let fields = Fields::open(decoder, &FLEET_TYPE, label, &node.span, node)?;
    let instance_type = fields.node("type").and_then(|node| node_type(decoder, node, &fields.what("type"), release));
    let weight = fields.integer_or("weight", 1).value;
    let max_price = price(&fields);
    let disk = disk(&fields, release).map(|disk| disk.value);
    let instance_type = instance_type?;
    let span = instance_type.span.clone();
    Some(Spanned::new(FleetType { instance_type: instance_type.value, weight, max_price, disk }, span))
}
