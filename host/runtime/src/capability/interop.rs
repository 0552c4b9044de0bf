//! Methods of other plugins.

use super::bindings::vaxel::interop::interop::Host;
use crate::guest::{Guest, Reply};

impl Host for Guest {
    async fn call(&mut self, plugin: String, method: String, params: Vec<u8>) -> Reply<Vec<u8>> {
        self.calls(&plugin, &method, params).await
    }
}
