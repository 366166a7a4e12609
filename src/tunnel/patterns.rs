//! What is the cluster's and goes through the tunnel: addresses of the stack's own network, and the names that EC2 gives
//! to what is in it. Everything else goes direct, also what merely looks alike.

use ipnet::Ipv4Net;

/// The network that the cluster is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The stack, whose name the files bear.
    pub stack: String,
    /// The stack's range of addresses.
    pub range: Option<Ipv4Net>,
    /// The region, which is in public names.
    pub region: String,
    /// Whether the cluster's nodes have public names.
    pub public: bool,
}

/// Names of EC2 that never leave a network. Source: "Amazon EC2 instance hostnames and domains".
pub(super) const INTERNAL: [&str; 2] = [".compute.internal", ".ec2.internal"];

/// The patterns that EMR's own instructions give for `FoxyProxy`. Most of them catch more than a cluster: other people's
/// hosts, buckets with a 10 in their names, AWS's own pages.
/// Source: "Configure proxy settings to view websites hosted on the primary node", Amazon EMR management guide.
pub(super) const CUSTOMARY: [&str; 7] = [
    "*ec2*.amazonaws.com*",
    "*ec2*.compute*",
    "http://10.*",
    "*10*.amazonaws.com*",
    "*10*.compute*",
    "*.compute.internal*",
    "*.ec2.internal*",
];

/// A pattern for whole addresses (`http://…`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What it is for.
    pub title: String,
    /// The pattern.
    pub text: String,
    /// Whether it is used unless the user says otherwise.
    pub active: bool,
}

impl Network {
    /// What comes after the dashed address in public names of the region.
    pub(super) fn public_domain(&self) -> String {
        let region = &self.region;
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        match region.as_str() {
            "us-east-1" => ".compute-1.amazonaws.com".to_owned(),
            _ => format!(".{region}.compute.amazonaws.com{china}"),
        }
    }

    /// The first octets of the range's addresses, at most three, as texts that end with a dot: one, or several where the
    /// range ends within an octet.
    pub(super) fn prefixes(&self) -> Vec<String> {
        let Some(range) = self.range else { return Vec::new() };
        let octets = range.network().octets();
        let whole = usize::from(range.prefix_len() / 8);
        let rest = range.prefix_len() % 8;
        let begin =
            octets[..whole.min(3)].iter().flat_map(|octet| [octet.to_string(), ".".to_owned()]).collect::<String>();
        match (whole, rest) {
            (3.., _) | (_, 0) => vec![begin],
            _ => {
                let first = octets[whole];
                let last = range.broadcast().octets()[whole];
                (first..=last).map(|octet| format!("{begin}{octet}.")).collect()
            }
        }
    }

    /// Exact patterns, as regular expressions.
    pub(super) fn expressions(&self) -> Vec<Pattern> {
        let scheme = r"^(https?|wss?)://([^/@]*@)?";
        let end = r"\.?(:\d+)?(/|$)";
        let escaped = |text: &str| text.replace('.', r"\.");
        let on = |title: String, text: String| Pattern { title, text, active: true };
        let mut found: Vec<Pattern> = INTERNAL
            .iter()
            .map(|domain| on(format!("names *{domain}"), format!("{scheme}[^/:]+{}{end}", escaped(domain))))
            .collect();
        if let Some(range) = self.range {
            let addresses: Vec<String> =
                self.prefixes().iter().map(|prefix| escaped(prefix) + &open_octets(range, prefix, r"\.")).collect();
            let names: Vec<String> = self
                .prefixes()
                .iter()
                .map(|prefix| format!("ip-{}{}", prefix.replace('.', "-"), open_octets(range, prefix, "-")))
                .collect();
            found.push(on(format!("addresses in {range}"), format!("{scheme}({}){end}", addresses.join("|"))));
            found.push(on(format!("short names in {range}"), format!("{scheme}({}){end}", names.join("|"))));
        }
        if self.public {
            let domain = escaped(&self.public_domain());
            found.push(on("public names in the region".into(), format!(r"{scheme}ec2-[\d-]+{domain}{end}")));
        }
        found
    }

