//! A plan as prose: by layer, each step with its reason, the line that causes it and what it brings with it.

use std::{collections::BTreeMap, fmt::Write};

use engine::{Action, Address, Change, Diff, Effect, Plan, Refusal, Step, Summary};
use owo_colors::{OwoColorize, Style};
use serde_json::Value;

use super::{style, value};

/// What the plan is about, for its first line and last line.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// The stack's name.
    pub stack: String,
    /// Where it is: `us-west-2, account 123456789012`.
    pub place: String,
    /// What the user should know although it is no error.
    pub notes: Vec<String>,
    /// The tags that everything carries; told once.
    pub tags: BTreeMap<String, String>,
    /// Whether the plan is to destroy the stack.
    pub destroys: bool,
    /// Whether the plan is for a part of the stack only.
    pub partial: bool,
    /// What is lost beside what the plan itself knows: what a bucket holds.
    pub losses: BTreeMap<Address, String>,
    /// Columns to wrap at; nothing where it is no terminal's.
    pub width: usize,
}

/// How far in a step's details stand, and where there is little room.
const INDENT: usize = 14;
const NARROW_INDENT: usize = 6;
/// Less than this is little room.
const NARROW: usize = 72;
const FALLBACK_WIDTH: usize = 100;
/// Where a line's second half begins: where the step comes from.
const ORIGIN_COLUMN: usize = 60;
/// States that pass by themselves: what is in one is waited for.
const PASSING: [&str; 5] = ["pending", "provisioning", "creating", "modifying", "attaching"];
/// The layers in the order in which a reader meets them; others come last.
const LAYERS: [&str; 6] = ["network", "access", "storage", "hosts", "on the hosts", "cluster"];

/// The whole plan.
pub fn render(plan: &Plan, heading: &Heading) -> String {
    let mut text = String::new();
    let title = format!("Stack {}", heading.stack);
    let place = wrapped(&format!("{title} in {}", heading.place), 0, heading.width);
    let place = place.strip_prefix(&title).unwrap_or(&place);
    let _ = write!(text, "{}{place}", title.style(style::heading()));
    for note in heading.notes.iter().filter(|_| !heading.destroys) {
        let note = wrapped(&format!("note: {note}"), 0, heading.width);
        let note = note.strip_prefix("note:").unwrap_or(&note);
        let _ = write!(text, "{}{note}", "note:".style(style::change()));
    }
    if plan.is_empty() {
        let nothing = match (heading.destroys, heading.partial) {
            (true, _) => "Nothing to do: nothing of the stack exists.",
            (false, true) => {
                "Nothing to do: what was asked for is as the spec says. The rest of the stack was left out."
            }
            (false, false) => "Nothing to do: everything is as the spec says.",
        };
        let _ = write!(text, "\n{}", wrapped(nothing, 0, heading.width));
        return text;
    }
    if !heading.tags.is_empty() && !heading.destroys {
        let tags = heading.tags.iter().map(|(key, value)| format!("{key} {value}"));
        let tags = format!("Everything is tagged: {}", tags.collect::<Vec<_>>().join(", "));
        text.push_str(&wrapped(&tags, 0, heading.width));
    }
    let rows: Vec<Row> = rows(plan);
    for (layer, rows) in by_layer(&rows) {
        let _ = writeln!(text, "\n{}", capitalised(layer).style(style::heading()));
        for row in rows {
            row.render(&mut text, heading);
        }
    }
    for refusal in &plan.refused {
        refuse(&mut text, refusal, heading);
    }
    let _ = write!(text, "\n{}", wrapped(&total(plan.summary()), 0, heading.width));
    if !plan.refused.is_empty() {
        let refused = counted(plan.refused.len(), "step is", "steps are");
        text.push_str(&wrapped(&format!("It is not carried out: {refused} refused."), 0, heading.width));
    }
    text
}

