//! `network`.

use ipnet::Ipv4Net;

use super::{
    super::{
        error::{Diagnostic, choices},
        model::{Endpoint, Network, Route, Span, Spanned, Subnet, Table},
        shape::{Object, Shape, optional, required},
        tree::Node,
    },
    Decoder, Fields, stack,
};

const RANGE: Shape = Shape::Form(r"^(\d{1,3}(\.\d{1,3}){3}/\d{1,2}|.*\$\{.*)$", "10.0.0.0/16");

/// The `network` section.
pub(super) static NETWORK: Object = Object {
    name: "network",
    doc: "One VPC with its subnets.",
    fields: &[
        required("cidr", "The VPC's range of addresses, /16 to /28.", RANGE).also(&["range"]),
        optional(
            "zones",
            "Availability zones to use, e.g. `us-west-2a` or just `a`; a subnet is in the first unless it says otherwise. Left out, AWS chooses.",
            Shape::List(&Shape::Text),
        )
        .also(&["availability_zones", "azs"]),
        required("subnets", "Subnets by name.", Shape::Table(&Shape::Object(&SUBNET))),
        optional(
            "endpoints",
            "AWS services reached without leaving AWS; the S3 endpoint costs nothing.",
            Shape::List(&Shape::Word(ENDPOINTS)),
        ),
    ],
};

const ENDPOINTS: &[(&str, &str)] = &[("s3", "S3, by a gateway endpoint")];

const ROUTES: &[(&str, &str)] = &[
    ("internet", "to the internet gateway; hosts get public addresses"),
    ("nat", "out through the stack's one NAT gateway, never in"),
    ("none", "only the VPC and its endpoints"),
];

static SUBNET: Object = Object {
    name: "subnet",
    doc: "One subnet.",
    fields: &[
        required("cidr", "Its range of addresses, inside the VPC's, /16 to /28.", RANGE).also(&["range"]),
        optional("route", "Where its traffic to elsewhere goes; `none` unless said.", Shape::Word(ROUTES)),
        optional("zone", "Its availability zone; the network's first unless said.", Shape::Text)
            .also(&["availability_zone", "az"]),
    ],
};

/// Reads `network`.
pub(super) fn read(decoder: &Decoder<'_>, span: &Span, node: &Node) -> Option<Network> {
    let fields = Fields::open(decoder, &NETWORK, "the network", span, node)?;
    let cidr = fields.range4("cidr").filter(|cidr| check_prefix(decoder, cidr, "a VPC"));
    if let Some(cidr) = cidr.as_ref().filter(|cidr| {
        let first = cidr.network().octets();
        first[0] == 0 || first[0] == 127 || first[0] >= 224 || first[..2] == [169, 254]
    }) {
        let error = Diagnostic::at(&cidr.span, format!("{} cannot be a VPC's range: it is reserved", cidr.value));
        decoder.report(error.hint("choose a private range: 10.0.0.0/16, 172.16.0.0/16 or 192.168.0.0/16"));
    }
    let zones: Vec<_> = fields.list("zones").iter().filter_map(|node| zone(decoder, node, "a zone")).collect();
    for (at, zone) in zones.iter().enumerate() {
        if let Some(first) = zones[..at].iter().find(|first| first.value == zone.value) {
            let error = Diagnostic::at(&zone.span, format!("zone `{}` stands here a second time", zone.value));
            decoder.report(error.related(&first.span, "first here").hint("remove one"));
        }
    }
    let mut endpoints: Vec<Spanned<Endpoint>> = Vec::new();
    for node in fields.list("endpoints") {
        if let Some(word) = decoder.word(node, "an endpoint", ENDPOINTS) {
            if endpoints.is_empty() {
                endpoints.push(word.map(|_| Endpoint::S3));
            } else {
                let error = Diagnostic::at(&word.span, "the endpoint `s3` stands here a second time");
                decoder.report(error.related(&endpoints[0].span, "first here").hint("remove one"));
            }
        }
    }
    let subnets =
        stack::table(&fields, "subnets", "subnet", |key, node| subnet(decoder, &key.text, &key.span, node, &zones));
    if let (Some((key, _)), true) = (fields.entry("subnets"), fields.table("subnets").is_empty()) {
        let error = Diagnostic::at(&key.span, "the network has no subnets");
        decoder.report(error.hint("e.g. `public: { cidr: 10.0.0.0/24, route: internet }`"));
    }
    check_ranges(decoder, cidr.as_ref(), &subnets);
    // A subnet that could not be read may be the one with the internet route.
    if subnets.len() == fields.table("subnets").len() {
        check_nat(decoder, &subnets);
    }
    Some(Network { cidr: cidr?, zones, subnets, endpoints })
}

