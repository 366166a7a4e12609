use proptest::{collection::vec, prelude::*, sample::subsequence};
use serde_json::json;

use super::*;

fn same(one: Value, other: Value) -> bool {
    PolicyDocument::new(one).same_as(&PolicyDocument::new(other))
}

fn of(statement: &Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

#[test]
fn spellings_of_one_meaning_are_one() {
    let account = "123456789012";
    let pairs = [
        (json!({ "Action": "s3:GetObject" }), json!({ "Action": ["S3:getobject"] })),
        (json!({ "NotAction": ["iam:*", "s3:*"] }), json!({ "NotAction": ["s3:*", "iam:*", "IAM:*"] })),
        (json!({ "Resource": "a" }), json!({ "Resource": ["a"] })),
        (json!({ "NotResource": ["a", "b"] }), json!({ "NotResource": ["b", "a"] })),
        (json!({ "Principal": "*" }), json!({ "Principal": { "AWS": ["*"] } })),
        (
            json!({ "Principal": { "AWS": account } }),
            json!({ "Principal": { "AWS": [format!("arn:aws:iam::{account}:root")] } }),
        ),
        (json!({ "Principal": { "Service": "a.b" } }), json!({ "Principal": { "Service": ["a.b"] } })),
        (
            json!({ "Condition": { "Bool": { "aws:SecureTransport": false } } }),
            json!({ "Condition": { "Bool": { "AWS:securetransport": ["False"] } } }),
        ),
        (
            json!({ "Condition": { "NumericLessThan": { "s3:max-keys": 10 } } }),
            json!({ "Condition": { "NumericLessThan": { "s3:max-keys": ["10"] } } }),
        ),
        (
            json!({ "Condition": { "StringEquals": { "k": ["b", "a"] } } }),
            json!({ "Condition": { "StringEquals": { "k": ["a", "b"] } } }),
        ),
        (json!({ "Effect": "Allow" }), json!({ "Effect": "Allow", "Condition": {}, "Sid": "" })),
    ];
    for (one, other) in pairs {
        assert!(same(of(&one), of(&other)), "{one} and {other}");
    }
    let single = json!({ "Effect": "Allow" });
    assert!(same(json!({ "Statement": single }), json!({ "Version": "2008-10-17", "Statement": [single] })));
}

#[test]
fn other_meanings_are_other() {
    let pairs = [
        (json!({ "Sid": "A" }), json!({ "Sid": "B" })),
        (json!({ "Effect": "Allow" }), json!({ "Effect": "Deny" })),
        (json!({ "Action": "s3:*" }), json!({ "NotAction": "s3:*" })),
        (json!({ "Resource": "a" }), json!({ "Resource": "A" })),
        (json!({ "Principal": { "AWS": "123456789012" } }), json!({ "Principal": { "AWS": "123456789013" } })),
        (json!({ "Principal": { "AWS": "*" } }), json!({ "Principal": { "Service": "*" } })),
        (
            json!({ "Condition": { "StringEquals": { "k": "a" } } }),
            json!({ "Condition": { "StringEquals": { "k": "A" } } }),
        ),
        (
            json!({ "Condition": { "StringEquals": { "k": "a" } } }),
            json!({ "Condition": { "StringLike": { "k": "a" } } }),
        ),
    ];
    for (one, other) in pairs {
        assert!(!same(of(&one), of(&other)), "{one} and {other}");
    }
    let single = json!({ "Effect": "Allow" });
    assert!(!same(json!({ "Statement": single }), of(&single)), "a missing version is 2008-10-17");
}

#[test]
fn only_users_and_roles_are_principals_that_must_exist() {
    let names = |principal: Value| PolicyDocument::new(of(&json!({ "Principal": principal }))).names_principals();
    assert!(names(json!({ "AWS": "arn:aws:iam::123456789012:role/a" })));
    assert!(!names(json!({ "AWS": "arn:aws:iam::123456789012:root" })));
    assert!(!names(json!({ "Service": "ec2.amazonaws.com" })));
    assert!(!names(json!("*")));
}

#[test]
fn what_is_not_a_document_is_refused_but_reported() {
    assert!(PolicyDocument::parse("[]").is_err());
    assert!(PolicyDocument::parse("{").is_err());
    assert!(PolicyDocument::reported("{") != PolicyDocument::new(json!({})));
}

/// Choices, made from a number so that a failing case can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        // Knuth's MMIX generator; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    fn shuffled<T: Clone>(&mut self, items: &[T]) -> Vec<T> {
        let mut items = items.to_vec();
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
        items
    }

    /// The members in any order, one perhaps twice, a single one perhaps unwrapped.
    fn list(&mut self, members: &[Value]) -> Value {
        let mut members = self.shuffled(members);
        if self.yes() {
            members.push(members[0].clone());
        }
        if members.len() == 1 && self.yes() { members[0].clone() } else { Value::Array(members) }
    }

    fn object(&mut self, fields: &[(&str, Value)]) -> Value {
        self.shuffled(fields).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// A statement, apart from how it is written.
#[derive(Clone, Debug)]
struct Meant {
    sid: Option<String>,
    effect: &'static str,
    action_field: &'static str,
    actions: Vec<String>,
    resources: Vec<String>,
    principals: Vec<&'static str>,
    flag: Option<bool>,
    values: Vec<&'static str>,
}

fn meant() -> impl Strategy<Value = Meant> {
    let actions = ["s3:GetObject", "s3:Put*", "ec2:RunInstances", "iam:PassRole", "*"].map(str::to_owned).to_vec();
    let resources = ["*", "arn:aws:s3:::b", "arn:aws:s3:::b/*", "arn:aws:s3:::B"].map(str::to_owned).to_vec();
    let principals = vec!["123456789012", "210987654321", "arn:aws:iam::123456789012:role/r", "*"];
    (
        proptest::option::of("[A-Z][a-z]{0,3}"),
        prop_oneof![Just("Allow"), Just("Deny")],
        prop_oneof![Just("Action"), Just("NotAction")],
        subsequence(actions, 1..=5),
        subsequence(resources, 1..=4),
        subsequence(principals, 0..=4),
        any::<Option<bool>>(),
        subsequence(vec!["a", "B", "10"], 0..=3),
    )
        .prop_map(|(sid, effect, action_field, actions, resources, principals, flag, values)| Meant {
            sid,
            effect,
            action_field,
            actions,
            resources,
            principals,
            flag,
            values,
        })
}

fn write_statement(meant: &Meant, dice: &mut Dice) -> Value {
    let case = |dice: &mut Dice, text: &String| match dice.below(3) {
        0 => text.to_lowercase(),
        1 => text.to_uppercase(),
        _ => text.clone(),
    };
    let actions: Vec<Value> = meant.actions.iter().map(|action| case(dice, action).into()).collect();
    let resources: Vec<Value> = meant.resources.iter().map(|resource| resource.clone().into()).collect();
    let mut fields = vec![
        ("Effect", json!(meant.effect)),
        (meant.action_field, dice.list(&actions)),
        ("Resource", dice.list(&resources)),
    ];
    fields.extend(meant.sid.as_ref().map(|sid| ("Sid", json!(sid))));
    match meant.principals.as_slice() {
        [] => {}
        ["*"] if dice.yes() => fields.push(("Principal", json!("*"))),
        principals => {
            let written: Vec<Value> = principals
                .iter()
                .map(|name| match *name {
                    account if account.len() == 12 && dice.yes() => json!(format!("arn:aws:iam::{account}:root")),
                    other => json!(other),
                })
                .collect();
            fields.push(("Principal", json!({ "AWS": dice.list(&written) })));
        }
    }
    let mut operators = Vec::new();
    if let Some(flag) = meant.flag {
        let written = [json!(flag), json!(flag.to_string()), json!(flag.to_string().to_uppercase())];
        let value = dice.shuffled(&written)[0].clone();
        operators.push(("Bool", json!({ case(dice, &"aws:SecureTransport".to_owned()): value })));
    }
    if !meant.values.is_empty() {
        let number = |dice: &mut Dice, value: &&str| match value.parse::<i64>() {
            Ok(number) if dice.yes() => json!(number),
            _ => json!(value),
        };
        let written: Vec<Value> = meant.values.iter().map(|value| number(dice, value)).collect();
        operators.push(("StringLike", json!({ "s3:prefix": dice.list(&written) })));
    }
    if !operators.is_empty() || dice.yes() {
        fields.push(("Condition", dice.object(&operators)));
    }
    dice.object(&fields)
}

/// Writes the document in one of the ways that mean it.
fn write(statements: &[Meant], seed: u64) -> PolicyDocument {
    let mut dice = Dice(seed);
    let written: Vec<Value> = statements.iter().map(|meant| write_statement(meant, &mut dice)).collect();
    let statement = dice.list(&written);
    let document = dice.object(&[("Version", json!("2012-10-17")), ("Statement", statement)]);
    let text = if dice.yes() { document.to_string() } else { serde_json::to_string_pretty(&document).unwrap() };
    let encoded = || percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
    PolicyDocument::parse(&if dice.yes() { encoded() } else { text.clone() }).unwrap()
}

proptest! {
    #[test]
    fn writing_it_otherwise_never_changes_the_meaning(
        statements in vec(meant(), 1..4),
        seeds in any::<(u64, u64)>(),
    ) {
        let (one, other) = (write(&statements, seeds.0), write(&statements, seeds.1));
        prop_assert!(one.same_as(&other), "{}\n{}", one.minified(), other.minified());
        prop_assert_eq!(PolicyDocument::parse(&one.minified()).unwrap(), one);
    }

    #[test]
    fn another_action_or_resource_always_does(
        statements in vec(meant(), 1..4),
        seeds in any::<(u64, u64)>(),
        (place, of_action, adds) in any::<(usize, bool, bool)>(),
    ) {
        let mut changed = statements.clone();
        let place = place % changed.len();
        let list = if of_action { &mut changed[place].actions } else { &mut changed[place].resources };
        if !adds {
            list.pop();
        }
        list.push("new:Thing".into());
        prop_assert!(!write(&statements, seeds.0).same_as(&write(&changed, seeds.1)));
    }
}
