//! Changes made by hand with the aws command line: each is one field of one step of the plan, and apply heals it.

use std::time::{Duration, Instant};

use crate::support::{
    aws::Aws,
    cli::{Project, Run},
    server::Server,
};

const SPEC: &[&str] = &["-f", "infra/vendas.yaml"];

struct Vendas {
    project: Project,
    aws: Aws,
    _server: Server,
}

impl Vendas {
    /// The shipped spec, applied on a cloud of its own: its roles and its user have fixed names.
    fn applied() -> Self {
        let server = Server::under_test();
        let vendas = Self {
            project: Project::new(&server.endpoint, None),
            aws: Aws::new(&server.endpoint, "sa-east-1"),
            _server: server,
        };
        vendas.run(&["apply", "--yes"]).expect(0);
        vendas.run(&["verify"]).expect(0);
        vendas
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.project.local(&[SPEC, arguments].concat())
    }

    fn id(&self, address: &str) -> String {
        self.project.id(SPEC, address)
    }

    /// After a change by hand: the plan has this one step with this one field, apply heals it, and all is verified.
    #[track_caller]
    fn shows_and_heals(&self, step: &str) {
        assert_eq!(self.run(&["plan", "--json"]).expect(0).steps(), [step]);
        self.run(&["verify"]).expect(2);
        self.run(&["apply", "--yes"]).expect(0);
        self.run(&["verify"]).expect(0);
    }
}

#[test]
fn changes_of_the_network_and_the_hosts() {
    let vendas = Vendas::applied();
    let (aws, host, group) = (&vendas.aws, vendas.id("instance/airflow"), vendas.id("security_group/airflow"));

    aws.run(&format!(
        "ec2 authorize-security-group-ingress --group-id {group} --protocol tcp --port 8080 --cidr 0.0.0.0/0"
    ));
    vendas.shows_and_heals("update security_group_rules/airflow ingress");
    aws.run(&format!(
        "ec2 revoke-security-group-ingress --group-id {group} --protocol tcp --port 22 --cidr 203.0.113.0/24"
    ));
    vendas.shows_and_heals("update security_group_rules/airflow ingress");

    aws.run(&format!("ec2 create-tags --resources {host} --tags Key=project,Value=another"));
    vendas.shows_and_heals("update instance/airflow tags.project");
    aws.run(&format!("ec2 create-tags --resources {host} --tags Key=owner,Value=somebody"));
    vendas.shows_and_heals("update instance/airflow tags.owner");
    let vpc = vendas.id("vpc/main");
    aws.run(&format!("ec2 delete-tags --resources {vpc} --tags Key=project"));
    vendas.shows_and_heals("update vpc/main tags.project");

    aws.run(&format!("ec2 stop-instances --instance-ids {host}"));
    await_state(aws, &host, "stopped");
    aws.run(&format!("ec2 modify-instance-attribute --instance-id {host} --instance-type Value=t3.xlarge"));
    aws.run(&format!("ec2 start-instances --instance-ids {host}"));
    await_state(aws, &host, "running");
    vendas.shows_and_heals("update instance/airflow instance_type");
    assert_eq!(vendas.id("instance/airflow"), host, "the type changes without a new host");
}

#[test]
fn changes_of_buckets_and_access() {
    let vendas = Vendas::applied();
    let (aws, bucket) = (&vendas.aws, vendas.id("bucket/data"));

    aws.run(&format!("s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"));
    vendas.shows_and_heals("update bucket/data versioning");
    aws.run(&format!("s3api delete-public-access-block --bucket {bucket}"));
    vendas.shows_and_heals("update bucket/data public_access_blocked");
    let rule = r#"{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms"}}]}"#;
    aws.run(&format!("s3api put-bucket-encryption --bucket {bucket} --server-side-encryption-configuration {rule}"));
    vendas.shows_and_heals("update bucket/data encryption");
    aws.run(&format!("s3api delete-object --bucket {bucket} --key gold/"));
    vendas.shows_and_heals("create bucket_folder/data/gold");

    aws.run("iam detach-user-policy --user-name airflow --policy-arn arn:aws:iam::aws:policy/IAMFullAccess");
    vendas.shows_and_heals("update iam_user/airflow attached");
    aws.run("iam attach-role-policy --role-name regras-emr --policy-arn arn:aws:iam::aws:policy/AdministratorAccess");
    vendas.shows_and_heals("update iam_role/regras-emr attached");
    aws.run("iam tag-role --role-name regras-emr --tags Key=project,Value=another");
    vendas.shows_and_heals("update iam_role/regras-emr tags.project");
}

#[track_caller]
fn await_state(aws: &Aws, host: &str, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let ask = format!("ec2 describe-instances --instance-ids {host} --query Reservations[0].Instances[0].State.Name");
    while aws.text(&ask) != wanted {
        assert!(Instant::now() < deadline, "{host} is not {wanted}");
    }
}
