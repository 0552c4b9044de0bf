//! One call, by whichever door it came: who may, is it well-formed, has it been done before, do it.

use serde_json::Value;
use vaxel_core::{Problem, Reason};

use super::approvals;
use super::idempotency;
use super::numbers;
use super::plugin;
use super::registry::{Access, Answer, HostMethod, Invocation};
use super::schema;
use crate::Gateway;

/// The longest idempotency key: a UUID, a hash, or an id with a prefix.
const IDEMPOTENCY_KEY_LEN_MAX: usize = 128;

/// Whether a retry key is one.
pub(crate) fn check_idempotency_key(key: &str) -> Result<(), Problem> {
    let fits = !key.is_empty()
        && key.len() <= IDEMPOTENCY_KEY_LEN_MAX
        && key.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        Ok(())
    } else {
        Err(Problem::new(
            Reason::Invalid,
            "An idempotency key is 1 to 128 visible ASCII characters.",
        )
        .with_code("invalid_idempotency_key"))
    }
}

/// Runs a method.
pub(crate) async fn invoke(
    gateway: &Gateway,
    invocation: Invocation,
    name: &str,
    mut params: Value,
    idempotency_key: Option<String>,
) -> Result<Answer, Problem> {
    numbers::make_whole(&mut params);
    if let Some(key) = &idempotency_key {
        check_idempotency_key(key)?;
    }
    if let Some(method) = gateway.registry().get(name) {
        return host(gateway, invocation, method, params, idempotency_key).await;
    }
    if invocation.claims.is_none() {
        return Err(Problem::from(Reason::Unauthenticated));
    }
    let (plugin, method) = plugin::split_name(name).ok_or_else(plugin::unknown_method)?;
    plugin::call(gateway, invocation, plugin, method, params, idempotency_key).await
}

async fn host(
    gateway: &Gateway,
    invocation: Invocation,
    method: &HostMethod,
    params: Value,
    idempotency_key: Option<String>,
) -> Result<Answer, Problem> {
    match method.access {
        Access::Public => {}
        Access::User => {
            invocation.claims()?;
        }
        Access::Admin => {
            if !invocation.claims()?.admin {
                return Err(Problem::new(
                    Reason::Forbidden,
                    "Only an administrator of the organization may do this.",
                ));
            }
        }
    }
    if method.cookie && invocation.http.is_none() {
        return Err(
            Problem::new(Reason::Invalid, "This method is called over HTTP only.")
                .with_code("http_only"),
        );
    }
    schema::check_params(&method.params_validator, &params)?;
    approvals::wait(gateway, &invocation, method, &params).await?;
    match idempotency_key {
        Some(key) if method.creates => {
            idempotency::once(gateway, invocation, method, params, &key).await
        }
        _ => (method.run)(gateway.clone(), invocation, params).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_short_visible_ascii() {
        for good in ["a", "0f3b-77", &"x".repeat(128)] {
            assert!(check_idempotency_key(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "å", "a\n", &"x".repeat(129)] {
            assert!(check_idempotency_key(bad).is_err(), "{bad}");
        }
    }
}
