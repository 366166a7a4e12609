//! Servers that exist already: no AWS is asked, and their keys are those that the spec pins or that were met first.

use std::process::Command;

use crate::support::{cli::Run, hosts::Stack};

/// A second stack that has the bastion as a server of somebody else's; run in the network of the hosts' user, as
/// servers are no part of the local cloud.
pub struct Second<'a> {
    stack: &'a Stack,
}

impl<'a> Second<'a> {
    /// Its people are those of `list`.
    pub fn new(stack: &'a Stack, list: &str) -> Self {
        let address = stack.project.output(&[], "instance/bastion.public_ip");
        let key = stack.root("bastion", "cat /etc/ssh/ssh_host_ed25519_key.pub");
        let key = key.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let secret = format!(".infra/secrets/local-{}/admin.key", stack.name);
        let private = stack.project.path(&secret);
        let public = std::process::Command::new("ssh-keygen").arg("-y").arg("-f").arg(&private).output();
        stack.project.write("admin.pub", &String::from_utf8(public.expect("ssh-keygen runs").stdout).expect("a key"));
        std::fs::copy(private, stack.project.path("admin")).expect("the administrator's key");
        for login in list.split_whitespace() {
            stack.key(login);
        }
        stack.project.write("others.txt", list);
        let spec = format!(
            "stack: {}x\nregion: us-west-2\nkeys: {{ admin: {{ public_key: ../admin.pub }} }}\nhosts:\n  gate:\n    \
             address: {address}\n    login: ubuntu\n    host_key: {key}\n    users: ../others.txt\n",
            stack.name
        );
        std::fs::create_dir(stack.project.path("second")).expect("a writable project");
        stack.project.write("second/hosts.yaml", &spec);
        Self { stack }
    }

    /// Runs the program, where nobody says how AWS is asked.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.command(arguments).output().expect("it starts").into()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let program = crate::support::cli::program();
        let program = program.to_str().expect("a path");
        let spec = self.stack.project.path("second/hosts.yaml");
        let all = [&[program, "-f", spec.to_str().expect("a path")], arguments].concat();
        let mut command = self.stack.lab.exec(&all);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }
}

#[test]
fn people_on_a_server_need_no_aws() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    let second = Second::new(&stack, "caro\n");
    let plan = second.run(&["users", "plan"]).expect(0).out;
    for address in ["host_user/gate/caro", "sudoers/gate", "sshd/gate"] {
        assert!(plan.contains(&format!("+ create   {address}")), "no {address} in\n{plan}");
    }
    second.run(&["users", "apply", "--yes"]).expect(0);
    second.run(&["verify"]).expect(0);
    assert!(stack.lets_in("caro", "bastion"));
    assert!(second.run(&["users", "list"]).expect(0).out.contains("caro"));
    let audit = second.run(&["users", "audit", "--json"]).expect(0).json();
    let accounts = audit["gate"]["accounts"].as_array().expect("accounts").clone();
    assert!(accounts.iter().any(|account| account["login"] == "caro" && account["whose"] == "infra"), "{audit:#}");
    assert_eq!(
        second
            .run(&[
                "ssh",
                "--as",
                "caro",
                "-i",
                stack.project.path("people/caro").to_str().expect("a path"),
                "--",
                "id -un"
            ])
            .expect(0)
            .out,
        "caro\n"
    );

    // Another key than the spec's is nobody that we know.
    stack.key("other");
    let good = stack.project.read("second/hosts.yaml");
    let pinned = good.lines().find(|line| line.contains("host_key: ")).expect("the spec pins the key").to_owned();
    let other: Vec<String> = stack.public_key("other").split_whitespace().take(2).map(str::to_owned).collect();
    stack.project.edit("second/hosts.yaml", &pinned, &format!("    host_key: {}", other.join(" ")));
    for verb in [&["users", "apply", "--yes"][..], &["--trust-first", "users", "apply", "--yes"], &["verify"]] {
        second
            .run(verb)
            .expect(1)
            .says(&["its host key is not the pinned one", "hint: either another machine answers"]);
    }
}

#[test]
fn a_server_that_was_met_by_one_verb_is_known_to_all() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    let second = Second::new(&stack, "caro\n");
    // Nothing pins its key, and a part of the stack is on AWS: some verbs ask there, and some need not.
    let spec = stack.project.read("second/hosts.yaml");
    let lines = spec.lines().filter(|line| !line.contains("host_key: ")).map(|line| format!("{line}\n"));
    let bucket = format!("buckets: {{ notes: {{ name: {}-notes }} }}\n", stack.name);
    stack.project.write("second/hosts.yaml", &(lines.collect::<String>() + &bucket));
    let on_aws = |arguments: &[&str]| -> Run {
        let mut command = second.command(arguments);
        command.env("AWS_ENDPOINT_URL", &stack.lab.endpoint).env("AWS_REGION", "us-west-2");
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.output().expect("it starts").into()
    };
    second.run(&["users", "plan"]).expect(1).says(&["its host key is not known", "--trust-first"]);
    on_aws(&["plan"]).expect(1).says(&["its host key is not known", "--trust-first"]);
    second.run(&["--trust-first", "users", "apply", "--yes"]).expect(0);
    let plan = on_aws(&["plan"]).expect(0).out;
    assert!(plan.contains("bucket/notes") && !plan.contains("host_user/gate/caro"), "{plan}");
    second.run(&["users", "plan", "--exit-code"]).expect(0);
    second.run(&["ssh", "gate", "--", "true"]).expect(0);
}
