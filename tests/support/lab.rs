//! The local cloud whose instances are real hosts: one for the whole run of the tests.
//!
//! `INFRA_TEST_HOSTS` names the folder of a project in which `infra local up --hosts` was run. Where it is not set, the
//! tests start one themselves, which ends with them. Who is not root on Linux gets a skip with its reason; with
//! `CI=true`, or `INFRA_TEST_HOSTS=required`, a skip is a failure.

use std::{
    fs,
    io::Write,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::PathBuf,
    process::{ChildStdin, Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

use super::cli::{Run, program};

/// Reasons of `infra local up --hosts` for which nobody is to blame: it is the machine.
const NOT_HERE: [&str; 6] = [
    "this is not Linux",
    "hosts need root",
    "which is not installed here",
    "does not let hosts be",
    "cannot run steps here (no-java)",
    "cannot run steps here (no-python)",
];

/// A local cloud with real hosts.
#[derive(Debug)]
pub struct Lab {
    /// The project's folder.
    pub folder: PathBuf,
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    /// When this end of the pipe closes, also because the tests were killed, somebody takes it down.
    _end: Option<ChildStdin>,
}

/// The local cloud with real hosts; `None`, and the reason on stderr, where this machine cannot have one.
pub fn lab() -> Option<&'static Lab> {
    static LAB: OnceLock<Result<Lab, String>> = OnceLock::new();
    let lab = LAB.get_or_init(|| {
        let opened = match named() {
            Some(folder) => Ok(Lab::at(folder, None)),
            None => Lab::start(),
        };
        if let Err(reason) = &opened {
            // Straight to stderr: what `eprintln!` says in a test that passes is shown to nobody.
            let _ = writeln!(std::io::stderr(), "skipped: tests on real hosts: {reason}");
        }
        opened
    });
    match lab {
        Ok(lab) => Some(lab),
        Err(reason) if is_required() => panic!("tests on real hosts must not be skipped here, but: {reason}"),
        Err(_) => None,
    }
}

fn variable() -> Option<String> {
    std::env::var("INFRA_TEST_HOSTS").ok().filter(|value| !value.is_empty())
}

fn named() -> Option<PathBuf> {
    variable().filter(|value| value != "required").map(PathBuf::from)
}

fn is_required() -> bool {
    variable().is_some_and(|value| value == "required") || std::env::var("CI").is_ok_and(|value| value == "true")
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

impl Lab {
    /// Starts one that ends with this process.
    pub fn start() -> Result<Self, String> {
        Self::start_with(&[])
    }

    /// The same with more of it: `--spark`.
    pub fn start_with(more: &[&str]) -> Result<Self, String> {
        if !is_root() {
            return Err("hosts are Linux namespaces with a systemd each: run them as root, on Linux".into());
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let up = [&["local", "up", "--hosts", "--speed", "instant"], more].concat();
        let up: Run = command(folder.path(), &up).output().expect("the program starts").into();
        if up.code != Some(0) {
            assert!(NOT_HERE.iter().any(|reason| up.err.contains(reason)), "{}", up.err);
            return Err(up.err.trim().to_owned());
        }
        let folder = folder.keep();
        let mut keeper = Command::new("sh");
        // It names the folder in no argument: what does is looked for when all should be over.
        let script = r#"cat >/dev/null; "$0" local down; exec rm -rf "$(pwd)""#;
        keeper.args(["-c", script]).arg(program()).current_dir(&folder).env_remove("INFRA_LOCAL_ENDPOINT");
        // Not in the group that Ctrl-C ends.
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        #[expect(clippy::zombie_processes, reason = "it outlives the tests: it ends what they leave behind")]
        let mut keeper = keeper.spawn().expect("sh starts");
        Ok(Self::at(folder, keeper.stdin.take()))
    }

    /// The lab, if it runs steps for real; or one of the test's own, which the test takes down. `None`, with the reason,
    /// where this machine cannot run them.
    pub fn with_spark() -> Option<(&'static Self, bool)> {
        let shared = lab()?;
        if shared.status()["spark"] == true {
            return Some((shared, false));
        }
        match Self::start_with(&["--spark"]) {
            Ok(lab) => Some((Box::leak(Box::new(lab)), true)),
            Err(reason) if is_required() => panic!("real steps must not be skipped here, but: {reason}"),
            Err(reason) => {
                let _ = writeln!(std::io::stderr(), "skipped: tests with real steps: {reason}");
                None
            }
        }
    }

    fn at(folder: PathBuf, end: Option<ChildStdin>) -> Self {
        let mut lab = Self { folder, endpoint: String::new(), _end: end };
        let endpoint = lab.status()["endpoint"].as_str().expect("the local cloud is up").to_owned();
        lab.endpoint = endpoint;
        lab
    }

    /// What `infra local status` says.
    pub fn status(&self) -> Value {
        self.run(&["local", "status", "--json"]).expect(0).json()
    }

    /// Runs the program in the lab's own folder.
    pub fn run(&self, arguments: &[&str]) -> Run {
        command(&self.folder, arguments).output().expect("the program starts").into()
    }

    /// A command in the network that the hosts' user is in.
    pub fn exec(&self, words: &[&str]) -> Command {
        let mut command = command(&self.folder, &["local", "exec", "--"]);
        command.args(words);
        command
    }

    /// Takes it down, and removes its folder.
    pub fn down(&self) {
        self.run(&["local", "down"]).expect(0);
        fs::remove_dir_all(&self.folder).expect("a folder of this test");
    }
}

fn command(folder: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command.env("NO_COLOR", "1").env_remove("INFRA_LOCAL_ENDPOINT").env_remove("INFRA_SPEC");
    command
}
