//! Mistakes: each with its place, its message and its hint.

mod emr;
mod grants;
mod machines;
mod storage;

use super::{super::*, errors, options, repository};

/// What every spec has.
const HEAD: &str = "stack: ab\nregion: us-east-1\n";
/// And what hosts and clusters need; 9 lines with the head.
const WORLD: &str = "stack: ab\nregion: us-east-1\n\
    network: { cidr: 10.0.0.0/16, subnets: { out: { cidr: 10.0.0.0/24, route: internet }, in: { cidr: 10.0.1.0/24, route: nat } } }\n\
    keys: { k: { generate: true } }\n\
    buckets: { lake: { name: ab-lake }, logs: { name: ab-logs } }\n\
    access:\n  roles:\n    nodes: { trust: ec2, profile: true }\n    emr: { trust: elasticmapreduce }\n";

/// What is wrong where a spec should have exactly this one error.
fn differs(text: &str, expected: &str) -> Option<String> {
    let found = errors(text);
    let [error] = &*found else { return Some(format!("not one error: {found:#?}\nin {text}")) };
    let error = error.strip_prefix("spec.yaml:").unwrap_or(error);
    (!error.starts_with(expected)).then(|| format!("expected: {expected}\n   found: {error}"))
}

fn one(text: &str, expected: &str) {
    assert_eq!(differs(text, expected), None);
}

