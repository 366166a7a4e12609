//! Mistakes: each with its place, its message and its hint.

use super::{super::*, errors, options, repository};

/// What every spec has.
const HEAD: &str = "stack: ab\nregion: us-east-1\n";
/// And what hosts and clusters need; 9 lines with the head.
const WORLD: &str = "stack: ab\nregion: us-east-1\n\
    network: { cidr: 10.0.0.0/16, subnets: { out: { cidr: 10.0.0.0/24, route: internet }, in: { cidr: 10.0.1.0/24, route: nat } } }\n\
    keys: { k: { generate: true } }\n\
    buckets: { lake: { name: ab-lake }, logs: { name: ab-logs } }\n\
    access:\n  roles:\n    nodes: { trust: ec2, profile: true }\n    emr: { trust: elasticmapreduce }\n";

/// Checks that a spec has exactly this one error.
fn one(text: &str, expected: &str) {
    let found = errors(text);
    let [error] = &*found else { panic!("not one error: {found:#?}\nin {text}") };
    let error = error.strip_prefix("spec.yaml:").unwrap_or(error);
    assert!(error.starts_with(expected), "expected: {expected}\n   found: {error}\n{text}");
}

fn head(cases: &[(&str, &str)]) {
    cases.iter().for_each(|(text, expected)| one(&format!("{HEAD}{text}\n"), expected));
}

fn world(cases: &[(&str, &str)]) {
    cases.iter().for_each(|(text, expected)| one(&format!("{WORLD}{text}\n"), expected));
}

