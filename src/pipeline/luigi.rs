//! What luigi writes, read as what its tasks do: which one runs, which step of the cluster is its, how it ended.
//!
//! Lines of luigi's own logger, and of `tasks.py` of a template, which says `JOB DAY: step s-… on j-… is STATE`. A
//! pipeline whose command is no luigi has no tasks that could be told from its lines.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Write,
};

use jiff::civil::Date;

/// So many of the last lines are kept, to be shown where the run fails.
const LAST_LINES: usize = 20;

/// What a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said<'a> {
    /// A task runs, is done or failed.
    Task { task: &'a str, word: &'static str },
    /// A step of the cluster is in a state.
    Step { what: &'a str, step: &'a str, cluster: &'a str, state: &'a str },
}

/// A task of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// luigi's name of it, without the day that the run is about: `Extract(kind=new)`.
    pub task: String,
    /// What its step is called, without the day: `preprocess`.
    pub program: Option<String>,
    /// Whether the step is about the day of the run, or about no day at all.
    pub of_the_day: bool,
    /// `runs`, `done` or `failed`.
    pub state: String,
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// Cluster and step, where a step does its work.
    pub step: Option<(String, String)>,
    /// The step's state.
    pub step_state: String,
}

/// Something to tell: of which task, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The task, or what its step is called.
    pub task: String,
    /// `runs`, `done`, `failed`, or a step's state.
    pub state: String,
    /// The step, where it is one.
    pub step: Option<String>,
    /// How long it took, where it ended.
    pub seconds: Option<i64>,
}

/// A run as far as it has been followed.
#[derive(Clone, Debug)]
pub struct Watch {
    date: String,
    /// Its tasks, in the order in which they began.
    pub tasks: Vec<Seen>,
    /// The last lines.
    pub last: VecDeque<String>,
}

impl Watch {
    /// Of a day of which nothing is known yet.
    pub fn new(date: Date) -> Self {
        Self { date: date.to_string(), tasks: Vec::new(), last: VecDeque::new() }
    }

    /// Takes in a line; returns what is new.
    pub fn hear(&mut self, line: &str, at: i64) -> Option<News> {
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
        match read(line)? {
            Said::Task { task, word } => {
                let task = without_day(task, &self.date);
                let running = self.tasks.iter_mut().rfind(|seen| seen.task == task && seen.ended.is_none());
                let seconds = match (running, word) {
                    (Some(_), "runs") => return None,
                    (None, "runs") => {
                        let seen = Seen { task: task.clone(), state: word.into(), began: at, ..Seen::default() };
                        // One that is tried again has one row.
                        self.tasks.retain(|seen| seen.task != task);
                        self.tasks.push(seen);
                        None
                    }
                    (Some(seen), word) => {
                        word.clone_into(&mut seen.state);
                        seen.ended = Some(at);
                        Some(at - seen.began)
                    }
                    (None, _) => None,
                };
                Some(News { task, state: word.into(), step: None, seconds })
            }
            Said::Step { what, step, cluster, state } => {
                let (program, of) = what.rsplit_once(' ').unwrap_or((what, ""));
                let of_the_day = of == self.date || !of.starts_with(|c: char| c.is_ascii_digit());
                let own = (cluster.to_owned(), step.to_owned());
                let known = self.tasks.iter().position(|seen| seen.step.as_ref() == Some(&own));
                // A task waits for its step: the last that runs and has none is the one.
                let waiting = || self.tasks.iter().rposition(|seen| seen.ended.is_none() && seen.step.is_none());
                if let Some(at) = known.or_else(waiting) {
                    let seen = &mut self.tasks[at];
                    seen.program = Some(program.to_owned());
                    seen.of_the_day = of_the_day;
                    seen.step = Some(own);
                    state.clone_into(&mut seen.step_state);
                }
                let task = if of_the_day { program } else { what };
                Some(News { task: task.to_owned(), state: state.into(), step: Some(step.into()), seconds: None })
            }
        }
    }

    /// What is at work, in a few words; nothing where no task is.
    pub fn at_work(&self) -> Option<String> {
        let running = self.tasks.iter().filter(|seen| seen.ended.is_none());
        let mut words = String::new();
        for seen in running {
            let comma = if words.is_empty() { "" } else { ", " };
            let _ = match &seen.step {
                Some((_, step)) => write!(words, "{comma}{}: step {step} is {}", seen.task, seen.step_state),
                None => write!(words, "{comma}{} runs", seen.task),
            };
        }
        (!words.is_empty()).then_some(words)
    }

    /// The tasks that failed, each once.
    pub fn failed(&self) -> Vec<&str> {
        let failed = self.tasks.iter().filter(|seen| seen.state == "failed").map(|seen| seen.task.as_str());
        failed.collect::<BTreeSet<&str>>().into_iter().collect()
    }
}

