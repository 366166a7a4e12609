//! A pipeline's DAG on Airflow's host: the script that triggers, follows and lists its runs, and what it tells.
//!
//! It is a program for Airflow's own Python (`templates/hosts/airflow/runs`), which travels on the connection and asks
//! Airflow's database: one start of Airflow's, which takes seconds, for a whole run.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;

use crate::{hosts::shell, stacks::pipeline_host::dag};

const PROGRAM: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/hosts/airflow/runs"));
/// What a line for us begins with.
const MARK: &str = "infra\t";

/// Something that the program tells.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Told {
    /// The host has nothing of the pipeline.
    Missing,
    /// It has another version of it than the one that is to run.
    Other {
        /// The one that it has.
        version: String,
    },
    /// Nothing was done.
    Refused {
        /// For this reason.
        why: String,
    },
    /// Airflow has not read the DAG's file yet as it is now.
    Waits,
    /// Which DAG it is.
    Dag {
        /// Its name in Airflow.
        dag: String,
    },
    /// It was paused, and is no longer.
    Unpaused,
    /// The run was triggered now.
    Started,
    /// It is at work already.
    Joined,
    /// It had ended, and begins anew.
    Again,
    /// It had succeeded before.
    Done {
        /// Its tasks.
        tasks: Vec<Task>,
    },
    /// A task's state changed.
    Task(Task),
    /// The run goes on.
    Still {
        /// Its state.
        state: String,
    },
    /// The run is over.
    Over {
        /// Its state.
        state: String,
        /// Its tasks.
        tasks: Vec<Task>,
        /// The ends of the logs of those that failed.
        logs: BTreeMap<String, Vec<String>>,
    },
    /// A run of the list.
    Run(Run),
    /// Something of a log.
    Line {
        /// One line.
        line: String,
    },
    /// A log was printed.
    Log {
        /// The run that it is of.
        run: String,
    },
    /// There is no such run.
    None,
}

/// A task of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Task {
    /// Its name in the DAG.
    pub task: String,
    /// Airflow's word, or `waits`.
    pub state: String,
    /// When it began, in seconds since 1970.
    pub began: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// The cluster that it handed on.
    pub cluster: Option<String>,
    /// The steps, likewise.
    pub steps: Vec<String>,
}

/// A run of the DAG.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Run {
    /// Its id in Airflow.
    pub run: String,
    /// The day that it is about.
    #[serde(deserialize_with = "day")]
    pub date: Date,
    /// Airflow's word.
    pub state: String,
    /// When it began, in seconds since 1970.
    pub began: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// Its tasks.
    pub tasks: Vec<Task>,
}

fn day<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// What a run is called: the same for the same work, so that it is found again.
pub fn run_id(pipeline: &str, date: Date, version: &str) -> String {
    format!("infra-{pipeline}-{date}-{version}")
}

/// Airflow has one run for a moment: versions of a day differ by a part of the second in which the day begins.
fn microsecond(version: &str) -> u32 {
    let digits = version.get(..5).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    digits.unwrap_or_default() % 1_000_000
}

/// Triggers the run of a day, or finds it, and follows it to its end.
pub fn follow(pipeline: &str, file: &str, date: Date, version: &str, again: bool) -> String {
    let (id, microsecond) = (run_id(pipeline, date, version), microsecond(version).to_string());
    let (path, date) = (dag(pipeline, file), date.to_string());
    script(&["run", &path, version, &id, &date, &microsecond, if again { "1" } else { "0" }])
}

/// Lists the last runs, the newest days first.
pub fn list(pipeline: &str, file: &str, most: usize) -> String {
    script(&["list", &dag(pipeline, file), &most.to_string()])
}

/// Prints a task's log: of the last run of a day, or of all.
pub fn log(pipeline: &str, file: &str, date: Option<Date>, task: &str) -> String {
    let date = date.map(|date| date.to_string()).unwrap_or_default();
    script(&["log", &dag(pipeline, file), &date, task])
}

fn script(words: &[&str]) -> String {
    let words = shell::words(words.iter().copied());
    format!(
        "cd /\n\
         [ -x /opt/infra/airflow/bin/python ] || {{ printf 'infra\\t{{\"event\": \"missing\"}}\\n'; return 0; }}\n\
         setpriv --reuid airflow --regid airflow --init-groups --reset-env env HOME=/var/lib/airflow \
         AIRFLOW_HOME=/var/lib/airflow AIRFLOW_CONFIG=/etc/airflow/airflow.cfg PYTHONUNBUFFERED=1 \
         PATH=/opt/infra/airflow/bin:/usr/bin:/bin /opt/infra/airflow/bin/python -I - {words} <<'END OF PROGRAM' || exit 1\n\
         {PROGRAM}END OF PROGRAM\n"
    )
}

/// What a line means; nothing where it is not for us.
pub fn read(line: &str) -> Option<Told> {
    serde_json::from_str(line.strip_prefix(MARK)?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn what_the_program_tells_is_understood() {
        let task =
            r#"{"task": "add_step", "state": "success", "began": 1, "ended": 3, "cluster": null, "steps": ["s-1"]}"#;
        let told = read(&format!("infra\t{}", task.replacen('{', r#"{"event": "task", "#, 1)));
        let Some(Told::Task(task_told)) = told else { panic!("{told:?}") };
        assert_eq!((task_told.task.as_str(), task_told.ended, task_told.steps.len()), ("add_step", Some(3), 1));
        let over = format!(
            r#"infra	{{"event": "over", "state": "failed", "tasks": [{task}], "logs": {{"add_step": ["a"]}}}}"#
        );
        assert!(matches!(read(&over), Some(Told::Over { state, .. }) if state == "failed"));
        assert_eq!(read("infra\t{\"event\": \"missing\"}"), Some(Told::Missing));
        assert_eq!(read("infra\t{\"event\": \"none\"}"), Some(Told::None));
        assert_eq!(read("[2024-01-01] INFO - whatever"), None);
    }

    #[test]
    fn a_run_is_the_same_for_the_same_work_and_no_other() {
        let day = date(2020, 1, 2);
        assert_eq!(run_id("vendas", day, "0123456789ab"), "infra-vendas-2020-01-02-0123456789ab");
        assert_ne!(microsecond("0123456789ab"), microsecond("1123456789ab"));
        assert!(microsecond("fffff6789ab0") < 1_000_000);
        let script = follow("vendas", "pipeline_vendas.py", day, "0123456789ab", false);
        let word = " run /var/lib/airflow/dags/vendas/pipeline_vendas.py 0123456789ab infra-vendas-2020-01-02-0123456789ab 2020-01-02 4660 0 <<";
        assert!(script.contains(word), "{}", script.lines().take(5).collect::<Vec<_>>().join("\n"));
        assert!(script.ends_with("\nEND OF PROGRAM\n"));
    }
}
