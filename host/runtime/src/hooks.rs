//! A say in another plugin's method before it runs: asked in turn, each within its deadline.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use vaxel_core::{PluginId, Problem, Reason};

use crate::call::{Errand, Manner, PluginCall};
use crate::capability::bindings::exports::vaxel::hooks::before::Verdict;
use crate::idempotency::{Remembered, Retry};
use crate::manifest::Failing;
use crate::outcome::{Failure, shortened, storage_problem};
use crate::outside::Within;
use crate::package::Method;
use crate::queue::{BeforeHook, Hooked};
use crate::registry::TenantPlugins;
use crate::runtime::Inner;
use crate::work::{Done, Work};

/// What the hooks before a method left of a call.
pub(crate) enum Asked {
    /// It runs with these.
    Params(Bytes),
    /// It ran before, and this was its answer.
    Answered(Bytes),
}

impl Inner {
    /// Asks the hooks of a method, one after the other: each sees what the one before made of the parameters.
    pub(crate) async fn ask_before(
        self: &Arc<Self>,
        tenant: &Arc<TenantPlugins>,
        hooked: &Hooked,
        method: &Arc<Method>,
        call: &PluginCall,
        within: &Within,
        retry: Option<&Retry>,
    ) -> Result<Asked, Problem> {
        let mut params = call.params.clone();
        if hooked.before.is_empty() {
            return Ok(Asked::Params(params));
        }
        if let Some(answered) = self.answered(call, retry)? {
            return Ok(Asked::Answered(answered));
        }
        for hook in &hooked.before {
            let verdict = self.ask_one(tenant, hook, method, call, within, params.clone());
            let verdict = verdict.await;
            if let Err(failure) = &verdict {
                tracing::warn!(plugin.id = %hook.plugin, plugin.method = method.name, "a hook gave no verdict: {}", failure.code());
            }
            match (verdict, hook.on_failure) {
                (Ok(Verdict::Allow), _) => {}
                (Ok(Verdict::Modify(changed)), _) if self.fits(method, &hook.plugin, &changed) => {
                    params = changed.into();
                }
                (Ok(Verdict::Veto(words)), _) => {
                    let words = shortened(&words);
                    return Err(Problem::new(Reason::Refused, words).with_code("vetoed"));
                }
                (Ok(Verdict::Modify(_)) | Err(_), Failing::Open) => {}
                (Ok(Verdict::Modify(_)), Failing::Closed) => {
                    return Err(without_consent(&hook.plugin, None));
                }
                (Err(failure), Failing::Closed) => {
                    let retry_after_ms = failure.problem().retry_after_ms;
                    return Err(without_consent(&hook.plugin, retry_after_ms));
                }
            }
        }
        Ok(Asked::Params(params))
    }

    async fn ask_one(
        self: &Arc<Self>,
        tenant: &Arc<TenantPlugins>,
        hook: &BeforeHook,
        method: &Method,
        call: &PluginCall,
        within: &Within,
        params: Bytes,
    ) -> Result<Verdict, Failure> {
        let unavailable = || Failure::Host(Reason::Unavailable.into());
        let active = tenant.active.get(&hook.plugin).ok_or_else(unavailable)?;
        let errand = Errand {
            cx: call.cx.clone(),
            caller: call.caller.clone(),
            work: Work::Before {
                plugin: call.plugin.clone(),
                method: method.name.clone(),
                params,
            },
            alongside: None,
        };
        let time = Duration::from_millis(hook.deadline_ms.into());
        let until = Instant::now() + time;
        let manner = Manner {
            within: Within {
                until: Some(within.until.map_or(until, |outer| outer.min(until))),
                is_hook: true,
                ..within.clone()
            },
            ..Manner::default()
        };
        let asked = self.errand_as(tenant, active, errand, manner);
        match tokio::time::timeout(time, asked).await {
            Ok(Ok(Done::Verdict(verdict))) => Ok(verdict),
            Ok(Ok(_)) => Err(unavailable()),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(unavailable()),
        }
    }

    /// The answer to a retry: its hooks were asked the first time.
    fn answered(&self, call: &PluginCall, retry: Option<&Retry>) -> Result<Option<Bytes>, Problem> {
        let Some(retry) = retry else { return Ok(None) };
        let mut tx = self.storage.begin(call.cx.tenant);
        match retry.look(&mut tx) {
            Ok(Ok(Remembered::Answer(reply))) => Ok(Some(reply)),
            Ok(Ok(Remembered::Nothing)) => Ok(None),
            Ok(Err(problem)) => Err(problem),
            Err(error) => Err(storage_problem(&error)),
        }
    }

    fn fits(&self, method: &Arc<Method>, hook: &PluginId, params: &[u8]) -> bool {
        // Without anybody who could say so, nothing fits.
        let Some(schemas) = self.outside.schemas.get() else {
            return false;
        };
        let read = serde_json::from_slice(params).map_err(|_| Problem::from(Reason::Invalid));
        let checked = read.and_then(|params| schemas.check_params(method, &params));
        if let Err(problem) = &checked {
            tracing::warn!(plugin.id = %hook, plugin.method = method.name, "a hook's parameters do not fit: {problem}");
        }
        checked.is_ok() && params.len() <= self.limits.params_bytes
    }
}

/// What a caller reads where a hook must agree and does not: nothing of the hook's own words.
fn without_consent(hook: &PluginId, retry_after_ms: Option<u32>) -> Problem {
    let detail = format!("This needs the consent of {hook}, which does not answer.");
    let problem = Problem::new(Reason::Unavailable, detail).with_code("hook-unavailable");
    Problem {
        retry_after_ms,
        ..problem
    }
}
