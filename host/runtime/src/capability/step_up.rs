//! Proofs of who somebody is.

use super::bindings::vaxel::step_up::step_up::{Host, Proof};
use crate::guest::{Guest, Reply, guest_error};
use crate::manifest::Cap;

impl Host for Guest {
    fn spend(&mut self, _purpose: String) -> Reply<Proof> {
        Ok(self.may_use(Cap::StepUp).and_then(|()| {
            Err(guest_error(
                "step-up-required",
                "no proof came with this call",
            ))
        }))
    }
}
