//! Verbs that log in on hosts, where no host is needed to see what they do: servers at a port where nobody listens, and
//! a cloud without hosts. On real hosts they are tried elsewhere.

use crate::support::{
    cli::{Project, Run},
    world::endpoint,
};

/// Two servers, one behind the other, on a port of this machine where nobody listens.
const SERVERS: &str = "\
stack: servers
region: us-west-2
hosts:
  bastion:
    address: 127.0.0.1
    port: 1
    login: admin
    users: ../users.txt
  processing:
    address: 127.0.0.1
    port: 1
    via: bastion
    login: admin
    users: ../users.txt
    services: { luigi: { port: 9082 } }
";

fn project() -> Project {
    // No cloud is at that address: a spec of servers needs none.
    let project = Project::new("http://127.0.0.1:9", None);
    project.write("infra/servers.yaml", SERVERS);
    project
}

const SPEC: [&str; 2] = ["-f", "infra/servers.yaml"];

#[test]
fn a_host_is_named_by_the_spec() {
    let project = project();
    let run = |arguments: &[&str]| project.run(&[&SPEC[..], arguments].concat());
    run(&["ssh"]).expect(1).says(&["several hosts: name one", "its hosts: bastion, processing"]);
    run(&["ssh", "bastoin"]).expect(1).says(&["no host `bastoin`", "did you mean `bastion`?"]);
    run(&["cp", "users.txt", "bastoin:"]).expect(1).says(&["no host `bastoin`", "did you mean `bastion`?"]);
    run(&["users", "audit", "bastoin"]).expect(1).says(&["no host `bastoin`"]);
    run(&["users", "list", "bastoin"]).expect(1).says(&["no host `bastoin`", "did you mean `bastion`?"]);
    run(&["open", "luigy"]).expect(1).says(&["no page `luigy`", "did you mean `luigi`?", "luigi (on processing)"]);
    run(&["open", "luigi", "--on", "bastion"]).expect(1).says(&["bastion has no page `luigi`"]);
    run(&["ssh", "bastion", "--as", "mateu"]).expect(1).says(&["login `mateu`", "did you mean `mateo`?"]);
    run(&["ssh", "bastion", "--as", "mateo", "-i", "gone"]).expect(1).says(&["there is no key "]);
    run(&["ssh", "bastion", "--no-hosts"]).expect(1).says(&["--no-hosts"]);
    run(&["ssh", "bastion", "-i", "key"]).expect(2);
}

#[test]
fn a_connection_that_cannot_be_made_is_explained_and_ends_as_ssh_does() {
    let project = project();
    let run = |arguments: &[&str]| project.run(&[&SPEC[..], arguments].concat());
    // Through the bastion: it is the one to look at.
    for host in ["bastion", "processing"] {
        let run = run(&["ssh", host, "--", "true"]).expect(255);
        let run = run.says(&["error: cannot connect to bastion: ", "refused", "does sshd listen at 127.0.0.1:1?"]);
        assert_eq!(run.out, "");
    }
    run(&["cp", "users.txt", "bastion:"]).expect(255).says(&["error: cannot connect to bastion: "]);
}

#[test]
fn scp_s_two_sides_are_told_apart() {
    let project = project();
    let run = |arguments: &[&str]| project.run(&[&SPEC[..], &["cp"], arguments].concat());
    run(&["users.txt", "./copy:1"]).expect(1).says(&["none of the paths is on a host", "`HOST:PATH`"]);
    run(&["bastion:a", "processing:b"]).expect(1).says(&["both on hosts", "copy here first"]);
    run(&["bastion:a", "users.txt", "folder"]).expect(1).says(&["some sources are on a host and some are here"]);
    run(&["users.txt"]).expect(2);
}

#[test]
fn the_list_of_people_is_the_spec_s() {
    let project = project();
    project.write("users.txt", "mateo groups=analysts,ops sudo=no expires=2031-01-31\nximena\n");
    let run = |arguments: &[&str]| project.run(&[&SPEC[..], &["users", "list"], arguments].concat()).expect(0);
    let rows: Vec<Vec<String>> =
        run(&[]).out.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
    assert_eq!(rows[0], ["HOST", "LOGIN", "KEYS", "GROUPS", "SUDO", "PASSWORD", "EXPIRES", "LINE"]);
    assert_eq!(rows[1], ["bastion", "mateo", "1", "analysts,ops", "no", "none", "2031-01-31", "users.txt:1"]);
    assert_eq!(rows[4], ["processing", "ximena", "1", "-", "no", "password", "none", "-", "users.txt:2"]);
    assert_eq!(rows.len(), 5);
    let only = run(&["processing", "--json"]).json();
    assert_eq!(only.as_array().map(Vec::len), Some(2));
    assert_eq!(only[0]["login"], "mateo");
    assert_eq!(only[0]["expires"], "2031-01-31");
    assert_eq!(only[0]["keys"][0]["fingerprint"], "SHA256:M6rMKaJ7sDIdZ6ZbXs/3KRlmIguMmOJYP+lf9UjpwGg");
    assert_eq!(only[1]["sudo"], "no password");
}

#[test]
fn hosts_of_a_cloud_without_bodies_are_told_to_have_none() {
    let project = Project::new(&endpoint(), None);
    let run = project.run(&["--local", "-f", "infra/nyc311.yaml", "ssh", "bastion"]).expect(1);
    run.says(&["the local cloud's hosts have no bodies", "infra local up --hosts"]);
    project.write("infra/servers.yaml", SERVERS);
    let run = project.run(&["--local", "-f", "infra/servers.yaml", "ssh", "processing", "--", "true"]).expect(1);
    run.says(&["is a server, at 127.0.0.1, and no part of the local cloud", "leave out --local"]);
}

#[test]
fn an_audit_that_reached_nobody_sums_nothing_up() {
    let project = project();
    // Without ssh nobody is reached, and nobody waited for.
    let mut audit = project.command(None, &[&SPEC[..], &["users", "audit"]].concat());
    let run: Run = audit.env("PATH", "/nowhere").output().expect("it starts").into();
    let run = run.expect(1).says(&["2 of 2 hosts could not be looked at"]);
    assert!(!run.err.contains("Nothing unusual"), "{}", run.err);
}

#[test]
fn without_ssh_it_is_told_what_is_missing() {
    let project = project();
    let mut plan = project.command(None, &[&SPEC[..], &["users", "plan"]].concat());
    let run: Run = plan.env("PATH", "/nowhere").output().expect("it starts").into();
    let run = run.expect(1).says(&["ssh is not installed here", "hint: install OpenSSH's client"]);
    assert!(!run.err.contains("os error"), "{}", run.err);
}

#[test]
fn what_was_not_verified_is_told() {
    let project = Project::new(&endpoint(), None);
    project.write("infra/servers.yaml", SERVERS);
    let run = |arguments: &[&str]| project.run(&[arguments, &SPEC, &["verify"]].concat()).expect(0);
    run(&["--no-hosts"]).says(&["note: what is on the hosts (users, services) was left out (--no-hosts)"]);
    let local = run(&["--local"]);
    assert!(local.out.starts_with("Verified: all 0 resources"), "{}", local.out);
    local.says(&["note: servers with an `address` are no part of the local cloud", "was left out"]);
}

#[test]
fn a_spec_without_pages_has_none_to_open() {
    let project = project();
    project.edit("infra/servers.yaml", "    services: { luigi: { port: 9082 } }\n", "");
    project.run(&[&SPEC[..], &["open"]].concat()).expect(1).says(&["no host of the stack has a page"]);
}
