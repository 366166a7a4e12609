//! Taking over what somebody made by hand, and objects that claim what is another's.

use crate::support::{aws::Aws, cli::Project, world::REGION, world::endpoint};

#[test]
fn an_adopted_network_is_healed_and_not_made_again() {
    let (project, _) = Project::small(&endpoint());
    let aws = Aws::new(&endpoint(), REGION);
    let vpc = aws.text("ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId");
    project.local(&["adopt", "vpc/main", &vpc]).expect(0).says(&[&vpc, "vpc/main", "plan"]);
    let steps = project.local(&["plan", "--json", "--only", "vpc/main"]).expect(0).steps();
    let [step] = steps.as_slice() else { panic!("{steps:?}") };
    assert!(step.starts_with("update vpc/main ") && step.contains("dns_hostnames"), "{step}");
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["verify"]).expect(0);
    assert_eq!(project.id(&[], "vpc/main"), vpc);
    project.local(&["adopt", "vpc/main", &vpc]).expect(0).says(&["already"]);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn a_role_is_adopted_by_its_name() {
    let (project, stack) = Project::small(&endpoint());
    let aws = Aws::new(&endpoint(), REGION);
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    aws.run(&format!("iam create-role --role-name {stack}-worker --assume-role-policy-document {trust}"));
    // Somebody else's until it is adopted: the plan says so and what to do, before anything is made.
    let adopt = format!("`infra adopt iam_role/worker {stack}-worker`");
    for verb in [&["plan"][..], &["apply", "--yes"]] {
        project.local(verb).expect(1).says(&["iam_role/worker", &adopt, "nothing was changed"]);
    }
    assert_eq!(project.local(&["status", "--json"]).expect(0).json(), serde_json::json!({}));
    project.local(&["adopt", "iam_role/worker", &format!("{stack}-worker")]).expect(0);
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn what_cannot_be_adopted_is_refused() {
    let (project, _) = Project::small(&endpoint());
    let aws = Aws::new(&endpoint(), REGION);
    let vpc = aws.text("ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId");
    project.local(&["adopt", "subnet/public", &vpc]).expect(1).says(&[&vpc, "not the id of a subnet"]);
    project.local(&["adopt", "vpc/mian", &vpc]).expect(1).says(&["no vpc/mian", "did you mean `vpc/main`?"]);
    project.local(&["adopt", "vpc/main", "vpc-0123456789abcdef0"]).expect(1).says(&["vpc-0123456789abcdef0"]);
    project.local(&["adopt", "bucket_folder/lake/raw", "raw/"]).expect(1);
    assert_eq!(project.local(&["status", "--json"]).expect(0).json(), serde_json::json!({}), "nothing was tagged");

    aws.run(&format!(
        "ec2 create-tags --resources {vpc} --tags Key=infra:stack,Value=theirs Key=infra:address,Value=vpc/main"
    ));
    project.local(&["adopt", "vpc/main", &vpc]).expect(1).says(&["belongs to stack theirs"]);
    aws.run(&format!("ec2 delete-vpc --vpc-id {vpc}"));
}

#[test]
fn two_objects_that_claim_one_address_are_an_error_that_names_both() {
    let (project, stack) = Project::small(&endpoint());
    let aws = Aws::new(&endpoint(), REGION);
    project.local(&["apply", "--yes", "--only", "vpc/main"]).expect(0);
    let first = project.id(&[], "vpc/main");
    let second = aws.text("ec2 create-vpc --cidr-block 10.0.0.0/16 --query Vpc.VpcId");
    aws.run(&format!(
        "ec2 create-tags --resources {second} --tags Key=infra:stack,Value={stack} Key=infra:address,Value=vpc/main"
    ));
    let third = aws.text("ec2 create-internet-gateway --query InternetGateway.InternetGatewayId");
    let fourth = aws.text("ec2 create-internet-gateway --query InternetGateway.InternetGatewayId");
    aws.run(&format!(
        "ec2 create-tags --resources {third} {fourth} --tags Key=infra:stack,Value={stack} Key=infra:address,Value=internet_gateway/main"
    ));
    for verb in [&["plan"][..], &["apply", "--yes"]] {
        project.local(verb).expect(1).says(&[
            "two objects claim the address vpc/main",
            &first,
            &second,
            "two objects claim the address internet_gateway/main",
            &third,
            &fourth,
            "infra:address",
            "infra destroy",
        ]);
    }
    project.local(&["adopt", "vpc/main", &second]).expect(1);
    let status = project.local(&["status"]).expect(0).out;
    for id in [&first, &second, &third, &fourth] {
        assert!(status.lines().any(|line| line.contains(id.as_str())), "no {id} in\n{status}");
    }
    assert_eq!(status.matches("claims the same address").count(), 2, "{status}");
    // They are all the stack's: destroying it leaves none.
    project.local(&["destroy", "--yes"]).expect(0);
    for describe in ["describe-vpcs --query Vpcs", "describe-internet-gateways --query InternetGateways"] {
        let left = aws.run(&format!("ec2 {describe} --filters Name=tag:infra:stack,Values={stack}"));
        assert_eq!(left, serde_json::json!([]));
    }
}

#[test]
fn an_empty_bucket_of_somebody_else_is_not_taken() {
    let (project, stack) = Project::small(&endpoint());
    let aws = Aws::new(&endpoint(), REGION);
    aws.run(&format!(
        "s3api create-bucket --bucket {stack}-lake --create-bucket-configuration LocationConstraint={REGION}"
    ));
    let adopt = format!("`infra adopt bucket/lake {stack}-lake`");
    project.local(&["apply", "--yes"]).expect(1).says(&["bucket/lake", &adopt, "nothing was changed"]);
    project.local(&["adopt", "bucket/lake", &format!("{stack}-lake")]).expect(0);
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}
