//! The schema, the tables and the decoder agree.

use std::{cell::RefCell, collections::BTreeSet, fs};

use serde_json::Value;

use super::{
    super::{
        decode,
        interpolate::Scope,
        schema,
        shape::{Object, Shape},
        source::Source,
        tree,
    },
    repository,
};

/// Writes `schema/infra.json` anew where `UPDATE_SCHEMA` is set.
#[test]
fn the_committed_schema_is_current() {
    let path = repository().join("schema/infra.json");
    let current = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &current).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == current,
        "schema/infra.json is old: run this test with UPDATE_SCHEMA=1, or `infra schema > schema/infra.json`"
    );
}

fn fields(object: &'static Object, all: &mut BTreeSet<(&'static str, &'static str)>) {
    for field in object.fields {
        if all.insert((object.name, field.name)) {
            shape(&field.shape, all);
        }
    }
}

fn shape(shape: &'static Shape, all: &mut BTreeSet<(&'static str, &'static str)>) {
    match shape {
        Shape::List(inner) | Shape::Many(inner) | Shape::Table(inner) => self::shape(inner, all),
        Shape::Object(object) => fields(object, all),
        Shape::Either(shapes) => shapes.iter().for_each(|inner| self::shape(inner, all)),
        _ => {}
    }
}

/// A getter asserts that its field is in the table (so in the schema); here, that each of the table is read.
#[test]
fn the_decoder_reads_every_field_of_the_tables_and_the_test_specs_have_each() {
    let mut asked = BTreeSet::new();
    let mut written = BTreeSet::new();
    for name in ["full", "fleets"] {
        let path = repository().join(format!("tests/specs/{name}.yaml"));
        let source = Source::read(&path).map_err(|refused| refused.1.to_string()).unwrap();
        let root = tree::parse(&source, &mut Vec::new()).unwrap();
        let env = |_: &str| None;
        let scope = Scope {
            account: None,
            stack: RefCell::default(),
            region: RefCell::default(),
            vars: RefCell::default(),
            env: &env,
            secrets: RefCell::default(),
        };
        let decoder = decode::Decoder::new(scope, &root);
        decode::read(&decoder, &source.start(), None, &[]);
        asked.extend(decoder.asked.take());
        written.extend(decoder.found.take());
        assert_eq!(decoder.finish().0, []);
    }
    let mut all = BTreeSet::new();
    fields(&decode::SPEC, &mut all);
    assert_eq!(all.difference(&asked).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "never read");
    assert_eq!(all.difference(&written).collect::<Vec<_>>(), Vec::<&(&str, &str)>::new(), "in no test spec");
}

#[test]
fn the_specs_satisfy_the_schema_and_the_bad_one_does_not() {
    let schema = schema();
    let check = |name: &str| {
        let text = fs::read_to_string(repository().join(name)).unwrap();
        let value: Value = yaml_serde::from_str(&text).unwrap();
        satisfies(&schema, &schema, &value, name)
    };
    for name in [
        "infra/nyc311.yaml",
        "infra/vendas.yaml",
        "tests/specs/full.yaml",
        "tests/specs/fleets.yaml",
        "tests/specs/sketch.yaml",
    ] {
        assert_eq!(check(name), Ok(()));
    }
    let bad = |text: &str| satisfies(&schema, &schema, &yaml_serde::from_str(text).unwrap(), "").is_err();
    assert!(bad("{ stack: a }"));
    assert!(bad("{ stack: a, region: b, hosts: { h: { instnace_type: t2.micro } } }"));
    assert!(bad("{ stack: a, region: b, cluster: { release: 5 } }"));
    for name in ["infra/nyc311.yaml", "infra/vendas.yaml"] {
        let text = fs::read_to_string(repository().join(name)).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema=../schema/infra.json\n"), "{name}");
    }
}

/// As much of JSON Schema as `schema()` uses, patterns apart.
fn satisfies(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let fail = |why: String| Err(format!("{at}: {why}: {value}"));
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(&reference[1..]).ok_or("dangling reference")?;
        satisfies(root, target, value, at)?;
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let results: Vec<_> = any.iter().map(|one| satisfies(root, one, value, at)).collect();
        if results.iter().all(Result::is_err) {
            return fail(format!("none of {results:?}"));
        }
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |wanted: &Value| wanted == kind || (wanted == "number" && kind == "integer");
    match &schema["type"] {
        Value::Array(kinds) if !kinds.iter().any(is) => return fail(format!("not {kinds:?}")),
        Value::String(_) if !is(&schema["type"]) => return fail(format!("not {}", schema["type"])),
        _ => {}
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return fail("another word".into());
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        return fail("none of the words".into());
    }
    if let (Some(number), Some(least)) = (value.as_u64(), schema["minimum"].as_u64())
        && (number < least || number > schema["maximum"].as_u64().unwrap_or(u64::MAX))
    {
        return fail("out of bounds".into());
    }
    if let (Some(items), Some(item)) = (value.as_array(), schema.get("items")) {
        items.iter().try_for_each(|value| satisfies(root, item, value, at))?;
    }
    if let Some(entries) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !entries.contains_key(name.as_str().unwrap_or_default()) {
                return fail(format!("no {name}"));
            }
        }
        for (name, value) in entries {
            let at = format!("{at}/{name}");
            match (schema["properties"].get(name), &schema["additionalProperties"]) {
                (None, Value::Bool(false)) => return Err(format!("{at}: unknown")),
                (None, Value::Null) => {}
                (Some(inner), _) | (None, inner) => satisfies(root, inner, value, &at)?,
            }
        }
    }
    Ok(())
}
