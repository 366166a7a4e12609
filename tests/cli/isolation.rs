//! `--local` reaches this machine and nothing else, whatever the environment says.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::support::{
    cli::{Project, Run},
    world::endpoint,
};

/// A listener that counts who comes, and hangs up.
struct Trap {
    address: String,
    caught: Arc<AtomicUsize>,
}

impl Trap {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("a bound address"));
        let caught = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&caught);
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address, caught }
    }

    fn caught(&self) -> usize {
        self.caught.load(Ordering::SeqCst)
    }

    /// Runs the program with every way out that the environment knows leading into the trap.
    fn run(&self, project: &Project, arguments: &[&str]) -> Run {
        let trap = &self.address;
        project.write(
            "aws-config",
            &format!("[profile trap]\nregion = us-west-2\nendpoint_url = {trap}\naws_access_key_id = AKIATRAP\naws_secret_access_key = trap\n"),
        );
        let mut command = project.command(None, arguments);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env(name, trap);
        }
        for service in ["", "_S3", "_EC2", "_IAM", "_STS", "_KMS", "_EMR", "_RESOURCE_GROUPS_TAGGING_API"] {
            command.env(format!("AWS_ENDPOINT_URL{service}"), trap);
        }
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", trap).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", trap);
        command.env("AWS_CONFIG_FILE", project.path("aws-config")).env("AWS_PROFILE", "trap");
        command.env("AWS_MAX_ATTEMPTS", "1").env_remove("NO_PROXY").env_remove("no_proxy");
        command.output().expect("the program starts").into()
    }
}

#[test]
fn nothing_in_the_environment_leads_local_elsewhere() {
    let (project, _) = Project::small(&endpoint());
    let trap = Trap::new();
    for arguments in [&["plan"][..], &["apply", "--yes"], &["verify"], &["output"], &["status"], &["destroy", "--yes"]]
    {
        trap.run(&project, &[&["--local"], arguments].concat()).expect(0);
        assert_eq!(trap.caught(), 0, "{arguments:?} reached another address");
    }
    // The trap does catch: without --local the same environment leads there.
    trap.run(&project, &["plan"]).expect(1).says(&["sts:GetCallerIdentity"]);
    assert!(trap.caught() > 0);
}

#[test]
fn an_endpoint_that_is_not_on_this_machine_is_refused() {
    let (project, _) = Project::small(&endpoint());
    for (elsewhere, why) in [
        ("http://192.0.2.1:5566", "not a loopback address"),
        ("http://ec2.us-west-2.amazonaws.com", "not an address and port"),
        ("https://ec2.us-west-2.amazonaws.com", "http"),
        ("http://0.0.0.0:5566", "not a loopback address"),
    ] {
        let run: Run = project.command(Some(elsewhere), &["--local", "plan"]).output().expect("it starts").into();
        run.expect(1).says(&[why]);
    }
}