/// `1 step`, `2 steps`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The one-line total: `Plan: 3 to create, 1 to change, 0 to replace, 2 to delete.`
pub fn total(summary: Summary) -> String {
    let Summary { create, update, replace, delete } = summary;
    let mut text = format!("Plan: {create} to create, {update} to change, {replace} to replace, {delete} to delete.");
    if replace + delete > 0 {
        text.push_str(" Lines marked !! destroy something.");
    }
    text
}

/// One resource's part of the plan: a step, or both halves of a replacement.
struct Row<'a> {
    step: &'a Step,
    /// What goes and comes, or changes, because of this row.
    brings: Vec<&'a Address>,
}

fn rows(plan: &Plan) -> Vec<Row<'_>> {
    let mut dependents: BTreeMap<usize, Vec<&Address>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|step| !matches!(step.action, Action::Delete)) {
        for &needed in &step.waits.steps {
            if plan.steps[needed].address != step.address {
                dependents.entry(needed).or_default().push(&step.address);
            }
        }
    }
    let shown = plan.steps.iter().enumerate();
    // The delete half of a replacement is told by its create half.
    let shown = shown.filter(|(_, step)| !(step.action == Action::Delete && step.replaces.is_some()));
    shown.map(|(id, step)| Row { step, brings: dependents.remove(&id).unwrap_or_default() }).collect()
}

fn by_layer<'a, 'b>(rows: &'b [Row<'a>]) -> Vec<(&'a str, Vec<&'b Row<'a>>)> {
    let mut layers: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows {
        match layers.iter_mut().find(|(layer, _)| *layer == row.step.layer) {
            Some((_, rows)) => rows.push(row),
            None => layers.push((row.step.layer, vec![row])),
        }
    }
    // The same order in every plan, whichever layer has the first step.
    layers.sort_by_key(|(layer, _)| LAYERS.iter().position(|known| known == layer).unwrap_or(LAYERS.len()));
    layers
}

impl Row<'_> {
    fn render(&self, text: &mut String, heading: &Heading) {
        let (mark, verb, style) = self.mark();
        let line = match indent(heading.width) {
            INDENT => format!("  {mark:>2} {verb:<8} {}", self.step.address),
            _ => format!("{mark:>2} {verb} {}", self.step.address),
        };
        let gone = self.step.id.as_ref().filter(|_| self.step.action == Action::Delete);
        let orphan = (self.step.action == Action::Delete && !heading.destroys).then(|| "not in the spec".to_owned());
        let origin = self.step.origin.as_ref().map(ToString::to_string).or(orphan);
        let why: Vec<String> = gone.into_iter().cloned().chain(origin).collect();
        first_line(text, &line, style, &why.join(", "), heading.width);
        if let Some(carrier) = &self.step.within {
            text.push_str(&detailed(&format!("after {carrier}"), heading.width));
        }
        for detail in self.details(heading) {
            text.push_str(&detailed(&detail, heading.width));
        }
    }

    fn mark(&self) -> (&'static str, &'static str, Style) {
        match (&self.step.action, self.step.replaces.is_some()) {
            (Action::Create { .. }, true) => ("!!", "REPLACE", style::destroy()),
            (Action::Create { .. }, false) => ("+", "create", style::create()),
            (Action::Update { .. }, _) => ("~", "change", style::change()),
            (Action::Delete, _) => ("!!", "DELETE", style::destroy()),
        }
    }

    fn details(&self, heading: &Heading) -> Vec<String> {
        let losses = &self.step.losses;
        let lost = (!losses.is_empty()).then(|| format!("lost with it: {}", losses.join(", ")));
        let lost = lost.into_iter().chain(heading.losses.get(&self.step.address).cloned());
        match (&self.step.action, &self.step.replaces) {
            (Action::Create { .. }, Some(because)) => {
                let mut lines = changes(because);
                lines.extend(lost);
                if !self.brings.is_empty() {
                    lines.push(format!("depend on it: {}", join(&self.brings)));
                }
                lines
            }
            (Action::Create { fields }, None) => value::fields(fields, &heading.tags),
            (Action::Update { diff }, _) => changes(diff),
            (Action::Delete, _) => lost.collect(),
        }
    }
}

