//! The operator's trust file: who may publish which plugins here, and whose revocations count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use vaxel_core::{PluginId, UnixMs};
use vaxel_crypto::VerifyingKey;

use super::approval::{Approval, refuse};
use super::revocation::Revocations;
use super::{Package, PackageError};
use crate::Stage;

/// The one format there is.
const FORMAT: u32 = 1;

/// Thousands of publishers.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the clocks of a publisher and a server may differ.
const CLOCKS_DIFFER_MS: u64 = 5 * 60 * 1_000;

/// Whom the operator trusts. Without a file: nobody.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    path: PathBuf,
    publishers: Vec<Publisher>,
    revocations: Option<Source>,
    approvers: Vec<Approver>,
    approvals_required: usize,
}

#[derive(Clone, Debug)]
struct Approver {
    name: String,
    key: VerifyingKey,
}

#[derive(Clone, Debug)]
struct Publisher {
    name: String,
    keys: Vec<VerifyingKey>,
    plugins: BTreeSet<PluginId>,
}

#[derive(Clone, Debug)]
struct Source {
    path: PathBuf,
    keys: Vec<VerifyingKey>,
}

/// Whose package it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The publisher, as the trust file calls it.
    pub publisher: String,
    /// Thumbprint of the key.
    pub key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    #[serde(default)]
    publishers: Vec<PublisherInFile>,
    revocations: Option<SourceInFile>,
    /// Who may approve that a version goes further.
    #[serde(default)]
    approvers: Vec<ApproverInFile>,
    /// How many of them have to, before it does. None: every version is for everybody.
    #[serde(default)]
    approvals_required: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApproverInFile {
    name: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublisherInFile {
    name: String,
    keys: Vec<String>,
    plugins: BTreeSet<PluginId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceInFile {
    file: PathBuf,
    keys: Vec<String>,
}

impl Trust {
    /// Reads the trust file; one that is not there trusts nobody.
    pub fn load(path: &Path) -> Result<Self, PackageError> {
        let refuse = |what: String| PackageError::Trust {
            path: path.display().to_string(),
            what,
        };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self {
                    path: path.to_owned(),
                    ..Self::default()
                });
            }
            Err(error) => return Err(refuse(error.to_string())),
        };
        let mode = file.metadata().map_err(|e| refuse(e.to_string()))?.mode();
        if mode & 0o022 != 0 {
            return Err(refuse(format!(
                "others may write it (mode {:03o}); run: chmod go-w {}",
                mode & 0o777,
                path.display()
            )));
        }
        let mut text = String::new();
        let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
        let len = read.map_err(|error| refuse(error.to_string()))?;
        if len as u64 == FILE_BYTES_MAX {
            return Err(refuse("it is larger than 1 MiB".to_owned()));
        }
        Self::parse(path, &text).map_err(refuse)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if file.format != FORMAT {
            return Err(format!("format {} is unknown", file.format));
        }
        let (mut publishers, mut whose) = (Vec::new(), BTreeMap::new());
        let mut names = BTreeSet::new();
        for PublisherInFile {
            name,
            keys,
            plugins,
        } in file.publishers
        {
            if name.trim().is_empty() || !names.insert(name.clone()) {
                return Err(format!(
                    "the publisher {name:?} has no name, or stands there twice"
                ));
            }
            let keys = parsed(&keys).map_err(|error| format!("{name}: {error}"))?;
            for key in &keys {
                if let Some(other) = whose.insert(*key, name.clone()) {
                    return Err(format!("{other} and {name} have the same key {}", key.id()));
                }
            }
            publishers.push(Publisher {
                name,
                keys,
                plugins,
            });
        }
        let revocations = match file.revocations {
            None => None,
            Some(source) => Some(Source {
                // Beside the trust file, unless it is an absolute path.
                path: path.parent().unwrap_or(Path::new(".")).join(source.file),
                keys: parsed(&source.keys).map_err(|error| format!("revocations: {error}"))?,
            }),
        };
        let approvers = approvers(file.approvers, &mut whose)?;
        if file.approvals_required > approvers.len() {
            return Err(format!(
                "{} approvals are required, and there are {} approvers",
                file.approvals_required,
                approvers.len()
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            publishers,
            revocations,
            approvers,
            approvals_required: file.approvals_required,
        })
    }

    /// How far a version counts as promoted when it is installed.
    pub(crate) fn first_stage(&self) -> Stage {
        match self.approvals_required {
            0 => Stage::Production,
            _ => Stage::Development,
        }
    }

    /// Who approved it, by name, if enough of them did: each approval is of that package and stage, and by another
    /// approver.
    pub(crate) fn check_approvals(
        &self,
        package: &str,
        stage: Stage,
        approvals: &[Approval],
        revoked: Option<&Revocations>,
        at: UnixMs,
    ) -> Result<Vec<String>, PackageError> {
        let mut names = Vec::new();
        for approval in approvals {
            if approval.package != package || approval.stage != stage {
                return Err(refuse("it is of another package or stage"));
            }
            if let Some(list) = revoked {
                list.check("key", &approval.key)?;
            }
            let mut approvers = self.approvers.iter();
            let approver = approvers
                .find(|approver| approver.key.id().to_string() == approval.key)
                .ok_or_else(|| {
                    refuse(format!(
                        "nobody who may approve has the key {}",
                        approval.key
                    ))
                })?;
            if !approval.is_of(&approver.key) {
                let name = &approver.name;
                return Err(refuse(format!("{name} did not sign what stands in it")));
            }
            if approval.created_at > at.plus_ms(CLOCKS_DIFFER_MS) {
                return Err(refuse("it was signed on a day that lies ahead"));
            }
            if names.contains(&approver.name) {
                let name = &approver.name;
                return Err(refuse(format!("{name} cannot approve it twice")));
            }
            names.push(approver.name.clone());
        }
        if names.len() < self.approvals_required {
            return Err(refuse(format!(
                "{} are required, of different people; {} came",
                self.approvals_required,
                names.len()
            )));
        }
        Ok(names)
    }

    /// The revocation list that the file names, if it names one and it is there.
    pub fn revocations(&self) -> Result<Option<Revocations>, PackageError> {
        let Some(source) = &self.revocations else {
            return Ok(None);
        };
        Revocations::load(&source.path, &source.keys)
    }

    /// Whose package this is: signed by a trusted key, for a plugin that its owner may publish, not revoked, and
    /// `at` a time at which the signature held.
    pub fn check(
        &self,
        package: &Package,
        revoked: Option<&Revocations>,
        at: UnixMs,
    ) -> Result<Signer, PackageError> {
        let signature = package.signature.as_ref().ok_or(PackageError::Unsigned)?;
        if let Some(list) = revoked {
            list.check("key", &signature.key)?;
            list.check("package", &package.hash())?;
        }
        let owner = self.publishers.iter().find_map(|publisher| {
            let mut keys = publisher.keys.iter();
            let key = keys.find(|key| key.id().to_string() == signature.key)?;
            Some((publisher, key))
        });
        let (publisher, key) = owner.ok_or_else(|| PackageError::Untrusted {
            key: signature.key.clone(),
            trust: self.path.display().to_string(),
        })?;
        if !signature.is_of(package, key) {
            return Err(PackageError::Forged {
                publisher: publisher.name.clone(),
            });
        }
        if signature.created_at > at.plus_ms(CLOCKS_DIFFER_MS) {
            return Err(PackageError::NotYetSigned {
                created_at: day(signature.created_at),
            });
        }
        if let Some(expires_at) = signature.expires_at.filter(|expires_at| *expires_at <= at) {
            return Err(PackageError::Expired {
                expired_at: day(expires_at),
            });
        }
        if !publisher.plugins.contains(package.id()) {
            return Err(PackageError::NotTheirs {
                publisher: publisher.name.clone(),
                plugin: package.id().clone(),
            });
        }
        Ok(Signer {
            publisher: publisher.name.clone(),
            key: signature.key.clone(),
        })
    }
}

