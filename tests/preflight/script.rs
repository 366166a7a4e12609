//! The script that the reaper runs on its host, beside AWS's own library.

use std::process::Command;

use crate::support::{aws::python, cli::root};

#[test]
fn requests_are_signed_as_by_aws_s_own_library() {
    for token in ["", "A/TOKEN+of=a/role"] {
        let mut command = Command::new(python());
        command
            .arg(root().join("tests/preflight/signed.py"))
            .arg(root().join("templates/hosts/cluster/cluster"))
            .arg(token);
        let run = command.output().expect("python starts");
        let out = String::from_utf8(run.stdout).expect("a text");
        let [ours, theirs] = out.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{:?}", run.stderr) };
        assert!(ours == theirs && ours.len() == 64, "{out}");
    }
}
