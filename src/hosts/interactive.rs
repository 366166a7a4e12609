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

use super::{ConnectError, Hosts, Place, lock};

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
    pub async fn meet(&self, hosts: &[String]) -> anyhow::Result<()> {
        if self.trusts_first() {
            let way = self.way(None)?;
            for host in hosts {
                // Whoever comes next says what is wrong.
                let _ = self.diagnose(&way, host).await;
            }
        }
        Ok(())
    }

    /// Why `host` cannot be connected to this way; nothing where it can.
    pub async fn diagnose(&self, way: &Way, host: &str) -> Option<ConnectError> {
        let mut command = Command::new("ssh");
        // At ssh's own level: what a host says of an account that is closed is told at no lower one.
        command
            .args(["-T", "-o", "BatchMode=yes", "-o", "LogLevel=INFO"])
            .args(way.arguments())
            .args(["--", host, "true"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.ok()?;
        if output.status.code() != Some(i32::from(NO_CONNECTION)) {
            return None;
        }
        Some(ConnectError::new(host, &String::from_utf8_lossy(&output.stderr)))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{Access, At, Endpoint},
        *,
    };

    /// Two hosts, one behind the other, at a port where nobody listens.
    fn hosts(folder: &Path, trust_first: bool) -> Hosts {
        let place = |name: &str, via: Option<&str>| Place {
            name: name.into(),
            login: "ubuntu".into(),
            via: via.map(Into::into),
            key: Some("/nowhere/admin.key".into()),
            deletes_departed: false,
            at: At::Server { address: "127.0.0.1".into(), port: 1, host_key: None },
        };
        let access = Access { folder: folder.to_owned(), servers: folder.to_owned(), trust_first, ..Access::default() };
        let hosts = Hosts::new("stack", [place("bastion", None), place("inner", Some("bastion"))], access);
        for name in ["bastion", "inner"] {
            let endpoint = Endpoint { address: "127.0.0.1".into(), port: 1, alias: name.into() };
            hosts.locate(name, endpoint).unwrap();
        }
        hosts
    }

    /// What ssh makes of a way: option to value.
    fn read(way: &Way, host: &str) -> String {
        let output = std::process::Command::new("ssh").arg("-G").args(way.arguments()).args(["--", host]).output();
        let output = output.expect("ssh is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_administrator_shows_the_key_of_the_spec_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let way = hosts(folder.path(), false).way(None).unwrap();
        let inner = read(&way, "inner");
        for line in [
            "user ubuntu",
            "identityfile /nowhere/admin.key",
            "identitiesonly yes",
            "proxyjump bastion",
            "batchmode no",
            "stricthostkeychecking true",
            "preferredauthentications publickey",
        ] {
            assert!(inner.lines().any(|read| read == line), "no {line}:\n{inner}");
        }
        let trusting = read(&hosts(folder.path(), true).way(None).unwrap(), "inner");
        assert!(trusting.contains("stricthostkeychecking accept-new"), "{trusting}");
    }

    #[test]
    fn a_visitor_never_shows_the_administrator_s_key() {
        let folder = tempfile::tempdir().unwrap();
        let hosts = hosts(folder.path(), false);
        let mut visitor = Visitor { login: "ana".into(), identity: None, hosts: BTreeSet::from(["inner".to_owned()]) };
        let way = hosts.way(Some(&visitor)).unwrap();
        let (inner, bastion) = (read(&way, "inner"), read(&way, "bastion"));
        assert!(inner.contains("user ana\n") && !inner.contains("admin.key"), "{inner}");
        assert!(inner.contains("identitiesonly no\n") && inner.contains("proxyjump bastion\n"), "{inner}");
        assert!(bastion.contains("user ubuntu\n") && bastion.contains("admin.key"), "who is not there jumps as before");
        let file = way.arguments()[1].clone();
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        drop(way);
        assert!(!Path::new(&file).exists(), "it goes with the way");
        visitor.hosts.insert("bastion".into());
        visitor.identity = Some("/keys/ana".into());
        let way = hosts.way(Some(&visitor)).unwrap();
        for host in ["inner", "bastion"] {
            let read = read(&way, host);
            assert!(read.contains("user ana\n") && read.contains("identityfile /keys/ana\n"), "{read}");
            assert!(read.contains("identitiesonly yes\n") && !read.contains("admin.key"), "{read}");
        }
    }

    #[tokio::test]
    async fn where_nobody_listens_ssh_is_asked_why() {
        let folder = tempfile::tempdir().unwrap();
        let hosts = hosts(folder.path(), false);
        let way = hosts.way(None).unwrap();
        let error = hosts.diagnose(&way, "bastion").await.expect("nobody listens there");
        assert_eq!(error.kind, super::super::ConnectFailure::Silent);
        assert!(error.reason.contains("refused"), "{}", error.reason);
        assert!(hosts.advice(&error)[0].contains("127.0.0.1:1"), "{:?}", hosts.advice(&error));
    }

    #[tokio::test]
    async fn a_program_s_end_is_ours() {
        assert_eq!(run("sh", &["-c", "exit 7"]).await.unwrap(), Ended { code: 7, stopped: false });
        assert_eq!(run("sh", &["-c", "kill -TERM $$"]).await.unwrap(), Ended { code: 143, stopped: false });
        let error = run("no-such-program", &["x"; 0]).await.unwrap_err();
        assert!(error.to_string().contains("not installed"), "{error}");
    }

    #[tokio::test]
    async fn a_signal_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let script = format!("trap 'echo told >{0}; exit 3' HUP; echo >{0}.up; sleep 20 & wait", told.display());
        let arguments = ["-c", &script];
        let program = run("sh", &arguments);
        let up = folder.path().join("told.up");
        let us = std::process::id().to_string();
        let signal = async {
            while !up.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(Command::new("kill").args(["-s", "HUP", &us]).status().await.unwrap().success());
        };
        let (ended, ()) = tokio::join!(program, signal);
        assert_eq!(ended.unwrap(), Ended { code: 3, stopped: true });
        assert_eq!(std::fs::read_to_string(told).unwrap(), "told\n");
    }
}
