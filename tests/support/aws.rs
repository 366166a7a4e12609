//! The aws command line: what somebody uses who changes things by hand, and who counts what is left.

use std::{path::PathBuf, process::Command};

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
        let mut command = Command::new(python());
        command.args(["-m", "awscli", "--endpoint-url", &self.endpoint, "--region", &self.region, "--output", "json"]);
        command.args(words.split(' '));
        // Nothing of the user's own configuration, and no way out of this machine.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local").env("AWS_PAGER", "");
        let output = command.output().expect("the aws command line starts");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "aws {words}: {err}");
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