fn changes(diff: &Diff) -> Vec<String> {
    diff.changes.iter().map(change).collect()
}

fn change(change: &Change) -> String {
    let Change { field, from, to, effect } = change;
    let mut line = match (from, to) {
        (Value::Array(going), Value::Array(coming)) if !going.is_empty() || !coming.is_empty() => {
            let going = going.iter().map(|item| format!("remove {}", value::shown(item)));
            let coming = coming.iter().map(|item| format!("add {}", value::shown(item)));
            format!("{field}: {}", going.chain(coming).collect::<Vec<_>>().join("; "))
        }
        (Value::String(from), Value::String(to)) if field == "state" && PASSING.contains(&from.as_str()) => {
            format!("wait until {to}")
        }
        _ => format!("{field}: {} -> {}", value::shown(from), value::shown(to)),
    };
    match effect {
        Effect::InPlace => {}
        Effect::Interrupts => line.push_str("  (out of service while it changes)"),
        Effect::Replaces => line.push_str("  (cannot change in place)"),
    }
    line
}

fn refuse(text: &mut String, refusal: &Refusal, heading: &Heading) {
    let Refusal { address, id, reason, replaces, origin } = refusal;
    let line = format!("  !! REFUSED  {address} ({id})");
    let orphan = if heading.destroys { String::new() } else { "not in the spec".into() };
    text.push('\n');
    let why = origin.as_ref().map_or(orphan, ToString::to_string);
    first_line(text, &line, style::destroy(), &why, heading.width);
    text.push_str(&detailed(reason, heading.width));
    for line in replaces.iter().flat_map(changes) {
        text.push_str(&detailed(&line, heading.width));
    }
}

/// A step's first line: what is done, and why or where it was asked for. Where both don't fit, the second half has a
/// line of its own.
fn first_line(text: &mut String, line: &str, style: Style, why: &str, width: usize) {
    let (long, room) = (line.chars().count(), if width == 0 { usize::MAX } else { width });
    let gap = ORIGIN_COLUMN.saturating_sub(long).max(2);
    let gap = if long + gap + why.chars().count() > room { 2 } else { gap };
    let _ = write!(text, "{}", line.style(style));
    if why.is_empty() {
        text.push('\n');
    } else if long + gap + why.chars().count() > room {
        let _ = writeln!(text, "\n{}{}", " ".repeat(indent(width)), why.style(style::dim()));
    } else {
        let _ = writeln!(text, "{}{}", " ".repeat(gap), why.style(style::dim()));
    }
}

fn join(addresses: &[&Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn indent(width: usize) -> usize {
    if width == 0 || width >= NARROW { INDENT } else { NARROW_INDENT }
}

/// A detail under its step.
fn detailed(line: &str, width: usize) -> String {
    let width = if width == 0 { FALLBACK_WIDTH } else { width };
    wrapped(line, indent(width), width)
}

/// The line, so far in, and its end; what does not fit goes on below, a little further in. No `width`, no wrapping.
fn wrapped(line: &str, indent: usize, width: usize) -> String {
    let words = line.trim_start();
    let indent = indent + line.len() - words.len();
    let room = if width == 0 { usize::MAX } else { width.saturating_sub(indent).max(16) };
    let mut text = " ".repeat(indent);
    let mut column = 0_usize;
    let next_line = |text: &mut String| {
        let _ = write!(text, "\n{}", " ".repeat(indent + 4));
        4
    };
    for word in words.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        if column > 0 && (column + 1).saturating_add(word.len()) > room {
            column = next_line(&mut text);
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        // An ARN may be longer than a line.
        while column.saturating_add(word.len()) > room {
            text.extend(word.drain(..room - column));
            column = next_line(&mut text);
        }
        column += word.len();
        text.extend(word);
    }
    text.push('\n');
    text
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