fn read(line: &str) -> Option<Said<'_>> {
    if let Some((_, rest)) = line.split_once("] Worker ") {
        // The worker's name can be anything; luigi writes the word in ten columns.
        let words = [(" running   ", "runs"), (" done      ", "done"), (" failed    ", "failed")];
        let (at, (word, told)) = words.iter().filter_map(|word| Some((rest.find(word.0)?, *word))).min()?;
        return Some(Said::Task { task: rest[at + word.len()..].trim(), word: told });
    }
    let (before, rest) = line.split_once(": step s-")?;
    let what = before.rsplit_once(": ").map_or(before, |(_, what)| what);
    let step = &line[line.len() - rest.len() - 2..];
    let (step, rest) = step.split_once(" on ")?;
    let (cluster, state) = rest.split_once(" is ")?;
    let state = state.split(|c: char| !c.is_ascii_uppercase() && c != '_').next()?;
    (!state.is_empty()).then_some(Said::Step { what, step, cluster, state })
}

/// A task's name without the parameter that every task of the run has.
fn without_day(task: &str, date: &str) -> String {
    let day = format!("day={date}");
    let Some((family, parameters)) = task.split_once('(') else { return task.to_owned() };
    let parameters = parameters.strip_suffix(')').unwrap_or(parameters);
    let left: Vec<&str> =
        parameters.split(", ").filter(|parameter| *parameter != day && !parameter.is_empty()).collect();
    if left.is_empty() { family.to_owned() } else { format!("{family}({})", left.join(", ")) }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// As luigi 3.8.1 writes them.
    const WORKER: &str = "INFO: [pid 7] Worker Worker(salt=91, workers=1, host=h, username=infra-pipelines, pid=7)";

    fn told(watch: &mut Watch, line: &str, at: i64) -> Option<String> {
        let news = watch.hear(line, at)?;
        let step = news.step.map(|step| format!(" {step}")).unwrap_or_default();
        let seconds = news.seconds.map(|seconds| format!(" {seconds} s")).unwrap_or_default();
        Some(format!("{} {}{step}{seconds}", news.task, news.state))
    }

    #[test]
    fn tasks_and_steps_are_read_from_luigi_s_own_lines() {
        let mut watch = Watch::new(date(2020, 1, 2));
        let mut hear = |line: &str, at| told(&mut watch, line, at);
        let line = |rest: &str| format!("{WORKER} {rest}");
        assert_eq!(hear("INFO: Informed scheduler that task   Clean_1   has status   PENDING", 1), None);
        assert_eq!(hear(&line("running   Extract(day=2020-01-02, kind=new)"), 1).unwrap(), "Extract(kind=new) runs");
        assert_eq!(
            hear(&line("done      Extract(day=2020-01-02, kind=new)"), 5).unwrap(),
            "Extract(kind=new) done 4 s"
        );
        assert_eq!(hear(&line("running   Preprocess(day=2020-01-02)"), 6).unwrap(), "Preprocess runs");
        let state = |state: &str| format!("INFO: preprocess 2020-01-02: step s-2A on j-1B is {state}");
        assert_eq!(hear(&state("PENDING"), 7).unwrap(), "preprocess PENDING s-2A");
        assert_eq!(hear(&state("FAILED"), 8).unwrap(), "preprocess FAILED s-2A");
        assert_eq!(
            hear(&line("failed    Preprocess(day=2020-01-02)").replace("INFO", "ERROR"), 9).unwrap(),
            "Preprocess failed 3 s"
        );
        assert_eq!(
            hear("INFO: preprocess 2020-01-01_2020-01-31: step s-3A on j-1B is RUNNING", 9).unwrap(),
            "preprocess 2020-01-01_2020-01-31 RUNNING s-3A"
        );
        assert_eq!(watch.failed(), ["Preprocess"]);
        let seen = &watch.tasks[1];
        assert_eq!(seen.step, Some(("j-1B".to_owned(), "s-2A".to_owned())));
        assert_eq!(
            (seen.program.as_deref(), seen.of_the_day, seen.step_state.as_str()),
            (Some("preprocess"), true, "FAILED")
        );
        assert_eq!(watch.last.len(), 8);
    }

    #[test]
    fn a_task_that_is_tried_again_is_one_task() {
        let mut watch = Watch::new(date(2020, 1, 2));
        for (word, at) in [("running  ", 1), ("failed   ", 2), ("running  ", 10), ("done     ", 15)] {
            watch.hear(&format!("{WORKER} {word} Clean(day=2020-01-02)"), at);
        }
        let [seen] = &watch.tasks[..] else { panic!("{:?}", watch.tasks) };
        assert_eq!((seen.state.as_str(), seen.began, seen.ended), ("done", 10, Some(15)));
        assert!(watch.failed().is_empty() && watch.at_work().is_none());
    }

    #[test]
    fn what_only_looks_like_it_is_left_alone() {
        let mut watch = Watch::new(date(2020, 1, 2));
        let named = read("INFO: [pid 7] Worker nyc311 done      Clean(day=2020-01-02)");
        assert_eq!(named, Some(Said::Task { task: "Clean(day=2020-01-02)", word: "done" }));
        for line in [
            "",
            "a: step s-1",
            "x Worker Worker(",
            "[pid 7] Worker nyc311 was stopped. Shutting down",
            "step s-1 on j-1 is RUNNING",
            "é: step s-1 on j-1 is é",
        ] {
            assert_eq!(watch.hear(line, 0), None, "{line}");
        }
    }
}
