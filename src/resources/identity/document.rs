//! Policy documents, compared by what they mean.
//!
//! IAM and S3 return a document percent-encoded or not, with its lists in another order, one-element lists unwrapped,
//! an account written as its root's ARN. None of that is a difference; another action, resource, principal, condition
//! or version is. Source: "Grammar of the IAM JSON policy language" and "AWS JSON policy elements: Principal" in the
//! IAM User Guide.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a document without a version is taken for; it knows no policy variables, so this is a real difference.
const DEFAULT_VERSION: &str = "2008-10-17";

/// A policy document: of a policy, of a role's trust, of a bucket. Equal to another when it means the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyDocument(Value);

impl PolicyDocument {
    /// The document that `value` is.
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// Reads a document, as it is or percent-encoded as IAM returns it.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let value = Self::value_of(text).context("the policy document is not JSON")?;
        ensure!(value.is_object(), "the policy document is not a JSON object");
        Ok(Self(value))
    }

    /// Reads what AWS reports. It is JSON there; anything else is kept as text, which no document equals.
    pub fn reported(text: &str) -> Self {
        Self(Self::value_of(text).unwrap_or_else(|_| Value::String(text.to_owned())))
    }

    fn value_of(text: &str) -> anyhow::Result<Value> {
        // An encoded brace begins an encoded document: JSON text never begins with a percent sign.
        if text.trim_start().starts_with('%') {
            let decoded = percent_encoding::percent_decode_str(text.trim()).decode_utf8()?;
            return Ok(serde_json::from_str(&decoded)?);
        }
        Ok(serde_json::from_str(text)?)
    }

    /// True when both allow and deny the same.
    pub fn same_as(&self, other: &Self) -> bool {
        canonical(&self.0) == canonical(&other.0)
    }

    /// The document without whitespace: what is sent, and what AWS's size limits count.
    pub fn minified(&self) -> String {
        self.0.to_string()
    }

    /// The document as JSON.
    pub fn as_json(&self) -> &Value {
        &self.0
    }

    /// True when it names users or roles: AWS refuses the document as malformed while one of them does not exist.
    pub fn names_principals(&self) -> bool {
        let canonical = canonical(&self.0);
        let statements = canonical.get("Statement").and_then(Value::as_array);
        let principals = statements.into_iter().flatten().flat_map(|statement| {
            ["Principal", "NotPrincipal"].into_iter().filter_map(|field| statement.get(field)?.get("AWS")?.as_array())
        });
        principals.flatten().filter_map(Value::as_str).any(|principal| principal.starts_with("arn:"))
    }
}

impl PartialEq for PolicyDocument {
    fn eq(&self, other: &Self) -> bool {
        self.same_as(other)
    }
}

impl Eq for PolicyDocument {}

/// The one spelling of all documents that mean the same.
fn canonical(document: &Value) -> Value {
    let Value::Object(fields) = document else { return document.clone() };
    let mut spelled = sorted(fields, |field, value| {
        Some(match field {
            "Statement" => set(value, statement),
            _ => plain(value),
        })
    });
    spelled.entry("Version").or_insert_with(|| DEFAULT_VERSION.into());
    Value::Object(spelled)
}

fn statement(value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    Value::Object(sorted(fields, |field, value| match field {
        // The console writes an empty one where none was given.
        "Sid" if value == "" => None,
        "Condition" if value.as_object().is_some_and(Map::is_empty) => None,
        "Action" | "NotAction" => Some(set(value, |action| match action {
            Value::String(action) => action.to_lowercase().into(),
            other => plain(other),
        })),
        "Resource" | "NotResource" => Some(set(value, plain)),
        "Principal" | "NotPrincipal" => Some(principal(value)),
        "Condition" => Some(condition(value)),
        _ => Some(plain(value)),
    }))
}

fn principal(value: &Value) -> Value {
    let everyone = Map::from_iter([("AWS".to_owned(), Value::from("*"))]);
    let kinds = match value {
        Value::String(text) if text == "*" => &everyone,
        Value::Object(kinds) => kinds,
        other => return plain(other),
    };
    Value::Object(sorted(kinds, |kind, names| {
        Some(set(names, |name| match name {
            Value::String(name) if kind == "AWS" => account_of_root(name).unwrap_or(name).into(),
            other => plain(other),
        }))
    }))
}

/// `123456789012` of `arn:aws:iam::123456789012:root`: AWS takes either and returns the ARN.
fn account_of_root(principal: &str) -> Option<&str> {
    let (partition, rest) = principal.strip_prefix("arn:")?.split_once(":iam::")?;
    let account = rest.strip_suffix(":root")?;
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (partition.starts_with("aws") && is_account).then_some(account)
}

fn condition(value: &Value) -> Value {
    let Value::Object(operators) = value else { return plain(value) };
    Value::Object(sorted(operators, |operator, keys| {
        let Value::Object(keys) = keys else { return Some(plain(keys)) };
        let base = operator.rsplit(':').next().unwrap_or(operator);
        let is_flag = matches!(base.strip_suffix("IfExists").unwrap_or(base), "Bool" | "Null");
        let values = |value: &Value| set(value, |value| Value::String(text(value, is_flag)));
        // Keys are compared without regard to case, values with it. Source: "Condition" in the same reference.
        let lowered = keys.iter().map(|(key, value)| (key.to_lowercase(), value.clone())).collect();
        Some(Value::Object(sorted(&lowered, |_, value| Some(values(value)))))
    }))
}

/// A condition's value is text: `true`, `"true"` and for a flag `"True"` are one.
fn text(value: &Value, is_flag: bool) -> String {
    match value {
        Value::String(text) if is_flag => text.to_lowercase(),
        Value::String(text) => text.clone(),
        other => plain(other).to_string(),
    }
}

/// A list, or the one thing that stands for a list of it, as a set.
fn set(value: &Value, spell: impl Fn(&Value) -> Value) -> Value {
    let mut members: Vec<Value> = match value {
        Value::Array(members) => members.iter().map(spell).collect(),
        single => vec![spell(single)],
    };
    members.sort_by_cached_key(Value::to_string);
    members.dedup();
    Value::Array(members)
}

/// Fields in the order of their names; those that `spell` passes over are left out.
fn sorted(fields: &Map<String, Value>, spell: impl Fn(&str, &Value) -> Option<Value>) -> Map<String, Value> {
    let mut names: Vec<&String> = fields.keys().collect();
    names.sort();
    names.into_iter().filter_map(|name| Some((name.clone(), spell(name, &fields[name])?))).collect()
}

/// What has no meaning of its own here: lists keep their order.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(sorted(fields, |_, value| Some(plain(value)))),
        Value::Array(members) => members.iter().map(plain).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
