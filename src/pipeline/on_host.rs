//! A pipeline's unit on its host: the scripts that start it, follow it, end it and ask what became of it, and what they
//! tell.
//!
//! The unit is systemd's (`stacks/pipeline_host.rs`): it goes on whatever becomes of whoever follows it, and there is one
//! for a day, so that who comes later finds it at work and follows it. What it writes is in the host's journal.

use std::{collections::BTreeMap, fmt::Write};

use jiff::civil::Date;
use serde_json::Value;

use crate::{
    hosts::shell,
    stacks::{
        pipeline::DESCRIPTION,
        pipeline_host::{folder, notes, program, unit, unit_of_day},
    },
};

/// What a script tells while it follows a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The host has nothing of the pipeline.
    Missing,
    /// The host has this version of it, and not the one that is to run.
    Other(String),
    /// The unit was started now.
    Started,
    /// It was at work already.
    Joined,
    /// It wrote a line, at this moment in seconds since 1970.
    Line(String, i64),
    /// It is at work still.
    Still,
    /// It is over.
    Over(End),
}

/// How a unit ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Its exit code; nothing where it was ended before it could say one.
    pub code: Option<u8>,
    /// What systemd says of it where there is no code: `signal`, `oom-kill`, …
    pub result: String,
}

/// What a host notes of a day: one line of a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When it began, in seconds since 1970.
    pub began: i64,
    /// When it ended; nothing while it runs, or where it was cut short.
    pub ended: Option<i64>,
    /// The exit code.
    pub code: Option<u8>,
    /// The version that ran.
    pub version: String,
    /// The unit's run, by which the journal has its lines.
    pub invocation: String,
}

impl Note {
    /// `BEGAN ENDED CODE VERSION INVOCATION`, where `-` is nothing.
    pub fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [began, ended, code, version, invocation] = words[..] else { return None };
        Some(Self {
            began: began.parse().ok()?,
            ended: ended.parse().ok(),
            code: code.parse().ok(),
            version: version.to_owned(),
            invocation: invocation.to_owned(),
        })
    }
}

/// What a host says of a pipeline without starting anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The version that the host has; nothing where it has none.
    pub version: Option<String>,
    /// The units that are at work.
    pub active: Vec<String>,
    /// When the timer starts it next, as systemd writes it.
    pub next: Option<String>,
    /// What is noted of days.
    pub days: BTreeMap<Date, Note>,
}

impl Look {
    /// Takes in a line of what [`look`] prints.
    pub fn hear(&mut self, line: &str) {
        let Some((word, rest)) = line.split_once('\t') else { return };
        match word {
            "version" if !rest.is_empty() => self.version = Some(rest.to_owned()),
            "active" => self.active.push(rest.to_owned()),
            "next" if !rest.is_empty() && rest != "n/a" => self.next = Some(rest.to_owned()),
            "day" => {
                let day = rest.split_once('\t').and_then(|(day, note)| Some((day.parse().ok()?, Note::read(note)?)));
                self.days.extend(day);
            }
            _ => {}
        }
    }

    /// Whether the unit of a day is at work, or the timer's own, which is about the day that it began with.
    pub fn is_at_work(&self, pipeline: &str, date: Date) -> bool {
        let own = unit_of_day(pipeline, date);
        let timers = unit(pipeline);
        let running = self.days.get(&date).is_some_and(|note| note.ended.is_none());
        self.active.iter().any(|active| *active == own || running && *active == timers)
    }
}

/// What all scripts begin with.
fn head(pipeline: &str) -> String {
    let description = shell::quote(&format!("{}/{DESCRIPTION}", folder(pipeline)));
    let program = shell::quote(&program(pipeline));
    format!(
        r#"tell() {{ printf '%s\t%s\n' "$1" "$2"; }}
version=
[ ! -x {program} ] || version=$(sed -n 's/^  "version": "\([^"]*\)".*/\1/p' {description} 2>/dev/null)
"#
    )
}