fn subnet(decoder: &Decoder<'_>, name: &str, span: &Span, node: &Node, zones: &[Spanned<String>]) -> Option<Subnet> {
    let fields = Fields::open(decoder, &SUBNET, format!("subnet `{name}`"), span, node)?;
    let cidr = fields.range4("cidr").filter(|cidr| check_prefix(decoder, cidr, "a subnet"));
    let route = fields.word("route").map(|word| {
        word.map(|word| match word {
            "internet" => Route::Internet,
            "nat" => Route::Nat,
            _ => Route::None,
        })
    });
    let own = fields.node("zone").and_then(|node| zone(decoder, node, &fields.what("zone")));
    if let Some(own) = own.as_ref().filter(|own| !zones.is_empty() && !zones.contains(own)) {
        let error = Diagnostic::at(&own.span, format!("zone `{}` is not among the network's `zones`", own.value));
        decoder.report(error.hint(format!("it can be {}", choices(zones.iter().map(|zone| zone.as_str())))));
    }
    if route.is_none() && fields.has("route") {
        return None;
    }
    let route = route.unwrap_or_else(|| fields.default(Route::None));
    Some(Subnet { cidr: cidr?, route, zone: own.or_else(|| zones.first().cloned()) })
}

/// A zone's full name, from that or from its letter.
fn zone(decoder: &Decoder<'_>, node: &Node, what: &str) -> Option<Spanned<String>> {
    let (zone, shown) = decoder.fixed_shown(node, what)?;
    let known = decoder.scope.region.borrow();
    let region = known.as_ref()?.pieces.concat();
    if zone.len() == 1 && zone.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Some(zone.map(|letter| format!("{region}{letter}")));
    }
    let letter = zone.strip_prefix(&region);
    if letter.is_some_and(|letter| letter.len() == 1 || letter.starts_with('-')) {
        return Some(zone);
    }
    let error = Diagnostic::at(&zone.span, format!("there is no zone `{shown}` in {region}"));
    decoder.report(error.hint(format!("e.g. `{region}a`, or just `a`")));
    None
}

fn check_prefix(decoder: &Decoder<'_>, cidr: &Spanned<Ipv4Net>, what: &str) -> bool {
    let good = (16..=28).contains(&cidr.prefix_len());
    if !good {
        let error = Diagnostic::at(&cidr.span, format!("{what} cannot have a /{} range", cidr.prefix_len()));
        decoder.report(error.hint("AWS takes /16 to /28"));
    }
    good
}

/// Subnets lie inside the VPC and apart from each other.
fn check_ranges(decoder: &Decoder<'_>, vpc: Option<&Spanned<Ipv4Net>>, subnets: &Table<Subnet>) {
    let mut inside = Vec::new();
    for (name, subnet) in subnets {
        match vpc {
            Some(vpc) if !vpc.contains(&subnet.cidr.value) => {
                let message = format!("{} of subnet `{name}` is outside the network", subnet.cidr.value);
                let error = Diagnostic::at(&subnet.cidr.span, message);
                decoder.report(
                    error.related(&vpc.span, "the network's range").hint(format!("choose one inside {}", vpc.value)),
                );
            }
            _ => inside.push((name, &subnet.cidr)),
        }
    }
    inside.sort_by_key(|(_, cidr)| (cidr.network(), cidr.broadcast()));
    let mut widest: Option<(&String, &Spanned<Ipv4Net>)> = None;
    for (name, cidr) in inside {
        if let Some((other, range)) = widest.filter(|(_, range)| cidr.network() <= range.broadcast()) {
            let (first, second) =
                if range.span <= cidr.span { ((other, range), (name, cidr)) } else { ((name, cidr), (other, range)) };
            let message = format!(
                "{} of subnet `{}` overlaps {} of subnet `{}`",
                second.1.value, second.0, first.1.value, first.0
            );
            let error = Diagnostic::at(&second.1.span, message).related(&first.1.span, "the other range");
            decoder.report(error.maybe_hint(vpc.and_then(|vpc| free(vpc.value, subnets, second.1.prefix_len()))));
        }
        if widest.is_none_or(|(_, range)| range.broadcast() < cidr.broadcast()) {
            widest = Some((name, cidr));
        }
    }
}

/// The first free range of a size.
fn free(vpc: Ipv4Net, subnets: &Table<Subnet>, prefix: u8) -> Option<String> {
    let overlaps = |a: &Ipv4Net, b: &Ipv4Net| a.contains(b) || b.contains(a);
    let free = vpc
        .subnets(prefix)
        .ok()?
        .take(4096)
        .find(|range| !subnets.values().any(|other| overlaps(range, &other.cidr)))?;
    Some(format!("{free} is free"))
}

fn check_nat(decoder: &Decoder<'_>, subnets: &Table<Subnet>) {
    let of = |route: Route| subnets.values().find(move |subnet| *subnet.route == route);
    if let (Some(subnet), None) = (of(Route::Nat), of(Route::Internet)) {
        let error = Diagnostic::at(
            &subnet.route.span,
            "`route: nat` needs a subnet with `route: internet` to put the NAT gateway in",
        );
        decoder.report(error.hint("add e.g. `public: { cidr: …, route: internet }`"));
    }
}
