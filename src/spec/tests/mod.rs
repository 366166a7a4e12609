//! Tests of whole specs.

mod bad;
mod finding;
mod good;
mod hostile;
mod schema;
mod users;

use std::path::PathBuf;

use super::{LoadOptions, Spec, SpecErrors, load_str};

/// The repository, from this file's own path.
fn repository() -> PathBuf {
    std::path::Path::new(file!()).ancestors().nth(4).expect("four folders deep").to_owned()
}

/// Options that see no environment but these variables.
fn options(env: &'static [(&'static str, &'static str)]) -> LoadOptions {
    let env = move |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    LoadOptions { env: Box::new(env), ..LoadOptions::default() }
}

fn read(text: &str) -> Result<Spec, SpecErrors> {
    load_str("spec.yaml", text, &options(&[("HOME", "/home/ana")]))
}

/// The errors of a spec that must have some, one line each.
fn errors(text: &str) -> Vec<String> {
    let errors = read(text).expect_err(text);
    errors.errors().iter().map(ToString::to_string).collect()
}
