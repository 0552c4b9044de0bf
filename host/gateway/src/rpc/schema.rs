//! JSON Schemas of methods: made from types, compiled once, and moved into an OpenAPI document.

use jsonschema::{Draft, PatternOptions, Validator};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};
use vaxel_core::{Problem, Reason};

/// A compiled regular expression in a plugin's schema takes at most this.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// Characters that show nothing or reorder text, for a class of characters. Beyond the first plane they stand as they
/// are: no escape for them is read by every engine.
macro_rules! hidden {
    () => {
        concat!(
            "\\x00-\\x1f\\x7f-\\x9f\\xad\\u061c\\u115f\\u1160\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e",
            "\\u2060-\\u206f\\u3164\\ufeff\\uffa0\u{e0000}-\u{e007f}"
        )
    };
}

/// A name that others read, as identity takes it: something visible, no control characters, none that reorder text.
pub(crate) const NAME_PATTERN: &str = concat!(
    "^[^",
    hidden!(),
    "]*",
    "[^\\s\\u200c\\u200d",
    hidden!(),
    "]",
    "[^",
    hidden!(),
    "]*$"
);

/// The schema of a type that callers send.
pub(crate) fn of_params<T: JsonSchema>() -> Value {
    of::<T>(SchemaSettings::draft2020_12())
}

/// The schema of a type that callers receive.
pub(crate) fn of_result<T: JsonSchema>() -> Value {
    of::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn of<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Compiles a schema. Patterns run in linear time and references stay inside the schema: a plugin's author wrote it.
pub(crate) fn compile(schema: &Value) -> Option<Validator> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(
            PatternOptions::regex()
                .size_limit(PATTERN_BYTES_MAX)
                .dfa_size_limit(PATTERN_BYTES_MAX),
        )
        .should_validate_formats(false)
        .offline()
        .build(schema)
        .inspect_err(|error| tracing::error!(%error, "a schema does not compile"))
        .ok()
}

/// Whether these parameters are what the method takes. The answer names the place, never the value.
pub(crate) fn check_params(validator: &Validator, params: &Value) -> Result<(), Problem> {
    let Err(error) = validator.validate(params) else {
        return Ok(());
    };
    let place = error.instance_path().to_string();
    let place = if place.is_empty() {
        "the parameters".to_owned()
    } else {
        place
    };
    Err(
        Problem::new(Reason::Invalid, format!("{place}: {}", error.masked()))
            .with_code("invalid_params"),
    )
}

/// Takes a schema for use inside a larger document: its definitions move to `components` under `prefix`.
pub(crate) fn hoist(mut schema: Value, prefix: &str, components: &mut Map<String, Value>) -> Value {
    if let Value::Object(root) = &mut schema {
        root.remove("$schema");
        root.remove("$id");
        for word in ["$defs", "definitions"] {
            let Some(Value::Object(definitions)) = root.remove(word) else {
                continue;
            };
            for (name, mut definition) in definitions {
                point_to_components(&mut definition, prefix);
                components.insert(component_name(prefix, &name), definition);
            }
        }
    }
    point_to_components(&mut schema, prefix);
    schema
}

fn point_to_components(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(target) if key == "$ref" => {
                        let name = target
                            .strip_prefix("#/$defs/")
                            .or_else(|| target.strip_prefix("#/definitions/"));
                        if let Some(name) = name {
                            *target =
                                format!("#/components/schemas/{}", component_name(prefix, name));
                        }
                    }
                    // Data, not schema.
                    _ if matches!(key.as_str(), "const" | "enum" | "default" | "examples") => {}
                    other => point_to_components(other, prefix),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                point_to_components(item, prefix);
            }
        }
        _ => {}
    }
}

/// Component names have letters, digits, dots, hyphens and underscores only.
fn component_name(prefix: &str, name: &str) -> String {
    format!("{prefix}.{name}")
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect()
}

macro_rules! id_schemas {
    ($($name:ident = $prefix:literal;)*) => {$(
        pub(crate) fn $name(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "pattern": concat!("^", $prefix, "_[0-9a-f]{32}$") })
        }
    )*};
}

id_schemas! {
    user_id = "usr";
    group_id = "grp";
    approval_id = "apr";
    role_id = "rol";
    tenant_id = "ten";
    request_id = "req";
}

pub(crate) fn plugin_id(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{0,31}$" })
}

pub(crate) fn locale(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["sv", "en"] })
}

pub(crate) fn optional_locale(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "null"], "enum": ["sv", "en", null] })
}

/// Milliseconds since 1970.
pub(crate) fn unix_ms(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "minimum": 0 })
}

pub(crate) fn optional_unix_ms(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["integer", "null"], "minimum": 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wrong_parameter_is_named_by_its_place_and_not_repeated() {
        let schema = json!({
            "type": "object",
            "properties": { "password": { "type": "string", "minLength": 12 } },
            "required": ["password"],
            "additionalProperties": false
        });
        let validator = compile(&schema).unwrap();
        assert!(check_params(&validator, &json!({ "password": "correct horse" })).is_ok());
        let problem = check_params(&validator, &json!({ "password": "hunter2" })).unwrap_err();
        assert!(problem.detail.contains("/password"), "{}", problem.detail);
        assert!(!problem.detail.contains("hunter2"), "{}", problem.detail);
    }

    #[test]
    fn a_pattern_that_needs_backtracking_does_not_compile() {
        assert!(compile(&json!({ "pattern": "^(?=a)(a+)+\\1$" })).is_none());
        assert!(compile(&json!({ "pattern": "^(a+)+$" })).is_some());
    }

    #[test]
    fn a_reference_to_the_outside_does_not_compile() {
        assert!(compile(&json!({ "$ref": "https://example.com/x.json" })).is_none());
        assert!(compile(&json!({ "$ref": "file:///etc/passwd" })).is_none());
    }

    #[test]
    fn definitions_move_to_the_components_and_references_follow() {
        let schema = json!({
            "$schema": "x",
            "$defs": { "Tree": { "properties": { "next": { "$ref": "#/$defs/Tree" } } } },
            "properties": { "root": { "$ref": "#/$defs/Tree" }, "word": { "const": { "$ref": "#/$defs/Tree" } } }
        });
        let mut components = Map::new();
        let moved = hoist(schema, "chat.tree.params", &mut components);
        let target = "#/components/schemas/chat.tree.params.Tree";
        assert_eq!(moved["properties"]["root"]["$ref"], target);
        assert_eq!(moved["properties"]["word"]["const"]["$ref"], "#/$defs/Tree");
        assert!(moved.get("$defs").is_none() && moved.get("$schema").is_none());
        assert_eq!(
            components["chat.tree.params.Tree"]["properties"]["next"]["$ref"],
            target
        );
    }
}
