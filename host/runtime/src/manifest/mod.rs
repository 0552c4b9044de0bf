//! plugin.toml: what a plugin is, what it asks for and what it offers. Unknown keys are refused.

mod asks;
mod offers;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use vaxel_core::PluginId;

use crate::RuntimeError;
pub(crate) use asks::Cap;
pub use asks::{Ask, AskKind, Capability, Grants};
pub(crate) use offers::AskedLimits;
pub use offers::{
    Connection, ConnectionKind, Failing, Hook, HttpIn, Job, Page, Subscription, When,
};

/// The one format there is.
const FORMAT: u32 = 1;

/// Most methods of one plugin: each stands in every tenant's API document.
const METHODS_MAX: usize = 256;

/// WIT packages that this host links, with their version.
const PACKAGES: &[(&str, (u32, u32, u32))] = &[
    ("types", (0, 1, 0)),
    ("storage", (0, 1, 1)),
    ("events", (0, 1, 0)),
    ("identity", (0, 1, 0)),
    ("clock", (0, 1, 0)),
    ("crypto", (0, 1, 0)),
    ("log", (0, 1, 1)),
    ("blobs", (0, 1, 0)),
    ("interop", (0, 1, 0)),
    ("step-up", (0, 1, 0)),
    ("http", (0, 1, 0)),
    ("schedule", (0, 1, 0)),
    ("config", (0, 1, 0)),
    ("rpc", (0, 1, 0)),
    ("jobs", (0, 1, 0)),
    ("events-in", (0, 1, 0)),
    ("hooks", (0, 1, 0)),
    ("pages", (0, 1, 0)),
    ("http-in", (0, 1, 0)),
    ("lifecycle", (0, 1, 1)),
];

/// The manifest of a plugin.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    /// Its name in URLs and topics.
    pub id: PluginId,
    /// Its name for people.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does, in a sentence.
    #[serde(default)]
    pub summary: String,
    /// Topics it publishes, for who writes clients.
    #[serde(default)]
    pub topics: Vec<String>,
    wit: BTreeMap<String, String>,
    /// What it asks for.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// What its methods may require of callers.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    #[serde(default)]
    pub(crate) methods: Vec<DeclaredMethod>,
    /// Pages in the app and at `/p/`.
    #[serde(default)]
    pub pages: Vec<Page>,
    /// Work that it repeats or schedules.
    #[serde(default)]
    pub jobs: Vec<Job>,
    /// Events of other plugins that it wants.
    #[serde(default)]
    pub subscriptions: Vec<Subscription>,
    /// Methods of other plugins that it has a say in.
    #[serde(default)]
    pub hooks: Vec<Hook>,
    /// Credentials that the host holds for it.
    #[serde(default)]
    pub connections: Vec<Connection>,
    /// JSON Schema of what an administrator may set: an object with properties.
    #[serde(default)]
    pub settings: Option<serde_json::Value>,
    /// Whether it answers raw HTTP at `/hooks/`, and why: anybody can reach it there.
    #[serde(default)]
    pub http_in: Option<offers::HttpIn>,
    /// What one call of it may take, below what the server allows.
    #[serde(default)]
    pub limits: offers::AskedLimits,
    /// The form of its rows. A version that raises it exports `migration`.
    #[serde(default = "offers::first_data_version")]
    pub data_version: u32,
}

/// A permission of the plugin's own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// Begins with the plugin's id and a dot.
    pub name: String,
    /// What it allows.
    pub summary: String,
    /// Who should have it: `member`, `admin`.
    #[serde(default)]
    pub roles: BTreeSet<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclaredMethod {
    pub(crate) name: String,
    pub(crate) permission: String,
    pub(crate) summary: String,
}

impl Manifest {
    /// Reads a manifest and checks that it agrees with itself and with this host.
    pub fn parse(text: &str) -> Result<Self, RuntimeError> {
        let manifest = Self::read(text)?;
        Self::CHECKS.iter().try_for_each(|check| check(&manifest))?;
        Ok(manifest)
    }

