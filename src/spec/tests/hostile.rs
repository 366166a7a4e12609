//! Files that want to hurt: large, deep, growing, not text, secret.

use std::{fmt::Write, fs};

use proptest::prelude::*;

use super::{super::*, errors, options, read, repository};

fn refused(text: &str) -> String {
    errors(text).join("\n")
}

#[test]
fn a_large_file_is_refused_unread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.yaml");
    // Larger than memory, and without a byte on the disk.
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = load(&path, &options(&[])).unwrap_err().to_string();
    assert!(error.contains("has 1048576 MiB; a spec may have 1 MiB at most"), "{error}");
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fail = |path: &std::path::Path| load(path, &options(&[])).unwrap_err().to_string();
    assert!(fail(folder.path()).contains("is a folder"));
    assert!(fail(&folder.path().join("none.yaml")).contains("there is no such file"));
    #[cfg(target_os = "linux")]
    assert!(fail("/dev/zero".as_ref()).contains("is not a regular file"));
}

#[test]
fn what_is_no_text_is_refused_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes.yaml");
    let fail = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        load(&path, &options(&[])).unwrap_err().errors()[0].to_string()
    };
    let latin = fail(b"stack: ab\nregion: S\xe3o Paulo\n");
    assert!(latin.contains(":2:10: byte 19 (0xe3) is not valid UTF-8"), "{latin}");
    let nul = fail(b"stack: a\0b\n");
    assert!(nul.contains(":1:9: byte 8 is NUL"), "{nul}");
    assert!(fail(b"").contains("the file holds no spec"));
    assert!(fail(b"# nothing\n---\n").contains("the file holds no spec"));
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{items}]").unwrap();
    }
    assert!(refused(&bomb).contains("grows to more than 50000 values"));
    let mut wide = format!("a: &a \"{}\"\nb: [", "x".repeat(500_000));
    wide.push_str(&"*a, ".repeat(10_000));
    wide.push_str("]\n");
    assert!(refused(&wide).contains("grows to more than 4 MiB of text"));
    assert!(refused("a: &a [*a]\n").contains("alias"));
    let mut deep = String::from("a0: &a0 x\n");
    for level in 1..40 {
        let (open, close) = ("[".repeat(40), "]".repeat(40));
        writeln!(deep, "a{level}: &a{level} {open}*a{}{close}", level - 1).unwrap();
    }
    assert!(refused(&deep).contains("nested more than 64 deep"));
    assert!(refused("a: *nowhere\n").contains("not valid YAML"));
}

/// Where reading ended tells that it went no further: of a megabyte, as a rule, its beginning.
#[test]
fn deep_and_long_files_are_refused_at_their_place() {
    let limit = "not valid YAML: recursion limit exceeded";
    let cases = [
        ("[", "1:256", limit),
        ("{", "1:256", limit),
        ("- ", "1:129", "nested more than 64 deep"),
        ("a: {", "1:256", "nested more than 64 deep"),
        ("? ", "1:3", "a key must be a word, not a list or a map"),
        ("&a ", "1:4", "not valid YAML: did not find expected <document start>"),
        ("!!a ", "1:1", "the YAML tag `!!a` has no meaning in a spec"),
        ("\"", "1:3", "not valid YAML: invalid trailing content after double-quoted scalar"),
        ("'", "1:1", "the spec must be a map, not text"),
        ("a: ", "1:5", "not valid YAML: mapping values are not allowed in this context"),
        ("[a, ", "1:1021", limit),
        ("{a: b, ", "1:1786", limit),
        ("| ", "1:1", "not valid YAML: while scanning a block scalar"),
        ("# ", "1:1", "the file holds no spec"),
        ("- - ", "1:129", "nested more than 64 deep"),
        ("\t", "1:1", "the file holds no spec"),
        ("%", "1:1000001", "not valid YAML: did not find expected <document start>"),
        ("---\n", "2:1", "a second document begins here"),
        ("*a ", "1:1", "not valid YAML: while parsing node, found unknown anchor"),
        ("a:\n", "2:1", "duplicate key `a`"),
        ("x: &y z\n", "2:1", "duplicate key `x`"),
    ];
    for (piece, place, message) in cases {
        let told = errors(&piece.repeat(1_000_000 / piece.len())).swap_remove(0);
        assert!(told.starts_with(&format!("spec.yaml:{place}: {message}")), "{piece:?}: {told}");
    }
    let nested = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
    assert!(refused(&nested).contains("nested more than 64 deep"));
    let keys = |count: u32| (0..count).map(|at| format!("key{at}: 1\n")).collect::<Vec<_>>().concat();
    assert!(refused(&keys(40_000)).contains("grows to more than"));
    assert!(refused(&keys(20_000)).contains("unknown field"));
}

#[test]
fn values_of_a_long_line_are_found_at_their_places() {
    // Letters of one byte, and of two.
    for letter in ["e", "é"] {
        let told = refused(&format!("[{}", format!("{letter}, ").repeat(200_000)));
        assert!(told.starts_with("spec.yaml:1:149999: the file grows to more than 50000 values here"), "{told:.200}");
    }
}

