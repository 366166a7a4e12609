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
    /// Columns to wrap at.
    pub width: usize,
}

const INDENT: &str = "              ";
const FALLBACK_WIDTH: usize = 100;
/// The layers in the order in which a reader meets them; others come last.
const LAYERS: [&str; 6] = ["network", "access", "storage", "hosts", "on the hosts", "cluster"];

/// The whole plan.
pub fn render(plan: &Plan, heading: &Heading) -> String {
    let mut text = String::new();
    let title = format!("Stack {}", heading.stack);
    let _ = writeln!(text, "{} in {}", title.style(style::heading()), heading.place);
    for note in heading.notes.iter().filter(|_| !heading.destroys) {
        let _ = writeln!(text, "{} {note}", "note:".style(style::change()));
    }
    if plan.is_empty() {
        let nothing = match (heading.destroys, heading.partial) {
            (true, _) => "Nothing to do: nothing of the stack exists.",
            (false, true) => {
                "Nothing to do: what was asked for is as the spec says. The rest of the stack was left out."
            }
            (false, false) => "Nothing to do: everything is as the spec says.",
        };
        let _ = writeln!(text, "\n{nothing}");
        return text;
    }
    if !heading.tags.is_empty() && !heading.destroys {
        let tags = heading.tags.iter().map(|(key, value)| format!("{key} {value}"));
        let _ = writeln!(text, "Everything is tagged: {}", tags.collect::<Vec<_>>().join(", "));
    }
    let rows: Vec<Row> = rows(plan);
    for (layer, rows) in by_layer(&rows) {
        let _ = writeln!(text, "\n{}", capitalised(layer).style(style::heading()));
        for row in rows {
            row.render(&mut text, heading);
        }
    }
    for refusal in &plan.refused {
        refuse(&mut text, refusal, heading.destroys);
    }
    let _ = writeln!(text, "\n{}", total(plan.summary()));
    if !plan.refused.is_empty() {
        let _ =
            writeln!(text, "It is not carried out: {} refused.", counted(plan.refused.len(), "step is", "steps are"));
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
        let width = if heading.width == 0 { FALLBACK_WIDTH } else { heading.width };
        let (mark, verb, style) = self.mark();
        let address = self.step.address.to_string();
        let line = format!("  {mark:>2} {verb:<8} {address}");
        let why = match (&self.step.origin, &self.step.action) {
            (Some(origin), _) => origin.to_string(),
            (None, Action::Delete) if !heading.destroys => "not in the spec".into(),
            (None, _) => String::new(),
        };
        let gap = 60_usize.saturating_sub(line.chars().count()).max(2);
        let _ = writeln!(text, "{}{}{}", line.style(style), " ".repeat(gap), why.style(style::dim()));
        if let Some(carrier) = &self.step.within {
            let _ = writeln!(text, "{INDENT}after {carrier}");
        }
        for detail in self.details(&heading.tags) {
            wrap(text, &detail, width);
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

    fn details(&self, common: &BTreeMap<String, String>) -> Vec<String> {
        match (&self.step.action, &self.step.replaces) {
            (Action::Create { .. }, Some(because)) => {
                let mut lines = changes(because);
                if !self.brings.is_empty() {
                    lines.push(format!("depend on it: {}", join(&self.brings)));
                }
                lines
            }
            (Action::Create { fields }, None) => value::fields(fields, common),
            (Action::Update { diff }, _) => changes(diff),
            (Action::Delete, _) => self.step.id.iter().map(|id| format!("{id} is deleted")).collect(),
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
        _ => format!("{field}: {} -> {}", value::shown(from), value::shown(to)),
    };
    match effect {
        Effect::InPlace => {}
        Effect::Interrupts => line.push_str("  (out of service while it changes)"),
        Effect::Replaces => line.push_str("  (cannot change in place)"),
    }
    line
}

fn refuse(text: &mut String, refusal: &Refusal, destroys: bool) {
    let Refusal { address, id, reason, replaces, origin } = refusal;
    let _ = writeln!(text, "\n{}", format!("  !! REFUSED  {address} ({id}): {reason}").style(style::destroy()));
    if let Some(because) = replaces {
        for line in changes(because) {
            let _ = writeln!(text, "{INDENT}{line}");
        }
    } else {
        let why = if destroys { "" } else { ": the spec no longer asks for it" };
        let _ = writeln!(text, "{INDENT}it would have to be deleted{why}");
    }
    if let Some(origin) = origin {
        let _ = writeln!(text, "{INDENT}{}", origin.style(style::dim()));
    }
}

fn join(addresses: &[&Address]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Writes a detail under its step; what does not fit goes on below, a little further in.
fn wrap(text: &mut String, line: &str, width: usize) {
    let words = line.trim_start();
    let indent = format!("{INDENT}{}", " ".repeat(line.len() - words.len()));
    let room = width.saturating_sub(indent.len()).max(40);
    let mut column = 0;
    text.push_str(&indent);
    for word in words.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > room {
            let _ = write!(text, "\n{indent}    ");
            column = 4;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
