//! Connections: one to each host, through OpenSSH, and a fresh second one where a change could have locked us out.

use std::{io, path::Path, process, time::Duration};

use anyhow::{Context, bail};
use openssh::{Session, Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::Instant,
};

use super::{Hosts, config::CONNECT_SECONDS};

/// Why a host could not be connected to.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot connect to {host}: {reason}")]
pub struct ConnectError {
    /// The host's name in the spec.
    pub host: String,
    /// What ssh said, in one line.
    pub reason: String,
    /// What sort of failure it is.
    pub kind: ConnectFailure,
}

impl ConnectError {
    /// What `ssh` meant that said `said`.
    pub(super) fn new(host: &str, said: &str) -> Self {
        let kind = ConnectFailure::of(said);
        Self { host: host.to_owned(), reason: reason(said, kind), kind }
    }
}

/// What sort of failure a failed connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The host shows another key than the pinned one.
    ChangedKey,
    /// No key of the host is pinned.
    UnknownKey,
    /// The host does not take our key.
    Refused,
    /// The key is right, and the account is closed.
    Closed,
    /// This machine has no ssh.
    NoProgram,
    /// Nobody answers (yet).
    Silent,
}

impl ConnectFailure {
    fn of(said: &str) -> Self {
        let said_one = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
        if said_one(&["IDENTIFICATION HAS CHANGED", "identification has changed"]) {
            Self::ChangedKey
        } else if said_one(&["Host key verification failed", "host key is known", "No ED25519 host key"]) {
            Self::UnknownKey
        } else if said_one(&["Permission denied", "Too many authentication failures"]) {
            Self::Refused
        } else if said_one(&["account has expired"]) {
            Self::Closed
        } else {
            Self::Silent
        }
    }
}

/// The last line that ssh said: the ones above it are its banner or its debugging.
fn reason(said: &str, kind: ConnectFailure) -> String {
    match kind {
        ConnectFailure::ChangedKey => return "its host key is not the pinned one".into(),
        ConnectFailure::UnknownKey => return "its host key is not known".into(),
        ConnectFailure::Closed => return "the account has expired".into(),
        ConnectFailure::Refused | ConnectFailure::NoProgram | ConnectFailure::Silent => {}
    }
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason was given");
    last.strip_prefix("ssh: ").unwrap_or(last).to_owned()
}

/// After how many seconds without use a connection is closed that nobody closed.
const IDLE_SECONDS: u64 = 60;

/// The pauses between attempts.
const PAUSE: Duration = Duration::from_millis(300);

impl Hosts {
    /// A connection to `host`, tried for as long as nobody answers and `patience` lasts.
    pub(super) async fn connect(&self, host: &str, patience: Duration) -> anyhow::Result<Session> {
        let deadline = Instant::now() + patience;
        loop {
            match self.try_connect(host).await {
                Err(error) if error.kind == ConnectFailure::Silent && Instant::now() + PAUSE < deadline => {
                    tracing::debug!(host, reason = error.reason, "no answer yet");
                    tokio::time::sleep(PAUSE).await;
                }
                result => return Ok(result?),
            }
        }
    }

    async fn try_connect(&self, host: &str) -> Result<Session, ConnectError> {
        self.shared.round_trips.add();
        let failed = |said: &str| ConnectError::new(host, said);
        let folder = self.shared.sockets().map_err(|error| failed(&format!("{error:#}")))?;
        let folder = tempfile::Builder::new().prefix(".ssh-connection").tempdir_in(folder);
        let folder = folder.map_err(|error| failed(&format!("cannot make a folder in /tmp: {error}")))?;
        let log = folder.path().join("log");
        let ended = self.master(host, folder.path(), &log).status().await;
        match ended {
            Ok(status) if status.success() => Ok(Session::new_native_mux(folder)),
            Ok(_) => Err(failed(&std::fs::read_to_string(&log).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ConnectError { kind: ConnectFailure::NoProgram, ..failed("ssh is not installed here") })
            }
            Err(error) => Err(failed(&error.to_string())),
        }
    }

    /// The ssh that makes a connection, and stays behind with it once it stands.
    ///
    /// It is in a process group of its own, and with it all that it starts on its way: jumps, and the local cloud's
    /// gateway. A Ctrl-C on the terminal is ours alone; whoever runs a step still needs the connection.
    fn master(&self, host: &str, folder: &Path, log: &Path) -> Command {
        let check = if self.shared.trust_first { "accept-new" } else { "yes" };
        let mut command = Command::new("ssh");
        command.arg("-E").arg(log).arg("-S").arg(folder.join("master")).args(["-M", "-f", "-N"]);
        for option in [
            // One whose infra was killed ends by itself.
            format!("ControlPersist={IDLE_SECONDS}s"),
            "BatchMode=yes".to_owned(),
            format!("StrictHostKeyChecking={check}"),
            // A timer around it would leave an ssh running.
            format!("ConnectTimeout={CONNECT_SECONDS}"),
        ] {
            command.arg("-o").arg(option);
        }
        command.arg("-F").arg(self.shared.files.config()).args(["--", host]);
        command.stdin(process::Stdio::null()).stdout(process::Stdio::null()).stderr(process::Stdio::null());
        command.process_group(0);
        command
    }

    /// Runs `script` on `host` as root, and hands each line that it prints to `told`. What the script is made of
    /// travels on its standard input: no argument list and no file on the host ever holds it.
    pub(super) async fn run(
        &self,
        session: &Session,
        host: &str,
        script: &str,
        mut told: impl FnMut(&str) + Send,
    ) -> anyhow::Result<()> {
        self.shared.round_trips.add();
        // One function, called on the last line: a script that was cut off on its way does nothing.
        let whole = format!("infra() {{\n{script}\n}}\ninfra\nexit 0\n");
        let shell = r#"if [ "$(id -u)" = 0 ]; then exec sh -s; else exec sudo -n -- sh -s; fi"#;
        let mut child = session
            .command("sh")
            .args(["-c", shell])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .await
            .with_context(|| format!("{host}: cannot run a command"))?;
        let mut stdin = child.stdin().take().context("the command has no input")?;
        let mut stdout = BufReader::new(child.stdout().take().context("the command has no output")?).lines();
        let mut stderr = child.stderr().take().context("the command has no error output")?;
        let send = async {
            // One that ends early says why on its own.
            let _ = stdin.write_all(whole.as_bytes()).await;
            let _ = stdin.shutdown().await;
            drop(stdin);
        };
        let hear = async {
            while let Ok(Some(line)) = stdout.next_line().await {
                told(&line);
            }
        };
        let mut said = Vec::new();
        let complain = async {
            let _ = (&mut stderr).take(64 * 1024).read_to_end(&mut said).await;
            // What is more than that is of no use, but must not stop the script.
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        };
        tokio::join!(send, hear, complain);
        let status = child.wait().await;
        let said = String::from_utf8_lossy(&said);
        let said = said.trim();
        match status {
            Ok(status) if status.success() => Ok(()),
            _ if said.contains("sudo:") => {
                bail!("{host}: its administrator cannot become root without a password: {said}")
            }
            Ok(status) => bail!("{host}: the script ended with {status}: {said}"),
            Err(error) if said.is_empty() => Err(error).with_context(|| format!("{host}: the connection was lost")),
            Err(error) => Err(error).with_context(|| format!("{host}: the connection was lost: {said}")),
        }
    }
}
