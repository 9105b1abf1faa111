//! docs/plan.schema.json, made of the types. To bring it up to date: `UPDATE_DOCS=1 cargo test --lib schema`.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::Document;
use crate::input::settings::{Kind, SETTINGS};

/// The schema of `iscsi.settings`: one property a line of the table.
pub fn settings(_: &mut SchemaGenerator) -> Schema {
    let mut properties = Map::new();
    properties.insert("preset".into(), json!({ "enum": ["single-path", "multipath"] }));
    for setting in SETTINGS {
        let schema = match setting.kind {
            // As a string too: the words of iscsid.conf are text.
            Kind::Number(least, most) => json!({ "anyOf": [
                { "type": "integer", "minimum": least, "maximum": most },
                { "type": "string", "pattern": "^[0-9]+$" }
            ] }),
            Kind::Nice => json!({ "anyOf": [
                { "type": "integer", "minimum": -20, "maximum": 19 },
                { "type": "string", "pattern": "^-?[0-9]+$" }
            ] }),
            Kind::YesNo => json!({ "enum": ["Yes", "No"] }),
            Kind::Word(words) => json!({ "enum": words }),
            Kind::Text => json!({ "type": "string" }),
        };
        properties.insert(setting.key.into(), schema);
    }
    json_schema!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// `iscsi.portals[]`: the text, or the object.
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is of use")]
pub enum TargetPortal {
    Text(String),
    Object(super::iscsi::Written),
}

/// `overlay.mounts[].lower`: the volume, or several.
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is of use")]
pub enum Lowers {
    Volume(String),
    Several(Vec<super::lower::Written>),
}

/// `multipath`: the word, or the object.
#[derive(schemars::JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "only its schema is of use")]
pub enum Multipath {
    Word(MultipathWord),
    Object(super::Map),
}

/// `"off"`
#[derive(schemars::JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is of use")]
pub enum MultipathWord {
    Off,
}

#[test]
fn the_schema_is_that_of_the_types() {
    let generator = schemars::generate::SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let schema = generator.into_root_schema_for::<Document>();
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plan.schema.json");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        written, text,
        "docs/plan.schema.json is behind the types: UPDATE_DOCS=1 cargo test --lib schema"
    );
}

/// Whether `value` has only members that `schema` knows, and all that it requires; `defs` are the schemas named in it.
fn fits(schema: &Value, value: &Value, defs: &Value) -> Result<(), String> {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let name = name.trim_start_matches("#/$defs/");
        return fits(&defs[name], value, defs);
    }
    for kind in ["anyOf", "oneOf"] {
        if let Some(schemas) = schema.get(kind).and_then(Value::as_array) {
            let found: Vec<_> = schemas.iter().map(|schema| fits(schema, value, defs)).collect();
            return if found.iter().any(Result::is_ok) { Ok(()) } else { Err(format!("{value}: {found:?}")) };
        }
    }
    let types = match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.is_empty() && !types.contains(&kind) {
        return Err(format!("{value} is none of {types:?}"));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        return Err(format!("{value} is none of {words:?}"));
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        values.iter().try_for_each(|value| fits(items, value, defs))?;
    }
    let Some(members) = value.as_object() else { return Ok(()) };
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if name.as_str().is_none_or(|name| !members.contains_key(name)) {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, value) in members {
        match (schema.pointer(&format!("/properties/{name}")), schema.get("additionalProperties")) {
            (Some(schema), _) => fits(schema, value, defs)?,
            (None, Some(Value::Bool(false))) => return Err(format!("{name} is no member")),
            (None, Some(schema @ Value::Object(_))) => fits(schema, value, defs)?,
            (None, _) => (),
        }
    }
    Ok(())
}

/// The examples of the document hold to the schema; that they are plans, tests/docs.rs sees to.
#[test]
fn the_examples_fit_the_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(Document)).unwrap();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/plan.md")).unwrap();
    for example in text.split("```json\n").skip(1) {
        let example: Value = serde_json::from_str(example.split("```").next().unwrap()).unwrap();
        fits(&schema, &example, &schema["$defs"]).unwrap();
        let mut wrong = example.clone();
        wrong["luks"]["keyslto"] = json!(1);
        assert!(fits(&schema, &wrong, &schema["$defs"]).is_err());
    }
}
