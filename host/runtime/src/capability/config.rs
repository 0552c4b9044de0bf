//! Settings: what an administrator set, else what the schema says.

use std::sync::Arc;

use serde_json::Value;

use super::bindings::vaxel::config::config::Host;
use crate::guest::{Guest, Stop};
use crate::manifest::Cap;
use crate::outcome::storage_problem;
use crate::settings::{self, Settings};

impl Host for Guest {
    fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.settings()?.get(&name).map(Value::to_string))
    }

    fn all(&mut self) -> wasmtime::Result<String> {
        let settings = self.settings()?;
        Ok(Value::Object(Settings::clone(&settings)).to_string())
    }
}

impl Guest {
    /// Read once in a call, with its transaction: a change in between runs the call again.
    fn settings(&mut self) -> wasmtime::Result<Arc<Settings>> {
        self.usage.count(Cap::Config);
        if let Some(settings) = &self.settings {
            return Ok(Arc::clone(settings));
        }
        let set = match &mut self.tx {
            Some(tx) => settings::read(tx, &self.plugin),
            None => Ok(Settings::new()),
        };
        let set = match set {
            Ok(set) => set,
            Err(error) if error.is_conflict() => return Err(self.end(Stop::Conflict)),
            Err(error) => return Err(self.end(Stop::Host(storage_problem(&error)))),
        };
        let in_effect = match &self.context {
            Some(context) => settings::in_effect(&context.plugin.manifest, &set),
            None => set,
        };
        Ok(Arc::clone(self.settings.insert(Arc::new(in_effect))))
    }
}