    /// Everything that keeps a manifest from being read, as far as one thing does not hide another.
    pub fn faults(text: &str) -> Vec<RuntimeError> {
        match Self::read(text) {
            Ok(manifest) => {
                let checks = Self::CHECKS.iter();
                checks.filter_map(|check| check(&manifest).err()).collect()
            }
            Err(error) => vec![error],
        }
    }

    const CHECKS: &[fn(&Self) -> Result<(), RuntimeError>] = &[
        Self::check_itself,
        Self::check_packages,
        Self::check_asks,
        Self::check_offers,
        Self::check_permissions,
        Self::check_methods,
        Self::check_topics,
    ];

    fn read(text: &str) -> Result<Self, RuntimeError> {
        toml::from_str(text).map_err(|error| refuse(error.message()))
    }

    fn check_itself(&self) -> Result<(), RuntimeError> {
        if self.format != FORMAT {
            return Err(refuse(format!("format {} is unknown", self.format)));
        }
        if self.name.trim().is_empty() || self.version.trim().is_empty() {
            return Err(refuse("name and version must say something"));
        }
        Ok(())
    }

    fn check_topics(&self) -> Result<(), RuntimeError> {
        let prefix = format!("{}.", self.id);
        let mut topics = self.topics.iter();
        match topics.find(|topic| !topic.starts_with(&prefix)) {
            Some(topic) => Err(refuse(format!(
                "the topic {topic} must begin with {prefix}"
            ))),
            None => Ok(()),
        }
    }

    fn check_packages(&self) -> Result<(), RuntimeError> {
        for (name, version) in &self.wit {
            let offered = PACKAGES.iter().find(|(package, _)| package == name);
            let Some((_, offered)) = offered else {
                return Err(refuse(format!("this host has no WIT package {name}")));
            };
            let fits = version_of(version).is_some_and(|wanted| fits(wanted, *offered));
            if !fits {
                return Err(refuse(format!("this host cannot serve {name} {version}")));
            }
        }
        Ok(())
    }

    fn check_permissions(&self) -> Result<(), RuntimeError> {
        let prefix = format!("{}.", self.id);
        let mut seen = BTreeSet::new();
        for permission in &self.permissions {
            let name = &permission.name;
            if !name.starts_with(&prefix) || !is_dotted_name(name) {
                return Err(refuse(format!(
                    "the permission {name} must be lower case and begin with {prefix}"
                )));
            }
            if !seen.insert(name) {
                return Err(refuse(format!("the permission {name} is declared twice")));
            }
        }
        Ok(())
    }

    fn check_methods(&self) -> Result<(), RuntimeError> {
        if self.methods.len() > METHODS_MAX {
            return Err(refuse(format!(
                "a plugin has at most {METHODS_MAX} methods"
            )));
        }
        let mut seen = BTreeSet::new();
        for DeclaredMethod {
            name, permission, ..
        } in &self.methods
        {
            if !is_dotted_name(name) {
                return Err(refuse(format!("{name} is no name for a method")));
            }
            if !self.declares(permission) {
                return Err(refuse(format!(
                    "{name} requires {permission}, which is not declared"
                )));
            }
            if !seen.insert(name) {
                return Err(refuse(format!("the method {name} is declared twice")));
            }
        }
        Ok(())
    }

    /// Whether a permission is one of its own.
    fn declares(&self, permission: &str) -> bool {
        self.permissions.iter().any(|p| p.name == permission)
    }

    pub(crate) fn asks_for(&self, capability: &str) -> bool {
        self.capabilities
            .iter()
            .any(|asked| asked.name == capability)
    }
}

fn refuse(what: impl Into<String>) -> RuntimeError {
    RuntimeError::Manifest { what: what.into() }
}

fn is_dotted_name(name: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    };
    name.len() <= 64 && name.split('.').all(plain)
}

fn version_of(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(str::parse);
    let version = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    if parts.next().is_none() {
        Some(version)
    } else {
        None
    }
}

