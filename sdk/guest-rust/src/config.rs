//! What an administrator set for this plugin, by the schema under `[settings]` of plugin.toml. Secrets are connections.

use serde::de::DeserializeOwned;

use crate::method::read;
use crate::{Result, host};

/// One setting: what was set, else the schema's default; `None` where there is neither.
pub fn get<T: DeserializeOwned>(name: &str) -> Result<Option<T>> {
    host::setting(name)
        .map(|json| read(json.as_bytes(), "the setting"))
        .transpose()
}

/// All settings, as one type of the plugin's own.
pub fn all<T: DeserializeOwned>() -> Result<T> {
    read(host::settings().as_bytes(), "the settings")
}