fn cluster(cases: &[(&str, &str)]) {
    let base = "cluster:\n  applications: [Spark]\n  subnet: in\n  roles: { service: emr, nodes: nodes }\n";
    cases.iter().for_each(|(text, expected)| one(&format!("{WORLD}{base}{text}\n"), expected));
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
        ("tags:\n\ta: b", "4:1: not valid YAML"),
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
        ("tags: { \"aws:x\": y }", "3:9: tags that begin with `aws:` are for AWS alone"),
        ("tags: { \"Infra:x\": y }", "3:9: tags that begin with `infra:` are for `infra` alone"),
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
fn bucket_names() {
    for (name, problem) in [
        ("ab", "it has 2 characters"),
        ("Lake", "it has upper-case letters (write `lake`)"),
        ("my_lake", "it has an underscore (write `my-lake`)"),
        ("my lake", "it has ` `"),
        ("-lake", "it must begin and end"),
        ("lake-", "it must begin and end"),
        ("a..b", "it has `.` next to"),
        ("a.-b", "it has `.` next to"),
        ("10.0.0.1", "it looks like an IP address"),
        ("xn--lake", "names that begin with `xn--`"),
        ("sthree-lake", "names that begin with `sthree-`"),
        ("lake-s3alias", "names that end in `-s3alias`"),
        ("lake--ol-s3", "names that end in `--ol-s3`"),
        ("lake--x-s3", "names that end in `--x-s3`"),
        ("lake.mrap", "names that end in `.mrap`"),
    ] {
        head(&[(
            &format!("buckets: {{ b: {{ name: \"{name}\" }} }}"),
            &format!("3:23: S3 refuses the bucket name `{name}`: {problem}"),
        )]);
    }
    let long = "x".repeat(52);
    head(&[
        (
            &format!("buckets: {{ b: {{ name: \"{long}${{account}}\" }} }}"),
            &format!("3:23: S3 refuses the bucket name `{long}${{account}}`: it has 64 characters"),
        ),
        (
            "buckets: { a: { name: \"x-${account}\" }, b: { name: \"x-${account}\" } }",
            "3:52: buckets `a` and `b` are both named `x-${account}` on AWS",
        ),
    ]);
}

#[test]
fn buckets() {
    head(&[
        ("buckets: { b: {} }", "3:12: missing field `name` in bucket `b`"),
        ("buckets: { b: { name: abc, encryption: aes } }", "3:40: `encryption` of bucket `b` cannot be `aes`"),
        (
            "buckets: { b: { name: abc, versioning: \"true\" } }",
            "3:40: `versioning` of bucket `b` must be `true` or `false`, not text (remove the quotes)",
        ),
        (
            "buckets: { b: { name: abc, versioning: on } }",
            "3:40: `versioning` of bucket `b` must be `true` or `false`, not `on` (write `true`)",
        ),
        (
            "buckets: { b: { name: abc, folders: [raw] } }",
            "3:38: a folder cannot be `raw`: a folder ends in `/` (write `raw/`)",
        ),
        (
            "buckets: { b: { name: abc, folders: [/raw/] } }",
            "3:38: a folder cannot be `/raw/`: S3 would make a folder without a name (write `raw/`)",
        ),
        ("buckets: { b: { name: abc, folders: [a/../b/] } }", "3:38: a folder cannot be `a/../b/`"),
        ("buckets: { b: { name: abc, folders: [a/, a/] } }", "3:42: folder `a/` stands here a second time"),
        (
            "buckets: { b: { name: abc, expire: 90 } }",
            "3:36: `expire` of bucket `b` is not a length of time: `90` (add a unit: 90d",
        ),
        ("buckets: { b: { name: abc, expire: 12h } }", "3:36: `expire` of bucket `b` must be whole days"),
        (
            "buckets: { b: { name: abc, expire: { a/: { after: 3d, noncurrent: 1d } } } }",
            "3:67: `noncurrent` needs `versioning: true`",
        ),
        (
            "buckets: { b: { name: abc, expire: { a/: { noncurrent: 1d } }, versioning: true } }",
            "3:38: missing field `after`",
        ),
        (
            "buckets: { b: { name: abc, lifecycle: 90d } }",
            "3:28: unknown field `lifecycle` in bucket `b` (did you mean `expire`?)",
        ),
        ("buckets: { b: abc }", "3:15: bucket `b` must be a map, not a single value (it needs `name`)"),
    ]);
}

#[test]
fn keys() {
    head(&[
        ("keys: { k: {} }", "3:9: key `k` has neither `public_key` nor `generate: true`"),
        ("keys: { k: { generate: false } }", "3:9: key `k` has neither"),
        ("keys: { k: { generate: true, public_key: a.pub } }", "3:30: key `k` has both `generate` and `public_key`"),
        (
            "keys: { k: { public_key: \"-----BEGIN OPENSSH PRIVATE KEY-----\" } }",
            "3:26: this is a private key; a public one belongs here",
        ),
        ("keys: { k: { public_key: ssh-dss AAAAB3 } }", "3:26: EC2 takes no `ssh-dss` keys"),
        (
            &format!("keys: {{ k: {{ generate: true, name: {} }} }}", "x".repeat(256)),
            "3:36: EC2 refuses the key pair's name, of 256 characters",
        ),
        (
            "keys: { a: { generate: true, name: x }, b: { generate: true, name: x } }",
            "3:68: keys `a` and `b` are both named `x` on AWS",
        ),
    ]);
}

#[test]
fn access() {
    let long = |count| "x".repeat(count);
    head(&[
        (
            &format!("access: {{ roles: {{ {}: {{ trust: ec2 }} }} }}", long(65)),
            "3:20: the name of a role has 65 characters (IAM takes 1 to 64)",
        ),
        (&format!("access: {{ users: {{ {}: {{}} }} }}", long(65)), "3:20: the name of a user has 65 characters"),
        (
            &format!(
                "access: {{ policies: {{ {}: {{ document: {{ Statement: {{ Effect: Allow, Action: \"*\", Resource: \"*\" }} }} }} }} }}",
                long(129)
            ),
            "3:23: the name of a policy has 129 characters (IAM takes 1 to 128)",
        ),
        ("access: { roles: { \"a b\": { trust: ec2 } } }", "3:20: IAM refuses the role name `a b`"),
        ("access: { roles: { r: {} } }", "3:20: missing field `trust` in role `r`"),
        ("access: { roles: { r: { trust: ecc } } }", "3:32: unknown AWS service `ecc`"),
        (
            "access: { roles: { r: { trust: elasticmapreduc } } }",
            "3:32: unknown AWS service `elasticmapreduc` (did you mean `elasticmapreduce`?)",
        ),
        ("access: { roles: { r: { trust: [] } } }", "3:32: nobody may assume role `r`"),
        (
            "access: { roles: { r: { trust: ec2, buckets: { lake: read } } } }",
            "3:48: there is no bucket `lake` (declare it under `buckets:`)",
        ),
        (
            "access: { roles: { r: { trust: ec2, buckets: { lake: all } } } }\nbuckets: { lake: { name: abc } }",
            "3:54: access to bucket `lake` cannot be `all`",
        ),
        ("access: { roles: { r: { trust: ec2, clusters: start } } }", "3:47: `clusters` of role `r` cannot be `start`"),
        (
            "access: { roles: { r: { trust: ec2, managed: AmazonElasticMapReduceRole } } }",
            "3:46: AWS has no managed policy `AmazonElasticMapReduceRole` (did you mean `service-role/AmazonElasticMapReduceRole`?)",
        ),
        (
            "access: { roles: { r: { trust: ec2, managed: AmazonS3FulAccess } } }",
            "3:46: AWS has no managed policy `AmazonS3FulAccess` (did you mean `AmazonS3FullAccess`?)",
        ),
        (
            "access: { roles: { r: { trust: ec2, managed: [AmazonS3FullAccess, AmazonS3FullAccess] } } }",
            "3:67: `AmazonS3FullAccess` stands here a second time",
        ),
        (
            "access: { roles: { r: { trust: ec2, managed: \"arn:aws:s3:::x\" } } }",
            "3:46: `arn:aws:s3:::x` is not the ARN of a policy",
        ),
        (
            "access: { roles: { r: { trust: ec2, policies: [lok] } }, policies: { look: { document: { Statement: { Effect: Allow, Action: \"*\", Resource: \"*\" } } } } }",
            "3:48: there is no policy `lok` (did you mean `look`?)",
        ),
        (
            "access: { roles: { r: { trust: ec2 }, R: { trust: ec2 } } }",
            "3:39: roles `r` and `R` are both named `R` on AWS",
        ),
        ("access: { users: { u: { access_key: yes } } }", "3:37: `access_key` of user `u` must be `true` or `false`"),
        ("access: { groups: {} }", "3:11: unknown field `groups` in `access`"),
    ]);
}

#[test]
fn policy_documents() {
    let document = |text: &str, expected: &str| {
        head(&[(&format!("access: {{ policies: {{ p: {{ document:\n  {text} }} }} }}"), expected)]);
    };
    document("[]", "4:3: `document` of policy `p` must be a map with `Statement`, not a list");
    document("\"{}\"", "4:3: `document` of policy `p` must be a map");
    document("{ Version: \"2012-10-17\" }", "4:5: `document` of policy `p` has no `Statement`");
    document("{ Statement: [] }", "4:5: `document` of policy `p` has no statement");
    document("{ Statement: [a] }", "4:17: a statement of `document` of policy `p` must be a map");
    document(
        "{ Statement: { Effect: allow, Action: \"*\", Resource: \"*\" } }",
        "4:26: `Effect` in `document` of policy `p` must be `Allow` or `Deny`",
    );
    document(
        "{ Statement: { Action: \"*\", Resource: \"*\" } }",
        "4:18: a statement of `document` of policy `p` has no `Effect`",
    );
    document(
        "{ Statement: { Effect: Allow, Resource: \"*\" } }",
        "4:18: a statement of `document` of policy `p` has no `Action`",
    );
    document(
        "{ Statement: { Effect: Allow, Action: \"*\" } }",
        "4:18: a statement of `document` of policy `p` has no `Resource`",
    );
    document(
        "{ Statement: { Effect: Allow, Action: \"*\", Resuorce: \"*\", Resource: \"*\" } }",
        "4:46: unknown field `Resuorce` in a statement of `document` of policy `p` (did you mean `Resource`?)",
    );
    document(
        "{ Statement: { Effect: Allow, Action: GetObject, Resource: \"*\" } }",
        "4:41: `GetObject` is not an action",
    );
    document(
        "{ Statement: { Effect: Allow, Action: \"*\", Resource: \"*\", Principal: \"*\" } }",
        "4:61: `document` of policy `p` belongs to a role or user",
    );
    document(
        "{ Version: \"2020-01-01\", Statement: { Effect: Allow, Action: \"*\", Resource: \"*\" } }",
        "4:14: a policy's `Version` cannot be `2020-01-01`",
    );
    document(
        "{ Version: 2012-10-17, Statement: { Effect: Allow, Action: \"*\", Resource: \"*\" } }",
        "4:14: `Version` in `document` of policy `p` must be text, but YAML reads `2012-10-17` as a date",
    );
    document(
        &format!("{{ Statement: {{ Effect: Allow, Action: \"*\", Resource: \"{}\" }} }}", "x".repeat(6_100)),
        "4:3: `document` of policy `p` has 61",
    );
    head(&[(
        "access: { roles: { r: { trust: { Statement: { Effect: Allow, Action: \"sts:AssumeRole\" } } } } }",
        "3:47: a statement of `trust` of role `r` has no `Principal`",
    )]);
}

#[test]
fn hosts() {
    world(&[
        ("hosts: { h: { type: t2.micro } }", "10:10: missing field `subnet` in host `h`"),
        ("hosts: { h: { subnet: out } }", "10:10: missing field `type` in host `h`"),
        ("hosts: { h: { subnet: ot, type: t2.micro } }", "10:23: there is no subnet `ot` (did you mean `out`?)"),
        ("hosts: { h: { subnet: out, type: micro } }", "10:34: `micro` is no instance type (a type is FAMILY.SIZE"),
        (
            "hosts: { h: { subnet: out, type: T2.Micro } }",
            "10:34: `T2.Micro` is no instance type (did you mean `t2.micro`?)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micor } }",
            "10:34: `t2.micor` is no instance type (did you mean `t2.micro`?)",
        ),
        (
            "hosts: { h: { subnet: out, instance_type: t2.micro, type: t2.micro } }",
            "10:28: unknown field `instance_type` in host `h` (did you mean `type`?)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, image: ubuntu-22.05 } }",
            "10:51: unknown image `ubuntu-22.05` (did you mean `ubuntu-22.04`?)",
        ),
        ("hosts: { h: { subnet: out, type: t2.micro, image: ami-xyz } }", "10:51: `ami-xyz` is no image's id"),
        (
            "hosts: { h: { subnet: out, type: t2.micro, disk: 8GB } }",
            "10:50: `disk` of host `h` is not a size: `8GB` (write 8GiB (or TiB))",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, disk: 0GiB } }",
            "10:50: `disk` of host `h` cannot be 0GiB (it can be 1GiB to 16384GiB)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, disk: { size: 8GiB, iops: 5000 } } }",
            "10:70: 8 GiB cannot have 5000",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 0.0.0.0/0 } }",
            "10:54: 0.0.0.0/0 would open SSH of host `h` to the world",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: [\"::/0\"] } }",
            "10:55: ::/0 would open SSH of host `h` to the world",
        ),
        ("hosts: { h: { subnet: out, type: t2.micro, ssh_from: [128.0.0.0/1] } }", "10:55: 128.0.0.0/1 would open SSH"),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: [0.0.0.0/0], allow_world: false } }",
            "10:55: 0.0.0.0/0 would open",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: [1.2.3.4] } }",
            "10:55: `ssh_from` of host `h` is not a range of addresses: `1.2.3.4` (for this one address write 1.2.3.4/32)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 80, from: 0.0.0.0/0 }] } }",
            "10:70: 0.0.0.0/0 would open port 80 of host `h` to the world",
        ),
        ("hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 80 }] } }", "10:52: missing field `from`"),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 70000, from: in }] } }",
            "10:60: `port` of a port of host `h` cannot be 70000",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 9-1, from: in }] } }",
            "10:60: `port` of a port of host `h` is no range of ports",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 80, from: inn }] } }",
            "10:70: there is no host or subnet `inn` (did you mean `in`?)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 80, from: cluster }] } }",
            "10:70: the spec has no `cluster`",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ports: [{ port: 80, from: in }, { port: 80, from: out }] } }",
            "10:76: port 80 stands in `ports` a second time",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, role: node } }",
            "10:50: there is no role `node` (did you mean `nodes`?)",
        ),
        (
            "hosts: { h: { subnet: in, type: t2.micro } }",
            "10:23: nobody can reach host `h`: subnet `in` gives no public addresses",
        ),
        ("hosts: { h: { subnet: out, type: t2.micro, via: h } }", "10:49: `via` goes in a circle: h → h"),
        (
            "hosts: { a: { subnet: out, type: t2.micro, via: b }, b: { subnet: out, type: t2.micro, via: a } }",
            "10:49: `via` goes in a circle: a → b → a",
        ),
        ("hosts: { h: { subnet: out, type: t2.micro, users: u.txt } }", "10:10: nobody may reach host `h` by SSH"),
        ("hosts: { h: { subnet: out, type: t2.micro, login: \"a b\" } }", "10:51: `a b` is no login"),
        (
            "hosts: { h: { subnet: in, type: t2.micro, ssh_from: 10.0.0.0/8, elastic_ip: true } }",
            "10:77: a public address is of no use to host `h`",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, private_address: 10.0.1.9 } }",
            "10:61: host `h` cannot have address 10.0.1.9 in 10.0.0.0/24",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, private_address: 10.0.0.3 } }",
            "10:61: host `h` cannot have address 10.0.0.3",
        ),
        (
            "hosts: { a: { subnet: out, type: t2.micro, private_address: 10.0.0.9 }, b: { subnet: out, type: t2.micro, private_address: 10.0.0.9 } }",
            "10:124: hosts `a` and `b` have one address",
        ),
        (
            "hosts: { h: { address: a.example.org, type: t2.micro } }",
            "10:39: host `h` exists already, so it cannot have `type`",
        ),
        ("hosts: { h: { address: \"me@host\" } }", "10:24: `me@host` is no host name or address"),
        (
            "hosts: { h: { subnet: out, type: t2.micro, port: 22 } }",
            "10:44: `port` is the SSH port of a host with `address`",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { dokcer: {} } } }",
            "10:78: unknown field `dokcer` in `services` of host `h` (did you mean `docker`?)",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { airflow: { python: 3.10 } } } }",
            "10:99: `python` of service `airflow` of host `h` must be text, but YAML reads `3.10` as a number",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, services: { luigi: { port: 80 } } } }",
            "10:95: `port` of service `luigi` of host `h` cannot be 80",
        ),
        (
            "hosts: { h: { subnet: out, type: t2.micro, ssh_from: 10.0.0.0/8, users: { file: u.txt, departed: forget } } }",
            "10:98: `departed` of `users` of host `h` cannot be `forget`",
        ),
    ]);
    let roles = WORLD.replace("nodes: { trust: ec2, profile: true }", "nodes: { trust: ec2 }");
    one(
        &format!("{roles}hosts: {{ h: {{ subnet: out, type: t2.micro, role: nodes }} }}\n"),
        "10:50: host `h` needs an instance profile, and role `nodes` has none",
    );
    let roles = WORLD.replace("nodes: { trust: ec2, profile: true }", "nodes: { trust: lambda, profile: true }");
    one(
        &format!("{roles}hosts: {{ h: {{ subnet: out, type: t2.micro, role: nodes }} }}\n"),
        "10:50: host `h` needs a role that `ec2` may assume",
    );
    let keys = WORLD.replace("keys: { k: { generate: true } }", "keys: {}");
    one(
        &format!("{keys}hosts: {{ h: {{ subnet: out, type: t2.micro }} }}\n"),
        "10:10: host `h` has no SSH key (declare one",
    );
    let keys =
        WORLD.replace("keys: { k: { generate: true } }", "keys: { k: { generate: true }, l: { generate: true } }");
    one(
        &format!("{keys}hosts: {{ h: {{ subnet: out, type: t2.micro }} }}\n"),
        "10:10: host `h` has no SSH key (say which, `key:` `k` or `l`)",
    );
}

