//! AWS errors are explained: the address, the operation, the code, the request, the line of the spec, what to do.

use crate::support::{
    cli::{Project, Run},
    server::Server,
};

/// The small stack on a cloud of its own: an injected failure hits whoever calls next.
fn small() -> (Server, Project) {
    let server = Server::under_test();
    let (project, _) = Project::small(&server.endpoint);
    (server, project)
}

fn fail(server: &Server, operation: &str, code: &str, status: u16) {
    let body = serde_json::json!({ "operation": operation, "code": code, "status": status });
    server.control("POST", "fail", &body.to_string());
}

/// The line of the small spec that has `text`, as errors name it.
fn line(project: &Project, text: &str) -> String {
    let spec = project.read("infra/small.yaml");
    let at = spec.lines().position(|line| line.trim_start().starts_with(text)).expect("a line of the spec");
    format!("infra/small.yaml:{}", at + 1)
}

/// Beside `texts`, AWS's id of the request must be told.
#[track_caller]
fn explained(run: Run, texts: &[&str]) {
    let run = run.expect(1).says(texts).says(&["(request "]);
    let hints = run.err.lines().filter(|line| line.starts_with("hint: "));
    assert!(hints.count() >= 1, "{}", run.err);
}

#[test]
fn a_denied_request_names_the_missing_action_and_what_was_asked_for() {
    let (server, project) = small();
    fail(&server, "CreateVpc", "UnauthorizedOperation", 403);
    let at = line(&project, "network:");
    explained(
        project.local(&["apply", "--yes"]),
        &[
            "cannot create vpc/main",
            &at,
            "ec2:CreateVpc answered UnauthorizedOperation",
            "lack the action `ec2:CreateVpc`",
        ],
    );
    fail(&server, "CreateSubnet", "AccessDenied", 403);
    let at = line(&project, "public:");
    explained(
        project.local(&["apply", "--yes"]),
        &["cannot create subnet/public", &at, "AccessDenied", "lack the action `ec2:CreateSubnet`", " skipped"],
    );
    project.local(&["apply", "--yes"]).expect(0);

    // Reading fails before there is a step; nothing is guessed at.
    fail(&server, "GetAccountAuthorizationDetails", "AccessDenied", 403);
    explained(project.local(&["plan"]), &["cannot read", "lack the action `iam:GetAccountAuthorizationDetails`"]);
    fail(&server, "DescribeVpcs", "UnauthorizedOperation", 403);
    explained(project.local(&["plan"]), &["cannot read", "vpc", "lack the action `ec2:DescribeVpcs`"]);
    project.local(&["verify"]).expect(0);
}

#[test]
fn services_that_speak_other_protocols_are_explained_as_well() {
    let (server, project) = small();
    fail(&server, "CreateRole", "AccessDenied", 403);
    fail(&server, "CreateBucket", "AccessDenied", 403);
    let (role, bucket) = (line(&project, "worker:"), line(&project, "lake:"));
    explained(
        project.local(&["apply", "--yes"]),
        &["iam_role/worker", &role, "`iam:CreateRole`", "bucket/lake", &bucket, "`s3:CreateBucket`", "2 failed"],
    );
    fail(&server, "CreateRole", "AccessDenied", 403);
    fail(&server, "CreateBucket", "AccessDenied", 403);
    let run = project.local(&["apply", "--yes"]).expect(1);
    assert_eq!(run.err.lines().filter(|line| line.starts_with("error: cannot create ")).count(), 2, "{}", run.err);
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["verify"]).expect(0);
}

#[test]
fn a_quota_that_is_used_up_says_where_to_ask_for_more() {
    let (server, project) = small();
    for (operation, code, address) in [
        ("CreateVpc", "VpcLimitExceeded", "vpc/main"),
        ("CreateSubnet", "SubnetLimitExceeded", "subnet/public"),
        ("RunInstances", "InstanceLimitExceeded", "instance/bastion"),
    ] {
        fail(&server, operation, code, 400);
        explained(project.local(&["apply", "--yes"]), &[address, code, "quota", "Service Quotas"]);
    }
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["verify"]).expect(0);
}

#[test]
fn with_json_a_failure_is_an_event_too() {
    let (server, project) = small();
    fail(&server, "CreateVpc", "VpcLimitExceeded", 400);
    let run = project.local(&["apply", "--yes", "--json"]).expect(1);
    let events: Vec<serde_json::Value> =
        run.out.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect();
    let failed = events.iter().find(|event| event["address"] == "vpc/main" && event["event"] == "finished");
    let error = failed.expect("the step ended")["error"].as_str().expect("with an error");
    assert!(error.contains("VpcLimitExceeded"), "{error}");
    assert!(events.iter().any(|event| event["event"] == "skipped" && event["because"] == "vpc/main"), "{}", run.out);
}