// As the linker sees it: what is compatible differs only behind the first number that is not zero.
fn fits(wanted: (u32, u32, u32), offered: (u32, u32, u32)) -> bool {
    let same_track = if offered.0 == 0 {
        wanted.0 == 0 && wanted.1 == offered.1
    } else {
        wanted.0 == offered.0
    };
    same_track && wanted <= offered
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        format = 1
        id = "notes"
        name = "Notes"
        version = "0.1.0"
        topics = ["notes.saved"]
        [wit]
        storage = "0.1.0"
        [[capabilities]]
        name = "storage"
        reason = "keeps the notes"
        [[permissions]]
        name = "notes.write"
        summary = "Write notes"
        roles = ["member"]
        [[methods]]
        name = "notes.save"
        permission = "notes.write"
        summary = "Saves a note"
    "#;

    #[test]
    fn a_manifest_says_what_a_plugin_asks_for_and_offers() {
        let manifest = Manifest::parse(GOOD).unwrap();
        assert_eq!(manifest.id.as_str(), "notes");
        assert!(manifest.asks_for("storage"));
        assert!(!manifest.asks_for("events"));
    }

    #[test]
    fn what_a_manifest_must_not_say_is_refused_by_name() {
        for (was, becomes, says) in [
            ("format = 1", "format = 2", "format 2"),
            ("format = 1", "format = 1\ncolour = \"red\"", "colour"),
            ("id = \"notes\"", "id = \"Notes\"", "plugin identifier"),
            (
                "name = \"storage\"\n",
                "name = \"filesystem\"\n",
                "filesystem",
            ),
            (
                "reason = \"keeps the notes\"",
                "reason = \" \"",
                "needs a reason",
            ),
            (
                "storage = \"0.1.0\"",
                "storage = \"0.2.0\"",
                "storage 0.2.0",
            ),
            ("storage = \"0.1.0\"", "sockets = \"0.1.0\"", "sockets"),
            (
                "permission = \"notes.write\"",
                "permission = \"notes.burn\"",
                "notes.burn",
            ),
            (
                "name = \"notes.write\"\n",
                "name = \"chat.write\"\n",
                "chat.write",
            ),
            ("[\"notes.saved\"]", "[\"chat.saved\"]", "chat.saved"),
            ("name = \"notes.save\"", "name = \"../save\"", "../save"),
        ] {
            let text = GOOD.replacen(was, becomes, 1);
            assert_ne!(text, GOOD, "{was}");
            let refused = Manifest::parse(&text).unwrap_err().to_string();
            assert!(refused.contains(says), "{becomes}: {refused}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let text = GOOD
            .replace("storage = \"0.1.0\"", "storage = \"9.1.0\"")
            .replace("[\"notes.saved\"]", "[\"chat.saved\"]")
            .replace(
                "permission = \"notes.write\"",
                "permission = \"notes.burn\"",
            );
        let faults = Manifest::faults(&text);
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for (fault, says) in faults
            .iter()
            .zip(["storage 9.1.0", "notes.burn", "chat.saved"])
        {
            assert!(fault.contains(says), "{faults:?}");
        }
        assert_eq!(faults.len(), 3);
        assert!(Manifest::faults(GOOD).is_empty());
    }

    #[test]
    fn the_packages_of_this_host_are_those_of_the_contract() {
        let deps = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/deps");
        let mut files = 0;
        for entry in std::fs::read_dir(deps).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let says = |(name, (major, minor, patch)): &(&str, (u32, u32, u32))| {
                text.contains(&format!("package vaxel:{name}@{major}.{minor}.{patch};"))
            };
            assert!(PACKAGES.iter().any(says), "{text}");
            files += 1;
        }
        assert_eq!(files, PACKAGES.len());
    }

    #[test]
    fn an_older_patch_fits_and_a_newer_one_does_not() {
        assert!(fits((0, 1, 0), (0, 1, 3)));
        assert!(!fits((0, 1, 4), (0, 1, 3)));
        assert!(!fits((0, 2, 0), (0, 3, 0)));
        assert!(fits((1, 2, 0), (1, 7, 0)));
        assert!(!fits((1, 0, 0), (2, 0, 0)));
    }
}
