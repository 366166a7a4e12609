//! Planning and applying.

use crate::support::{aws::Aws, cli::Project, world::REGION, world::endpoint};

#[test]
fn off_a_terminal_nothing_is_applied_or_destroyed_without_yes() {
    let (project, _) = Project::small(&endpoint());
    project.local(&["apply"]).expect(1).says(&["no terminal", "nothing was changed", "--yes"]);
    assert_eq!(project.local(&["status", "--json"]).expect(0).json(), serde_json::json!({}));
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["destroy"]).expect(1).says(&["no terminal", "nothing was changed", "--yes"]);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn a_second_apply_changes_nothing_and_says_so() {
    let (project, _) = Project::small(&endpoint());
    let first = project.local(&["apply", "--yes"]).expect(0).says(&["created instance/bastion", "Next:"]);
    assert!(first.out.contains("instance/bastion.public_ip"), "the outputs are on stdout:\n{}", first.out);
    let second = project.local(&["apply", "--yes"]).expect(0).says(&["Nothing to do"]);
    for word in ["created", "changed", "deleted", "replaced"] {
        assert!(!second.err.contains(&format!("{word} ")), "{}", second.err);
    }
    assert_eq!(first.out, second.out, "nor do the outputs change");
    project.local(&["destroy", "--yes"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0).says(&["nothing of the stack exists"]);
}

#[test]
fn the_exit_code_of_plan_and_verify_tells_whether_there_is_something_to_do() {
    let (project, _) = Project::small(&endpoint());
    project.local(&["plan"]).expect(0);
    project.local(&["plan", "--exit-code"]).expect(2);
    project.local(&["verify"]).expect(2);
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["plan", "--exit-code"]).expect(0);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn only_takes_an_address_or_a_kind_with_what_it_waits_for() {
    let (project, _) = Project::small(&endpoint());
    let host = project.local(&["plan", "--json", "--only", "instance/bastion"]).expect(0).steps();
    assert!(host.contains(&"create subnet/public".to_owned()) && !host.contains(&"create bucket/lake".to_owned()));

    project.local(&["apply", "--yes", "--only", "subnet/public"]).expect(0);
    let status = project.local(&["status", "--json"]).expect(0).json();
    let made: Vec<&String> = status.as_object().expect("addresses").keys().collect();
    assert_eq!(made, ["subnet/public", "vpc/main"], "the subnet and its network, and nothing else");
    project.local(&["apply", "--yes", "--only", "bucket"]).expect(0);
    assert!(project.local(&["status", "--json"]).expect(0).json()["bucket/lake"].is_object());
    let typo = project.local(&["apply", "--yes", "--only", "subnet/pubic"]);
    typo.expect(1).says(&["--only subnet/pubic", "did you mean `subnet/public`?"]);
    let wild = project.local(&["apply", "--yes", "--only", "zebra/crossing"]).expect(1);
    assert!(!wild.err.contains("did you mean"), "nothing is like that:\n{}", wild.err);

    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn a_change_of_the_spec_is_applied_in_place_or_by_replacing() {
    let (project, _) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);
    let before = project.id(&[], "instance/bastion");
    project.edit("infra/small.yaml", "type: t3.micro", "type: t3.small");
    assert_eq!(project.local(&["plan", "--json"]).expect(0).steps(), ["update instance/bastion instance_type"]);
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["verify"]).expect(0);
    assert_eq!(project.id(&[], "instance/bastion"), before);
    // An address range cannot change in place; what lies in the subnet is made again with it.
    project.edit("infra/small.yaml", "cidr: 10.0.0.0/24", "cidr: 10.0.8.0/24");
    let view = project.local(&["plan"]).expect(0).out;
    assert!(view.contains("cannot change in place"), "{view}");
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["verify"]).expect(0);
    assert_ne!(project.id(&[], "instance/bastion"), before);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn another_image_is_another_host_and_a_host_that_does_not_know_its_image_stays() {
    let (project, _) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);
    let spec = project.read("infra/small.yaml");
    let image = spec.lines().find(|line| line.trim_start().starts_with("image:")).expect("a host has an image");
    project.edit("infra/small.yaml", image, "    image: { owner: \"099720109477\", name: \"ubuntu/images/*amd64*\" }");
    let plan = project.local(&["plan", "--json"]).expect(0);
    assert_eq!(plan.steps(), ["delete instance/bastion", "create instance/bastion"]);
    assert_eq!(plan.json()["steps"][0]["replaces"][0]["field"], "image");
    let view = project.local(&["plan"]).expect(0).out;
    assert!(view.contains("lost with it: its 8 GiB disk, its private address 10.0.0."), "{view}");

    let id = project.id(&[], "instance/bastion");
    let aws = Aws::new(&endpoint(), REGION);
    aws.run(&format!("ec2 delete-tags --resources {id} --tags Key=infra:image"));
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn with_json_every_line_of_apply_and_destroy_is_an_event() {
    let (project, _) = Project::small(&endpoint());
    let events = |verb: &str| {
        let run = project.local(&[verb, "--yes", "--json"]).expect(0);
        let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("one JSON object a line");
        run.out.lines().map(parse).collect::<Vec<_>>()
    };
    let count = |events: &[serde_json::Value], name: &str| events.iter().filter(|event| event["event"] == name).count();
    let applied = events("apply");
    let resources = project.local(&["status", "--json"]).expect(0).json().as_object().expect("addresses").len();
    assert_eq!((count(&applied, "started"), count(&applied, "finished")), (resources, resources));
    let outputs = &applied.last().expect("events")["outputs"];
    assert_eq!(outputs["instance/bastion.id"], project.output(&[], "instance/bastion.id"));
    assert_eq!(count(&events("destroy"), "finished"), resources);
}
