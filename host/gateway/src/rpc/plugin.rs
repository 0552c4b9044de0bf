//! Methods of plugins: found per tenant, validated both ways by their own schemas.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use jsonschema::Validator;
use quick_cache::sync::Cache;
use serde_json::Value;
use vaxel_core::{PluginId, Problem, Reason};
use vaxel_identity::Binding;
use vaxel_runtime::{Caller, Method, PluginCall, Schemas, ShownProof};

use super::registry::{Answer, Invocation};
use super::schema;
use crate::Gateway;

/// Compiled methods that are kept: all versions of all plugins that a large installation has in use.
const COMPILED_MAX: usize = 4_096;

/// A method with its schemas compiled.
struct Compiled {
    // Keeps the address that this is cached under from being used for another method.
    _method: Arc<Method>,
    params: Option<Validator>,
    result: Option<Validator>,
}

/// The compiled schemas of plugins' methods, by the method itself: a new version is a new method.
pub(crate) struct PluginSchemas(Cache<usize, Arc<Compiled>>);

impl PluginSchemas {
    pub(crate) fn new() -> Self {
        Self(Cache::new(COMPILED_MAX))
    }

    fn of(&self, method: &Arc<Method>) -> Arc<Compiled> {
        let key = Arc::as_ptr(method).addr();
        if let Some(compiled) = self.0.get(&key) {
            return compiled;
        }
        let compiled = Arc::new(Compiled {
            _method: Arc::clone(method),
            params: schema::compile(&method.params),
            result: schema::compile(&method.result),
        });
        self.0.insert(key, Arc::clone(&compiled));
        compiled
    }
}

/// What one plugin says to another is held to the same schemas.
impl Schemas for PluginSchemas {
    fn check_params(&self, method: &Arc<Method>, params: &Value) -> Result<(), Problem> {
        let compiled = self.of(method);
        let params_schema = compiled.params.as_ref().ok_or_else(broken)?;
        schema::check_params(params_schema, params)
    }

    fn check_result(&self, method: &Arc<Method>, result: &Value) -> Result<(), Problem> {
        let compiled = self.of(method);
        let result_schema = compiled.result.as_ref().ok_or_else(broken)?;
        result_schema.validate(result).map_err(|error| {
            tracing::error!(plugin.id = %method.plugin, plugin.method = method.name, at = %error.instance_path(), error = %error.masked(), "result against schema");
            broken()
        })
    }
}

fn broken() -> Problem {
    Problem::new(
        Reason::Internal,
        "The plugin did not answer as it promised.",
    )
    .with_code("plugin-bad-answer")
}

/// Splits `plugins/chat/messages.send`.
pub(crate) fn split_name(name: &str) -> Option<(PluginId, &str)> {
    let (plugin, method) = name.strip_prefix("plugins/")?.split_once('/')?;
    let plain = !method.is_empty()
        && method
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if plain {
        Some((plugin.parse().ok()?, method))
    } else {
        None
    }
}

/// Calls a plugin's method. What comes back is checked too: a client is never sent what the document excludes.
pub(crate) async fn call(
    gateway: &Gateway,
    invocation: Invocation,
    plugin: PluginId,
    name: &str,
    params: Value,
    idempotency_key: Option<String>,
) -> Result<Answer, Problem> {
    let method = gateway
        .runtime()
        .methods(invocation.tenant.id)
        .iter()
        .find(|method| method.plugin == plugin && method.name == name)
        .cloned()
        .ok_or_else(unknown_method)?;
    let compiled = gateway.plugin_schemas().of(&method);
    let fault = |what: &'static str| {
        tracing::error!(
            plugin.id = %plugin,
            plugin.method = name,
            tenant.id = %invocation.tenant.id,
            request.id = %invocation.cx.request,
            "{what}"
        );
        broken()
    };
    let params_schema = compiled
        .params
        .as_ref()
        .ok_or_else(|| fault("the method's parameter schema is broken"))?;
    schema::check_params(params_schema, &params)?;
    let caller = caller(gateway, &invocation)?;
    let started = Instant::now();
    let outcome = gateway
        .runtime()
        .call(PluginCall {
            cx: invocation.cx.clone(),
            caller,
            plugin: plugin.clone(),
            method: name.to_owned(),
            // Written anew, so that the guest reads exactly what was validated (a key given twice, say).
            params: super::registry::encode(&params)?,
            idempotency_key,
        })
        .await;
    gateway
        .metrics()
        .plugin_call(plugin.as_str(), outcome.is_ok(), started.elapsed());
    let json: Bytes = outcome?;
    let result: Value =
        serde_json::from_slice(&json).map_err(|_| fault("the plugin answered what is no JSON"))?;
    let result_schema = compiled
        .result
        .as_ref()
        .ok_or_else(|| fault("the method's result schema is broken"))?;
    if let Err(error) = result_schema.validate(&result) {
        tracing::error!(at = %error.instance_path(), error = %error.masked(), "result against schema");
        return Err(fault("the plugin's answer is not what its schema says"));
    }
    Ok(Answer { json, cookie: None })
}

/// The person who calls, as plugins know them.
pub(crate) fn caller(gateway: &Gateway, invocation: &Invocation) -> Result<Caller, Problem> {
    let claims = invocation.claims()?;
    Ok(Caller {
        user: Some(claims.user),
        admin: claims.admin,
        // Beyond what the runtime gives members and administrators because the plugin suggests it.
        permissions: gateway
            .identity()
            .permissions_of(invocation.tenant.id, claims.user)
            .map_err(super::session::refused)?,
        assurance: ASSURANCE_PASSWORD.to_owned(),
        ticket: None,
        proof: invocation.proof.clone().map(|token| ShownProof {
            token: token.into(),
            binding: Binding::Session(claims.session),
        }),
        origin: None,
    })
}

/// How callers of today have shown who they are.
const ASSURANCE_PASSWORD: &str = "password";

pub(crate) fn unknown_method() -> Problem {
    Problem::new(Reason::NotFound, "There is no such method.").with_code("unknown_method")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_method_is_named_by_plugin_and_method() {
        let (plugin, method) = split_name("plugins/chat/messages.send").unwrap();
        assert_eq!((plugin.as_str(), method), ("chat", "messages.send"));
        for bad in [
            "plugins/chat",
            "plugins/Chat/x",
            "plugins/chat/",
            "chat/x",
            "plugins/chat/a/b",
            "plugins//x",
        ] {
            assert!(split_name(bad).is_none(), "{bad}");
        }
    }
}
