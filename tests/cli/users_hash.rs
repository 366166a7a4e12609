//! `infra users hash`: a password goes in, never as an argument, and nothing but its hash comes out.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use infra::credentials::password::verify;

use crate::support::cli::{Project, Run, program};

/// Nothing listens there, and nobody looks.
const NOWHERE: &str = "http://127.0.0.1:9";
const PASSWORD: &str = "correct horse battery";

fn piped(project: &Project, input: &[u8]) -> Run {
    let mut command = project.command(None, &["-vv", "users", "hash", "--stdin"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a piped stdin").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends").into()
}

#[track_caller]
fn is_hash_of(run: &Run, password: &str) {
    let hash = run.out.strip_suffix('\n').expect("a line");
    assert!(!hash.contains('\n') && hash.starts_with("$6$rounds=656000$"), "{}", run.out);
    assert!(verify(&password.into(), hash) && !verify(&"another".into(), hash));
    assert!(!run.err.contains(password) && !run.err.contains(hash), "{}", run.err);
}

#[test]
fn a_password_from_stdin() {
    let (project, _) = Project::small(NOWHERE);
    for input in [format!("{PASSWORD}\n"), format!("{PASSWORD}\r\n"), PASSWORD.to_owned()] {
        is_hash_of(&piped(&project, input.as_bytes()).expect(0), PASSWORD);
    }
    let short = piped(&project, b"hunter2\n").expect(0).says(&["warning: fewer than 12 characters"]);
    is_hash_of(&short, "hunter2");
    for (input, why) in [
        (&b""[..], "stdin is empty"),
        (b"\n", "stdin is empty"),
        (b"one\ntwo\n", "stdin has more than one line"),
        (b"a\tb\n", "control character"),
        (b"\xff\n", "stdin cannot be read"),
        (&[b'a'; 600], "600 bytes"),
        (&[b'a'; 10_000], "too large"),
    ] {
        let run = piped(&project, input).expect(1).says(&[why]);
        assert_eq!(run.out, "");
    }
}

#[test]
fn a_password_from_a_file_that_nobody_else_can_read() {
    let (project, _) = Project::small(NOWHERE);
    project.write("secret", &format!("{PASSWORD}\n"));
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(project.path("secret"), permissions).expect("our own file");
    };
    mode(0o600);
    is_hash_of(&project.run(&["users", "hash", "--from", "secret"]).expect(0), PASSWORD);
    mode(0o644);
    let run = project.run(&["users", "hash", "--from", "secret"]).expect(1);
    assert!(run.says(&["others can read this password (mode 0644)", "chmod 600 secret"]).out.is_empty());
    project.run(&["users", "hash", "--from", "nowhere"]).expect(1).says(&["nowhere: there is no such file"]);
}

#[test]
fn a_password_is_never_an_argument() {
    let (project, _) = Project::small(NOWHERE);
    let run = project.run(&["users", "hash", PASSWORD]).expect(2);
    assert_eq!(run.out, "");
    project.run(&["users", "hash", "--stdin", "--from", "secret"]).expect(2);
    // Off a terminal nobody can be asked.
    project.run(&["users", "hash"]).expect(1).says(&["nobody is there to ask", "--stdin"]);
}

/// Runs a program on a terminal of its own, answers each prompt once the echo is off, and prints what the terminal
/// showed, the exit code, and whether the terminal echoes again. A `^C` is typed as one.
const TERMINAL: &str = r#"
import os, pty, sys, termios, time
program, answers = sys.argv[1], sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(program, [program, "users", "hash"])
shown = b""
def until(text):
    global shown
    seen = b""
    while text not in seen:
        try:
            piece = os.read(terminal, 1024)
        except OSError:
            piece = b""
        if not piece:
            break
        seen += piece
        shown += piece
def echoes():
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
for answer in answers:
    until(b": ")
    deadline = time.monotonic() + 10
    while echoes() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.write(terminal, b"\x03" if answer == "^C" else answer.encode() + b"\n")
until(b"\0 never")
_, status = os.waitpid(pid, 0)
sys.stdout.write(shown.decode().replace("\r", ""))
code = os.waitstatus_to_exitcode(status)
print(f"code {code} echo {echoes()}")
"#;

fn on_a_terminal(answers: &[&str]) -> String {
    let mut command = Command::new("python3");
    command.args(["-c", TERMINAL]).arg(program()).args(answers).env("NO_COLOR", "1");
    let run: Run = command.output().expect("python3 runs").into();
    run.expect(0).out
}

#[test]
fn on_a_terminal_it_asks_twice_and_shows_nothing() {
    let shown = on_a_terminal(&[PASSWORD, PASSWORD]);
    assert!(shown.contains("Password: ") && shown.contains("Once more: "), "{shown}");
    assert!(!shown.contains("correct") && !shown.contains('*'), "{shown}");
    let hash = shown.lines().find(|line| line.starts_with("$6$")).unwrap_or_else(|| panic!("{shown}"));
    assert!(verify(&PASSWORD.into(), hash));
    assert!(shown.ends_with("code 0 echo True\n"), "{shown}");

    let shown = on_a_terminal(&[PASSWORD, "another horse"]);
    assert!(shown.contains("the two are not the same") && shown.ends_with("code 1 echo True\n"), "{shown}");
    let shown = on_a_terminal(&[""]);
    assert!(shown.contains("the password is empty") && shown.ends_with("code 1 echo True\n"), "{shown}");
    let shown = on_a_terminal(&["^C"]);
    assert!(shown.ends_with("code 130 echo True\n"), "the terminal must be left as it was: {shown}");
}
