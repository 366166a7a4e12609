//! Values as a reader wants them: bare strings, no brackets where none are needed, policies in a sentence.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Tags that say whose an object is; they are on everything and tell the reader nothing.
const OWN_TAGS: [&str; 4] = ["infra:stack", "infra:address", "infra:region", "Name"];
/// How many of a policy's actions are named; `--json` has them all.
const ACTIONS: usize = 3;

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
        Value::Array(items) => items.iter().map(nested).collect::<Vec<_>>().join(", "),
        Value::Object(map) if map.is_empty() => "(none)".into(),
        Value::Object(map) => policy(map).unwrap_or_else(|| {
            let pairs = map.iter().filter(|(_, value)| !is_empty(value));
            pairs.map(|(key, value)| format!("{key} {}", nested(value))).collect::<Vec<_>>().join(", ")
        }),
    }
}

fn nested(value: &Value) -> String {
    match value {
        Value::Object(map) if map.len() > 1 && policy(map).is_none() => format!("({})", shown(value)),
        Value::Array(items) if items.len() > 1 => format!("[{}]", shown(value)),
        _ => shown(value),
    }
}

/// A policy document in words, statement by statement.
fn policy(map: &Map<String, Value>) -> Option<String> {
    let statements = match map.get("Statement")? {
        Value::Array(statements) => statements.iter().collect(),
        statement => vec![statement],
    };
    Some(statements.into_iter().map(statement).collect::<Vec<_>>().join("; "))
}

fn statement(statement: &Value) -> String {
    let effect = statement["Effect"].as_str().unwrap_or("Allow").to_lowercase();
    let mut text = effect;
    if let Some(principal) = statement.get("Principal") {
        let who = match principal {
            Value::Object(map) => map.values().map(shown).collect::<Vec<_>>().join(", "),
            other => shown(other),
        };
        text = format!("{text} {who} to");
    }
    for (field, word) in [("Action", ""), ("NotAction", "all but ")] {
        if let Some(actions) = statement.get(field) {
            text = format!("{text} {word}{}", several(actions));
        }
    }
    for (field, word) in [("Resource", "on"), ("NotResource", "on all but")] {
        match statement.get(field) {
            Some(Value::String(all)) if all == "*" => {}
            Some(resources) => text = format!("{text} {word} {}", several(resources)),
            None => {}
        }
    }
    if statement.get("Condition").is_some_and(|condition| !is_empty(condition)) {
        text.push_str(" (with conditions)");
    }
    text
}

fn several(values: &Value) -> String {
    let all: Vec<String> = match values {
        Value::Array(items) => items.iter().map(shown).collect(),
        one => vec![shown(one)],
    };
    let more = all.len().saturating_sub(ACTIONS);
    let named = all.iter().take(ACTIONS).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// A created object's fields, without what tells the reader nothing: what is empty, and the tags that everything has.
/// The short ones share a line, `cidr 10.0.0.0/16 · zone us-west-2a`; of a long one each part has a line of its own.
pub fn fields(fields: &Value, common: &BTreeMap<String, String>) -> Vec<String> {
    let Value::Object(map) = fields else { return Vec::new() };
    let (mut short, mut long) = (Vec::new(), Vec::new());
    for (name, value) in map {
        let value = if name == "tags" { &without(value, common) } else { value };
        let parts = parts(value);
        if parts.len() > 1 {
            long.push(format!("{name}:"));
            long.extend(parts.into_iter().map(|part| format!("  {part}")));
        } else if !is_empty(value) {
            short.push(format!("{name} {}", shown(value)));
        }
    }
    let short = if short.is_empty() { None } else { Some(short.join(" · ")) };
    short.into_iter().chain(long).collect()
}

/// The parts of a value that is too long for one line: a set of many, or policies by name.
fn parts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) if items.len() > 2 => items.iter().map(shown).collect(),
        Value::Object(map) => {
            let policies = || map.iter().filter_map(|(name, value)| Some((name, policy(value.as_object()?)?)));
            if policies().count() < map.len() {
                return Vec::new();
            }
            policies()
                .flat_map(|(name, text)| text.split("; ").map(|part| format!("{name}: {part}")).collect::<Vec<_>>())
                .collect()
        }
        _ => Vec::new(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn without(tags: &Value, common: &BTreeMap<String, String>) -> Value {
    let mut tags = tags.clone();
    if let Value::Object(map) = &mut tags {
        map.retain(|key, value| {
            !OWN_TAGS.contains(&key.as_str()) && common.get(key).map(String::as_str) != value.as_str()
        });
    }
    tags
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_reads_as_a_sentence() {
        let document = json!({
            "Version": "2012-10-17",
            "Statement": [
                { "Effect": "Allow", "Action": ["s3:A", "s3:B", "s3:C", "s3:D"], "Resource": "arn:aws:s3:::lake" },
                { "Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": { "Bool": { "x": "y" } } },
            ],
        });
        assert_eq!(
            shown(&document),
            "allow s3:A, s3:B, s3:C and 1 more on arn:aws:s3:::lake; deny s3:* (with conditions)"
        );
        let trust = json!({
            "Statement": { "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole" }
        });
        assert_eq!(shown(&trust), "allow ec2.amazonaws.com to sts:AssumeRole");
    }

    #[test]
    fn what_is_empty_or_common_is_not_told() {
        let told = json!({ "cidr": "10.0.0.0/16", "zone": null, "rules": [], "tags": { "project": "p", "Name": "n", "owner": "o" } });
        let common = BTreeMap::from([("project".to_owned(), "p".to_owned())]);
        assert_eq!(fields(&told, &common), ["cidr 10.0.0.0/16 · tags owner o"]);
        let rules = json!({ "ingress": ["tcp 22 a", "tcp 80 b", "tcp 443 c"], "group": "g" });
        assert_eq!(fields(&rules, &common), ["group g", "ingress:", "  tcp 22 a", "  tcp 80 b", "  tcp 443 c"]);
    }

    #[test]
    fn sets_and_maps_need_few_brackets() {
        assert_eq!(shown(&json!(["a", "b"])), "a, b");
        assert_eq!(shown(&json!({ "0.0.0.0/0": { "nat": "nat_gateway/main" } })), "0.0.0.0/0 nat nat_gateway/main");
        assert_eq!(shown(&json!({ "gib": 8, "iops": 3000 })), "gib 8, iops 3000");
        assert_eq!(shown(&json!([{ "gib": 8, "iops": 3000 }, "b"])), "(gib 8, iops 3000), b");
    }
}
