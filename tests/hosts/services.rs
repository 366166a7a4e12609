//! What runs on the hosts beside people: it listens on the private address alone, and comes back.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::support::hosts::{Stack, until};

/// Asks a page of a host, through the bastion and that host's sshd, as `infra open` does.
fn get(stack: &Stack, host: &str, port: u16, path: &str) -> String {
    let address = stack.project.output(&[], &format!("instance/{host}.private_ip"));
    let mut ssh = stack.person("ana");
    ssh.args(["-W", &format!("{address}:{port}"), host]);
    let mut child = ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("ssh runs");
    let mut stdin = child.stdin.take().expect("a piped stdin");
    let _ = write!(stdin, "GET {path} HTTP/1.0\r\nHost: {address}:{port}\r\n\r\n");
    let answer = child.wait_with_output().expect("an answer");
    String::from_utf8_lossy(&answer.stdout).into_owned()
}

#[test]
fn luigid_is_private_and_comes_back_with_its_history() {
    let Some(stack) = Stack::both("ana\n") else { return };
    stack.edit("    via: bastion\n", "    via: bastion\n    services: { luigi: { port: 8082 } }\n");
    let stack = stack.applied();
    stack.converged();
    let page = || get(&stack, "inner", 8082, "/api/task_list?data=%7B%7D");
    until("luigid", Duration::from_secs(20), || page().contains("200 OK"));
    // On the private address, and on no other.
    let private = stack.project.output(&[], "instance/inner.private_ip");
    assert_eq!(stack.root("inner", "ss -Htln 'sport = :8082' | awk '{ print $4 }'"), format!("{private}:8082\n"));
    let from_outside = stack.lab.exec(&["timeout", "3", "bash", "-c", &format!("exec 3<>/dev/tcp/{private}/8082")]);
    assert!(!{ from_outside }.output().expect("it starts").status.success());
    // No root, nothing writable but its own.
    let unit = stack
        .root("inner", "systemctl show -p User -p NoNewPrivileges -p ProtectSystem -p CapabilityBoundingSet luigid");
    for line in ["User=luigi", "NoNewPrivileges=yes", "ProtectSystem=strict"] {
        assert!(unit.lines().any(|told| told == line), "{line}: {unit}");
    }
    assert!(unit.lines().any(|line| line == "CapabilityBoundingSet="), "{unit}");
    // A task runs, and is in the history.
    stack.root(
        "inner",
        &format!(
            "mkdir -p /tmp/task; cat >/tmp/task/noted.py <<'END'
import luigi
class Noted(luigi.Task):
    def output(self):
        return luigi.LocalTarget('/tmp/task/done')
    def run(self):
        with self.output().open('w') as f:
            f.write('ok')
END
cd /tmp/task; PYTHONPATH=. /opt/infra/luigi/bin/luigi --module noted Noted --scheduler-host {private} --scheduler-port 8082 >/tmp/task/log 2>&1"
        ),
    );
    let history = || get(&stack, "inner", 8082, "/history/by_name/Noted");
    until("the task in the history", Duration::from_secs(10), || history().contains("Noted"));
    let pid = || stack.root("inner", "systemctl show -p MainPID --value luigid").trim().to_owned();
    for _ in 0..2 {
        let before = pid();
        stack.root("inner", &format!("kill -KILL {before}"));
        let began = Instant::now();
        until("luigid after SIGKILL", Duration::from_secs(10), || page().contains("200 OK"));
        println!("back after {:?}", began.elapsed());
        assert_ne!(pid(), before);
    }
    assert!(history().contains("DONE"), "{}", history());
    stack.converged();
    // Opened here, on loopback, for as long as the program runs.
    let status = stack.local(&["open", "luigi", "--status"]).expect(0);
    assert!(
        status.out.contains("luigi on inner: healthy") || status.err.contains("luigi on inner: healthy"),
        "{status:?}"
    );
    let mut open = stack.project.command(None, &["--local", "open", "luigi", "--no-browser"]);
    let mut open = open.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let mut url = String::new();
    BufReader::new(open.stdout.as_mut().expect("a piped stdout")).read_line(&mut url).expect("a line");
    let address = url.trim().trim_start_matches("http://").split('/').next().expect("an address").to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{url}");
    let mut page = TcpStream::connect(&address).expect("a page");
    write!(page, "GET /static/visualiser/index.html HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("a page");
    let mut text = String::new();
    page.read_to_string(&mut text).expect("a page");
    assert!(text.contains("200 OK") && text.contains("Luigi Task Visualiser"), "{text}");
    // Also where it has no time to tidy up.
    open.kill().expect("our own child");
    open.wait().expect("our own child");
    until("the end of the forward", Duration::from_secs(10), || TcpStream::connect(&address).is_err());
    // It goes when it is no longer asked for.
    stack.edit("    services: { luigi: { port: 8082 } }\n", "");
    stack.local(&["apply", "--yes"]).expect(0);
    assert_eq!(stack.root("inner", "ss -Htln 'sport = :8082'; systemctl is-active luigid || true"), "inactive\n");
    stack.converged();
}

#[test]
fn docker_runs_and_is_for_whom_the_spec_names() {
    let Some(stack) = Stack::both("ana sudo=no\nbea sudo=no\n") else { return };
    stack.edit("    via: bastion\n", "    via: bastion\n    services: { docker: { users: [ana] } }\n");
    let stack = stack.applied();
    stack.converged();
    // A container of what the host itself has: a shell and its library.
    stack.root(
        "inner",
        "mkdir -p /tmp/box/bin; cd /tmp/box; cp /bin/dash bin/sh
        ldd /bin/dash | grep -o '/[^ ]*' | while read -r file; do mkdir -p \"./${file%/*}\"; cp \"$file\" \"./$file\"; done
        tar -c . | docker import - box >/dev/null",
    );
    let run = |login: &str| {
        stack.login(login, "inner", &["docker run --rm --network none box /bin/sh -c 'echo from within'"])
    };
    assert_eq!(run("ana").expect(0).out, "from within\n");
    assert_ne!(run("bea").code, Some(0));
    // Back after a crash.
    let pid = || stack.root("inner", "systemctl show -p MainPID --value docker").trim().to_owned();
    let before = pid();
    stack.root("inner", &format!("kill -KILL {before}"));
    until("docker after SIGKILL", Duration::from_mins(1), || ![before.as_str(), "0"].contains(&pid().as_str()));
    until("a container", Duration::from_mins(1), || run("ana").out == "from within\n");
    stack.converged();
}

/// The slowest of all: 130 packages are installed.
#[test]
fn slow_airflow_is_healthy() {
    let Some(stack) = Stack::both("ana\n") else { return };
    stack.edit("    via: bastion\n", "    via: bastion\n    services: { airflow: {} }\n");
    let stack = stack.applied();
    let healthy = || {
        let health = get(&stack, "inner", 8080, "/health");
        let body = health.split("\r\n\r\n").nth(1).unwrap_or_default();
        let told: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        told["metadatabase"]["status"] == "healthy" && told["scheduler"]["status"] == "healthy"
    };
    until("a healthy Airflow", Duration::from_mins(5), healthy);
    let status = stack.local(&["open", "airflow", "--status"]).expect(0).out;
    assert!(status.starts_with("airflow on inner: healthy (200, "), "{status}");
    assert_eq!(stack.root("inner", "airflow version").lines().last(), Some("2.8.0"));
    let private = stack.project.output(&[], "instance/inner.private_ip");
    assert_eq!(stack.root("inner", "ss -Htln 'sport = :8080' | awk '{ print $4 }'"), format!("{private}:8080\n"));
    // Its password was made there, is root's alone, and stands in no list of processes.
    let file = "/var/lib/airflow/admin-password";
    assert_eq!(stack.root("inner", &format!("stat -c '%a %U' {file}")), "600 root\n");
    let seen = stack.root("inner", &format!("p=$(cat {file}); for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f 2>/dev/null | grep -cF -e \"$p\" || true; done | sort -u"));
    assert_eq!(seen, "0\n");
    // It is the administrator's, and nobody comes in without it.
    let ask = |login: &str| {
        let script =
            format!("{login} curl -s -o /dev/null -w '%{{http_code}}' --config - http://{private}:8080/api/v1/dags");
        stack.root("inner", &script)
    };
    assert_eq!(ask(&format!("printf 'user = \"admin:%s\"\\n' \"$(cat {file})\" |")), "200");
    assert_eq!(ask("printf 'user = \"admin:admin\"\\n' |"), "401");
    // What lies in the folder of DAGs is seen.
    stack.root(
        "inner",
        "cat >/var/lib/airflow/dags/noted.py <<'END'
import datetime
from airflow import DAG
noted = DAG('noted', start_date=datetime.datetime(2024, 1, 1), schedule=None)
END
airflow dags reserialize >/dev/null 2>&1",
    );
    assert!(stack.root("inner", "airflow dags list -o plain 2>/dev/null").contains("noted"));
    super::runs::airflow(&stack);
    // Both services come back after a crash.
    for unit in ["airflow-scheduler", "airflow-webserver"] {
        stack.root("inner", &format!("systemctl kill -s KILL {unit}"));
    }
    until("a healthy Airflow after SIGKILL", Duration::from_mins(5), || {
        stack.root("inner", "systemctl is-active airflow-scheduler airflow-webserver || true") == "active\nactive\n"
            && healthy()
    });
    stack.converged();
    // As one process, with the same database and password.
    stack.edit("services: { airflow: {} }", "services: { airflow: { standalone: true } }");
    stack.local(&["apply", "--yes"]).expect(0);
    until("a healthy standalone Airflow", Duration::from_mins(5), healthy);
    assert_eq!(
        stack.root("inner", "systemctl is-active airflow-standalone airflow-scheduler airflow-webserver || true"),
        "active\ninactive\ninactive\n"
    );
    assert_eq!(stack.root("inner", "ss -Htln 'sport = :8080' | awk '{ print $4 }'"), format!("{private}:8080\n"));
    assert_eq!(ask(&format!("printf 'user = \"admin:%s\"\\n' \"$(cat {file})\" |")), "200");
    stack.converged();
}
