//! What a job said it did, read. Nothing about it is an error: what does not follow the contract of
//! `templates/README.md` is kept as names and texts, to be shown as it stands.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;

use super::words::shown;

/// How deep values are taken apart that nobody knows; what lies deeper is shown as JSON.
const DEPTH: usize = 2;
/// So many values that nobody knows are kept.
const MOST: usize = 100;

/// Numbers by what they count.
pub type Counts = BTreeMap<String, u64>;

/// A job's summary.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Which days it is about, where it says so: `2026-11-23`, or `2026-11-01_2026-11-23`.
    pub batch: Option<String>,
    /// Rows that came in.
    pub rows_in: Option<u64>,
    /// Rows that went out.
    pub rows_out: Option<u64>,
    /// Rows that were there already.
    pub duplicates: Option<u64>,
    /// Rows that were left out, and kept with a reason.
    pub rejected: Option<u64>,
    /// Those by their reason.
    pub rejected_by_reason: Counts,
    /// Values that were not kept, of rows that were.
    pub problems: Counts,
    /// Rows by the day that they are about.
    pub by_day: Counts,
    /// The share of rows that have no value, by column.
    pub null_shares: BTreeMap<String, f64>,
    /// The columns as they came in.
    pub schema: BTreeMap<String, Column>,
    /// Columns that were left out.
    pub dropped_columns: Vec<String>,
    /// Columns that came in and that the job does not know.
    pub unknown_columns: Vec<String>,
    /// For how long it ran.
    pub seconds: Option<i64>,
    /// Everything else, in words.
    pub rest: Vec<(String, String)>,
}

/// A column as it came in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Column {
    /// Its type, in the job's word.
    pub kind: String,
    /// The share of rows that have it, where that is told.
    pub share: Option<f64>,
}

impl Summary {
    /// Understands what it can.
    pub fn read(value: &Value) -> Self {
        let mut summary = Self::default();
        let Value::Object(fields) = value else {
            plain(&mut summary.rest, "summary", value, DEPTH);
            return summary;
        };
        for (name, value) in fields {
            if !summary.take(name, value) {
                plain(&mut summary.rest, name, value, DEPTH);
            }
        }
        summary
    }

    /// Takes a field in; whether it is one of the contract, and as the contract says.
    fn take(&mut self, name: &str, value: &Value) -> bool {
        match name {
            // The page names the job already, as the pipeline calls it.
            "job" => value.is_string(),
            "batch" => keep(&mut self.batch, value.as_str().map(|text| Some(text.to_owned()))),
            "in" => keep(&mut self.rows_in, value.as_u64().map(Some)),
            "out" => keep(&mut self.rows_out, value.as_u64().map(Some)),
            "duplicates" => keep(&mut self.duplicates, value.as_u64().map(Some)),
            "rejected" => keep(&mut self.rejected, value.as_u64().map(Some)),
            "rejected_by_reason" => keep(&mut self.rejected_by_reason, counts(value)),
            "problems" => keep(&mut self.problems, counts(value)),
            "by_day" => keep(&mut self.by_day, counts(value)),
            "null_shares" => keep(&mut self.null_shares, all(value, share)),
            "schema" => keep(&mut self.schema, all(value, column)),
            "dropped_columns" => keep(&mut self.dropped_columns, names(value)),
            "unknown_columns" => keep(&mut self.unknown_columns, names(value)),
            "seconds" => keep(&mut self.seconds, seconds(value).map(Some)),
            _ => false,
        }
    }

    /// Whether it is about that day. One that does not say is: it lies where the day's summary lies.
    pub fn is_about(&self, date: Date) -> bool {
        let Some(batch) = &self.batch else { return true };
        let (first, last) = batch.split_once('_').unwrap_or((batch, batch));
        match (first.parse::<Date>(), last.parse::<Date>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&date),
            _ => true,
        }
    }
}

fn keep<T>(place: &mut T, found: Option<T>) -> bool {
    let is = found.is_some();
    if let Some(found) = found {
        *place = found;
    }
    is
}

/// All entries of an object, if all of them can be read.
fn all<T>(value: &Value, read: fn(&Value) -> Option<T>) -> Option<BTreeMap<String, T>> {
    value.as_object()?.iter().map(|(name, value)| Some((name.clone(), read(value)?))).collect()
}

fn counts(value: &Value) -> Option<Counts> {
    all(value, Value::as_u64)
}

fn share(value: &Value) -> Option<f64> {
    value.as_f64().filter(|share| (0.0..=1.0).contains(share))
}

/// A column's type: `"text"`, or `{ "type": "text", "share": 0.98 }`.
fn column(value: &Value) -> Option<Column> {
    if let Some(kind) = value.as_str() {
        return Some(Column { kind: kind.to_owned(), share: None });
    }
    let fields = value.as_object()?;
    let share = match fields.get("share") {
        Some(value) => Some(share(value)?),
        None => None,
    };
    Some(Column { kind: fields.get("type")?.as_str()?.to_owned(), share })
}

fn names(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Whole seconds, rounded up: what took a moment took one.
fn seconds(value: &Value) -> Option<i64> {
    let seconds = value.as_f64().filter(|seconds| (0.0..1e9).contains(seconds))?;
    format!("{:.0}", seconds.ceil()).parse().ok()
}

/// A value that nobody knows, as names and texts.
fn plain(rest: &mut Vec<(String, String)>, name: &str, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) if depth > 0 && !fields.is_empty() => {
            for (inner, value) in fields {
                plain(rest, &format!("{name}.{inner}"), value, depth - 1);
            }
        }
        _ if rest.len() == MOST => rest.push(("…".into(), "and more".into())),
        _ if rest.len() > MOST => {}
        Value::String(text) => rest.push((shown(name), shown(text))),
        Value::Array(values) if values.iter().all(|value| !value.is_object() && !value.is_array()) => {
            let words: Vec<String> = values.iter().map(word).collect();
            rest.push((shown(name), shown(&words.join(", "))));
        }
        value => rest.push((shown(name), shown(&value.to_string()))),
    }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
