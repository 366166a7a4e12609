//! Describes that do not show yet what was just created.

use std::time::Duration;

use crate::support::{
    aws::Aws,
    cli::Project,
    proxy::{Behaviour, Proxy},
    server::Server,
    world::REGION,
};

const LAG: Duration = Duration::from_secs(2);

fn lagging() -> Server {
    Server::start(&["--memory", "--speed", "instant", "--lag", &LAG.as_secs().to_string()])
}

#[test]
fn the_next_command_sees_what_was_just_made() {
    let server = lagging();
    let (project, _) = Project::small(&server.endpoint);
    project.local(&["apply", "--yes"]).expect(0);
    project.local(&["plan", "--exit-code"]).expect(0);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0).says(&["nothing of the stack exists"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_interrupted_run_made_is_found_and_not_made_again() {
    let server = lagging();
    let aws = Aws::new(&server.endpoint, REGION);
    for operation in ["CreateVpc", "CreateSecurityGroup", "RunInstances"] {
        let (project, stack) = Project::small(&server.endpoint);
        let proxy = Proxy::start(&server.endpoint, Behaviour::default()).await;
        proxy.silence_at(operation);
        let running = project.start(&proxy.endpoint, &["--local", "apply", "--yes"]);
        let silenced = tokio::time::timeout(Duration::from_mins(1), proxy.silenced()).await;
        silenced.unwrap_or_else(|_| panic!("{operation} was never called"));
        running.kill();

        project.local(&["apply", "--yes"]).expect(0);
        project.local(&["verify"]).expect(0);
        tokio::time::sleep(LAG).await;
        let count = |call: &str, address: &str, query: &str| {
            let ours = format!("Name=tag:infra:stack,Values={stack} Name=tag:infra:address,Values={address}");
            aws.run(&format!("ec2 {call} --filters {ours} --query length({query})")).as_u64().expect("a number")
        };
        let made = (
            count("describe-vpcs", "vpc/main", "Vpcs[]"),
            count("describe-security-groups", "security_group/bastion", "SecurityGroups[]"),
            count("describe-instances", "instance/bastion", "Reservations[].Instances[]"),
        );
        assert_eq!(made, (1, 1, 1), "killed at {operation}");
        project.local(&["destroy", "--yes"]).expect(0);
    }
}