    /// The same with nothing but `*`, for programs that know no more.
    pub(super) fn wildcards(&self) -> Vec<Pattern> {
        let on = |text: String| Pattern { title: text.clone(), text, active: true };
        let mut found: Vec<Pattern> = INTERNAL.iter().map(|domain| on(format!("*{domain}*"))).collect();
        for prefix in self.prefixes() {
            found.push(on(format!("http://{prefix}*")));
            found.push(on(format!("https://{prefix}*")));
        }
        if self.public {
            found.push(on(format!("*ec2-*{}*", self.public_domain())));
        }
        found
    }

    /// The customary patterns that are not among ours, switched off.
    pub(super) fn customary(&self) -> Vec<Pattern> {
        let ours = self.wildcards();
        let others = CUSTOMARY.iter().filter(|text| !ours.iter().any(|pattern| pattern.text == **text));
        let off = |text: &&str| Pattern {
            title: format!("{text} (customary; catches more than the cluster)"),
            text: (*text).to_owned(),
            active: false,
        };
        others.map(off).collect()
    }
}

/// What matches the octets that a prefix of `range` leaves open.
fn open_octets(range: Ipv4Net, prefix: &str, between: &str) -> String {
    if range.prefix_len() > 24 {
        let (first, last) = (range.network().octets()[3], range.broadcast().octets()[3]);
        let octets: Vec<String> = (first..=last).map(|octet| octet.to_string()).collect();
        return format!("({})", octets.join("|"));
    }
    vec![OCTET; 4 - prefix.matches('.').count()].join(between)
}

/// A number from 0 to 255.
const OCTET: &str = r"(25[0-5]|2[0-4]\d|1?\d?\d)";

#[cfg(test)]
mod tests {
    use super::*;

    fn network(range: &str) -> Network {
        Network { stack: "s".into(), range: Some(range.parse().unwrap()), region: "us-west-2".into(), public: false }
    }

    #[test]
    fn a_range_that_ends_within_an_octet_has_several_prefixes() {
        assert_eq!(network("10.0.0.0/16").prefixes(), ["10.0."]);
        assert_eq!(network("10.8.0.0/15").prefixes(), ["10.8.", "10.9."]);
        assert_eq!(network("172.16.4.0/22").prefixes(), ["172.16.4.", "172.16.5.", "172.16.6.", "172.16.7."]);
        assert_eq!(network("172.16.4.0/28").prefixes(), ["172.16.4."]);
    }

    #[test]
    fn a_small_range_is_matched_to_the_address() {
        let addresses = network("172.16.4.16/28").expressions();
        let text = &addresses.iter().find(|pattern| pattern.title.starts_with("addresses")).unwrap().text;
        assert!(text.contains(r"172\.16\.4\.(16|17|") && text.contains("|30|31)") && !text.contains("|32"), "{text}");
    }

    #[test]
    fn what_catches_more_than_the_cluster_is_off() {
        let network = network("10.0.0.0/16");
        let off = network.customary();
        assert_eq!(off.len(), 5, "two of the seven are ours");
        assert!(off.iter().all(|pattern| !pattern.active));
        let on: Vec<String> = network.wildcards().into_iter().map(|pattern| pattern.text).collect();
        assert_eq!(on, ["*.compute.internal*", "*.ec2.internal*", "http://10.0.*", "https://10.0.*"]);
    }

    #[test]
    fn public_names_have_the_region_in_them() {
        let mut network = Network { public: true, ..network("10.0.0.0/16") };
        assert_eq!(network.public_domain(), ".us-west-2.compute.amazonaws.com");
        network.region = "us-east-1".into();
        assert_eq!(network.public_domain(), ".compute-1.amazonaws.com");
        network.region = "cn-north-1".into();
        assert_eq!(network.public_domain(), ".cn-north-1.compute.amazonaws.com.cn");
    }
}
