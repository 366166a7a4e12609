//! A stack of a test's own on real hosts, and the people whom it lets in.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    cli::{Project, Run, root, unique},
    lab::{Lab, lab},
};

const SPEC: &str = "infra/hosts.yaml";
/// What the spec's part for the host behind the bastion begins with.
const INNER: &str = "  inner:\n";

/// All that says who may come in, and when it was written; as text, to be compared.
const STATE: &str = r"
find /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/sudoers /etc/sudoers.d /etc/ssh /var/lib/infra \
    -type f ! -name lock -printf '%p %TY-%Tm-%Td %TT %m %u\n' -exec sha256sum {} \; | sort
find /home -path '*/.ssh/*' -type f -printf '%p %TT %m %u\n' -exec sha256sum {} \; | sort
ls /home
systemctl show -p MainPID -p ActiveEnterTimestamp ssh
sshd -T | sort | sha256sum
";

/// A stack on the lab's cloud. It is destroyed with its hosts when the test is over.
pub struct Stack {
    pub lab: &'static Lab,
    pub project: Project,
    pub name: String,
    /// Sockets of connections that stay; a short path, as they must have.
    sockets: tempfile::TempDir,
}

impl Drop for Stack {
    fn drop(&mut self) {
        for host in ["bastion", "inner"] {
            let _ = self.administrator(host).args(["-O", "exit"]).arg(host).stderr(Stdio::null()).status();
        }
        self.local(&["destroy", "--yes", "--no-hosts"]);
    }
}

impl Stack {
    /// A stack with one host, the bastion, and the people of `list`. Nothing of it is there yet. `None` where this
    /// machine cannot have real hosts: a test then returns.
    pub fn bastion(list: &str) -> Option<Self> {
        let stack = Self::both(list)?;
        let text = stack.project.read(SPEC);
        let at = text.find(INNER).expect("the spec has an inner host");
        stack.project.write(SPEC, &text[..at]);
        Some(stack)
    }

    /// A stack with a bastion and a host behind it.
    pub fn both(list: &str) -> Option<Self> {
        lab().map(|lab| Self::on(lab, list))
    }

    /// The same on a cloud of the test's own.
    pub fn on(lab: &'static Lab, list: &str) -> Self {
        let name = unique();
        let project = Project::empty(&lab.endpoint);
        let text = fs::read_to_string(root().join("tests/specs/hosts.yaml")).expect("the spec of hosts");
        project.write(SPEC, &text.replace("STACK", &name));
        for folder in ["keys", "people"] {
            fs::create_dir(project.path(folder)).expect("a writable project");
        }
        let sockets = tempfile::Builder::new().prefix("it-").tempdir_in("/tmp").expect("a folder in /tmp");
        let stack = Self { lab, project, name, sockets };
        stack.list(list);
        stack
    }

    /// The same, applied.
    #[track_caller]
    pub fn applied(self) -> Self {
        self.local(&["apply", "--yes"]).expect(0);
        self
    }

    /// Writes `users.txt`; who has no key yet gets one.
    pub fn list(&self, list: &str) {
        for login in list.lines().filter_map(|line| line.split_whitespace().next()) {
            self.key(login);
        }
        self.project.write("users.txt", list);
    }

