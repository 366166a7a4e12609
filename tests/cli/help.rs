//! What the program says of itself.

use crate::support::{
    cli::{Project, root},
    world::endpoint,
};

const VERBS: [&str; 18] = [
    "validate",
    "plan",
    "apply",
    "verify",
    "destroy",
    "status",
    "output",
    "adopt",
    "cluster",
    "pipeline",
    "users",
    "ssh",
    "cp",
    "open",
    "tunnel",
    "schema",
    "completions",
    "local",
];

#[test]
fn the_help_of_every_verb_has_examples() {
    let (project, _) = Project::small(&endpoint());
    let all = project.run(&["--help"]).expect(0).out;
    assert!(all.contains("Exit codes: "), "{all}");
    for verb in VERBS {
        assert!(all.lines().any(|line| line.trim_start().starts_with(verb)), "no {verb} in\n{all}");
        let help = project.run(&[verb, "--help"]).expect(0).out;
        let examples = help.split_once("\nExample").unwrap_or_else(|| panic!("{verb} has no examples:\n{help}")).1;
        assert!(examples.contains("infra ") && examples.contains(verb), "{help}");
        assert_eq!(project.run(&[verb, "-h"]).expect(0).out.lines().next(), help.lines().next());
    }
    for parent in ["cluster", "tunnel", "users"] {
        let help = project.run(&[parent, "--help"]).expect(0).out;
        let verbs = help.split_once("Commands:\n").and_then(|(_, rest)| rest.split_once("\n\n")).expect("commands").0;
        // Two spaces before a verb, more before what goes on of its description.
        let verbs = verbs.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
        for verb in verbs.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help") {
            let help = project.run(&[parent, verb, "--help"]).expect(0).out;
            let examples = help.split_once("\nExample").unwrap_or_else(|| panic!("{parent} {verb} has no examples")).1;
            assert!(examples.contains(&format!("{parent} {verb}")), "{help}");
        }
    }
    // And no verb is forgotten here.
    let verbs = all.split_once("Commands:\n").and_then(|(_, rest)| rest.split_once("\n\n")).expect("commands").0;
    assert_eq!(verbs.lines().filter(|line| !line.trim_start().starts_with("help")).count(), VERBS.len(), "{verbs}");
}

#[test]
fn the_schema_is_the_one_that_is_shipped() {
    let (project, _) = Project::small(&endpoint());
    let shipped = std::fs::read_to_string(root().join("schema/infra.json")).expect("the shipped schema");
    assert!(
        project.run(&["schema"]).expect(0).out == shipped,
        "`infra schema > schema/infra.json` brings it up to date"
    );
    for spec in ["infra/nyc311.yaml", "infra/vendas.yaml"] {
        let text = std::fs::read_to_string(root().join(spec)).expect("a shipped spec");
        assert!(text.starts_with("# yaml-language-server: $schema=../schema/infra.json"), "{spec} names no schema");
    }
}

#[test]
fn completions_know_every_verb() {
    let (project, _) = Project::small(&endpoint());
    for shell in ["bash", "zsh", "fish"] {
        let script = project.run(&["completions", shell]).expect(0).out;
        for word in VERBS.iter().chain(&["empty-buckets", "parallelism"]) {
            assert!(script.contains(word), "{shell} does not complete {word}");
        }
    }
}