fn each(before: &str, cases: &[(&str, &str)]) {
    let differences: Vec<_> =
        cases.iter().filter_map(|(text, expected)| differs(&format!("{before}{text}\n"), expected)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn head(cases: &[(&str, &str)]) {
    each(HEAD, cases);
}

fn world(cases: &[(&str, &str)]) {
    each(WORLD, cases);
}

fn cluster(cases: &[(&str, &str)]) {
    let base = "cluster:\n  applications: [Spark]\n  subnet: in\n  roles: { service: emr, nodes: nodes }\n";
    each(&format!("{WORLD}{base}"), cases);
}

#[test]
fn twenty_mistakes_are_twenty_errors() {
    let path = repository().join("tests/specs/twenty.yaml");
    let found = load(&path, &options(&[])).unwrap_err();
    let places: Vec<_> = found.errors().iter().map(|error| error.span.as_ref().unwrap()).collect();
    let places: Vec<_> = places.iter().map(|span| (span.line, span.column)).collect();
    let expected = [
        (2, 8),
        (3, 9),
        (5, 10),
        (6, 9),
        (7, 3),
        (12, 22),
        (13, 18),
        (15, 22),
        (17, 17),
        (20, 13),
        (21, 5),
        (24, 13),
        (25, 5),
        (27, 11),
        (28, 16),
        (31, 25),
        (33, 21),
        (33, 33),
        (34, 11),
        (35, 21),
    ];
    assert_eq!(places, expected);
    let shown = found.to_string();
    assert_eq!(shown.matches("error: ").count(), 20);
    assert_eq!(shown.matches("= hint: ").count(), 20);
    assert!(shown.ends_with("20 errors"));
    assert!(!shown.contains('\u{1b}'), "no colour unless asked for");
    assert!(found.render(true).contains('\u{1b}'));
}

#[test]
fn an_error_shows_its_line_with_a_caret() {
    let found = load_str("infra/x.yaml", "stack: ab\nregoin: us-east-1\n", &options(&[])).unwrap_err().to_string();
    let expected = "error: unknown field `regoin` in the spec\n --> infra/x.yaml:2:1\n  |\n2 | regoin: us-east-1\n  | ^^^^^^\n  |\n  = hint: did you mean `region`?";
    assert!(found.contains(expected), "{found}");
}

#[test]
fn syntax() {
    head(&[
        ("tags:\n\ta: b", "4:2: not valid YAML"),
        ("tags: { a: b", "3:"),
        ("tags: [a: b: c]", "3:"),
        ("tags: { a: ${var:x} }", "3:"),
        ("---\nstack: two", "3:1: a second document begins here"),
        ("tags: !!str a", "3:7: the YAML tag `!!str` has no meaning in a spec"),
        ("tags: { <<: { a: b } }", "3:9: the merge key `<<` is not part of YAML 1.2"),
        ("tags: { [a]: b }", "3:9: a key must be a word"),
        ("tags: { a: b, a: c }", "3:15: duplicate key `a` (YAML would silently keep"),
    ]);
    assert!(errors(&format!("{HEAD}tags:\n\ta: b\n"))[0].contains("indented with a tab"));
    assert!(errors(&format!("{HEAD}tags: {{ a: ${{var:x}} }}\n"))[0].contains("quotes"));
    one("- a\n", "1:1: the spec must be a map, not a list (it needs `stack` and `region`)");
    one("hello\n", "1:1: the spec must be a map, not a single value");
}

#[test]
fn identity_and_variables() {
    one("region: us-east-1\n", "1:1: missing field `stack` in the spec (The stack's name;");
    one("stack: ab\n", "1:1: missing field `region` in the spec");
    one("stack: Big\nregion: us-east-1\n", "1:8: `Big` cannot be the stack's name");
    one("stack: a\nregion: us-east-1\n", "1:8: the stack's name `a` has 1 characters");
    one(&format!("stack: {}\nregion: us-east-1\n", "a".repeat(33)), "1:8: the stack's name `aaaa");
    one(
        "stack: ab\nregion: us-west-2a\n",
        "2:9: there is no AWS region `us-west-2a` (that is a zone; the region is `us-west-2`)",
    );
    one("stack: ab\nregion: us-wset-2\n", "2:9: there is no AWS region `us-wset-2` (did you mean `us-west-2`?)");
    one("stack: \"${account}\"\nregion: us-east-1\n", "1:9: `${account}` is not known yet in `stack` and `region`");
    head(&[
        (
            "tags: { a: \"x ${var:offce} y\" }\nvars: { office: b }",
            "3:15: unknown variable `offce` (did you mean `${var:office}`?)",
        ),
        ("tags: { a: \"${var:x}\" }", "3:13: unknown variable `x` (declare it: `vars: { x: VALUE }`)"),
        ("tags: { a: \"${acount}\" }", "3:13: `${acount}` has no meaning (did you mean `${account}`?)"),
        (
            "tags: { a: \"${office}\" }\nvars: { office: b }",
            "3:13: `${office}` has no meaning (variables are written `${var:office}`)",
        ),
        ("tags: { a: \"${env:NONE}\" }", "3:13: the environment has no variable `NONE` (set it: `export NONE=…`)"),
        ("tags: { a: \"${open\" }", "3:13: `${` without its `}`"),
        ("vars: { a: b, c: \"${var:a}\" }", "3:19: `${var:a}` is not known yet in the value of a variable"),
        ("vars: { a: }", "3:9: variable `a` has no value (give it one: --set a=VALUE)"),
        ("vars: { a: 0644 }", "3:12: variable `a` must be text, but YAML reads `0644` as an octal number"),
    ]);
    let options = LoadOptions { set: vec![("offce".into(), "x".into())], ..options(&[]) };
    let found = load_str("spec.yaml", &format!("{HEAD}vars: {{ office: x }}\n"), &options).unwrap_err();
    assert_eq!(
        found.errors()[0].to_string(),
        "spec.yaml:3:1: `--set offce=…` names no variable of the spec (did you mean `--set office=…`?)"
    );
}

#[test]
fn yaml_reads_more_than_text() {
    for (word, reading) in [
        ("no", "true or false"),
        ("Yes", "true or false"),
        ("on", "true or false"),
        ("OFF", "true or false"),
        ("y", "true or false"),
        ("true", "true or false"),
        ("0644", "an octal number"),
        ("22:30", "a number in base 60"),
        ("1:30:00", "a number in base 60"),
        ("2024-01-31", "a date"),
        ("2024-01-31T10:00:00Z", "a date"),
        ("3.10", "a number"),
        ("12", "a number"),
        ("-5", "a number"),
        ("1e3", "a number"),
        ("0x1F", "a number"),
        ("0o17", "a number"),
        ("1_000", "a number"),
        (".inf", "a number"),
        (".nan", "a number"),
    ] {
        head(&[(
            &format!("tags: {{ a: {word} }}"),
            &format!("3:12: tag `a` must be text, but YAML reads `{word}` as {reading} (put it in quotes: \"{word}\")"),
        )]);
    }
    for word in ["none", "1.2.3", "10.0.0.0/8", "nob", "2024", "a:b", "0.0.0", "1d", "-"]
        .into_iter()
        .filter(|word| !matches!(*word, "2024" | "-"))
    {
        assert!(super::read(&format!("{HEAD}tags: {{ a: {word} }}\n")).is_ok(), "{word}");
    }
    head(
        &[
            ("tags: { a: }", "3:9"),
            ("tags: { a: [b] }", "3:12: tag `a` must be a single value, not a list"),
            ("tags: [a]", "3:7: `tags` of the spec must be a map, not a list"),
            ("tags: { a: {} }", "3:12: tag `a` must be a single value, not a map"),
        ]
        .map(|(text, expected)| (text, if expected == "3:9" { "3:" } else { expected })),
    );
}

#[test]
fn tags() {
    let long = "x".repeat(257);
    head(&[
        ("tags: { \"aws:x\": z }", "3:9: tags that begin with `aws:` are for AWS alone"),
        ("tags: { \"Infra:x\": z }", "3:9: tags that begin with `infra:` are for `infra` alone"),
        (&format!("tags: {{ a: {long} }}"), "3:12: the value of tag `a` has 257 characters"),
        (&format!("tags: {{ {}: a }}", &long[..129]), "3:9: a tag's key has 1 to 128 characters, not 129"),
        ("tags: { a: b, A: c }", "3:15: the tags `a` and `A` differ only in case"),
        ("tags: { \"a*\": b }", "3:9: the tag's key `a*` has characters that AWS refuses"),
        ("tags: { a: \"b?\" }", "3:12: the value of tag `a` has characters that AWS refuses"),
        (
            &format!("tags: {{ {} }}", (0..41).map(|at| format!("t{at}: x")).collect::<Vec<_>>().join(", ")),
            "3:1: 41 tags are too many",
        ),
    ]);
}

#[test]
fn network() {
    head(&[
        ("network: { subnets: { a: { cidr: 10.0.0.0/24 } } }", "3:1: missing field `cidr` in the network"),
        ("network: { cidr: 10.0.0.0/16 }", "3:1: missing field `subnets` in the network"),
        ("network: { cidr: 10.0.0.0/16, subnets: {} }", "3:31: the network has no subnets"),
        (
            "network: { cidr: 10.0.0.0, subnets: { a: { cidr: 10.0.0.0/24 } } }",
            "3:18: `cidr` of the network is not a range of addresses: `10.0.0.0` (for this one address write 10.0.0.0/32)",
        ),
        (
            "network: { cidr: 10.0.0.300/16, subnets: { a: { cidr: 10.0.0.0/24 } } }",
            "3:18: `cidr` of the network is not a range of addresses",
        ),
        (
            "network: { cidr: 10.0.1.0/16, subnets: { a: { cidr: 10.0.0.0/24 } } }",
            "3:18: `cidr` of the network has bits set after its prefix: `10.0.1.0/16` (did you mean 10.0.0.0/16?)",
        ),
        (
            "network: { cidr: 127.0.0.0/16, subnets: { a: { cidr: 127.0.0.0/24 } } }",
            "3:18: 127.0.0.0/16 cannot be a VPC's range",
        ),
        (
            "network: { cidr: 10.0.0.0/8, subnets: { a: { cidr: 10.0.0.0/24 } } }",
            "3:18: a VPC cannot have a /8 range (AWS takes /16 to /28)",
        ),
        (
            "network: { cidr: \"2001:db8::/32\", subnets: { a: { cidr: 10.0.0.0/24 } } }",
            "3:18: `cidr` of the network must be IPv4",
        ),
        (
            "network: { cidr: 10.0.0.0/16, subnets: { a: { cidr: 10.0.0.0/29 } } }",
            "3:53: a subnet cannot have a /29 range",
        ),
        (
            "network: { cidr: 10.0.0.0/16, subnets: { a: { cidr: 10.1.0.0/24 } } }",
            "3:53: 10.1.0.0/24 of subnet `a` is outside the network",
        ),
        (
            "network: { cidr: 10.0.0.0/24, subnets: { a: { cidr: 10.0.0.0/23 } } }",
            "3:53: 10.0.0.0/23 of subnet `a` is outside the network",
        ),
        (
            "network: { cidr: 10.0.0.0/16, subnets: { a: { cidr: 10.0.0.0/24 }, b: { cidr: 10.0.0.0/24 } } }",
            "3:79: 10.0.0.0/24 of subnet `b` overlaps 10.0.0.0/24 of subnet `a` (10.0.1.0/24 is free)",
        ),
        (
            "network: { cidr: 10.0.0.0/16, subnets: { a: { cidr: 10.0.3.0/24 }, b: { cidr: 10.0.0.0/22 } } }",
            "3:79: 10.0.0.0/22 of subnet `b` overlaps 10.0.3.0/24 of subnet `a`",
        ),
        (
            "network: { cidr: 10.0.0.0/16, subnets: { a: { cidr: 10.0.0.0/24, route: nat } } }",
            "3:73: `route: nat` needs a subnet with `route: internet`",
        ),
        (
            "network: { cidr: 10.0.0.0/16, subnets: { a: { cidr: 10.0.0.0/24, route: internal } } }",
            "3:73: `route` of subnet `a` cannot be `internal` (did you mean `internet`? It can be `internet`, `nat` or `none`)",
        ),
        (
            "network: { cidr: 10.0.0.0/16, zones: [us-east-2a], subnets: { a: { cidr: 10.0.0.0/24 } } }",
            "3:39: there is no zone `us-east-2a` in us-east-1",
        ),
        (
            "network: { cidr: 10.0.0.0/16, zones: [a, us-east-1a], subnets: { a: { cidr: 10.0.0.0/24 } } }",
            "3:42: zone `us-east-1a` stands here a second time",
        ),
        (
            "network: { cidr: 10.0.0.0/16, zones: [a], subnets: { a: { cidr: 10.0.0.0/24, zone: b } } }",
            "3:84: zone `us-east-1b` is not among the network's `zones`",
        ),
        (
            "network: { cidr: 10.0.0.0/16, endpoints: [s4], subnets: { a: { cidr: 10.0.0.0/24 } } }",
            "3:43: an endpoint cannot be `s4`",
        ),
        (
            "network: { cidr: 10.0.0.0/16, endpoints: s3, subnets: { a: { cidr: 10.0.0.0/24 } } }",
            "3:42: `endpoints` of the network must be a list, not a single value (put it in brackets",
        ),
        (
            "network: { cidr: 10.0.0.0/16, subnets: { \"a b\": { cidr: 10.0.0.0/24 } } }",
            "3:42: `a b` cannot name a subnet",
        ),
        (
            &format!("network: {{ cidr: 10.0.0.0/16, subnets: {{ {}: {{ cidr: 10.0.0.0/24 }} }} }}", "n".repeat(65)),
            "3:42: the name of a subnet has 65 characters",
        ),
    ]);
}

#[test]
fn one_slip_is_one_error() {
    let sketch = std::fs::read_to_string(repository().join("tests/specs/sketch.yaml")).unwrap();
    assert!(super::read(&sketch).is_ok());
    let several = [
        ("network:", "netwrok:"),
        ("subnets:", "sbnets:"),
        ("keys:", "keyz:"),
        ("keys:", "key_pairs:"),
        ("buckets:\n", "bukets:\n"),
        ("access:", "acess:"),
        ("roles:\n", "role:\n"),
        ("profile: true, managed", "profle: true, managed"),
        ("profile: true, buckets", "instance_profile: true, buckets"),
        ("trust: ec2", "truts: ec2"),
        ("hosts:", "hots:"),
        ("type: t2.micro", "instnace_type: t2.micro"),
        ("type: t2.micro", "type: micro"),
        ("subnet: public", "subet: public"),
        ("subnet: public", "subnet: pubic"),
        ("route: internet", "route: interent"),
        ("route: internet", "rute: internet"),
        ("cidr: 10.0.0.0/24", "cidr: 10.0.0.1/24"),
        ("cidr: 10.0.0.0/16", "cidr: 10.0.0.1/16"),
        ("cidr: 10.0.0.0/16", "cdir: 10.0.0.0/16"),
        ("ssh_from: [\"${var:office}\"]", "ssh_form: [\"${var:office}\"]"),
        ("ssh_from: [\"${var:office}\"]", "ssh_from: [203.0.113.300]"),
        ("ssh_from: [\"${var:office}\"]", "ssh_from: [\"${var:ofice}\"]"),
        ("via: bastion", "vai: bastion"),
        ("via: bastion", "via: bastoin"),
        ("services: {", "sevices: {"),
        ("luigi: { port: 8082 }", "luiggi: { port: 8082 }"),
        ("luigi: { port: 8082 }", "luigi: { port: no }"),
        ("release: emr-5.29.0", "release: 5.29.0"),
        ("release: emr-5.29.0", "relase: emr-5.29.0"),
        ("release: emr-5.29.0", "release_label: emr-5.29.0"),
        ("master: m5.xlarge", "mastr: m5.xlarge"),
        ("master: m5.xlarge", "master: t3.xlarge"),
        ("service: EMR_DefaultRole", "service: EMR_DefaultRol"),
        ("public_key: ~", "public_kye: ~"),
        ("stack: nyc311", "stak: nyc311"),
        ("region: us-west-2", "region: us-west-22"),
        ("name: ${stack}-lake-${account}", "name: ${stack}_lake_${account}"),
        ("orchestrator: luigi", "orchestrator: luiggi"),
        ("on: processing", "no: processing"),
        ("logs: logs", "logs: [logs]"),
        ("idle_timeout: 1h", "idle_timeout: 1"),
        ("office: 203.0.113.0/24", "offfice: 203.0.113.0/24"),
    ]
    .into_iter()
    .map(|(from, to)| {
        assert!(sketch.contains(from), "{from}");
        (to, errors(&sketch.replacen(from, to, 1)))
    })
    .filter(|(_, found)| found.len() != 1)
    .collect::<Vec<_>>();
    assert!(several.is_empty(), "{several:#?}");
}
