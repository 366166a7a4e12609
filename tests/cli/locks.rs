//! Two commands at once in one folder.

use std::time::Duration;

use crate::support::{
    cli::Project,
    proxy::{Behaviour, Proxy},
    server::Server,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_command_that_would_change_the_stack_is_refused_and_told_who_is_at_it() {
    let server = Server::under_test();
    let behaviour = Behaviour { latency: Duration::from_millis(250), ..Behaviour::default() };
    let proxy = Proxy::start(&server.endpoint, behaviour).await;
    let (project, stack) = Project::small(&server.endpoint);
    let mut first = project.start(&proxy.endpoint, &["--local", "apply", "--yes"]);
    first.until(" create vpc/main");
    for verb in [&["apply", "--yes"][..], &["destroy", "--yes"], &["adopt", "vpc/main", "vpc-0123456789abcdef0"]] {
        let refused = project.local(verb).expect(1);
        refused.says(&[
            "`infra apply` (process ",
            "since ",
            &format!("at work on stack {stack}"),
            "nothing was changed",
        ]);
    }
    // Looking is free.
    project.local(&["status"]).expect(0);
    project.local(&["plan"]).expect(0);
    first.end().expect(0);
    project.local(&["verify"]).expect(0);

    // One that is killed leaves no lock behind.
    let mut second = project.start(&proxy.endpoint, &["--local", "destroy", "--yes"]);
    second.until(" delete ");
    second.kill();
    project.local(&["destroy", "--yes"]).expect(0);
}
