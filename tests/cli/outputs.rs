//! What the program prints for other programs.

use serde_json::Value;

use crate::support::{cli::Project, world::endpoint};

#[test]
fn outputs_are_bare_and_their_names_are_told() {
    let (project, stack) = Project::small(&endpoint());
    project.local(&["output", "vpc/main.id"]).expect(1).says(&["no output vpc/main.id", "infra apply"]);
    project.local(&["apply", "--yes"]).expect(0);

    let one = project.local(&["output", "bucket/lake.name"]).expect(0);
    assert_eq!(one.out, format!("{stack}-lake\n"));
    assert_eq!(one.err, "", "a script that takes both streams is told nothing else");
    let typo = project.local(&["output", "bucket/lake.nam"]);
    typo.expect(1).says(&["no output bucket/lake.nam", "did you mean `bucket/lake.name`?"]);

    let all = project.local(&["output", "--json"]).expect(0).json();
    assert_eq!(all["bucket/lake.name"], format!("{stack}-lake"));
    let table = project.local(&["output"]).expect(0).out;
    for (name, value) in all.as_object().expect("outputs") {
        let value = value.as_str().expect("a text");
        assert!(table.lines().any(|line| line.contains(name) && line.contains(value)), "no {name} in\n{table}");
        assert_eq!(project.local(&["output", name, "--json"]).expect(0).json(), Value::from(value));
    }
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn the_json_of_status_plan_and_verify_says_what_the_text_says() {
    let (project, _) = Project::small(&endpoint());
    let planned = project.local(&["plan", "--json"]).expect(0);
    assert_eq!(project.local(&["verify", "--json"]).expect(2).json(), planned.json());
    let resources = planned.steps().len();
    let nothing = project.local(&["status"]).expect(0).says(&[&format!("0 of {resources} resources exist")]);
    assert_eq!(nothing.out.matches("(does not exist)").count(), resources);

    project.local(&["apply", "--yes"]).expect(0);
    assert_eq!(project.local(&["verify", "--json"]).expect(0).json()["steps"], serde_json::json!([]));
    let status = project.local(&["status", "--json"]).expect(0).json();
    let table =
        project.local(&["status"]).expect(0).says(&[&format!("{resources} of {resources} resources exist")]).out;
    assert_eq!(status.as_object().expect("addresses").len(), resources);
    for address in status.as_object().expect("addresses").keys() {
        assert!(table.contains(address.as_str()), "no {address} in\n{table}");
    }
    assert!(table.contains(&project.output(&[], "instance/bastion.public_ip")), "{table}");

    // What the spec no longer has is shown as such until it is gone.
    let spec = project.read("infra/small.yaml");
    project.write("infra/small.yaml", spec.split_once("\nhosts:").expect("hosts come last").0);
    let orphan = project.local(&["status"]).expect(0).out;
    let line = orphan.lines().find(|line| line.contains("instance/bastion")).expect("the orphan");
    assert!(line.contains("not in the spec"), "{line}");
    project.local(&["destroy", "--yes"]).expect(0);
}
