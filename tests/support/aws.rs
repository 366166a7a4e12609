//! The aws command line: what somebody uses who changes things by hand, and who counts what is left.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use serde_json::Value;

/// The interpreter of the tests' own environment, which holds the local cloud's requirements and the aws command line.
pub fn python() -> PathBuf {
    std::env::var_os("INFRA_TEST_PYTHON")
        .expect("INFRA_TEST_PYTHON names the tests' Python; `make test` sets it")
        .into()
}

/// The aws command line in one region of the cloud at an endpoint.
pub struct Aws {
    endpoint: String,
    region: String,
}

impl Aws {
    pub fn new(endpoint: &str, region: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), region: region.to_owned() }
    }

    /// Runs a command, whose words are separated by single spaces; returns what it answers, nothing where it says
    /// nothing.
    #[track_caller]
    pub fn run(&self, words: &str) -> Value {
        let globals = ["--endpoint-url", &self.endpoint, "--region", &self.region, "--output", "json"];
        let arguments: Vec<&str> = globals.into_iter().chain(words.split(' ')).collect();
        let (code, out, err) = ask(&arguments);
        assert_eq!(code, 0, "aws {words}: {err}");
        if out.trim().is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("aws {words} answers no JSON: {out}"))
    }

    /// Runs a command that answers with one text, as `--query` picks it.
    #[track_caller]
    pub fn text(&self, words: &str) -> String {
        self.run(words).as_str().unwrap_or_else(|| panic!("aws {words} answers no text")).to_owned()
    }
}

/// The process that runs all commands; it ends when this one does, for want of input.
struct Driver {
    _child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Driver {
    fn start() -> Self {
        let mut command = Command::new(python());
        command.args(["-c", include_str!("aws.py")]).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Nothing of the user's own configuration.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local").env("AWS_PAGER", "");
        let mut child = command.spawn().expect("the aws command line starts");
        let commands = child.stdin.take().expect("a piped stdin");
        let answers = BufReader::new(child.stdout.take().expect("a piped stdout"));
        Self { _child: child, commands, answers }
    }
}

/// Exit code, stdout and stderr of one command.
#[track_caller]
fn ask(arguments: &[&str]) -> (i64, String, String) {
    static DRIVER: OnceLock<Mutex<Driver>> = OnceLock::new();
    let driver = DRIVER.get_or_init(|| Mutex::new(Driver::start()));
    let mut driver = driver.lock().unwrap_or_else(PoisonError::into_inner);
    let line = serde_json::to_string(arguments).expect("texts are JSON") + "\n";
    driver.commands.write_all(line.as_bytes()).expect("the aws command line takes commands");
    let mut answer = String::new();
    driver.answers.read_line(&mut answer).expect("the aws command line answers");
    serde_json::from_str(&answer).unwrap_or_else(|_| panic!("the aws command line answers {answer:?}"))
}
