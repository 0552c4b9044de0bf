//! Proofs of who somebody is: spent in a commit of their own, before the guest learns what was proven.

use std::sync::Arc;

use vaxel_identity::Proof as Proven;

use super::bindings::vaxel::step_up::step_up::{Host, Proof};
use super::bindings::vaxel::types::types::Error;
use crate::guest::{Guest, Reply, Stop, guest_error};
use crate::manifest::Cap;

impl Host for Guest {
    async fn spend(&mut self, purpose: String) -> Reply<Proof> {
        let context = self.context.as_ref().map(Arc::clone);
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
