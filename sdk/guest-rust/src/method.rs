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

// Without references, so that the host can put a schema into any document as it stands.
fn schema<T: JsonSchema>(mut settings: SchemaSettings) -> Schema {
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    settings.into_generator().into_root_schema_for::<T>()
}

/// Makes a plugin of functions: `export! { "notes.save" => save, "notes.list" => notes::list }`.
///
/// Each function is `fn(P) -> Result<R, Error>` with `P: Deserialize + JsonSchema` and `R: Serialize + JsonSchema`.
/// The macro defines `handle(method, params)` and `describe()` in the module where it stands, natively too, so that
/// tests can call methods through [`mock::Mock`](crate::mock::Mock).
#[macro_export]
macro_rules! export {
    ($($name:literal => $handler:path),+ $(,)?) => {
        /// Runs the method of this name on JSON parameters.
        pub fn handle(method: &str, params: &[u8]) -> $crate::Result<::std::vec::Vec<u8>> {
            match method {
                $($name => $crate::method::run($handler, params),)+
                _ => ::core::result::Result::Err($crate::Error::not_found("no such method")),
            }
        }

        /// The methods with their JSON Schemas.
        pub fn describe() -> $crate::reexport::serde_json::Value {
            $crate::method::description(::std::vec![
                $(($name, $crate::method::describe($handler)),)+
            ])
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Component;

            impl $crate::bindings::methods::exports::vaxel::rpc::rpc::Guest for Component {
                fn handle(
                    method: ::std::string::String,
                    params: ::std::vec::Vec<u8>,
                ) -> ::core::result::Result<
                    ::std::vec::Vec<u8>,
                    $crate::bindings::vaxel::types::types::Error,
                > {
                    $crate::log::install_panic_hook();
                    handle(&method, &params).map_err(::core::convert::Into::into)
                }
            }

            impl $crate::bindings::described::exports::vaxel::lifecycle::description::Guest for Component {
                fn describe() -> ::std::vec::Vec<u8> {
                    $crate::log::install_panic_hook();
                    describe().to_string().into_bytes()
                }
            }

            $crate::bindings::described::export_described!(
                Component with_types_in $crate::bindings::described
            );
            $crate::bindings::methods::export_methods!(
                Component with_types_in $crate::bindings::methods
            );
        };
    };
}
