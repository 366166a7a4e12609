//! `infra pipeline test`.

use clap::Args;

use super::super::{Globals, load};
use crate::{
    error::{Failure, Result},
    local,
    pipeline::trial,
    spec::nearest,
    ui,
};

/// Runs a template's own tests (`tests/test_*.py`, unittest) on this machine, with a real Spark, in one session.
///
/// It needs neither an account nor the local cloud, but Java 17, 11 or 8; the Spark is the one of `infra local up --spark`,
/// installed once.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  infra pipeline test\n  infra pipeline test names")]
pub(super) struct Test {
    /// The template; that of the spec's only pipeline unless said.
    name: Option<String>,
}

impl Test {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let root = load::templates(globals)?;
        let name = if let Some(name) = self.name {
            name
        } else {
            let (file, spec) = load::as_deployed(globals)?;
            let mut names = spec.pipelines.values().map(|pipeline| pipeline.template.value.clone());
            match (names.next(), names.next()) {
                (Some(only), None) => only,
                (None, _) => return Err(Failure::new(format!("{} has no pipeline", file.display()))),
                _ => return Err(Failure::new("the spec has several pipelines").hint("name one template")),
            }
        };
        let folder = root.join(&name);
        if !folder.is_dir() {
            let failure = Failure::new(format!("there is no template {}", folder.display()));
            let there = std::fs::read_dir(&root).into_iter().flatten().flatten();
            let there: Vec<String> = there.filter_map(|entry| entry.file_name().into_string().ok()).collect();
            return Err(failure.hint(match nearest(&name, there.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("`infra pipeline new {name}` makes one"),
            }));
        }
        if !folder.join("tests").is_dir() {
            return Err(Failure::new(format!("{} has no tests", folder.display()))
                .hint(format!("write some: {}/tests/test_NAME.py, for Python's unittest", folder.display())));
        }
        let spark = local::spark().await?;
        if trial::run(&spark, &folder).await? {
            ui::say(&format!("The tests of {} passed.", folder.display()));
            return Ok(());
        }
        Err(Failure::new(format!("tests of {} failed", folder.display())))
    }
}
