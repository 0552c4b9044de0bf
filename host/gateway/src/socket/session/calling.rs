//! What a socket asks: each call gets a place, runs on its own and is answered when it is done.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use serde_json::Value;
use vaxel_core::{Actor, OpCx, Problem, Reason, RequestId};
use vaxel_identity::Claims;
use vaxel_ops::{Binding, Refusal};

use super::Session;
use crate::auth;
use crate::http::problem::status_of;
use crate::rpc::invoke::invoke;
use crate::rpc::registry::Invocation;
use crate::socket::frame::{self, Bye};
use crate::socket::outbox::Pushed;

impl Session {
    pub(super) fn call(
        &mut self,
        id: u64,
        method: String,
        params: Value,
        idempotency_key: Option<String>,
        proof: Option<String>,
    ) -> Result<(), Bye> {
        let Some(claims) = self.outbox.claims() else {
            self.say_error(Some(id), &Problem::from(Reason::Unauthenticated));
            return self.strike();
        };
        self.check(&claims)?;
        if let Err(problem) = self.admit(&claims) {
            self.gateway.metrics().refused(Refusal::Limit);
            self.say_error(Some(id), &problem);
            return Ok(());
        }
        let now = self.gateway.now();
        let request = RequestId::new(now);
        let invocation = Invocation {
            cx: OpCx {
                tenant: self.tenant.id,
                actor: Actor::User(claims.user),
                now,
                request,
                locale: auth::locale(self.gateway.identity(), &self.tenant, Some(claims.user)),
            },
            tenant: Arc::clone(&self.tenant),
            claims: Some(claims),
            peer: self.peer,
            http: None,
            proof,
            origin: Arc::clone(&self.origin),
        };
        let gateway = self.gateway.clone();
        let outbox = Arc::clone(&self.outbox);
        let answering = Arc::clone(&self.answering);
        self.gateway.tasks().spawn(async move {
            let running = invoke(&gateway, invocation, &method, params, idempotency_key);
            let outcome = AssertUnwindSafe(running)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| {
                    tracing::error!(request.id = %request, "a call panicked");
                    Err(Problem::from(Reason::Internal))
                });
            let (frame, status) = match outcome {
                Ok(answer) => (frame::result(id, &answer.json), 200),
                Err(problem) => (
                    frame::error(Some(id), &problem, request),
                    status_of(&problem).as_u16(),
                ),
            };
            gateway.metrics().request(Binding::Socket, status);
            outbox.open_calls.fetch_sub(1, Ordering::AcqRel);
            let pushed = outbox.push_reply(frame);
            drop(answering);
            if pushed != Pushed::Quiet || outbox.bye().is_some() {
                outbox.waker.wake();
            }
        });
        Ok(())
    }

    /// Takes a place for one call.
    fn admit(&self, claims: &Claims) -> Result<(), Problem> {
        self.gateway.rates().user(self.tenant.id, claims.user)?;
        let max = u32::try_from(self.gateway.limits().calls_per_socket_max).unwrap_or(u32::MAX);
        // Only this task counts up, so the check holds.
        if self.outbox.open_calls.load(Ordering::Acquire) >= max {
            return Err(Problem::new(
                Reason::LimitReached,
                format!("At most {max} calls may be open on one socket."),
            ));
        }
        self.outbox.open_calls.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}
