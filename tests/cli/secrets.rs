//! Secrets are in files that only their owner can read, and nowhere else.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::support::{aws::Aws, cli::Project, server::Server};

const SPEC: [&str; 2] = ["-f", "infra/vendas.yaml"];

#[test]
fn no_secret_is_printed_logged_tagged_or_planned() {
    let server = Server::under_test();
    let project = Project::new(&server.endpoint, None);
    let mut told = String::new();
    let mut run = |arguments: &[&str]| {
        let run = project.local(&[&SPEC, arguments].concat()).expect(0);
        told.push_str(&run.out);
        told.push_str(&run.err);
    };
    run(&["plan", "--out", "first.plan"]);
    run(&["-vv", "apply", "--yes", "--json"]);
    let first = secrets(&project);
    run(&["-vv", "apply", "--yes"]);
    run(&["-vv", "apply", "--yes", "--rotate", "iam_user/airflow"]);
    let second = secrets(&project);
    run(&["-vv", "plan", "--json", "--out", "second.plan"]);
    for verb in ["status", "output", "verify"] {
        run(&["-vv", verb]);
        run(&["-vv", verb, "--json"]);
    }
    run(&["output", "iam_user/airflow.access_key"]);

    assert_ne!(first, second, "--rotate replaces the user's key");
    let known: Vec<&String> = first.iter().chain(&second).collect();
    assert!(known.len() >= 6, "a secret and the lines of a private key, twice: {}", known.len());
    // What is searched is worth searching.
    assert!(told.contains("airflow") && told.contains("key_pair/admin"));

    let aws = Aws::new(&server.endpoint, "sa-east-1");
    told.push_str(&aws.run("resourcegroupstaggingapi get-resources").to_string());
    told.push_str(&aws.run("ec2 describe-tags").to_string());
    told.push_str(&aws.run("ec2 describe-instances").to_string());
    told.push_str(&aws.run("iam list-user-tags --user-name airflow").to_string());
    told.push_str(&aws.run("iam get-account-authorization-details --filter User Role LocalManagedPolicy").to_string());
    for file in files(project.folder()) {
        let inside = file.starts_with(project.path(".infra/secrets"));
        let mode = std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        if inside {
            assert_eq!(mode, 0o600, "{}", file.display());
        } else {
            told.push_str(&String::from_utf8_lossy(&std::fs::read(&file).expect("a readable file")));
        }
    }
    for secret in known {
        assert!(!told.contains(secret.as_str()), "a secret is told: {}…", &secret[..4]);
    }
    let folder = std::fs::metadata(project.path(".infra/secrets/local-vendas")).expect("the folder of secrets");
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

/// The access key's secret and the lines of the private key, as their files hold them.
fn secrets(project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    for file in files(&project.path(".infra/secrets")) {
        for line in std::fs::read_to_string(&file).expect("a text").lines() {
            if let Some((name, secret)) = line.split_once('=')
                && name.trim() == "aws_secret_access_key"
            {
                found.push(secret.trim().to_owned());
            } else if file.extension().is_some_and(|extension| extension == "key")
                && !line.starts_with("-----")
                && line.len() > 16
            {
                found.push(line.to_owned());
            }
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
