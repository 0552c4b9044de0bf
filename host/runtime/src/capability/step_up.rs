//! Proofs of who somebody is: spent in a commit of their own, before the guest learns what was proven. Tickets, which say
//! nothing of who, are spent with what the call writes.

use std::sync::Arc;

use vaxel_identity::{Proof as Proven, Ticket};

use super::bindings::vaxel::step_up::step_up::{Host, Proof};
use super::bindings::vaxel::types::types::Error;
use crate::guest::{Context, Guest, Reply, Stop, guest_error};
use crate::manifest::Cap;

/// What a plugin reads where a ticket was spent.
const ANONYMOUS: &str = "anonymous";

const DAY_MS: u64 = 24 * 3_600_000;

impl Host for Guest {
    async fn spend(&mut self, purpose: String) -> Reply<Proof> {
        let context = self.context.as_ref().map(Arc::clone);
        if let Some(context) = &context
            && let Some(ticket) = &context.caller.ticket
        {
            return self.spend_ticket(context, &purpose, ticket);
        }
        // What an earlier attempt of this call has spent was counted then.
        let is_counted = context
            .as_ref()
            .is_some_and(|context| context.spent.lock().is_some());
        if !is_counted && let Err(refused) = self.may_use(Cap::StepUp) {
            return Ok(Err(refused));
        }
        let Some(context) = context else {
            return Ok(Err(required()));
        };
        if context.is_rehearsal {
            return Ok(Err(guest_error("unavailable", "this is a rehearsal")));
        }
        let recorded = context.spent.lock().clone();
        if let Some((of, proven)) = recorded {
            return Ok(if of == purpose {
                Ok(proof(proven))
            } else {
                Err(required())
            });
        }
        let Some(shown) = &context.caller.proof else {
            return Ok(Err(required()));
        };
        let spending =
            context
                .directory
                .spend_proof(context.tenant(), &self.plugin, &purpose, shown);
        match spending.await {
            Ok(Some(proven)) => {
                *context.spent.lock() = Some((purpose, proven.clone()));
                Ok(Ok(proof(proven)))
            }
            Ok(None) => Ok(Err(required())),
            Err(problem) => Err(self.end(Stop::Host(problem))),
        }
    }

    async fn close(&mut self, purpose: String) -> Reply<()> {
        if let Err(refused) = self.may_use(Cap::StepUp) {
            return Ok(Err(refused));
        }
        let Some(context) = self.context.as_ref().map(Arc::clone) else {
            return Ok(Err(guest_error("unavailable", "there is no tenant here")));
        };
        if context.is_rehearsal {
            return Ok(Err(guest_error("unavailable", "this is a rehearsal")));
        }
        let closing = context
            .directory
            .close_purpose(&context.cx, &self.plugin, &purpose);
        match closing.await {
            Ok(()) => Ok(Ok(())),
            Err(problem) => Err(self.end(Stop::Host(problem))),
        }
    }
}

impl Guest {
    /// Not a row of the audit: that would say to the second when somebody answered who is to be nobody.
    fn spend_ticket(&mut self, context: &Context, purpose: &str, ticket: &Ticket) -> Reply<Proof> {
        if !context.grants.allows(Cap::StepUp)
            && let Err(refused) = self.may_use(Cap::StepUp)
        {
            return Ok(Err(refused));
        }
        if context.is_rehearsal {
            return Ok(Err(guest_error("unavailable", "this is a rehearsal")));
        }
        let held = context
            .directory
            .ticket(context.tenant(), &self.plugin, purpose, ticket);
        let spending = match held {
            Ok(Some(spending)) => spending,
            Ok(None) => return Ok(Err(required())),
            Err(problem) => return Err(self.end(Stop::Host(problem))),
        };
        let now = context.cx.now.0;
        let spent = self.with_storage(Cap::Storage, 2, |tx, _| spending.spend(tx))?;
        Ok(match spent {
            Ok(true) => Ok(Proof {
                method: ANONYMOUS.to_owned(),
                at_ms: now - now % DAY_MS,
                pseudonym: None,
            }),
            Ok(false) => Err(guest_error("step-up-spent", "this was spent before")),
            Err(refused) => Err(refused),
        })
    }
}

fn proof(proven: Proven) -> Proof {
    Proof {
        method: proven.method,
        at_ms: proven.at.0,
        pseudonym: proven.pseudonym,
    }
}

fn required() -> Error {
    guest_error(
        "step-up-required",
        "no proof came with this call, or one for something else",
    )
}
