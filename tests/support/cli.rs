//! The program itself, run as a user runs it, off a terminal.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::{aws::python, world::is_stock};

/// What the tests' small spec begins as.
const SMALL: &str = "tests/cases/small.yaml";
/// The host image of the specs, and one that stock moto has too.
const IMAGES: (&str, &str) = (
    "image: ubuntu-22.04",
    r#"image: { owner: "099720109477", name: "ubuntu/images/hvm-ssd/ubuntu-*-amd64-server-*" }"#,
);

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

    /// Insists that all of `texts` stand in what was said on stderr.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.err.contains(text), "no {text:?} in\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        }
        self
    }

    /// What was printed on stdout, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.out, self.err))
    }

    /// A plan that was printed as JSON, one line a step: `update vpc/main dns_support tags.owner`.
    #[track_caller]
    pub fn steps(&self) -> Vec<String> {
        let plan = self.json();
        let steps = plan["steps"].as_array().expect("a plan has steps");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let line = |step: &Value| {
            let fields = step["diff"].as_array().into_iter().flatten().map(|change| text(&change["field"]));
            [text(&step["action"]), text(&step["address"])].into_iter().chain(fields).collect::<Vec<_>>().join(" ")
        };
        steps.iter().map(line).collect()
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
        copy(&root().join("keys"), &folder.path().join("keys"));
        for template in ["nyc311", "vendas"] {
            let template = Path::new("templates").join(template);
            copy(&root().join(&template), &folder.path().join(&template));
        }
        std::fs::copy(root().join("users.txt"), folder.path().join("users.txt")).expect("a copied file");
        let project = Self { folder, endpoint: endpoint.to_owned() };
        for name in ["nyc311", "vendas"] {
            let file = format!("infra/{name}.yaml");
            if let Some(stack) = stack {
                project.edit(&file, &format!("stack: {name}"), &format!("stack: {stack}{}", &name[..1]));
            }
            let text = project.read(&file);
            project.write(&file, &for_this_cloud(&text));
        }
        project
    }

    /// A project with one small spec, `infra/small.yaml`, of a stack whose name no other test has; returns the name too.
    pub fn small(endpoint: &str) -> (Self, String) {
        let stack = unique();
        let project = Self::empty(endpoint);
        let text = std::fs::read_to_string(root().join(SMALL)).expect("the small spec");
        project.write("infra/small.yaml", &for_this_cloud(&text).replace("STACK", &stack));
        (project, stack)
    }

    /// A project without a spec, on the cloud at `endpoint`.
    pub fn empty(endpoint: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("infra")).expect("an empty folder");
        Self { folder, endpoint: endpoint.to_owned() }
    }

    /// The project's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The text of a file of the project.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("a file of the project")
    }

    /// A file of the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a writable project");
    }

    /// Writes a program of the project.
    pub fn script(&self, name: &str, text: &str) {
        self.write(name, text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(self.path(name), mode).expect("our own file");
    }

    /// Edits a file of the project; the text to replace must be there.
    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
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

    /// Runs the program on the local cloud to its end.
    pub fn local(&self, arguments: &[&str]) -> Run {
        self.run(&[&["--local"], arguments].concat())
    }

    /// One output of the stack on the local cloud; `flags` name its spec.
    #[track_caller]
    pub fn output(&self, flags: &[&str], name: &str) -> String {
        self.local(&[flags, &["output", name]].concat()).expect(0).out.trim().to_owned()
    }

    /// The id of an object of the stack on the local cloud; `flags` name its spec.
    #[track_caller]
    pub fn id(&self, flags: &[&str], address: &str) -> String {
        let status = self.local(&[flags, &["status"]].concat()).expect(0).out;
        let mut rows = status.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.first() == Some(&address)).unwrap_or_else(|| panic!("no {address} in\n{status}"));
        row[1].to_owned()
    }

    /// Runs the program on a terminal of its own, `columns` wide, where both its streams are one; once it shows
    /// `question` it is given `answer`, as a keyboard would.
    pub fn on_terminal(&self, columns: u16, arguments: &[&str], question: &str, answer: &str) -> Run {
        let inner = self.command(None, arguments);
        let mut command = Command::new(python());
        command.args(["-c", include_str!("terminal.py"), &columns.to_string(), question, answer]);
        command.arg(inner.get_program()).args(inner.get_args()).current_dir(self.folder()).stdin(Stdio::null());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let run: Run = command.env("TERM", "xterm").output().expect("python starts").into();
        let (code, out) = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        Run { code: Some(code), out, err: String::new() }
    }

    /// Starts the program, to do something to it while it runs.
    pub fn start(&self, endpoint: &str, arguments: &[&str]) -> Running {
        Running::start(self.command(Some(endpoint), arguments))
    }
}

/// The program while it runs.
pub struct Running {
    child: Child,
    err: BufReader<ChildStderr>,
    said: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts a command, to read what it says while it runs.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let err = BufReader::new(child.stderr.take().expect("a piped stderr"));
        Self { child, err, said: String::new() }
    }

    /// Returns once the program has said `text` on stderr.
    #[track_caller]
    pub fn until(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            let length = self.err.read_line(&mut line).expect("the program says UTF-8");
            assert!(length > 0, "the program ended without {text:?}:\n{}", self.said);
            self.said.push_str(&line);
            if line.contains(text) {
                return;
            }
        }
    }

    /// Sends what Ctrl-C sends.
    pub fn interrupt(&self) {
        let status = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Ends it with SIGKILL: nothing in it gets to tidy up.
    pub fn kill(mut self) {
        self.child.kill().expect("the program can be killed");
    }

    /// Waits for its end, at most a minute.
    #[track_caller]
    pub fn end(mut self) -> Run {
        let (mut out, mut err) = (String::new(), std::mem::take(&mut self.said));
        let pid = self.child.id().to_string();
        let (done, still_running) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            if still_running.recv_timeout(Duration::from_mins(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let _ = Command::new("kill").args(["-KILL", &pid]).status();
            }
        });
        self.err.read_to_string(&mut err).expect("the program says UTF-8");
        self.child.stdout.take().expect("a piped stdout").read_to_string(&mut out).expect("the program prints UTF-8");
        let code = self.child.wait().expect("a status").code();
        drop(done);
        Run { code, out, err }
    }
}

/// A name for a stack that no other test has, on a cloud that may have seen earlier runs; always of one length, so that
/// views wrap alike.
pub fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is set").as_millis();
    format!("t{:09x}{:03x}", now & 0xf_ffff_ffff, NEXT.fetch_add(1, Ordering::Relaxed) & 0xfff)
}

/// A spec for the cloud under test: stock moto has few images.
fn for_this_cloud(spec: &str) -> String {
    if is_stock() { spec.replace(IMAGES.0, IMAGES.1) } else { spec.to_owned() }
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
