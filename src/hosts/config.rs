//! The ssh configuration of a stack: one file that `infra`, plain `ssh` and every jump on the way read alike.
//!
//! Jumps run `ssh -F FILE -W …`, so that only what stands in the file holds for them too: keys, pins, timeouts.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::place::{At, Endpoint, Gateway, Place};

/// How long a connection may take to be made, in seconds.
pub const CONNECT_SECONDS: u64 = 10;

/// After how many idle seconds a connection is tried; three tries without an answer end it.
const ALIVE_SECONDS: u64 = 60;

/// The same for the cluster's master: whoever has pages of it open notices a lost connection soon.
const MASTER_ALIVE_SECONDS: u64 = 15;

/// What the configuration is called.
const CONFIG: &str = "ssh_config";
/// What the one of a program is called that stays while others come and go.
const OWN_CONFIG: &str = "ssh_config.tunnel";

/// The stack's connection files.
#[derive(Clone, Debug, Default)]
pub struct Files {
    folder: PathBuf,
    servers: PathBuf,
    own: bool,
}

impl Files {
    /// The files in `folder`. The keys of servers are in the folder `servers`: it is the same for verbs that ask AWS and
    /// for those that need not, so that a key which one of them was told to believe is known to all.
    pub fn new(folder: PathBuf, servers: PathBuf) -> Self {
        Self { folder, servers, own: false }
    }

    /// The same with a configuration of its own, which no other command writes; the pins are the same.
    #[must_use]
    pub fn with_own_config(self) -> Self {
        Self { own: true, ..self }
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.join(if self.own { OWN_CONFIG } else { CONFIG })
    }

    /// The pinned keys of instances, or of servers.
    pub fn known_hosts(&self, at: &At) -> PathBuf {
        let folder = match at {
            At::Instance | At::Master => &self.folder,
            At::Server { .. } => &self.servers,
        };
        folder.join("known_hosts")
    }

    /// True when keys are pinned under `alias`.
    pub fn is_pinned(&self, at: &At, alias: &str) -> bool {
        self.pinned(at, alias).next().is_some()
    }

    /// The keys that are pinned under `alias`: `ssh-ed25519 AAAA…`.
    pub fn pinned(&self, at: &At, alias: &str) -> impl Iterator<Item = String> {
        let text = std::fs::read_to_string(self.known_hosts(at)).unwrap_or_default();
        let prefix = format!("{alias} ");
        let lines: Vec<String> = text.lines().filter_map(|line| Some(line.strip_prefix(&prefix)?.to_owned())).collect();
        lines.into_iter()
    }

