//! Settings for browsers: what an engine for PAC files makes of ours, and whether `FoxyProxy` would take the rest. No hosts
//! are needed.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{
    aws::python,
    cli::{Project, Run, root},
    hosts::feed,
};

/// Where browsers should go: by the tunnel, or direct.
const PRIVATE: [(&str, bool); 34] = [
    // The stack's own network.
    ("http://10.0.1.23:8088/cluster", true),
    ("https://10.0.255.255/", true),
    ("http://10.0.0.0/", true),
    ("http://10.1.0.1:8088/cluster", false),
    ("http://10.10.0.1/", false),
    ("http://9.255.255.255/", false),
    ("http://192.168.1.1/", false),
    ("http://127.0.0.1:8157/proxy.pac", false),
    ("http://localhost:8888/", false),
    ("http://169.254.169.254/latest/meta-data/", false),
    // Its names.
    ("http://ip-10-0-1-23.us-west-2.compute.internal:8088/cluster", true),
    ("http://IP-10-0-1-23.US-WEST-2.COMPUTE.INTERNAL/", true),
    ("http://ip-10-0-1-23.us-west-2.compute.internal.:18080/", true),
    ("http://ip-10-0-1-23.ec2.internal:50070/", true),
    ("https://ip-10-0-1-23.us-west-2.compute.internal:9443/hub", true),
    ("ws://ip-10-0-1-23.us-west-2.compute.internal:8890/ws", true),
    ("http://ip-10-0-1-23:8042/node", true),
    ("http://ip-10-1-1-23:8042/node", false),
    ("http://10-0-1-23/", false),
    ("http://ip-10.0.1.23/", false),
    ("http://ip-10-0-1-999/", false),
    ("http://compute.internal/", false),
    ("http://compute.internal.example.com/", false),
    ("http://evilcompute.internal/", false),
    ("http://wiki.internal/", false),
    // What only looks alike, and what the customary patterns would catch.
    ("https://www.example.com/?u=http://10.0.1.23/", false),
    ("https://www.example.com/ip-10-0-1-23.us-west-2.compute.internal/", false),
    ("https://10.0.1.23.example.com/", false),
    ("https://ec2.us-west-2.amazonaws.com/", false),
    ("https://us-west-2.console.aws.amazon.com/ec2/home", false),
    ("https://bucket10.s3.amazonaws.com/object", false),
    ("https://ec2-54-1-2-3.us-west-2.compute.amazonaws.com/", false),
    ("https://data.cityofnewyork.us/resource/erm2-nwe9.json", false),
    ("https://[::1]:8080/", false),
];

/// The same where the cluster is in a public subnet, of what is different there.
const PUBLIC: [(&str, bool); 6] = [
    ("http://ec2-54-1-2-3.us-west-2.compute.amazonaws.com:8088/cluster", true),
    ("http://ec2-54-1-2-3.eu-west-1.compute.amazonaws.com/", false),
    ("https://ec2.us-west-2.amazonaws.com/", false),
    ("https://ec2-54-1-2-3.us-west-2.compute.amazonaws.com.example.com/", false),
    ("https://bucket10.s3.amazonaws.com/object", false),
    ("http://10.0.1.23/", true),
];

/// `PyPAC` runs the file in a JavaScript engine of its own.
const ENGINE: &str = "
import json, sys
from urllib.parse import urlsplit
from pypac.parser import PACFile
asked = json.load(sys.stdin)
pac = PACFile(asked['pac'])
print(json.dumps([pac.find_proxy_for_url(url, urlsplit(url).netloc.rsplit('@')[-1].rsplit(':', 1)[0] if '[' not in url
                  else '[::1]') for url in asked['urls']]))
";

/// nyc311, whose cluster is in a private subnet, or moved to the public one.
fn project(public: bool) -> Project {
    let project = Project::new("http://127.0.0.1:9", None);
    if public {
        project.edit(
            "infra/nyc311.yaml",
            "  subnet: private                     # its pages",
            "  subnet: public                      # its pages",
        );
    }
    project
}

