//! The PAC file: the rule by which any browser, without an extension, sends the cluster's pages through the tunnel.

use super::{Network, patterns::INTERNAL};

/// Where the keeper serves it.
pub const PAC_PATH: &str = "/proxy.pac";

/// The PAC file. No name is looked up: what goes through the tunnel is resolved at its far end, and what does not is the
/// browser's own business. There is no way round a tunnel that is down: a page of the cluster is nowhere else.
pub fn pac(network: &Network, port: u16) -> String {
    let Network { stack, range, region: _, public } = network;
    let mut rules = Vec::new();
    if let Some(range) = range {
        let (first, last) = (u32::from(range.network()), u32::from(range.broadcast()));
        rules.push(format!(
            "  // Addresses in {range}, and the short names that are made of them.\n  \
             var parts = /^(?:ip-)?(\\d+)([.-])(\\d+)\\2(\\d+)\\2(\\d+)$/.exec(host);\n  \
             if (parts && (parts[2] === \"-\") === (host.indexOf(\"ip-\") === 0)) {{\n    \
             var octets = [parts[1], parts[3], parts[4], parts[5]], address = 0;\n    \
             for (var i = 0; i < 4; i++) {{\n      \
             if (octets[i] > 255) {{ return direct; }}\n      \
             address = address * 256 + Number(octets[i]);\n    \
             }}\n    \
             if (address >= {first} && address <= {last}) {{ return tunnel; }}\n  \
             }}\n"
        ));
    }
    let ends: Vec<String> = INTERNAL.iter().map(|domain| format!("{domain:?}")).collect();
    rules.push(format!(
        "  // Names that EC2 gives within a network.\n  \
         var internal = [{}];\n  \
         for (var j = 0; j < internal.length; j++) {{\n    \
         if (host.length > internal[j].length && host.slice(-internal[j].length) === internal[j]) {{ return tunnel; }}\n  \
         }}\n",
        ends.join(", ")
    ));
    if *public {
        let domain = network.public_domain().replace('.', "\\.");
        rules.push(format!(
            "  // Public names in the region.\n  if (/^ec2(-\\d+){{4}}{domain}$/.test(host)) {{ return tunnel; }}\n"
        ));
    }
    format!(
        "// The pages of the cluster of stack {stack} go through its tunnel; everything else goes direct.\n\
         // Written by `infra tunnel config pac`.\n\
         function FindProxyForURL(url, host) {{\n  \
         var tunnel = \"SOCKS5 127.0.0.1:{port}\", direct = \"DIRECT\";\n  \
         host = host.toLowerCase().replace(/\\.$/, \"\");\n\
         {}  return direct;\n}}\n",
        rules.concat()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    // What it decides is tried in an engine for PAC files: `tests/tunnel/pac.rs`.
    #[test]
    fn the_text_holds_what_is_the_stack_s_own() {
        let mut network = Network {
            stack: "nyc311".into(),
            range: Some("10.0.0.0/16".parse().unwrap()),
            region: "us-west-2".into(),
            public: false,
        };
        let text = pac(&network, 8157);
        assert!(text.contains("\"SOCKS5 127.0.0.1:8157\""), "{text}");
        assert!(text.contains("address >= 167772160 && address <= 167837695"), "{text}");
        assert!(!text.contains("amazonaws"), "nothing in a private subnet has a public name: {text}");
        network.public = true;
        assert!(pac(&network, 8157).contains(r"\.us-west-2\.compute\.amazonaws\.com$/"));
    }
}
