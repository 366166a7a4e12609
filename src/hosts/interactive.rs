//! OpenSSH's own programs, run for the user: terminal, input and output are theirs.
//!
//! They are children and not our successors (`exec`), so that a refused connection can be explained after they have
//! said what they know.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    io::Write,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::Context;
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
};

use super::{ConnectError, ConnectFailure, Hosts, Place, lock};

/// What ssh ends with where it could not connect.
const NO_CONNECTION: u8 = 255;

/// Somebody who logs in as another than the administrator.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The login.
    pub login: String,
    /// The key to show and no other; otherwise those that ssh finds by itself.
    pub identity: Option<PathBuf>,
    /// The hosts where the login exists; on others, which are only jumped through, the administrator's is used.
    pub hosts: BTreeSet<String>,
}

/// What OpenSSH's programs are told so that they reach the stack's hosts by their names.
#[derive(Debug)]
pub struct Way {
    arguments: Vec<OsString>,
    /// A visitor's own configuration; it goes with this.
    _own: Option<tempfile::NamedTempFile>,
}

impl Way {
    /// The arguments, before all others.
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code; 128 and the signal's number where a signal ended it.
    pub code: u8,
    /// Whether we passed a signal on to it.
    pub stopped: bool,
}

impl Hosts {
    /// The way to hosts that are located already, as the administrator or as `visitor`.
    pub fn way(&self, visitor: Option<&Visitor>) -> anyhow::Result<Way> {
        let own = visitor.map(|visitor| self.own_configuration(visitor)).transpose()?;
        let config = own.as_ref().map_or_else(|| self.files().config(), |own| own.path().to_owned());
        // The user is there to be asked for a passphrase; a password would be taken by no host of ours.
        let mut options = vec!["BatchMode=no", "PreferredAuthentications=publickey"];
        if self.trusts_first() {
            options.push("StrictHostKeyChecking=accept-new");
        }
        let mut arguments = vec![OsString::from("-F"), config.into()];
        arguments.extend(options.iter().flat_map(|option| ["-o".into(), OsString::from(option)]));
        Ok(Way { arguments, _own: own })
    }

    /// Jumps read nothing but the configuration, so that another login needs another one.
    fn own_configuration(&self, visitor: &Visitor) -> anyhow::Result<tempfile::NamedTempFile> {
        let Visitor { login, identity, hosts } = visitor;
        let places = self.places().iter().map(|(name, place)| {
            let mut place: Place = place.clone();
            if hosts.contains(name) {
                place.login.clone_from(login);
                place.key.clone_from(identity);
            }
            (name.clone(), place)
        });
        let endpoints = lock(&self.shared.endpoints).clone();
        let text = self.files().text(&places.collect(), &endpoints, self.gateway());
        let folder = self.files().config().parent().map(Path::to_owned).unwrap_or_default();
        let write = || -> std::io::Result<tempfile::NamedTempFile> {
            // A temporary file is 0600.
            let mut file = tempfile::Builder::new().prefix("ssh_config.").tempfile_in(&folder)?;
            file.write_all(text.as_bytes())?;
            Ok(file)
        };
        write().with_context(|| format!("cannot write into {}", folder.display()))
    }

    /// Meets `hosts` in this order, the outermost first, where hosts are believed at the first meeting: a jump reads
    /// only the configuration, which believes nobody.
    pub async fn meet(&self, way: &Way, hosts: &[String]) {
        if self.trusts_first() {
            for host in hosts {
                // Whoever comes next says what is wrong.
                let _ = self.diagnose(way, host).await;
            }
        }
    }

    /// Why `host` cannot be connected to this way; nothing where it can.
    pub async fn diagnose(&self, way: &Way, host: &str) -> Option<ConnectError> {
        let mut command = Command::new("ssh");
        command.args(["-T", "-o", "BatchMode=yes"]).args(way.arguments()).args(["--", host, "true"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.ok()?;
        if output.status.code() != Some(i32::from(NO_CONNECTION)) {
            return None;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let mut error = ConnectError::new(host, &said);
        if error.kind == ConnectFailure::ChangedKey {
            // It may be a host on the way there.
            let alias = said.lines().find_map(|line| line.strip_prefix("Host key for ")?.split(' ').next());
            let endpoints = lock(&self.shared.endpoints);
            let named = endpoints.iter().find(|(_, endpoint)| Some(endpoint.alias.as_str()) == alias);
            if let Some((name, _)) = named {
                error.host.clone_from(name);
            }
        }
        Some(error)
    }
}

/// Runs a program with our terminal, input and output. Signals that we get are passed on to it.
pub async fn run(program: &str, arguments: &[impl AsRef<OsStr>]) -> anyhow::Result<Ended> {
    // Before it starts: a Ctrl-C that it takes for its own must not end us first.
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let mut child = match Command::new(program).args(arguments).spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            anyhow::bail!("{program} is not installed: it is part of OpenSSH")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot run {program}")),
    };
    let mut stopped = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.with_context(|| format!("cannot wait for {program}"))?,
            name = signals.next() => {
                stopped = true;
                pass_on(&child, name).await;
            }
        }
    };
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(Ended { code: u8::try_from(code).unwrap_or(u8::MAX), stopped })
}

async fn pass_on(child: &Child, signal: &str) {
    // Not waited for yet, so that the number is still its own.
    if let Some(id) = child.id() {
        let mut command = Command::new("kill");
        command.args(["-s", signal, &id.to_string()]).stderr(Stdio::null());
        // One that has ended already needs no signal.
        let _ = command.status().await;
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "INT",
            _ = self.terminate.recv() => "TERM",
            _ = self.hangup.recv() => "HUP",
        }
    }
}

/// Whether there is a screen to show a page on.
pub fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(target_os = "macos") || set("DISPLAY") || set("WAYLAND_DISPLAY")
}

/// Asks the desktop to show a page. It may have no browser; whoever asked has printed the address anyway.
pub fn show_page(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(opener);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // A Ctrl-C that ends us is none of the browser's.
    command.process_group(0);
    if let Err(error) = command.spawn() {
        tracing::debug!(opener, %error, "no browser");
    }
}
