//! Checks before the cluster starts.

use infra::cluster::preflight::{self, Report};

use super::{FILE, Seen, project};
use crate::support::{aws::Aws, server::Server};

/// What was found: what it is about, and the line of the spec without its file.
fn found(report: &Report) -> Vec<String> {
    let line = |finding: &preflight::Finding| format!("{} :{}", finding.what, finding.span.line);
    report.findings.iter().map(line).collect()
}

#[test]
fn strict_apply_starts_no_cluster_that_cannot_start() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let wrong_trust = "trust: { Statement: { Effect: Allow, Principal: { Service: ec2.amazonaws.com }, Action: \"sts:AssumeRole\" } }";
    let edits = [
        ("release: emr-5.29.0", "release: emr-5.29.9"),
        ("trust: elasticmapreduce", wrong_trust),
        ("  core: m5.xlarge\n", "  core: m5zn.xlarge\n"),
    ];
    let project = project(&server.endpoint, &edits);
    // Of a release that it does not know EMR tells no types.
    let run = project.local(&["apply", "--yes"]).expect(1);
    let told = run.err[run.err.find("error:").expect("an error")..].to_owned();
    insta::assert_snapshot!("refused", told.replace(&project.folder().display().to_string(), ""));
    project.edit(FILE, "emr-5.29.9", "emr-5.29.0");
    let run = project.local(&["apply", "--yes"]).expect(1);
    run.says(&[
        "emr-5.29.0 does not run on m5zn.xlarge",
        "infra/checked.yaml:20:9",
        "does not trust",
        "nothing was changed",
    ]);
    assert_eq!(project.local(&["status", "--json"]).expect(0).json(), serde_json::json!({}));
    // Mended, it starts, and the plan says what it costs.
    project.edit(FILE, wrong_trust, "trust: elasticmapreduce");
    project.edit(FILE, "m5zn.xlarge", "m5.xlarge");
    project
        .local(&["apply", "--yes"])
        .expect(0)
        .says(&["the cluster costs 0.51 US dollars an hour", "virtual processors"]);
    project.local(&["verify"]).expect(0);
}

#[tokio::test]
async fn strict_what_is_missing_or_wrong_is_found_with_its_line() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let project = project(&server.endpoint, &[("start: with-apply", "start: on-demand")]);
    let seen = Seen::of(&project, &server.endpoint).await;
    let check = async |plan: &engine::Plan| {
        let known = seen.known().await;
        preflight::check(&seen.cloud, &seen.spec, &known, plan).await.expect("an answer")
    };
    // Nothing is there: what the same run makes is no failure, what nobody makes is.
    let coming = seen.plan(&seen.known().await).await;
    assert_eq!(found(&check(&coming).await), [] as [&str; 0]);
    let missing = [
        "iam_role/service :18",
        "iam_role/nodes :18",
        "subnet/public :17",
        "security_group/emr-master :14",
        "security_group/emr-nodes :14",
        "bucket/logs :23",
        "key_pair/admin :14",
    ];
    assert_eq!(found(&check(&Seen::nothing()).await), missing);
    project.local(&["apply", "--yes"]).expect(0);
    assert_eq!(found(&check(&Seen::nothing()).await), [] as [&str; 0]);
    // By hand: the route, the trust, the profile's role, the key, the bucket, a rule that lets everybody in.
    let aws = Aws::new(&server.endpoint, "us-west-2");
    let table = project.id(&[], "route_table/internet");
    aws.run(&format!("ec2 delete-route --route-table-id {table} --destination-cidr-block 0.0.0.0/0"));
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    aws.run(&format!("iam update-assume-role-policy --role-name checked-service --policy-document {trust}"));
    aws.run("iam remove-role-from-instance-profile --instance-profile-name checked-nodes --role-name checked-nodes");
    aws.run("ec2 delete-key-pair --key-name checked-admin");
    let master = project.id(&[], "security_group/emr-master");
    aws.run(&format!(
        "ec2 authorize-security-group-ingress --group-id {master} --protocol tcp --port 8088 --cidr 0.0.0.0/0"
    ));
    let report = check(&Seen::nothing()).await;
    let wrong = [
        "iam_role/service :18",
        "instance_profile/nodes :18",
        "subnet/public :17",
        "security_group_rules/emr-master :17",
        "key_pair/admin :14",
    ];
    assert_eq!(found(&report), wrong);
    let open = report.findings.iter().find(|finding| finding.what == "security_group_rules/emr-master");
    assert!(open.is_some_and(|finding| finding.message.contains("tcp port 8088")), "{report:?}");
    // What `apply` would mend is no failure of a run that mends it.
    let mending = seen.plan(&seen.known().await).await;
    assert_eq!(found(&check(&mending).await), [] as [&str; 0]);
}

#[tokio::test]
async fn strict_the_checks_take_four_calls() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let project = project(&server.endpoint, &[("start: with-apply", "start: on-demand")]);
    project.local(&["apply", "--yes"]).expect(0);
    let seen = Seen::of(&project, &server.endpoint).await;
    let known = seen.known().await;
    server.control("POST", "calls", "{}");
    preflight::check(&seen.cloud, &seen.spec, &known, &Seen::nothing()).await.expect("an answer");
    let calls = server.control("GET", "calls", "");
    // One page more for each fifty types or so.
    let pages = calls["calls"]["elasticmapreduce"]["ListSupportedInstanceTypes"]
        .as_u64()
        .or_else(|| calls["calls"]["emr"]["ListSupportedInstanceTypes"].as_u64());
    let pages = pages.unwrap_or_else(|| panic!("{calls}"));
    assert_eq!(calls["total"].as_u64(), Some(3 + pages), "{calls}");
}

#[tokio::test]
async fn what_a_cloud_lacks_is_noted() {
    let server = Server::start(&["--memory", "--stock"]);
    let project = project(&server.endpoint, &[]);
    let seen = Seen::of(&project, &server.endpoint).await;
    let known = seen.known().await;
    let plan = seen.plan(&known).await;
    let report = preflight::check(&seen.cloud, &seen.spec, &known, &plan).await.expect("an answer");
    assert_eq!(found(&report), [] as [&str; 0]);
    assert!(report.notes.iter().any(|note| note.starts_with("the release was not checked")), "{report:?}");
}
