//! One rule of a security group, in the form that compares: AWS's answers group rules, leave ports out and spell
//! ranges its own way.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, PrefixListId, UserIdGroupPair};
use engine::Ref;
use serde::{Serialize, Serializer};

use super::{SecurityGroup, canonical_range};

/// A rule that a spec asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// `tcp`, `udp`, `icmp`, or `-1` for all.
    pub protocol: String,
    /// The first and the last port, or an ICMP type and code; `(-1, -1)` for all.
    pub ports: (i32, i32),
    /// Who is at the other end.
    pub peer: Peer,
    /// What it is for.
    pub description: Option<String>,
}

impl Serialize for Rule {
    /// The line that a diff has for the rule too; a group whose id is not known yet goes by its address.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let peer = match &self.peer {
            Peer::Range(range) => range.clone(),
            Peer::Group(group) => group.address().to_string(),
        };
        let key = RuleKey::new(&self.protocol, self.ports, &peer);
        serializer.serialize_str(&text(&key, self.description.as_deref()))
    }
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Addresses, in CIDR notation.
    Range(String),
    /// Whoever is in the group.
    Group(Ref<SecurityGroup>),
}

/// What tells a group's rules apart: AWS keeps one rule for each, whatever its description.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleKey {
    /// AWS's name of the protocol, its number where it has none, `-1` for all.
    pub protocol: String,
    /// From and to; `(-1, -1)` for all.
    pub ports: (i32, i32),
    /// A range, a group's id or a prefix list's.
    pub peer: String,
}

/// What AWS reports of a rule beside its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleFacts {
    /// What it is said to be for.
    pub description: Option<String>,
    /// Whether the peer is one of the stack's groups.
    pub own_peer: bool,
}

impl RuleKey {
    /// The key in AWS's spelling.
    pub fn new(protocol: &str, (from, to): (i32, i32), peer: &str) -> Self {
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "6" => "tcp".to_owned(),
            "17" => "udp".to_owned(),
            "1" => "icmp".to_owned(),
            "58" => "icmpv6".to_owned(),
            "all" => "-1".to_owned(),
            other => other.to_owned(),
        };
        let ports = match protocol.as_str() {
            "tcp" | "udp" if (from, to) == (-1, -1) => (0, 65535),
            "tcp" | "udp" | "icmp" | "icmpv6" => (from, to),
            // Other protocols have no ports; AWS ignores what is said of them.
            _ => (-1, -1),
        };
        Self { protocol, ports, peer: canonical_range(peer) }
    }

    /// The rule in a request.
    pub fn permission(&self, description: Option<&str>) -> IpPermission {
        let description = description.map(str::to_owned);
        let builder = IpPermission::builder().ip_protocol(&self.protocol);
        let builder =
            if self.protocol == "-1" { builder } else { builder.from_port(self.ports.0).to_port(self.ports.1) };
        let peer = &self.peer;
        if peer.starts_with("pl-") {
            let list = PrefixListId::builder().prefix_list_id(peer).set_description(description);
            builder.prefix_list_ids(list.build()).build()
        } else if self.is_group() {
            let (account, group) = peer.split_once('/').map_or((None, peer.as_str()), |(a, group)| (Some(a), group));
            let pair = UserIdGroupPair::builder().group_id(group).set_user_id(account.map(str::to_owned));
            builder.user_id_group_pairs(pair.set_description(description).build()).build()
        } else if peer.contains(':') {
            let range = Ipv6Range::builder().cidr_ipv6(peer).set_description(description);
            builder.ipv6_ranges(range.build()).build()
        } else {
            let range = IpRange::builder().cidr_ip(peer).set_description(description);
            builder.ip_ranges(range.build()).build()
        }
    }

    /// True when the peer is a group: `sg-…`, or `ACCOUNT/sg-…` for another account's.
    pub fn is_group(&self) -> bool {
        self.peer.contains("sg-")
    }
}

impl fmt::Display for RuleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, ports: (from, to), peer } = self;
        let protocol = if protocol == "-1" { "all" } else { protocol };
        match (from, to) {
            (-1, -1) if protocol == "all" => write!(f, "{protocol} {peer}"),
            (-1, -1) => write!(f, "{protocol} all {peer}"),
            (from, to) if from == to => write!(f, "{protocol} {from} {peer}"),
            (from, to) => write!(f, "{protocol} {from}-{to} {peer}"),
        }
    }
}

