//! The master as a host, and its pages through the tunnel.

use serde_json::{Value, json};

use super::stack::{LONG, SPEC, Tunnelled, answers, curl, port_of};
use crate::support::hosts::until;

#[test]
fn the_master_is_a_host_like_others() {
    let Some(it) = Tunnelled::applied() else { return };
    let stack = &it.stack;
    let run = stack.local(&["ssh", "master", "--", "id -un; hostname -I; hostname -f; echo $SSH_CLIENT"]).expect(0);
    let bastion = stack.project.output(&[], "instance/bastion.private_ip");
    let lines: Vec<&str> = run.out.lines().map(str::trim).collect();
    assert_eq!(lines[0], "hadoop", "{run:?}");
    assert!(lines[1].starts_with("10.0.1."), "{run:?}");
    assert_eq!(lines[2], stack.project.output(&[], "emr_cluster/main.master"), "{run:?}");
    assert!(lines[3].starts_with(&format!("{bastion} ")), "through the bastion: {run:?}");
    // Its keys are pinned by the console, under the instance.
    let filter = format!("Name=tag:aws:elasticmapreduce:job-flow-id,Values={}", it.cluster());
    let query = "Reservations[].Instances[]|[?Tags[?Key=='aws:elasticmapreduce:instance-group-role'&&Value=='MASTER']].InstanceId|[0]";
    let id = it.aws().text(&format!("ec2 describe-instances --filters {filter} --query {query}"));
    let pins = std::fs::read_to_string(stack.ways().join("known_hosts")).expect("pinned keys");
    assert!(pins.lines().any(|line| line.starts_with(&format!("{id} ssh-ed25519 "))), "{pins}");
    stack.project.write("a file", "through two hosts\n");
    stack.local(&["cp", "a file", "master:"]).expect(0);
    assert_eq!(stack.local(&["ssh", "master", "--", "cat 'a file'"]).expect(0).out, "through two hosts\n");
    // The only host is meant where none is named, and the exit code is the command's.
    assert_eq!(stack.local(&["ssh", "--", "hostname -I"]).expect(0).out.trim(), bastion);
    stack.local(&["ssh", "master", "--", "exit 7"]).expect(7);
    by_the_cluster_s_own_verb(&it, &id);
}

/// `cluster ssh` leads to the same machine.
fn by_the_cluster_s_own_verb(it: &Tunnelled, instance: &str) {
    let stack = &it.stack;
    let address = stack.local(&["ssh", "master", "--", "hostname -I"]).expect(0).out.trim().to_owned();
    // As ssh has it: the words are put together, and the shell there reads them. Flags after the first are the command's.
    for command in [&["id", "-un"][..], &["--", "id", "-un"], &["id -un"]] {
        let run = stack.local(&[&["cluster", "ssh"], command].concat()).expect(0);
        assert_eq!((run.out.as_str(), run.err.as_str()), ("hadoop\n", ""), "{command:?}");
    }
    assert_eq!(stack.local(&["cluster", "ssh", "hostname", "-I"]).expect(0).out.trim(), address);
    stack.local(&["cluster", "ssh", "exit 7"]).expect(7);
    let told = stack.local(&["cluster", "ssh", "--json", "hostname", "-I"]).expect(0).json();
    let wanted = json!({
        "cluster": it.cluster(),
        "host": "master",
        "name": stack.project.output(&[], "emr_cluster/main.master"),
        "instance": instance,
        "address": address,
        "login": "hadoop",
        "via": "bastion",
        "command": told["command"],
    });
    assert_eq!(told, wanted);
    // What it tells is what logs in.
    let words: Vec<&str> = told["command"].as_array().expect("a command").iter().filter_map(Value::as_str).collect();
    let ssh = std::process::Command::new(words[0]).args(&words[1..]).output().expect("ssh is installed");
    assert_eq!(String::from_utf8_lossy(&ssh.stdout).trim(), address, "{ssh:?}");
}