/// Asks what the host has of a pipeline, and what became of its last days.
pub fn look(pipeline: &str, days: usize) -> String {
    let (notes, own) = (shell::quote(&notes(pipeline)), shell::quote(&unit(pipeline)));
    let made = shell::quote(&format!("pipeline-{pipeline}@*.service"));
    let timer = shell::quote(&format!("pipeline-{pipeline}.timer"));
    head(pipeline)
        + &format!(
            r#"tell version "$version"
systemctl list-units --plain --no-legend --full --state=active,activating,deactivating {own} {made} 2>/dev/null |
    awk '{{ print "active\t" $1 }}'
tell next "$(systemctl show -p NextElapseUSecRealtime --value {timer} 2>/dev/null)"
cd {notes} 2>/dev/null || return 0
ls | sort -r | head -n {days} | while read -r day; do printf 'day\t%s\t%s\n' "$day" "$(cat "$day")"; done
"#
        )
}

/// Starts the unit of a day, unless it is at work, and follows it to its end. `version` is what must be on the host;
/// `resume`: the unit was started before, so that one that has ended is not started again.
pub fn follow(pipeline: &str, date: Date, version: &str, resume: bool) -> String {
    let (unit, timers) = (shell::quote(&unit_of_day(pipeline, date)), shell::quote(&unit(pipeline)));
    let note = shell::quote(&format!("{}/{date}", notes(pipeline)));
    let (version, resume) = (shell::quote(version), if resume { "1" } else { "" });
    head(pipeline)
        + &format!(
            r#"unit={unit} note={note} resume={resume}
field() {{ systemctl show -p "$1" --value "$unit"; }}
noted() {{ [ -e "$note" ] && read -r began ended code of invocation <"$note"; }}
is_active() {{ case $(field ActiveState) in active | activating | deactivating | reloading) ;; *) return 1 ;; esac; }}
work=$(mktemp -d) || return 1
trap 'rm -rf "$work"' EXIT
# The timer's own unit may be at work for this very day.
timers={timers}
if ! is_active && noted && [ "$ended" = - ] && unit=$timers && is_active && [ "$(field InvocationID)" = "$invocation" ]; then
    :
else
    unit={unit}
fi
# The last run that the journal has of the unit.
last() {{
    journalctl -q "_SYSTEMD_UNIT=$unit" -n 1 -o verbose --output-fields=_SYSTEMD_INVOCATION_ID |
        sed -n 's/^ *_SYSTEMD_INVOCATION_ID=//p'
}}
# What systemd knows of one that failed; of one that did not it knows nothing any more.
over() {{
    printf over
    systemctl show -p Result -p ExecMainCode -p ExecMainStatus "$unit" | sed 's/^/\t/' | tr -d '\n'
    printf '\tstart=%s\tnote=%s\n' "$1" "$2"
}}
if is_active; then
    match=_SYSTEMD_INVOCATION_ID=$(field InvocationID)
    tell joined ''
elif [ "$resume" ]; then
    noted || {{ over '' ''; return 0; }}
    journalctl --sync 2>/dev/null
    journalctl -q --all -o json --output-fields=MESSAGE "_SYSTEMD_INVOCATION_ID=$invocation"
    over '' "$code"
    return 0
else
    [ "$version" ] || {{ tell missing ''; return 0; }}
    [ "$version" = {version} ] || {{ tell other "$version"; return 0; }}
    systemctl reset-failed "$unit" 2>/dev/null
    match=
    before=" - $(field InvocationID) $(last) "
    tell started ''