impl Serialize for RuleKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A rule in one line, for a plan.
pub(super) fn text(key: &RuleKey, description: Option<&str>) -> String {
    description.map_or_else(|| key.to_string(), |description| format!("{key} ({description})"))
}

/// Takes AWS's groups of rules apart. `own` are the ids of the stack's groups, `account` is the stack's.
pub(super) fn read(permissions: &[IpPermission], own: &BTreeSet<&str>, account: &str) -> BTreeMap<RuleKey, RuleFacts> {
    let mut rules = BTreeMap::new();
    for permission in permissions {
        let protocol = permission.ip_protocol().unwrap_or("-1");
        let ports = (permission.from_port().unwrap_or(-1), permission.to_port().unwrap_or(-1));
        let mut add = |peer: &str, description: Option<&str>| {
            let description = description.filter(|text| !text.is_empty()).map(str::to_owned);
            let facts = RuleFacts { description, own_peer: own.contains(peer) };
            rules.insert(RuleKey::new(protocol, ports, peer), facts);
        };
        for range in permission.ip_ranges() {
            add(range.cidr_ip().unwrap_or_default(), range.description());
        }
        for range in permission.ipv6_ranges() {
            add(range.cidr_ipv6().unwrap_or_default(), range.description());
        }
        for list in permission.prefix_list_ids() {
            add(list.prefix_list_id().unwrap_or_default(), list.description());
        }
        for pair in permission.user_id_group_pairs() {
            let group = pair.group_id().unwrap_or_default();
            match pair.user_id().filter(|other| *other != account && !other.is_empty()) {
                Some(other) => add(&format!("{other}/{group}"), pair.description()),
                None => add(group, pair.description()),
            }
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(permission: IpPermission) -> Vec<String> {
        read(&[permission], &BTreeSet::from(["sg-1"]), "1").keys().map(ToString::to_string).collect()
    }

    #[test]
    fn aws_s_forms_of_a_rule_are_one() {
        let tcp = |from, to| IpPermission::builder().ip_protocol("6").set_from_port(from).set_to_port(to);
        let range = |text: &str| IpRange::builder().cidr_ip(text).build();
        assert_eq!(keys(tcp(Some(22), Some(22)).ip_ranges(range("10.0.0.9/8")).build()), ["tcp 22 10.0.0.0/8"]);
        assert_eq!(keys(tcp(None, None).ip_ranges(range("10.0.0.0/8")).build()), ["tcp 0-65535 10.0.0.0/8"]);
        assert_eq!(RuleKey::new("tcp", (-1, -1), "10.0.0.0/8"), RuleKey::new("TCP", (0, 65535), "10.0.0.0/8"));
        assert_eq!(RuleKey::new("all", (0, 0), "::/0"), RuleKey::new("-1", (-1, -1), "0:0:0:0:0:0:0:0/0"));
        let icmp = IpPermission::builder().ip_protocol("icmp").from_port(-1).to_port(-1);
        assert_eq!(keys(icmp.ip_ranges(range("0.0.0.0/0")).build()), ["icmp all 0.0.0.0/0"]);
    }

    #[test]
    fn every_peer_is_kept() {
        let pair = |account: &str, group: &str| UserIdGroupPair::builder().user_id(account).group_id(group).build();
        let all = IpPermission::builder()
            .ip_protocol("-1")
            .ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build())
            .ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build())
            .prefix_list_ids(PrefixListId::builder().prefix_list_id("pl-7").build())
            .user_id_group_pairs(pair("1", "sg-1"))
            .user_id_group_pairs(pair("2", "sg-2"));
        assert_eq!(keys(all.build()), ["all 0.0.0.0/0", "all 2/sg-2", "all ::/0", "all pl-7", "all sg-1"]);
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        for peer in ["10.0.0.0/8", "2001:db8::/32", "pl-7", "sg-1", "2/sg-2"] {
            for (protocol, ports) in [("tcp", (22, 22)), ("-1", (-1, -1)), ("icmp", (8, 0)), ("47", (-1, -1))] {
                let key = RuleKey::new(protocol, ports, peer);
                let sent = key.permission(Some("why"));
                let read = read(&[sent], &BTreeSet::from(["sg-1"]), "1");
                let facts = RuleFacts { description: Some("why".into()), own_peer: peer == "sg-1" };
                assert_eq!(read, BTreeMap::from([(key, facts)]));
            }
        }
    }
}
