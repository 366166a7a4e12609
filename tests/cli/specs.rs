//! Which spec, and what is said of a wrong one.

use crate::support::{
    cli::{Project, Run, root},
    proxy::{Behaviour, Proxy},
    world::endpoint,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_mistakes_are_twenty_positioned_errors_and_the_cloud_is_not_asked() {
    let (project, _) = Project::small(&endpoint());
    let proxy = Proxy::start(&endpoint(), Behaviour::default()).await;
    let twenty = std::fs::read_to_string(root().join("tests/specs/twenty.yaml")).expect("the spec of mistakes");
    project.write("infra/twenty.yaml", &twenty);
    for verb in [&["validate"][..], &["plan"], &["apply", "--yes"], &["destroy", "--yes"], &["verify"]] {
        let arguments = [&["--local", "-f", "infra/twenty.yaml"], verb].concat();
        let run: Run = project.command(Some(&proxy.endpoint), &arguments).output().expect("it starts").into();
        let run = run.expect(1);
        let errors = run.err.lines().filter(|line| line.starts_with("error: ")).count();
        let position = |line: &str| Some(line.trim_start().strip_prefix("--> infra/twenty.yaml:")?.to_owned());
        let positions: Vec<String> = run.err.lines().filter_map(position).collect();
        assert_eq!((errors, positions.len()), (20, 20), "{}", run.err);
        // Each is at the line that says so.
        for (at, number) in positions.iter().zip(1..) {
            let line: usize = at.split(':').next().and_then(|line| line.parse().ok()).expect("a line");
            let told = twenty.lines().nth(line - 1).and_then(|line| line.split_once(" # ")).expect("a mistake").1;
            let numbers = told.split_whitespace().filter_map(|word| word.parse::<usize>().ok()).collect::<Vec<_>>();
            assert!(numbers.contains(&number), "error {number} is at line {line}, which is: {told}");
        }
        assert!(run.err.trim_end().ends_with("20 errors"), "{}", run.err);
        assert_eq!(run.out, "");
    }
    assert_eq!(proxy.traffic().calls, 0);
}

#[test]
fn of_several_specs_one_must_be_named() {
    let project = Project::new(&endpoint(), None);
    for verb in [&["validate"][..], &["plan"], &["apply", "--yes"], &["destroy", "--yes"]] {
        project.local(verb).expect(1).says(&["2 specs", "-f infra/nyc311.yaml", "-f infra/vendas.yaml"]);
    }
    let validate = |variable: &str, arguments: &[&str]| -> Run {
        project.command(None, arguments).env("INFRA_SPEC", variable).output().expect("it starts").into()
    };
    let by_variable = validate("infra/vendas.yaml", &["validate"]).expect(0);
    assert!(by_variable.out.contains("vendas is valid"), "{}", by_variable.out);
    let by_flag = validate("infra/vendas.yaml", &["validate", "-f", "infra/nyc311.yaml"]).expect(0);
    assert!(by_flag.out.contains("nyc311 is valid"), "the flag wins: {}", by_flag.out);
    project.local(&["validate", "-f", "infra/nyc.yaml"]).expect(1).says(&["no file infra/nyc.yaml"]);
    std::fs::remove_file(project.path("infra/vendas.yaml")).expect("a file of the project");
    project.local(&["validate"]).expect(0);
}

#[test]
fn validate_needs_no_network() {
    let project = Project::new(&endpoint(), None);
    for spec in ["infra/nyc311.yaml", "infra/vendas.yaml"] {
        // Nothing listens there, and nobody looks.
        let run: Run = project
            .command(Some("http://127.0.0.1:9"), &["--local", "validate", "-f", spec])
            .output()
            .expect("it starts")
            .into();
        run.expect(0);
    }
}

#[test]
fn set_changes_a_variable_and_nothing_else() {
    let (project, _) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);
    let plan = project.local(&["plan", "--json", "--set", "office=198.51.100.7/32"]).expect(0);
    assert_eq!(plan.steps(), ["update security_group_rules/bastion ingress"]);
    assert!(plan.out.contains("198.51.100.7/32"), "{}", plan.out);
    project.local(&["plan", "--set", "ofice=198.51.100.7/32"]).expect(1).says(&["ofice", "names no variable"]);
    project.local(&["plan", "--set", "office"]).expect(1).says(&["NAME=VALUE"]);
    project.local(&["plan", "--set", "office=everywhere"]).expect(1).says(&["everywhere"]);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn an_overlay_is_another_environment() {
    let project = Project::new(&endpoint(), None);
    let flags = ["-f", "infra/nyc311.yaml", "--overlay", "infra/overlays/prod.yaml"];
    let run = project.local(&[&flags, &["plan", "--json"][..]].concat()).expect(0);
    let plan = run.json();
    let step = |address: &str| {
        let steps = plan["steps"].as_array().expect("steps");
        steps.iter().find(|step| step["address"] == address).unwrap_or_else(|| panic!("no {address}")).clone()
    };
    let host = step("instance/processing");
    assert_eq!(host["fields"]["instance_type"], "m5.xlarge");
    assert_eq!(host["fields"]["protect"], true);
    assert_eq!(host["fields"]["tags"]["environment"], "production");
    assert_eq!(step("bucket/lake")["fields"]["versioning"], true);
    assert!(run.out.contains("nyc311-prod"));
    project.local(&["validate", "--overlay", "none.yaml", "-f", "infra/nyc311.yaml"]).expect(1).says(&["none.yaml"]);
}