fi
# It is systemd that runs the unit: who waits for it here can be ended without any harm to it.
{{ systemctl start "$unit" 2>"$work/said"; echo "$?" >"$work/ended"; }} </dev/null &
while :; do
    ended=
    [ ! -s "$work/ended" ] || {{ ended=1; journalctl --sync 2>/dev/null; }}
    # By the run and not by the unit and a place in the journal: after a place that is no match itself, journalctl
    # leaves out the first match.
    if [ -z "$match" ]; then
        run=$(field InvocationID)
        [ -n "$run" ] || [ -z "$ended" ] || run=$(last)
        case $before in *" ${{run:--}} "*) ;; *) match=_SYSTEMD_INVOCATION_ID=$run ;; esac
    fi
    [ -z "$match" ] || journalctl -q --all -o json --output-fields=MESSAGE --cursor-file="$work/cursor" "$match"
    [ -z "$ended" ] || break
    tell still ''
    sleep 1
done
over "$(cat "$work/ended")" ''
"#
        )
}

/// Ends the unit of a day.
pub fn stop(pipeline: &str, date: Date) -> String {
    let unit = shell::quote(&unit_of_day(pipeline, date));
    format!("systemctl stop {unit}\nsystemctl reset-failed {unit} 2>/dev/null || true\n")
}

/// What the run wrote that a note is about.
pub fn journal(invocation: &str) -> String {
    let matches = shell::quote(&format!("_SYSTEMD_INVOCATION_ID={invocation}"));
    format!("journalctl -q --all -o json --output-fields=MESSAGE {matches}\n")
}

/// What a line of a script means; nothing where it only leads to the next.
pub fn read(line: &str) -> Option<Told> {
    if line.starts_with('{') {
        let (message, at) = entry(line)?;
        return Some(Told::Line(message, at));
    }
    let (word, rest) = line.split_once('\t')?;
    match word {
        "missing" => Some(Told::Missing),
        "other" => Some(Told::Other(rest.to_owned())),
        "started" => Some(Told::Started),
        "joined" => Some(Told::Joined),
        "still" => Some(Told::Still),
        "over" => Some(Told::Over(ended(rest))),
        _ => None,
    }
}

/// An entry of the journal: what was written, and when.
pub fn entry(line: &str) -> Option<(String, i64)> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let message = match &entry["MESSAGE"] {
        Value::String(text) => text.clone(),
        // What is not UTF-8 comes as numbers.
        Value::Array(bytes) => {
            let bytes = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
            String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
        }
        _ => return None,
    };
    let at: i64 = entry["__REALTIME_TIMESTAMP"].as_str()?.parse().ok()?;
    Some((message, at / 1_000_000))
}

/// `Result=exit-code`, `ExecMainCode=1`, `ExecMainStatus=30`; with what became of the start, or what the host noted.
fn ended(fields: &str) -> End {
    let fields: BTreeMap<&str, &str> = fields.split('\t').filter_map(|field| field.split_once('=')).collect();
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    let code = match (field("start"), field("ExecMainCode")) {
        ("0", _) => Some(0),
        // Of waitid(2): a process that ended by itself.
        (_, "1") => field("ExecMainStatus").parse().ok(),
        _ => field("note").parse().ok(),
    };
    End { code, result: field("Result").to_owned() }
}

/// What the exit codes of a pipeline that luigi runs mean: the section `[retcode]` of its `luigi.cfg`.
pub fn meanings(config: &str) -> BTreeMap<u8, &'static str> {
    let mut inside = false;
    let mut found = BTreeMap::new();
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[retcode]";
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside) {
            let meaning = match key.trim() {
                "already_running" => "another luigi is at work on the same tasks",
                "missing_data" => "data that a task needs is not there",
                "not_run" => "luigi's scheduler gave it tasks that it could not run",
                "task_failed" => "a task failed",
                "scheduling_error" => "luigi could not tell what is to be done: a setting is missing or wrong",
                "unhandled_exception" => "luigi itself failed",
                _ => continue,
            };
            found.extend(value.trim().parse().ok().map(|code: u8| (code, meaning)));
        }
    }
    found
}

