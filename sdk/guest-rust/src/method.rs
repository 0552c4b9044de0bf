//! Methods: a plain function from parameters to a result becomes a row of the registry, with its JSON Schemas.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// Parameters or a result without content: `{}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Empty {}

/// Format of the description that the host reads at install.
const DESCRIPTION_FORMAT: u32 = 1;

/// Runs one method on JSON parameters. The host calls this through [`export!`](crate::export).
pub fn run<P, R>(handler: impl FnOnce(P) -> Result<R>, params: &[u8]) -> Result<Vec<u8>>
where
    P: DeserializeOwned,
    R: Serialize,
{
    let params: P = serde_json::from_slice(params)
        .map_err(|error| Error::invalid(format!("parameters: {error}")))?;
    let result = handler(params)?;
    serde_json::to_vec(&result).map_err(|error| Error::internal(format!("result: {error}")))
}

/// The schemas of one method. The function is not called: its type says everything.
pub fn describe<P, R>(_handler: impl FnOnce(P) -> Result<R>) -> Value
where
    P: JsonSchema,
    R: JsonSchema,
{
    let params = schema::<P>(SchemaSettings::draft2020_12().for_deserialize());
    let result = schema::<R>(SchemaSettings::draft2020_12().for_serialize());
    json!({ "params": params, "result": result })
}

/// The whole description of a plugin, as the host reads it.
pub fn description(methods: Vec<(&'static str, Value)>) -> Value {
    let methods: Map<String, Value> = methods
        .into_iter()
        .map(|(name, schemas)| (name.to_owned(), schemas))
        .collect();
    json!({ "format": DESCRIPTION_FORMAT, "methods": methods })
}

/// Reads JSON that came from outside; says where it broke, not what stood there.
pub(crate) fn read<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(json).map_err(|error| {
        Error::invalid(format!(
            "{what}: not what was expected (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

/// Writes JSON.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T, what: &str) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::internal(format!("{what}: {error}")))
}

// Without references, so that the host can put a schema into any document as it stands.
fn schema<T: JsonSchema>(mut settings: SchemaSettings) -> Schema {
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    settings.into_generator().into_root_schema_for::<T>()
}
