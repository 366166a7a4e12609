//! Settings for the browser extension `FoxyProxy`: JSON for versions 8 and 9, XML for 7. Neither reads the other's.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Network, patterns::Pattern};

const COLOR: &str = "#0055e5";

/// Settings for `FoxyProxy` 8 and 9.
/// Source: `schema.json` and `pattern.js` of `FoxyProxy`'s browser extension, version 9.
pub fn foxyproxy(network: &Network, port: u16) -> String {
    let entry = |kind: &str, pattern: &Pattern| json!({ "type": kind, "title": pattern.title, "pattern": pattern.text, "active": pattern.active });
    let exact = network.expressions();
    let customary = network.customary();
    let include: Vec<Value> = exact
        .iter()
        .map(|pattern| entry("regex", pattern))
        .chain(customary.iter().map(|pattern| entry("wildcard", pattern)))
        .collect();
    let settings = json!({
        "mode": "pattern",
        "sync": false,
        "autoBackup": false,
        "passthrough": "",
        "theme": "",
        "container": {},
        "commands": {},
        "data": [{
            "active": true,
            "title": title(network),
            "type": "socks5",
            "hostname": "127.0.0.1",
            "port": port.to_string(),
            "username": "",
            "password": "",
            "cc": "",
            "city": "",
            "color": COLOR,
            "pac": "",
            "pacString": "",
            "proxyDNS": true,
            "include": include,
            "exclude": [],
            "tabProxy": [],
        }],
    });
    format!("{settings:#}\n")
}

/// Settings for `FoxyProxy` 7: `foxyproxy-settings.xml`.
/// Source: "Configure proxy settings to view websites hosted on the primary node", Amazon EMR management guide.
pub fn foxyproxy_7(network: &Network, port: u16) -> String {
    let mut matches = String::new();
    for Pattern { title, text, active } in network.wildcards().iter().chain(&network.customary()) {
        let (title, text) = (escaped(title), escaped(text));
        let _ = writeln!(
            matches,
            "        <match enabled=\"{active}\" name=\"{title}\" pattern=\"{text}\" isRegEx=\"false\" \
             isBlackList=\"false\" isMultiLine=\"false\" caseSensitive=\"false\" fromSubscription=\"false\"/>"
        );
    }
    let title = escaped(&title(network));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <foxyproxy>\n  <proxies>\n    \
         <proxy name=\"{title}\" id=\"{id}\" notes=\"\" fromSubscription=\"false\" enabled=\"true\" mode=\"manual\" \
         selectedTabIndex=\"2\" lastresort=\"false\" animatedIcons=\"true\" includeInCycle=\"true\" \
         color=\"{COLOR}\" proxyDNS=\"true\" noInternalIPs=\"false\" autoconfMode=\"pac\" \
         clearCacheBeforeUse=\"false\" disableCache=\"false\" clearCookiesBeforeUse=\"false\" \
         rejectCookies=\"false\">\n      \
         <matches>\n{matches}      </matches>\n      \
         <manualconf host=\"127.0.0.1\" port=\"{port}\" socksversion=\"5\" isSocks=\"true\" username=\"\" \
         password=\"\" domain=\"\"/>\n    \
         </proxy>\n  </proxies>\n</foxyproxy>\n",
        id = id(network)
    )
}

fn title(network: &Network) -> String {
    format!("emr-socks-proxy of {}", network.stack)
}

/// A number by which `FoxyProxy` tells proxies apart: the same for a stack each time.
fn id(network: &Network) -> u32 {
    network.stack.bytes().fold(2_322_596_116, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
}

/// Text as an attribute of XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