impl End {
    /// How it ended, in words.
    pub fn in_words(&self, meanings: &BTreeMap<u8, &'static str>) -> String {
        let Some(code) = self.code else {
            return match self.result.as_str() {
                "oom-kill" => "was ended because the host had no memory left".to_owned(),
                "" | "success" => "was ended before it was done".to_owned(),
                other => format!("was ended before it was done ({other})"),
            };
        };
        let mut words = format!("ended with {code}");
        // The program's own: templates/hosts/pipeline/run.
        let own = match code {
            64 => Some("the day was not understood"),
            70 => Some("its files on the host are not whole"),
            _ => None,
        };
        if let Some(meaning) = meanings.get(&code).copied().or(own) {
            let _ = write!(words, ": {meaning}");
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn what_scripts_tell_is_understood() {
        let line = r#"{"MESSAGE":"a line","__REALTIME_TIMESTAMP":"1764000000123456","__CURSOR":"s=1"}"#;
        assert_eq!(read(line), Some(Told::Line("a line".into(), 1_764_000_000)));
        let bytes = r#"{"MESSAGE":[97,255,98],"__REALTIME_TIMESTAMP":"1764000000123456"}"#;
        assert_eq!(read(bytes), Some(Told::Line("a\u{fffd}b".into(), 1_764_000_000)));
        assert_eq!(read(r#"{"MESSAGE":null,"__REALTIME_TIMESTAMP":"1"}"#), None);
        assert_eq!(read("other\t0123"), Some(Told::Other("0123".into())));
        let over = |fields: &str| match read(&format!("over\t{fields}")) {
            Some(Told::Over(end)) => end.code,
            other => panic!("{other:?}"),
        };
        // Done, and forgotten by systemd.
        assert_eq!(over("Result=success\tExecMainCode=0\tExecMainStatus=0\tstart=0\tnote="), Some(0));
        assert_eq!(over("Result=exit-code\tExecMainCode=1\tExecMainStatus=30\tstart=1\tnote="), Some(30));
        assert_eq!(over("Result=signal\tExecMainCode=2\tExecMainStatus=9\tstart=1\tnote="), None);
        assert_eq!(over("Result=success\tExecMainCode=0\tExecMainStatus=0\tstart=\tnote=0"), Some(0));
        assert_eq!(over("Result=success\tExecMainCode=0\tExecMainStatus=0\tstart=\tnote=-"), None);
    }

    #[test]
    fn a_look_gathers_what_the_host_says() {
        let mut look = Look::default();
        for line in [
            "version\tabc",
            "active\tpipeline-p.service",
            "next\tn/a",
            "day\t2020-01-02\t10 - - abc f00",
            "day\t2020-01-01\t1 5 30 abc f01",
            "day\tnonsense",
        ] {
            look.hear(line);
        }
        assert_eq!((look.version.as_deref(), look.next.as_deref(), look.days.len()), (Some("abc"), None, 2));
        assert_eq!(look.days[&date(2020, 1, 1)].code, Some(30));
        assert!(look.is_at_work("p", date(2020, 1, 2)) && !look.is_at_work("p", date(2020, 1, 1)));
        look.active = vec!["pipeline-p@2020-01-01.service".into()];
        assert!(!look.is_at_work("p", date(2020, 1, 2)) && look.is_at_work("p", date(2020, 1, 1)));
    }

    #[test]
    fn exit_codes_have_the_words_of_the_template_s_own_settings() {
        let config = "[core]\nlog_level = INFO\nnot_run = 9\n[retcode]\n# others\nmissing_data = 20\ntask_failed=31\n[x]\nnot_run = 8\n";
        let meanings = meanings(config);
        assert_eq!(meanings.keys().copied().collect::<Vec<u8>>(), [20, 31]);
        let words = |code| End { code: Some(code), result: String::new() }.in_words(&meanings);
        assert_eq!(words(31), "ended with 31: a task failed");
        assert_eq!(words(7), "ended with 7");
        assert!(words(70).contains("not whole"));
        let killed = End { code: None, result: "oom-kill".into() };
        assert!(killed.in_words(&meanings).contains("memory"));
    }
}