#[test]
fn a_host_of_the_spec_that_is_called_master_keeps_its_name() {
    let Some(it) = Tunnelled::described() else { return };
    let host = "  master:\n    subnet: private\n    via: bastion\n    type: t2.micro\n    image: ubuntu-22.04\n    disk: 8GiB\n";
    it.stack.edit("\nbuckets:\n", &format!("{host}\nbuckets:\n"));
    let it = it.apply();
    assert_eq!(it.stack.local(&["ssh", "master", "--", "id -un"]).expect(0).out, "ubuntu\n");
    assert_eq!(it.stack.local(&["ssh", "emr-master", "--", "id -un"]).expect(0).out, "hadoop\n");
    assert_eq!(it.stack.local(&["cluster", "ssh", "id -un"]).expect(0).out, "hadoop\n");
    it.up();
    assert_eq!(it.told("address"), it.stack.local(&["ssh", "emr-master", "--", "hostname -I"]).expect(0).out.trim());
}

#[test]
fn pages_are_reached_through_the_tunnel_and_not_without() {
    let Some(it) = Tunnelled::applied() else { return };
    assert_eq!(it.stack.local(&["tunnel", "status"]).expect(0).out, "down\n");
    let port = it.up();
    let (master, address) = (it.told("master"), it.told("address"));
    let proxy = format!("127.0.0.1:{port}");
    for host in [&master, &address] {
        let page = curl(&["--socks5-hostname", &proxy], &format!("http://{host}:8088/cluster")).expect(0);
        assert!(page.out.contains("YARN") && page.out.ends_with("\n200"), "{page:?}");
    }
    // A name that only the far end knows, and a short one.
    assert!(answers(port, &format!("http://{}:50070/", master.split('.').next().expect("a name"))));
    for host in [&master, &address] {
        let url = format!("http://{host}:8088/cluster");
        // Whatever a network may have at such an address, it is not our page.
        assert!(!curl(&["--max-time", "3"], &url).out.contains("YARN"), "{host}");
        // From where the hosts' public addresses are reached, there is no way at all.
        let mut direct = it.stack.lab.exec(&["curl", "-q", "-sS", "--max-time", "5", "--noproxy", "*", &url]);
        let direct = direct.output().expect("curl is installed");
        assert!(!direct.status.success() && direct.stdout.is_empty(), "{host}: {direct:?}");
    }
    // What nobody listens at is not taken for a page, and the tunnel goes on.
    assert!(!answers(port, &format!("http://{master}:8998/")));
    assert_ne!(curl(&["--socks5", &proxy], "http://nowhere.invalid/").code, Some(0));
    assert!(answers(port, &format!("http://{master}:8088/cluster")));

    only_on_loopback(port);
    again_is_the_same(&it, port);
    pages_are_listed(&it, &master);
    by_forward(&it);

    let keeper = it.status()["process"].as_u64().expect("a process");
    it.stack.local(&["tunnel", "down"]).expect(0).says(&["The tunnel is down."]);
    assert!(!super::stack::lives(keeper));
    assert!(!answers(port, &format!("http://{master}:8088/cluster")));
    it.stack.local(&["tunnel", "down"]).expect(0).says(&["There was no tunnel."]);
    let run = it.stack.local(&["tunnel", "status"]).expect(0).says(&["The last one ended", "it was told to end"]);
    assert_eq!(run.out, "down\n");
}

fn only_on_loopback(port: u16) {
    let listening = std::process::Command::new("ss").args(["-Hltn", &format!("sport = :{port}")]).output();
    let listening = String::from_utf8(listening.expect("ss is installed").stdout).expect("UTF-8");
    assert_eq!(listening.lines().count(), 1, "{listening}");
    assert!(listening.contains(&format!("127.0.0.1:{port} ")), "{listening}");
}

