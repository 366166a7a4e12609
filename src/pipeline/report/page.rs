//! The page as HTML, in one file: no script, no font, nothing from anywhere else, so that it can be opened where there is
//! no network, sent by mail, and kept. What it shows is data, and is escaped, whatever it says.

use anyhow::{Context, Result};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, value::Serde};

use super::{Report, view};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/report/page.html"));

/// The report as a page.
pub fn render(report: &Report) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // By the kind of file, and not by a name that could be changed.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let page = environment.template_from_named_str("page.html", PAGE).context("the report's template is wrong")?;
    page.render(Serde(view::of(report))).context("the report's template cannot be filled in")
}
