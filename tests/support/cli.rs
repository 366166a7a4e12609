//! The program itself, run as a user runs it, off a terminal.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A folder with a copy of the shipped specs, in which the program keeps its own files.
pub struct Project {
    folder: tempfile::TempDir,
    endpoint: String,
}

/// What a run printed and how it ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Insists on an exit code; prints everything where it is another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The program under test: the one that cargo built with the tests, or another that `INFRA_TEST_PROGRAM` names.
pub fn program() -> PathBuf {
    std::env::var_os("INFRA_TEST_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_infra").into(), PathBuf::from)
}

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Project {
    /// A project with the shipped specs, on the cloud at `endpoint`. `stack` renames nyc311 and vendas, so that tests can
    /// share a cloud.
    pub fn new(endpoint: &str, stack: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        copy(&root().join("infra"), &folder.path().join("infra"));
        let project = Self { folder, endpoint: endpoint.to_owned() };
        if let Some(stack) = stack {
            for name in ["nyc311", "vendas"] {
                let path = project.path(&format!("infra/{name}.yaml"));
                let text = std::fs::read_to_string(&path).expect("a shipped spec");
                let text = text.replacen(&format!("stack: {name}"), &format!("stack: {stack}{}", &name[..1]), 1);
                std::fs::write(&path, text).expect("a writable copy");
            }
        }
        project
    }

    /// A file of the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a writable project");
    }

    /// Edits a file of the project; the text to replace must be there.
    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).expect("a file of the project");
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, &text.replacen(from, to, 1));
    }

    /// The program with `arguments`, ready to run; through `endpoint` where one is given.
    pub fn command(&self, endpoint: Option<&str>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command.env("INFRA_LOCAL_ENDPOINT", endpoint.unwrap_or(&self.endpoint)).env("NO_COLOR", "1");
        command.env_remove("INFRA_SPEC");
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.command(None, arguments).output().expect("the program starts").into()
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder of the checkout") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copied file");
        }
    }
}