fn again_is_the_same(it: &Tunnelled, port: u16) {
    let process = it.status()["process"].clone();
    let run = it.stack.local(&["tunnel", "up"]).expect(0).says(&["The tunnel is up already, since "]);
    assert_eq!(port_of(&run.out), port);
    assert_eq!(it.status()["process"], process);
    let other = if port == 9157 { 9158 } else { 9157 };
    let run = it.stack.local(&["tunnel", "up", "--port", &other.to_string()]).expect(1);
    run.says(&[&format!("the tunnel is up already, at port {port}"), "tunnel down` ends it"]);
    // What it writes is its owner's alone.
    let folder = it.stack.project.path(&format!(".infra/tunnel/local-{}", it.stack.name));
    let mode = |path: &std::path::Path| {
        std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("it is there").permissions()) & 0o777
    };
    assert_eq!(mode(&folder), 0o700);
    for name in ["keeper.json", "log"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
}

fn pages_are_listed(it: &Tunnelled, master: &str) {
    let wanted = [
        ("zeppelin", format!("http://{master}:8890/")),
        ("spark", format!("http://{master}:18080/")),
        ("yarn", format!("http://{master}:8088/cluster")),
        ("ganglia", format!("http://{master}/ganglia/")),
        ("hdfs", format!("http://{master}:50070/")),
    ];
    // The pages start after the machine does.
    until("all pages answer", LONG, || {
        let status = it.status();
        let pages = status["pages"].as_array().expect("pages");
        let listed: Vec<_> = pages
            .iter()
            .map(|page| {
                (page["name"].as_str().unwrap_or_default(), page["url"].as_str().unwrap_or_default().to_owned())
            })
            .collect();
        assert_eq!(listed, wanted);
        pages.iter().all(|page| page["answers"] == true)
    });
    let run = it.stack.local(&["tunnel", "status"]).expect(0);
    assert!(run.out.starts_with("up since ") && run.out.contains(", through bastion\n"), "{}", run.out);
    assert_eq!(run.out.matches(" answers (200, ").count(), 5, "{}", run.out);
    // One that has stopped is told from those that have not.
    it.stack.local(&["ssh", "master", "--", "sudo systemctl stop emr-pages"]).expect(0);
    let run = it.stack.local(&["open", "yarn", "--no-browser"]).expect(0);
    assert_eq!(run.out, format!("http://{master}:8088/cluster\n"));
    run.says(&["warning: yarn does not answer", "curl --socks5-hostname 127.0.0.1:"]);
    it.stack.local(&["open", "yarn", "--status"]).expect(1);
    it.stack.local(&["ssh", "master", "--", "sudo systemctl start emr-pages"]).expect(0);
    until("yarn answers", LONG, || it.stack.local(&["open", "yarn", "--status"]).code == Some(0));
    let hue = it.stack.local(&["open", "hue"]).expect(1);
    hue.says(&["the cluster has no Hue (infra/hosts.yaml:", "its pages: zeppelin, spark, yarn, ganglia, hdfs"]);
    it.stack.local(&["open", "sparc"]).expect(1).says(&["did you mean `spark`?"]);
}

fn by_forward(it: &Tunnelled) {
    let stack = &it.stack;
    let mut opened =
        stack.project.start(&stack.lab.endpoint, &["--local", "open", "zeppelin", "--forward", "--no-browser"]);
    opened.until("zeppelin on master is open here until Ctrl-C.");
    // Whoever listens there is the process itself.
    let url = "http://127.0.0.1:8890/";
    let page = curl(&[], url).expect(0);
    assert!(page.out.contains("<h1>Zeppelin</h1>"), "{page:?}");
    opened.interrupt();
    assert_eq!(opened.end().expect(0).out, format!("{url}\n"));
    assert_ne!(curl(&[], url).code, Some(0));
}

#[test]
fn without_a_cluster_in_the_spec_there_is_nothing_to_reach() {
    let Some(it) = Tunnelled::described() else { return };
    let text = it.stack.project.read(SPEC);
    it.stack.project.write(SPEC, &text[..text.find("\ncluster:\n").expect("a cluster")]);
    for (arguments, told) in [
        (&["tunnel", "up"][..], "has no `cluster:` section"),
        (&["cluster", "ssh"], "has no `cluster:` section"),
        (&["open", "spark"], "the spec has none"),
        (&["tunnel", "config", "pac"], "the spec has no cluster"),
    ] {
        it.stack.local(arguments).expect(1).says(&[told]);
    }
}
