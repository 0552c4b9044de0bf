//! Settings: what an administrator set, else what the schema says.

use super::bindings::vaxel::config::config::Host;
use crate::guest::Guest;
use crate::manifest::Cap;

impl Host for Guest {
    fn get(&mut self, _name: String) -> wasmtime::Result<Option<String>> {
        self.usage.count(Cap::Config);
        Ok(None)
    }

    fn all(&mut self) -> wasmtime::Result<String> {
        self.usage.count(Cap::Config);
        Ok("{}".to_owned())
    }
}
