//! Calls of one plugin by another: as the caller, judged and validated as if the caller had called, committed on their
//! own, and heard once.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;
use vaxel_core::{PluginId, Problem, Reason};

use super::tape::{self, Asked, Heard};
use crate::call::PluginCall;
use crate::capability::bindings::vaxel::types::types::Error;
use crate::guest::{Context, Guest, Reply, guest_error};
use crate::manifest::Cap;
use crate::package::Method;
use crate::runtime::{Inner, Runtime};

/// How deep calls go: the fourth plugin in a row calls no fifth.
const DEPTH_MAX: usize = 4;

/// Who knows whether parameters and answers fit a method's schemas: the API's door has it compiled already.
pub trait Schemas: Send + Sync + 'static {
    /// Whether these parameters are what the method takes.
    fn check_params(&self, method: &Arc<Method>, params: &Value) -> Result<(), Problem>;

    /// Whether this answer is what the method promises.
    fn check_result(&self, method: &Arc<Method>, result: &Value) -> Result<(), Problem>;
}

/// Within which other calls a call is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Within {
    /// The plugins that called each other up to here, the first one first.
    pub(crate) chain: Vec<PluginId>,
    /// When the outermost that still waits gives up.
    pub(crate) until: Option<Instant>,
    /// How many events, each caused by the one before, led to it.
    pub(crate) depth: u8,
    /// Whether it is a part of what a hook does: that is hooked by nobody.
    pub(crate) is_hook: bool,
}

impl Guest {
    /// Calls another plugin's method.
    pub(crate) async fn calls(
        &mut self,
        plugin: &str,
        method: &str,
        params: Vec<u8>,
    ) -> Reply<Vec<u8>> {
        let asked = [plugin.as_bytes(), method.as_bytes(), &params];
        let asked = tape::asked("plugin", asked);
        let (context, call) = match self.next_call(plugin, method, &params, &asked) {
            Ok(next) => next,
            Err(refused) => return Ok(Err(refused)),
        };
        let (ticket, heard) = match self.looks(&context, asked) {
            Ok(looked) => looked,
            Err(refused) => return Ok(Err(refused)),
        };
        if let Some(Heard::Plugin(answer)) = heard {
            return Ok(answer);
        }
        let mut chain = context.within.chain.clone();
        chain.push(self.plugin.clone());
        let within = Within {
            chain,
            until: self.deadline,
            ..context.within.clone()
        };
        let inner = Arc::clone(&context.inner);
        // Boxed: a call within a call within a call.
        let calling = async move { Box::pin(inner.call_checked(call, within)).await };
        let answered = match self.while_aside(calling).await? {
            Ok(answered) => answered.map(Vec::from).map_err(|problem| told(&problem)),
            Err(refused) => Err(refused),
        };
        Ok(ticket.keep_plugin(&context.tape, answered))
    }

    fn next_call(
        &mut self,
        plugin: &str,
        method: &str,
        params: &[u8],
        fingerprint: &Asked,
    ) -> Result<(Arc<Context>, PluginCall), Error> {
        let Some(context) = self.context.as_ref().map(Arc::clone) else {
            self.may_use(Cap::Interop)?;
            return Err(guest_error("unavailable", "there is no tenant here"));
        };
        let name = format!("{plugin}/{method}");
        let id = Cap::Interop.name();
        let asked = context.plugin.asks.iter().filter(|ask| ask.id == id);
        let is_asked_for = asked.into_iter().any(|ask| ask.details.contains(&name));
        // What the manifest does not name is the guest's own text.
        let what = if is_asked_for { name.as_str() } else { "" };
        let may_call = is_asked_for && context.grants.has_detail(id, &name);
        if !may_call && context.grants.allows(Cap::Interop) {
            self.usage.count(Cap::Interop);
            self.usage.was_refused = true;
            self.usage.note(Cap::Interop, what, true);
            let words = format!("the organization did not grant to call {name}");
            return Err(guest_error("forbidden", &words));
        }
        self.may_ask_for(Cap::Interop, what, fingerprint)?;
        if context.is_rehearsal {
            return Err(guest_error(
                "unavailable",
                "nobody is called in a rehearsal",
            ));
        }
        let called: PluginId = plugin
            .parse()
            .map_err(|_| guest_error("invalid", "not a plugin's id"))?;
        if called == self.plugin || context.within.chain.contains(&called) {
            return Err(guest_error(
                "invalid",
                "plugins call each other in a circle",
            ));
        }
        if context.within.chain.len() + 1 >= DEPTH_MAX {
            return Err(guest_error("limit", "plugins call each other too deeply"));
        }
        let call = PluginCall {
            cx: context.cx.clone(),
            // As they are, but for a proof: that was shown to one plugin, for one purpose.
            caller: crate::Caller {
                proof: None,
                ticket: None,
                ..context.caller.clone()
            },
            plugin: called,
            method: method.to_owned(),
            params: params.to_vec().into(),
            idempotency_key: None,
        };
        Ok((context, call))
    }
}

impl Inner {
    /// A call that comes from a plugin, checked as one that comes through the API's door.
    async fn call_checked(
        self: Arc<Self>,
        mut call: PluginCall,
        within: Within,
    ) -> Result<Bytes, Problem> {
        let unavailable = || {
            Problem::new(
                Reason::Unavailable,
                "The other plugin is not there, or not on.",
            )
        };
        let tenant = self.registry.tenant(call.cx.tenant);
        let tenant = tenant.map_err(|error| crate::outcome::storage_problem(&error))?;
        let active = tenant.active.get(&call.plugin).ok_or_else(unavailable)?;
        let method = active.plugin.by_name.get(&call.method);
        let method = Arc::clone(method.ok_or_else(unavailable)?);
        let schemas = self.outside.schemas.get().ok_or_else(unavailable)?;
        let read = |json: &[u8], reason| {
            serde_json::from_slice(json).map_err(|_| Problem::new(reason, "This is no JSON."))
        };
        let params: Value = read(&call.params, Reason::Invalid)?;
        schemas.check_params(&method, &params)?;
        // Written anew, so that the guest reads exactly what was validated (a key given twice, say).
        call.params = params.to_string().into();
        let reply = self.call_within(call, within).await?;
        schemas.check_result(&method, &read(&reply, Reason::Internal)?)?;
        Ok(reply)
    }
}

impl Runtime {
    /// Who validates what plugins say to each other. Until there is somebody, they cannot call each other.
    pub fn validate_with(&self, schemas: Arc<dyn Schemas>) {
        self.inner.outside.schemas.get_or_init(|| schemas);
    }
}

/// What the caller would have read, as a guest reads it.
fn told(problem: &Problem) -> Error {
    let code = match problem.reason {
        Reason::NotFound => "not-found",
        Reason::Forbidden => "forbidden",
        Reason::Unauthenticated => "unauthenticated",
        Reason::StepUpRequired => "step-up-required",
        Reason::Invalid => "invalid",
        Reason::Conflict => "conflict",
        Reason::LimitReached => "limit",
        Reason::TooLarge => "too-large",
        // A fault of the other plugin is not this one's.
        Reason::Internal | Reason::Unavailable => "unavailable",
        Reason::Refused => &problem.code,
    };
    Error {
        retry_after_ms: problem.retry_after_ms,
        ..guest_error(code, &problem.detail)
    }
}
