//! The clock: when the call arrived, the same for all of it and for its re-runs.

use super::bindings::vaxel::clock::clock::Host;
use crate::guest::Guest;

impl Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self
            .context
            .as_ref()
            .map_or(0, |context| context.call.cx.now.0))
    }
}
