//! Methods of other plugins, called as the caller: those that plugin.toml names and the organization consented to.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::method::{read, write};

/// Calls another plugin's method. What it writes is committed when this answers, whatever becomes of this call.
///
/// `unavailable` where the other plugin is not there or not on.
pub fn call<P: Serialize + ?Sized, R: DeserializeOwned>(
    plugin: &str,
    method: &str,
    params: &P,
) -> Result<R> {
    let answer = crate::host::call(plugin, method, &write(params, "parameters")?)?;
    read(&answer, "the answer")
}
