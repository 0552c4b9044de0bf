//! The host's own methods: name, who may call, schema both ways, and what runs.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use jsonschema::Validator;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vaxel_core::{OpCx, Problem, Reason};
use vaxel_identity::{Claims, Tenant};

use super::schema;
use crate::http::cookie::CookieChange;
use crate::{Gateway, GatewayError};

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody, signed in or not.
    Public,
    /// Who is signed in.
    User,
    /// Who administers the organization.
    Admin,
}

/// What only an HTTP request has.
#[derive(Clone)]
pub(crate) struct HttpSide {
    /// The refresh cookie, if the browser sent one.
    pub(crate) refresh_token: Option<String>,
    /// What the browser calls itself, so that people recognize their devices.
    pub(crate) device: String,
    /// Whether the request came over the plain listener that only this machine reaches.
    pub(crate) loopback_http: bool,
}

/// One call, after the door.
pub(crate) struct Invocation {
    pub(crate) cx: OpCx,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) claims: Option<Arc<Claims>>,
    pub(crate) peer: IpAddr,
    pub(crate) http: Option<HttpSide>,
    /// What was shown in a step-up, as it came with the call.
    pub(crate) proof: Option<String>,
    /// Where this organization's pages are, for links.
    pub(crate) origin: Arc<str>,
}

impl Invocation {
    /// Who calls; a method that is not public always has somebody.
    pub(crate) fn claims(&self) -> Result<&Claims, Problem> {
        self.claims
            .as_deref()
            .ok_or_else(|| Problem::from(Reason::Unauthenticated))
    }
}

/// What a method answers.
pub(crate) struct Reply<R> {
    pub(crate) result: R,
    pub(crate) cookie: Option<CookieChange>,
}

impl<R> From<R> for Reply<R> {
    fn from(result: R) -> Self {
        Self {
            result,
            cookie: None,
        }
    }
}

/// The same as bytes.
pub(crate) struct Answer {
    pub(crate) json: Bytes,
    pub(crate) cookie: Option<CookieChange>,
}

/// Whether a call with these parameters takes two administrators, where the organization wants that at all.
pub(crate) type Guard = fn(&Gateway, &Invocation, &Value) -> bool;

/// Makes of the parameters of a guarded method what it would do now, so that the same is done when it is approved.
pub(crate) type Settle = fn(&Gateway, &Invocation, &mut Value);

type Running = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send>>;
type Run = Box<dyn Fn(Gateway, Invocation, Value) -> Running + Send + Sync>;

/// One method of the host.
pub(crate) struct HostMethod {
    /// `users/list`.
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) access: Access,
    /// Reads or writes the refresh cookie: HTTP only, from our own pages only.
    pub(crate) cookie: bool,
    /// Makes something, so that a retry must not make it twice.
    pub(crate) creates: bool,
    /// Counts so much that an organization may want two administrators for it.
    pub(crate) guard: Option<Guard>,
    /// What is left open in its parameters is settled when it is asked for, not when it is approved.
    pub(crate) settle: Option<Settle>,
    pub(crate) params: Value,
    pub(crate) result: Value,
    pub(crate) params_validator: Validator,
    pub(crate) run: Run,
}

/// Methods by name.
pub(crate) struct Registry(BTreeMap<&'static str, HostMethod>);

impl Registry {
    /// All methods of the host.
    pub(crate) fn build() -> Result<Self, GatewayError> {
        let mut registry = Self(BTreeMap::new());
        super::session::register(&mut registry)?;
        super::users::register(&mut registry)?;
        super::invitations::register(&mut registry)?;
        super::groups::register(&mut registry)?;
        super::roles::register(&mut registry)?;
        super::presence::register(&mut registry)?;
        super::plugins::register(&mut registry)?;
        super::plugin_use::register(&mut registry)?;
        super::pages::register(&mut registry)?;
        super::dead_letters::register(&mut registry)?;
        super::outside::register(&mut registry)?;
        super::tenant::register(&mut registry)?;
        super::audit::register(&mut registry)?;
        super::approvals::register(&mut registry)?;
        super::stepup::register(&mut registry)?;
        Ok(registry)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&HostMethod> {
        self.0.get(name)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &HostMethod> {
        self.0.values()
    }

    /// Adds a method. Its schemas come from the types of its parameters and result.
    pub(crate) fn add<P, R, F, Fut>(
        &mut self,
        name: &'static str,
        summary: &'static str,
        access: Access,
        run: F,
    ) -> Result<&mut HostMethod, GatewayError>
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + Send + 'static,
        F: Fn(Gateway, Invocation, P) -> Fut + Send + Sync + Copy + 'static,
        Fut: Future<Output = Result<Reply<R>, Problem>> + Send + 'static,
    {
        let params = schema::of_params::<P>();
        let method = HostMethod {
            name,
            summary,
            access,
            cookie: false,
            creates: false,
            guard: None,
            settle: None,
            params_validator: schema::compile(&params).ok_or(GatewayError::Schema(name))?,
            params,
            result: schema::of_result::<R>(),
            run: Box::new(move |gateway, invocation, params| {
                Box::pin(async move {
                    let params = serde_json::from_value(params).map_err(|_| {
                        Problem::new(Reason::Invalid, "The parameters have not the right form.")
                            .with_code("invalid_params")
                    })?;
                    let reply = run(gateway, invocation, params).await?;
                    Ok(Answer {
                        json: encode(&reply.result)?,
                        cookie: reply.cookie,
                    })
                })
            }),
        };
        Ok(self.0.entry(name).or_insert(method))
    }
}

pub(crate) fn encode<R: Serialize>(result: &R) -> Result<Bytes, Problem> {
    serde_json::to_vec(result)
        .map(Bytes::from)
        .map_err(|error| {
            tracing::error!(%error, "a result cannot be written as JSON");
            Problem::from(Reason::Internal)
        })
}

/// No parameters at all.
#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Nothing to say but that it was done.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Done {}

/// The largest page of any list.
pub(crate) const PAGE_MAX: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_name_a_summary_and_schemas_that_compile() {
        let registry = Registry::build().unwrap();
        for method in registry.all() {
            assert_eq!(method.name.split('/').count(), 2, "{}", method.name);
            assert!(method.summary.ends_with('.'), "{}", method.name);
            assert_eq!(method.params["type"], "object", "{}", method.name);
            assert_eq!(
                method.params["additionalProperties"], false,
                "{}",
                method.name
            );
            assert!(schema::compile(&method.result).is_some(), "{}", method.name);
        }
    }

    #[test]
    fn only_what_nobody_signed_in_can_need_is_public() {
        let registry = Registry::build().unwrap();
        let public: Vec<_> = registry
            .all()
            .filter(|method| method.access == Access::Public)
            .map(|method| method.name)
            .collect();
        assert_eq!(
            public,
            [
                "session/demo",
                "session/login",
                "session/logout",
                "session/refresh",
                "users/accept",
                "users/invite_preview"
            ]
        );
    }

    #[test]
    fn what_touches_the_cookie_is_marked_so() {
        let registry = Registry::build().unwrap();
        let cookie: Vec<_> = registry
            .all()
            .filter(|method| method.cookie)
            .map(|method| method.name)
            .collect();
        assert_eq!(
            cookie,
            [
                "session/demo",
                "session/login",
                "session/logout",
                "session/refresh",
                "users/accept"
            ]
        );
    }
}
