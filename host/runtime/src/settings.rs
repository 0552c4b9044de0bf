//! Settings: what an administrator set for a plugin in their organization, beside what its schema says.

use serde_json::{Map, Value};
use vaxel_core::{OpCx, PluginId, Problem, Reason, TenantId};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Space, StorageError, Transaction};

use crate::manifest::Manifest;
use crate::outcome::storage_problem;
use crate::runtime::Runtime;

/// What was set, by plugin.
const SPACE: Space = Space::host(0x37);

/// The first byte of a row.
const FORMAT: u8 = 1;

/// Most bytes of all values: it is a form, not a file.
const VALUES_BYTES_MAX: usize = 64 * 1024;

/// Most properties of a schema, and so fields of the form.
const PROPERTIES_MAX: usize = 64;

/// Values by the names of their settings.
pub type Settings = Map<String, Value>;

/// What is wrong with the schema in a manifest, if something is: it must describe a form.
pub(crate) fn fault_of(schema: &Value) -> Option<String> {
    let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
    let properties = schema.get("properties").and_then(Value::as_object);
    match properties {
        Some(properties) if is_object => {
            if properties.is_empty() || properties.len() > PROPERTIES_MAX {
                return Some(format!("settings have 1 to {PROPERTIES_MAX} properties"));
            }
            let nameless = |(_, property): &(&String, &Value)| !property.is_object();
            let unclear = properties.iter().find(nameless);
            unclear.map(|(name, _)| format!("the setting {name} is no schema"))
        }
        _ => Some("settings are an object with properties".to_owned()),
    }
}

/// What holds: each property with what was set, else its default.
pub(crate) fn in_effect(manifest: &Manifest, set: &Settings) -> Settings {
    let properties = manifest
        .settings
        .as_ref()
        .and_then(|schema| schema.get("properties")?.as_object());
    let each = properties.into_iter().flatten();
    each.filter_map(|(name, property)| {
        let value = set.get(name).or_else(|| property.get("default"))?;
        Some((name.clone(), value.clone()))
    })
    .collect()
}

/// What was set.
pub(crate) fn read(tx: &mut Transaction, plugin: &PluginId) -> Result<Settings, StorageError> {
    let damaged = || StorageError::Corrupt {
        what: "a plugin's settings".to_owned(),
    };
    let Some(row) = tx.get(SPACE, plugin.as_str().as_bytes())? else {
        return Ok(Settings::new());
    };
    match row.split_first() {
        Some((&FORMAT, json)) => serde_json::from_slice(json).map_err(|_| damaged()),
        Some((found, _)) => Err(StorageError::UnknownFormat {
            what: "a plugin's settings",
            found: u64::from(*found),
        }),
        None => Err(damaged()),
    }
}

fn write(tx: &mut Transaction, plugin: &PluginId, values: &Settings) -> Result<(), Problem> {
    let json = serde_json::to_vec(values).map_err(|_| Problem::from(Reason::Internal))?;
    if json.len() > VALUES_BYTES_MAX {
        return Err(Problem::new(
            Reason::TooLarge,
            "The settings are too large.",
        ));
    }
    let row = [&[FORMAT][..], &json].concat();
    let key = plugin.as_str().as_bytes();
    tx.put(SPACE, key, row, ErasureKey::TENANT)
        .map_err(|error| storage_problem(&error))
}

/// As if nothing had ever been set.
pub(crate) fn forget(tx: &mut Transaction, plugin: &PluginId) -> Result<(), StorageError> {
    tx.delete(SPACE, plugin.as_str().as_bytes())
}

impl Runtime {
    /// The schema of a plugin's settings and what holds now, if it is on and has settings.
    pub fn settings(
        &self,
        tenant: TenantId,
        plugin: &PluginId,
    ) -> Result<Option<(Value, Settings)>, Problem> {
        let found = self.registry().tenant(tenant);
        let plugins = found.map_err(|error| storage_problem(&error))?;
        let Some(active) = plugins.active.get(plugin) else {
            return Ok(None);
        };
        let manifest = &active.plugin.manifest;
        let Some(schema) = &manifest.settings else {
            return Ok(None);
        };
        let mut tx = self.inner.storage.begin(tenant);
        let set = read(&mut tx, plugin).map_err(|error| storage_problem(&error))?;
        Ok(Some((schema.clone(), in_effect(manifest, &set))))
    }

    /// Sets all settings of a plugin that is on; what is not among the values goes back to its default. They hold from
    /// the next call on. That they fit the schema was checked by who calls this.
    pub async fn set_settings(
        &self,
        cx: &OpCx,
        plugin: &PluginId,
        values: &Settings,
    ) -> Result<(), Problem> {
        let mut tx = self.inner.storage.begin(cx.tenant);
        write(&mut tx, plugin, values)?;
        let done = self.inner.storage.commit(tx).await;
        done.map_err(|error| storage_problem(&error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_of_settings_describes_a_form() {
        let good = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        assert_eq!(fault_of(&good), None);
        for bad in [
            json!({}),
            json!(true),
            json!({"type": "object"}),
            json!({"type": "object", "properties": {}}),
            json!({"type": "string", "properties": {"a": {}}}),
            json!({"type": "object", "properties": {"a": 1}}),
        ] {
            assert!(fault_of(&bad).is_some(), "{bad}");
        }
    }
}
