//! What is heard of a pipeline's unit on its host, as it is told on.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::civil::Date;
use serde_json::json;

use super::summary::tell;
use crate::{
    pipeline::{
        luigi::{News, Watch},
        on_host::{self, End, Told},
    },
    ui,
};

/// How often it is told that the unit still works.
const STILL: Duration = Duration::from_mins(1);

/// A unit that is followed, over one call of its host or several.
pub(super) struct Heard<'a> {
    pub name: &'a str,
    pub host: &'a str,
    pub date: Date,
    pub json: bool,
    /// Whether the whole log is shown.
    pub verbose: bool,
    pub watch: &'a mut Watch,
    /// What exit codes mean.
    pub meanings: &'a BTreeMap<u8, &'static str>,
    /// Whether the unit was started, or found at work.
    pub begun: bool,
    /// How it ended.
    pub over: Option<End>,
    /// Why it was not started.
    pub refused: Option<Told>,
    /// How many lines were heard in this call.
    lines: usize,
    /// How many were told in earlier ones, and come again.
    skip: usize,
    /// When something was told last.
    told: Instant,
}

impl<'a> Heard<'a> {
    pub(super) fn new(
        name: &'a str,
        host: &'a str,
        date: Date,
        json: bool,
        verbose: bool,
        watch: &'a mut Watch,
        meanings: &'a BTreeMap<u8, &'static str>,
    ) -> Self {
        let (begun, over, refused, told) = (false, None, None, Instant::now());
        Self { name, host, date, json, verbose, watch, meanings, begun, over, refused, lines: 0, skip: 0, told }
    }

    /// The host is called, for the first time or again: it tells all lines from the first.
    pub(super) fn call(&mut self) {
        self.skip = self.skip.max(std::mem::take(&mut self.lines));
    }

    /// Whether this call told anything that an earlier one had not.
    pub(super) fn went_on(&self) -> bool {
        self.lines > self.skip
    }

    /// Takes in a line of the script that follows the unit.
    pub(super) fn hear(&mut self, line: &str) {
        let (date, name, host) = (self.date, self.name, self.host);
        match on_host::read(line) {
            None => {}
            Some(refused @ (Told::Missing | Told::Other(_))) => self.refused = Some(refused),
            Some(Told::Started) => {
                self.begun = true;
                self.tell("started", None, format!("{date}: {name} is started on {host}"));
            }
            Some(Told::Joined) => {
                if !self.begun {
                    self.tell("joined", None, format!("{date}: {name} is at work on {host} already, and is followed"));
                }
                self.begun = true;
            }
            Some(Told::Line(text, at)) => {
                self.lines += 1;
                if self.went_on() {
                    self.line(&text, at);
                }
            }
            Some(Told::Still) => {
                if self.told.elapsed() < STILL {
                    return;
                }
                let what = self.watch.at_work().or_else(|| self.watch.last.back().cloned());
                let what = what.map(|what| format!(" ({what})")).unwrap_or_default();
                self.tell("still", None, format!("{date}: {name} still works{what}"));
            }
            Some(Told::Over(end)) => self.over = Some(end),
        }
    }

    fn line(&mut self, text: &str, at: i64) {
        let news = self.watch.hear(text, at);
        // What the unit's own program says, between the lines of what it runs.
        let own = text.starts_with(&format!("{} for {} ", self.name, self.date));
        if self.verbose || own {
            let why = self.why(text).filter(|_| own);
            self.tell("line", None, text.to_owned() + why.as_deref().unwrap_or_default());
        }
        let Some(news) = news.filter(|_| !self.verbose || self.json) else { return };
        let after = news.seconds.map(|seconds| format!(" after {}", ui::time::elapsed(seconds))).unwrap_or_default();
        let step = news.step.as_ref().map(|step| format!(" ({step})")).unwrap_or_default();
        let words = format!("{} {}: {}{after}{step}", self.date, news.task, news.state);
        self.tell("state", Some(&news), words);
    }

    /// Why the unit tries again, where that is what a line says: whoever follows it need not wait for the last try.
    fn why(&self, text: &str) -> Option<String> {
        let code: u8 = text.split_once(" ended with ")?.1.split_once(": again in ")?.0.parse().ok()?;
        let mut why = self.meanings.get(&code).map(|meaning| format!(" ({meaning})")).unwrap_or_default();
        let before = self.watch.last.len().saturating_sub(1);
        for line in self.watch.last.iter().take(before).filter(|_| !self.verbose) {
            why.push_str("\n  ");
            why.push_str(line);
        }
        Some(why)
    }

    fn tell(&mut self, event: &str, news: Option<&News>, words: String) {
        let mut told = json!({ "event": event, "date": self.date.to_string() });
        match news {
            Some(news) => {
                told["job"] = json!(news.task);
                told["state"] = json!(news.state);
                told["step"] = json!(news.step);
                told["seconds"] = json!(news.seconds);
            }
            None => told["text"] = json!(words),
        }
        self.told = Instant::now();
        // Who closed our output does not want it; the unit goes on.
        let _ = tell(self.json, &told, || words);
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_call_that_is_lost_tells_nothing_twice() {
        let mut watch = Watch::new(date(2020, 1, 2));
        let meanings = BTreeMap::from([(30, "a task failed")]);
        let mut heard = Heard::new("p", "h", date(2020, 1, 2), false, false, &mut watch, &meanings);
        let line = |text: &str| format!(r#"{{"MESSAGE":"{text}","__REALTIME_TIMESTAMP":"1000000"}}"#);
        heard.call();
        heard.hear("started\t");
        heard.hear(&line("one"));
        heard.hear(&line("two"));
        assert!(heard.begun && heard.went_on());
        // The second call is lost before it told anything new, the third goes on.
        heard.call();
        heard.hear("joined\t");
        heard.hear(&line("one"));
        assert!(!heard.went_on());
        heard.call();
        for text in ["one", "two", "three"] {
            heard.hear(&line(text));
        }
        heard.hear("over\tResult=success\tExecMainCode=0\tExecMainStatus=0\tstart=0\tnote=");
        assert!(heard.went_on());
        assert_eq!(heard.over.as_ref().and_then(|end| end.code), Some(0));
        assert_eq!(heard.watch.last, ["one", "two", "three"]);
        heard.hear(&line("p for 2020-01-02 ended with 30: again in 5 s, 1 more"));
        let why = heard.why("p for 2020-01-02 ended with 30: again in 5 s, 1 more");
        assert_eq!(why.as_deref(), Some(" (a task failed)\n  one\n  two\n  three"));
        assert_eq!(heard.why("p for 2020-01-02 waits until the run that is at work is over"), None);
    }
}
