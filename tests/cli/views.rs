//! The plan as a reader sees it: one snapshot for each sort of thing that it says.
//!
//! `INSTA_UPDATE=always cargo test …` writes them anew, beside the spec that they are made from.

use crate::support::{
    cli::{Project, Run},
    world::endpoint,
};

/// As long as the names that tests give, so that lines wrap where they did.
const NAME: &str = "example-stack";

/// Compares the view on `run`'s stdout with the snapshot `name`, without what differs from run to run.
#[track_caller]
fn matches(name: &str, stack: &str, run: &Run) {
    assert_eq!(stack.len(), NAME.len());
    let view = without_addresses(&without_ids(&run.out.replace(stack, NAME)));
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../cases");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, view));
}

/// EC2's ids end in 17 hexadecimal digits: zeros stand for them.
fn without_ids(text: &str) -> String {
    let mut shown = String::new();
    for word in text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
        let (core, end) = word.split_at(word.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric()).len());
        let is_id = core.len() == 17 && core.chars().all(|letter| letter.is_ascii_hexdigit());
        shown.push_str(if is_id { "00000000000000000" } else { core });
        shown.push_str(end);
    }
    shown
}

/// A host's private address is the cloud's choice.
fn without_addresses(text: &str) -> String {
    const BEFORE: &str = "its private address ";
    let mut parts = text.split(BEFORE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
        format!("{shown}{BEFORE}10.0.0.0{rest}")
    })
}

#[test]
fn a_stack_is_created() {
    let (project, stack) = Project::small(&endpoint());
    project.edit("infra/small.yaml", &image(&project), "ubuntu-22.04");
    matches("create", &stack, &project.local(&["plan"]).expect(0));
}

#[test]
fn things_change_are_replaced_and_deleted() {
    let (project, stack) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);

    let applied = project.read("infra/small.yaml");
    project.edit("infra/small.yaml", "type: t3.micro", "type: t3.small");
    project.edit("infra/small.yaml", "office: 203.0.113.0/24", "office: 198.51.100.7/32");
    project.edit("infra/small.yaml", "folders: [raw/]", "folders: [raw/], versioning: true");
    matches("change", &stack, &project.local(&["plan"]).expect(0));

    project.write("infra/small.yaml", &applied.replace("cidr: 10.0.0.0/24", "cidr: 10.0.8.0/24"));
    matches("replace", &stack, &project.local(&["plan"]).expect(0));

    let (before, _) = applied.split_once("\nhosts:").expect("hosts come last");
    project.write("infra/small.yaml", before);
    matches("delete", &stack, &project.local(&["plan"]).expect(0));

    project.write("infra/small.yaml", &applied.replace("folders: [raw/]", "folders: [raw/], protect: true"));
    project.local(&["apply", "--yes"]).expect(0);
    project.write("infra/small.yaml", &applied.replace("-lake\"", "-sea\""));
    matches("refuse", &stack, &project.local(&["plan"]).expect(1));

    project.write("infra/small.yaml", &applied);
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

/// What the spec of the cloud under test says of the host's image.
fn image(project: &Project) -> String {
    let spec = project.read("infra/small.yaml");
    let line = spec.lines().find_map(|line| line.trim_start().strip_prefix("image: ")).expect("a host has an image");
    line.to_owned()
}
