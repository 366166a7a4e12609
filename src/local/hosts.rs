//! The hosts of the local cloud's instances: where they are reached, and running a command in their user's network.

use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::{ui, workspace::Workspace};

/// Where the hosts' keeper says which processes it runs.
pub(super) const FILE: &str = "hosts.json";

/// The hosts that the local cloud's instances have.
#[derive(Clone, Debug, Deserialize)]
pub struct Bodies {
    /// The socket that leads into the network that they are reached from; see [`connect`].
    pub gateway: PathBuf,
    /// The Python that they have for services which need a certain one: `3.10`.
    #[serde(default)]
    pub python: Option<String>,
    /// That network's namespace.
    client_network: PathBuf,
    /// Instances whose hosts answer.
    ready: Vec<String>,
    /// Instances whose hosts do not answer yet.
    starting: Vec<String>,
}

impl Bodies {
    /// How many there are, in a few words.
    pub fn summary(&self) -> String {
        let count = |number: usize| format!("{number} {}", if number == 1 { "host" } else { "hosts" });
        let starting =
            if self.starting.is_empty() { String::new() } else { format!(" and {} that start", self.starting.len()) };
        count(self.ready.len()) + &starting
    }
}

/// Becomes a command that runs in the network that hosts are reached from; returns only if that fails.
pub async fn execute(workspace: &Workspace, command: &[OsString]) -> anyhow::Result<()> {
    let state = super::status(workspace).await?.context("the local cloud does not run")?;
    let hosts =
        state.hosts.context("the local cloud's instances have no hosts; `infra local up --hosts` gives them some")?;
    let mut network = OsString::from("--net=");
    network.push(&hosts.client_network);
    let error = Command::new("nsenter").arg(network).arg("--").args(command).exec();
    Err(error).context("cannot run nsenter, which belongs to util-linux")
}

/// Connects input and output with a port of a host, through the gateway at `socket`; returns when the host is done.
///
/// # Errors
///
/// Where the gateway does not listen, or cannot reach the host.
pub fn connect(socket: &Path, host: &str, port: u16) -> anyhow::Result<()> {
    let mut stream = UnixStream::connect(socket)
        .with_context(|| format!("cannot reach the hosts' gateway at {}; are they up?", socket.display()))?;
    writeln!(stream, "{host} {port}")?;
    let mut near = BufReader::new(stream.try_clone()?);
    let mut answer = String::new();
    near.read_line(&mut answer)?;
    match answer.trim_end().split_once(' ') {
        None if answer == "ok\n" => {}
        Some(("error", reason)) => bail!("{host} port {port}: {reason}"),
        _ => bail!("the hosts' gateway answered {answer:?}"),
    }
    // Each direction ends by itself: one that has said all it has to say may still be listening.
    thread::spawn(move || {
        let _ = relay(&mut io::stdin().lock(), &mut stream);
        let _ = stream.shutdown(Shutdown::Write);
    });
    let mut output = ui::output()?;
    output.write_all(near.buffer())?;
    match relay(&mut near.into_inner(), &mut output) {
        // A reader that went away has heard enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Passes on what comes, as it comes. Not `io::copy`: it splices, and a splice that waits for a socket locks the pipe
/// that it writes to, so that nobody reads what is already in it.
fn relay(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => to.write_all(&buffer[..length])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
