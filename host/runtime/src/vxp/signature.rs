//! signature.json: who says that a package is theirs, since when and until when.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use vaxel_core::UnixMs;
use vaxel_crypto::{SigningKey, VerifyingKey};

use super::contents::SIGNATURE;
use super::{Package, PackageError, Statement};
use crate::RuntimeError;

/// What begins the signed statement, so that a signature of something else is never taken for one of a package.
pub(super) const PURPOSE: &str = "vaxel package";

/// The one format there is.
const FORMAT: u32 = 1;
const ALGORITHM: &str = "ed25519";

/// A signature as it stands in the package.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    format: u32,
    algorithm: String,
    /// Thumbprint of the key.
    pub key: String,
    /// When it was signed.
    pub created_at: UnixMs,
    /// Until when it may be installed by this signature.
    pub expires_at: Option<UnixMs>,
    signature: String,
}

impl Signature {
    /// Reads it. There is one way to write a signature, so that a package has one form.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, PackageError> {
        let signature: Self = serde_json::from_slice(bytes).map_err(|e| refuse(e.to_string()))?;
        if signature.format != FORMAT || signature.algorithm != ALGORITHM {
            return Err(refuse(format!(
                "format {} with {} is unknown to this version",
                signature.format, signature.algorithm
            )));
        }
        if signature.to_bytes()? != bytes {
            return Err(refuse("it is not written as `vaxel plugin sign` writes it"));
        }
        Ok(signature)
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, PackageError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| refuse(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    pub(super) fn make(
        package: &Package,
        key: &SigningKey,
        created_at: UnixMs,
        expires_at: Option<UnixMs>,
    ) -> Result<Self, RuntimeError> {
        let mut signature = Self {
            format: FORMAT,
            algorithm: ALGORITHM.to_owned(),
            key: key.verifying_key()?.id().to_string(),
            created_at,
            expires_at,
            signature: String::new(),
        };
        signature.signature = STANDARD.encode(key.sign(&signature.statement(package).0));
        Ok(signature)
    }

    /// Whether this key signed this package.
    pub(super) fn is_of(&self, package: &Package, key: &VerifyingKey) -> bool {
        STANDARD
            .decode(&self.signature)
            .is_ok_and(|signature| key.verifies(&self.statement(package).0, &signature))
    }

    // The files, their packed form, and all that this signature says beside.
    fn statement(&self, package: &Package) -> Statement {
        let mut statement = package.list();
        statement.part(&package.body_hash);
        statement.part(self.key.as_bytes());
        statement.number(self.created_at.0);
        statement.number(u64::from(self.expires_at.is_some()));
        statement.number(self.expires_at.map_or(0, |at| at.0));
        statement
    }
}

fn refuse(what: impl Into<String>) -> PackageError {
    PackageError::Content {
        name: SIGNATURE.to_owned(),
        what: what.into(),
    }
}
