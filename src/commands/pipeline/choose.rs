//! Which pipeline a verb is about.

use super::super::session::Session;
use crate::{
    error::{Failure, Result},
    spec::nearest,
};

/// The pipelines that are meant: the one that is named, or all.
pub(super) fn all(session: &Session, name: Option<&str>) -> Result<Vec<String>> {
    let known = &session.spec.pipelines;
    if let Some(name) = name {
        return if known.contains_key(name) { Ok(vec![name.to_owned()]) } else { Err(unknown(session, name)) };
    }
    if known.is_empty() {
        return Err(none(session));
    }
    Ok(known.keys().cloned().collect())
}

/// The one pipeline that is meant: the one that is named, or the only one.
pub(super) fn one(session: &Session, name: Option<&str>) -> Result<String> {
    let mut found = all(session, name)?;
    if found.len() > 1 {
        return Err(Failure::new(format!("{} has several pipelines: {}", session.file.display(), found.join(", ")))
            .hint("name the one that you mean"));
    }
    found.pop().ok_or_else(|| none(session))
}

/// A day on the command line.
pub(super) fn day(text: &str) -> std::result::Result<jiff::civil::Date, String> {
    text.parse().map_err(|_| "a day is written YYYY-MM-DD: 2026-02-03".to_owned())
}

fn none(session: &Session) -> Failure {
    Failure::new(format!("{} has no pipeline", session.file.display())).hint("declare one under `pipeline:`")
}

pub(super) fn unknown(session: &Session, name: &str) -> Failure {
    let known = session.spec.pipelines.keys().map(String::as_str);
    let failure = Failure::new(format!("{} has no pipeline `{name}`", session.file.display()));
    match nearest(name, known.clone()) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint(format!("it has: {}", known.collect::<Vec<_>>().join(", "))),
    }
}
