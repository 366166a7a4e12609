//! What came of a run, or of earlier ones: a row a task and day, alike for all orchestrators.

use std::path::Path;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::on_cluster::Cluster;
use crate::{
    error::{Failure, Result},
    pipeline::record::Ran,
    ui,
};

/// The columns.
pub(super) const HEADINGS: [&str; 8] = ["day", "task", "state", "in", "out", "duplicates", "rejected", "time"];
/// What a job may count, by its name in the summary that it writes.
const COUNTED: [&str; 4] = ["in", "out", "duplicates", "rejected"];

/// A task of a day.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub date: String,
    pub task: String,
    /// How it ran; nothing where it was done before.
    pub ran: Option<Ran>,
}

impl Row {
    pub(super) fn new(date: &impl ToString, task: &str, ran: Option<Ran>) -> Self {
        Self { date: date.to_string(), task: task.to_owned(), ran }
    }

    /// It as the row of a table.
    pub(super) fn line(&self) -> Vec<String> {
        let ran = self.ran.as_ref();
        let number = |name: &str| ran.and_then(|ran| ran.number(name)).map(|number| number.to_string());
        let state = ran.map_or("done before", |ran| ran.state.as_str());
        let time = ran.and_then(|ran| ran.seconds).map(ui::time::elapsed).unwrap_or_default();
        let counted = COUNTED.map(|name| number(name).unwrap_or_default());
        [self.date.clone(), self.task.clone(), state.to_owned()].into_iter().chain(counted).chain([time]).collect()
    }

    fn json(&self) -> Value {
        let mut told = json!({
            "date": self.date, "task": self.task,
            "state": self.ran.as_ref().map_or("done before", |ran| ran.state.as_str()),
            "seconds": self.ran.as_ref().and_then(|ran| ran.seconds),
        });
        for name in COUNTED {
            told[name] = json!(self.ran.as_ref().and_then(|ran| ran.number(name)));
        }
        told
    }
}

/// What a run did, what it cost, and where its report is.
pub(super) fn show(rows: &[Row], clusters: &[Cluster], report: Option<&Path>, json: bool) -> Result {
    if json {
        let told: Vec<Value> = rows.iter().map(Row::json).collect();
        let event = json!({
            "event": "done", "jobs": rows.len(), "tasks": told,
            "clusters": clusters.iter().map(Cluster::json).collect::<Vec<_>>(),
            "report": report.map(|file| file.display().to_string()),
        });
        return tell(true, &event, String::new);
    }
    if !rows.is_empty() {
        ui::print(&table(rows))?;
    }
    for cluster in clusters {
        ui::say(&cluster.sentence());
    }
    if let Some(file) = report {
        ui::say(&format!("The run's report: {}", file.display()));
    }
    Ok(())
}

/// The rows under their headings.
pub(super) fn table(rows: &[Row]) -> String {
    ui::table::render(&HEADINGS, &rows.iter().map(Row::line).collect::<Vec<_>>())
}

/// What was done before, and is left out.
pub(super) fn skipped(rows: &[Row], json: bool) -> Result {
    for Row { date, task, .. } in rows {
        let event = json!({ "event": "skipped", "date": date, "job": task });
        tell(json, &event, || format!("{date} {task}: done already"))?;
    }
    Ok(())
}

/// Nothing is left to do.
pub(super) fn all_done(json: bool) -> Result {
    tell(json, &json!({ "event": "done", "jobs": 0 }), || {
        "Nothing is left to do, and no cluster is needed. `--again` does it all anew.".to_owned()
    })
}

/// The first of what failed, and how many more.
pub(super) fn first_of(failures: Vec<Failure>) -> Result {
    let more = failures.len().saturating_sub(1);
    let Some(mut first) = failures.into_iter().next() else { return Ok(()) };
    if more > 0 {
        first.message = format!("{}\nand {more} more of the days failed", first.message);
    }
    Err(first)
}

/// Where it can be read what the steps of a day wrote that failed.
pub(super) fn logs_of_steps(rows: &[Row], date: Date, flags: &str, pipeline: &str) -> Vec<String> {
    let date = date.to_string();
    let failed =
        rows.iter().filter(|row| row.date == date && row.ran.as_ref().is_some_and(|ran| ran.state == "FAILED"));
    let hint = |row: &Row| {
        let task = &row.task;
        format!("`infra{flags} pipeline logs {task} --pipeline {pipeline} --date {date}` prints what its step wrote")
    };
    failed.map(hint).collect()
}

/// Something that happened: words for people, an event for programs.
pub(super) fn tell(json: bool, event: &Value, words: impl FnOnce() -> String) -> Result {
    if json {
        return Ok(ui::print(&format!("{event}\n"))?);
    }
    ui::say(&words());
    Ok(())
}

/// The rows that a job says it had.
pub(super) fn counts(ran: &Ran) -> String {
    let said: Vec<String> = COUNTED.iter().filter_map(|name| Some(format!("{} {name}", ran.number(name)?))).collect();
    if said.is_empty() { String::new() } else { format!(", rows: {}", said.join(", ")) }
}