#[track_caller]
fn config(project: &Project, arguments: &[&str]) -> String {
    project.run(&[&["-f", "nyc311", "tunnel", "config"], arguments].concat()).expect(0).out
}

#[track_caller]
fn decide(pac: &str, table: &[(&str, bool)], port: u16) {
    let urls: Vec<&str> = table.iter().map(|(url, _)| *url).collect();
    let asked = serde_json::json!({ "pac": pac, "urls": urls }).to_string();
    let run: Run = feed(Command::new(python()).args(["-c", ENGINE]), &asked).expect(0);
    let answers = run.json();
    let answers = answers.as_array().expect("answers");
    assert_eq!(answers.len(), table.len());
    let tunnel = format!("SOCKS5 127.0.0.1:{port}");
    for ((url, by_tunnel), answer) in table.iter().zip(answers) {
        assert_eq!(answer, if *by_tunnel { tunnel.as_str() } else { "DIRECT" }, "{url}");
    }
}

#[test]
fn an_engine_for_pac_files_decides_as_it_is_meant() {
    decide(&config(&project(false), &["pac"]), &PRIVATE, 8157);
    decide(&config(&project(false), &["pac", "--port", "9157"]), &PRIVATE, 9157);
    let public = config(&project(true), &["pac"]);
    decide(&public, &PUBLIC, 8157);
}

/// `FoxyProxy`'s own reading of a pattern, which is searched for in the whole address.
/// Source: `convertWildcard` in `pattern.js` of `FoxyProxy`'s browser extension.
const FOXYPROXY: &str = r"
import json, re, sys
asked = json.load(sys.stdin)
def expression(entry):
    if entry['type'] == 'regex':
        return entry['pattern']
    text = re.sub(r'([.+^${}()|\[\]\\])', r'\\\1', entry['pattern'])
    return re.sub(r'^\*|\*$', '', text).replace('*', '.*').replace('?', '.')
expressions = [re.compile(expression(e), re.I) for e in asked['include'] if e['active']]
def address(url):
    scheme, rest = url.split('://', 1)
    host, slash, path = rest.partition('/')
    return f'{scheme}://{host.lower()}{slash}{path}'
print(json.dumps([any(e.search(address(url)) for e in expressions) for url in asked['urls']]))
";

#[test]
fn foxyproxy_8_and_9_take_it_and_decide_alike() {
    for (project, table) in [(project(false), &PRIVATE[..]), (project(true), &PUBLIC[..])] {
        let settings: Value = serde_json::from_str(&config(&project, &["foxyproxy", "--port", "8200"])).expect("JSON");
        structure(&settings);
        let include = settings["data"][0]["include"].clone();
        let urls: Vec<&str> = table.iter().map(|(url, _)| *url).collect();
        let asked = serde_json::json!({ "include": include, "urls": urls }).to_string();
        let answers = feed(Command::new(python()).args(["-c", FOXYPROXY]), &asked).expect(0).json();
        for ((url, by_tunnel), answer) in table.iter().zip(answers.as_array().expect("answers")) {
            assert_eq!(answer, by_tunnel, "{url}");
        }
    }
}

