//! A package becomes a plugin: manifest and component agree, imports are asked for, methods have schemas.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use vaxel_core::PluginId;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

use crate::capability::{capability_of, link};
use crate::guest::Guest;
use crate::life::Measured;
use crate::manifest::{Ask, Manifest};
use crate::work::Exports;
use crate::{Caller, Limits, RuntimeError};

/// The files of a package.
#[derive(Clone)]
pub struct PackageFiles {
    /// The text of plugin.toml.
    pub manifest: String,
    /// The component.
    pub component: Vec<u8>,
}

/// A method as the registry of the API shows it.
#[derive(Debug)]
pub struct Method {
    /// Whose it is.
    pub plugin: PluginId,
    /// Its name within the plugin: `messages.send`.
    pub name: String,
    /// JSON Schema of the parameters.
    pub params: Value,
    /// JSON Schema of the result.
    pub result: Value,
    /// What a caller must hold.
    pub permission: String,
    /// What it does, in a sentence.
    pub summary: String,
}

/// One installed version of a plugin.
pub(crate) struct Plugin {
    pub(crate) manifest: Manifest,
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) exports: Exports,
    /// The server's limits, or less where the manifest asks for less.
    pub(crate) limits: Arc<Limits>,
    pub(crate) asks: Vec<Ask>,
    pub(crate) methods: Vec<Arc<Method>>,
    pub(crate) by_name: HashMap<String, Arc<Method>>,
    /// The file in the cache that its code is kept in; nothing where none was asked.
    pub(crate) code: OsString,
    /// How it has been doing.
    pub(crate) measured: Measured,
    member_permissions: BTreeSet<String>,
    admin_permissions: BTreeSet<String>,
}

/// A component that is linked and was not yet asked what it offers.
pub(crate) struct Linked {
    pub(crate) manifest: Manifest,
    pub(crate) pre: InstancePre<Guest>,
    pub(crate) exports: Exports,
}

/// The one format of descriptions there is.
const DESCRIPTION_FORMAT: u32 = 1;

#[derive(Deserialize)]
struct Description {
    format: u32,
    methods: BTreeMap<String, Schemas>,
}

#[derive(Deserialize)]
struct Schemas {
    params: Value,
    result: Value,
}

impl Linked {
    /// Links the component with what its manifest asks for; anything else it imports is refused by name.
    pub(crate) fn new(
        engine: &Engine,
        manifest: Manifest,
        component: &Component,
    ) -> Result<Self, RuntimeError> {
        for (import, item) in component.component_type().imports(engine) {
            let is_types = is_instance_of_types(import, &item.ty);
            let is_asked_for =
                capability_of(import).is_some_and(|capability| manifest.asks_for(capability));
            if !is_types && !is_asked_for {
                return Err(RuntimeError::NotAskedFor {
                    import: import.to_string(),
                });
            }
        }
        let mut linker = Linker::new(engine);
        link(&mut linker, &manifest)?;
        let pre = linker
            .instantiate_pre(component)
            .map_err(|error| RuntimeError::component(format!("{error:#}")))?;
        let exports = Exports::new(&pre)?;
        exports.check(&manifest)?;
        Ok(Self {
            manifest,
            pre,
            exports,
        })
    }

    /// Takes the plugin's own description and checks it against the manifest.
    pub(crate) fn described(
        self,
        description: &[u8],
        limits: &Limits,
    ) -> Result<Plugin, RuntimeError> {
        let Description {
            format,
            mut methods,
        } = serde_json::from_slice(description)
            .map_err(|error| RuntimeError::component(format!("its description: {error}")))?;
        if format != DESCRIPTION_FORMAT {
            return Err(RuntimeError::component(format!(
                "description format {format} is unknown"
            )));
        }
        let Self {
            manifest,
            pre,
            exports,
        } = self;
        let mut declared = Vec::with_capacity(manifest.methods.len());
        for method in &manifest.methods {
            let Schemas { params, result } = methods.remove(&method.name).ok_or_else(|| {
                RuntimeError::component(format!("it does not have the method {}", method.name))
            })?;
            declared.push(Arc::new(Method {
                plugin: manifest.id.clone(),
                name: method.name.clone(),
                params,
                result,
                permission: method.permission.clone(),
                summary: method.summary.clone(),
            }));
        }
        if let Some(name) = methods.keys().next() {
            return Err(RuntimeError::component(format!(
                "its method {name} is missing in the manifest"
            )));
        }
        let suggested_for = |roles: &[&str]| -> BTreeSet<String> {
            let fits = |role: &String| roles.contains(&role.as_str());
            let permissions = manifest.permissions.iter();
            permissions
                .filter(|p| p.roles.iter().any(fits))
                .map(|p| p.name.clone())
                .collect()
        };
        Ok(Plugin {
            member_permissions: suggested_for(&["member"]),
            admin_permissions: suggested_for(&["member", "admin"]),
            by_name: declared
                .iter()
                .map(|m| (m.name.clone(), Arc::clone(m)))
                .collect(),
            methods: declared,
            code: OsString::new(),
            measured: Measured::default(),
            limits: Arc::new(limits.narrowed(&manifest.limits)),
            asks: manifest.asks(),
            manifest,
            pre,
            exports,
        })
    }
}

impl Plugin {
    /// Whether a caller may do this: it was given to them, or the manifest suggests it for their role.
    pub(crate) fn permits(&self, caller: &Caller, permission: &str) -> bool {
        let suggested = match caller.user {
            Some(_) if caller.admin => self.admin_permissions.contains(permission),
            Some(_) => self.member_permissions.contains(permission),
            None => false,
        };
        suggested || caller.permissions.contains(permission)
    }
}

// The shared types bring no function, so they are no capability.
fn is_instance_of_types(import: &str, item: &ComponentItem) -> bool {
    import.starts_with("vaxel:types/") && matches!(item, ComponentItem::ComponentInstance(_))
}
