//! The JSON Schema of a spec, made from the tables that the decoder reads by.

use serde_json::{Map, Value, json};

use super::{
    decode::SPEC,
    shape::{Object, Shape},
};

/// JSON Schema (draft 2020-12) of a spec, for editors: completion, descriptions, checks.
///
/// It allows what the decoder allows; the decoder checks more.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut root = object(&SPEC, &mut definitions);
    let mut schema = Map::new();
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".into(), "infra spec".into());
    if let Value::Object(fields) = root.take() {
        schema.extend(fields);
    }
    definitions.sort_keys();
    schema.insert("$defs".into(), Value::Object(definitions));
    Value::Object(schema)
}

/// `${…}` may stand where another type is wanted.
const COMPUTED: &str = r"\$\{.+\}";

fn object(object: &'static Object, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in object.fields {
        let mut schema = shape(&field.shape, definitions);
        schema["description"] = field.doc.into();
        properties.insert(field.name.into(), schema);
    }
    let required: Vec<&str> = object.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema =
        json!({ "description": object.doc, "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn shape(shape: &'static Shape, definitions: &mut Map<String, Value>) -> Value {
    let computed = || json!({ "type": "string", "pattern": COMPUTED });
    match shape {
        Shape::Text | Shape::Name(_) => json!({ "type": "string" }),
        Shape::Loose => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Form(pattern, example) => {
            json!({ "type": "string", "pattern": pattern, "examples": [example.trim_matches('"')] })
        }
        Shape::Word(words) => {
            let words = words.iter().map(|(word, doc)| json!({ "const": word, "description": doc }));
            let mut any: Vec<Value> = words.collect();
            any.push(computed());
            json!({ "anyOf": any })
        }
        Shape::Suggest(words) => json!({ "anyOf": [{ "enum": words }, { "type": "string" }] }),
        Shape::Boolean => json!({ "anyOf": [{ "type": "boolean" }, computed()] }),
        Shape::Integer(least, most) => {
            json!({ "anyOf": [{ "type": "integer", "minimum": least, "maximum": most }, computed()] })
        }
        Shape::Duration => {
            json!({ "type": "string", "pattern": format!("^([0-9]+[wdhms])+$|{COMPUTED}"), "examples": ["90d", "1h", "30m"] })
        }
        Shape::Size => {
            json!({ "type": "string", "pattern": format!("^[0-9]+ ?(GiB|TiB)$|{COMPUTED}"), "examples": ["8GiB", "1TiB"] })
        }
        Shape::List(item) => json!({ "type": ["array", "null"], "items": self::shape(item, definitions) }),
        Shape::Many(item) => {
            let item = self::shape(item, definitions);
            json!({ "anyOf": [item, { "type": ["array", "null"], "items": item }] })
        }
        Shape::Table(item) => {
            json!({ "type": ["object", "null"], "additionalProperties": self::shape(item, definitions) })
        }
        Shape::Object(inner) => {
            if !definitions.contains_key(inner.name) {
                definitions.insert(inner.name.into(), Value::Null);
                let definition = object(inner, definitions);
                definitions.insert(inner.name.into(), definition);
            }
            let reference = json!({ "$ref": format!("#/$defs/{}", inner.name) });
            let optional = inner.fields.iter().all(|field| !field.required);
            if optional { json!({ "anyOf": [reference, { "type": "null" }] }) } else { reference }
        }
        Shape::Either(shapes) => {
            let any: Vec<Value> = shapes.iter().map(|inner| self::shape(inner, definitions)).collect();
            json!({ "anyOf": any })
        }
        Shape::Document => json!({ "type": "object" }),
    }
}