#[test]
fn a_thousand_resources_are_read() {
    let mut text = String::from("stack: many\nregion: us-east-1\nbuckets:\n");
    for at in 0..1_000 {
        writeln!(text, "  b{at}: {{ name: \"${{stack}}-{at}-${{account}}\", folders: [raw/, cod/], expire: 90d }}")
            .unwrap();
    }
    assert_eq!(read(&text).unwrap().buckets.len(), 1_000);
}

#[test]
fn a_value_of_the_environment_is_never_shown() {
    let text = "stack: ab\nregion: ${env:SECRET}\nvars: { v: \"${env:SECRET}\" }\ntags: { a: \"${env:SECRET}\" }\n\
        network: { cidr: \"${env:SECRET}\", subnets: { s: { cidr: \"${var:v}\" } } }\n\
        buckets: { b: { name: \"${env:SECRET}\", encryption: \"${env:SECRET}\", expire: \"${env:SECRET}\", folders: [\"${env:SECRET}\"] } }\n\
        keys: { k: { public_key: \"${env:SECRET}\", name: \"${var:v}\" } }\n\
        access: { roles: { r: { trust: \"${env:SECRET}\", managed: \"${env:SECRET}\", policies: \"${env:SECRET}\", clusters: \"${env:SECRET}\" } } }\n\
        hosts: { h: { subnet: \"${env:SECRET}\", type: \"${env:SECRET}\", image: \"${env:SECRET}\", disk: \"${env:SECRET}\", ssh_from: \"${env:SECRET}\", login: \"${env:SECRET}\", protect: \"${env:SECRET}\" } }\n\
        cluster: { release: \"${env:SECRET}\", applications: [\"${env:SECRET}\"], subnet: s, roles: {}, master: \"${env:SECRET}\", step_concurrency: \"${env:SECRET}\" }\n\
        pipeline: { p: { template: \"${env:SECRET}\", orchestrator: luigi, bucket: b, schedule: \"${env:SECRET}\" } }\n";
    for secret in ["Hunter2 *!", "0644-nope/33", "10.1.2.3/16", "a$b", "My_Secret.Thing", "emr-7.1"] {
        let env = move |name: &str| (name == "SECRET").then(|| secret.to_owned());
        let options = LoadOptions { env: Box::new(env), ..LoadOptions::default() };
        let errors = load_str("spec.yaml", text, &options).unwrap_err();
        assert!(errors.errors().len() > 15, "{errors}");
        for shown in [errors.to_string(), errors.render(true), format!("{errors:?}")] {
            let shown = shown.to_lowercase().replace('_', "-");
            assert!(!shown.contains(&secret.to_lowercase().replace('_', "-")), "{secret} in:\n{shown}");
        }
    }
}

fn spec_text() -> String {
    fs::read_to_string(repository().join("tests/specs/full.yaml")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_on_any_text(text in "\\PC{0,200}") {
        if let Err(errors) = read(&text) { errors.to_string(); }
    }

    #[test]
    fn nothing_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Err(refused) = source::Source::from_bytes("x".into(), bytes) {
            let (source, error) = *refused;
            SpecErrors::new(vec![error], vec![source.into()]).to_string();
        }
    }

    #[test]
    fn nothing_panics_on_yaml_like_text(text in "([a-z]{1,4}: |- |[\\[\\]{},&*!|>'\"%@`~<#?]|\\$\\{(env|var|account):?[a-z]*\\}?|\n {0,4}|[0-9.:/]{1,5}| ){0,60}") {
        if let Err(errors) = read(&text) { errors.to_string(); }
    }

    #[test]
    fn nothing_panics_on_a_damaged_spec(at in 0usize..6000, cut in 0usize..40, put in "\\PC{0,12}") {
        let mut text: Vec<char> = spec_text().chars().collect();
        let at = at % text.len();
        let end = (at + cut).min(text.len());
        text.splice(at..end, put.chars());
        let text: String = text.into_iter().collect();
        if let Err(errors) = read(&text) {
            errors.to_string();
            for error in errors.errors() {
                let span = error.span.as_ref().expect("a place");
                let lines = source::small(text.lines().count());
                prop_assert!(span.line >= 1 && span.line <= lines.max(1) && span.column >= 1 && span.len >= 1, "{span}");
            }
        }
    }

    #[test]
    fn any_value_of_any_field_is_read_or_refused(line in 0usize..140, value in prop_oneof![
        Just("no".to_owned()), Just("[]".to_owned()), Just("{}".to_owned()), Just("~".to_owned()), Just("0".to_owned()),
        Just("[[a], {b: c}]".to_owned()), Just("{a: {b: [c]}}".to_owned()), Just("\"\"".to_owned()), Just("-1".to_owned()),
        Just("99999999999999999999".to_owned()), Just("\"${account}\"".to_owned()), Just("é".to_owned()), "[a-z0-9./:-]{1,20}",
    ]) {
        let text = spec_text();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = line % lines.len();
        if let Some((key, _)) = lines[at].clone().split_once(": ") {
            lines[at] = format!("{key}: {value}");
        }
        if let Err(errors) = read(&lines.join("\n")) { errors.to_string(); }
    }
}