#[test]
fn clusters() {
    cluster(&[
        ("  release: 5.29.0\n  master: m5.xlarge", "14:12: `5.29.0` is no EMR release (did you mean `emr-5.29.0`?)"),
        ("  release: emr-5.29\n  master: m5.xlarge", "14:12: `emr-5.29` is no EMR release (did you mean `emr-5.29.0`?)"),
        ("  release: emr-3.1.0\n  master: m5.xlarge", "14:12: emr-3.1.0 is older"),
        ("  release: emr-5.29.0", "10:1: missing field `master` in the cluster"),
        ("  release: emr-5.29.0\n  master: t2.micro", "15:11: emr-5.29.0 does not support instance type `t2.micro`: EMR runs on no burstable"),
        ("  release: emr-7.0.0\n  master: t4g.large", "15:11: emr-7.0.0 does not support instance type `t4g.large`"),
        ("  release: emr-5.29.0\n  master: m5.large", "15:11: emr-5.29.0 does not support instance type `m5.large`: from the fifth generation on, EMR begins at xlarge (m5.xlarge)"),
        ("  release: emr-5.29.0\n  master: m6g.xlarge", "15:11: emr-5.29.0 does not support instance type `m6g.xlarge`: such types came with emr-5.30.0"),
        ("  release: emr-5.29.0\n  master: { type: m5.xlarge, count: 2 }", "15:36: a cluster cannot have 2 masters"),
        ("  release: emr-5.29.0\n  master: { count: 1 }", "15:3: missing field `type` in `master` of the cluster"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  task: m5.xlarge", "16:3: task nodes need core nodes"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  core: { type: m5.xlarge, count: 0 }", "16:35: core nodes cannot be 0"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  core: { type: m5.xlarge, count: two }", "16:35: `count` of `core` of the cluster must be a whole number, not `two`"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  core: { type: m5.xlarge, count: 010 }", "16:35: `count` of `core` of the cluster must be a whole number without a leading 0"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  core: { type: m5.xlarge, spot: { max_price: cheap } }", "16:47: `max_price` of `spot` of `core` of the cluster is no price: `cheap`"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  core: { type: m5.xlarge, disk: { size: 64GiB, type: gp3 } }", "16:56: emr-5.29.0 does not support `gp3` disks"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  fleets: { master: { types: [m5.xlarge] } }", "16:3: the cluster has both groups (`master`) and `fleets`"),
        ("  release: emr-5.29.0\n  fleets: { master: { types: [] } }", "15:23: fleet `master` has 0 types"),
        ("  release: emr-5.29.0\n  fleets: { master: { types: [m5.xlarge], on_demand: 2 } }", "15:13: fleet `master` has 2 units"),
        ("  release: emr-5.29.0\n  fleets: { master: { types: [m5.xlarge, m5.xlarge] } }", "15:42: `m5.xlarge` stands here a second time"),
        ("  release: emr-5.29.0\n  fleets: { master: { types: [m5.xlarge] }, core: { types: [m5.xlarge], spot: 1, spot_wait: 1m } }", "15:93: `spot_wait` of fleet `core` is out of bounds"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  security: { imds: v2 }", "16:21: emr-5.29.0 does not work with IMDSv2 alone"),
        ("  release: emr-6.1.0\n  master: m5.xlarge\n  security: { imds: v2 }", "16:21: emr-6.1.0 does not work with IMDSv2 alone"),
        ("  release: emr-5.20.0\n  master: m5.xlarge\n  security: { disks: true }", "16:22: emr-5.20.0 cannot encrypt root disks"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  security: { in_transit: a.zip }", "16:27: `in_transit` must name a zip file in S3"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  auto_termination: 1h", "16:3: emr-5.29.0 has no auto-termination of its own"),
        ("  release: emr-6.0.0\n  master: m5.xlarge\n  auto_termination: 1h", "16:3: emr-6.0.0 has no auto-termination of its own"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  auto_termination: 1h\n  idle_timeout: 1h", "17:3: the cluster has both `auto_termination` and `idle_timeout`"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  idle_timeout: 8d", "16:17: `idle_timeout` of the cluster is out of bounds"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  idle_timeout: 3600", "16:17: `idle_timeout` of the cluster is not a length of time: `3600`"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  managed_scaling: { min: 1, max: 2 }", "16:3: emr-5.29.0 has no managed scaling"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  managed_scaling: { min: 3, max: 2 }", "16:27: `min` 3 is more than `max` 2"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  managed_scaling: { min: 1, max: 2, unit: fleet-units }", "16:44: `unit: fleet-units` does not go with groups"),
        ("  release: emr-5.27.0\n  master: m5.xlarge\n  step_concurrency: 2", "16:21: emr-5.27.0 runs one step at a time"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  step_concurrency: 257", "16:21: `step_concurrency` of the cluster cannot be 257 (it can be 1 to 256)"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  step_concurrency: 0", "16:21: `step_concurrency` of the cluster cannot be 0"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  logs: loggs", "16:9: there is no bucket `loggs` (did you mean `logs`?)"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  key: kk", "16:8: there is no key `kk` (did you mean `k`?)"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  start: always", "16:10: `start` of the cluster cannot be `always` (it can be `on-demand` or `with-apply`)"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  start: with-aply", "16:10: `start` of the cluster cannot be `with-aply` (did you mean `with-apply`?"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  configurations: { spark-env: 4 }", "16:32: configuration `spark-env` must be a map"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  configurations: { spark-env: { a: no } }", "16:37: `a` of configuration `spark-env` must be text, but YAML reads `no`"),
        ("  release: emr-7.0.0\n  master: m5.xlarge\n  bootstrap: [\"https://x/y.sh\"]", "16:15: a bootstrap script cannot be at `https://x/y.sh`"),
        ("  release: emr-5.29.0\n  master: m5.xlarge\n  reaper: bast", "16:11: there is no host `bast`"),
        (&format!("  release: emr-7.0.0\n  master: m5.xlarge\n  name: {}", "n".repeat(257)), "16:9: EMR refuses the cluster's name, of 257 characters"),
    ].iter().filter(|(text, _)| !text.contains("reaper")).copied().collect::<Vec<_>>());
    let base = format!("{WORLD}cluster:\n  release: emr-7.0.0\n  subnet: in\n  master: m5.xlarge\n");
    one(
        &format!("{base}  applications: [Spark, Ganglia]\n  roles: {{ service: emr, nodes: nodes }}\n"),
        "14:25: emr-7.0.0 has no Ganglia",
    );
    one(
        &format!("{base}  applications: [Sprak]\n  roles: {{ service: emr, nodes: nodes }}\n"),
        "14:18: EMR has no application `Sprak` (did you mean `Spark`?)",
    );
    one(
        &format!("{base}  applications: []\n  roles: {{ service: emr, nodes: nodes }}\n"),
        "14:3: the cluster has no applications",
    );
    one(
        &format!("{base}  applications: [Spark]\n  roles: {{ service: emr }}\n"),
        "15:3: missing field `nodes` in `roles` of the cluster",
    );
    one(
        &format!("{base}  applications: [Spark]\n  roles: {{ service: nodes, nodes: nodes }}\n"),
        "15:21: the cluster needs a role that `elasticmapreduce` may assume, and `nodes` is not",
    );
    let none = WORLD.replace("route: nat", "route: none");
    one(
        &format!(
            "{none}cluster: {{ release: emr-7.0.0, subnet: in, master: m5.xlarge, applications: [Spark], roles: {{ service: emr, nodes: nodes }} }}\n"
        ),
        "10:41: the cluster cannot reach S3 from subnet `in`",
    );
}

#[test]
fn pipelines() {
    world(&[
        (
            "pipeline: { p: { template: t, orchestrator: luigi, bucket: lake } }",
            "10:13: missing field `on` in pipeline `p`",
        ),
        (
            "pipeline: { p: { template: t, orchestrator: cron, bucket: lake } }",
            "10:45: `orchestrator` of pipeline `p` cannot be `cron`",
        ),
        (
            "pipeline: { p: { template: t, orchestrator: steps, bucket: lake } }",
            "10:45: pipeline `p` runs on EMR, and the spec has no `cluster`",
        ),
        (
            "pipeline: { p: { template: ../t, orchestrator: luigi, on: h, bucket: lake } }\nhosts: { h: { address: x, services: { luigi: {} } } }",
            "10:28: `template` of pipeline `p` cannot be `../t`",
        ),
        (
            "pipeline: { p: { template: t, orchestrator: luigi, on: h, bucket: lake } }\nhosts: { h: { address: x } }",
            "10:56: pipeline `p` needs luigi on host `h`",
        ),
        (
            "pipeline: { p: { template: t, orchestrator: luigi, on: g, bucket: lake } }\nhosts: { h: { address: x } }",
            "10:56: there is no host `g` (did you mean `h`?)",
        ),
        (
            "pipeline: { p: { template: t, orchestrator: luigi, on: h, bucket: lak } }\nhosts: { h: { address: x, services: { luigi: {} } } }",
            "10:67: there is no bucket `lak` (did you mean `lake`?)",
        ),
    ]);
    let host = "hosts: { h: { address: x, services: { luigi: {} } } }\npipeline: { p: { template: t, orchestrator: luigi, on: h, bucket: lake, ";
    world(&[
        (
            &format!("{host}schedule: 02:00 }} }}"),
            "11:83: `schedule` of pipeline `p` must be text, but YAML reads `02:00` as a number in base 60 (put it in quotes: \"02:00\")",
        ),
        (&format!("{host}schedule: \"2:00\" }} }}"), "11:83: `schedule` of pipeline `p` is no time of day: `2:00`"),
        (&format!("{host}schedule: \"24:00\" }} }}"), "11:83: `schedule` of pipeline `p` is no time of day"),
        (
            &format!("{host}schedule: \"02:00 Mars/Base\" }} }}"),
            "11:83: `schedule` of pipeline `p` has an unknown time zone",
        ),
        (&format!("{host}secrets: {{ t: hunter2 }} }} }}"), "11:87: secret `t` must not stand in the file"),
        (&format!("{host}secrets: {{ t: {{}} }} }} }}"), "11:84: secret `t` has no source"),
        (&format!("{host}retries: many }} }}"), "11:82: `retries` of pipeline `p` must be a whole number"),
        (&format!("{host}jobs: {{ j: {{}} }} }} }}"), "11:81: missing field `script` in job `j`"),
        (
            &format!("{host}alerts: [{{ when: never, run: x }}] }} }}"),
            "11:90: `when` of an alert of pipeline `p` cannot be `never`",
        ),
        (&format!("{host}folders: {{ raw: raw }} }} }}"), "11:89: folder `raw` cannot be `raw`: a folder ends in `/`"),
    ]);
}