/// What `FoxyProxy`'s `schema.json` demands.
#[track_caller]
fn structure(settings: &Value) {
    assert_eq!(settings["mode"], "pattern");
    let [proxy] = &settings["data"].as_array().expect("data")[..] else { panic!("one proxy: {settings}") };
    assert_eq!(
        (&proxy["type"], &proxy["hostname"], &proxy["port"]),
        (&"socks5".into(), &"127.0.0.1".into(), &"8200".into())
    );
    assert_eq!((&proxy["active"], &proxy["proxyDNS"]), (&true.into(), &true.into()));
    for name in ["title", "username", "password", "cc", "city", "color", "pac", "pacString"] {
        assert!(proxy[name].is_string(), "{name}: {proxy}");
    }
    assert_eq!(proxy["exclude"], serde_json::json!([]));
    let include = proxy["include"].as_array().expect("include");
    for entry in include {
        let kind = entry["type"].as_str().expect("a type");
        assert!(["wildcard", "regex", "match"].contains(&kind), "{entry}");
        assert!(entry["title"].is_string() && entry["pattern"].is_string() && entry["active"].is_boolean(), "{entry}");
    }
    // The customary ones are there to be switched on.
    let off = |text: &str| include.iter().any(|entry| entry["pattern"] == text && entry["active"] == false);
    assert!(off("*ec2*.amazonaws.com*") && off("http://10.*") && off("*10*.compute*"), "{settings}");
}

/// An XML file as a list of its elements, each with its attributes: read by Python's own reader.
const XML: &str = "
import json, sys, xml.etree.ElementTree as tree
print(json.dumps([[e.tag, dict(e.attrib)] for e in tree.fromstring(sys.stdin.buffer.read()).iter()]))
";

#[test]
fn foxyproxy_7_takes_its_xml() {
    let text = config(&project(false), &["foxyproxy-7"]);
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<foxyproxy>"), "{text}");
    let elements = feed(Command::new(python()).args(["-c", XML]), &text).expect(0).json();
    let elements = elements.as_array().expect("elements");
    let tags: Vec<&str> = elements.iter().map(|element| element[0].as_str().expect("a tag")).collect();
    assert_eq!(tags[..4], ["foxyproxy", "proxies", "proxy", "matches"]);
    assert_eq!(tags.last(), Some(&"manualconf"));
    let proxy = &elements[2][1];
    assert_eq!(
        (&proxy["mode"], &proxy["proxyDNS"], &proxy["enabled"]),
        (&"manual".into(), &"true".into(), &"true".into())
    );
    let last = &elements[elements.len() - 1][1];
    assert_eq!((&last["host"], &last["port"]), (&"127.0.0.1".into(), &"8157".into()));
    assert_eq!((&last["socksversion"], &last["isSocks"]), (&"5".into(), &"true".into()));
    let matches: Vec<(&str, bool)> = elements
        .iter()
        .filter(|element| element[0] == "match")
        .map(|element| {
            let attributes = &element[1];
            for name in ["isRegEx", "isBlackList", "isMultiLine", "caseSensitive", "fromSubscription"] {
                assert_eq!(attributes[name], "false", "{name}");
            }
            (attributes["pattern"].as_str().expect("a pattern"), attributes["enabled"] == "true")
        })
        .collect();
    let on: Vec<&str> = matches.iter().filter(|(_, on)| *on).map(|(pattern, _)| *pattern).collect();
    assert_eq!(on, ["*.compute.internal*", "*.ec2.internal*", "http://10.0.*", "https://10.0.*"]);
    assert_eq!(matches.len(), 9, "the seven customary ones are among them: {matches:?}");
}

#[test]
fn settings_need_no_cloud() {
    let project = project(false);
    let run = project.command(None, &["-f", "nyc311", "tunnel", "config", "pac"]);
    let mut command = Command::new(run.get_program());
    command.args(run.get_args()).current_dir(project.folder()).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let run: Run = command.output().expect("the program starts").into();
    assert!(run.expect(0).out.contains("function FindProxyForURL"));
    assert!(root().join("infra/nyc311.yaml").exists());
    let run = project.run(&["-f", "nyc311", "tunnel", "status"]).expect(0);
    assert_eq!((run.out.as_str(), run.err.as_str()), ("down\n", ""));
    project.run(&["-f", "nyc311", "tunnel", "down"]).expect(0).says(&["There was no tunnel."]);
    project
        .run(&["-f", "vendas", "open", "ganglia"])
        .expect(1)
        .says(&["the cluster has no Ganglia (infra/vendas.yaml:"]);
}
