//! Methods of other plugins.

use super::bindings::vaxel::interop::interop::Host;
use crate::guest::{Guest, Reply, guest_error};
use crate::manifest::Cap;

impl Host for Guest {
    async fn call(&mut self, _plugin: String, _method: String, _params: Vec<u8>) -> Reply<Vec<u8>> {
        Ok(self
            .may_use(Cap::Interop)
            .and_then(|()| Err(guest_error("unavailable", "not yet"))))
    }
}
