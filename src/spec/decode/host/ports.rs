//! Who may reach a host's ports.

use ipnet::IpNet;

use super::super::{
    super::{
        error::{Diagnostic, choices, nearest},
        model::{Port, PortSource, Protocol, Spanned},
        shape::{Kind, Object, Shape, optional, required},
        tree::Node,
    },
    Decoder, Fields,
};

/// A port, or a range of ports.
pub(super) static PORT: Object = Object {
    name: "port",
    doc: "A port and who may reach it.",
    fields: &[
        required(
            "port",
            "The port, or a range: `8080`, `8000-8010`.",
            Shape::Either(&[Shape::Integer(1, 65_535), Shape::Text]),
        )
        .also(&["ports"]),
        required(
            "from",
            "Who may reach it: ranges of addresses, hosts or subnets by name, `network` (the whole VPC) or `cluster`.",
            Shape::Many(&Shape::Text),
        )
        .also(&["source", "sources"]),
        optional("protocol", "`tcp` unless said.", Shape::Word(PROTOCOLS)),
        optional("allow_world", "Allows `0.0.0.0/0` in `from`; every plan shows it.", Shape::Boolean),
    ],
};

const PROTOCOLS: &[(&str, &str)] = &[("tcp", "TCP"), ("udp", "UDP")];

/// Reads `ports` of a host.
pub(super) fn read(host: &Fields<'_, '_>) -> Vec<Spanned<Port>> {
    let mut ports: Vec<Spanned<Port>> = Vec::new();
    for node in host.list("ports") {
        let Some(port) = port(host, node) else { continue };
        let overlaps = |other: &&Spanned<Port>| {
            other.protocol == port.protocol && other.first <= port.last && port.first <= other.last
        };
        if let Some(other) = ports.iter().find(overlaps) {
            let error = Diagnostic::at(
                &port.span,
                format!("port {} stands in `ports` a second time", port.first.max(other.first)),
            );
            host.decoder
                .report(error.related(&other.span, "first here").hint("put all that may reach it in one `from: […]`"));
        }
        ports.push(port);
    }
    ports
}

fn port(host: &Fields<'_, '_>, node: &Node) -> Option<Spanned<Port>> {
    let decoder = host.decoder;
    let fields = Fields::open(decoder, &PORT, format!("a port of {}", host.label), &node.span, node)?;
    let numbers = fields.node("port").and_then(|node| numbers(decoder, node, &fields.what("port")));
    let protocol = fields.word("protocol").map(|word| if word.value == "udp" { Protocol::Udp } else { Protocol::Tcp });
    let allow_world = fields.boolean("allow_world").filter(|allow| allow.value);
    let mut from = Vec::new();
    for node in fields.many("from") {
        let Some(source) = source(decoder, node, &fields.what("from")) else { continue };
        if let (PortSource::Range(range), Some(numbers)) = (&source.value, &numbers) {
            let range = Spanned::new(*range, source.span.clone());
            check_world(host, &range, numbers.0, allow_world.as_ref());
        }
        super::super::access::unique(decoder, &from, &source, |source| format!("{:?}", source.value));
        from.push(source);
    }
    if let (Some((key, _)), true) = (fields.entry("from"), fields.many("from").is_empty()) {
        let error = Diagnostic::at(&key.span, "nobody may reach this port");
        decoder.report(error.hint("say who, e.g. `from: network`, or remove it"));
    }
    let (first, last) = numbers?;
    let protocol = protocol.unwrap_or(Protocol::Tcp);
    Some(Spanned::new(Port { first, last, protocol, from, allow_world }, node.span.clone()))
}

fn numbers(decoder: &Decoder<'_>, node: &Node, what: &str) -> Option<(u16, u16)> {
    let range = match &node.data {
        super::super::super::tree::Data::Scalar { text, .. } if text.contains('-') => decoder.fixed(node, what)?,
        _ => {
            let port = decoder.integer(node, what, 1, 65_535)?;
            let port = u16::try_from(port.value).ok()?;
            return Some((port, port));
        }
    };
    let parsed =
        range.split_once('-').and_then(|(first, last)| Some((first.trim().parse().ok()?, last.trim().parse().ok()?)));
    let good = parsed.filter(|(first, last): &(u16, u16)| *first > 0 && first <= last);
    if good.is_none() {
        let error = Diagnostic::at(&range.span, format!("{what} is no range of ports"));
        decoder.report(error.hint("e.g. 8000-8010"));
    }
    good
}

fn source(decoder: &Decoder<'_>, node: &Node, what: &str) -> Option<Spanned<PortSource>> {
    let (text, shown) = decoder.fixed_shown(node, what)?;
    if text.contains(['/', ':']) || text.parse::<std::net::IpAddr>().is_ok() {
        return decoder.range(node, what).map(|range| range.map(PortSource::Range));
    }
    let (hosts, subnets) = (decoder.names(Kind::Host), decoder.names(Kind::Subnet));
    if hosts.contains(&text.as_str()) {
        return Some(text.map(PortSource::Host));
    }
    if subnets.contains(&text.as_str()) {
        return Some(text.map(PortSource::Subnet));
    }
    match text.as_str() {
        "network" => return Some(text.map(|_| PortSource::Network)),
        "cluster" if decoder.root.get("cluster").is_some() => return Some(text.map(|_| PortSource::Cluster)),
        "cluster" => {
            let error = Diagnostic::at(&text.span, "the spec has no `cluster`");
            decoder.report(error.hint("declare it, or name another source"));
            return None;
        }
        _ => {}
    }
    let all = || ["network", "cluster"].into_iter().chain(hosts.iter().copied()).chain(subnets.iter().copied());
    let hint = match nearest(&text, all()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it can be a range of addresses, {}", choices(all().take(8))),
    };
    decoder.report(Diagnostic::at(&text.span, format!("there is no host or subnet `{shown}`")).hint(hint));
    None
}

/// Refuses the whole world, or so much of it that it makes no difference, unless that is said.
pub(super) fn check_world(fields: &Fields<'_, '_>, range: &Spanned<IpNet>, port: u16, allowed: Option<&Spanned<bool>>) {
    let world = match range.value {
        IpNet::V4(range) => range.prefix_len() < 8,
        IpNet::V6(range) => range.prefix_len() < 16,
    };
    if !world {
        return;
    }
    let what = if port == 22 { "SSH".to_owned() } else { format!("port {port}") };
    if allowed.is_some() {
        fields.decoder.note(&range.span, format!("{what} of {} is open to the world ({})", fields.label, range.value));
        return;
    }
    let error =
        Diagnostic::at(&range.span, format!("{} would open {what} of {} to the world", range.value, fields.label));
    let hint = "name the addresses that you come from, e.g. 203.0.113.7/32; if you must, add `allow_world: true`";
    fields.decoder.report(error.hint(hint));
}
