//! A local cloud of a test's own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{aws::python, cli::root, world::is_stock};

/// Installs Spark for the local cloud, or says why that cannot be.
const ENSURE_SPARK: &str = "
import sys
from infra_local.spark import installation
try:
    installation.ensure(lambda said: print(said, file=sys.stderr))
except installation.SparkError as error:
    sys.exit(f'{error.code}: {error}')
";

/// A local cloud that ends with the test.
pub struct Server {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    child: Child,
    home: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts one; `arguments` go to `infra_local serve`.
    pub fn start(arguments: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(python());
        command.args(["-m", "infra_local", "serve", "--port", "0", "--home"]).arg(home.path()).args(arguments);
        command.env("PYTHONPATH", root().join("local")).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(Stdio::piped()).spawn().expect("the local cloud starts");
        let mut server = Self { endpoint: String::new(), child, home };
        // Its log must be read, or the pipe fills and it stops.
        let log = BufReader::new(server.child.stderr.take().expect("a piped log"));
        std::thread::spawn(move || log.lines().for_each(drop));
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let known = std::fs::read(server.home.path().join("daemon.json")).ok();
            let known: Option<serde_json::Value> = known.and_then(|known| serde_json::from_slice(&known).ok());
            if let Some(endpoint) = known.as_ref().and_then(|known| known["endpoint"].as_str()) {
                endpoint.clone_into(&mut server.endpoint);
                return server;
            }
            if let Some(status) = server.child.try_wait().expect("a child of this process") {
                panic!("the local cloud ends at once: {status}");
            }
            assert!(Instant::now() < deadline, "the local cloud does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts one like the cloud under test, strict or stock, that forgets everything and takes no time.
    pub fn under_test() -> Self {
        let stock: &[&str] = if is_stock() { &["--stock"] } else { &[] };
        Self::start(&[&["--memory", "--speed", "instant"], stock].concat())
    }

    /// Starts one whose clusters' steps really run; Spark is installed first where it is missing. Nothing, and the reason
    /// on stderr, where this machine has no Java or Python for it; with `CI=true` that is a failure.
    pub fn with_spark() -> Option<Self> {
        let mut ensure = Command::new(python());
        ensure.args(["-c", ENSURE_SPARK]).env("PYTHONPATH", root().join("local"));
        let done = ensure.output().expect("python starts");
        if done.status.success() {
            return Some(Self::start(&["--memory", "--speed", "instant", "--spark"]));
        }
        let reason = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        assert!(["no-java: ", "no-python: "].iter().any(|machine| reason.contains(machine)), "{reason}");
        let required = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!required, "steps that really run must not be skipped here, but: {reason}");
        // Straight to stderr: what `eprintln!` says in a test that passes is shown to nobody.
        let _ = writeln!(std::io::stderr(), "skipped: steps that really run: {reason}");
        None
    }

    /// Asks the control endpoint; returns its JSON.
    pub fn control(&self, method: &str, path: &str, body: &str) -> serde_json::Value {
        control(&self.endpoint, method, path, body).expect("the local cloud answers its control endpoint")
    }
}

/// Asks a local cloud's control endpoint; nothing where there is none, as in stock moto.
pub fn control(endpoint: &str, method: &str, path: &str, body: &str) -> Option<serde_json::Value> {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    let head = format!(
        "{method} /infra-local/{path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    if head.split(' ').nth(1) != Some("200") {
        return None;
    }
    serde_json::from_str(body).ok()
}
