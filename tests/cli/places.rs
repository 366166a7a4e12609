//! Where a stack is and where its files are: another region, a folder that cannot be written to, a disk that is full.

use std::fs::OpenOptions;

use crate::support::{
    cli::{Project, Run},
    world::endpoint,
};

#[test]
fn a_stack_that_lives_in_another_region_is_not_built_a_second_time() {
    let (project, stack) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);
    project.edit("infra/small.yaml", "region: us-west-2", "region: eu-west-1");
    for verb in [&["plan"][..], &["apply", "--yes"], &["destroy", "--yes"], &["verify"]] {
        project.local(verb).expect(1).says(&[
            &format!("stack {stack} lives in us-west-2"),
            "asks for eu-west-1",
            "infra/small.yaml:3",
            "nothing was changed",
            "destroy it there first",
        ]);
    }
    project.edit("infra/small.yaml", "region: eu-west-1", "region: us-west-2");
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn looking_needs_no_folder_to_write_to_and_changing_says_which() {
    let (project, _) = Project::small(&endpoint());
    // A file where the folder should be: not even root can write below it.
    project.write(".infra", "");
    for verb in [&["plan"][..], &["status"], &["output"]] {
        project.local(verb).expect(0);
    }
    project.local(&["verify"]).expect(2);
    let folder = project.path(".infra").canonicalize().expect("the file");
    project.local(&["apply", "--yes"]).expect(1).says(&[&folder.display().to_string(), "`plan`, `status`"]);
    std::fs::remove_file(folder).expect("the file");
    project.local(&["plan"]).expect(0);
}

#[test]
fn a_full_disk_is_an_error_and_a_reader_that_went_away_is_none() {
    let (project, _) = Project::small(&endpoint());
    let into_full = |arguments: &[&str]| -> Run {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has a full disk");
        project.command(None, arguments).stdout(full).output().expect("the program starts").into()
    };
    for arguments in
        [&["schema"][..], &["validate"], &["--local", "plan"], &["--local", "status"], &["completions", "bash"]]
    {
        into_full(arguments).expect(1).says(&["cannot write the answer", "No space left"]);
    }
    // What was begun is finished, and then told.
    into_full(&["--local", "apply", "--yes", "--json"]).expect(1).says(&["No space left"]);
    project.local(&["verify"]).expect(0);
    project.local(&["destroy", "--yes"]).expect(0);

    let mut command = project.command(None, &["schema"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("the program starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("a status").success());
}

#[test]
fn a_private_key_that_is_not_here_is_told() {
    let (project, stack) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);
    let file = format!(".infra/secrets/local-{stack}/admin.key");
    for verb in ["status", "output", "plan"] {
        let run = project.local(&[verb]).expect(0);
        assert!(!(run.out + &run.err).contains("admin.key"), "nothing is missing yet");
    }
    std::fs::remove_file(project.path(&file)).expect("the private key");
    for verb in ["status", "output", "plan"] {
        let run = project.local(&[verb]).expect(0);
        let told = run.out + &run.err;
        assert!(told.contains("key_pair/admin") && told.contains(&file), "{verb}: {told}");
    }
    project.local(&["destroy", "--yes"]).expect(0);
}

#[test]
fn without_credentials_the_first_line_says_what_to_do() {
    let (project, _) = Project::small(&endpoint());
    let mut command = project.command(None, &["plan"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", project.folder());
    let run: Run = command.output().expect("the program starts").into();
    let run = run.expect(1);
    let first = run.err.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: no AWS credentials were found: set AWS_PROFILE"), "{}", run.err);
}

#[test]
fn from_inside_the_folder_of_specs_it_is_the_same_workspace() {
    let (project, stack) = Project::small(&endpoint());
    project.local(&["apply", "--yes"]).expect(0);
    for file in ["small.yaml", "./small.yaml", "../infra/small.yaml"] {
        let mut verify = project.command(None, &["--local", "-f", file, "verify"]);
        let run: Run = verify.current_dir(project.path("infra")).output().expect("it starts").into();
        run.expect(0);
        let mut apply = project.command(None, &["--local", "-f", file, "apply", "--yes"]);
        let run: Run = apply.current_dir(project.path("infra")).output().expect("it starts").into();
        run.expect(0);
        assert!(!project.path("infra/.infra").exists(), "{file}");
    }
    assert!(project.path(&format!(".infra/journal/local-{stack}")).exists());
    project.local(&["destroy", "--yes"]).expect(0);
}