    /// Makes the key of a name, where it has none: `keys/NAME.pub`, and the private half where nothing ships it.
    pub fn key(&self, name: &str) {
        let private = self.project.path(&format!("people/{name}"));
        if private.exists() {
            return;
        }
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&private);
        assert!(make.status().expect("ssh-keygen runs").success());
        let public = private.with_extension("pub");
        fs::rename(public, self.project.path(&format!("keys/{name}.pub"))).expect("a public key");
    }

    /// The public key of a name, in one line.
    pub fn public_key(&self, name: &str) -> String {
        self.project.read(&format!("keys/{name}.pub")).trim().to_owned()
    }

    /// Edits the spec.
    #[track_caller]
    pub fn edit(&self, from: &str, to: &str) {
        self.project.edit(SPEC, from, to);
    }

    /// Runs the program on the local cloud.
    pub fn local(&self, arguments: &[&str]) -> Run {
        self.project.local(arguments)
    }

    /// Applies what concerns people.
    pub fn apply(&self) -> Run {
        self.local(&["users", "apply", "--yes"])
    }

    /// Insists that nothing is left to do.
    #[track_caller]
    pub fn converged(&self) {
        let run = self.local(&["verify"]);
        assert_eq!((run.code, run.out.starts_with("Verified: all ")), (Some(0), true), "{}\n{}", run.out, run.err);
    }

    /// What a plan for people would do, a line a step, in alphabetical order.
    #[track_caller]
    pub fn steps(&self) -> Vec<String> {
        let mut steps = self.local(&["users", "plan", "--json"]).expect(0).steps();
        steps.sort();
        steps
    }

    /// A folder with a short path, for sockets of the test's own.
    pub fn sockets(&self) -> &Path {
        self.sockets.path()
    }

    /// The folder in which the program keeps the ways to the hosts.
    pub fn ways(&self) -> PathBuf {
        self.project.path(&format!(".infra/hosts/local-{}", self.name))
    }

    /// The administrator's ssh with a connection that stays, also while sshd takes no new ones.
    fn administrator(&self, host: &str) -> Command {
        let mut command = Command::new("ssh");
        let socket = format!("ControlPath={}/{host}", self.sockets.path().display());
        command.current_dir("/").arg("-F").arg(self.ways().join("ssh_config"));
        command.args(["-o", &socket, "-o", "ControlMaster=auto", "-o", "ControlPersist=120"]);
        command
    }

    /// A script that runs on a host as root, ready to be run.
    pub fn as_root(&self, host: &str) -> Command {
        let mut command = self.administrator(host);
        command.args([host, "sudo", "sh", "-eu"]);
        command
    }

    /// Runs a script on a host as root; returns what it prints.
    #[track_caller]
    pub fn root(&self, host: &str, script: &str) -> String {
        let run = feed(&mut self.as_root(host), script);
        assert_eq!(run.code, Some(0), "{script}\n{}\n{}", run.out, run.err);
        run.out
    }

    /// All that says who may come in on a host.
    #[track_caller]
    pub fn state(&self, host: &str) -> String {
        self.root(host, STATE)
    }

    /// ssh as one of the people, with the key of that name and no other, also on the way: the administrator's stays out of
    /// it. Its arguments are still to come: options, the host, a command.
    pub fn person(&self, login: &str) -> Command {
        self.with_key(login, login)
    }

    /// ssh as one of the people with the key of another.
    pub fn with_key(&self, login: &str, key: &str) -> Command {
        let ours = fs::read_to_string(self.ways().join("ssh_config")).expect("the program wrote its configuration");
        let key = self.project.path("people").join(key);
        let line = |line: &str| match line.split_whitespace().next() {
            Some("User") => format!("  User {login}\n"),
            Some("IdentityFile") => format!("  IdentityFile {}\n", key.display()),
            // At a lower one ssh keeps to itself that an account is closed.
            Some("LogLevel") => "  LogLevel INFO\n".to_owned(),
            _ => format!("{line}\n"),
        };
        let config = key.with_extension(format!("{login}.config"));
        fs::write(&config, ours.lines().map(line).collect::<String>()).expect("a writable project");
        let mut command = Command::new("ssh");
        command.arg("-F").arg(config).stdin(Stdio::null());
        command
    }

    /// Runs a command as one of the people.
    pub fn login(&self, login: &str, host: &str, words: &[&str]) -> Run {
        self.person(login).arg(host).args(words).output().expect("ssh runs").into()
    }

    /// Whether one of the people comes in by key. Who does not was refused: the key is not taken, or the account closed.
    pub fn lets_in(&self, login: &str, host: &str) -> bool {
        let run = self.login(login, host, &["id", "-un"]);
        let refused = ["Permission denied", "account has expired"].iter().any(|said| run.err.contains(said));
        assert!(run.code == Some(0) || refused, "neither let in nor refused: {run:?}");
        run.code == Some(0) && run.out.trim() == login
    }

    /// A folder with an `ssh` that goes before the real one: its script sees `$n`, how many connections were begun so far
    /// with this one, and `$log`, where ssh says why it failed.
    pub fn wrapped_ssh(&self, script: &str) -> PathBuf {
        let folder = self.project.path("wrapped");
        fs::create_dir_all(&folder).expect("a writable project");
        let ssh = folder.join("ssh");
        let text = format!(
            r#"#!/bin/sh
log=/dev/null master= before=
for word; do
    [ "$before" = -E ] && log=$word
    [ "$word" = -M ] && master=1
    before=$word
done
if [ "$master" ]; then
    printf 'one\n' >>{folder}/begun
    n=$(wc -l <{folder}/begun)
    {script}
fi
exec "$real" "$@"
"#,
            folder = folder.display()
        );
        fs::write(&ssh, text.replace("$real", &real_ssh())).expect("a writable project");
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).expect("our own file");
        folder
    }

    /// The program on the local cloud, with the ssh in `folder`.
    pub fn local_with(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = self.project.command(None, &[&["--local"], arguments].concat());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", folder.display()));
        command
    }
}

fn real_ssh() -> String {
    let found = Command::new("sh").args(["-c", "command -v ssh"]).output().expect("sh runs");
    String::from_utf8(found.stdout).expect("a path").trim().to_owned()
}

/// Runs a command with `input`.
pub fn feed(command: &mut Command, input: &str) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("a piped stdin");
    // One that ends early says why on its own.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output: Output = child.wait_with_output().expect("a status");
    output.into()
}

/// Waits until something is so; `what` says what, should it never be.
#[track_caller]
pub fn until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < within, "{what}: not within {within:?}");
        thread::sleep(Duration::from_millis(100));
    }
    began.elapsed()
}
