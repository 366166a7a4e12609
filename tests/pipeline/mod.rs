//! Pipelines as a user has them, on the cloud under test.

mod deploy;
mod interrupted;
mod mistakes;
mod report;
mod run;
mod unfit;

use std::path::Path;

use serde_json::Value;

use crate::support::{
    aws::Aws,
    cli::{Project, Run, root, unique},
    world::endpoint,
};

/// A project with one pipeline, `daily`, of a stack that no other test has.
struct Daily {
    project: Project,
    stack: String,
    endpoint: String,
}

impl Daily {
    fn new() -> Self {
        Self::at(&endpoint())
    }

    fn at(endpoint: &str) -> Self {
        Self::named(endpoint, unique())
    }

    fn named(endpoint: &str, stack: String) -> Self {
        let project = Project::empty(endpoint);
        let spec = std::fs::read_to_string(root().join("tests/cases/daily.yaml")).expect("the spec of these tests");
        project.write("infra/daily.yaml", &spec.replace("STACK", &stack));
        copy(&root().join("tests/cases/daily"), &project.path("templates/daily"));
        Self { project, stack, endpoint: endpoint.to_owned() }
    }

    fn local(&self, arguments: &[&str]) -> Run {
        self.project.local(arguments)
    }

    /// What a plan would do, a line a step.
    #[track_caller]
    fn steps(&self) -> Vec<String> {
        self.local(&["plan", "--json"]).expect(0).steps()
    }

    /// Edits a file of the template.
    #[track_caller]
    fn edit(&self, file: &str, from: &str, to: &str) {
        self.project.edit(&format!("templates/daily/{file}"), from, to);
    }

    fn aws(&self) -> Aws {
        Aws::new(&self.endpoint, "us-west-2")
    }

    fn bucket(&self) -> String {
        format!("{}-lake", self.stack)
    }

    /// Every key of the bucket.
    fn keys(&self) -> Vec<String> {
        let listed = self.aws().run(&format!("s3api list-objects-v2 --bucket {}", self.bucket()));
        let objects = listed["Contents"].as_array().cloned().unwrap_or_default();
        objects.iter().map(|object| object["Key"].as_str().expect("a key").to_owned()).collect()
    }

    /// The text of an object.
    #[track_caller]
    fn object(&self, key: &str) -> String {
        let file = self.project.path("object");
        self.aws().run(&format!("s3api get-object --bucket {} --key {key} {}", self.bucket(), file.display()));
        std::fs::read_to_string(file).expect("a text")
    }

    /// What the pointer says.
    fn pointer(&self) -> Value {
        serde_json::from_str(&self.object("cod/daily/current.json")).expect("the pointer is JSON")
    }

    /// The current version.
    fn version(&self) -> String {
        self.pointer()["version"].as_str().expect("a version").to_owned()
    }
}

/// The key of a file of a version.
fn code_key(version: &str, path: &str) -> String {
    format!("cod/daily/versions/{version}/{path}")
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