    /// Pins `keys` under `alias`, in place of all that was pinned there.
    pub fn pin(&self, at: &At, alias: &str, keys: &[String]) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.known_hosts(at)).unwrap_or_default();
        let prefix = format!("{alias} ");
        let mut text: String =
            text.lines().filter(|line| !line.starts_with(&prefix)).flat_map(|line| [line, "\n"]).collect();
        for key in keys {
            let _ = writeln!(text, "{alias} {key}");
        }
        self.write(&self.known_hosts(at), &text)
    }

    /// Writes the configuration of all hosts whose endpoint is known.
    pub fn write_config(
        &self,
        places: &BTreeMap<String, Place>,
        endpoints: &BTreeMap<String, Endpoint>,
        gateway: Option<&Gateway>,
    ) -> anyhow::Result<()> {
        let text = self.text(places, endpoints, gateway);
        if places.values().any(|place| matches!(place.at, At::Server { .. })) {
            // Where ssh is to believe at the first meeting, it makes the file and no folder.
            crate::workspace::private_folder(&self.servers)
                .with_context(|| format!("cannot make the folder {}", self.servers.display()))?;
        }
        // Another infra may be reading it: unchanged stays untouched.
        if std::fs::read_to_string(self.config()).is_ok_and(|current| current == text) {
            return Ok(());
        }
        self.write(&self.config(), &text)
    }

    /// The configuration's text.
    pub(super) fn text(
        &self,
        places: &BTreeMap<String, Place>,
        endpoints: &BTreeMap<String, Endpoint>,
        gateway: Option<&Gateway>,
    ) -> String {
        let mut text = String::from("# Written by infra for this stack's hosts. `ssh -F THIS-FILE NAME` works too.\n");
        for (name, endpoint) in endpoints {
            let Some(place) = places.get(name) else { continue };
            let Endpoint { address, port, alias } = endpoint;
            let _ = write!(text, "\nHost {name}\n  HostName {address}\n  Port {port}\n  User {}\n", place.login);
            let _ = writeln!(text, "  HostKeyAlias {alias}");
            if let Some(key) = &place.key {
                // ssh reads it from wherever it is started.
                let key = &std::path::absolute(key).unwrap_or_else(|_| key.clone());
                let _ = write!(text, "  IdentityFile {}\n  IdentitiesOnly yes\n", quoted(key));
            }
            match (&place.via, gateway) {
                (Some(via), _) => {
                    let _ = writeln!(text, "  ProxyJump {via}");
                }
                (None, Some(Gateway { program, socket })) if place.at.is_instance() => {
                    let (program, socket) = (shell_quoted(program), shell_quoted(socket));
                    let _ = writeln!(text, "  ProxyCommand {program} local connect --gateway {socket} %h %p");
                }
                _ => {}
            }
            if place.at == At::Master {
                let _ = writeln!(text, "  ServerAliveInterval {MASTER_ALIVE_SECONDS}");
            }
            if matches!(place.at, At::Server { .. }) {
                // A server's key may be one that its administrator has met before.
                let _ =
                    writeln!(text, "  UserKnownHostsFile {} ~/.ssh/known_hosts", quoted(&self.known_hosts(&place.at)));
            }
        }
        let _ = write!(
            text,
            "\nHost *\n  BatchMode yes\n  ConnectTimeout {CONNECT_SECONDS}\n  ServerAliveInterval {ALIVE_SECONDS}\n  \
             StrictHostKeyChecking yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  \
             UpdateHostKeys no\n  ForwardAgent no\n  LogLevel ERROR\n",
            quoted(&self.known_hosts(&At::Instance))
        );
        text
    }

    /// Writes one of the files, readable by its owner alone.
    pub(super) fn write(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        let write = || -> std::io::Result<()> {
            let folder = path.parent().unwrap_or(&self.folder);
            crate::workspace::private_folder(folder)?;
            // A temporary file is 0600.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.persist(path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

/// A path as ssh's configuration takes it: in quotes, and `%` is no token.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// A path as the shell takes it that runs a proxy command.
fn shell_quoted(path: &Path) -> String {
    super::shell::quote(&path.display().to_string()).replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, via: Option<&str>, at: At) -> (String, Place) {
        let place = Place {
            name: name.into(),
            login: "ubuntu".into(),
            via: via.map(Into::into),
            key: Some("/home/a b/100%.key".into()),
            deletes_departed: false,
            at,
        };
        (name.into(), place)
    }

    fn endpoint(name: &str, address: &str, alias: &str) -> (String, Endpoint) {
        (name.into(), Endpoint { address: address.into(), port: 22, alias: alias.into() })
    }

    #[test]
    fn ssh_itself_reads_the_configuration_as_it_is_meant() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path().join("a folder"), folder.path().join("a folder of servers"));
        let server = At::Server { address: "example.org".into(), port: 2222, host_key: None };
        let places = BTreeMap::from([
            place("bastion", None, At::Instance),
            place("inner", Some("bastion"), At::Instance),
            place("old", None, server),
        ]);
        let endpoints = BTreeMap::from([
            endpoint("bastion", "203.0.113.10", "i-1"),
            endpoint("inner", "10.0.1.4", "i-2"),
            endpoint("old", "example.org", "example.org"),
        ]);
        let gateway = Gateway { program: "/opt/my tools/infra".into(), socket: "/run/g".into() };
        files.write_config(&places, &endpoints, Some(&gateway)).unwrap();
        let read = |host: &str| {
            let output = std::process::Command::new("ssh").arg("-G").arg("-F").arg(files.config()).arg(host).output();
            let output = output.expect("ssh is installed");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let bastion = read("bastion");
        for line in ["user ubuntu", "hostname 203.0.113.10", "stricthostkeychecking true", "hostkeyalias i-1"] {
            assert!(bastion.lines().any(|read| read == line), "{line}: {bastion}");
        }
        assert!(
            bastion.contains("proxycommand '/opt/my tools/infra' local connect --gateway /run/g %h %p"),
            "{bastion}"
        );
        assert!(bastion.contains("identityfile /home/a b/100%%.key"), "{bastion}");
        let inner = read("inner");
        assert!(inner.contains("proxyjump bastion") && !inner.contains("proxycommand"), "{inner}");
        let old = read("old");
        let known = old.lines().find(|line| line.starts_with("userknownhostsfile")).unwrap();
        assert!(known.contains("a folder of servers/known_hosts ") && known.ends_with("/.ssh/known_hosts"), "{known}");
        assert!(folder.path().join("a folder of servers").is_dir(), "ssh makes none");
        for read in [&bastion, &inner] {
            assert!(read.contains("a folder/known_hosts\n") && read.contains("serveraliveinterval 60\n"), "{read}");
        }
    }

    #[test]
    fn pins_replace_each_other_by_alias() {
        let folder = tempfile::tempdir().unwrap();
        let servers = folder.path().join("servers");
        let files = Files::new(folder.path().join("one"), servers.clone());
        let at = At::Instance;
        assert!(!files.is_pinned(&at, "i-1"));
        files.pin(&at, "i-1", &["ssh-ed25519 AAAA".into(), "ssh-rsa BBBB".into()]).unwrap();
        files.pin(&at, "i-12", &["ssh-ed25519 CCCC".into()]).unwrap();
        files.pin(&at, "i-1", &["ssh-ed25519 DDDD".into()]).unwrap();
        assert_eq!(files.pinned(&at, "i-1").collect::<Vec<_>>(), ["ssh-ed25519 DDDD"]);
        assert_eq!(files.pinned(&at, "i-12").collect::<Vec<_>>(), ["ssh-ed25519 CCCC"]);
        // A server's are the same for all that the stack is managed from; an instance's are not.
        let server = At::Server { address: "example.org".into(), port: 22, host_key: None };
        files.pin(&server, "example.org", &["ssh-ed25519 EEEE".into()]).unwrap();
        let other = Files::new(folder.path().join("other"), servers);
        assert!(other.is_pinned(&server, "example.org") && !other.is_pinned(&at, "i-1"));
    }
}
