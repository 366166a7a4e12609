//! The one policy that every bucket has: nothing is read or written but over TLS. Documents are compared by meaning.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Every action of S3's. IAM reads actions without regard to case (source: "Action" in the IAM JSON policy reference);
/// moto 5.2.5 does not, which is as well: it takes any `Deny` with a condition for one without, and would lock us out.
const ALL_ACTIONS: &str = "S3:*";

/// What the policy is called in a plan.
pub(super) const NAME: &str = "TLS only";

/// The policy of the bucket with this ARN.
pub(super) fn document(arn: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "OnlyOverTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ALL_ACTIONS,
            "Resource": [arn, format!("{arn}/*")],
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        }],
    })
}

/// True when both documents mean the same: one thing and a list of it, the order of lists, statements' names, booleans
/// in quotes or not, and the case of actions and condition keys make no difference.
pub(super) fn means_the_same(one: &Value, other: &Value) -> bool {
    one.get("Version") == other.get("Version") && statements(one) == statements(other)
}

fn statements(document: &Value) -> BTreeSet<String> {
    let all = match document.get("Statement") {
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    all.into_iter().map(|statement| plain(statement, Place::Statement).to_string()).collect()
}

#[derive(Clone, Copy)]
enum Place {
    Statement,
    Principal,
    Actions,
    Operators,
    Keys,
    Words,
}

/// The plainest way to say the same.
fn plain(value: &Value, place: Place) -> Value {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(String, Value)> = Vec::new();
            for (name, value) in fields {
                let below = match (place, name.as_str()) {
                    (Place::Statement, "Sid") => continue,
                    (Place::Statement, "Principal" | "NotPrincipal") => Place::Principal,
                    (Place::Statement, "Action" | "NotAction") => Place::Actions,
                    (Place::Statement, "Condition") => Place::Operators,
                    (Place::Operators, _) => Place::Keys,
                    _ => Place::Words,
                };
                let name = if matches!(place, Place::Keys) { name.to_lowercase() } else { name.clone() };
                sorted.push((name, plain(value, below)));
            }
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(Map::from_iter(sorted))
        }
        // `"*"` and `{"AWS": "*"}` are the same principal in a bucket's policy.
        Value::String(everybody) if matches!(place, Place::Principal) => json!({ "AWS": [everybody] }),
        Value::Array(all) => {
            let words: BTreeSet<String> = all.iter().map(|one| word(one, place)).collect();
            json!(words)
        }
        one => json!([word(one, place)]),
    }
}

fn word(value: &Value, place: Place) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if matches!(place, Place::Actions) { text.to_lowercase() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_in_other_words_is_the_same() {
        let ours = document("arn:aws:s3:::b");
        let other = json!({
            "Statement": {
                "Effect": "Deny",
                "Principal": { "AWS": ["*"] },
                "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::b"],
                "Action": ["s3:*"],
                "Condition": { "Bool": { "aws:securetransport": [false] } },
            },
            "Version": "2012-10-17",
        });
        assert!(means_the_same(&ours, &other));
    }

    #[test]
    fn another_meaning_is_another() {
        let ours = document("arn:aws:s3:::b");
        let change = |pointer: &str, to: Value| {
            let mut other = ours.clone();
            *other.pointer_mut(pointer).unwrap() = to;
            other
        };
        for other in [
            change("/Statement/0/Effect", json!("Allow")),
            change("/Statement/0/Action", json!("s3:GetObject")),
            change("/Statement/0/Resource", json!("arn:aws:s3:::b")),
            change("/Statement/0/Condition/Bool/aws:SecureTransport", json!("true")),
            change("/Statement", json!([])),
            Value::Null,
        ] {
            assert!(!means_the_same(&ours, &other), "{other}");
        }
    }
}
