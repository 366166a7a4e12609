//! What a plan of an unchanged stack costs in calls: counts, so that they hold on every machine.

use std::time::Duration;

use crate::support::{
    cli::Project,
    proxy::{Behaviour, Proxy},
    server::Server,
};

const SPEC: &str = "infra/nyc311.yaml";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_of_nyc311_takes_forty_calls_of_which_three_wait_for_each_other() {
    let server = Server::start(&["--memory", "--speed", "instant"]);
    let project = Project::new(&server.endpoint, None);
    project.run(&["--local", "-f", SPEC, "apply", "--yes"]).expect(0);
    // Long against the emulator's own time, which would count as waiting otherwise.
    let behaviour = Behaviour { latency: Duration::from_secs(2), ..Behaviour::default() };
    let proxy = Proxy::start(&server.endpoint, behaviour).await;
    let planned = project.command(Some(&proxy.endpoint), &["--local", "-f", SPEC, "plan", "--exit-code"]).output();
    assert!(planned.expect("the program starts").status.success());
    let traffic = proxy.traffic();
    assert!(traffic.calls <= 40, "{} calls: {:#?}", traffic.calls, traffic.operations);
    assert!(traffic.sequential() <= 3, "{} calls wait for each other: {:?}", traffic.sequential(), traffic.spans);
}
