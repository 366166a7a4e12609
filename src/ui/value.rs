//! Values as a reader wants them: bare strings, no brackets where none are needed.

use serde_json::Value;

/// Tags that say whose an object is; they are on everything and tell the reader nothing.
const OWN_TAGS: [&str; 3] = ["infra:stack", "infra:address", "Name"];

/// The value in words.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "(none)".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.is_empty() => "(empty)".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "(none)".into(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Object(map) if map.is_empty() => "(none)".into(),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{key}: {}", nested(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
    }
}

fn nested(value: &Value) -> String {
    match value {
        Value::Object(map) if !map.is_empty() => format!("{{{}}}", shown(value)),
        Value::Array(items) if items.len() > 1 => format!("[{}]", shown(value)),
        _ => shown(value),
    }
}

/// A created object's fields, one `name: value` each, without what tells the reader nothing.
pub fn fields(fields: &Value) -> Vec<String> {
    let Value::Object(map) = fields else { return Vec::new() };
    let mut lines = Vec::new();
    for (name, value) in map {
        let value = if name == "tags" { &without_own_tags(value) } else { value };
        let empty = match value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        };
        if !empty {
            lines.push(format!("{name}: {}", shown(value)));
        }
    }
    lines
}

fn without_own_tags(tags: &Value) -> Value {
    let mut tags = tags.clone();
    if let Value::Object(map) = &mut tags {
        map.retain(|key, _| !OWN_TAGS.contains(&key.as_str()));
    }
    tags
}
