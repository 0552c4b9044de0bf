//! Approvals: somebody who is not its publisher signs that a version may go as far as a stage.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, UnixMs};
use vaxel_crypto::{SigningKey, VerifyingKey};

use super::{Package, PackageError, Statement};
use crate::{RuntimeError, Stage};

const FORMAT: u32 = 1;
const PURPOSE: &str = "vaxel approval";

/// The largest approval: a few short fields.
pub const APPROVAL_BYTES_MAX: usize = 4 << 10;

/// An approval as it stands in its file.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    format: u32,
    /// The plugin.
    pub plugin: PluginId,
    /// Which of its versions.
    pub version: String,
    /// The hash of the package: it is about these contents and no others.
    pub package: String,
    /// How far it may go.
    pub stage: Stage,
    /// Thumbprint of the key.
    pub key: String,
    /// When it was signed.
    pub created_at: UnixMs,
    signature: String,
}

impl Approval {
    /// Signs that this package may go as far as that.
    pub fn make(
        package: &Package,
        stage: Stage,
        key: &SigningKey,
        created_at: UnixMs,
    ) -> Result<Self, RuntimeError> {
        let mut approval = Self {
            format: FORMAT,
            plugin: package.id().clone(),
            version: package.manifest.version.clone(),
            package: package.hash(),
            stage,
            key: key.verifying_key()?.id().to_string(),
            created_at,
            signature: String::new(),
        };
        approval.signature = STANDARD.encode(key.sign(&approval.statement().0));
        Ok(approval)
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn read(bytes: &[u8]) -> Result<Self, PackageError> {
        if bytes.len() > APPROVAL_BYTES_MAX {
            return Err(refuse("it is larger than 4 KiB"));
        }
        let approval: Self = serde_json::from_slice(bytes).map_err(|e| refuse(e.to_string()))?;
        if approval.format != FORMAT {
            return Err(refuse(format!("format {} is unknown", approval.format)));
        }
        Ok(approval)
    }

    /// As it is written down.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PackageError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| refuse(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Whether this key signed it.
    pub(super) fn is_of(&self, key: &VerifyingKey) -> bool {
        STANDARD
            .decode(&self.signature)
            .is_ok_and(|signature| key.verifies(&self.statement().0, &signature))
    }

    fn statement(&self) -> Statement {
        let mut statement = Statement::new(PURPOSE, 1);
        statement.part(self.plugin.as_str().as_bytes());
        statement.part(self.version.as_bytes());
        statement.part(self.package.as_bytes());
        statement.part(self.stage.as_str().as_bytes());
        statement.part(self.key.as_bytes());
        statement.number(self.created_at.0);
        statement
    }
}

pub(super) fn refuse(what: impl Into<String>) -> PackageError {
    PackageError::Approval { what: what.into() }
}
