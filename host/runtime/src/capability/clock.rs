//! The clock: when the call arrived, the same for all of it and for its re-runs.

use super::bindings::vaxel::clock::clock::Host;
use crate::guest::Guest;
use crate::manifest::Cap;

impl Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.usage.count(Cap::Clock);
        Ok(self.context.as_ref().map_or(0, |context| context.cx.now.0))
    }
}
