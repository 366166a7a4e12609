//! `infra open`: a page of a host behind the bastion. What stands behind it is not luigi here, only something that answers
//! like it under its unit's name: luigi itself is tried elsewhere.

use std::{net::SocketAddr, time::Duration};

use crate::support::{cli::Running, hosts::Stack};

const PAGE: &str = r#"
address=$(ip -4 -o address show to 10.0.0.0/16 | awk '{ sub("/.*", "", $4); print $4 }')
mkdir -p /run/infra
echo "INFRA_ADDRESS=$address" >/run/infra/address.env
cat >/run/page.py <<'END'
import http.server, signal, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"response": {}}' if self.path.startswith("/api/task_list") else b"the page"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
def end(*_):
    print("Login with password: hunter2", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, end)
http.server.ThreadingHTTPServer((sys.argv[1], 18082), Page).serve_forever()
END
systemctl reset-failed luigid.service 2>/dev/null || true
systemctl is-active -q luigid.service || systemd-run -q --unit=luigid.service python3 /run/page.py "$address"
for try in 1 2 3 4 5 6 7 8 9; do
    curl -fs -o /dev/null "http://$address:18082/" && exit 0
    sleep 0.3
done
exit 1
"#;

/// The page's own port, and so by default its port here.
const PORT: u16 = 18082;
const OPEN: &str = "luigi on inner is open here until Ctrl-C.";

async fn page(port: u16) -> Option<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let answer = infra::http::get(address, "/static/visualiser/index.html", Duration::from_secs(5)).await;
    answer.ok().map(|answer| answer.body)
}

fn open(stack: &Stack, arguments: &[&str]) -> Running {
    stack.project.start(&stack.lab.endpoint, &[&["--local", "open"], arguments].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_opened_on_loopback_and_closed_with_us() {
    let Some(stack) = Stack::both("ana\n") else { return };
    stack.edit("    via: bastion\n", "    via: bastion\n    services: { luigi: { port: 18082 } }\n");
    stack.local(&["apply", "--yes", "--no-hosts"]).expect(0);
    stack.apply().expect(0);
    let run = stack.local(&["open"]).expect(1);
    run.says(&["luigi is not set up on inner", "apply` does that"]);
    stack.root("inner", PAGE);

    let mut opened = open(&stack, &["--no-browser"]);
    opened.until(OPEN);
    assert_eq!(page(PORT).await.as_deref(), Some("the page"));
    let listening = std::process::Command::new("ss").args(["-Hltn", &format!("sport = :{PORT}")]).output();
    let listening = String::from_utf8(listening.expect("ss is installed").stdout).expect("UTF-8");
    assert_eq!(listening.lines().count(), 1, "{listening}");
    assert!(listening.contains(&format!("127.0.0.1:{PORT}")), "{listening}");

    // A second one finds the port taken.
    let mut second = open(&stack, &["luigi", "--no-browser"]);
    second.until(&format!("Port {PORT} is taken here; luigi is at "));
    second.until(OPEN);
    second.interrupt();
    let run = second.end().expect(0);
    let port =
        run.out.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split_once("/static/visualiser/index.html\n"));
    let port: u16 =
        port.and_then(|(port, rest)| rest.is_empty().then(|| port.parse().ok())?).expect("only the address");
    assert!(port != PORT && page(port).await.is_none(), "{port}");
    let taken = stack.local(&["open", "--port", &PORT.to_string()]).expect(1);
    taken.says(&[&format!("cannot listen on 127.0.0.1:{PORT}")]);

    // The connection is lost: it comes back by itself.
    stack.local(&["ssh", "inner", "--", "sudo pkill -u ubuntu sshd"]).expect(255);
    let again = async {
        while page(PORT).await.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("the page is there again");

    opened.interrupt();
    let run = opened.end().expect(0);
    assert_eq!(run.out, format!("http://127.0.0.1:{PORT}/static/visualiser/index.html\n"));
    assert!(page(PORT).await.is_none(), "nothing listens any more");

    let mut killed = open(&stack, &["--no-browser"]);
    killed.until(OPEN);
    assert!(page(PORT).await.is_some());
    killed.kill();
    assert!(page(PORT).await.is_none(), "nothing outlives SIGKILL");

    status(&stack);
}

fn status(stack: &Stack) {
    let healthy = stack.local(&["open", "luigi", "--status"]).expect(0).out;
    let milliseconds =
        healthy.strip_prefix("luigi on inner: healthy (200, ").and_then(|rest| rest.strip_suffix(" ms)\n"));
    assert!(milliseconds.is_some_and(|number| number.parse::<u32>().is_ok()), "{healthy}");
    stack.root("inner", "systemctl stop luigid");
    let run = stack.local(&["open", "luigi", "--status"]).expect(1);
    assert!(run.out.starts_with("luigi on inner: not healthy ("), "{}", run.out);
    assert!(run.err.contains("luigid.service: inactive"), "{}", run.err);
    assert!(run.err.contains("a line about a password is not shown"), "{}", run.err);
    assert!(!run.err.contains("hunter2"), "{}", run.err);
    let run = stack.local(&["open", "luigi", "--no-browser"]).expect(1);
    run.says(&["Waiting for luigi on inner", "luigi on inner does not work", "--status` says more"]);
}