fn approvers(
    in_file: Vec<ApproverInFile>,
    whose: &mut BTreeMap<VerifyingKey, String>,
) -> Result<Vec<Approver>, String> {
    let (mut approvers, mut names) = (Vec::new(), BTreeSet::new());
    for ApproverInFile { name, key } in in_file {
        if name.trim().is_empty() || !names.insert(name.clone()) {
            return Err(format!(
                "the approver {name:?} has no name, or stands there twice"
            ));
        }
        let key: VerifyingKey = key.parse().map_err(|error| format!("{name}: {error}"))?;
        // Nobody approves twice, and nobody what they published themselves.
        if let Some(other) = whose.insert(key, name.clone()) {
            return Err(format!("{other} and {name} have the same key {}", key.id()));
        }
        approvers.push(Approver { name, key });
    }
    Ok(approvers)
}

fn parsed(keys: &[String]) -> Result<Vec<VerifyingKey>, String> {
    if keys.is_empty() {
        return Err("at least one key is needed".to_owned());
    }
    let parse = |key: &String| key.parse().map_err(|error| format!("{key:?}: {error}"));
    keys.iter().map(parse).collect()
}

/// A day as people write it: 2027-01-31.
fn day(at: UnixMs) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    time::OffsetDateTime::from_unix_timestamp(seconds).map_or_else(
        |_| "a day beyond all calendars".to_owned(),
        |at| at.date().to_string(),
    )
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
